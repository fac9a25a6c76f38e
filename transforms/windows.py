"""The windows that a run replaces: hours, a teacher's dates, or periods of prompts. All are half-open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Literal, get_args

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns import hour_of, instant

EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)
"""Where history begins for a run that covers all of it: a Monday, and the first of a month."""

LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc)
"""Where it ends for a rollup whose rows may lie in the future."""

PeriodLength = Literal["day", "week", "month"]
PERIOD_LENGTHS: tuple[PeriodLength, ...] = get_args(PeriodLength)

_WIDEST_OFFSET = timedelta(days=1)
"""No zone's clock is further from UTC, not even those of the nineteenth century."""


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


def _earlier(moment: datetime, shift: timedelta) -> datetime:
    return EARLIEST if moment - EARLIEST <= shift else moment - shift


def _months_earlier(first: datetime, months: int) -> datetime:
    since = first.year * 12 + first.month - 1 - months
    return EARLIEST if since <= EARLIEST.year * 12 else first.replace(year=since // 12, month=since % 12 + 1)


@dataclass(frozen=True)
class HourWindow:
    """The hours `[start, end)`, both UTC instants on the hour."""

    start: datetime
    end: datetime

    def before(self, number: int) -> HourWindow:
        """The window of the same length, so many lengths before; nothing is before `EARLIEST`."""
        shift = (self.end - self.start) * number
        return replace(self, start=_earlier(self.start, shift), end=_earlier(self.end, shift))

    def until(self, run_start: datetime) -> HourWindow:
        """The window without the hours that had not begun before the run started."""
        hour = run_start.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
        first_unbegun = hour if hour == run_start else hour + timedelta(hours=1)
        return HourWindow(self.start, max(self.start, min(self.end, first_unbegun)))

    def holds(self, moment: Column) -> Column:
        """Whether the moment is in the window."""
        return (moment >= instant(self.start)) & (moment < instant(self.end))

    def overlapped_hours(self, start: Column, end: Column) -> Column:
        """The hours of the window that `[start, end)` overlaps, as an array; an empty one overlaps its own hour."""
        last_moment = F.when(end > start, F.timestamp_micros(F.unix_micros(end) - 1)).otherwise(start)
        first = F.greatest(hour_of(start), instant(self.start))
        last = F.least(hour_of(last_moment), instant(self.end - timedelta(hours=1)))
        # Spark's greatest and least pass over a null: without the first condition, no start would be every hour.
        return F.when(start.isNotNull() & (first <= last), F.sequence(first, last, F.expr("INTERVAL 1 HOUR")))


@dataclass(frozen=True)
class DateWindow:
    """The dates `[start, end)` of whatever time zone a row goes by."""

    start: date
    end: date

    def before(self, number: int) -> DateWindow:
        """The window of the same length, so many lengths before; nothing is before `EARLIEST`."""
        shift = (self.end - self.start) * number
        start, end = (_earlier(_midnight(day), shift).date() for day in (self.start, self.end))
        return replace(self, start=start, end=end)

    def with_days_before(self, days: int) -> DateWindow:
        """The window and so many dates before it."""
        return replace(self, start=self.start - timedelta(days=days))

    def holds(self, day: Column) -> Column:
        """Whether the date is in the window."""
        return (day >= F.lit(self.start)) & (day < F.lit(self.end))

    def may_hold(self, moment: Column) -> Column:
        """Whether the moment can be on one of the dates in any time zone: cheap, to pass over most rows early."""
        first, end = _midnight(self.start) - _WIDEST_OFFSET, _midnight(self.end) + _WIDEST_OFFSET
        return (moment >= instant(first)) & (moment < instant(end))


@dataclass(frozen=True)
class PeriodWindow:
    """The periods of one length in `[start, end)`, both 00:00 UTC of a period's first day."""

    start: datetime
    end: datetime
    length: PeriodLength

    def before(self, number: int) -> PeriodWindow:
        """The window of as many periods, so many times their number before; nothing is before `EARLIEST`."""
        if self.length == "month":
            months = ((self.end.year - self.start.year) * 12 + self.end.month - self.start.month) * number
            return replace(self, start=_months_earlier(self.start, months), end=_months_earlier(self.end, months))
        shift = (self.end - self.start) * number
        return replace(self, start=_earlier(self.start, shift), end=_earlier(self.end, shift))

    def holds(self, moment: Column) -> Column:
        """Whether the moment is in one of the periods."""
        return (moment >= instant(self.start)) & (moment < instant(self.end))

    def first_of(self, moment: Column) -> Column:
        """The start of the period that holds the moment: the day, its Monday or the first of its month, 00:00 UTC."""
        return F.date_trunc(self.length, moment)

    def end_of(self, start: Column) -> Column:
        """The start of the period after the one that begins there."""
        return start + F.expr(f"INTERVAL 1 {self.length.upper()}")


def period_before(moment: datetime, length: PeriodLength) -> datetime:
    """The start of the period that holds the moment."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if length == "month" else midnight


def period_after(moment: datetime, length: PeriodLength) -> datetime:
    """The moment, or the start of the next period where it is not the start of one."""
    start = period_before(moment, length)
    if start == moment:
        return start
    return period_before(start + timedelta(days={"day": 1, "week": 7, "month": 31}[length]), length)
