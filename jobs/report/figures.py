"""The report's figures: aggregates of the rollups' rows and of what runs recorded, small enough for a page."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from expectations import contract
from expectations.contract import SUM, contract_of
from jobs.execution import quarantine
from jobs.report.contents import EVERYONE, MOST_TEACHERS, TRENDS, Grain
from transforms.catalog import DASHBOARD_METRICS, PROMPT_EFFECTIVENESS, TEACHER_SUMMARY_OF_USERS
from transforms.columns import percentage, weighted_mean
from transforms.student_t import student_t_95
from transforms.teacher_prompt_effectiveness import DIMENSIONS, MIN_DATA_POINTS

MOST_RUNS = 200


def scoped(rows: DataFrame) -> DataFrame:
    """Each row once for its school and once for all schools, in the column `scope`.

    A row without a school counts only for all schools.
    """
    scopes = F.array_distinct(F.array(F.coalesce("school_id", F.lit(EVERYONE)), F.lit(EVERYONE)))
    return rows.withColumn("scope", F.explode(scopes))


def _aggregated(metric: contract.Column, weight: str) -> Column:
    """A metric that the report adds up, or takes the mean of by a weight: its contract says which."""
    value = F.col(metric.name)
    return (F.sum(value) if metric.report == SUM else weighted_mean(value, F.col(weight))).alias(metric.name)


def _reported(table: str) -> list[Column]:
    """The metrics that the table's contract puts into the report, each aggregated as it says."""
    return [_aggregated(column, str(column.report)) for column in contract_of(table).reported]


def activity(hours: DataFrame, by: Sequence[str]) -> DataFrame:
    """What happened in the hours of each group: one row per value of `by`.

    Scores are weighted by the number of sessions in their hour. People and connections span several hours and cannot be
    added up: the busiest hour of any one school is given.
    """
    return hours.groupBy(*by).agg(
        F.sum("sessions_completed").alias("sessions_completed"),
        F.count_if(F.col("sessions_active") > 0).alias("active_hours"),
        weighted_mean(F.col("avg_engagement_score"), F.col("sessions_active")).alias("engagement"),
        weighted_mean(F.col("avg_participation_rate"), F.col("sessions_active")).alias("participation"),
        F.sum("total_errors").alias("errors"),
        F.avg("error_rate").alias("error_rate"),
        F.max("students_active").alias("most_people"),
        F.max("websocket_connections").alias("most_connections"),
        F.avg("avg_latency_ms").alias("latency_ms"),
        F.sum("total_prompts_generated").alias("prompts_generated"),
        F.sum("total_prompts_used").alias("prompts_used"),
        *_reported(DASHBOARD_METRICS),
    )


def periods(hours: DataFrame, grain: Grain) -> DataFrame:
    """The activity of each scope by date or by week: `start` is its first date, in UTC."""
    return activity(hours.withColumn("start", F.date_trunc(grain, "metric_hour").cast("date")), ["scope", "start"])


def profile(hours: DataFrame, dates: Sequence[int]) -> DataFrame:
    """The usual week of each scope: per weekday (0 is Monday) and hour, the mean number of active sessions.

    Their engagement is weighted by sessions, as elsewhere.

    `dates` says how many Mondays, Tuesdays and so on the hours cover: an hour without a row had no session.
    """
    weekday = F.weekday("metric_hour")
    return (
        hours.groupBy("scope", weekday.alias("weekday"), F.hour("metric_hour").alias("hour"))
        .agg(
            F.sum("sessions_active").alias("sessions"),
            weighted_mean(F.col("avg_engagement_score"), F.col("sessions_active")).alias("engagement"),
        )
        .withColumn("sessions", F.col("sessions") / F.element_at(F.array(*map(F.lit, dates)), F.col("weekday") + 1))
        .where(F.col("sessions") > 0)
    )


def teacher_weeks(days: DataFrame) -> DataFrame:
    """One row per school, teacher and week: scores are weighted by sessions per date; the trend is the week's last.

    A teacher's dates can be of several schools; `last_date` is the one of the trend.
    """
    return (
        days.groupBy("school_id", "teacher_id", F.date_trunc("week", "summary_date").cast("date").alias("start"))
        .agg(
            F.sum("total_sessions").alias("sessions"),
            weighted_mean(F.col("avg_session_score"), F.col("total_sessions")).alias("score"),
            weighted_mean(F.col("avg_engagement_score"), F.col("total_sessions")).alias("engagement"),
            F.sum("total_prompts_shown").alias("prompts_shown"),
            F.sum("total_prompts_used").alias("prompts_used"),
            F.max_by("improvement_trend", "summary_date").alias("trend"),
            F.max("summary_date").alias("last_date"),
            *_reported(TEACHER_SUMMARY_OF_USERS),
            *[
                F.sum(F.when(F.col(name).isNotNull(), F.col(weight))).alias(f"{name}_weight")
                for name, weight in _weights_of_days().items()
            ],
        )
        .withColumnsRenamed({"teacher_id": "teacher"})
    )


def teachers(days: DataFrame) -> DataFrame:
    """One row per scope: how many teachers it has."""
    return scoped(days).groupBy("scope").agg(F.count_distinct("teacher_id").alias("teachers"))


def of_busiest(of_teachers: DataFrame, limit: int = MOST_TEACHERS) -> DataFrame:
    """The weeks of the `limit` teachers with the most sessions; ties are broken by id."""
    own_weeks = F.collect_list(F.struct(*of_teachers.columns)).alias("weeks")
    busiest = of_teachers.groupBy("teacher").agg(F.sum("sessions").alias("sessions"), own_weeks)
    return busiest.orderBy(F.col("sessions").desc(), "teacher").limit(limit).select(F.inline("weeks"))


def _weights_of_days() -> dict[str, str]:
    """The weights of those metrics of teachers' days that are not sums: for `weeks`, which aggregates them again."""
    return {
        column.name: str(column.report)
        for column in contract_of(TEACHER_SUMMARY_OF_USERS).reported
        if column.report != SUM
    }


def weeks(of_teachers: DataFrame) -> DataFrame:
    """One row per scope and week: all teachers' sessions and prompts, and how many teachers have which trend.

    A teacher of several schools has one trend among all schools, that of the last date.
    """
    last = F.max("last_date").over(Window.partitionBy("scope", "start", "teacher"))
    return (
        scoped(of_teachers)
        .withColumn("trend", F.when(F.col("last_date") == last, F.col("trend")))
        .groupBy("scope", "start")
        .agg(
            F.count_distinct("teacher").alias("teachers"),
            weighted_mean(F.col("score"), F.col("sessions")).alias("score"),
            weighted_mean(F.col("engagement"), F.col("sessions")).alias("engagement"),
            *[F.sum(name).alias(name) for name in ("sessions", "prompts_shown", "prompts_used")],
            *[F.count_if(F.col("trend") == trend).alias(trend) for trend in TRENDS],
            *[
                _aggregated(column, f"{column.name}_weight")
                for column in contract_of(TEACHER_SUMMARY_OF_USERS).reported
            ],
        )
    )


def pooled(rows: DataFrame, by: Sequence[str]) -> DataFrame:
    """Rows of prompt effectiveness aggregated by `by`, with the interval of all their prompts together.

    The squares within the rows and between their means add up to those of all prompts, so the interval is that of the
    prompts themselves, not of means.
    """
    n, own_mean = F.col("data_points"), F.col("avg_effectiveness_score")
    within = (n - 1) * F.pow(F.coalesce("std_dev_effectiveness", F.lit(0.0)), 2)
    pool = Window.partitionBy(*by)
    mean = F.sum(n * own_mean).over(pool) / F.nullif(F.sum(n).over(pool).cast("double"), F.lit(0.0))
    spread = F.sqrt(F.sum("within") + F.sum("between")) / F.sqrt(F.nullif(F.sum(n) - 1, F.lit(0)))
    half = student_t_95(F.col("n") - 1) * F.col("spread") / F.sqrt("n")
    is_enough = F.col("n") >= MIN_DATA_POINTS
    return (
        rows.withColumn("mean", mean)
        .withColumns({"within": F.when(n > 0, within), "between": n * F.pow(own_mean - F.col("mean"), 2)})
        .groupBy(*by)
        .agg(
            F.sum("total_generated").alias("generated"),
            F.sum("total_acknowledged").alias("acknowledged"),
            F.sum("total_used").alias("used"),
            F.sum("total_dismissed").alias("dismissed"),
            F.sum(n).alias("n"),
            F.first("mean").alias("mean"),
            spread.alias("spread"),
            *_reported(PROMPT_EFFECTIVENESS),
        )
        .withColumns(
            {
                "lower": F.when(is_enough, F.col("mean") - half),
                "upper": F.when(is_enough, F.col("mean") + half),
                **{
                    f"{name}_rate": percentage(F.col(name), F.col("generated"))
                    for name in ("acknowledged", "used", "dismissed")
                },
            }
        )
        .drop("spread")
    )


def prompts(rows: DataFrame) -> DataFrame:
    """The effectiveness of the rows' prompts by each of their dimensions: `dimension` and `value` name the group."""
    kinds = F.array(*[F.struct(F.lit(name).alias("dimension"), F.col(name).alias("value")) for name in DIMENSIONS])
    return pooled(rows.select("*", F.inline(kinds)), ["dimension", "value"])


def prompt_periods(rows: DataFrame) -> DataFrame:
    """The effectiveness of prompts over time: `start` is the first date of the period, `end` the one after its last."""
    start, end = (F.col(f"calculation_period_{name}").cast("date").alias(name) for name in ("start", "end"))
    return pooled(rows.select("*", start, end), ["start", "end"])


def period_length() -> Column:
    """The `PeriodLength` of a row of prompt effectiveness, for which the table has no column."""
    days = F.date_diff("calculation_period_end", "calculation_period_start")
    return F.when(days == 1, "day").when(days == 7, "week").otherwise("month")


def quarantined(rows: DataFrame) -> DataFrame:
    """By source and reason: how many source rows are rejected, and how many no longer are."""
    return quarantine.counts(rows).select(
        "source", "reason", "rejected", "resolved", F.unix_millis("last_seen_at").alias("last_seen_at")
    )


def latest_verdicts(checks: DataFrame) -> DataFrame:
    """The gate's verdict on the latest run of each job, by kind of check, without checks for information only."""
    asked = checks.where(F.col("severity") != "info")
    newest = asked.groupBy("job_name").agg(F.max_by("run_id", "checked_at").alias("run_id"))
    failed = ~F.col("success")
    return (
        asked.join(newest, ["job_name", "run_id"], how="inner")
        .groupBy(F.col("job_name").alias("job"), "run_id", F.col("check_kind").alias("kind"))
        .agg(
            F.unix_millis(F.max("checked_at")).alias("checked_at"),
            F.count_if("success").alias("passed"),
            F.count_if(failed & (F.col("severity") == "warning")).alias("warnings"),
            F.count_if(failed & (F.col("severity") == "critical")).alias("refusals"),
        )
    )


def latest_runs(rows: DataFrame) -> DataFrame:
    """One row per run of the `MOST_RUNS` latest, newest first; times in milliseconds since 1970."""
    return (
        rows.orderBy(F.col("run_start").desc(), "run_id")
        .limit(MOST_RUNS)
        .select(
            F.unix_millis("run_start").alias("run_start"),
            F.col("job_name").alias("job"),
            "status",
            ((F.unix_millis("run_end") - F.unix_millis("run_start")) / 1000).alias("seconds"),
            *("rows_new", "rows_changed", "rows_gone", "rows_unchanged", "checks", "failed_checks", "message"),
        )
    )
