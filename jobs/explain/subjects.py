"""What can be explained: the rows of each rollup, by their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from expectations.contract import contract_of
from jobs import dashboard_metrics_hourly, teacher_analytics_summary
from jobs.errors import UsageError
from jobs.explain.dashboard_metrics_hourly import HourOfSchool
from jobs.explain.subject import Subject
from jobs.explain.teacher_analytics_summary import DayOfTeacher
from jobs.explain.teacher_prompt_effectiveness import PeriodOfPrompts
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


def _hour(given: Mapping[str, str]) -> Subject:
    return HourOfSchool(given["school_id"], floor_hour(read_instant(given["metric_hour"], "metric_hour")))


def _day(given: Mapping[str, str]) -> Subject:
    return DayOfTeacher(given["teacher_id"], read_instant(given["summary_date"], "summary_date").date())


def _period(given: Mapping[str, str]) -> Subject:
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


@dataclass(frozen=True)
class _Kind:
    """A rollup whose rows can be explained: its tables, and how a row is made of its key (texts by column)."""

    targets: tuple[str, ...]
    subject_of: Callable[[Mapping[str, str]], Subject]
    may_lack_parts: bool = False


_KINDS = {
    dashboard_metrics_hourly.ROLLUP.name: _Kind(dashboard_metrics_hourly.ROLLUP.targets, _hour),
    teacher_analytics_summary.ROLLUP.name: _Kind(teacher_analytics_summary.ROLLUP.targets, _day),
    rollup_by("week").name: _Kind(rollup_by("week").targets, _period, may_lack_parts=True),
}

TARGETS_OF: Mapping[str, tuple[str, ...]] = {name: kind.targets for name, kind in _KINDS.items()}
"""The tables of each rollup by the rollup's name, the canonical one first."""


def subject_of(name: str, parts: Sequence[str]) -> Subject:
    """The row of that rollup with this key; raises `UsageError` for parts that do not make a key."""
    kind = _KINDS[name]
    key = contract_of(kind.targets[0]).key
    if len(parts) != len(key):
        raise UsageError(f"The key of {name} is {' '.join(key)}: {len(parts)} of its {len(key)} parts were given.")
    given = dict(zip(key, parts, strict=True))
    for part in () if kind.may_lack_parts else key:
        if given[part] in MISSING:
            raise UsageError(f"{part} is never missing in {name}: it cannot be {given[part]!r}.")
    return kind.subject_of(given)
