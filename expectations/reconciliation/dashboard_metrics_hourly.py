"""What the hourly rollup's rows must add up to, straight from the usable rows.

No join of the transform is repeated here: a fact finds out that its session has a school by a semi-join, which can
neither multiply nor lose it, and a session meets its events in a union. So a fan-out or a lost row shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.columns import normalised

STAGED_TOTALS: Mapping[str, str] = {
    "sessions_active": "sum(sessions_active)",
    "sessions_completed": "sum(sessions_completed)",
    "total_prompts_generated": "sum(total_prompts_generated)",
    "total_prompts_used": "sum(total_prompts_used)",
    "total_interventions": "sum(total_interventions)",
    "total_alerts": "sum(total_alerts)",
    "total_errors": "sum(total_errors)",
    "ai_analyses_completed": "sum(ai_analyses_completed)",
    "total_transcription_minutes": "sum(total_transcription_minutes)",
}
"""Name of the total to the SQL over the staged rows that makes it."""


def _total(name: str, rows: DataFrame, value: Column) -> DataFrame:
    return rows.agg(F.coalesce(value.cast("double"), F.lit(0.0)).alias("total")).select(
        F.lit(name).alias("name"), "total"
    )


def _ends_of_sessions(
    sessions: DataFrame, events: DataFrame, max_session_hours: int, open_session_hours: int
) -> DataFrame:
    """One row per session: `school_id` and its span in microseconds, from a union instead of a join."""
    event_type = normalised(F.col("event_type"))
    of_sessions = sessions.select(
        F.col("id").alias("session_id"), "school_id", "actual_start", "actual_end", F.lit(True).alias("is_session")
    )
    of_events = events.select(
        "session_id",
        F.when(event_type == "started", F.col("event_time")).alias("started_at"),
        F.when(event_type == "ended", F.col("event_time")).alias("ended_at"),
    )
    spans = (
        of_sessions.unionByName(of_events, allowMissingColumns=True)
        .groupBy("session_id")
        .agg(
            F.max("is_session").alias("is_session"),
            F.max("school_id").alias("school_id"),
            F.unix_micros(F.coalesce(F.min("started_at"), F.max("actual_start"))).alias("start"),
            F.unix_micros(F.coalesce(F.max("ended_at"), F.max("actual_end"))).alias("raw_end"),
        )
        .where(F.col("is_session") & F.col("start").isNotNull() & F.col("school_id").isNotNull())
    )
    hour = 3_600_000_000
    latest = F.col("start") + max_session_hours * hour
    clipped = F.when(F.col("raw_end") < F.col("start"), F.col("start")).when(F.col("raw_end") > latest, latest)
    recorded = F.when(F.col("raw_end").isNotNull(), F.coalesce(clipped, F.col("raw_end")))
    return spans.withColumn("recorded_end", recorded).withColumn(
        "end", F.coalesce("recorded_end", F.col("start") + open_session_hours * hour)
    )


def _hours_overlapped(start: datetime, end: datetime) -> Column:
    """How many of the hours of `[start, end)` a session's span overlaps, by arithmetic."""
    hour = 3_600_000_000
    first_of_window, end_of_window = (int(moment.timestamp() * 1_000_000) // hour for moment in (start, end))
    first = F.floor(F.col("start") / hour)
    last = F.when(F.col("end") > F.col("start"), F.floor((F.col("end") - 1) / hour)).otherwise(first)
    return F.greatest(F.lit(0), F.least(last, F.lit(end_of_window - 1)) - F.greatest(first, F.lit(first_of_window)) + 1)


def source_totals(
    usable: Mapping[str, DataFrame], start: datetime, end: datetime, max_session_hours: int, open_session_hours: int
) -> DataFrame:
    """One row per total: `name` and `total` over the facts of the hours `[start, end)` that have a school."""
    sessions = usable["sessions.classroom_sessions"]
    in_school = sessions.where(F.col("school_id").isNotNull()).select(F.col("id").alias("session_id"))
    spans = _ends_of_sessions(sessions, usable["analytics.session_events"], max_session_hours, open_session_hours)
    first, last = (int(moment.timestamp() * 1_000_000) for moment in (start, end))

    def of_schools(source: str) -> DataFrame:
        return usable[source].join(in_school, "session_id", how="left_semi")

    def in_window(moment: Column) -> Column:
        return moment.between(first, last - 1)

    def count_at(moment: str) -> Column:
        return F.count_if(in_window(F.unix_micros(F.col(moment))))

    transcriptions = of_schools("sessions.transcriptions").where(
        F.col("is_final") & in_window(F.unix_micros("start_time"))
    )
    seconds = F.coalesce(
        F.col("duration_seconds").cast("double"), (F.unix_micros("end_time") - F.unix_micros("start_time")) / 1e6
    )
    prompts = of_schools("ai_insights.teacher_guidance_metrics")
    acted = of_schools("ai_insights.intervention_suggestions").where(F.col("acted_upon"))
    events = usable["operational.system_events"]
    placed = events.where(F.col("school_id").isNotNull()).unionByName(
        events.where(F.col("school_id").isNull()).join(in_school, "session_id", how="left_semi")
    )
    severity = normalised(F.col("severity"))
    at_created = in_window(F.unix_micros("created_at"))
    totals = [
        _total("sessions_active", spans, F.sum(_hours_overlapped(start, end))),
        _total("sessions_completed", spans, F.count_if(in_window(F.col("recorded_end")))),
        _total("total_prompts_generated", prompts, count_at("generated_at")),
        _total("total_prompts_used", prompts, count_at("used_at")),
        _total("total_interventions", acted, count_at("acted_at")),
        _total("total_alerts", placed, F.count_if(at_created & severity.isin("warning", "error", "critical"))),
        _total("total_errors", placed, F.count_if(at_created & severity.isin("error", "critical"))),
        _total("ai_analyses_completed", of_schools("ai_insights.analysis_results"), count_at("analysis_timestamp")),
        _total("total_transcription_minutes", transcriptions, F.sum(seconds) / 60),
    ]
    return reduce(lambda a, b: a.unionByName(b), totals)
