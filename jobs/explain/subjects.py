"""What can be explained: the rows of each rollup, by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expectations.contract import contract_of
from jobs import dashboard_metrics_hourly, teacher_analytics_summary
from jobs.errors import UsageError
from jobs.explain.day_of_teacher import DayOfTeacher
from jobs.explain.hour_of_school import HourOfSchool
from jobs.explain.period_of_prompts import PeriodOfPrompts
from jobs.explain.subject import Subject
from jobs.teacher_prompt_effectiveness import rollup_by
from jobs.windows import read_instant
from transforms.teacher_prompt_effectiveness import DIMENSIONS, UNKNOWN
from transforms.windows import (
    PERIOD_LENGTHS,
    PeriodLength,
    PeriodWindow,
    floor_hour,
    floor_period,
)

MISSING = ("-", "null")
"""How a missing part of a key is written."""

TARGETS_OF: Mapping[str, tuple[str, ...]] = {
    rollup.name: rollup.targets
    for rollup in (dashboard_metrics_hourly.ROLLUP, teacher_analytics_summary.ROLLUP, rollup_by("week"))
}
"""The tables of each rollup by the rollup's name, the canonical one first."""


def subject_of(name: str, parts: Sequence[str]) -> Subject:
    """The row of that rollup with this key; raises `UsageError` for parts that do not make a key."""
    key = contract_of(TARGETS_OF[name][0]).key
    if len(parts) != len(key):
        raise UsageError(f"The key of {name} is {' '.join(key)}: {len(parts)} of its {len(key)} parts were given.")
    given = dict(zip(key, parts, strict=True))
    if name == "teacher_prompt_effectiveness":
        return _prompts(given)
    for part in key:
        if given[part] in MISSING:
            raise UsageError(f"{part} is never missing in {name}: it cannot be {given[part]!r}.")
    if name == "dashboard_metrics_hourly":
        return HourOfSchool(given["school_id"], floor_hour(read_instant(given["metric_hour"], "metric_hour")))
    return DayOfTeacher(given["teacher_id"], read_instant(given["summary_date"], "summary_date").date())


def _prompts(given: Mapping[str, str]) -> Subject:
    """A missing dimension is `unknown`; instead of the period's end its length may be given."""
    start = read_instant(given["calculation_period_start"], "calculation_period_start")
    end_or_length = given["calculation_period_end"]
    end_or_length = "week" if end_or_length in MISSING else end_or_length
    if end_or_length in PERIOD_LENGTHS:
        lengths: tuple[PeriodLength, ...] = (end_or_length,)
        end = None
    else:
        lengths, end = PERIOD_LENGTHS, read_instant(end_or_length, "calculation_period_end")
    for length in lengths:
        window = PeriodWindow.of([start], length)
        if floor_period(start, length) == start and end in (None, window.end):
            dimensions = {name: UNKNOWN if given[name] in MISSING else given[name] for name in DIMENSIONS}
            return PeriodOfPrompts(dimensions, window)
    raise UsageError(
        f"From {given['calculation_period_start']} to {given['calculation_period_end']} is no day, week or month: "
        "give the first instant of a period, and its end or day, week or month."
    )
