"""The runs of deployed jobs, and how a run ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING

from jobs.errors import EXIT_STATUSES

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseJob, BaseRun, ForEachTaskTaskRunStats, Run, RunTask

_EXIT = re.compile(r"SystemExit: (\d+)")


@dataclass(frozen=True)
class WorkspaceRun:
    """One run of a deployed job: its start, its duration so far, its state and how it ended."""

    job: str
    run_id: int
    start: datetime
    duration: timedelta
    state: str
    message: str


def last_runs(client: WorkspaceClient, jobs: Mapping[str, BaseJob], number: int) -> list[WorkspaceRun]:
    """The latest `number` runs of these jobs, with the jobs' names in the bundle, newest first."""
    found: list[tuple[str, BaseRun]] = []
    for name, job in jobs.items():
        listed = client.jobs.list_runs(job_id=job.job_id, limit=min(number, 24))
        found += [(name, run) for run in islice(listed, number)]
    found.sort(key=lambda pair: pair[1].start_time or 0, reverse=True)
    return [_workspace_run(client, name, run) for name, run in found[:number]]


def _workspace_run(client: WorkspaceClient, name: str, run: BaseRun) -> WorkspaceRun:
    start = datetime.fromtimestamp((run.start_time or 0) / 1000, timezone.utc)
    ended = run.end_time or 0
    end = datetime.fromtimestamp(ended / 1000, timezone.utc) if ended else datetime.now(timezone.utc)
    run_id = run.run_id or 0
    message = closing_message(client, client.jobs.get_run(run_id)) if ended else ""
    return WorkspaceRun(name, run_id, start, end - start, state_of(run), message)


def state_of(run: BaseRun | Run | RunTask) -> str:
    """A run's state in one word of the platform: pending, running, success, failed, canceled and others."""
    state = run.state
    word = state and (state.result_state or state.life_cycle_state)
    return word.value.lower() if word else "unknown"


def ended_well(run: BaseRun | Run | RunTask) -> bool:
    """Whether the run has ended successfully."""
    return state_of(run) == "success"


def chunks_done(run: Run) -> int:
    """How many iterations of its loops the run has completed."""
    return sum(_counts(task).completed_iterations or 0 for task in latest_tasks(run))


def latest_tasks(run: Run) -> list[RunTask]:
    """The run's tasks, each in its latest attempt: a repair adds another attempt."""
    latest: dict[str, RunTask] = {}
    for task in sorted(run.tasks or [], key=lambda task: task.attempt_number or 0):
        latest[task.task_key] = task
    return list(latest.values())


def closing_message(client: WorkspaceClient, run: Run) -> str:
    """How a run ended: the last lines of its tasks or, if any failed, of the failed ones."""
    tasks = latest_tasks(run)
    if not ended_well(run):
        tasks = [task for task in tasks if not ended_well(task) and state_of(task) not in _NOT_TRIED]
    sentences = {task.task_key: sentence for task in tasks if (sentence := _sentence_of_task(client, task))}
    if not sentences:
        return _message(run)
    if len(sentences) == 1:
        return next(iter(sentences.values()))
    return " ".join(f"{key}: {sentence}" for key, sentence in sentences.items())


_NOT_TRIED = ("upstream_failed", "upstream_canceled", "excluded", "skipped", "blocked", "disabled")


def _sentence_of_task(client: WorkspaceClient, task: RunTask) -> str:
    if task.run_id is None:
        return _message(task)
    if task.for_each_task is None:
        return _sentence(client, task.run_id) or _message(task)
    counts = _counts(task)
    total = counts.total_iterations or 0
    if ended_well(task):
        return f"{counts.completed_iterations or 0} of {total} {task.task_key} done."
    counted = f"{counts.failed_iterations} of {total} {task.task_key} failed." if counts.failed_iterations else ""
    for round_ in client.jobs.get_run(task.run_id).iterations or []:
        state = round_.state.result_state if round_.state else None
        if round_.run_id is not None and state and state.value not in ("SUCCESS", "UPSTREAM_FAILED", "EXCLUDED"):
            return f"{counted} {_sentence(client, round_.run_id)}".strip()
    return f"{counted} {_message(task)}".strip()


def _sentence(client: WorkspaceClient, run_id: int) -> str:
    """The sentence with which a task ended: the last line of its own, else what the platform says about its error."""
    from databricks.sdk.errors import BadRequest, NotFound

    try:
        output = client.jobs.get_run_output(run_id)
    except (BadRequest, NotFound):  # not every kind of task has an output, and none keeps it for ever
        return ""
    # The log is JSON, line by line; a wheel that exits with a status adds a traceback after it.
    own = (output.logs or "").split("Traceback (most recent call last)")[0].splitlines()
    lines = [line.strip() for line in own if line.strip() and not line.lstrip().startswith("{")]
    if lines:
        return lines[-1]
    error = (output.error or "").strip()
    status = _EXIT.search(error)
    if status:
        return EXIT_STATUSES.get(int(status[1]), f"The task ended with status {status[1]}.")
    return error.splitlines()[0] if error else ""


def _counts(task: RunTask) -> ForEachTaskTaskRunStats:
    from databricks.sdk.service.jobs import ForEachTaskTaskRunStats

    stats = task.for_each_task.stats if task.for_each_task else None
    return (stats.task_run_stats if stats else None) or ForEachTaskTaskRunStats()


def _message(run: BaseRun | Run | RunTask) -> str:
    return ((run.state.state_message if run.state else None) or "").strip()
