"""The job `dashboard_metrics_hourly`: one row per school and hour, in `analytics` and in `users`."""

from __future__ import annotations

from expectations.reconciliation.dashboard_metrics_hourly import STAGED_TOTALS, source_totals
from expectations.suites import AtMost
from jobs.command import Job, main_of
from jobs.rollup import Rollup
from jobs.windows import hour_window
from transforms.dashboard_metrics_hourly import dashboard_metrics_hourly
from transforms.windows import HourWindow

ROLLUP: Rollup[HourWindow] = Rollup(
    job_name="dashboard_metrics_hourly",
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
    window_column="metric_hour",
    source_totals=source_totals,
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


JOB: Job[HourWindow] = Job("dashboard_metrics_hourly", lambda call: ROLLUP, hour_window)

main = main_of(JOB)

if __name__ == "__main__":
    main()
