"""The jobs by their names, and what is said of a name that there is not."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from jobs.errors import UsageError
from jobs.job import Job

JOBS = ("dashboard_metrics_hourly", "teacher_analytics_summary", "teacher_prompt_effectiveness")
"""The jobs: each is the module of that name in this package."""


def unknown_name_error(name: str, names: tuple[str, ...], what: str) -> UsageError:
    """The error for a name that is none of the names, with the one that may be meant."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}."
    return UsageError(f"There is no {what} {name}: {hint}")


def job_named(name: str) -> Job[Any]:
    """The job of that name; raises `UsageError` where there is none."""
    if name not in JOBS:
        raise unknown_name_error(name, JOBS, "job")
    declared: Job[Any] = import_module(f"jobs.{name}").JOB
    return declared
