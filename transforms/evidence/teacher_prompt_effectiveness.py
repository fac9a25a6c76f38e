"""The source rows that one row of prompt effectiveness was computed from."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from transforms.catalog import PROMPTS
from transforms.evidence.parts import Labels, columns_of, evidence_of, part
from transforms.prompts import response_time
from transforms.teacher_prompt_effectiveness import DIMENSIONS, UNKNOWN
from transforms.windows import PeriodWindow

DEFINING_COLUMN = "total_generated"
"""The column whose source rows make a row exist: they are also the evidence for the row's key."""


def evidence_of_period(
    usable: Mapping[str, DataFrame], dimensions: Mapping[str, str], window: PeriodWindow
) -> DataFrame:
    """The evidence for the row of these dimensions and the window's one period: see `evidence_of`."""
    prompts = usable[PROMPTS].where(window.contains(F.col("generated_at")))
    for name in DIMENSIONS:
        prompts = prompts.where(F.coalesce(name, F.lit(UNKNOWN)) == dimensions[name])
    has_score = F.col("effectiveness_score").isNotNull()
    labels: Labels = {
        DEFINING_COLUMN: True,
        "total_acknowledged": F.col("acknowledged_at").isNotNull(),
        "total_used": F.col("used_at").isNotNull(),
        "total_dismissed": F.col("dismissed_at").isNotNull(),
        "acknowledgment_rate": True,
        "usage_rate": True,
        "dismissal_rate": True,
        "data_points": has_score,
        "avg_effectiveness_score": has_score,
        "std_dev_effectiveness": has_score,
        "confidence_interval_lower": has_score,
        "confidence_interval_upper": has_score,
        "avg_feedback_rating": F.col("feedback_rating").isNotNull(),
        "avg_response_time_seconds": response_time().isNotNull(),
        "avg_learning_impact": F.col("learning_outcome_improvement").isNotNull(),
    }
    return evidence_of([part(PROMPTS, prompts, columns_of(labels))], usable)
