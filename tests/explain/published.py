"""A messy lakehouse with the results of the three jobs, and values worked out again from rows that were listed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.sources import classified_rows
from jobs.explain.dashboard_metrics_hourly import HourOfSchool
from jobs.explain.explainer import explain
from jobs.explain.explanation import Explanation, Listed
from jobs.explain.recomputation import collected_locally, recomputed_row
from jobs.explain.subject import Subject
from jobs.explain.subjects import TARGETS_OF
from jobs.explain.teacher_analytics_summary import DayOfTeacher
from jobs.explain.teacher_prompt_effectiveness import PeriodOfPrompts
from jobs.lake import Lake
from jobs.settings import Settings
from jobs.storage import LocalFolder
from tests.lakehouses import rows_of
from tests.oracle import common, daily, hourly, prompts
from transforms.catalog import SESSION_EVENTS, SESSIONS
from transforms.inputs import RollupInputs
from transforms.sessions import session_spans
from transforms.usable_rows import usable
from transforms.windows import PeriodWindow

Row = dict[str, Any]
Tables = dict[str, list[Row]]

HOURS, DAYS, PERIODS = TARGETS_OF
RUN_START = datetime(2026, 1, 1, 12, 30, tzinfo=timezone.utc)
OVER_NOTHING: Mapping[str, Any] = {"improvement_trend": "insufficient_data"}


@dataclass(frozen=True)
class Published:
    """A lakehouse, and the rows of its sources."""

    folder: Path
    tables: Tables

    def subjects(self, name: str, having: str = "id") -> list[Subject]:
        """All rows that the rollup has published in which this column is not null, in the order of their keys."""
        rows = [row for row in rows_of(self.folder, TARGETS_OF[name][0]) if row.get(having, "") is not None]
        key = contract_of(TARGETS_OF[name][0]).key
        return [subject_of_row(name, row) for row in sorted(rows, key=lambda row: [str(row[part]) for part in key])]

    def explained(self, spark: SparkSession, name: str, subject: Subject) -> list[Explanation]:
        return explain(Lake(spark, LocalFolder(self.folder)), subject, TARGETS_OF[name], Settings())


def subject_of_row(name: str, row: Row) -> Subject:
    if name == HOURS:
        return HourOfSchool(row["school_id"], row["metric_hour"])
    if name == DAYS:
        return DayOfTeacher(row["teacher_id"], row["summary_date"])
    dimensions = {part: row[part] for part in contract_of(TARGETS_OF[name][0]).key[:4]}
    return PeriodOfPrompts(dimensions, PeriodWindow.of([row["calculation_period_start"]], "week"))


def oracle_row(subject: Subject, tables: Tables) -> Row | None:
    """The subject's row as the oracle makes it of these tables, None where it makes none."""
    key = subject.key
    if isinstance(subject, HourOfSchool):
        hour = subject.metric_hour
        rows = hourly.rows(tables, hour, hour + timedelta(hours=1), RUN_START)
    elif isinstance(subject, DayOfTeacher):
        rows = daily.rows(tables, subject.summary_date, subject.summary_date + timedelta(days=1))
    else:
        assert isinstance(subject, PeriodOfPrompts)
        first = subject.window.start.date()
        rows = prompts.rows(tables, first, first + timedelta(days=7), "week")
    found = [row for row in rows if all(row[name] == value for name, value in key.items())]
    assert len(found) <= 1
    return found[0] if found else None


def spark_row(
    spark: SparkSession, folder: Path, subject: Subject, listed: Iterable[Listed]
) -> Mapping[str, Any] | None:
    """The subject's row as the rollup's transform makes it of no source rows but those listed."""
    lake, settings = Lake(spark, LocalFolder(folder)), Settings().metrics
    rollup = subject.rollup
    lake.register(rollup.sources)
    pinned = PinnedSources.latest(lake, rollup.sources)
    ids: dict[str, list[str]] = {source: [] for source in rollup.sources}
    for row in listed:
        ids[row.source].append(row.id)

    def clean(source: str, sessions: DataFrame | None) -> DataFrame:
        rows = pinned.raw_rows(source).where(F.col("id").isin(ids[source]))
        return collected_locally(usable(source, classified_rows(source, rows, sessions)))

    sessions = clean(SESSIONS, None)
    known = sessions.select(F.col("id").alias("session_id"))
    rows = {source: clean(source, known) for source in rollup.sources if source != SESSIONS} | {SESSIONS: sessions}
    events = rows.get(SESSION_EVENTS)
    spans = known if events is None else collected_locally(session_spans(sessions, events, settings))
    return recomputed_row(subject, RollupInputs(spans, rows, RUN_START, settings))


def only(tables: Tables, listed: Iterable[Listed]) -> Tables:
    """The tables with no rows but those listed."""
    keys = {(row.source, row.id) for row in listed}
    return {source: [row for row in tables[source] if (source, row["id"]) in keys] for source in common.SOURCES}


def value_of(explanation: Explanation, column: str, row: Mapping[str, Any] | None) -> Any:
    """The row's value; for no row that of a count, a mean or a trend over nothing."""
    if row is not None:
        names = row[column]
        return json.dumps(names, separators=(",", ":")) if isinstance(names, list) else names
    declared = explanation.contract.column(column)
    if column in OVER_NOTHING:
        return OVER_NOTHING[column]
    return {"int": 0, "double": 0.0}[declared.type] if declared.not_null else None


class Oracle:
    """The oracle's rows by the rows listed: many columns share theirs."""

    def __init__(self, tables: Tables, subject: Subject) -> None:
        self.tables, self.subject = tables, subject
        self.known: dict[frozenset[tuple[str, str]], Row | None] = {}

    def row(self, listed: Iterable[Listed]) -> Row | None:
        listed = tuple(listed)
        keys = frozenset((row.source, row.id) for row in listed)
        if keys not in self.known:
            self.known[keys] = oracle_row(self.subject, only(self.tables, listed)) if keys else None
        return self.known[keys]
