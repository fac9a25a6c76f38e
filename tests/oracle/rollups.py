"""The oracle of each rollup under the name of its job, over dates."""

from datetime import date, datetime, time, timezone
from typing import Any

from tests.oracle import daily, hourly, prompts

Rows = list[dict[str, Any]]
FUTURE = datetime(9999, 1, 1, tzinfo=timezone.utc)


def wanted(job: str, tables: dict[str, Rows], first: date, end: date) -> Rows:
    """The rows of the job's canonical table on these dates, long after; prompts by week. Twins have the same."""
    if job == "dashboard_metrics_hourly":
        start, stop = (datetime.combine(day, time(), timezone.utc) for day in (first, end))
        return hourly.rows(tables, start, stop, FUTURE)
    if job == "teacher_analytics_summary":
        return daily.rows(tables, first, end)
    return prompts.rows(tables, first, end, "week")
