"""`classwaves report` over a small lakehouse, and what it says where it cannot."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from expectations.contract import contract_of
from jobs.commands import cli
from jobs.errors import BrokenContractError, UsageError
from jobs.execution import run_log
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.report.contents import EVERYONE, Rows
from jobs.report.reader import TABLES, Reader
from jobs.storage import LocalFolder
from tests.delta_io import write_table
from tests.report.pages import Page
from transforms.catalog import (
    DASHBOARD_METRICS,
    PROMPT_EFFECTIVENESS,
    QUARANTINE,
    RUNS,
    TEACHER_SUMMARY_OF_USERS,
    VALIDATION_RESULTS,
)

NOW = datetime(2026, 6, 30, 12, tzinfo=timezone.utc)
EVENTS = "analytics.session_events"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


ROWS: dict[str, list[dict[str, Any]]] = {
    DASHBOARD_METRICS: [
        {"school_id": school, "metric_hour": moment(hour), "sessions_active": 1, "sessions_completed": 1}
        for school in ("north", "south")
        for hour in ("2026-05-01 00:00", "2026-06-15 23:00")
    ],
    TEACHER_SUMMARY_OF_USERS: [
        {"school_id": "north", "teacher_id": "t1", "summary_date": day, "total_sessions": 1, "avg_session_score": 50.0}
        for day in (date(2026, 6, 15), date(2030, 1, 1))
    ],
    PROMPT_EFFECTIVENESS: [
        {
            "prompt_category": "clarity", "subject_area": "math", "session_phase": "opening", "priority_level": "low",
            "total_generated": 1, "total_used": 1, "data_points": 0,
            "calculation_period_start": moment("2026-06-15"), "calculation_period_end": moment("2026-06-15") + length,
        }
        for length in (timedelta(7), timedelta(1))
    ],
    QUARANTINE: [{"source_table": f"classwaves.{EVENTS}", "reason": "missing_key", "last_seen_at": NOW}],
    VALIDATION_RESULTS: [
        {
            "run_id": "r", "job_name": "j", "checked_at": NOW, "check_kind": "drift", "severity": "warning",
            "success": True,
        }
    ],
    RUNS: [
        {
            "run_id": "r", "job_name": "j", "status": "succeeded", "run_start": NOW, "run_end": NOW,
            "source_versions": f'{{"{EVENTS}": 0}}',
        }
    ],
    EVENTS: [
        {"id": str(number), "event_time": when}
        for number, when in enumerate((moment("2026-06-29 12:00"), moment("2026-06-28 12:00"), moment("2999-01-01")))
    ],
}  # fmt: skip


def dicts(table: Rows) -> list[dict[str, Any]]:
    """The rows of a small table by column name."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(spark, LocalFolder(tmp_path_factory.mktemp("report") / "."))
    for table, given in ROWS.items():
        contract = contract_of(table)
        schema = contract.spark_schema
        rows = [tuple(row.get(name) for name in contract.column_names) for row in given]
        lake.overwrite_all(contract, spark.createDataFrame(rows, schema))
    return lake


def folder_of(lake: Lake) -> Path:
    assert isinstance(lake.storage, LocalFolder)
    return lake.storage.folder


def test_a_report_ends_with_the_last_date_that_has_an_hour_and_begins_with_the_first(lake):
    made = Reader(lake, NOW).report()
    assert (made.span.first, made.span.last) == (date(2026, 5, 1), date(2026, 6, 15))
    assert [(row["scope"], row["sessions_completed"]) for row in dicts(made.totals)] == [
        (EVERYONE, 4),
        ("north", 2),
        ("south", 2),
    ]
    assert [row["start"] for row in dicts(made.teacher_weeks)] == [date(2026, 6, 15)]
    assert made.period == "week"
    assert [row["generated"] for row in dicts(made.prompt_periods)] == [1]
    assert len(made.prompts.rows) == 4


def test_freshness_is_the_age_of_the_newest_row_that_is_not_in_the_future(lake):
    (row,) = dicts(Reader(lake, NOW).report().freshness)
    assert row["source"] == EVENTS
    assert row["newest"] == moment("2026-06-29 12:00").timestamp() * 1000
    assert row["in_future"] == 1
    assert row["commits_behind"] == row["version"] > 0


def with_runs(lake: Lake, spark: SparkSession, tmp_path: Path, rows: list[dict[str, Any]], without: str = "") -> Lake:
    """A copy of the lake with these rows in its log of runs, and that table without one of its columns."""
    folder, table = Path(shutil.copytree(folder_of(lake), tmp_path / "lake")), RUNS
    shutil.rmtree(folder.joinpath(*table.split(".")))
    types = [[column.name, column.type] for column in contract_of(table).columns if column.name != without]
    write_table(folder, table, rows, {table: types})
    return Lake(spark, LocalFolder(folder))


def test_no_run_has_read_a_source_that_was_recreated(lake, spark, tmp_path):
    (run,) = ROWS[RUNS]
    of_another = run | {"source_commits": f'{{"{EVENTS}": "of another table"}}'}
    (row,) = dicts(Reader(with_runs(lake, spark, tmp_path, [of_another]), NOW).report().freshness)
    assert (row["version_read"], row["commits_behind"]) == (None, None)


def test_a_table_of_an_older_release_is_named_with_what_adds_its_column(lake, spark, tmp_path):
    old = with_runs(lake, spark, tmp_path, [], without="source_commits")
    for use in (
        lambda: Reader(old, NOW),
        lambda: run_log.successful_runs(old, "j", (NOW, NOW), Snapshot({}, NOW)),
        lambda: run_log.last_incremental(old, "j"),
    ):
        with pytest.raises(BrokenContractError) as raised:
            use()
        assert str(raised.value) == (
            f"The table {RUNS} breaks its contract: column source_commits is absent; "
            f"`classwaves add-columns {RUNS}` adds what is absent."
        )


def test_one_school_in_a_range_of_dates(lake):
    made = Reader(lake, NOW).report(date(2026, 6, 1), date(2026, 6, 15), "south")
    assert [(row["scope"], row["sessions_completed"]) for row in dicts(made.totals)] == [("south", 1)]
    assert made.teacher_weeks.rows == made.weeks.rows == []


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"school": "nort"}, "There is no school nort: did you mean north?"),
        ({"school": "zzz"}, "There is no school zzz: none of the 2 schools has such an id."),
        ({"first": date(2026, 6, 16)}, "The report would end on 2026-06-15 (--to), before it begins on 2026-06-16"),
        ({"first": date(2020, 1, 1), "last": date(2020, 1, 2), "school": "north"}, "has no hours of school north from"),
    ],
)
def test_what_there_is_not_is_said_in_one_sentence(lake, asked, sentence):
    with pytest.raises(UsageError) as raised:
        Reader(lake, NOW).report(**asked)
    assert sentence in str(raised.value)


def test_missing_tables_are_named_with_the_jobs_that_make_them(spark, tmp_path):
    with pytest.raises(UsageError) as raised:
        Reader(Lake(spark, LocalFolder(tmp_path)), NOW)
    assert all(table in str(raised.value) for table in TABLES)
    assert "run dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness first" in str(
        raised.value
    )


def test_the_command_writes_the_page(lake, tmp_path):
    out = tmp_path / "report.html"
    done = CliRunner().invoke(
        cli.app, ["report", "--lakehouse", str(folder_of(lake)), "--out", str(out), "--school", "north"]
    )
    assert done.exit_code == 0, done.output
    assert set(Page(out.read_text(encoding="utf-8")).data["parts"]) == {"north"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--from", "yesterday"], "--from is not an ISO 8601 date: 'yesterday'."),
        (["--to", "9999-12-31"], "--to must be from 1900-01-01 to 9999-01-01: '9999-12-31'."),
        (["--out", "nowhere/report.html"], "The folder nowhere of --out does not exist."),
        (["--out", "/"], "The path / of --out is a folder: name a file in it."),
    ],
)
def test_a_wrong_call_is_refused_before_spark_starts(monkeypatch, options, sentence):
    monkeypatch.setattr(cli, "open_lake", lambda *_, **__: pytest.fail("Spark would start"))
    done = CliRunner().invoke(cli.app, ["report", "--lakehouse", "x", "--out", "report.html", *options])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == sentence
