"""Deployed jobs: which ones they are, and how they differ from the bundle that declares them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from jobs.commands.workspace.bundle import Declared
from jobs.commands.workspace.difference import Difference
from jobs.errors import JobError, UsageError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseJob

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
        return [Difference(name, "job", "present", "absent")]
    settings = job.settings.as_dict() if job.settings else {}
    found: list[Difference] = []
    for field in COMPARED:
        if field in declared:
            found += _compared(name, field, declared[field], settings.get(field))
        elif field in _FOREIGN and settings.get(field):
            found.append(Difference(name, field, "absent", "present"))
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
            yield Difference(job, f"{path}.{name}", "present", "absent")
    for name in there:
        if name not in here:
            yield Difference(job, f"{path}.{name}", "absent", "present")


def _told(value: Any) -> str:
    if value is None:
        return "absent"
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_paused(job: BaseJob) -> bool:
    """Whether the job has a schedule that is paused."""
    schedule = job.settings.schedule if job.settings else None
    return bool(schedule and schedule.pause_status and schedule.pause_status.value == "PAUSED")


def check_parameters(name: str, job: BaseJob, given: Iterable[str]) -> None:
    """Raises `JobError` if the deployed job lacks one of the parameters with which a run is to be started."""
    parameters = (job.settings.parameters if job.settings else None) or []
    declared = {parameter.name for parameter in parameters}
    for parameter in given:
        if parameter not in declared:
            raise JobError(f"The deployed job {name} has no parameter {parameter}: redeploy the bundle.")
