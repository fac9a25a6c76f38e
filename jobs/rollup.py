"""What a rollup is: a declaration that the pipeline of a run carries out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from typing import Any, Generic, Protocol, TypeVar

from pyspark.sql import Column, DataFrame

from expectations.contract import contract_of
from expectations.suites import AtMost, Range
from transforms.identity import row_id
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.windows import Starts

Self = TypeVar("Self", bound="RunWindow")


class RunWindow(Starts[Any], Protocol):
    """The half-open window `[start, end)` of a rollup's rows that a run replaces."""

    @property
    def start(self) -> datetime | date:
        """The start of the first hour, date or period."""

    @property
    def end(self) -> datetime | date:
        """The start of the first one after the window."""

    @property
    def selected(self) -> Sequence[datetime | date] | None:
        """The starts of those that the window covers; None if it covers all in between."""

    def contains(self, moment: Column, /) -> Column:
        """Whether a moment or a date is in the window."""

    def shifted_back(self: Self, number: int) -> Self:
        """The window moved back by this number of its own lengths."""


W = TypeVar("W", bound=RunWindow)


def span_of(window: RunWindow) -> tuple[datetime, datetime]:
    """The window's start and end as instants in UTC; a date is its midnight."""

    def instant_of(moment: datetime | date) -> datetime:
        return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), timezone.utc)

    return instant_of(window.start), instant_of(window.end)


@dataclass(frozen=True)
class Rollup(Generic[W]):
    """One rollup: all that its run needs to know.

    `targets` are the tables that one computation fills, the canonical one first; `sources` what it reads. `rows`
    computes a window's rows with all columns of the targets but `id` and audit columns. A run replaces the rows whose
    `window_column` is in its window and, if tables hold rows of several kinds, that are `among` its own (a condition in
    SQL). `source_totals` and `staged_totals` are what the gate reconciles; `ordered` are pairs of columns whose order
    is fixed.

    For an incremental run: `window_covering` returns the window of the affected values of the `window_column`, given
    the start of the last incremental run and of this one; `also_affected` adds values besides the rows' own.
    `may_affect` says whether what happens at a moment can count in the window, or place a session that does.
    """

    job_name: str
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    rows: Callable[[RollupInputs, W], DataFrame]
    window_column: str
    source_totals: Callable[[RollupInputs, W], DataFrame]
    staged_totals: Mapping[str, str]
    window_covering: Callable[[Collection[Any], datetime, datetime], W | None]
    may_affect: Callable[[Column, W, MetricSettings], Column]
    also_affected: Callable[[RollupInputs], DataFrame] | None = None
    ordered: tuple[AtMost, ...] = ()
    among: str = "true"

    @property
    def name(self) -> str:
        """The canonical table's own name."""
        return self.targets[0].split(".")[1]

    def covered(self, window: W) -> Range:
        """The range of `window_column` that the window covers."""
        return Range(self.window_column, window.start, window.end, window.selected)

    def condition(self, window: W) -> str:
        """The rows of a target that the window covers, as a condition in SQL."""
        return f"{self.covered(window).sql} AND {self.among}"


def identified(rows: DataFrame, rollup: Rollup[W]) -> DataFrame:
    """The rows with their `id`, which is that of the canonical table in all targets."""
    canonical = contract_of(rollup.targets[0])
    types = {field.name: field.dataType for field in canonical.spark_schema if field.name in canonical.key}
    return rows.withColumn("id", row_id(canonical.full_name, {name: types[name] for name in canonical.key}))
