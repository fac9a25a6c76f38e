"""The sample's defects: a few rows for every reason to reject one, and for every measure out of range.

Defects only add rows: each is a copy of a row of the first session with something broken, under a new key that says
what. The realistic rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
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
from transforms.source_rules import RULES

Overrides = Mapping[str, str]
"""The columns in which a broken copy differs from its model, and their values as SQL."""

FIRST_SESSION_ID = "session-000001"
MODELS = {
    TEACHERS: "teacher-000001",
    SESSIONS: FIRST_SESSION_ID,
    GROUPS: "group-000001-1",
    PARTICIPANTS: "participant-000001-1-1-1",
    TRANSCRIPTIONS: "transcription-000001-1",
    SESSION_EVENTS: "event-000001-started",
    SESSION_ANALYTICS: "session-analytics-000001",
    PROMPTS: "guidance-000001-1",
    INTERVENTIONS: "intervention-000001-1",
    ANALYSIS_RESULTS: "analysis-000001",
    API_METRICS: "request-000001-1",
    SYSTEM_EVENTS: "system-event-000001-1",
    RECORDINGS: "recording-000001-1",
}
"""The row of each table from which its broken rows are copied."""


def with_defects(tables: Mapping[str, DataFrame]) -> dict[str, DataFrame]:
    """The tables, each with its broken rows if it has any."""
    return {name: _with_broken_rows(name, frame) if name in MODELS else frame for name, frame in tables.items()}


def _with_broken_rows(table: str, frame: DataFrame) -> DataFrame:
    overrides = {**_common(table), **_particular(table)}
    model = frame.filter(F.col("id") == MODELS[table])
    if RULES[table].in_session:
        # Implied by the key, but Spark can apply it before multiplying the sessions' rows.
        model = model.filter(F.col("session_id") == FIRST_SESSION_ID)
    copies = model.withColumn("defect", F.explode(F.array(*map(F.lit, overrides))))
    values = [f"CAST({_broken(c.name, overrides)} AS {c.type}) AS `{c.name}`" for c in contract_of(table).columns]
    return frame.unionByName(copies.selectExpr(*values))


def _broken(column: str, overrides: Mapping[str, Overrides]) -> str:
    """The column's value in each copy: overridden, or the model's; a key that is not overridden becomes a new one."""
    value = "concat(id, '-', defect)" if column == "id" else f"`{column}`"
    cases = [f"WHEN '{defect}' THEN {values[column]}" for defect, values in overrides.items() if column in values]
    return f"CASE defect {' '.join(cases)} ELSE {value} END" if cases else value


def _common(table: str) -> dict[str, Overrides]:
    """Missing and duplicate keys, orphans, missing times."""
    columns = contract_of(table).column_names
    older: Overrides = {name: _hours_after(name, -1) for name in ("created_at", "updated_at") if name in columns}
    defects: dict[str, Overrides] = {
        "no-key": {"id": "NULL"},
        "blank-key": {"id": "'  '"},
        "stale-copy": {"id": "id", **older},
    }
    rules = RULES[table]
    if rules.in_session:
        defects["orphan"] = {"session_id": "'session-that-never-was'"}
        defects["no-session"] = {"session_id": "NULL"}
    if rules.placed_by:
        defects["no-time"] = {rules.placed_by: "NULL"}
    return defects


def _hours_after(moment: str, hours: int) -> str:
    return f"timestamp_seconds(unix_seconds({moment}) + {3600 * hours})"


def _particular(table: str) -> dict[str, Overrides]:
    """What can go wrong in this table only."""
    particular: dict[str, dict[str, Overrides]] = {
        TEACHERS: {
            "no-zone": {"timezone": "NULL"},
            "wrong-zone": {"timezone": "'Atlantis/Main_Square'"},
        },
        SESSIONS: {
            "open": {"actual_end": "NULL", "actual_duration_minutes": "NULL", "status": "'active'"},
            "endless": {"actual_end": _hours_after("actual_start", 30), "actual_duration_minutes": "NULL"},
            "no-start": {"actual_start": "NULL"},
            "no-school": {"school_id": "NULL"},
            "bad-scores": {"engagement_score": "140", "participation_rate": "-5"},
            "negative-minutes": {"actual_duration_minutes": "-45"},
        },
        GROUPS: {
            "bad-scores": {"collaboration_score": "250", "argumentation_quality": "-1"},
        },
        PARTICIPANTS: {"left-before": {"leave_time": _hours_after("join_time", -1)}},
        TRANSCRIPTIONS: {
            "negative": {"duration_seconds": "-3"},
            "backwards": {"duration_seconds": "NULL", "end_time": _hours_after("start_time", -1)},
            "no-end": {"duration_seconds": "NULL", "end_time": "NULL"},
            "too-sure": {"confidence_score": "1.5"},
        },
        SESSION_EVENTS: {
            "unknown-type": {"event_type": "'paused'"},
            "no-type": {"event_type": "NULL"},
            "no-json": {"payload": "'ready!'"},
            "cut-json": {"payload": """'{"groupId": "group-0'"""},
            "array": {"payload": "'[1, 2]'"},
            "empty": {"payload": "''"},
            "json-null": {"payload": "'null'"},
            "no-payload": {"payload": "NULL"},
            "text-latency": {"payload": """'{"groupId": 7, "latencyMs": "fast"}'"""},
        },
        PROMPTS: {
            "bad-numbers": {"feedback_rating": "6", "response_time_seconds": "-20"},
            "not-a-number": {"effectiveness_score": "double('NaN')"},
            "odd-domains": {"prompt_category": "'juggling'", "priority_level": "' HIGH '"},
        },
        ANALYSIS_RESULTS: {"negative": {"processing_time_ms": "-1"}},
        API_METRICS: {"negative": {"response_time_ms": "-1"}},
        RECORDINGS: {"negative": {"file_size_bytes": "-1"}},
    }
    return particular.get(table, {})
