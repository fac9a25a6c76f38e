"""The job `teacher_analytics_summary`: one row per teacher and local date, in `analytics` and in `users`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.reconciliation.teacher_analytics_summary import STAGED_TOTALS, source_totals
from expectations.suites import AtMost
from jobs.execution.job_run import main_of
from jobs.job import Job
from jobs.rollup import Rollup
from jobs.windows import date_window
from transforms.catalog import (
    GROUPS,
    INTERVENTIONS,
    PROMPTS,
    SESSION_EVENTS,
    SESSIONS,
    TEACHER_SUMMARY,
    TEACHER_SUMMARY_OF_USERS,
    TEACHERS,
    TRANSCRIPTIONS,
)
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.prompts import of_their_teachers
from transforms.teacher_analytics_summary import teacher_analytics_summary
from transforms.trend import TREND_DAYS
from transforms.windows import LATEST, DateWindow


def _window_covering(dates: Collection[date], _since: datetime, _run_start: datetime) -> DateWindow | None:
    """The affected dates, and those after them whose trends look back on them."""
    touched = {day + timedelta(days=n) for day in dates for n in range(TREND_DAYS)}
    in_time = {day for day in touched if day < LATEST.date()}
    return DateWindow.of(in_time) if in_time else None


def _may_affect(moment: Column, window: DateWindow, _settings: MetricSettings) -> Column:
    """Whether the moment can be, in any zone, on one of the dates or on one that its trend looks back on."""
    return window.with_days_before(TREND_DAYS - 1).may_contain(moment)


def _dates_in_any_zone(inputs: RollupInputs) -> DataFrame:
    """Where sessions and prompts of teachers who are not known may have counted: in the zone of a row since deleted."""
    prompts = of_their_teachers(inputs.usable[PROMPTS], inputs.sessions)
    moments = inputs.sessions.select("teacher_id", F.col("start").alias("moment")).unionByName(
        prompts.select("teacher_id", F.col("generated_at").alias("moment"))
    )
    known = inputs.usable[TEACHERS].select(F.col("id").alias("teacher_id"))
    day = F.to_date("moment")
    nearby = F.sequence(F.date_sub(day, 1), F.date_add(day, 1))
    return (
        moments.where(F.col("teacher_id").isNotNull() & F.col("moment").isNotNull())
        .join(known, "teacher_id", how="left_anti")
        .select(F.explode(nearby).alias("summary_date"))
    )


ROLLUP: Rollup[DateWindow] = Rollup(
    job_name="teacher_analytics_summary",
    targets=(TEACHER_SUMMARY, TEACHER_SUMMARY_OF_USERS),
    sources=(
        SESSIONS,
        GROUPS,
        TRANSCRIPTIONS,
        SESSION_EVENTS,
        PROMPTS,
        INTERVENTIONS,
        TEACHERS,
    ),
    rows=teacher_analytics_summary,
    window_column="summary_date",
    source_totals=source_totals,
    staged_totals=STAGED_TOTALS,
    window_covering=_window_covering,
    may_affect=_may_affect,
    also_affected=_dates_in_any_zone,
    ordered=(
        AtMost("total_prompts_used", "total_prompts_shown"),
        AtMost("total_prompts_dismissed", "total_prompts_shown"),
        AtMost("total_interventions", "total_alerts_generated"),
        AtMost("total_sessions", "data_points_included"),
        AtMost("total_prompts_shown", "data_points_included"),
    ),
)

JOB: Job[DateWindow] = Job("teacher_analytics_summary", lambda call: ROLLUP, date_window)

main = main_of(JOB)

if __name__ == "__main__":
    main()
