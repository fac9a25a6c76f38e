"""A backfill in a workspace: the parameters of its job, and following its run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import OperationFailed
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.jobs import Run

from jobs.commands.console import progress
from jobs.commands.workspace.client import first_line_of
from jobs.commands.workspace.runs import chunks_done, state_of
from jobs.errors import JobError, UsageError
from jobs.job import Call
from jobs.logs import log

BACKFILL = "backfill"
"""The key of the backfill job in the bundle."""

LONGEST_LIST = 10_000
"""The characters of a list that a for-each task takes:
https://docs.databricks.com/aws/en/jobs/for-each
"""

_LONGEST_BACKFILL = timedelta(days=7)


def job_parameters(rollup: str, calls: Sequence[Call], period: str | None) -> dict[str, str]:
    """The parameters with which the backfill job runs these calls of a rollup; raises `UsageError` for too many."""
    chunks = [{"start": _compact(call.start), "end": _compact(call.end)} for call in calls]
    as_text = json.dumps(chunks, separators=(",", ":"))
    if len(as_text) > LONGEST_LIST:
        raise UsageError(f"{len(calls)} chunks are more than a job takes: give a longer --chunk.")
    return {"rollup": rollup, "chunks": as_text, **({"period": period} if period else {})}


def _compact(instant: str | None) -> str:
    """An instant in UTC in the shortest form that `--start` accepts: a platform limits the length of a parameter."""
    moment = datetime.fromisoformat(instant or "")
    utc = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    return utc.isoformat()[:10] if utc.time() == datetime.min.time() else utc.strftime("%Y-%m-%dT%H:%M")


def follow(client: WorkspaceClient, job_id: int, parameters: dict[str, str], steps: int, title: str) -> Run:
    """Starts the job, follows its run and returns it once it has ended; raises `JobError` if it cannot be followed."""
    # The token prevents a request that is repeated, because its answer was lost, from starting a second run.
    waiter = client.jobs.run_now(job_id, job_parameters=parameters, idempotency_token=str(uuid4()))
    run_id = waiter.run_id
    url = f"{client.config.host}/jobs/{job_id}/runs/{run_id}"
    log.info("started", run_id=run_id, url=url)
    state, done = "", 0
    try:
        with progress(steps, title) as (advance, phase):

            def look(run: Run) -> None:
                nonlocal state, done
                if state != state_of(run):
                    state = state_of(run)
                    phase(state)
                now_done = min(chunks_done(run), steps)
                for _ in range(now_done - done):
                    advance()
                done = max(done, now_done)

            try:
                run = waiter.result(timeout=_LONGEST_BACKFILL, callback=look)
            except OperationFailed:  # the platform's own failure, which the run records as well
                run = client.jobs.get_run(run_id)
            look(run)
    except KeyboardInterrupt as interrupt:
        raise JobError(f"The run in the workspace goes on but is no longer followed here: {url}") from interrupt
    except TimeoutError as error:
        raise JobError(f"The workspace has not reported the end of the run, which may go on: {url}") from error
    except DatabricksError as error:  # a login that has expired, say
        raise JobError(
            f"The workspace no longer reports on the run, which may go on: {url}: {first_line_of(error)}"
        ) from error
    run.run_page_url = run.run_page_url or url
    return run
