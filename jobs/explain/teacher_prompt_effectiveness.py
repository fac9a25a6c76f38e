"""A row of prompt effectiveness, and the source rows on which it depends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.explain.subject import Raw
from jobs.rollup import Rollup
from jobs.teacher_prompt_effectiveness import rollup_by
from transforms.catalog import (
    PROMPTS,
    SESSIONS,
)
from transforms.columns import blank_to_null, normalised
from transforms.evidence.teacher_prompt_effectiveness import DEFINING_COLUMN, evidence_of_period
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings
from transforms.teacher_prompt_effectiveness import DIMENSIONS, UNKNOWN
from transforms.windows import PeriodWindow


@dataclass(frozen=True)
class PeriodOfPrompts:
    """A row of prompt effectiveness, identified by its four dimensions and its period."""

    dimensions: Mapping[str, str]
    window: PeriodWindow
    defining_column: str = DEFINING_COLUMN
    cumulative: Sequence[str] = ()

    @property
    def rollup(self) -> Rollup[Any]:
        """The rollup of the period's length, which computes the row."""
        return rollup_by(self.window.length)

    @property
    def key(self) -> Mapping[str, str | date]:
        """The row's key: the four dimensions, and the start and end of the period."""
        return {
            **{name: self.dimensions[name] for name in DIMENSIONS},
            "calculation_period_start": self.window.start,
            "calculation_period_end": self.window.end,
        }

    def sessions(self, raw: Raw, settings: MetricSettings) -> DataFrame:
        """The sessions of the period's prompts with these dimensions; all are close."""
        del settings
        prompts = raw(PROMPTS)
        near = prompts.where(self.window.contains(F.col("generated_at"))).where(self._is_alike())
        return (
            near.where(F.col("session_id").isNotNull()).select("session_id", F.lit(True).alias("is_close")).distinct()
        )

    def _is_alike(self) -> Column:
        """Whether a row's dimensions can be these: `unknown` stands for any missing or foreign value."""
        alike = F.lit(True)
        for name, value in self.dimensions.items():
            if value != UNKNOWN:
                alike = alike & F.coalesce(normalised(blank_to_null(F.col(name))) == value, F.lit(False))
        return alike

    def candidate_rows(self, source: str, rows: DataFrame, sessions: DataFrame) -> DataFrame:
        """The prompts of these dimensions in the period, or the sessions among `sessions`."""
        if source == SESSIONS:
            return rows.join(sessions.select(F.col("session_id").alias("id")), "id", how="left_semi")
        return rows.where(self.window.contains(F.col("generated_at"))).where(self._is_alike())

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row of these dimensions and period: see `evidence_of`."""
        return evidence_of_period(inputs.usable, self.dimensions, self.window)

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected prompts of these dimensions in the period."""
        del usable
        prompts = rejected.where((F.col("source") == PROMPTS) & self.window.contains(F.col("at")))
        return prompts.where(self._is_alike())
