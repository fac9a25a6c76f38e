"""The log of runs, `quality.runs`: one row per run that ended, whatever it published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
from expectations.literals import sql_datetime, sql_text
from jobs.collect import collect_utc
from jobs.commits import Commit
from jobs.execution.run import Changes
from jobs.lake import Lake
from jobs.provenance import Snapshot
from transforms.catalog import RUNS

EndStatus = Literal["succeeded", "rejected", "failed"]

# Rows of earlier releases do not record the targets' versions.
_IS_WATERMARK = "status = 'succeeded' AND is_incremental AND target_versions IS NOT NULL"

OF_SOURCES = ("source_versions", "source_commits")
"""The columns that hold, with `run_start`, the sources as a run read them."""


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """A row of the table: one run that ended."""

    run_id: str
    job_name: str
    window: tuple[datetime, datetime]
    run_start: datetime
    status: EndStatus
    is_incremental: bool
    sources: Snapshot
    target_versions: Mapping[str, int]
    changes: Changes | None = None
    checks: int = 0
    failed_checks: int = 0
    message: str | None = None


def record(lake: Lake, run: EndedRun) -> None:
    """Appends the run's row to the log of runs."""
    start, end = run.window
    counts = run.changes.counts if run.changes else {}
    values = {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "window_start": start,
        "window_end": end,
        "run_start": run.run_start,
        "run_end": datetime.now(timezone.utc),
        "status": run.status,
        "is_incremental": run.is_incremental,
        "source_versions": _as_json(run.sources.versions),
        "source_commits": _as_json(run.sources.commits),
        "target_versions": _as_json(run.target_versions),
        "rows_new": counts.get("new"),
        "rows_changed": counts.get("changed"),
        "rows_gone": counts.get("gone"),
        "rows_unchanged": counts.get("unchanged"),
        "checks": run.checks,
        "failed_checks": run.failed_checks,
        "message": run.message,
    }
    lake.append(RUNS, lake.rows_of(contract_of(RUNS), [values]))


@dataclass(frozen=True)
class SuccessfulRun:
    """A run that succeeded: the sources that it read, when it ended, and the version of each target that it left.

    That is the version of its own commit. For a target in which it changed nothing, or in which a run published in
    between that had read other versions of the sources, it is the version when it began.
    """

    run_id: str
    sources: Snapshot
    run_end: datetime
    target_versions: Mapping[str, int]

    def version_left(self, table: str) -> int:
        """The version of the target that it left."""
        return self.target_versions.get(table, 0)

    def is_in(self, table: str, commits: Iterable[Commit]) -> bool:
        """Whether what it left is among the target's commits: a backup may have been made before that."""
        left = self.version_left(table)
        return any(c.version == left and (c.is_of(self.run_id) or c.at <= self.run_end) for c in commits)


def successful_runs(
    lake: Lake,
    job_name: str,
    window: tuple[datetime, datetime],
    sources: Snapshot,
) -> list[SuccessfulRun]:
    """The runs over exactly this window that have succeeded with these sources.

    Incremental runs do not count: their windows may have gaps.
    """
    if not lake.exists(RUNS):
        return []
    start, end = map(sql_datetime, window)
    versions, commits = sql_text(_as_json(sources.versions)), sql_text(_as_json(sources.commits))
    found = _rows(lake).where(
        f"job_name = {sql_text(job_name)} AND status = 'succeeded' AND NOT is_incremental "
        f"AND source_versions = {versions} AND source_commits = {commits} "
        f"AND window_start = {start} AND window_end = {end}"
    )
    return _successful(found)


def last_incremental(lake: Lake, job_name: str) -> SuccessfulRun | None:
    """The last incremental run of the job that succeeded, whether it changed anything or not; None if there is none."""
    if not lake.exists(RUNS):
        return None
    runs = _rows(lake).where(f"job_name = {sql_text(job_name)} AND {_IS_WATERMARK}").orderBy(F.desc("run_end")).limit(1)
    return next(iter(_successful(runs)), None)


def _successful(runs: DataFrame) -> list[SuccessfulRun]:
    rows = collect_utc(runs.select("run_id", "run_start", "run_end", *OF_SOURCES, "target_versions"))
    return [
        SuccessfulRun(row["run_id"], sources_in(row), row["run_end"], json.loads(row["target_versions"] or "{}"))
        for row in rows
    ]


def sources_in(row: Mapping[str, Any]) -> Snapshot:
    """The sources as the run of this row read them, from the columns `OF_SOURCES` and `run_start`."""
    versions, commits = (json.loads(row[name] or "{}") for name in OF_SOURCES)
    return Snapshot(versions, row["run_start"], commits)


def latest_incremental_ids(lake: Lake) -> list[str]:
    """The `run_id` of each job's last incremental run that succeeded: the next one starts from there."""
    runs = _rows(lake).where(_IS_WATERMARK)
    return [row["id"] for row in runs.groupBy("job_name").agg(F.max_by("run_id", "run_end").alias("id")).collect()]


def _rows(lake: Lake) -> DataFrame:
    """The table's rows; raises `BrokenContractError` if it lacks columns of this release."""
    rows = lake.latest(RUNS)
    lake.check(contract_of(RUNS), exactly=True)
    return rows


def _as_json(of_tables: Mapping[str, int] | Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(of_tables.items())))
