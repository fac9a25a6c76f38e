"""The windows that a call names: read, widened to whole hours, checked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from jobs.errors import UsageError
from transforms.dashboard_metrics_hourly import HourWindow

EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)
"""Where history begins for a run that covers all of it."""


def read_instant(text: str, option: str) -> datetime:
    """An ISO 8601 instant, UTC where it has no offset; raises `UsageError` that names the option."""
    try:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError as error:
        raise UsageError(f"{option} is not an ISO 8601 date or time: {text!r}.") from error
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def hour_before(moment: datetime) -> datetime:
    """The start of the hour that holds the moment."""
    return moment.replace(minute=0, second=0, microsecond=0)


def hour_after(moment: datetime) -> datetime:
    """The moment, or the start of the next hour where it is not on the hour."""
    return hour_before(moment) if moment == hour_before(moment) else hour_before(moment) + timedelta(hours=1)


def hour_window(start: datetime, end: datetime) -> HourWindow:
    """The whole hours that hold `[start, end)`; raises `UsageError` where it is empty."""
    if end <= start:
        raise UsageError(f"--end ({end:%Y-%m-%dT%H:%MZ}) must be after --start ({start:%Y-%m-%dT%H:%MZ}).")
    return HourWindow(hour_before(start), hour_after(end))
