"""What is wrong with the sample: a few rows of every reason to reject one, and of every measure out of its range.

Defects only add rows: each is a copy of a row of the first session with something broken, under a key of its own
that says what. The believable rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of

Changes = Mapping[str, Column]
"""The columns that a broken copy does not share with its model, and their values."""

FIRST_SESSION_ID = "session-000001"
MODELS = {
    "users.teachers": "teacher-000001",
    "sessions.classroom_sessions": FIRST_SESSION_ID,
    "sessions.student_groups": "group-000001-1",
    "sessions.participants": "participant-000001-1-1-1",
    "sessions.transcriptions": "transcription-000001-1",
    "analytics.session_events": "event-000001-started",
    "analytics.session_analytics": "session-analytics-000001",
    "ai_insights.teacher_guidance_metrics": "guidance-000001-1",
    "ai_insights.intervention_suggestions": "intervention-000001-1",
    "ai_insights.analysis_results": "analysis-000001",
    "operational.api_metrics": "request-000001-1",
    "operational.system_events": "system-event-000001-1",
    "audio.recordings": "recording-000001-1",
}
"""The row of each table that its broken rows are copies of."""

TIMES = {
    "analytics.session_events": "event_time",
    "sessions.transcriptions": "start_time",
    "ai_insights.teacher_guidance_metrics": "generated_at",
    "sessions.participants": "join_time",
    "ai_insights.intervention_suggestions": "created_at",
    "operational.system_events": "created_at",
    "operational.api_metrics": "timestamp",
    "ai_insights.analysis_results": "analysis_timestamp",
}
"""The time that places a row of each table."""


def with_defects(tables: Mapping[str, DataFrame]) -> dict[str, DataFrame]:
    """The tables, each with its broken rows where it has any."""
    return {name: _with_broken_rows(name, frame) if name in MODELS else frame for name, frame in tables.items()}


def _with_broken_rows(table: str, frame: DataFrame) -> DataFrame:
    changes = {**_common(table), **_particular(table)}
    columns = contract_of(table).columns
    names = [column.name for column in columns]
    model = frame.filter(F.col("id") == MODELS[table])
    if "session_id" in names and table != "operational.system_events":
        # Implied by the key, but Spark can apply it before it multiplies the sessions' rows.
        model = model.filter(F.col("session_id") == FIRST_SESSION_ID)
    copies = model.withColumn("defect", F.explode(F.array(*map(F.lit, changes))))
    broken = copies.select(*(_broken(column.name, changes).cast(column.type).alias(column.name) for column in columns))
    return frame.unionByName(broken)


def _broken(column: str, changes: Mapping[str, Changes]) -> Column:
    """The column's value in each copy: changed, or the model's; a key that is not changed is made a new one."""
    value = F.concat_ws("-", "id", "defect") if column == "id" else F.col(column)
    for defect, change in changes.items():
        if column in change:
            value = F.when(F.col("defect") == defect, change[column]).otherwise(value)
    return value


def _common(table: str) -> dict[str, Changes]:
    """Missing and duplicate keys, orphans, missing times."""
    columns = contract_of(table).column_names
    stamps = set(columns) & {"created_at", "updated_at"}
    an_hour_older: Changes = {name: F.timestamp_seconds(F.unix_seconds(name) - 3600) for name in stamps}
    defects: dict[str, Changes] = {
        "no-key": {"id": F.lit(None)},
        "blank-key": {"id": F.lit("  ")},
        "stale-copy": {"id": F.col("id"), **an_hour_older},
    }
    if "session_id" in columns and table != "operational.system_events":
        defects["orphan"] = {"session_id": F.lit("session-that-never-was")}
        defects["no-session"] = {"session_id": F.lit(None)}
    if table in TIMES:
        defects["no-time"] = {TIMES[table]: F.lit(None)}
    return defects


def _hours_after(moment: str, hours: int) -> Column:
    return F.timestamp_seconds(F.unix_seconds(moment) + 3600 * hours)


def _particular(table: str) -> dict[str, Changes]:
    """What can go wrong in this table only."""
    null, text = F.lit(None), F.lit
    particular: dict[str, dict[str, Changes]] = {
        "users.teachers": {"no-zone": {"timezone": null}, "wrong-zone": {"timezone": text("Atlantis/Main_Square")}},
        "sessions.classroom_sessions": {
            "open": {"actual_end": null, "actual_duration_minutes": null, "status": text("active")},
            "endless": {"actual_end": _hours_after("actual_start", 30), "actual_duration_minutes": null},
            "no-start": {"actual_start": null},
            "no-school": {"school_id": null},
            "too-engaged": {"engagement_score": F.lit(140), "participation_rate": F.lit(-5)},
            "negative-minutes": {"actual_duration_minutes": F.lit(-45)},
        },
        "sessions.student_groups": {
            "bad-scores": {"collaboration_score": F.lit(250), "argumentation_quality": F.lit(-1)},
        },
        "sessions.participants": {"left-before": {"leave_time": _hours_after("join_time", -1)}},
        "sessions.transcriptions": {
            "negative": {"duration_seconds": F.lit(-3)},
            "backwards": {"duration_seconds": null, "end_time": _hours_after("start_time", -1)},
            "no-end": {"duration_seconds": null, "end_time": null},
            "too-sure": {"confidence_score": F.lit(1.5)},
        },
        "analytics.session_events": {
            "unknown-type": {"event_type": text("paused")},
            "no-type": {"event_type": null},
            "no-json": {"payload": text("ready!")},
            "cut-json": {"payload": text('{"groupId": "group-0')},
            "array": {"payload": text("[1, 2]")},
            "empty": {"payload": text("")},
            "json-null": {"payload": text("null")},
            "no-payload": {"payload": null},
            "text-latency": {"payload": text('{"groupId": 7, "latencyMs": "fast"}')},
        },
        "ai_insights.teacher_guidance_metrics": {
            "six-stars": {"feedback_rating": F.lit(6), "response_time_seconds": F.lit(-20)},
            "not-a-number": {"effectiveness_score": F.lit(float("nan")), "used_at": F.col("generated_at")},
            "new-category": {"prompt_category": text("juggling"), "priority_level": text(" HIGH ")},
        },
        "ai_insights.analysis_results": {"negative": {"processing_time_ms": F.lit(-1)}},
        "operational.api_metrics": {"negative": {"response_time_ms": F.lit(-1)}},
        "audio.recordings": {"negative": {"file_size_bytes": F.lit(-1)}},
    }
    return particular.get(table, {})
