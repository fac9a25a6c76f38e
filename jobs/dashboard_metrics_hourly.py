"""The job `dashboard_metrics_hourly`: one row per school and hour, in `analytics` and in `users`."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import DataFrame

from expectations.reconciliation.dashboard_metrics_hourly import STAGED_TOTALS, source_totals
from expectations.suites import AtMost, Range
from jobs.command import Call, main_of
from jobs.rollup import Rollup, Usable
from jobs.windows import EARLIEST, hour_after, hour_window, read_instant
from transforms.dashboard_metrics_hourly import HourWindow, dashboard_metrics_hourly
from transforms.metric_settings import MetricSettings

JOB_NAME = "dashboard_metrics_hourly"


def _condition(window: HourWindow) -> str:
    first, end = (f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}+00:00'" for moment in (window.start, window.end))
    return f"metric_hour >= {first} AND metric_hour < {end}"


def _before(window: HourWindow, number: int) -> HourWindow:
    shift = (window.end - window.start) * number
    return HourWindow(max(EARLIEST, window.start - shift), max(EARLIEST, window.end - shift))


def _source_totals(usable: Usable, window: HourWindow, run_start: datetime, settings: MetricSettings) -> DataFrame:
    begun = window.until(run_start)
    return source_totals(usable, begun.start, begun.end, settings.max_session_hours, settings.open_session_hours)


ROLLUP: Rollup[HourWindow] = Rollup(
    job_name=JOB_NAME,
    targets=("analytics.dashboard_metrics_hourly", "users.dashboard_metrics_hourly"),
    sources=(
        "sessions.classroom_sessions",
        "sessions.student_groups",
        "sessions.participants",
        "sessions.transcriptions",
        "analytics.session_events",
        "analytics.session_analytics",
        "ai_insights.teacher_guidance_metrics",
        "ai_insights.intervention_suggestions",
        "ai_insights.analysis_results",
        "audio.recordings",
        "operational.api_metrics",
        "operational.system_events",
    ),
    rows=dashboard_metrics_hourly,
    condition=_condition,
    covered=lambda window: Range("metric_hour", window.start, window.end),
    before=_before,
    source_totals=_source_totals,
    staged_totals=STAGED_TOTALS,
    ordered=(
        AtMost("ready_groups", "total_groups"),
        AtMost("total_errors", "total_alerts"),
        AtMost("teachers_active", "sessions_active"),
        AtMost("sessions_active", "data_sources_count"),
        AtMost("sessions_completed", "data_sources_count"),
        AtMost("ai_analyses_completed", "data_sources_count"),
    ),
)


def window_of(call: Call, last_success: datetime | None, run_start: datetime, look_back_hours: int) -> HourWindow:
    """The hours that a call names.

    Without `--start` a run begins where the look-back before the job's last success reaches, or with all history where
    there is none; without `--end` it ends with the hour in which it starts. Raises `UsageError`.
    """
    start, end = EARLIEST, hour_after(run_start)
    if call.start is not None:
        start = read_instant(call.start, "--start")
    elif call.end is None and last_success is not None:
        start = last_success - timedelta(hours=look_back_hours)
    if call.end is not None:
        end = read_instant(call.end, "--end")
    return hour_window(start, end)


main = main_of(JOB_NAME, lambda call: ROLLUP, window_of)

if __name__ == "__main__":
    main()
