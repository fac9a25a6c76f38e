"""The benchmarks' references and lakehouse: that they do not rot. How long anything takes is no test's business."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from benchmarks import comparison, plots, tables
from benchmarks.event_log import read_event_log
from benchmarks.lakehouse import write_lakehouse
from benchmarks.new_hour import moved
from benchmarks.references import duckdb_reference, spark_reference
from jobs import dashboard_metrics_hourly
from jobs.registry import JOBS
from tests.conftest import Table
from tests.delta_io import load_schemas, write_table
from tests.example import EXAMPLE, expected_rows
from tests.lakehouses import HOURLY, HOURLY_OF_USERS, copy_of_example, differences, run
from tests.transforms.assertions import assert_rows


def rows_in(files: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM read_parquet('{files}')")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def assert_has_the_example(found: list[dict[str, Any]], job: str) -> None:
    wanted = expected_rows(job)
    in_window = {row["id"] for row in wanted}
    for row in found:
        if "source_tables" in row:
            row["source_tables"] = json.loads(row["source_tables"])
    # The reference writes moments without a zone; they are part of the key, and so of the id.
    columns = [name for name, value in wanted[0].items() if not isinstance(value, datetime)]
    assert differences([row for row in found if row["id"] in in_window], wanted, columns) == []


@pytest.mark.parametrize("job", JOBS)
def test_duckdb_has_the_rows_of_the_example(tmp_path: Path, job: str) -> None:
    duckdb_reference.compute(job, EXAMPLE / "lake", tmp_path / "rows.parquet")
    assert_has_the_example(rows_in(tmp_path / "rows.parquet"), job)


@pytest.mark.long
def test_the_job_publishes_what_duckdb_finds(spark: SparkSession, tmp_path: Path) -> None:
    lakehouse, out = copy_of_example(tmp_path / "lake"), tmp_path / "rows.parquet"
    run(spark, lakehouse, dashboard_metrics_hourly.JOB)
    duckdb_reference.compute("dashboard_metrics_hourly", lakehouse, out)
    for table in (HOURLY, HOURLY_OF_USERS):
        assert comparison.differences(lakehouse, table, out) == []


@pytest.mark.long  # Spark plans the generator's expressions and a statement of forty joins longer than it computes them
def test_job_and_references_agree_on_a_generated_lakehouse(spark: SparkSession, tmp_path: Path) -> None:
    folder, out = tmp_path / "lake", tmp_path / "rows"
    write_lakehouse(spark, folder, sessions=50)
    run(spark, folder, dashboard_metrics_hourly.JOB)
    duckdb_reference.compute("dashboard_metrics_hourly", folder, tmp_path / "rows.parquet")
    spark_reference.compute(spark, "dashboard_metrics_hourly", folder, out)
    assert comparison.differences(folder, HOURLY, tmp_path / "rows.parquet") == []
    assert comparison.differences(folder, HOURLY, out / "*.parquet") == []


def test_a_difference_is_told_by_table_key_and_column_and_nothing_of_the_rows(tmp_path: Path) -> None:
    lakehouse, right, wrong = tmp_path / "lake", tmp_path / "right.parquet", tmp_path / "wrong.parquet"
    duckdb_reference.compute("dashboard_metrics_hourly", EXAMPLE / "lake", right)
    write_table(lakehouse, HOURLY, rows_in(right), load_schemas())
    assert comparison.differences(lakehouse, HOURLY, right) == []
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                SELECT * REPLACE (
                    total_transcription_minutes * (1 + 1e-12) AS total_transcription_minutes,
                    total_storage_gb + 1 AS total_storage_gb,
                    nullif(calculation_method, 'hourly_rollup') AS calculation_method)
                FROM '{right}' ORDER BY id OFFSET 1
            ) TO '{wrong}'"""
        )
    count = len(rows_in(right))
    assert comparison.differences(lakehouse, HOURLY, wrong) == [
        f"{HOURLY} by school_id, metric_hour: {count} rows of the job, {count - 1} of the reference, "
        f"{count - 1} with the same key",
        f"{HOURLY} by school_id, metric_hour, column total_storage_gb: {count - 1} of {count - 1} rows differ",
        f"{HOURLY} by school_id, metric_hour, column calculation_method: {count - 1} of {count - 1} rows differ",
    ]


def test_a_new_hour_is_an_old_one_some_days_later_under_new_keys(table: Table) -> None:
    rows = table("""
        id string | session_id string | start_time timestamp  | duration_seconds int
        t1        | s1                | 2025-09-01 09:00:00.5 | 60
        null      | null              | null                  | null
    """)
    assert_rows(
        moved(rows, 30),
        table("""
            id string | session_id string | start_time timestamp  | duration_seconds int
            new-t1    | new-s1            | 2025-10-01 09:00:00.5 | 60
            null      | null              | null                  | null
        """),
    )


def task_metrics(**given: int) -> dict[str, Any]:
    flat = ("Executor Run Time", "Executor CPU Time", "JVM GC Time", "Memory Bytes Spilled", "Disk Bytes Spilled")
    return {
        **dict.fromkeys((*flat, "Peak Execution Memory"), 0),
        "Input Metrics": {"Records Read": given.get("rows", 0)},
        "Shuffle Write Metrics": {"Shuffle Bytes Written": given.get("shuffled", 0), "Shuffle Records Written": 0},
        "Output Metrics": {"Bytes Written": given.get("written", 0), "Records Written": 0},
    }


def test_an_event_log_is_told_by_phase(tmp_path: Path) -> None:
    """A stage belongs to the phase that submitted it, also where it ends in the next."""
    plan = {
        "metrics": [],
        "children": [{"metrics": [{"name": "number of files read", "accumulatorId": 7}], "children": []}],
    }

    def task(stage: int, begin: int, end: int, **metrics: int) -> dict[str, Any]:
        times = {"Launch Time": begin, "Finish Time": end}
        measured = {"Stage ID": stage, "Task Info": times, "Task Metrics": task_metrics(**metrics)}
        return {"Event": "SparkListenerTaskEnd", **measured}

    def stage(kind: str, number: int, begin: int, end: int) -> dict[str, Any]:
        info = {"Stage ID": number, "Stage Name": "collect", "Submission Time": begin, "Completion Time": end}
        return {"Event": f"SparkListenerStage{kind}", "Stage Info": info}

    sql = "org.apache.spark.sql.execution.ui.SparkListener"
    events = [
        {"Event": f"{sql}SQLExecutionStart", "executionId": 1, "time": 1_000, "sparkPlanInfo": plan},
        {"Event": f"{sql}DriverAccumUpdates", "executionId": 1, "accumUpdates": [[7, 3], [8, 100]]},
        {"Event": "SparkListenerJobStart", "Submission Time": 1_000},
        stage("Submitted", 0, 1_000, 0),
        task(0, 1_000, 3_000, rows=5, shuffled=10),
        task(0, 2_000, 4_000, rows=6, shuffled=20),
        stage("Completed", 0, 1_000, 4_000),
        {"Event": "SparkListenerJobStart", "Submission Time": 5_000},
        stage("Submitted", 1, 5_000, 0),
        task(1, 5_000, 9_000, written=40),
        stage("Completed", 1, 5_000, 9_000),
    ]
    (tmp_path / "local-1").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")

    measured = read_event_log(tmp_path, [("read", 0.5), ("write", 4.5), ("read", 8.0)], 10.0)

    read, write, total = measured.phases["read"], measured.phases["write"], measured.total
    assert (read.seconds, write.seconds, total.seconds) == (6.0, 3.5, 9.5)
    assert (read.busy_seconds, write.busy_seconds, total.busy_seconds) == (3.0, 4.0, 7.0)
    assert (read.jobs, read.stages, read.tasks, read.files_read) == (1, 1, 2, 3)
    assert (read.records_read, read.shuffle_bytes_written, read.bytes_written) == (11, 30, 0)
    assert (write.jobs, write.tasks, write.files_read, write.bytes_written) == (1, 1, 0, 40)
    assert (total.jobs, total.stages, total.tasks, total.records_read) == (2, 2, 3, 11)


def test_a_table_has_each_time_and_its_ratio() -> None:
    taken = {"seconds": 30.0, "cpu_seconds": 50.0, "peak_bytes": 2_000_000_000}
    case = {
        "job": "dashboard_metrics_hourly",
        "lakehouse": {"sessions": 1000, "days": 30, "skew": False},
        "rows_read": 90_000,
        "rows_per_second_and_core": 1_500.0,
        "times": {"job": taken, "DuckDB": {**taken, "seconds": 4.0}},
        "bytes_of_sources": 4_000,
        "profile": {"phases": {}, "total": dict.fromkeys(tables.COLUMNS, 0)},
        "new_hour": {"phases": {}, "total": {**dict.fromkeys(tables.COLUMNS, 0), "bytes_of_files_read": 5_000}},
    }
    machine = {"at": "now", "cores": 2, "memory_bytes": 2**34, "python": "3.11"}
    text = tables.text_of({"machine": machine, "repeats": 3, "cases": [case]})
    assert "| `dashboard_metrics_hourly` | 1,000 | 90,000 | 30.0 | 50 | 2.0 | 4.0 | 7.50 |  |  | 1,500 |" in text
    assert "### One more hour: files of 1.25 times the sources' bytes are read" in text


def test_a_picture_tells_tasks_from_the_driver_and_has_every_phase(tmp_path: Path) -> None:
    def phase(seconds: float, busy: float) -> dict[str, float]:
        return {"seconds": seconds, "busy_seconds": busy}

    phases = {
        "start-up": phase(4, 0),
        "start Spark": phase(3, 0),
        "read: stage classified_0": phase(6, 5),
        "publish x.y": phase(2, 1),
        "look for what is new": phase(1, 1),
    }
    case = {"job": "a_job", "lakehouse": {"sessions": 1000}, "profile": {"phases": phases}}
    shares = [(share["group"], share["kind"], share["seconds"]) for share in plots.shares({"cases": [case]})]
    assert [share for share in shares if share[2]] == [
        ("start", "driver alone", 4),
        ("start", "driver alone", 3),
        ("read", "with a task", 5),
        ("read", "driver alone", 1),
        ("publish", "with a task", 1),
        ("publish", "driver alone", 1),
        ("look", "with a task", 1),
    ]
    plots.write_plot({"cases": [case]}, tmp_path / "images" / "plot.svg")
    drawn = (tmp_path / "images" / "plot.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert "a_job, 1,000 sessions" in drawn
