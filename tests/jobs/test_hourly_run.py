"""Whole runs of the hourly rollup over lakehouses that delta-rs wrote."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs import dashboard_metrics_hourly as job
from jobs.commands import cli
from jobs.commits import Commit
from jobs.errors import GateRefusedError
from jobs.execution.publish import Replacement, publish
from jobs.execution.run import Outcome
from jobs.lake import MAX_COMMITS, ConflictError, Lake
from jobs.provenance import Provenance
from jobs.storage import LocalFolder
from tests.delta_io import read_lake, write_lake, write_table
from tests.example import expected_rejections, expected_rows
from tests.lakehouses import (
    HOURLY,
    HOURLY_OF_USERS,
    copy_of_example,
    differences,
    rows_of,
    run,
    value_columns,
    version_of,
)
from tests.messy_lakehouse import messy_tables
from tests.oracle import common, hourly
from transforms.catalog import PROMPTS
from transforms.table_diff import AUDIT_COLUMNS

WINDOW = ("2025-10-20", "2025-11-17")


@pytest.fixture(scope="module")
def first_run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    lakehouse = copy_of_example(tmp_path_factory.mktemp("example") / "lake")
    return lakehouse, run(spark, lakehouse, job.JOB, *WINDOW)


@pytest.fixture(scope="module")
def second_run(spark: SparkSession, first_run: tuple[Path, Outcome]) -> tuple[dict[str, int], Outcome]:
    lakehouse, _ = first_run
    before = {table: version_of(lakehouse, table) for table in (HOURLY, HOURLY_OF_USERS)}
    return before, run(spark, lakehouse, job.JOB, *WINDOW)


def test_both_tables_equal_the_example(first_run: tuple[Path, Outcome]) -> None:
    lakehouse, _ = first_run
    for table in (HOURLY, HOURLY_OF_USERS):
        wanted = expected_rows("dashboard_metrics_hourly")
        assert differences(rows_of(lakehouse, table), wanted, value_columns(table)) == []


def test_stamps_are_the_start_of_the_run(first_run: tuple[Path, Outcome]) -> None:
    lakehouse, outcome = first_run
    stamps = {(row["calculated_at"], row["created_at"]) for row in rows_of(lakehouse, HOURLY)}
    assert stamps == {(outcome.run.run_start, outcome.run.run_start)}


def test_the_quarantine_counts_what_the_example_rejects(first_run: tuple[Path, Outcome]) -> None:
    lakehouse, _ = first_run
    counts = Counter((row["source_table"], row["reason"]) for row in rows_of(lakehouse, "quality.quarantine"))
    assert counts == {
        (f"classwaves.{source}", reason): count
        for source, reasons in expected_rejections().items()
        for reason, count in reasons.items()
    }


def test_the_quarantine_holds_no_personal_column(first_run: tuple[Path, Outcome]) -> None:
    lakehouse, _ = first_run
    for row in rows_of(lakehouse, "quality.quarantine"):
        contract = contract_of(row["source_table"].removeprefix("classwaves."))
        assert set(json.loads(row["row_json"])) <= set(contract.public_columns)


def test_no_text_of_a_pupil_is_in_anything_that_a_run_leaves(first_run: tuple[Path, Outcome]) -> None:
    lakehouse, outcome = first_run
    tables = read_lake(lakehouse)
    personal = {
        str(row[column.name])
        for source, rows in tables.items()
        if source in job.ROLLUP.sources
        for row in rows
        for column in contract_of(source).columns
        if column.personal and column.type == "string" and len(str(row[column.name] or "")) > 5
    } - {"string"}
    left = json.dumps([tables["quality.quarantine"], tables["quality.validation_results"]], default=str)
    assert outcome.data_docs is not None
    pages = "".join(page.read_text(encoding="utf-8") for page in outcome.data_docs.parent.glob("*.html"))
    assert len(personal) > 100
    assert [text for text in personal if text in left or text in pages] == []


def test_data_docs_show_both_suites(first_run: tuple[Path, Outcome]) -> None:
    _, outcome = first_run
    assert outcome.data_docs is not None
    assert {page.name for page in outcome.data_docs.parent.iterdir()} == {
        f"{HOURLY}.html",
        f"{HOURLY}.reconciliation.html",
    }
    assert "ready_groups" in outcome.data_docs.read_text(encoding="utf-8")


def test_the_commit_says_what_it_was_made_from(first_run: tuple[Path, Outcome]) -> None:
    lakehouse, outcome = first_run
    log = sorted(lakehouse.joinpath("analytics", "dashboard_metrics_hourly", "_delta_log").glob("*.json"))
    commits = [json.loads(line) for path in log for line in path.read_text(encoding="utf-8").splitlines()]
    provenances = [
        json.loads(c["commitInfo"]["userMetadata"]) for c in commits if "userMetadata" in c.get("commitInfo", {})
    ]
    assert provenances[0]["run_id"] == outcome.run.run_id
    assert provenances[0]["window"] == ["2025-10-20T00:00:00+00:00", "2025-11-17T00:00:00+00:00"]
    assert provenances[0]["source_versions"]["sessions.transcriptions"] == 0


def test_the_ledger_has_one_row_for_both_runs(
    first_run: tuple[Path, Outcome], second_run: tuple[dict[str, int], Outcome]
) -> None:
    lakehouse, outcome = first_run
    (row,) = rows_of(lakehouse, "users.analytics_job_metadata")
    assert (row["job_name"], row["status"], row["records_processed"]) == ("dashboard_metrics_hourly", "succeeded", 328)
    assert row["processing_period"] == datetime(2025, 10, 20, tzinfo=timezone.utc)
    assert row["created_at"] == outcome.run.run_start
    assert row["last_run"] == second_run[1].run.run_start


def test_a_rerun_commits_nothing_and_adds_nothing_to_the_quarantine(
    first_run: tuple[Path, Outcome], second_run: tuple[dict[str, int], Outcome]
) -> None:
    lakehouse, first = first_run
    before, second = second_run
    assert second.is_unchanged
    assert {table: version_of(lakehouse, table) for table in before} == before
    quarantined = rows_of(lakehouse, "quality.quarantine")
    assert len(quarantined) == sum(sum(reasons.values()) for reasons in expected_rejections().values())
    assert {(row["first_run_id"], row["last_run_id"]) for row in quarantined} == {(first.run.run_id, second.run.run_id)}


def test_no_staging_table_outlives_its_run(
    first_run: tuple[Path, Outcome], second_run: tuple[dict[str, int], Outcome]
) -> None:
    lakehouse, _ = first_run
    assert {path.name for path in (lakehouse / "quality").iterdir()} == {"quarantine", "runs", "validation_results"}


def test_a_commit_on_top_of_anothers_is_noticed(
    spark: SparkSession, first_run: tuple[Path, Outcome], second_run: tuple[dict[str, int], Outcome]
) -> None:
    """Two runs compare with the same version; Delta skips the second commit silently, the fence tells."""
    lakehouse, _ = first_run
    lake = Lake(spark, LocalFolder(lakehouse))
    lake.register([HOURLY])
    contract, condition = contract_of(HOURLY), "metric_hour < TIMESTAMP '2025-10-28 00:00:00+00:00'"
    version = lake.version(HOURLY)
    staged = lake.read(HOURLY, version).where(condition)
    stale = staged.withColumn("total_errors", F.col("total_errors") + 1)

    class Behind(Lake):
        """Looks at the history before the last commit is there, and after that sees it."""

        looks = 0

        def commits(self, table: str, limit: int | None = MAX_COMMITS) -> list[Commit]:
            self.looks += 1
            return [c for c in super().commits(table, limit) if c.version < version or self.looks > 1]

        def retry_on_conflict(self, table: str, write: Callable[[], None]) -> None:
            write()

    now = datetime.now(timezone.utc)
    behind, late = Behind(spark, LocalFolder(lakehouse)), Provenance("late", "x", now, ("2025", "2026"), {})
    with pytest.raises(ConflictError, match="Another run wrote analytics"):
        publish(
            behind,
            Replacement(contract, stale.drop(*AUDIT_COLUMNS), condition, "true"),
            now,
            late,
            version - 1,
        )
    assert lake.version(HOURLY) == version


@pytest.fixture(scope="module")
def late_run(
    spark: SparkSession, first_run: tuple[Path, Outcome], second_run: tuple[dict[str, int], Outcome]
) -> tuple[dict[str, Any], list[dict[str, Any]], Outcome]:
    """A prompt arrives late in an hour that is published, and the session that orphans were waiting for."""
    lakehouse, _ = first_run
    published = rows_of(lakehouse, HOURLY)
    touched = min(published, key=lambda row: (row["metric_hour"], row["school_id"]))
    sources = read_lake(lakehouse)
    sessions = common.usable(sources)["sessions.classroom_sessions"]
    session = next(row for row in sessions if row["school_id"] == touched["school_id"])
    late = {"id": "late", "session_id": session["id"], "generated_at": touched["metric_hour"] + timedelta(minutes=5)}
    write_table(lakehouse, PROMPTS, [late], mode="append")
    known = {row["id"] for row in sessions}
    waited_for = {row["session_id"] for row in sources["sessions.transcriptions"]} - known - {None}
    write_table(lakehouse, "sessions.classroom_sessions", [{"id": name} for name in waited_for], mode="append")
    return touched, published, run(spark, lakehouse, job.JOB, *WINDOW)


def test_a_late_row_changes_the_one_hour_that_it_touches(
    first_run: tuple[Path, Outcome], late_run: tuple[dict[str, Any], list[dict[str, Any]], Outcome]
) -> None:
    lakehouse, first = first_run
    touched, published, outcome = late_run
    before = {row["id"]: row for row in published}
    after = {row["id"]: row for row in rows_of(lakehouse, HOURLY)}
    assert [key for key in after if after[key] != before[key]] == [touched["id"]]
    changed = after[touched["id"]]
    assert changed["total_prompts_generated"] == touched["total_prompts_generated"] + 1
    assert changed["data_sources_count"] == touched["data_sources_count"] + 1
    assert (changed["created_at"], changed["calculated_at"]) == (first.run.run_start, outcome.run.run_start)


def test_a_row_whose_session_arrived_is_resolved(
    first_run: tuple[Path, Outcome], late_run: tuple[dict[str, Any], list[dict[str, Any]], Outcome]
) -> None:
    lakehouse, _ = first_run
    orphans = [row for row in rows_of(lakehouse, "quality.quarantine") if row["reason"] == "orphan_session"]
    assert {row["resolved_run_id"] for row in orphans} == {late_run[2].run.run_id}
    others = [row for row in rows_of(lakehouse, "quality.quarantine") if row["reason"] != "orphan_session"]
    assert {row["resolved_run_id"] for row in others} == {None}


def test_a_refused_run_leaves_the_tables_as_they_were(
    spark: SparkSession, first_run: tuple[Path, Outcome], late_run: tuple[dict[str, Any], list[dict[str, Any]], Outcome]
) -> None:
    lakehouse, _ = first_run
    for table in ("sessions.classroom_sessions", "operational.api_metrics", "operational.system_events"):
        write_table(lakehouse, table, [])
    versions = {table: version_of(lakehouse, table) for table in (HOURLY, HOURLY_OF_USERS)}
    with pytest.raises(
        GateRefusedError, match=r"The gate refused .* expect_table_row_count_to_be_between on rows.* --allow-empty\.$"
    ):
        run(spark, lakehouse, job.JOB, *WINDOW)
    assert {table: version_of(lakehouse, table) for table in versions} == versions
    (entry,) = rows_of(lakehouse, "users.analytics_job_metadata")
    assert (entry["status"], entry["records_processed"]) == ("rejected", None)
    assert "expect_table_row_count_to_be_between" in entry["error_message"]


def test_publishing_no_rows_removes_those_of_the_window_alone(
    spark: SparkSession, first_run: tuple[Path, Outcome], late_run: tuple[dict[str, Any], list[dict[str, Any]], Outcome]
) -> None:
    lakehouse, _ = first_run
    lake = Lake(spark, LocalFolder(lakehouse))
    lake.register([HOURLY])
    contract = contract_of(HOURLY)
    inside = (
        "metric_hour >= TIMESTAMP '2025-10-30 00:00:00+00:00' AND metric_hour < TIMESTAMP '2025-10-31 00:00:00+00:00'"
    )
    kept = [row for row in rows_of(lakehouse, HOURLY) if row["metric_hour"].date().isoformat() != "2025-10-30"]
    nothing = lake.read(HOURLY, lake.version(HOURLY)).where("false").drop(*AUDIT_COLUMNS)
    now = datetime.now(timezone.utc)
    emptied = Replacement(contract, nothing, inside, "true")
    changes = publish(lake, emptied, now, Provenance("emptied", "x", now, ("2025", "2026"), {}), lake.version(HOURLY))
    assert changes.gone > 0
    assert sorted(r["id"] for r in rows_of(lakehouse, HOURLY)) == sorted(r["id"] for r in kept)


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.long), 2])
def test_messy_sessions_give_what_the_oracle_computes(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    tables = messy_tables(seed, sessions=200)
    write_lake(tmp_path, tables)
    start, end = ("2025-10-01", "2025-12-01") if seed == 1 else ("2025-10-20T13:00", "2025-11-03T07:00")
    run_start = datetime(2025, 11, 3, 5, 30, tzinfo=timezone.utc)
    outcome = run(spark, tmp_path, job.JOB, start, end, run_start=run_start)
    first, last = (datetime.fromisoformat(text).replace(tzinfo=timezone.utc) for text in (start, end))
    wanted = hourly.rows(tables, first, last, run_start)
    assert len(wanted) > 200
    assert differences(rows_of(tmp_path, HOURLY), wanted, value_columns(HOURLY)) == []
    assert outcome.changes[HOURLY].new == len(wanted)
    rejected = Counter((r["source_table"], r["reason"]) for r in rows_of(tmp_path, "quality.quarantine"))
    assert rejected == {
        (f"classwaves.{source}", reason): count
        for source, reasons in common.rejected(tables).items()
        if source in job.ROLLUP.sources
        for reason, count in reasons.items()
    }


def test_show_and_quarantine_print_what_there_is(
    first_run: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lakehouse, _ = first_run
    place = ["--lakehouse", str(lakehouse)]
    monkeypatch.setattr("sys.argv", ["classwaves", "show", HOURLY, *place, "--rows", "3", "--columns", "id,school_id"])
    cli.main()
    shown = capsys.readouterr().out
    newest = max(row["metric_hour"] for row in rows_of(lakehouse, HOURLY))
    ids = {row["id"] for row in rows_of(lakehouse, HOURLY) if row["metric_hour"] == newest}
    assert sum(shown.count(row["id"]) for row in rows_of(lakehouse, HOURLY)) == 3
    assert any(row_id in shown for row_id in ids)
    shown_runs = ["classwaves", "show", "quality.runs", *place, "--rows", "1", "--json"]
    monkeypatch.setattr("sys.argv", shown_runs)
    cli.main()
    (last,) = json.loads(capsys.readouterr().out)
    assert last["run_id"] == max(rows_of(lakehouse, "quality.runs"), key=lambda row: row["run_end"])["run_id"]
    monkeypatch.setattr("sys.argv", ["classwaves", "quarantine", *place])
    cli.main()
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "unknown_event_type" in line]
    assert [cell.strip() for cell in lines[0][1:4]] == ["analytics.session_events", "unknown_event_type", "7"]
