"""The windows that a run replaces: hours, a teacher's dates, or periods of prompts. All are half-open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise
from typing import Literal, Protocol, TypeVar, get_args

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns import any_of, hour_of, instant

EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)
"""The start of history for a run that covers all of it: a Monday, and the first of a month."""

LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc)
"""The end of history for a rollup whose rows may lie in the future."""

PeriodLength = Literal["day", "week", "month"]
PERIOD_LENGTHS: tuple[PeriodLength, ...] = get_args(PeriodLength)

_MOMENT = timedelta(microseconds=1)

_WIDEST_OFFSET = timedelta(days=1)
"""No zone's clock is further from UTC, not even those of the nineteenth century."""


MAX_SELECTED = 5000
"""A window that selects more hours, dates or periods than this covers all between the first and the last.

Those in between are recomputed from what their sources still hold; each selected one costs a run about 16 ms.
"""

MAX_STRETCHES = 20
"""A condition over more stretches of time than this takes longer than reading the rows between them."""

K = TypeVar("K", datetime, date)


def _selected(keys: Iterable[K], step: Callable[[K], K]) -> tuple[K, K, tuple[K, ...] | None]:
    """The first key, the end of the last one, and the keys themselves unless they are all between the two."""
    found = sorted(set(keys))
    has_gaps = any(step(key) < following for key, following in pairwise(found))
    return found[0], step(found[-1]), tuple(found) if has_gaps and len(found) <= MAX_SELECTED else None


class Starts(Protocol[K]):
    """A window's hours, dates or periods, each identified by its start."""

    @property
    def start(self) -> K:
        """The start of the first one."""

    @property
    def last(self) -> K:
        """The start of the last one."""

    def start_of(self, moment: datetime, /) -> K:
        """The start of the one that holds the instant, in UTC."""

    def next_start(self, start: K, /) -> K:
        """The start of the one after the one that starts there."""


def starts_between(window: Starts[K], start: datetime, end: datetime) -> list[K]:
    """The starts of the window's hours, dates or periods that `[start, end)`, two instants, overlaps.

    If there are more than a window may select, returns the first ones and the last, so that a window built from them
    covers everything in between.
    """
    found: list[K] = []
    current = max(window.start_of(start), window.start)
    last = min(window.start_of(end - _MOMENT), window.last)
    while current <= last and len(found) <= MAX_SELECTED:
        found.append(current)
        current = window.next_start(current)
    if current <= last:
        found.append(last)
    return found


def floor_hour(moment: datetime) -> datetime:
    """The start of the hour that holds the moment."""
    return moment.replace(minute=0, second=0, microsecond=0)


def ceil_hour(moment: datetime) -> datetime:
    """The moment, or the start of the next hour if it is not on the hour."""
    return floor_hour(moment) if moment == floor_hour(moment) else floor_hour(moment) + timedelta(hours=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


def _earlier(moment: datetime, shift: timedelta) -> datetime:
    return EARLIEST if moment - EARLIEST <= shift else moment - shift


def _months_earlier(first: datetime, months: int) -> datetime:
    since = first.year * 12 + first.month - 1 - months
    return EARLIEST if since <= EARLIEST.year * 12 else first.replace(year=since // 12, month=since % 12 + 1)


@dataclass(frozen=True)
class HourWindow:
    """The hours `[start, end)`, both UTC instants on the hour; only the `selected` ones if given."""

    start: datetime
    end: datetime
    selected: tuple[datetime, ...] | None = None

    @classmethod
    def of(cls, hours: Iterable[datetime]) -> HourWindow:
        """The window of these hours."""
        return cls(*_selected(hours, cls.next_start))

    @property
    def last(self) -> datetime:
        """The last hour of the window."""
        return self.end - timedelta(hours=1)

    @staticmethod
    def start_of(moment: datetime) -> datetime:
        """The start of the hour that holds the moment."""
        return floor_hour(moment)

    @staticmethod
    def next_start(hour: datetime) -> datetime:
        """The start of the hour after the one that starts there."""
        return hour + timedelta(hours=1)

    def shifted_back(self, number: int) -> HourWindow:
        """The window moved back by this number of its own lengths; nothing is before `EARLIEST`."""
        shift = (self.end - self.start) * number
        return HourWindow(_earlier(self.start, shift), _earlier(self.end, shift))

    def until(self, run_start: datetime) -> HourWindow:
        """The window without the hours that had not begun when the run started."""
        first_unbegun = ceil_hour(run_start.astimezone(timezone.utc))
        return replace(self, end=max(self.start, min(self.end, first_unbegun)))

    def contains(self, moment: Column) -> Column:
        """Whether the moment is in the window."""
        is_between = (moment >= instant(self.start)) & (moment < instant(self.end))
        if self.selected is None:
            return is_between
        return is_between & hour_of(moment).isin(*map(instant, self.selected))

    def reached_from(self, moment: Column, hours_before: int) -> Column:
        """Whether the moment is in one of the hours, or at most `hours_before` before it."""
        stretches = self._stretches(timedelta(hours=hours_before))
        return any_of((moment >= instant(start)) & (moment < instant(end)) for start, end in stretches)

    def _stretches(self, before: timedelta) -> list[tuple[datetime, datetime]]:
        """The window's hours, each with the time before it, merged into stretches; a single one if they are many."""
        stretches: list[tuple[datetime, datetime]] = []
        for hour in self.selected or ():
            start = hour - before
            if stretches and start <= stretches[-1][1]:
                start, _ = stretches.pop()
            stretches.append((start, self.next_start(hour)))
        return stretches if 0 < len(stretches) <= MAX_STRETCHES else [(self.start - before, self.end)]

    def overlapped_hours(self, start: Column, end: Column) -> Column:
        """The hours of the window that `[start, end)` overlaps, as an array; an empty one overlaps its own hour."""
        last_moment = F.when(end > start, F.timestamp_micros(F.unix_micros(end) - 1)).otherwise(start)
        first = F.greatest(hour_of(start), instant(self.start))
        last = F.least(hour_of(last_moment), instant(self.last))
        # Spark's greatest and least skip nulls: without the first condition, a null start would mean every hour.
        overlapped = F.sequence(first, last, F.expr("INTERVAL 1 HOUR"))
        if self.selected is not None:
            overlapped = F.filter(overlapped, self.contains)
        return F.when(start.isNotNull() & (first <= last), overlapped)


@dataclass(frozen=True)
class DateWindow:
    """The dates `[start, end)` in whatever time zone a row uses; only the `selected` ones if given."""

    start: date
    end: date
    selected: tuple[date, ...] | None = None

    @classmethod
    def of(cls, dates: Iterable[date]) -> DateWindow:
        """The window of these dates."""
        return cls(*_selected(dates, cls.next_start))

    @property
    def last(self) -> date:
        """The last date of the window."""
        return self.end - timedelta(days=1)

    @staticmethod
    def start_of(moment: datetime) -> date:
        """The moment's date in UTC."""
        return moment.date()

    @staticmethod
    def next_start(day: date) -> date:
        """The date after this one."""
        return day + timedelta(days=1)

    def shifted_back(self, number: int) -> DateWindow:
        """The window moved back by this number of its own lengths; nothing is before `EARLIEST`."""
        shift = (self.end - self.start) * number
        start, end = (_earlier(_midnight(day), shift).date() for day in (self.start, self.end))
        return DateWindow(start, end)

    def with_days_before(self, days: int) -> DateWindow:
        """All dates from `days` before the window to its end."""
        return DateWindow(self.start - timedelta(days=days), self.end)

    def contains(self, day: Column) -> Column:
        """Whether the date is in the window."""
        is_between = (day >= F.lit(self.start)) & (day < F.lit(self.end))
        return is_between if self.selected is None else is_between & day.isin(*self.selected)

    def may_contain(self, moment: Column) -> Column:
        """Whether the moment can be on one of the dates in any time zone: a cheap filter that drops most rows early."""
        first, end = _midnight(self.start) - _WIDEST_OFFSET, _midnight(self.end) + _WIDEST_OFFSET
        return (moment >= instant(first)) & (moment < instant(end))


@dataclass(frozen=True)
class PeriodWindow:
    """The periods of one length in `[start, end)`, both 00:00 UTC of a first day; only the `selected` ones if given."""

    start: datetime
    end: datetime
    length: PeriodLength
    selected: tuple[datetime, ...] | None = None

    @classmethod
    def of(cls, starts: Iterable[datetime], length: PeriodLength) -> PeriodWindow:
        """The window of the periods that begin there."""
        start, end, selected = _selected(starts, lambda first: next_period(first, length))
        return cls(start, end, length, selected)

    @property
    def last(self) -> datetime:
        """The start of the window's last period."""
        return self.start_of(self.end - _MOMENT)

    def start_of(self, moment: datetime) -> datetime:
        """The start of the period that holds the moment."""
        return floor_period(moment, self.length)

    def next_start(self, start: datetime) -> datetime:
        """The start of the period after the one that starts there."""
        return next_period(start, self.length)

    def shifted_back(self, number: int) -> PeriodWindow:
        """The window moved back by this number of its own lengths, in periods; nothing is before `EARLIEST`."""
        if self.length == "month":
            months = ((self.end.year - self.start.year) * 12 + self.end.month - self.start.month) * number
            start, end = _months_earlier(self.start, months), _months_earlier(self.end, months)
        else:
            shift = (self.end - self.start) * number
            start, end = _earlier(self.start, shift), _earlier(self.end, shift)
        return PeriodWindow(start, end, self.length)

    def contains(self, moment: Column) -> Column:
        """Whether the moment is in one of the periods."""
        is_between = (moment >= instant(self.start)) & (moment < instant(self.end))
        if self.selected is None:
            return is_between
        return is_between & self.period_start(moment).isin(*map(instant, self.selected))

    def period_start(self, moment: Column) -> Column:
        """The start of the period that holds the moment: the day, its Monday or the first of its month, 00:00 UTC."""
        return F.date_trunc(self.length, moment)

    def next_period_start(self, start: Column) -> Column:
        """The start of the period after the one that begins there."""
        return start + F.expr(f"INTERVAL 1 {self.length.upper()}")


def floor_period(moment: datetime, length: PeriodLength) -> datetime:
    """The start of the period that holds the moment."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if length == "month" else midnight


def ceil_period(moment: datetime, length: PeriodLength) -> datetime:
    """The moment, or the start of the next period if it is not the start of one."""
    start = floor_period(moment, length)
    if start == moment:
        return start
    return floor_period(start + timedelta(days={"day": 1, "week": 7, "month": 31}[length]), length)


def next_period(start: datetime, length: PeriodLength) -> datetime:
    """The start of the period after the one that starts there."""
    return ceil_period(start + _MOMENT, length)
