"""What many runs leave, and what maintenance makes of it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from expectations.gate import Check
from jobs.errors import BrokenContractError, JobError
from jobs.execution import validation_results
from jobs.execution.ledger import Entry, Ledger
from jobs.execution.publish import publish
from jobs.execution.run import Changes, Run, new_run_id
from jobs.lake import Lake
from jobs.maintenance import maintain
from jobs.provenance import Provenance
from jobs.settings import Settings
from jobs.storage import LocalFolder
from tests.lakehouses import DAILY, EFFECTIVENESS, log_success, reject, rows_of, version_of, week_of_prompts
from transforms.catalog import LEDGER, PROMPTS, QUARANTINE, RUNS, VALIDATION_RESULTS

MADE_RUNS = 12
FILES_PER_COMMIT = 2
"""The most files that a commit adds to a table: docs/operations.md says so."""

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def shortened_run(lake: Lake, number: int) -> None:
    """What a run leaves in the tables, without reading any source: one more week of prompts, and its records."""
    begun, week = NOW + timedelta(hours=number), datetime(2025, 9, 1, tzinfo=timezone.utc) + timedelta(weeks=number)
    values = {"id": f"row-{number}", "prompt_category": "engagement", "total_generated": number}
    lake.create_missing(contract_of(EFFECTIVENESS))
    entry, name = Entry("shortened", week, begun), f"run-{number}"
    ledger = Ledger(lake)
    ledger.prepare()
    created_at = ledger.begin(entry) or begun
    made_from = Provenance(uuid.uuid4().hex, "shortened", begun, (week.isoformat(), week.isoformat()), {})
    publish(lake, week_of_prompts(lake.spark, week, **values), begun, made_from, lake.version(EFFECTIVENESS))
    for table in (VALIDATION_RESULTS, RUNS):
        lake.create_missing(contract_of(table))
    check = Check("expectation", "expect_something", "a column", "critical", success=True)
    validation_results.record(lake, Run(name, "shortened", begun), EFFECTIVENESS, (check,))
    log_success(lake, name, "shortened", begun, Changes(new=1))
    ledger.record(entry, "succeeded", created_at, rows=1)


def files_of(lakehouse: Path, table: str) -> int:
    return len(list(lakehouse.joinpath(*table.split(".")).rglob("*.parquet")))


@pytest.fixture
def no_retention_check(spark: SparkSession) -> Iterator[None]:
    """Lets a VACUUM delete files that were needed until a moment ago."""
    name = "spark.databricks.delta.retentionDurationCheck.enabled"
    spark.conf.set(name, "false")
    yield
    spark.conf.unset(name)


@pytest.mark.long
def test_what_many_runs_leave_is_bounded_and_maintenance_brings_it_together(
    spark: SparkSession, tmp_path: Path, no_retention_check: None
) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    for number in range(MADE_RUNS):
        shortened_run(lake, number)
    ours = (EFFECTIVENESS, VALIDATION_RESULTS, RUNS, LEDGER)
    for table in ours:
        commits = version_of(tmp_path, table)
        assert MADE_RUNS <= commits <= 2 * MADE_RUNS + 1, f"{table}: {commits} commits"
        assert lake.size(table)[0] <= commits * FILES_PER_COMMIT
    assert list(tmp_path.joinpath(*EFFECTIVENESS.split("."), "_delta_log").glob("*.checkpoint*.parquet")) != []

    rows = {table: rows_of(tmp_path, table) for table in ours}
    eager = Settings().model_copy(update={"vacuum_retain_hours": 0})
    maintained = list(maintain(lake, eager, datetime.now(timezone.utc)))
    done = {one.table: one for one in maintained}
    assert sorted(one.table for one in maintained) == sorted(ours)
    for table in ours:
        assert (done[table].files_before >= MADE_RUNS, done[table].files_after) == (True, 1)
        checkpoints = len(list(tmp_path.joinpath(*table.split("."), "_delta_log").glob("*.parquet")))
        assert files_of(tmp_path, table) == 1 + checkpoints
        assert sorted(rows_of(tmp_path, table), key=str) == sorted(rows[table], key=str)


def test_what_can_be_done_on_no_table_fails_after_the_rest_is_done(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(RUNS))
    impossible = Settings().model_copy(update={"vacuum_retain_hours": -1})  # which Delta refuses
    maintained = maintain(lake, impossible, NOW)
    assert next(maintained).not_done == ("ALTER",)
    with pytest.raises(JobError, match=r"^ALTER failed on every table: the warnings above say why\.$"):
        next(maintained)
    assert "interval" in "".join(capsys.readouterr())


def test_a_table_that_cannot_be_read_stops_none_of_the_others(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(RUNS))
    log = tmp_path.joinpath(*EFFECTIVENESS.split("."), "_delta_log")
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{", encoding="utf-8")
    endless = tmp_path.joinpath(*DAILY.split("."), "_delta_log")
    endless.parent.mkdir(parents=True)
    endless.symlink_to(endless)
    maintained = maintain(lake, Settings(), NOW)
    assert next(maintained).table == RUNS
    both = f"{EFFECTIVENESS} and {DAILY} cannot be read: the warnings above say why."
    with pytest.raises(BrokenContractError, match=rf"^{re.escape(both)}$"):
        next(maintained)


def test_old_pages_of_runs_go_and_nothing_else_does(spark: SparkSession, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    old, young = docs / "job" / "job-20250101T000000Z-0a1b2c3d", docs / "job" / new_run_id("job", NOW)
    foreign = docs / "photos" / "2025"
    for pages in (old, young, foreign):
        pages.mkdir(parents=True)
    for pages in (old, foreign):
        os.utime(pages, (0, 0))
    settings = Settings().model_copy(update={"data_docs_dir": docs})
    assert list(maintain(Lake(spark, LocalFolder(tmp_path)), settings, datetime.now(timezone.utc))) == []
    assert (old.exists(), young.exists(), foreign.exists()) == (False, True, True)


def test_checks_older_than_the_setting_go_and_the_others_stay(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(VALIDATION_RESULTS))
    validation_results.record(
        lake, Run("run", "job", NOW), EFFECTIVENESS, (Check("expectation", "a", "b", "critical", success=True),)
    )
    now = datetime.now(timezone.utc)
    list(maintain(lake, Settings(), now + timedelta(days=89)))
    assert len(rows_of(tmp_path, VALIDATION_RESULTS)) == 1
    list(maintain(lake, Settings(), now + timedelta(days=91)))
    assert rows_of(tmp_path, VALIDATION_RESULTS) == []
    kept = spark.sql(f"SHOW TBLPROPERTIES {VALIDATION_RESULTS} ('delta.deletedFileRetentionDuration')").collect()
    assert [row["value"] for row in kept] == ["interval 720 hours"]
    operations = [commit.operation for commit in lake.commits(VALIDATION_RESULTS)]
    assert operations.count("SET TBLPROPERTIES") == 1


def test_what_is_resolved_goes_by_its_age_and_what_the_next_run_begins_from_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake, now = Lake(spark, LocalFolder(tmp_path)), datetime.now(timezone.utc)
    for table in (QUARANTINE, RUNS):
        lake.create_missing(contract_of(table))
    for day, keys in enumerate(("abc", "bc", "b")):
        reject(lake, PROMPTS, keys, f"run-{day}", now + timedelta(days=day))
    for name, is_incremental in (("first", True), ("latest", True), ("window", False)):
        log_success(lake, name, "job", now, Changes(), is_incremental=is_incremental)
    assert {row["row_key"] for row in rows_of(tmp_path, QUARANTINE) if row["resolved_at"]} == {"a", "c"}
    list(maintain(lake, Settings(), now + timedelta(days=91, hours=12)))
    assert {row["row_key"] for row in rows_of(tmp_path, QUARANTINE)} == {"b", "c"}
    assert {row["run_id"] for row in rows_of(tmp_path, RUNS)} == {"latest"}
