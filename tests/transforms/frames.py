"""Frames of which a case of a test gives some columns and leaves the others open."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from transforms.payloads import group_id, latency_ms, with_payload_object
from transforms.people import person


def with_columns(frame: DataFrame, types: dict[str, str]) -> DataFrame:
    """The frame with the columns that a transform reads but the case leaves open: null."""
    missing = {name: F.lit(None).cast(kind) for name, kind in types.items() if name not in frame.columns}
    return frame.withColumns(missing)


def spans_of(frame: DataFrame) -> DataFrame:
    """Spans of which a case gives some columns."""
    scores = {"engagement_score": "decimal(5,2)", "participation_rate": "decimal(5,2)"}
    times = {"start": "timestamp", "recorded_end": "timestamp", "end": "timestamp"}
    return with_columns(frame, {"teacher_id": "string", **scores, **times})


def groups_of(frame: DataFrame) -> DataFrame:
    """Groups with their readiness of which a case gives some columns."""
    scores = ("collaboration_score", "argumentation_quality", "topical_cohesion", "conceptual_density")
    return with_columns(frame, {"status": "string", "ready_at": "timestamp", **dict.fromkeys(scores, "decimal(5,2)")})


def events_of(frame: DataFrame) -> DataFrame:
    """Usable events: what metrics read of their payload in its place."""
    read = {"group_id": group_id(F.col("payload_object")), "latency_ms": latency_ms(F.col("payload_object"))}
    return with_payload_object(frame).withColumns(read).drop("payload", "payload_object")


def participants_of(frame: DataFrame) -> DataFrame:
    """Usable participants of which a case gives some columns: the person that each is instead of its identifiers."""
    texts = {"student_id": "string", "anonymous_id": "string", "connection_quality": "string"}
    return with_columns(frame, texts).withColumn("person", person()).drop("student_id", "anonymous_id")
