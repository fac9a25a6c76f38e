"""The window that a call names: read, checked, and widened to whole hours, dates or periods."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from jobs.errors import UsageError
from jobs.job import Call
from transforms.windows import (
    EARLIEST,
    LATEST,
    DateWindow,
    HourWindow,
    PeriodLength,
    PeriodWindow,
    ceil_hour,
    ceil_period,
    floor_hour,
    floor_period,
)


def read_instant(text: str, option: str) -> datetime:
    """An ISO 8601 instant, UTC if it has no offset; raises `UsageError`, which names the option."""
    return _in_time(_parsed(text, option), text, option)


def read_date(text: str | None, option: str) -> date | None:
    """An ISO 8601 date, None if none is given; raises `UsageError`, which names the option."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} is not an ISO 8601 date: {text!r}.") from error
    read_instant(text, option)  # refuses a date that no window may have
    return day


def _parsed(text: str, option: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError as error:
        raise UsageError(f"{option} is not an ISO 8601 date or time: {text!r}.") from error
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def _in_time(moment: datetime, text: str, option: str) -> datetime:
    # Compared before it is converted: in UTC, Python's first and last years may overflow.
    if not EARLIEST <= moment <= LATEST:
        raise UsageError(f"{option} must be from {EARLIEST:%Y-%m-%d} to {LATEST:%Y-%m-%d}: {text!r}.")
    return moment.astimezone(timezone.utc)


def _asked(call: Call, latest: datetime) -> tuple[datetime, datetime]:
    """The instants that a call names: without `--start` all history, without `--end` until `latest`.

    An end later than `LATEST` is taken as `LATEST`. A start without an end may lie in the future: the window is then
    empty so far. Raises `UsageError`.
    """
    start = EARLIEST if call.start is None else read_instant(call.start, "--start")
    if call.end is None:
        return start, max(latest, start + timedelta(hours=1))
    end = _in_time(min(_parsed(call.end, "--end"), LATEST), call.end, "--end")
    if end <= start:
        raise UsageError(f"--end ({end:%Y-%m-%dT%H:%MZ}) must be after --start ({start:%Y-%m-%dT%H:%MZ}).")
    return start, end


def hour_window(call: Call, run_start: datetime) -> HourWindow:
    """The whole hours that a call names, at most through the one of the run's start. Raises `UsageError`.

    Later hours have no row yet: a run that takes long or is tried again would delete those that another run has
    published meanwhile. A window that lies ahead is one hour long, and empty.
    """
    begun = ceil_hour(run_start.astimezone(timezone.utc))
    start, end = _asked(call, begun)
    first = floor_hour(start)
    return HourWindow(first, max(min(ceil_hour(end), begun), first + timedelta(hours=1)))


def date_window(call: Call, _run_start: datetime) -> DateWindow:
    """The dates that a call names, by default without an end. Raises `UsageError`."""
    start, end = _asked(call, LATEST)
    return DateWindow(floor_period(start, "day").date(), ceil_period(end, "day").date())


def period_window(call: Call, _run_start: datetime) -> PeriodWindow:
    """The whole periods that a call names, by default without an end. Raises `UsageError`."""
    start, end = _asked(call, LATEST)
    length = period_length(call)
    return PeriodWindow(floor_period(start, length), ceil_period(end, length), length)


def period_length(call: Call) -> PeriodLength:
    """The length of the periods that a call asks for; raises `UsageError` if it names none."""
    if call.period is None:
        raise UsageError("--period must be day, week or month.")
    return call.period
