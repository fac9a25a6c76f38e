"""A job as `spark-submit jobs/<job>.py` runs it, with the beginnings of its phases in a file.

    spark-submit --properties-file conf/spark.properties benchmarks/profile_job.py PHASES.jsonl JOB [the job's options]

The jobs tell their phases to whoever calls them; Spark is lazy, so what a phase prepares is computed where it is first
written. That is why each staging table is a phase of its own here.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame

from jobs.execution.job_run import run_job
from jobs.execution.staging import Staging
from jobs.exit_status import exit_status_of
from jobs.job_options import read_call
from jobs.logs import set_up_logs
from jobs.registry import job_named


class Phases:
    """Writes down when each phase began, in seconds of the clock."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._current = ""
        file.write_text("", encoding="utf-8")

    def begin(self, name: str) -> None:
        """A phase that the job tells."""
        self._current = name
        self._write(name)

    def begin_part(self, name: str) -> None:
        """A part of the phase that it is in."""
        self._write(f"{self._current}: {name}")

    def _write(self, name: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"phase": name, "at": time.time()}) + "\n")


def main() -> None:
    """Runs the job and exits with its status."""
    phases = Phases(Path(sys.argv[1]))
    stage = Staging.write

    def write(self: Staging, name: str, rows: DataFrame) -> DataFrame:
        phases.begin_part(f"stage {name}")
        staged = stage(self, name, rows)
        phases.begin_part("go on")
        return staged

    Staging.write = write  # type: ignore[method-assign]
    set_up_logs()
    job = job_named(sys.argv[2])
    status = exit_status_of(lambda: run_job(job, read_call(job, sys.argv[3:]), phases.begin))
    phases.begin("stop Spark")
    raise SystemExit(status)


if __name__ == "__main__":
    main()
