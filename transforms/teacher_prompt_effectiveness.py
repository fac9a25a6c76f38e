"""How well prompts work: one row per category, subject, phase, priority and period."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from transforms.catalog import PROMPTS
from transforms.columns import mean, percentage, standard_deviation
from transforms.combine import as_count
from transforms.inputs import RollupInputs
from transforms.prompts import response_time
from transforms.student_t import student_t_95
from transforms.windows import PeriodWindow

DIMENSIONS = ("prompt_category", "subject_area", "session_phase", "priority_level")
UNKNOWN = "unknown"
"""The value of a dimension that a prompt does not have."""
PERIOD = ("calculation_period_start", "calculation_period_end")
MIN_DATA_POINTS = 5
"""With fewer scores there is no interval: its width would say nothing."""

_COUNTS = ("total_generated", "total_acknowledged", "total_used", "total_dismissed", "data_points")


def prompts_by_period(prompts: DataFrame, window: PeriodWindow) -> DataFrame:
    """One row per combination of dimensions and period: counts and means of its prompts. Null is `UNKNOWN`."""
    start = window.period_start(F.col("generated_at"))
    score = F.col("effectiveness_score").cast("double")
    return (
        prompts.where(window.contains(F.col("generated_at")))
        .withColumns({name: F.coalesce(name, F.lit(UNKNOWN)) for name in DIMENSIONS})
        .withColumn("calculation_period_start", start)
        .withColumn("calculation_period_end", window.next_period_start(F.col("calculation_period_start")))
        .groupBy(*DIMENSIONS, *PERIOD)
        .agg(
            F.count("*").alias("total_generated"),
            F.count("acknowledged_at").alias("total_acknowledged"),
            F.count("used_at").alias("total_used"),
            F.count("dismissed_at").alias("total_dismissed"),
            mean(score).alias("avg_effectiveness_score"),
            mean(F.col("feedback_rating")).alias("avg_feedback_rating"),
            mean(response_time()).alias("avg_response_time_seconds"),
            mean(F.col("learning_outcome_improvement")).alias("avg_learning_impact"),
            F.count(score).alias("data_points"),
            standard_deviation(score).alias("std_dev_effectiveness"),
        )
    )


def teacher_prompt_effectiveness(inputs: RollupInputs, window: PeriodWindow) -> DataFrame:
    """The rows of the window's periods: every column but `id` and audit columns.

    The interval is Student's: mean -+ t x s / sqrt(n), with n - 1 degrees of freedom. Of the inputs, only the usable
    prompts are read.
    """
    n, average = F.col("data_points"), F.col("avg_effectiveness_score")
    margin = F.when(
        n >= MIN_DATA_POINTS, student_t_95(n - 1) * F.col("std_dev_effectiveness") / F.sqrt(n.cast("double"))
    )
    generated = F.col("total_generated")
    return (
        prompts_by_period(inputs.usable[PROMPTS], window)
        .withColumns(
            {
                "acknowledgment_rate": percentage(F.col("total_acknowledged"), generated),
                "usage_rate": percentage(F.col("total_used"), generated),
                "dismissal_rate": percentage(F.col("total_dismissed"), generated),
                "confidence_interval_lower": average - margin,
                "confidence_interval_upper": average + margin,
            }
        )
        .withColumns({name: as_count(name) for name in _COUNTS})
    )
