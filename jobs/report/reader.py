"""Reads a lake for the report: what the page shows, from each table at one version."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.collect import collect_utc
from jobs.errors import UsageError
from jobs.execution import run_log
from jobs.execution.run import Phase
from jobs.lake import Lake
from jobs.registry import JOBS
from jobs.report.contents import Report, Rows, Span
from jobs.report.figures import (
    activity,
    latest_runs,
    latest_verdicts,
    of_busiest,
    period_length,
    periods,
    profile,
    prompt_periods,
    prompts,
    quarantined,
    scoped,
    teacher_weeks,
    teachers,
    weeks,
)
from jobs.suggestions import nearest
from transforms.catalog import (
    DASHBOARD_METRICS,
    PROMPT_EFFECTIVENESS,
    QUARANTINE,
    RUNS,
    TEACHER_SUMMARY_OF_USERS,
    VALIDATION_RESULTS,
)
from transforms.columns import instant
from transforms.combine import union_all
from transforms.source_rules import RULES
from transforms.windows import PeriodLength

TABLES = (
    DASHBOARD_METRICS,
    TEACHER_SUMMARY_OF_USERS,  # that of `analytics` has no trend
    PROMPT_EFFECTIVENESS,
    QUARANTINE,
    VALIDATION_RESULTS,
    RUNS,
)
DEFAULT_DAYS = 365


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
            do = "does" if len(missing) == 1 else "do"
            raise UsageError(
                f"The report needs {' and '.join(missing)}, which {do} not exist yet: run {', '.join(jobs)} first."
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
        known = union_all(
            [self.rows(table).select("school_id") for table in (DASHBOARD_METRICS, TEACHER_SUMMARY_OF_USERS)]
        )
        ids = sorted(row[0] for row in known.distinct().collect() if row[0] is not None)
        if school in ids:
            return
        near = nearest(school, ids, limit=3)
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
        days = self.rows(TEACHER_SUMMARY_OF_USERS).where(
            F.col("summary_date").between(F.lit(span.first), F.lit(span.last))
        )
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
        of_weeks = _collected(of_busiest(of_teachers.drop("last_date")), "school_id", "teacher", "start")
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
            quarantined=_collected(quarantined(self.rows(QUARANTINE)), "source", "reason"),
            verdicts=_collected(latest_verdicts(self.rows(VALIDATION_RESULTS)), "job", "kind"),
            runs=_collected(latest_runs(self.rows(RUNS)), "run_start"),
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
        succeeded = self.rows(RUNS).where(F.col("status") == "succeeded")
        newest = succeeded.groupBy("job_name").agg(
            *[F.max_by(name, "run_start").alias(name) for name in run_log.OF_SOURCES],
            F.max("run_start").alias("run_start"),
        )
        read: dict[str, int] = {}
        for row in collect_utc(newest.orderBy("run_start")):
            read |= self.lake.without_recreated(run_log.sources_in(row)).versions
        return read
