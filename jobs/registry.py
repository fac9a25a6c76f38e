"""The jobs and the tables by their names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jobs.job import Job
from jobs.suggestions import unknown_name_error

if TYPE_CHECKING:
    from expectations.contract import Contract

JOBS = ("dashboard_metrics_hourly", "teacher_analytics_summary", "teacher_prompt_effectiveness")
"""The names of the jobs; each is a module in this package."""


def job_named(name: str) -> Job[Any]:
    """The job of that name; raises `UsageError` if it does not exist."""
    if name not in JOBS:
        raise unknown_name_error(name, JOBS, "job")
    declared: Job[Any] = import_module(f"jobs.{name}").JOB
    return declared


def contract_named(table: str) -> Contract:
    """The contract of the table of that name; raises `UsageError` if it has none."""
    from expectations.contract import contract_names, contract_of

    names = contract_names()
    if table not in names:
        raise unknown_name_error(table, names, "table")
    return contract_of(table)
