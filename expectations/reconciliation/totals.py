"""Totals of usable rows, by routes that neither multiply nor lose a row.

No transform's join is repeated here: sessions and events are combined by a union, and a fact is placed by a semi-join
or by a lookup grouped to one row per key. So a fan-out or a lost row in a transform shows up.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.columns import normalised
from transforms.combine import union_all

HOUR_IN_MICROS = 3_600_000_000


def totals_of(rows: DataFrame, totals: Mapping[str, Column]) -> DataFrame:
    """One row per total, `name` and `total`, from one pass over the rows; 0 over nothing."""
    summed = rows.agg(*[total.alias(name) for name, total in totals.items()])
    named = [
        F.struct(F.lit(name).alias("name"), F.coalesce(F.col(name).cast("double"), F.lit(0.0)).alias("total"))
        for name in totals
    ]
    return summed.select(F.explode(F.array(*named)).alias("of")).select("of.*")


def session_ends(sessions: DataFrame, events: DataFrame, max_session_hours: int, open_session_hours: int) -> DataFrame:
    """One row per usable session with a start: its school, its teacher and its span in microseconds."""
    event_type = normalised(F.col("event_type"))
    of_sessions = sessions.select(
        F.col("id").alias("session_id"),
        "school_id",
        "teacher_id",
        "actual_start",
        "actual_end",
        F.lit(True).alias("is_session"),
    )
    of_events = events.select(
        "session_id",
        F.when(event_type == "started", F.col("event_time")).alias("started_at"),
        F.when(event_type == "ended", F.col("event_time")).alias("ended_at"),
    )
    spans = (
        union_all((of_sessions, of_events))
        .groupBy("session_id")
        .agg(
            F.max("is_session").alias("is_session"),
            F.max("school_id").alias("school_id"),
            F.max("teacher_id").alias("teacher_id"),
            F.unix_micros(F.coalesce(F.min("started_at"), F.max("actual_start"))).alias("start"),
            F.unix_micros(F.coalesce(F.max("ended_at"), F.max("actual_end"))).alias("raw_end"),
        )
        .where(F.col("is_session") & F.col("start").isNotNull())
    )
    latest = F.col("start") + max_session_hours * HOUR_IN_MICROS
    clipped = F.when(F.col("raw_end") < F.col("start"), F.col("start")).when(F.col("raw_end") > latest, latest)
    recorded = F.when(F.col("raw_end").isNotNull(), F.coalesce(clipped, F.col("raw_end")))
    return spans.withColumn("recorded_end", recorded).withColumn(
        "end", F.coalesce("recorded_end", F.col("start") + open_session_hours * HOUR_IN_MICROS)
    )
