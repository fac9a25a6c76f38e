"""Which rows of a source take part in the metrics, and why the others do not.

`RULES` is the one table of rules. `classified` judges each row of a source in one pass; `usable` and `findings` are
two views of what it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.columns import blank_to_null, normalised, seconds_between
from transforms.payloads import payload_object

EVENT_TYPES = ("configured", "started", "leader_ready", "member_join", "member_leave", "ended")

SESSIONS = "sessions.classroom_sessions"
EVENTS = "analytics.session_events"


@dataclass(frozen=True)
class SourceRules:
    """What makes a row of one source unusable, beyond a missing key and a newer copy.

    `placed_by`: the time without which the row belongs nowhere. `in_session`: whether it needs a usable session.
    `measured_from`: the personal columns that metrics read; no other personal column is ever read.
    """

    placed_by: str | None = None
    in_session: bool = False
    event_types: tuple[str, ...] = ()
    has_duration: bool = False
    measured_from: tuple[str, ...] = ()


RULES: Mapping[str, SourceRules] = {
    SESSIONS: SourceRules(),
    "sessions.student_groups": SourceRules(in_session=True),
    "sessions.participants": SourceRules(
        placed_by="join_time", in_session=True, measured_from=("student_id", "anonymous_id")
    ),
    "sessions.transcriptions": SourceRules(placed_by="start_time", in_session=True, has_duration=True),
    EVENTS: SourceRules(placed_by="event_time", in_session=True, event_types=EVENT_TYPES, measured_from=("payload",)),
    "analytics.session_analytics": SourceRules(in_session=True),
    "ai_insights.teacher_guidance_metrics": SourceRules(placed_by="generated_at", in_session=True),
    "ai_insights.intervention_suggestions": SourceRules(placed_by="created_at", in_session=True),
    "ai_insights.analysis_results": SourceRules(placed_by="analysis_timestamp", in_session=True),
    "audio.recordings": SourceRules(in_session=True),
    "operational.api_metrics": SourceRules(placed_by="timestamp"),
    "operational.system_events": SourceRules(placed_by="created_at"),
    "users.teachers": SourceRules(),
}

REASONS = (
    "missing_key",
    "duplicate_key",
    "missing_time",
    "unknown_event_type",
    "orphan_session",
    "negative_duration",
)


@dataclass(frozen=True)
class Measure:
    """A column whose values count as null outside of `[minimum, maximum]` (inclusive), or where they are not finite."""

    name: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Dimension:
    """A text column whose values, trimmed and in lower case, count as null outside of `values`."""

    name: str
    values: tuple[str, ...]


def columns_read(source: str, public_columns: Iterable[str]) -> tuple[str, ...]:
    """The columns of a source that a run reads: the public ones and the personal ones that a metric needs."""
    return (*public_columns, *RULES[source].measured_from)


def duration_seconds() -> Column:
    """The duration of a transcription, seconds: `duration_seconds`, else `end_time - start_time`."""
    return F.coalesce(F.col("duration_seconds").cast("double"), seconds_between(F.col("start_time"), F.col("end_time")))


def _is_superseded(rows: DataFrame) -> Column:
    """Whether another row with the same key is newer.

    Newest is the latest `updated_at`, then the latest `created_at` (null is earliest). What is still a tie is broken
    by the other columns' values, so that the order of the rows in their files never decides.
    """
    by_age = [name for name in ("updated_at", "created_at") if name in rows.columns]
    by_value = [name for name in rows.columns if name not in (*by_age, "id")]
    newest_first = Window.partitionBy("id").orderBy(*[F.col(name).desc_nulls_last() for name in (*by_age, *by_value)])
    return F.row_number().over(newest_first) > 1


def _is_unusable_duration() -> Column:
    duration = duration_seconds()
    return duration.isNull() | (duration < 0)


def classified(source: str, rows: DataFrame, sessions: DataFrame | None) -> DataFrame:
    """The source's rows with `rejected_because`: the first reason that fits, null for a usable row.

    `rows` holds the source's `columns_read`; `sessions` one row per usable session (`session_id`), needed by the
    sources whose rules say `in_session`.
    """
    rules = RULES[source]
    keyed = rows.withColumn("id", blank_to_null(F.col("id")))
    judged = keyed.withColumn("is_superseded", _is_superseded(keyed))
    reasons = [
        F.when(F.col("id").isNull(), "missing_key"),
        F.when(F.col("is_superseded"), "duplicate_key"),
    ]
    if rules.placed_by:
        reasons.append(F.when(F.col(rules.placed_by).isNull(), "missing_time"))
    if rules.event_types:
        is_known = normalised(F.col("event_type")).isin(*rules.event_types)
        reasons.append(F.when(~F.coalesce(is_known, F.lit(False)), "unknown_event_type"))
    if rules.in_session:
        if sessions is None:
            raise ValueError(f"{source} is judged by its sessions")
        known = sessions.select("session_id", F.lit(True).alias("is_in_session"))
        judged = judged.join(known, "session_id", how="left")
        reasons.append(F.when(F.col("is_in_session").isNull(), "orphan_session"))
    if rules.has_duration:
        reasons.append(F.when(_is_unusable_duration(), "negative_duration"))
    return judged.withColumn("rejected_because", F.coalesce(*reasons)).select(*keyed.columns, "rejected_because")


def _is_out_of_range(measure: Measure) -> Column:
    value = F.col(measure.name).cast("double")
    low = float("-inf") if measure.minimum is None else measure.minimum
    high = float("inf") if measure.maximum is None else measure.maximum
    # Spark's NaN is greater than every number: it is out of every range, but one that ends at infinity.
    is_finite = ~F.isnan(value) & (F.abs(value) < float("inf"))
    return ~(is_finite & (value >= low) & (value <= high))


def _is_foreign(dimension: Dimension) -> Column:
    value = blank_to_null(F.col(dimension.name))
    return value.isNotNull() & ~normalised(value).isin(*dimension.values)


def violations(columns: Iterable[str], measures: Iterable[Measure], dimensions: Iterable[Dimension]) -> Column:
    """The names of a row's columns whose value counts as null because the contract does not allow it."""
    broken = [F.when(_is_out_of_range(m), m.name) for m in measures]
    broken += [F.when(_is_foreign(d), d.name) for d in dimensions]
    if "payload" in columns:
        payload = F.col("payload")
        broken.append(F.when(payload.isNotNull() & payload_object(payload).isNull(), "payload"))
    return F.array_compact(F.array(*broken)) if broken else F.array().cast("array<string>")


def usable(rows: DataFrame, measures: Iterable[Measure], dimensions: Iterable[Dimension]) -> DataFrame:
    """The usable rows of a classified source, clean: what counts as null is null.

    Measures outside of their range, dimensions outside of their domain (which are trimmed and in lower case) and blank
    keys and references are null; a payload is a VARIANT, null unless it is a JSON object.
    """
    cleaned = {name: blank_to_null(F.col(name)) for name in rows.columns if name.endswith("_id")}
    cleaned |= {m.name: F.when(~_is_out_of_range(m), F.col(m.name)) for m in measures}
    cleaned |= {d.name: F.when(~_is_foreign(d), normalised(blank_to_null(F.col(d.name)))) for d in dimensions}
    if "payload" in rows.columns:
        cleaned["payload"] = payload_object(F.col("payload"))
    return rows.where(F.col("rejected_because").isNull()).drop("rejected_because").withColumns(cleaned)


def findings(
    source: str,
    rows: DataFrame,
    public_columns: Iterable[str],
    measures: Iterable[Measure],
    dimensions: Iterable[Dimension],
) -> DataFrame:
    """What is wrong with a classified source: its rejected rows, and its usable rows with a violation.

    Columns: `source`, `row_key` (the id), `reason` (null for a usable row), `row_json` (a rejected row as JSON without
    its personal columns), `violations` (names of a usable row's columns that count as null).
    """
    is_rejected = F.col("rejected_because").isNotNull()
    broken = F.when(~is_rejected, violations(rows.columns, measures, dimensions))
    return (
        rows.withColumn("violations", broken)
        .where(is_rejected | (F.size("violations") > 0))
        .select(
            F.lit(source).alias("source"),
            F.col("id").alias("row_key"),
            F.col("rejected_because").alias("reason"),
            F.when(is_rejected, F.to_json(F.struct(*public_columns))).alias("row_json"),
            "violations",
        )
    )
