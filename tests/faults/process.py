"""A run in a process of its own, that tells its phases and may be told at which to die.

Called as `python -m tests.faults.process JOB LAKEHOUSE START END [PHASE [spark]]`; at the phase it kills its whole
process group, the JVM with it, as the kernel would: nothing is flushed, closed or told. With `spark` the JVM alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pyspark import SparkContext

from jobs import spark_session
from jobs.execution.job_run import run_job
from jobs.exit_status import exit_status_of
from jobs.job_options import read_call
from jobs.logs import set_up_logs
from jobs.registry import job_named
from tests.conftest import ROOT, combined_properties
from tests.processes import own_environment


def start(
    job: str, lakehouse: Path, window: tuple[str, str], *die_at: str, log: Path | None = None
) -> subprocess.Popen[str]:
    """Starts the run in a process group of its own; its phases are the lines of its output."""
    arguments = [job, str(lakehouse), *window, *die_at]
    log_file = log or lakehouse.parent / f"{lakehouse.name}-{job}-{os.urandom(4).hex()}.log"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.process", *arguments],
        cwd=ROOT,
        env=own_environment(),
        stdout=subprocess.PIPE,
        stderr=log_file.open("w"),
        text=True,
        start_new_session=True,
    )


def main() -> None:
    job, lakehouse, first, end, *die_at = sys.argv[1:]
    properties = combined_properties(Path(lakehouse).parent / f"{os.getpid()}.properties")
    spark_session.properties_file = lambda: properties
    set_up_logs()
    declared = job_named(job)

    def phase(name: str) -> None:
        print(name, flush=True)
        if die_at == [name, "spark"]:
            gateway: Any = SparkContext._gateway
            gateway.proc.kill()
        elif name in die_at:
            os.killpg(os.getpgrp(), signal.SIGKILL)

    call = read_call(declared, ["--lakehouse", lakehouse, "--start", first, "--end", end])
    status = exit_status_of(lambda: run_job(declared, call, phase))
    print("ended", flush=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
