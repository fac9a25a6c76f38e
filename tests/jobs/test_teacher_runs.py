"""Whole runs of the daily summary and of prompt effectiveness over lakehouses that delta-rs wrote."""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs import teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.execution.run import Outcome
from tests.conftest import Table
from tests.delta_io import write_lake
from tests.example import expected_rows
from tests.lakehouses import (
    DAILY,
    DAILY_OF_USERS,
    EFFECTIVENESS,
    copy_of_example,
    differences,
    rows_of,
    run,
    value_columns,
    version_of,
)
from tests.messy_lakehouse import messy_tables
from tests.oracle import daily, prompts
from transforms.catalog import PROMPTS, TEACHERS
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.table_diff import AUDIT_COLUMNS

Row = dict[str, Any]

SUMMARY_JOB, EFFECTIVENESS_JOB = teacher_analytics_summary.JOB, teacher_prompt_effectiveness.JOB
WINDOW = ("2025-10-20", "2025-11-17")


def with_tables_read(rows: list[Row]) -> list[Row]:
    """The rows with `source_tables` as the list that its JSON text holds."""
    return [row | {"source_tables": json.loads(row["source_tables"])} for row in rows if "source_tables" in row] or rows


@pytest.fixture(scope="module")
def example(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """The example after one run of each job."""
    lakehouse = copy_of_example(tmp_path_factory.mktemp("example") / "lake")
    outcomes = {job.name: run(spark, lakehouse, job, *WINDOW) for job in (SUMMARY_JOB, EFFECTIVENESS_JOB)}
    return lakehouse, outcomes


@pytest.mark.parametrize("table", [DAILY, DAILY_OF_USERS, EFFECTIVENESS])
def test_each_table_equals_the_example(example: tuple[Path, dict[str, Outcome]], table: str) -> None:
    found = with_tables_read(rows_of(example[0], table))
    assert len(found) > 50
    assert differences(found, expected_rows(table.split(".")[1]), value_columns(table)) == []


def test_all_stamps_are_the_start_of_the_run(example: tuple[Path, dict[str, Outcome]]) -> None:
    lakehouse, outcomes = example
    for table, job in ((DAILY, SUMMARY_JOB), (DAILY_OF_USERS, SUMMARY_JOB), (EFFECTIVENESS, EFFECTIVENESS_JOB)):
        stamps = [name for name in contract_of(table).column_names if name in AUDIT_COLUMNS]
        assert len(stamps) >= 2
        assert {row[name] for row in rows_of(lakehouse, table) for name in stamps} == {outcomes[job.name].run.run_start}


def test_both_summaries_are_gated_against_each_other(example: tuple[Path, dict[str, Outcome]]) -> None:
    lakehouse, outcomes = example
    results = [
        row
        for row in rows_of(lakehouse, "quality.validation_results")
        if row["run_id"] == outcomes[SUMMARY_JOB.name].run.run_id and row["subject"] == f"rows_unlike_{DAILY_OF_USERS}"
    ]
    assert [(row["check_kind"], row["success"]) for row in results] == [("reconciliation", True)] * 2


@pytest.fixture(scope="module")
def again(spark: SparkSession, example: tuple[Path, dict[str, Outcome]]) -> tuple[dict[str, int], list[Outcome]]:
    """The tables' versions before a second run of each job, and what it did."""
    lakehouse, _ = example
    before = {table: version_of(lakehouse, table) for table in (DAILY, DAILY_OF_USERS, EFFECTIVENESS)}
    return before, [run(spark, lakehouse, job, *WINDOW) for job in (SUMMARY_JOB, EFFECTIVENESS_JOB)]


@pytest.mark.long
def test_a_rerun_commits_nothing(
    example: tuple[Path, dict[str, Outcome]], again: tuple[dict[str, int], list[Outcome]]
) -> None:
    before, outcomes = again
    assert all(outcome.is_unchanged for outcome in outcomes)
    assert {table: version_of(example[0], table) for table in before} == before


@pytest.fixture(scope="module")
def lengths(spark: SparkSession, example: tuple[Path, dict[str, Outcome]]) -> list[Row]:
    """The rows of prompt effectiveness before its run by day over the same dates."""
    lakehouse, _ = example
    before = rows_of(lakehouse, EFFECTIVENESS)
    run(spark, lakehouse, EFFECTIVENESS_JOB, *WINDOW, period="day")
    return before


def test_periods_of_different_lengths_live_side_by_side(
    example: tuple[Path, dict[str, Outcome]], lengths: list[Row]
) -> None:
    rows = rows_of(example[0], EFFECTIVENESS)
    days = [row for row in rows if row["calculation_period_end"] - row["calculation_period_start"] == timedelta(days=1)]
    weeks = [
        row for row in rows if row["calculation_period_end"] - row["calculation_period_start"] == timedelta(days=7)
    ]
    # Weeks are as they were, stamps too, though each begins on a day.
    assert sorted(weeks, key=lambda row: row["id"]) == sorted(lengths, key=lambda row: row["id"])
    assert len(days) + len(weeks) == len(rows)
    assert sum(row["total_generated"] for row in days) == sum(row["total_generated"] for row in lengths)


def test_the_ledger_has_a_row_for_each_length(example: tuple[Path, dict[str, Outcome]], lengths: list[Row]) -> None:
    entries = {row["job_name"]: row for row in rows_of(example[0], "users.analytics_job_metadata")}
    assert set(entries) == {SUMMARY_JOB.name, f"{EFFECTIVENESS_JOB.name}.day", f"{EFFECTIVENESS_JOB.name}.week"}
    assert {entry["status"] for entry in entries.values()} == {"succeeded"}
    assert {entry["processing_period"] for entry in entries.values()} == {datetime(2025, 10, 20, tzinfo=timezone.utc)}
    assert entries[SUMMARY_JOB.name]["records_processed"] == 52
    assert entries[f"{EFFECTIVENESS_JOB.name}.week"]["records_processed"] == len(lengths)


MESSY_DATES = (date(2025, 10, 24), date(2025, 11, 5))
"""Both days of the clock changes of Europe and of North America, and the weeks' ends between them."""


@pytest.fixture(scope="module")
def messy(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Row]]]:
    lakehouse, tables = tmp_path_factory.mktemp("messy"), messy_tables(3, sessions=200)
    write_lake(lakehouse, tables)
    run(spark, lakehouse, SUMMARY_JOB, *(day.isoformat() for day in MESSY_DATES))
    run(spark, lakehouse, EFFECTIVENESS_JOB, *(day.isoformat() for day in MESSY_DATES), period="month")
    return lakehouse, tables


def test_messy_sessions_give_the_summaries_that_the_oracle_computes(messy: tuple[Path, dict[str, list[Row]]]) -> None:
    lakehouse, tables = messy
    wanted = daily.rows(tables, *MESSY_DATES)
    zones = {row["timezone"] for row in tables["users.teachers"]}
    teachers = {row["teacher_id"] for row in wanted}
    assert {"Pacific/Kiritimati", "Pacific/Apia", "Pacific/Honolulu", "Asia/Kolkata", "Australia/Lord_Howe"} <= zones
    assert len(teachers) > 12
    assert {row["summary_date"] for row in wanted} >= {date(2025, 10, 26), date(2025, 11, 2)}
    for table in (DAILY, DAILY_OF_USERS):
        assert differences(with_tables_read(rows_of(lakehouse, table)), wanted, value_columns(table)) == []


def test_messy_prompts_give_the_months_that_the_oracle_computes(messy: tuple[Path, dict[str, list[Row]]]) -> None:
    lakehouse, tables = messy
    wanted = prompts.rows(tables, *MESSY_DATES, "month")
    assert len(wanted) > 50
    assert differences(rows_of(lakehouse, EFFECTIVENESS), wanted, value_columns(EFFECTIVENESS)) == []


@pytest.mark.long
def test_dates_one_by_one_and_backwards_are_the_same_rows(
    spark: SparkSession, messy: tuple[Path, dict[str, list[Row]]], tmp_path: Path
) -> None:
    """The trend of a date comes from the sources: what is published of the dates before it does not matter."""
    whole, _ = messy
    lakehouse = tmp_path / "backwards"
    shutil.copytree(whole, lakehouse, ignore=shutil.ignore_patterns("teacher_analytics_summary", "quality"))
    dates = ("2025-10-25", "2025-10-26", "2025-10-27")
    for first, end in ((dates[1], dates[2]), (dates[0], dates[1])):
        run(spark, lakehouse, SUMMARY_JOB, first, end)
    for table in (DAILY, DAILY_OF_USERS):
        wanted = [row for row in rows_of(whole, table) if row["summary_date"].isoformat() in dates[:2]]
        assert len(wanted) >= 5
        assert differences(rows_of(lakehouse, table), wanted, value_columns(table)) == []


def test_facts_of_a_teacher_who_is_not_known_may_have_counted_on_the_dates_around(table: Table) -> None:
    """The teacher's row may have been deleted, and with it the zone in which they were published."""
    sessions = table("""
        session_id string | teacher_id string | start timestamp
        s1                | gone              | 2025-10-02 00:30:00
        s2                | known             | 2025-10-20 00:30:00
        s3                | gone              | null
        s4                | null              | 2025-10-20 00:30:00
    """)
    generated = table("""
        session_id string | teacher_id string | generated_at timestamp
        s3                | null              | 2025-10-09 12:00:00
        s4                | known             | 2025-10-20 12:00:00
    """)
    usable = {PROMPTS: generated, TEACHERS: table("id string\nknown")}
    inputs = RollupInputs(sessions, usable, datetime(2025, 11, 1, tzinfo=timezone.utc), MetricSettings())
    also_affected = teacher_analytics_summary.ROLLUP.also_affected
    assert also_affected is not None
    found = [row["summary_date"] for row in also_affected(inputs).collect()]
    assert sorted(found) == [date(2025, 10, day) for day in (1, 2, 3, 8, 9, 10)]
