"""What makes a row of each source usable, and what the metrics read from it: the one table of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    TEACHERS,
    TRANSCRIPTIONS,
)

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

EVENT_TYPES = ("configured", "started", "leader_ready", "member_join", "member_leave", "ended")


@dataclass(frozen=True)
class SourceRules:
    """What makes a row of one source unusable, besides a missing key and a newer copy.

    `metric_columns`: what metrics read from a usable row. `placed_by`: the time without which the row belongs nowhere.
    `listed_by`: for a source without such a time, the one that identifies rows to the reader of a list.
    `in_session`: whether the row needs a usable session. `personal`: the personal columns that a metric needs; no other
    personal column is ever read, and of these only what `clean_values` derives goes any further.
    `is_read_whole`: whether all rows are needed whatever the window, because they place others or are a stock.
    """

    metric_columns: tuple[str, ...]
    placed_by: str | None = None
    in_session: bool = False
    event_types: tuple[str, ...] = ()
    has_duration: bool = False
    personal: tuple[str, ...] = ()
    is_read_whole: bool = False
    listed_by: str | None = None

    @property
    def row_time(self) -> str:
        """The column with the time by which a row is listed."""
        return self.placed_by or self.listed_by or "created_at"


RULES: Mapping[str, SourceRules] = {
    SESSIONS: SourceRules(
        (
            "id",
            "school_id",
            "teacher_id",
            "engagement_score",
            "participation_rate",
            "actual_duration_minutes",
            "actual_start",
            "actual_end",
        ),
        is_read_whole=True,
        listed_by="actual_start",
    ),
    GROUPS: SourceRules(
        (
            "id",
            "session_id",
            "status",
            "collaboration_score",
            "argumentation_quality",
            "topical_cohesion",
            "conceptual_density",
        ),
        in_session=True,
    ),
    PARTICIPANTS: SourceRules(
        ("session_id", "person", "join_time", "leave_time", "connection_quality"),
        placed_by="join_time",
        in_session=True,
        personal=("student_id", "anonymous_id"),
    ),
    TRANSCRIPTIONS: SourceRules(
        ("session_id", "start_time", "seconds", "confidence_score", "is_final"),
        placed_by="start_time",
        in_session=True,
        has_duration=True,
    ),
    SESSION_EVENTS: SourceRules(
        ("session_id", "event_type", "event_time", "group_id", "latency_ms"),
        placed_by="event_time",
        in_session=True,
        event_types=EVENT_TYPES,
        personal=("payload",),
    ),
    SESSION_ANALYTICS: SourceRules(
        ("session_id", "status", "computed_at", "failed_at"), in_session=True, listed_by="computed_at"
    ),
    PROMPTS: SourceRules(
        (
            "session_id",
            "teacher_id",
            "prompt_category",
            "subject_area",
            "session_phase",
            "priority_level",
            "generated_at",
            "acknowledged_at",
            "used_at",
            "dismissed_at",
            "response_time_seconds",
            "effectiveness_score",
            "feedback_rating",
            "learning_outcome_improvement",
        ),
        placed_by="generated_at",
        in_session=True,
    ),
    INTERVENTIONS: SourceRules(
        ("session_id", "created_at", "acted_upon", "acted_at"), placed_by="created_at", in_session=True
    ),
    ANALYSIS_RESULTS: SourceRules(
        ("session_id", "analysis_timestamp", "processing_time_ms"), placed_by="analysis_timestamp", in_session=True
    ),
    RECORDINGS: SourceRules(("session_id", "created_at", "file_size_bytes"), in_session=True, is_read_whole=True),
    API_METRICS: SourceRules(("school_id", "timestamp", "response_time_ms", "status_code"), placed_by="timestamp"),
    SYSTEM_EVENTS: SourceRules(("session_id", "school_id", "created_at", "severity"), placed_by="created_at"),
    TEACHERS: SourceRules(("id", "school_id", "timezone"), is_read_whole=True, listed_by="updated_at"),
}


def columns_read(source: str, public_columns: Iterable[str]) -> tuple[str, ...]:
    """The columns of a source that a run reads: the public ones and the personal ones that a metric needs."""
    return (*public_columns, *RULES[source].personal)


def times_read(source: str, schema: StructType, also: Iterable[str] = ()) -> list[str]:
    """The timestamps in the schema that metrics read from the source's rows, and those of `also`."""
    names = fact_columns(source, also)
    return [field.name for field in schema if field.name in names and field.dataType.typeName() == "timestamp"]


def fact_columns(source: str, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The source's `metric_columns` and the columns `also`, each once."""
    return tuple(dict.fromkeys((*RULES[source].metric_columns, *also)))
