"""The job as a data engineer calls it: `spark-submit` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.lakehouses import HOURLY, copy_of_example, rows_of

BIN = Path(sys.executable).parent


def submit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "spark-submit"), *arguments]
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    environment.pop("PYSPARK_GATEWAY_PORT", None)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_spark_submit_writes_what_delta_rs_reads(tmp_path: Path) -> None:
    lakehouse = copy_of_example(tmp_path / "lake")
    window = ("--start", "2025-10-30T08:30:00", "--end", "2025-10-30T10:15:00+00:00")
    done = submit(
        "--properties-file", "conf/spark.properties", "jobs/dashboard_metrics_hourly.py", "--lakehouse", str(lakehouse),
        *window,
    )  # fmt: skip
    last_line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 0, last_line
    hours = {row["metric_hour"].hour for row in rows_of(lakehouse, HOURLY)}
    assert hours
    assert hours <= {8, 9, 10}
    assert last_line == f"{HOURLY}: {len(rows_of(lakehouse, HOURLY))} rows new, 0 changed, 0 gone, 0 unchanged."


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
