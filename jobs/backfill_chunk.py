"""The entry point of a backfill's tasks on Databricks: one chunk of the rollup that a parameter names.

The backfill job's parameters are common to all of its tasks; the loop adds the window of each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jobs.errors import UsageError
from jobs.execution.job_run import run_job
from jobs.exit_status import run_main
from jobs.job import Call, Job
from jobs.job_options import Parser, read_call
from jobs.registry import JOBS, job_named


def read_chunk_call(arguments: Sequence[str]) -> tuple[Job[Any], Call]:
    """The job and its call; raises `UsageError` if the chunk has no window, or one that is not among `--chunks`.

    An empty `--period=` counts as not given: only one of the rollups has periods.
    """
    parser = Parser(prog="backfill_chunk", allow_abbrev=False, add_help=False)
    parser.add_argument("--rollup", default="")
    parser.add_argument("--chunks", default="")
    own, rest = parser.parse_known_args(arguments)
    if own.rollup not in JOBS:
        raise UsageError(f"--rollup must be one of {', '.join(JOBS)}: {own.rollup!r}.")
    job = job_named(own.rollup)
    call = read_call(job, [argument for argument in rest if argument != "--period="], ("--rollup", "--chunks"))
    if call.start is None or call.end is None:
        raise UsageError("A chunk needs --start and --end.")
    if own.chunks and (call.start, call.end) not in _windows(own.chunks):
        raise UsageError(f"The chunk {call.start} to {call.end} is not among --chunks.")
    return job, call


def _windows(chunks: str) -> list[tuple[str, str]]:
    try:
        return [(chunk["start"], chunk["end"]) for chunk in json.loads(chunks)]
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError('--chunks must be JSON such as [{"start": "2025-09-01", "end": "2025-09-08"}].') from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the chunk and ends as the job itself does: returns, or exits with its status."""
    run_main(lambda given: run_job(*read_chunk_call(given)), arguments)


if __name__ == "__main__":
    main()
