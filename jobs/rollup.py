"""What a rollup is: a declaration that the life cycle of a run carries out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Generic, Protocol, TypeVar

from pyspark.sql import DataFrame

from expectations.suites import AtMost, Range
from transforms.metric_settings import MetricSettings

Usable = Mapping[str, DataFrame]
"""Each source's usable rows by the source's name."""

REQUIRED_SOURCES = frozenset(
    {
        "sessions.classroom_sessions",
        "sessions.transcriptions",
        "analytics.session_events",
        "ai_insights.teacher_guidance_metrics",
    }
)
"""A run without one of these breaks their contract; any other source that is absent counts as empty."""


class RunWindow(Protocol):
    """The half-open window `[start, end)` of a rollup's key that a run replaces."""

    @property
    def start(self) -> datetime | date:
        """The first hour or date."""

    @property
    def end(self) -> datetime | date:
        """The first hour or date after the window."""


W = TypeVar("W", bound=RunWindow)


@dataclass(frozen=True)
class Rollup(Generic[W]):
    """One job. `targets` are the tables that one computation fills, the canonical one first.

    `rows` makes all of their columns but `id` and the stamps, from the sessions' spans and the usable rows; `condition`
    says in SQL, with literals, which rows of a target a window covers; `covered` is the same for the gate;
    `source_totals` and `staged_totals` are what it reconciles; `ordered` are pairs of columns that must order; `before`
    gives the windows of the same length before.
    """

    job_name: str
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    rows: Callable[[DataFrame, Usable, W, datetime, MetricSettings], DataFrame]
    condition: Callable[[W], str]
    covered: Callable[[W], Range]
    before: Callable[[W, int], W]
    source_totals: Callable[[Usable, W, datetime, MetricSettings], DataFrame]
    staged_totals: Mapping[str, str]
    ordered: tuple[AtMost, ...] = field(default=())
