"""The report's figures, aggregated from the lake in Spark until they are small enough for a page.

Schools and teachers appear by their ids, pupils only as counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from expectations import contract
from expectations.contract import SUM, contract_of
from jobs import quarantine, run_log, verdicts
from jobs.collect import collect_utc
from jobs.errors import UsageError
from jobs.lake import Lake
from jobs.registry import JOBS
from jobs.run import Phase
from jobs.suggestions import nearest
from transforms.columns import instant, percentage, weighted_mean
from transforms.combine import union_all
from transforms.student_t import student_t_95
from transforms.teacher_prompt_effectiveness import DIMENSIONS, MIN_DATA_POINTS
from transforms.usable_rows import RULES
from transforms.windows import PeriodLength

DASHBOARD_METRICS = "analytics.dashboard_metrics_hourly"
TEACHER_SUMMARY = "users.teacher_analytics_summary"
"""The teachers' days, from `users`: the copy in `analytics` has no trend."""
PROMPT_EFFECTIVENESS = "ai_insights.teacher_prompt_effectiveness"
TABLES = (DASHBOARD_METRICS, TEACHER_SUMMARY, PROMPT_EFFECTIVENESS, quarantine.TABLE, verdicts.TABLE, run_log.TABLE)

EVERYONE = ""
"""The scope of all schools, and the teacher that stands for all teachers of a scope: no id is empty."""
DEFAULT_DAYS = 365
LONGEST_BY_DAY = 100
"""Days that a chart can show one by one: longer ranges are shown by week."""
MOST_RUNS = 200
MOST_TEACHERS = 3_000
"""How many teachers' weeks the driver collects and the page holds: a year of them is well under 5 MB."""
TRENDS = ("improving", "stable", "declining", "insufficient_data")

Grain = Literal["day", "week"]


@dataclass(frozen=True)
class Rows:
    """A small table: the names of its columns, and its rows as plain values. Instants are milliseconds since 1970."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Span:
    """The dates of a report, the last one included, in UTC."""

    first: date
    last: date

    @property
    def grain(self) -> Grain:
        """The time that one bar of a chart covers: a day or, for long reports, a week."""
        return "day" if (self.last - self.first).days < LONGEST_BY_DAY else "week"

    def dates_of_weekdays(self) -> list[int]:
        """How many Mondays, Tuesdays and so on the dates include, beginning with Monday."""
        weeks, rest = divmod((self.last - self.first).days + 1, 7)
        begin = self.first.weekday()
        return [weeks + ((weekday - begin) % 7 < rest) for weekday in range(7)]


@dataclass(frozen=True)
class Report:
    """All that the page shows; this is what one row of each table stands for.

    `totals`, `teachers`: a scope. `periods`: a scope and a day or week, as `span.grain` says. `profile`: a scope,
    weekday and hour. `weeks`: a scope and week. `teacher_weeks`: a school, teacher and week, for the `MOST_TEACHERS`
    busiest teachers. For all schools, whichever is chosen: `prompts`: a dimension and value. `prompt_periods`: a period
    of length `period`. `freshness`: a source. `quarantined`: a source and reason. `verdicts`: a job and kind of check.
    `runs`: a run.
    """

    made_at: datetime
    span: Span
    school: str | None
    period: PeriodLength
    totals: Rows
    periods: Rows
    profile: Rows
    teachers: Rows
    teacher_weeks: Rows
    weeks: Rows
    prompts: Rows
    prompt_periods: Rows
    freshness: Rows
    quarantined: Rows
    verdicts: Rows
    runs: Rows


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

    `dates` says how many Mondays, Tuesdays and so on the hours cover: an hour without a row had no session.
    """
    weekday = F.weekday("metric_hour")
    return (
        hours.groupBy("scope", weekday.alias("weekday"), F.hour("metric_hour").alias("hour"))
        .agg(F.sum("sessions_active").alias("sessions"), F.avg("avg_engagement_score").alias("engagement"))
        .withColumn("sessions", F.col("sessions") / F.element_at(F.array(*map(F.lit, dates)), F.col("weekday") + 1))
        .where(F.col("sessions") > 0)
    )


def teacher_weeks(days: DataFrame) -> DataFrame:
    """One row per teacher and week: scores are weighted by sessions per date; the trend is the week's last."""
    return (
        days.groupBy("school_id", "teacher_id", F.date_trunc("week", "summary_date").cast("date").alias("start"))
        .agg(
            F.sum("total_sessions").alias("sessions"),
            weighted_mean(F.col("avg_session_score"), F.col("total_sessions")).alias("score"),
            weighted_mean(F.col("avg_engagement_score"), F.col("total_sessions")).alias("engagement"),
            F.sum("total_prompts_shown").alias("prompts_shown"),
            F.sum("total_prompts_used").alias("prompts_used"),
            F.max_by("improvement_trend", "summary_date").alias("trend"),
            *_reported(TEACHER_SUMMARY),
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


def of_busiest(of_teachers: DataFrame, most: int = MOST_TEACHERS) -> DataFrame:
    """The weeks of the `most` teachers with the most sessions; ties are broken by id."""
    own_weeks = F.collect_list(F.struct(*of_teachers.columns)).alias("weeks")
    busiest = of_teachers.groupBy("teacher").agg(F.sum("sessions").alias("sessions"), own_weeks)
    return busiest.orderBy(F.col("sessions").desc(), "teacher").limit(most).select(F.inline("weeks"))


def _weights_of_days() -> dict[str, str]:
    """The weights of those metrics of teachers' days that are not sums: for `weeks`, which aggregates them again."""
    return {column.name: str(column.report) for column in contract_of(TEACHER_SUMMARY).reported if column.report != SUM}


def weeks(of_teachers: DataFrame) -> DataFrame:
    """One row per scope and week: all teachers' sessions and prompts, and how many teachers have which trend."""
    return (
        scoped(of_teachers)
        .groupBy("scope", "start")
        .agg(
            F.count_distinct("teacher").alias("teachers"),
            weighted_mean(F.col("score"), F.col("sessions")).alias("score"),
            weighted_mean(F.col("engagement"), F.col("sessions")).alias("engagement"),
            *[F.sum(name).alias(name) for name in ("sessions", "prompts_shown", "prompts_used")],
            *[F.count_if(F.col("trend") == trend).alias(trend) for trend in TRENDS],
            *[_aggregated(column, f"{column.name}_weight") for column in contract_of(TEACHER_SUMMARY).reported],
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
        asked.join(newest, ["job_name", "run_id"])
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


def _collected(frame: DataFrame, *order: str) -> Rows:
    return Rows(tuple(frame.columns), [tuple(row) for row in frame.orderBy(*order).collect()])


def _job_of(table: str) -> str:
    """The job that fills a rollup's table: it is named like the table, as is `Rollup.name`."""
    return table.split(".")[1]


class Reader:
    """Reads what a report needs from a lake, each table at the version that it had when the report was begun."""

    def __init__(self, lake: Lake, made_at: datetime, phase: Phase = lambda name: None) -> None:
        """Raises `UsageError` if a table is missing, and `BrokenContractError` for one of another release."""
        self.lake = lake
        self.made_at = made_at
        self.phase = phase
        missing = [table for table in TABLES if not lake.exists(table)]
        if missing:
            jobs = sorted({*map(_job_of, missing)} & {*JOBS} or JOBS)
            be = "is" if len(missing) == 1 else "are"
            raise UsageError(
                f"The report needs {' and '.join(missing)}, which {be} not there yet: run {', '.join(jobs)} first."
            )
        lake.register(TABLES)
        for table in TABLES:
            lake.check(contract_of(table), exactly=False)
        self.versions = {table: lake.version(table) for table in TABLES}

    def rows(self, table: str) -> DataFrame:
        """The table's rows, in the columns of its contract that may be shown."""
        return self.lake.read(table, self.versions[table]).select(*contract_of(table).public_columns)

    def span(self, first: date | None, last: date | None) -> Span:
        """The dates to report on: by default the year that ends with the last date that has an hour.

        The dates of teachers and prompts are not considered: they may have rows in the future.
        """
        day = F.col("metric_hour").cast("date")
        earliest, latest = self.rows(DASHBOARD_METRICS).agg(F.min(day), F.max(day)).collect()[0]
        if latest is None:
            job = _job_of(DASHBOARD_METRICS)
            raise UsageError(f"The table {DASHBOARD_METRICS} has no rows: run {job} over a window that has some.")
        last = last or latest
        first = first or max(earliest, last - timedelta(DEFAULT_DAYS - 1))
        if first > last:
            raise UsageError(f"The report would end on {last} (--to), before it begins on {first} (--from).")
        return Span(first, last)

    def check_school(self, school: str) -> None:
        """Raises `UsageError`, which names similar ids, if the lake has no school of that id."""
        known = union_all([self.rows(table).select("school_id") for table in (DASHBOARD_METRICS, TEACHER_SUMMARY)])
        ids = sorted(row[0] for row in known.distinct().collect() if row[0] is not None)
        if school in ids:
            return
        near = nearest(school, ids, most=3)
        hint = f"did you mean {near}?" if near else f"none of the {len(ids)} schools has such an id."
        raise UsageError(f"There is no school {school}: {hint}")

    def report(self, first: date | None = None, last: date | None = None, school: str | None = None) -> Report:
        """All that the page shows; raises `UsageError` for a school or dates for which the lake has no rows."""
        self.phase("look for the schools and the dates")
        if school is not None:
            self.check_school(school)
        span = self.span(first, last)
        begin = datetime(span.first.year, span.first.month, span.first.day, tzinfo=timezone.utc)
        end = begin + timedelta((span.last - span.first).days + 1)
        is_within = (F.col("metric_hour") >= instant(begin)) & (F.col("metric_hour") < instant(end))
        hours = self.rows(DASHBOARD_METRICS).where(is_within)
        days = self.rows(TEACHER_SUMMARY).where(F.col("summary_date").between(F.lit(span.first), F.lit(span.last)))
        if school is not None:
            hours, days = hours.where(F.col("school_id") == school), days.where(F.col("school_id") == school)
        all_hours = hours.withColumn("scope", F.col("school_id")) if school is not None else scoped(hours)
        self.phase("add up the hours of schools")
        of_periods = _collected(periods(all_hours, span.grain), "scope", "start")
        if not of_periods.rows:
            of = "" if school is None else f" of school {school}"
            raise UsageError(f"The table {DASHBOARD_METRICS} has no hours{of} from {span.first} to {span.last}.")
        of_teachers = teacher_weeks(days)
        overlaps = (F.col("calculation_period_end") > instant(begin)) & (
            F.col("calculation_period_start") < instant(end)
        )
        effectiveness = self.rows(PROMPT_EFFECTIVENESS).where(overlaps).withColumn("period_length", period_length())
        totals, usual = activity(all_hours, ["scope"]), profile(all_hours, span.dates_of_weekdays())
        of_totals, of_profile = _collected(totals, "scope"), _collected(usual, "scope", "weekday", "hour")
        self.phase("add up the weeks of teachers")
        of_weeks = _collected(of_busiest(of_teachers), "school_id", "teacher", "start")
        is_shown = F.lit(True) if school is None else F.col("scope") == school
        all_weeks = _collected(weeks(of_teachers).where(is_shown), "scope", "start")
        all_teachers = _collected(teachers(days).where(is_shown), "scope")
        self.phase("bring the prompts together")
        period = self._period(effectiveness)
        chosen = effectiveness.where(F.col("period_length") == period)
        of_prompts = _collected(prompts(chosen), "dimension", "value")
        over_time = _collected(prompt_periods(chosen), "start")
        self.phase("look at the data's health")
        return Report(
            made_at=self.made_at,
            span=span,
            school=school,
            period=period,
            totals=of_totals,
            periods=of_periods,
            profile=of_profile,
            teachers=all_teachers,
            teacher_weeks=of_weeks,
            weeks=all_weeks,
            prompts=of_prompts,
            prompt_periods=over_time,
            freshness=self.freshness(),
            quarantined=_collected(quarantined(self.rows(quarantine.TABLE)), "source", "reason"),
            verdicts=_collected(latest_verdicts(self.rows(verdicts.TABLE)), "job", "kind"),
            runs=_collected(latest_runs(self.rows(run_log.TABLE)), "run_start"),
        )

    def _period(self, rows: DataFrame) -> PeriodLength:
        """The length of period to show: days, weeks and months cover the same prompts, so one of them is enough."""
        there = {row[0] for row in rows.select("period_length").distinct().collect()}
        lengths: tuple[PeriodLength, ...] = ("week", "day", "month")
        return next((length for length in lengths if length in there), "week")

    def freshness(self) -> Rows:
        """One row per source: its newest row not in the future, its last commit, and how far the jobs have read it."""
        read = self._versions_read()
        sources = sorted(source for source in RULES if self.lake.exists(source))
        self.lake.register(sources)
        versions = {source: self.lake.version(source) for source in sources}
        newest = self._newest(versions)
        rows = []
        for source in sources:
            written = int(self.lake.commits(source, 1)[0].at.timestamp() * 1000)
            behind = versions[source] - read[source] if source in read else None
            rows.append((source, *newest[source], written, versions[source], read.get(source), behind))
        return Rows(("source", "newest", "in_future", "written_at", "version", "version_read", "commits_behind"), rows)

    def _newest(self, versions: dict[str, int]) -> dict[str, tuple[int | None, int]]:
        """Per source: its newest moment not in the future, in milliseconds, and how many rows are in the future."""
        now = instant(self.made_at)
        frames = []
        for source, version in versions.items():
            moment = F.col(RULES[source].placed_by or "created_at")
            frames.append(
                self.lake.read(source, version).agg(
                    F.lit(source).alias("source"),
                    F.unix_millis(F.max(F.when(moment <= now, moment))).alias("newest"),
                    F.count_if(moment > now).alias("in_future"),
                )
            )
        if not frames:
            return {}
        found = union_all(frames).collect()
        return {row["source"]: (row["newest"], row["in_future"]) for row in found}

    def _versions_read(self) -> dict[str, int]:
        """The version of each source that the latest successful run read, of whichever job; none of a recreated one."""
        succeeded = self.rows(run_log.TABLE).where(F.col("status") == "succeeded")
        newest = succeeded.groupBy("job_name").agg(
            *[F.max_by(name, "run_start").alias(name) for name in run_log.OF_SOURCES],
            F.max("run_start").alias("run_start"),
        )
        read: dict[str, int] = {}
        for row in collect_utc(newest.orderBy("run_start")):
            read |= self.lake.without_recreated(run_log.sources_in(row)).versions
        return read
