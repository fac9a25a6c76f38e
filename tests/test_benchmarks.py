"""The benchmarks' references and lakehouse: that they do not rot. How long anything takes is no test's business."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from benchmarks import comparing
from benchmarks.lakehouse import write_lakehouse
from benchmarks.references import in_duckdb, in_spark
from jobs import dashboard_metrics_hourly
from jobs.names import JOBS
from tests.conftest import EXAMPLE
from tests.lakehouses import HOURLY, HOURLY_OF_USERS, differences, run

TIMES = {"metric_hour", "summary_date", "calculation_period_start", "calculation_period_end"}
"""Part of the key, and so of the `id`: JSON has them as texts."""


def rows_in(files: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM read_parquet('{files}')")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def expected(job: str) -> list[dict[str, Any]]:
    """What another implementation made of the example, in its window."""
    lines = (EXAMPLE / "expected" / f"{job}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def assert_has_the_example(found: list[dict[str, Any]], job: str) -> None:
    wanted = expected(job)
    in_window = {row["id"] for row in wanted}
    for row in found:
        if "source_tables" in row:
            row["source_tables"] = json.loads(row["source_tables"])
    columns = [name for name in wanted[0] if name not in TIMES]
    assert differences([row for row in found if row["id"] in in_window], wanted, columns) == []


@pytest.mark.parametrize("job", JOBS)
def test_duckdb_has_the_rows_of_the_example(tmp_path: Path, job: str) -> None:
    in_duckdb.compute(job, EXAMPLE / "lake", tmp_path / "rows.parquet")
    assert_has_the_example(rows_in(tmp_path / "rows.parquet"), job)


@pytest.fixture(scope="module")
def lakehouse(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty sessions, over which the hourly job has run."""
    folder = tmp_path_factory.mktemp("benchmark") / "lake"
    write_lakehouse(spark, folder, sessions=50)
    run(spark, folder, dashboard_metrics_hourly.JOB)
    return folder


def test_the_job_publishes_what_duckdb_finds(lakehouse: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    in_duckdb.compute("dashboard_metrics_hourly", lakehouse, out)
    for table in (HOURLY, HOURLY_OF_USERS):
        assert comparing.differences(lakehouse, table, out) == []


@pytest.mark.long  # a statement of forty joins takes longer to plan than its rows to compute
def test_the_job_publishes_what_spark_alone_finds(spark: SparkSession, lakehouse: Path, tmp_path: Path) -> None:
    in_spark.compute(spark, "dashboard_metrics_hourly", lakehouse, tmp_path / "rows")
    assert comparing.differences(lakehouse, HOURLY, tmp_path / "rows" / "*.parquet") == []


def test_a_difference_is_told_by_table_key_and_column_and_nothing_of_the_rows(lakehouse: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.parquet", tmp_path / "wrong.parquet"
    in_duckdb.compute("dashboard_metrics_hourly", lakehouse, right)
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
    assert comparing.differences(lakehouse, HOURLY, wrong) == [
        f"{HOURLY} by school_id, metric_hour: {count} rows of the job, {count - 1} of the reference, "
        f"{count - 1} with the same key",
        f"{HOURLY} by school_id, metric_hour, column total_storage_gb: {count - 1} of {count - 1} rows differ",
        f"{HOURLY} by school_id, metric_hour, column calculation_method: {count - 1} of {count - 1} rows differ",
    ]
