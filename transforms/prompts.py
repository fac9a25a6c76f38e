"""What two rollups compute from a prompt."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.columns import not_negative, seconds_between


def response_time() -> Column:
    """A prompt's response time in seconds: `response_time_seconds`, else from `generated_at` to the first reaction.

    The first reaction is the earliest of `acknowledged_at`, `used_at` and `dismissed_at`; if it precedes the prompt,
    the response time is null, even if a later reaction does not.
    """
    first_reaction = F.least("acknowledged_at", "used_at", "dismissed_at")
    measured = F.col("response_time_seconds").cast("double")
    return F.coalesce(measured, not_negative(seconds_between(F.col("generated_at"), first_reaction)))


def of_their_teachers(prompts: DataFrame, spans: DataFrame) -> DataFrame:
    """The prompts with the `teacher_id` that they count for: their own, else their session's."""
    teachers_of_sessions = spans.select("session_id", F.col("teacher_id").alias("session_teacher_id"))
    return prompts.join(teachers_of_sessions, "session_id", how="left").withColumn(
        "teacher_id", F.coalesce("teacher_id", "session_teacher_id")
    )
