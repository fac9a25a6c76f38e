"""What a row that is explained can depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.rollup import Rollup
from transforms.columns import instant
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings

Raw = Callable[[str], DataFrame]
"""Returns the unclassified rows of a source, by the source's name."""


class Subject(Protocol):
    """One row of a rollup, and what it can depend on."""

    @property
    def rollup(self) -> Rollup[Any]:
        """The rollup that computes the row."""

    @property
    def key(self) -> Mapping[str, str | date]:
        """The row's key, in the contract's order."""

    @property
    def window(self) -> Any:
        """The one hour, date or period of the row."""

    @property
    def defining_column(self) -> str:
        """The column whose source rows make the row exist."""

    @property
    def cumulative(self) -> Sequence[str]:
        """The columns whose source rows alone do not make a row exist."""

    def sessions(self, raw: Raw, settings: MetricSettings) -> DataFrame:
        """One row per session that can take part: `session_id`; `is_close`: its own rows can take part, too."""

    def candidate_rows(self, source: str, rows: DataFrame, sessions: DataFrame) -> DataFrame:
        """The rows of a source that can take part in the row's values."""

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row's values: see `evidence_of`."""

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected rows (`school_id`, `teacher_id`, `at`, `is_of_session`, …) that would belong near the row."""


def of_sessions(rows: DataFrame, sessions: DataFrame, *, only_close: bool = False) -> DataFrame:
    """The rows that belong to these sessions, or only to the close ones."""
    chosen = sessions.where("is_close") if only_close else sessions
    return rows.join(chosen.select("session_id"), "session_id", how="left_semi")


def is_between(moment: str, start: datetime, end: datetime) -> Column:
    """Whether a moment is in `[start, end)`."""
    return (F.col(moment) >= instant(start)) & (F.col(moment) < instant(end))
