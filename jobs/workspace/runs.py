"""Deployed jobs: how they differ from the bundle that declares them, their last runs, and how a run ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from jobs.errors import JobError, UsageError
from jobs.workspace.tables import Difference

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseJob, BaseRun, ForEachTaskTaskRunStats, Run, RunTask

COMPARED = (
    "schedule",
    "trigger",
    "continuous",
    "max_concurrent_runs",
    "queue",
    "timeout_seconds",
    "parameters",
    "tasks",
)
"""The fields of a job that are compared with the bundle: they decide when, how often and with what it runs."""

_FOREIGN = ("schedule", "trigger", "continuous", "parameters")
"""Those of them that a job must not have unless the bundle declares them; the others have a default."""

_KEYS = ("task_key", "name", "job_cluster_key")
"""The fields by which elements of a list are matched."""

_DEV_NAME = re.compile(r"\[dev [^\]]+\] (.+)")
"""How a bundle in development mode names a job: each developer has separate jobs."""

_LARGEST_PAGE = 100
_EXIT = re.compile(r"SystemExit: (\d+)")
_STATUSES = {
    2: "The call or the configuration is wrong.",
    3: "The gate refused the rows; nothing was written.",
    4: "A table breaks its contract; nothing was written.",
}

Declared = dict[str, Any]
"""A job as the bundle's YAML declares it."""


def read_bundle(folder: Path) -> dict[str, Declared]:
    """The jobs that the YAML files of the folder declare, by their key; raises `UsageError` if there are none."""
    if not folder.is_dir():
        raise UsageError(f"The bundle's folder {folder} does not exist: name it with --bundle.")
    jobs: dict[str, Declared] = {}
    for file in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"The bundle's file {file} cannot be read: {error}.") from error
        resources = content.get("resources") if isinstance(content, dict) else None
        found = resources.get("jobs") if isinstance(resources, dict) else None
        for key, job in (found or {}).items():
            if not isinstance(job, dict):
                raise UsageError(f"The job {key} in the bundle's file {file} is not a mapping.")
            jobs[key] = {"name": key, **job}
    if not jobs:
        raise UsageError(f"No YAML file in {folder} declares a job: name the bundle's folder with --bundle.")
    return jobs


def find_jobs(
    client: WorkspaceClient, names: Iterable[str], target: str | None, *, with_tasks: bool = False
) -> dict[str, BaseJob]:
    """The deployed jobs by their names in the bundle, without missing ones; raises `UsageError` if a name is ambiguous.

    A developer's own job is found by the name after its prefix, which requires listing all jobs. `target` is the
    bundle's target, which the bundle writes to a tag of its jobs.
    """
    wanted = list(names)
    found = {name: list(client.jobs.list(name=name, expand_tasks=with_tasks)) for name in wanted}
    missing = {name.lower(): name for name in wanted if not _of(found[name], target)}
    if missing:
        for job in client.jobs.list(expand_tasks=with_tasks, limit=_LARGEST_PAGE):
            match = _DEV_NAME.fullmatch(_name(job))
            if match and match[1].lower() in missing:
                found[missing[match[1].lower()]].append(job)
    chosen: dict[str, BaseJob] = {}
    for name in wanted:
        candidates = _of(found[name], target)
        if len(candidates) > 1:
            me = client.current_user.me().user_name
            candidates = [job for job in candidates if job.creator_user_name == me] or candidates
        if len(candidates) > 1:
            ids = ", ".join(str(job.job_id) for job in candidates)
            raise UsageError(f"The workspace has {len(candidates)} jobs {name} ({ids}): say which with --target.")
        if candidates:
            chosen[name] = candidates[0]
    return chosen


def _name(job: BaseJob) -> str:
    return (job.settings.name if job.settings else None) or ""


def _of(jobs: list[BaseJob], target: str | None) -> list[BaseJob]:
    tags = [(job.settings.tags if job.settings else None) or {} for job in jobs]
    return [job for job, own in zip(jobs, tags, strict=True) if target is None or own.get("target") == target]


def job_differences(declared: Declared, job: BaseJob | None) -> list[Difference]:
    """Where a deployed job differs from the bundle's declaration; None is a job that does not exist.

    Only plain values are compared: a value with `${…}` depends on the target.
    """
    name = declared["name"]
    if job is None:
        return [Difference(name, "job", "there", "not there")]
    settings = job.settings.as_dict() if job.settings else {}
    found: list[Difference] = []
    for field in COMPARED:
        if field in declared:
            found += _compared(name, field, declared[field], settings.get(field))
        elif field in _FOREIGN and settings.get(field):
            found.append(Difference(name, field, "not there", "there"))
    return found


def _compared(job: str, path: str, declared: Any, found: Any) -> Iterator[Difference]:
    if isinstance(declared, dict):
        inside = found if isinstance(found, dict) else {}
        for key, value in declared.items():
            yield from _compared(job, f"{path}.{key}", value, inside.get(key))
    elif isinstance(declared, list) and declared and all(isinstance(element, dict) for element in declared):
        yield from _compared_by_key(job, path, declared, found if isinstance(found, list) else [])
    elif "${" not in str(declared) and declared != found and not (found is None and declared in (0, False)):
        # The platform need not return what is zero or false: these are its defaults.
        yield Difference(job, path, _told(declared), _told(found))


def _compared_by_key(job: str, path: str, declared: list[Any], found: list[Any]) -> Iterator[Difference]:
    key = next((name for name in _KEYS if name in declared[0]), "")
    here, there = ({str(element.get(key)): element for element in elements} for elements in (declared, found))
    for name, element in here.items():
        if name in there:
            yield from _compared(job, f"{path}.{name}", element, there[name])
        else:
            yield Difference(job, f"{path}.{name}", "there", "not there")
    for name in there:
        if name not in here:
            yield Difference(job, f"{path}.{name}", "not there", "there")


def _told(value: Any) -> str:
    if value is None:
        return "not there"
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_paused(job: BaseJob) -> bool:
    """Whether the job has a schedule that is paused."""
    schedule = job.settings.schedule if job.settings else None
    return bool(schedule and schedule.pause_status and schedule.pause_status.value == "PAUSED")


@dataclass(frozen=True)
class WorkspaceRun:
    """One run of a deployed job: its start, its duration so far, its state and how it ended."""

    job: str
    run_id: int
    start: datetime
    duration: timedelta
    state: str
    verdict: str


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
    verdict = closing_message(client, client.jobs.get_run(run_id)) if ended else ""
    return WorkspaceRun(name, run_id, start, end - start, state_of(run), verdict)


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
        return _STATUSES.get(int(status[1]), f"The task ended with status {status[1]}.")
    return error.splitlines()[0] if error else ""


def _counts(task: RunTask) -> ForEachTaskTaskRunStats:
    from databricks.sdk.service.jobs import ForEachTaskTaskRunStats

    stats = task.for_each_task.stats if task.for_each_task else None
    return (stats.task_run_stats if stats else None) or ForEachTaskTaskRunStats()


def _message(run: BaseRun | Run | RunTask) -> str:
    return ((run.state.state_message if run.state else None) or "").strip()


def check_parameters(name: str, job: BaseJob, given: Iterable[str]) -> None:
    """Raises `JobError` if the deployed job lacks one of the parameters with which a run is to be started."""
    parameters = (job.settings.parameters if job.settings else None) or []
    declared = {parameter.name for parameter in parameters}
    for parameter in given:
        if parameter not in declared:
            raise JobError(f"The deployed job {name} has no parameter {parameter}: redeploy the bundle.")
