"""The source rows that one row of the hourly rollup was computed from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.catalog import (
    ANALYSIS_RESULTS,
    API_METRICS,
    GROUPS,
    INTERVENTIONS,
    PARTICIPANTS,
    PROMPTS,
    RECORDINGS,
    SESSION_ANALYTICS,
    SESSION_EVENTS,
    SESSIONS,
    SYSTEM_EVENTS,
    TRANSCRIPTIONS,
)
from transforms.columns import instant, normalised
from transforms.dashboard_metrics_hourly import ALERTS, ERRORS, analysis_end, connection_stability, in_schools, stay_end
from transforms.evidence.parts import Labels, PlacedBy, columns_of, evidence_of, no_columns, part, ready_events
from transforms.sessions import group_readiness, group_totals, session_quality
from transforms.windows import HourWindow

DEFINING_COLUMN = "data_sources_count"
"""The column whose source rows make a row exist: they are also the evidence for the row's key."""


def evidence_of_hour(spans: DataFrame, usable: Mapping[str, DataFrame], school: str, window: HourWindow) -> DataFrame:
    """The evidence for this school's row of the window's one hour: see `evidence_of`.

    `usable` also has the rows' `id` and their `row_time`.
    """
    own = spans.where(F.col("school_id") == school)
    in_hour = window.contains

    def facts(source: str) -> DataFrame:
        return in_schools(usable[source], own)

    def plain(source: str, moment: str, labels: Labels) -> DataFrame:
        return part(source, facts(source).where(in_hour(F.col(moment))), columns_of(labels))

    parts = [
        *_of_sessions(own, usable, window),
        _of_participants(own, usable[PARTICIPANTS], window),
        plain(SESSION_EVENTS, "event_time", {"avg_latency_ms": F.col("latency_ms").isNotNull(), DEFINING_COLUMN: True}),
        part(
            TRANSCRIPTIONS,
            facts(TRANSCRIPTIONS).where(F.col("is_final") & in_hour(F.col("start_time"))),
            columns_of(
                {
                    "avg_audio_quality": F.col("confidence_score").isNotNull(),
                    "total_transcription_minutes": True,
                    "estimated_compute_cost": True,
                    DEFINING_COLUMN: True,
                }
            ),
        ),
        _of_prompts(facts(PROMPTS), window),
        part(
            INTERVENTIONS,
            facts(INTERVENTIONS).where(F.col("acted_upon") & in_hour(F.col("acted_at"))),
            columns_of({"total_interventions": True, DEFINING_COLUMN: True}),
        ),
        _of_system_events(own, usable[SYSTEM_EVENTS], school, window),
        part(
            API_METRICS,
            usable[API_METRICS].where((F.col("school_id") == school) & in_hour(F.col("timestamp"))),
            columns_of(
                {
                    "avg_response_time": F.col("response_time_ms").isNotNull(),
                    "error_rate": F.col("status_code").isNotNull(),
                    DEFINING_COLUMN: True,
                }
            ),
            has_session=False,
        ),
        plain(
            ANALYSIS_RESULTS,
            "analysis_timestamp",
            {
                "ai_analyses_completed": True,
                "avg_ai_processing_time": F.col("processing_time_ms").isNotNull(),
                "estimated_compute_cost": F.col("processing_time_ms").isNotNull(),
                DEFINING_COLUMN: True,
            },
        ),
        _of_session_analyses(facts(SESSION_ANALYTICS), window),
        part(
            RECORDINGS,
            facts(RECORDINGS).where(F.col("created_at") < instant(window.end)),
            columns_of({"total_storage_gb": F.col("file_size_bytes").isNotNull()}),
        ),
    ]
    return evidence_of(parts, usable, by_start=(DEFINING_COLUMN,), by_end=(DEFINING_COLUMN,))


def _of_sessions(own: DataFrame, usable: Mapping[str, DataFrame], window: HourWindow) -> list[DataFrame]:
    """Active and completed sessions, and the groups of the active ones."""
    readiness = group_readiness(usable[GROUPS], usable[SESSION_EVENTS])
    is_active = F.coalesce(F.size(window.overlapped_hours(F.col("start"), F.col("end"))) > 0, F.lit(False))
    is_completed = F.coalesce(window.contains(F.col("recorded_end")), F.lit(False))
    starts = usable[SESSIONS].select(F.col("id").alias("session_id"), "actual_start")
    sessions = (
        own.where(F.col("start").isNotNull())
        .join(group_totals(readiness), "session_id", how="left")
        .join(starts, "session_id", how="inner")
        .withColumns({"is_active": is_active, "is_completed": is_completed, "quality": session_quality()})
        .withColumn("id", F.col("session_id"))
    )

    def active(condition: Column | None = None) -> Column:
        return F.col("is_active") if condition is None else F.col("is_active") & condition

    of_sessions = columns_of(
        {
            "sessions_active": active(),
            "sessions_completed": F.col("is_completed"),
            "teachers_active": active(F.col("teacher_id").isNotNull()),
            "avg_session_quality": active(F.col("quality").isNotNull()),
            "avg_engagement_score": active(F.col("engagement_score").isNotNull()),
            "avg_participation_rate": active(F.col("participation_rate").isNotNull()),
            DEFINING_COLUMN: F.col("is_active") | F.col("is_completed"),
        }
    )
    has_score = F.col("collaboration_score").isNotNull()
    groups = (
        usable[GROUPS]
        .join(sessions.where("is_active").select("session_id"), "session_id", how="inner")
        .join(ready_events(usable[SESSION_EVENTS]), ["session_id", "id"], how="left")
    )
    # The hour's end is exclusive.
    is_ready = F.coalesce(F.col("ready_event.at") < instant(window.start + timedelta(hours=1)), F.lit(False))
    of_groups = columns_of(
        {
            "total_groups": True,
            "ready_groups": is_ready,
            "avg_session_quality": has_score,
            "avg_collaboration_score": has_score,
        }
    )
    return [
        part(SESSIONS, sessions, of_sessions, PlacedBy(start=of_sessions, end=of_sessions)),
        part(
            GROUPS,
            groups,
            of_groups,
            PlacedBy(start=of_groups, end=of_groups, ready=columns_of({"ready_groups": is_ready})),
        ),
    ]


def _of_participants(own: DataFrame, participants: DataFrame, window: HourWindow) -> DataFrame:
    """Participants present in the hour; the span of their session matters if they have no `leave_time`."""
    present = (
        participants.join(own.select("session_id", "end"), "session_id", how="inner")
        .withColumn("present_until", stay_end())
        .where(
            F.coalesce(F.size(window.overlapped_hours(F.col("join_time"), F.col("present_until"))) > 0, F.lit(False))
        )
    )
    columns = columns_of(
        {
            "students_active": True,
            "avg_connection_stability": connection_stability().isNotNull(),
            "websocket_connections": F.col("present_until") > F.col("join_time"),
            DEFINING_COLUMN: True,
        }
    )
    by_span = F.when(F.col("leave_time").isNull(), columns).otherwise(no_columns())
    return part(PARTICIPANTS, present, columns, PlacedBy(start=by_span, end=by_span))


def _of_prompts(prompts: DataFrame, window: HourWindow) -> DataFrame:
    generated = F.coalesce(window.contains(F.col("generated_at")), F.lit(False))
    used = F.coalesce(window.contains(F.col("used_at")), F.lit(False))
    return part(
        PROMPTS,
        prompts,
        columns_of(
            {"total_prompts_generated": generated, "total_prompts_used": used, DEFINING_COLUMN: generated | used}
        ),
    )


def _of_system_events(own: DataFrame, events: DataFrame, school: str, window: HourWindow) -> DataFrame:
    """An event with its own school is placed by it; any other by its session."""
    sessions = own.select("session_id", F.lit(True).alias("is_own"))
    severity = normalised(F.col("severity"))
    placed = (
        events.where(window.contains(F.col("created_at")))
        .join(sessions, "session_id", how="left")
        .where((F.col("school_id") == school) | (F.col("school_id").isNull() & F.col("is_own")))
        .withColumn("session_id", F.when(F.col("school_id").isNull(), F.col("session_id")))
    )
    labels: Labels = {
        "total_errors": severity.isin(*ERRORS),
        "total_alerts": severity.isin(*ALERTS),
        DEFINING_COLUMN: True,
    }
    return part(SYSTEM_EVENTS, placed, columns_of(labels))


def _of_session_analyses(analyses: DataFrame, window: HourWindow) -> DataFrame:
    labels: Labels = {"ai_analysis_success_rate": True, DEFINING_COLUMN: True}
    return part(SESSION_ANALYTICS, analyses.where(window.contains(analysis_end())), columns_of(labels))
