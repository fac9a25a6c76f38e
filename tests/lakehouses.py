"""Lakehouse folders for tests, and runs over them in the test's own Spark session."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from expectations.contract import contract_of
from expectations.literals import sql_datetime
from jobs.execution import pinned_sources, quarantine, run_log, sources
from jobs.execution.incremental import source_subset
from jobs.execution.incremental.source_subset import SourceSubset
from jobs.execution.incremental.watermark import Baseline, baseline_of, read_records
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.pipeline import Execution
from jobs.execution.publish import Replacement
from jobs.execution.run import Changes, Mode, Outcome, Phase, Run
from jobs.job import Call, Job
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.registry import JOBS, job_named
from jobs.rollup import Rollup
from jobs.settings import Settings
from jobs.storage import LocalFolder
from jobs.tuning import settings_restored
from tests.delta_io import load_schemas, read_table
from tests.example import EXAMPLE
from transforms.catalog import (
    DASHBOARD_METRICS,
    DASHBOARD_METRICS_OF_USERS,
    PROMPT_EFFECTIVENESS,
    QUARANTINE,
    TEACHER_SUMMARY,
    TEACHER_SUMMARY_OF_USERS,
)
from transforms.table_diff import AUDIT_COLUMNS
from transforms.windows import PeriodLength

HOURLY, HOURLY_OF_USERS = DASHBOARD_METRICS, DASHBOARD_METRICS_OF_USERS
DAILY, DAILY_OF_USERS = TEACHER_SUMMARY, TEACHER_SUMMARY_OF_USERS
EFFECTIVENESS = PROMPT_EFFECTIVENESS
TARGETS = {job.name: job.default_rollup.targets for job in map(job_named, JOBS)}
"""The tables of each job, the canonical one first."""


@contextmanager
def long_sources() -> Iterator[None]:
    """All sources count as long, and what a run looks at as few of their rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pinned_sources, "LARGE", 0)
        patch.setattr(source_subset, "MAX_SHARE", 2)
        yield


def copy_of_example(folder: Path) -> Path:
    """The example's lakehouse, written by delta-rs, in a folder of its own."""
    shutil.copytree(EXAMPLE / "lake", folder)
    return folder


def rows_of(lakehouse: Path, table: str) -> list[dict[str, Any]]:
    """A table's rows, read by delta-rs."""
    return read_table(lakehouse.joinpath(*table.split(".")))


def week_of_prompts(spark: SparkSession, start: datetime, **values: object) -> Replacement:
    """One row of prompt effectiveness, in place of all that the week from `start` has."""
    contract = contract_of(EFFECTIVENESS)
    own = StructType([field for field in contract.spark_schema if field.name not in AUDIT_COLUMNS])
    row = {"calculation_period_start": start, "calculation_period_end": start + timedelta(weeks=1), **values}
    rows = spark.createDataFrame([tuple(row.get(field.name) for field in own)], own)
    return Replacement(contract, rows, f"calculation_period_start = {sql_datetime(start)}", "true")


def reject(
    lake: Lake,
    source: str,
    keys: Sequence[str | None],
    run_id: str,
    run_start: datetime,
    texts: Sequence[str] | None = None,
    reasons: Sequence[str] | None = None,
    subset: SourceSubset | None = None,
) -> None:
    """Has the quarantine know that of this source, or the `subset` read of it, these rows alone are rejected.

    `texts` stand for their content.
    """
    schema = "source string, row_key string, reason string, row_json string, violations array<string>"
    number = len(keys)
    of_rows = zip(keys, reasons or ["missing_time"] * number, texts or ["{}"] * number, strict=True)
    rows = [(source, *of_row, None) for of_row in of_rows]
    found = lake.spark.createDataFrame(rows, schema)
    lake.create_missing(contract_of(QUARANTINE))
    quarantine.record(lake, Run(run_id, "any job", run_start), found, [source], subset)


@contextmanager
def tuned_like_a_run(pinned: PinnedSources) -> Iterator[None]:
    """Within, the session has the settings with which a run reads these sources."""
    with settings_restored(pinned.lake):
        sources.tune_to_read(pinned)
        yield


def read_baseline(lake: Lake, rollup: Rollup[Any], *, also_by_runs: bool = True) -> Baseline | None:
    """The baseline of the rollup, by the records and the sources as they are."""
    return baseline_of(lake, rollup, read_records(lake, rollup, also_by_runs=also_by_runs))


def log_success(
    lake: Lake,
    run_id: str,
    job_name: str,
    run_start: datetime,
    changes: Changes,
    *,
    is_incremental: bool = False,
    sources: Snapshot | None = None,
    targets: Mapping[str, int] | None = None,
) -> None:
    """Has the log of runs know a run that succeeded, over an empty window at its start."""
    ended = run_log.EndedRun(
        run_id=run_id,
        job_name=job_name,
        window=(run_start, run_start),
        run_start=run_start,
        status="succeeded",
        is_incremental=is_incremental,
        sources=sources or Snapshot({}, run_start),
        target_versions=targets or {},
        changes=changes,
    )
    run_log.record(lake, ended)


def version_of(lakehouse: Path, table: str) -> int:
    """The number of a table's last commit; -1 where there is no table."""
    return max(
        (int(path.stem) for path in lakehouse.joinpath(*table.split("."), "_delta_log").glob("*.json")), default=-1
    )


def run(
    spark: SparkSession,
    lakehouse: Path,
    job: Job[Any],
    start: str | None = None,
    end: str | None = None,
    *,
    period: PeriodLength = "week",
    run_start: datetime | None = None,
    allow_empty: bool = False,
    dry_run: bool = False,
    phase: Phase = lambda name: None,
) -> Outcome:
    """One run of a job over a window, or over what is new, in the test's own session."""
    call = Call(lakehouse=lakehouse, start=start, end=end, period=period)
    rollup = job.rollup_of(call)
    begun = Run.begin(rollup.job_name, run_start)
    lake = Lake(spark, LocalFolder(lakehouse))
    mode = Mode(is_incremental=not call.names_a_window, allow_empty=allow_empty, dry_run=dry_run)
    return Execution(rollup, lake, begun, Settings(), mode, phase).run_over(job.window_of(call, begun.run_start))


def differences(found: list[dict[str, Any]], wanted: list[dict[str, Any]], columns: list[str]) -> list[str]:
    """Where rows of the same id differ in these columns, doubles by more than 1e-9; ids that only one side has.

    The oracle knows the dictionary's columns: a metric beyond them has its own test. `test_oracle` holds it to them.
    """
    unknown = {name for name in columns if not all(name in row for row in wanted)}
    assert not unknown & {name for schema in load_schemas().values() for name, _ in schema}
    columns = [name for name in columns if name not in unknown]
    by_id = {row["id"]: row for row in found}
    wanted_by_id = {row["id"]: row for row in wanted}
    mismatches = [f"{key}: on one side only" for key in by_id.keys() ^ wanted_by_id.keys()]
    for key in by_id.keys() & wanted_by_id.keys():
        for column in columns:
            left, right = by_id[key][column], wanted_by_id[key][column]
            if left == right:
                continue
            if (
                isinstance(left, float)
                and isinstance(right, float)
                and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
            ):
                continue
            mismatches.append(f"{key}.{column}: {left!r} is not {right!r}")
    assert len(by_id) == len(found), "an id stands twice"
    return mismatches


def value_columns(table: str) -> list[str]:
    """The columns of a table but for its audit columns."""
    return [name for name in contract_of(table).column_names if name not in AUDIT_COLUMNS]


def unlike(
    table: str, found: list[dict[str, Any]], wanted: list[dict[str, Any]], but_for: tuple[str, ...] = ()
) -> list[str]:
    """Where rows of a table differ from what an oracle wants, but for stamps, the sources' JSON text and `but_for`."""
    return differences(
        found, wanted, [name for name in value_columns(table) if name not in ("source_tables", *but_for)]
    )
