"""Runs that overlap: none builds upon what it cannot know; quarantine and ledger go by which began later."""

from __future__ import annotations

import json
import shutil
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs.commits import Commit
from jobs.execution.incremental.source_subset import SourceSubset
from jobs.execution.ledger import Entry, Ledger
from jobs.execution.publish import SupersededError, publish
from jobs.execution.run import Changes, Run
from jobs.execution.staging import Staging, begun_and_alive
from jobs.lake import ConflictError, Lake
from jobs.provenance import Provenance, Snapshot
from jobs.storage import LocalFolder
from tests.lakehouses import EFFECTIVENESS, reject, rows_of, week_of_prompts
from transforms.catalog import PROMPTS, QUARANTINE
from transforms.columns import instant
from transforms.table_diff import AUDIT_COLUMNS

EARLY = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
LATE = EARLY + timedelta(minutes=5)


def test_what_came_since_a_run_began_is_built_upon_only_where_it_is_known(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(EFFECTIVENESS))
    since = lake.version(EFFECTIVENESS)

    def write(week: int, version: int, watermark: int | None = None) -> Changes:
        start, end = (datetime(2025, 9, 1, tzinfo=timezone.utc) + timedelta(weeks=week + n) for n in (0, 1))
        rows = week_of_prompts(spark, start, id=f"{week} {version}")
        span = (start.isoformat(), end.isoformat())
        made_from = Provenance(f"run {week} {version}", "job", EARLY, span, {PROMPTS: version})
        from_there = None if watermark is None else Snapshot({PROMPTS: watermark}, EARLY)
        return publish(lake, rows, EARLY, made_from, since, from_there)

    assert write(week=1, version=5).new == 1
    spark.sql(f"OPTIMIZE {EFFECTIVENESS}")
    with pytest.raises(SupersededError, match="from newer sources in the meantime"):
        write(week=1, version=4)
    assert write(week=2, version=4).new == 1
    assert write(week=3, version=7, watermark=4).new == 1
    with pytest.raises(SupersededError, match="from older sources in the meantime"):
        write(week=4, version=7, watermark=5)  # which may have found the second week as it was before it was written
    spark.sql(f"DELETE FROM {EFFECTIVENESS} WHERE id = '1 5'")
    with pytest.raises(SupersededError, match="was changed manually in the meantime"):
        write(week=4, version=9)


@pytest.mark.long
def test_an_incremental_run_leaves_the_watermark_where_another_has_published_since_it_began(
    spark: SparkSession, tmp_path: Path
) -> None:
    """It has not looked for what the sources took back of that, whether their versions were older or newer than its."""
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(EFFECTIVENESS))
    begun = Snapshot({PROMPTS: 4}, EARLY)

    def write(week: int, version: int, *, is_incremental: bool, since: int) -> None:
        start = datetime(2025, 9, 1, tzinfo=timezone.utc) + timedelta(weeks=week)
        span = (start.isoformat(), (start + timedelta(weeks=1)).isoformat())
        watermark = Snapshot({PROMPTS: version}, EARLY) if is_incremental else begun
        made_from = Provenance(f"run {week}", "job", EARLY, span, {PROMPTS: version}, watermark)
        publish(lake, week_of_prompts(spark, start, id=f"{week}"), EARLY, made_from, since, begun)

    def watermarks() -> list[int]:
        found = [commit.provenance.watermark for commit in lake.commits(EFFECTIVENESS) if commit.provenance]
        return [watermark.versions[PROMPTS] for watermark in found if watermark]

    write(1, 6, is_incremental=True, since=0)
    assert watermarks() == [6]
    for week, version in ((2, 5), (3, 7)):
        since = lake.version(EFFECTIVENESS)
        write(week, version, is_incremental=False, since=since)
        write(week + 10, 6, is_incremental=True, since=since)
        assert watermarks()[0] == 4
    since = lake.version(EFFECTIVENESS)
    write(4, 6, is_incremental=False, since=since)
    write(14, 6, is_incremental=True, since=since)
    assert watermarks()[0] == 6


def test_a_table_that_is_dropped_under_a_run_is_not_written(spark: SparkSession, tmp_path: Path) -> None:
    lake, week = Lake(spark, LocalFolder(tmp_path)), datetime(2025, 9, 1, tzinfo=timezone.utc)
    lake.create_missing(contract_of(EFFECTIVENESS))
    spark.sql(f"OPTIMIZE {EFFECTIVENESS}")
    made_from = Provenance("run", "job", EARLY, (week.isoformat(), week.isoformat()), {})
    publish(lake, week_of_prompts(spark, week, id="before"), EARLY, made_from, 0)
    since = lake.version(EFFECTIVENESS)
    lake.drop(EFFECTIVENESS)
    lake.create_missing(contract_of(EFFECTIVENESS))
    with pytest.raises(SupersededError, match="was dropped or recreated in the meantime"):
        publish(lake, week_of_prompts(spark, week, id="after"), EARLY, made_from, since)
    assert rows_of(tmp_path, EFFECTIVENESS) == []


def overwrite_week(lake: Lake, name: str, on_top_of: list[Commit]) -> None:
    """Overwrites a week of prompts with one row of this `id`, as a run of this name."""
    week = datetime(2025, 9, 1, tzinfo=timezone.utc)
    replacement = week_of_prompts(lake.spark, week, id=name)
    columns = contract_of(EFFECTIVENESS).column_names
    stamped = {name: instant(EARLY) for name in columns if name in AUDIT_COLUMNS}
    rows = replacement.rows.withColumns(stamped).select(*columns)
    made_from = Provenance(name, "job", EARLY, (week.isoformat(), week.isoformat()), {})
    lake.overwrite(EFFECTIVENESS, rows, replacement.covered, made_from, on_top_of)


def test_of_two_runs_that_compared_with_the_same_rows_only_one_commits(spark: SparkSession, tmp_path: Path) -> None:
    """Also where their versions differ, because a commit came between that changed no row."""
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(EFFECTIVENESS))
    overwrite_week(lake, "before", lake.commits(EFFECTIVENESS))
    one = lake.commits(EFFECTIVENESS)
    spark.sql(f"ALTER TABLE {EFFECTIVENESS} SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 40 days')")
    other = lake.commits(EFFECTIVENESS)
    overwrite_week(lake, "one", one)
    with pytest.raises(ConflictError):
        overwrite_week(lake, "other", other)
    assert [row["id"] for row in rows_of(tmp_path, EFFECTIVENESS)] == ["one"]
    overwrite_week(lake, "other", lake.commits(EFFECTIVENESS))
    assert [row["id"] for row in rows_of(tmp_path, EFFECTIVENESS)] == ["other"]


def test_a_deep_clone_that_took_over_transaction_numbers_can_be_written(spark: SparkSession, tmp_path: Path) -> None:
    """As Databricks makes one: version 0 of a table of another id, with the numbers that its source has seen."""
    (tmp_path / "original").mkdir()
    lake = Lake(spark, LocalFolder(tmp_path / "original"))
    lake.create_missing(contract_of(EFFECTIVENESS))
    for name in ("one", "two", "three"):
        overwrite_week(lake, name, lake.commits(EFFECTIVENESS))
    copied = Path(shutil.copytree(tmp_path / "original", tmp_path / "cloned")).joinpath(*EFFECTIVENESS.split("."))
    log = sorted((copied / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for file in log for line in file.read_text().splitlines()]
    last = {kind: action for action in actions for kind in action}
    last["metaData"]["metaData"]["id"] = str(uuid.uuid4())
    kept = [last[kind] for kind in ("protocol", "metaData", "txn", "add")]
    shutil.rmtree(copied / "_delta_log")
    (copied / "_delta_log").mkdir()
    log[0].write_text("".join(json.dumps(action) + "\n" for action in kept))

    clone = Lake(spark, LocalFolder(tmp_path / "cloned"))
    assert [row["id"] for row in rows_of(tmp_path / "cloned", EFFECTIVENESS)] == ["three"]
    overwrite_week(clone, "four", clone.commits(EFFECTIVENESS))
    assert [row["id"] for row in rows_of(tmp_path / "cloned", EFFECTIVENESS)] == ["four"]


def test_an_older_run_that_ends_later_takes_nothing_back(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))

    def run_ids() -> dict[str, tuple[str, str, str | None]]:
        rows = rows_of(tmp_path, QUARANTINE)
        return {row["row_key"]: (row["first_run_id"], row["last_run_id"], row["resolved_run_id"]) for row in rows}

    reject(lake, PROMPTS, ["mended"], "first", EARLY - timedelta(hours=1))
    reject(lake, PROMPTS, ["new"], "late", LATE)  # which finds the other row mended
    expected = {"mended": ("first", "first", "late"), "new": ("late", "late", None)}
    assert run_ids() == expected
    reject(lake, PROMPTS, ["mended"], "early", EARLY)  # which has read older sources
    assert run_ids() == expected
    reject(lake, PROMPTS, ["mended"], "latest", LATE + timedelta(minutes=5))
    assert run_ids() == {"mended": ("first", "latest", None), "new": ("late", "late", "latest")}


def test_rows_of_a_source_that_is_gone_are_resolved_by_a_run_that_reads_some_rows(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    reject(lake, PROMPTS, ["gone"], "first", EARLY)
    no_keys = spark.createDataFrame([], "source string, key_hash bigint")
    for rows, resolved in (({PROMPTS: no_keys}, None), ({}, "later")):
        reject(lake, PROMPTS, [], "later", LATE, subset=SourceSubset(rows, no_keys, ()))
        assert [row["resolved_run_id"] for row in rows_of(tmp_path, QUARANTINE)] == [resolved]


def test_a_row_that_changes_and_stays_rejected_keeps_the_run_that_met_it_first(
    spark: SparkSession, tmp_path: Path
) -> None:
    """A superseded copy is another one once it has changed, as is a row without a key; others may come and go."""
    lake, copy = Lake(spark, LocalFolder(tmp_path)), "duplicate_key"
    reasons = ["missing_time", copy, copy, "missing_key"]
    reject(lake, PROMPTS, ["one", "copied", "copied", None], "first", EARLY, ["1", "1", "2", "1"], reasons)
    reasons = ["missing_time", copy, copy, copy, "missing_key"]
    reject(lake, PROMPTS, ["one", *["copied"] * 3, None], "last", LATE, ["2", "0", "1", "3", "2"], reasons)
    names = ("row_key", "row_json", "first_run_id", "last_run_id", "resolved_run_id")
    assert {tuple(row[name] for name in names) for row in rows_of(tmp_path, QUARANTINE)} == {
        ("one", "2", "first", "last", None),
        ("copied", "0", "last", "last", None),
        ("copied", "1", "first", "last", None),
        ("copied", "2", "first", "first", "last"),
        ("copied", "3", "last", "last", None),
        (None, "1", "first", "first", "last"),
        (None, "2", "last", "last", None),
    }


def test_a_run_that_fails_leaves_the_ledgers_row_of_one_that_began_later(spark: SparkSession, tmp_path: Path) -> None:
    ledger = Ledger(Lake(spark, LocalFolder(tmp_path)))
    ledger.prepare()
    early, late = (Entry("job", EARLY, begun) for begun in (EARLY, LATE))
    ledger.begin(early)
    created_at = ledger.begin(late)
    assert created_at == EARLY
    ledger.record(late, "succeeded", created_at, rows=3)
    assert ledger.begin(early) is None
    ledger.end(early, "failed", error="It was too slow.")
    (row,) = rows_of(tmp_path, "users.analytics_job_metadata")
    assert (row["status"], row["last_run"], row["records_processed"]) == ("succeeded", LATE, 3)
    ledger.end(Entry("job", EARLY, LATE + timedelta(minutes=5)), "failed", error="It was wrong.")
    (row,) = rows_of(tmp_path, "users.analytics_job_metadata")
    assert (row["status"], row["created_at"], row["error_message"]) == ("failed", EARLY, "It was wrong.")


def test_a_run_that_goes_on_is_not_taken_for_dead(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    ledger = Ledger(lake)
    ledger.prepare()
    begun = datetime.now(timezone.utc) - timedelta(minutes=20)
    dead = begun - timedelta(hours=1)
    for week, run_start in enumerate((begun, dead)):
        ledger.begin(Entry("job", EARLY + timedelta(weeks=week), run_start))
    with Staging(lake, Run("run", "job", begun)) as staging:
        staging.write("rows", spark.range(1))
        now = datetime.now(timezone.utc)
        ledger.repair("job", now, begun_and_alive(lake, now), lambda run_start: False)
    rows = rows_of(tmp_path, "users.analytics_job_metadata")
    assert {row["last_run"]: row["status"] for row in rows} == {begun: "running", dead: "failed"}


def test_a_second_attempt_calls_nobody_dead(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(Lake(spark, LocalFolder(tmp_path)))
    ledger.prepare()
    for _ in range(2):
        ledger.begin(Entry("job", EARLY, EARLY))
    assert "died" not in "".join(capsys.readouterr())
    ledger.begin(Entry("job", EARLY, LATE))
    assert "the last run of this window died" in "".join(capsys.readouterr())


def test_what_a_superseded_attempt_began_the_last_one_settles(spark: SparkSession, tmp_path: Path) -> None:
    ledger = Ledger(Lake(spark, LocalFolder(tmp_path)))
    ledger.prepare()
    ledger.begin(Entry("job", EARLY, EARLY))
    ledger.settle("job", LATE)
    ledger.settle("another job", EARLY)
    (row,) = rows_of(tmp_path, "users.analytics_job_metadata")
    assert row["status"] == "running"
    ledger.settle("job", EARLY)
    (row,) = rows_of(tmp_path, "users.analytics_job_metadata")
    assert (row["status"], row["last_run"]) == ("succeeded", EARLY)
