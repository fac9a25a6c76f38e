"""The job `dashboard_metrics_hourly`: one row per school and hour, in `analytics` and in `users`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.reconciliation.dashboard_metrics_hourly import STAGED_TOTALS, source_totals
from expectations.suites import AtMost
from jobs.execution.job_run import main_of
from jobs.job import Job
from jobs.rollup import Rollup
from jobs.windows import hour_window
from transforms.catalog import (
    ANALYSIS_RESULTS,
    API_METRICS,
    DASHBOARD_METRICS,
    DASHBOARD_METRICS_OF_USERS,
    GROUPS,
    INTERVENTIONS,
    PARTICIPANTS,
    PROMPTS,
    RECORDINGS,
    SESSION_ANALYTICS,
    SESSION_EVENTS,
    SESSIONS,
    SYSTEM_EVENTS,
    TRANSCRIPTIONS,
)
from transforms.columns import hour_of
from transforms.dashboard_metrics_hourly import dashboard_metrics_hourly, in_schools, longest_reach_hours
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.windows import HourWindow, ceil_hour


def _window_covering(hours: Collection[datetime], since: datetime, run_start: datetime) -> HourWindow | None:
    """The affected hours, and those that began since the last incremental run: open sessions extend into them."""
    first, end = ceil_hour(since), ceil_hour(run_start)
    begun = {first + timedelta(hours=n) for n in range(max(0, (end - first) // timedelta(hours=1)))}
    touched = {hour for hour in hours if hour < end} | begun
    return HourWindow.of(touched) if touched else None


def _may_affect(moment: Column, window: HourWindow, settings: MetricSettings) -> Column:
    """A session or a stay can reach into an hour from as long before it as the longest one lasts."""
    return window.reached_from(moment, hours_before=longest_reach_hours(settings))


def _hours_of_recordings(inputs: RollupInputs) -> DataFrame:
    """The hours of recordings: a recording is not a fact of its own, but adds to the storage of its hour."""
    recordings = in_schools(inputs.usable[RECORDINGS], inputs.sessions).where(F.col("created_at").isNotNull())
    return recordings.select(hour_of(F.col("created_at")).alias("metric_hour"))


ROLLUP: Rollup[HourWindow] = Rollup(
    job_name="dashboard_metrics_hourly",
    targets=(DASHBOARD_METRICS, DASHBOARD_METRICS_OF_USERS),
    sources=(
        SESSIONS,
        GROUPS,
        PARTICIPANTS,
        TRANSCRIPTIONS,
        SESSION_EVENTS,
        SESSION_ANALYTICS,
        PROMPTS,
        INTERVENTIONS,
        ANALYSIS_RESULTS,
        RECORDINGS,
        API_METRICS,
        SYSTEM_EVENTS,
    ),
    rows=dashboard_metrics_hourly,
    window_column="metric_hour",
    source_totals=source_totals,
    staged_totals=STAGED_TOTALS,
    window_covering=_window_covering,
    may_affect=_may_affect,
    also_affected=_hours_of_recordings,
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
