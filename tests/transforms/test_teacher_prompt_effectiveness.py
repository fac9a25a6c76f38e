"""Prompts by kind and period, column by column."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_rows
from tests.transforms.frames import with_columns
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.teacher_prompt_effectiveness import DIMENSIONS, PERIOD, teacher_prompt_effectiveness
from transforms.windows import PeriodLength, PeriodWindow

TYPES = {
    **dict.fromkeys(DIMENSIONS, "string"),
    **dict.fromkeys(("acknowledged_at", "used_at", "dismissed_at"), "timestamp"),
    "effectiveness_score": "double",
    "learning_outcome_improvement": "double",
    "feedback_rating": "int",
    "response_time_seconds": "int",
}


def rollup(prompts: DataFrame, first: str, end: str, length: PeriodLength = "week") -> DataFrame:
    """The rows of prompts of which a case gives some columns."""
    start, stop = (datetime.fromisoformat(text).replace(tzinfo=timezone.utc) for text in (first, end))
    usable = {"ai_insights.teacher_guidance_metrics": with_columns(prompts, TYPES)}
    spans = prompts.select(F.lit("s1").alias("session_id"))
    inputs = RollupInputs(spans, usable, start, MetricSettings())
    return teacher_prompt_effectiveness(inputs, PeriodWindow(start, stop, length))


def test_a_prompt_belongs_to_its_dimensions_and_the_week_in_which_it_was_made(table: Table) -> None:
    prompts = table("""
        prompt_category string | subject_area string | generated_at timestamp
        clarity                | math                | 2025-08-31 23:59:59.999999
        clarity                | math                | 2025-09-01 00:00:00
        clarity                | math                | 2025-09-07 23:59:59.999999
        clarity                | null                | 2025-09-03 12:00:00
        clarity                | math                | 2025-09-08 00:00:00
        clarity                | math                | 2025-09-15 00:00:00
    """)
    assert_rows(
        rollup(prompts, "2025-09-01", "2025-09-15").select(*DIMENSIONS, *PERIOD, "total_generated"),
        table("""
            prompt_category string | subject_area string | session_phase string | priority_level string | calculation_period_start timestamp | calculation_period_end timestamp | total_generated int
            clarity | math    | unknown | unknown | 2025-09-01 00:00:00 | 2025-09-08 00:00:00 | 2
            clarity | unknown | unknown | unknown | 2025-09-01 00:00:00 | 2025-09-08 00:00:00 | 1
            clarity | math    | unknown | unknown | 2025-09-08 00:00:00 | 2025-09-15 00:00:00 | 1
        """),  # noqa: E501
    )


def test_counts_rates_and_means_are_over_the_prompts_of_the_row(table: Table) -> None:
    prompts = table("""
        generated_at timestamp | acknowledged_at timestamp | used_at timestamp   | dismissed_at timestamp | effectiveness_score double | feedback_rating int | learning_outcome_improvement double
        2025-09-01 09:00:00    | 2025-09-01 09:00:10       | 2025-09-01 09:00:20 | null                   | 0.5  | 4    | -1.5
        2025-09-01 10:00:00    | 2025-09-01 10:00:30       | null                | 2025-09-01 10:00:40    | null | null | 2.5
        2025-09-01 11:00:00    | null                      | null                | null                   | 1.0  | 1    | null
        2025-09-01 12:00:00    | 2025-10-01 12:00:00       | null                | null                   | null | null | null
    """)  # noqa: E501
    names = (
        "total_generated",
        "total_acknowledged",
        "total_used",
        "total_dismissed",
        "acknowledgment_rate",
        "usage_rate",
        "dismissal_rate",
        "avg_effectiveness_score",
        "avg_feedback_rating",
        "avg_learning_impact",
        "avg_response_time_seconds",
        "data_points",
        "confidence_interval_lower",
    )
    (row,) = rollup(prompts, "2025-09-01", "2025-10-01", "month").select(*names).collect()
    assert tuple(row) == (4, 3, 1, 1, 75.0, 25.0, 25.0, 0.75, 2.5, 0.5, (10 + 30 + 30 * 86400) / 3, 2, None)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_the_interval_is_students_and_right_far_from_zero(table: Table, offset: float) -> None:
    """Of 1 to 5: the mean 3, s = sqrt(2.5), t of 4 degrees 2.776…; a sum of squares would lose it at a billion."""
    lines = "\n".join(f"2025-09-01 09:00:0{n} | {offset + n}" for n in range(1, 6))
    prompts = table(f"generated_at timestamp | effectiveness_score double\n{lines}")
    (row,) = rollup(prompts, "2025-09-01", "2025-09-02", "day").collect()
    assert row["std_dev_effectiveness"] == pytest.approx(2.5**0.5, rel=1e-9)
    assert row["avg_effectiveness_score"] == offset + 3
    margin = 2.776445105197794 * 0.5**0.5
    assert row["confidence_interval_lower"] == pytest.approx(offset + 3 - margin, rel=1e-12, abs=1e-9)
    assert row["confidence_interval_upper"] == pytest.approx(offset + 3 + margin, rel=1e-12, abs=1e-9)


def test_one_score_has_no_deviation_and_four_no_interval(table: Table) -> None:
    prompts = table("""
        prompt_category string | generated_at timestamp | effectiveness_score double
        clarity | 2025-09-01 09:00:00 | 0.5
        clarity | 2025-09-01 09:00:00 | null
        energy  | 2025-09-01 09:00:00 | 0.25
        energy  | 2025-09-01 09:00:00 | 0.25
        energy  | 2025-09-01 09:00:00 | 0.75
        energy  | 2025-09-01 09:00:00 | 0.75
    """)
    names = ("std_dev_effectiveness", "confidence_interval_lower", "confidence_interval_upper")
    found = {
        row[0]: tuple(row[1:])
        for row in rollup(prompts, "2025-09-01", "2025-09-08").select("prompt_category", *names).collect()
    }
    assert found == {"clarity": (None, None, None), "energy": (pytest.approx((1 / 12) ** 0.5), None, None)}
