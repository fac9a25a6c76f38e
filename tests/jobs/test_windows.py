"""The window that a call names: widened to whole hours, dates and periods."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.job import Call


@pytest.mark.parametrize(
    ("start", "end", "dates", "weeks"),
    [
        ("2025-09-03", "2025-09-04", ("2025-09-03", "2025-09-04"), ("2025-09-01", "2025-09-08")),
        ("2025-09-03T22:00-03:00", "2025-09-07T23:59:59", ("2025-09-04", "2025-09-08"), ("2025-09-01", "2025-09-08")),
        ("2025-09-08", "2025-09-15", ("2025-09-08", "2025-09-15"), ("2025-09-08", "2025-09-15")),
        (None, "2025-09-15T00:00:01", ("1900-01-01", "2025-09-16"), ("1900-01-01", "2025-09-22")),
        ("2025-09-15", None, ("2025-09-15", "9999-01-01"), ("2025-09-15", "9999-01-04")),
        ("2025-09-15", "9999-12-31T23:59:59-05:00", ("2025-09-15", "9999-01-01"), ("2025-09-15", "9999-01-04")),
        (None, None, ("1900-01-01", "9999-01-01"), ("1900-01-01", "9999-01-04")),
    ],
)
def test_a_window_is_widened_to_whole_dates_and_periods(
    start: str | None, end: str | None, dates: tuple[str, str], weeks: tuple[str, str]
) -> None:
    call = Call(start=start, end=end, period="week")
    now = datetime(2025, 8, 31, 12, tzinfo=timezone.utc)
    by_date = teacher_analytics_summary.JOB.window_of(call, now)
    by_week = teacher_prompt_effectiveness.JOB.window_of(call, now)
    assert (str(by_date.start), str(by_date.end)) == dates
    assert (str(by_week.start.date()), str(by_week.end.date())) == weeks


def test_no_window_of_hours_goes_beyond_the_hour_of_the_runs_start() -> None:
    now = datetime(2025, 8, 31, 12, 30, tzinfo=timezone.utc)
    window = dashboard_metrics_hourly.JOB.window_of(Call(start="2025-08-31", end="2025-09-02"), now)
    assert (window.start.hour, window.end.hour, window.end.day) == (0, 13, 31)


def test_hours_from_a_start_that_lies_ahead_are_one_hour_that_has_not_begun() -> None:
    now = datetime(2025, 8, 31, 12, 30, tzinfo=timezone.utc)
    window = dashboard_metrics_hourly.JOB.window_of(Call(start="2099-01-01T10:20"), now)
    assert (window.start.hour, window.end - window.start) == (10, timedelta(hours=1))
    assert window.until(now).start == window.until(now).end
