"""The job as a data engineer calls it: `spark-submit` in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.lakehouses import DAILY, EFFECTIVENESS, HOURLY, copy_of_example, rows_of
from tests.processes import BIN, own_environment


def submit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "spark-submit"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=own_environment(), capture_output=True, text=True, check=False)


CALLS: dict[str, tuple[list[str], str, str, set[str]]] = {
    "dashboard_metrics_hourly": (
        ["--start", "2025-10-30T08:30:00", "--end", "2025-10-30T10:15:00+00:00"],
        HOURLY,
        "metric_hour",
        {"2025-10-30 08:00:00+00:00", "2025-10-30 09:00:00+00:00", "2025-10-30 10:00:00+00:00"},
    ),
    "teacher_analytics_summary": (
        ["--start", "2025-10-30", "--end", "2025-10-31"],
        DAILY,
        "summary_date",
        {"2025-10-30"},
    ),
    "teacher_prompt_effectiveness": (
        ["--start", "2025-10-30", "--end", "2025-10-31", "--period", "month"],
        EFFECTIVENESS,
        "calculation_period_start",
        {"2025-10-01 00:00:00+00:00"},
    ),
}
"""Per job its options, the table that it writes, and the values that its window widens to in the table's column."""


@pytest.mark.parametrize(
    "job",
    [
        pytest.param("dashboard_metrics_hourly", marks=pytest.mark.long),
        pytest.param("teacher_analytics_summary", marks=pytest.mark.long),
        "teacher_prompt_effectiveness",
    ],
)
def test_spark_submit_writes_what_delta_rs_reads(tmp_path: Path, job: str) -> None:
    options, table, column, values = CALLS[job]
    lakehouse = copy_of_example(tmp_path / "lake")
    arguments = ["--lakehouse", str(lakehouse), *options]
    done = submit("--properties-file", "conf/spark.properties", f"jobs/{job}.py", *arguments)
    last_line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 0, last_line
    rows = rows_of(lakehouse, table)
    assert len(rows) >= 2
    assert {str(row[column]) for row in rows} == values
    assert last_line == f"{table}: {len(rows)} rows new, 0 changed, 0 gone, 0 unchanged."


def test_spark_submit_without_delta_says_what_to_do(tmp_path: Path) -> None:
    properties = tmp_path / "none.properties"
    properties.touch()
    done = submit(
        "--properties-file", str(properties), "jobs/dashboard_metrics_hourly.py", "--lakehouse", str(tmp_path)
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        "This Spark session has no Delta: call spark-submit with --properties-file conf/spark.properties."
    )
