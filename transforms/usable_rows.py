"""Which rows of a source count in the metrics, and why the others do not.

`RULES` is the one table of rules. `with_rejection_reasons` classifies each row of a source by itself; `facts` extracts,
in one pass, what metrics read from it and what is wrong with it; `deduplicated` finds the newest of several copies
among these narrow rows. `usable` and `findings` are two views of the facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, FloatType, TimestampType

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
from transforms.columns import any_of, blank_to_null, in_calendar, normalised, seconds_between
from transforms.combine import union_all
from transforms.payloads import group_id, latency_ms, with_payload_object
from transforms.people import person

EVENT_TYPES = ("configured", "started", "leader_ready", "member_join", "member_leave", "ended")


@dataclass(frozen=True)
class SourceRules:
    """What makes a row of one source unusable, besides a missing key and a newer copy.

    `metric_columns`: what metrics read from a usable row. `placed_by`: the time without which the row belongs nowhere.
    `listed_by`: for a source without such a time, the one that identifies rows to the reader of a list.
    `in_session`: whether the row needs a usable session. `personal`: the personal columns that a metric needs; no other
    personal column is ever read, and of these only what `_cleaned` derives goes any further.
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


@dataclass(frozen=True)
class Measure:
    """A column whose values count as null if outside `[minimum, maximum]` (inclusive) or not finite."""

    name: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Dimension:
    """A text column whose values count as null unless, trimmed and in lower case, they are among `values`."""

    name: str
    values: tuple[str, ...]


def columns_read(source: str, public_columns: Iterable[str]) -> tuple[str, ...]:
    """The columns of a source that a run reads: the public ones and the personal ones that a metric needs."""
    return (*public_columns, *RULES[source].personal)


def _seconds() -> Column:
    """The duration of a transcription in seconds: `duration_seconds`, else `end_time - start_time`."""
    start, end = in_calendar(F.col("start_time")), in_calendar(F.col("end_time"))
    return F.coalesce(F.col("duration_seconds").cast("double"), seconds_between(start, end))


def key_hash(source: Column, key: Column) -> Column:
    """A number that rows of one source and `id` share; all rows without a key share another."""
    return F.xxhash64(source, blank_to_null(key))


def duplicate_keys(sources: Mapping[str, DataFrame], most: int) -> DataFrame:
    """One row per source and hash of an `id` that occurs in it more than once; at most `most` rows of each source.

    Reads nothing but the `id`s. Two keys may share a hash: a hash says where to look, not what is a copy.
    """
    hashes = [
        rows.where(F.col("id").isNotNull()).select(
            F.lit(number).alias("source_number"), key_hash(F.lit(source), F.col("id")).alias("key_hash")
        )
        for number, (source, rows) in enumerate(sources.items())
    ]
    # Grouped by one number, and numbers only: what is done for every row of every source must be narrow.
    copied = (
        union_all(hashes)
        .groupBy("key_hash")
        .agg(F.count("*").alias("copies"), F.max("source_number").alias("source_number"))
        .where(F.col("copies") > 1)
    )
    of_source = F.row_number().over(Window.partitionBy("source_number").orderBy("key_hash"))
    name = F.element_at(F.array(*map(F.lit, sources)), F.col("source_number") + 1)
    return (
        copied.withColumn("number", of_source).where(F.col("number") <= most).select(name.alias("source"), "key_hash")
    )


def values_hash(columns: Iterable[str]) -> Column:
    """What decides between equally old copies, so that the order of the rows in their files never does."""
    # As JSON, because a hash of columns skips nulls: it would not depend on which column holds a value.
    return F.xxhash64(_as_json(sorted(columns)))


def _as_json(columns: Iterable[str]) -> Column:
    """The columns as a JSON object, with all six decimals of their timestamps; Spark writes three by default."""
    return F.to_json(F.struct(*columns), {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"})


def _copy(source: str, columns: Collection[str]) -> Column:
    """The key that a row may be a copy of, and what decides which of the copies is the newest.

    Among equally old copies their `values_hash` decides: the column of that name if there is one, else computed here.
    """
    ages = {name: F.col(name) if name in columns else F.lit(None) for name in ("updated_at", "created_at")}
    return F.struct(
        F.lit(source).alias("source"),
        F.col("id"),
        *[age.cast("timestamp").alias(name) for name, age in ages.items()],
        (F.col("values_hash") if "values_hash" in columns else values_hash(columns)).alias("values_hash"),
    )


def with_duplicates_rejected(rows: DataFrame, reason: str) -> DataFrame:
    """The rows without their `copy`; if another row of the same key is newer, their reason is `duplicate_key`.

    Newest is the latest `updated_at`, then the latest `created_at` (null is earliest).
    """
    newest_first = Window.partitionBy("copy.source", "copy.id").orderBy(
        *[F.col(f"copy.{name}").desc_nulls_last() for name in ("updated_at", "created_at", "values_hash")]
    )
    is_superseded = F.col("copy").isNotNull() & (F.row_number().over(newest_first) > 1)
    return rows.withColumn(reason, F.when(is_superseded, "duplicate_key").otherwise(F.col(reason))).drop("copy")


def _is_unusable_duration() -> Column:
    """Whether a transcription's duration is negative or null, found without a conversion to seconds."""
    is_backwards = F.col("end_time").isNull() | (F.col("end_time") < F.col("start_time"))
    return F.when(F.col("duration_seconds").isNotNull(), F.col("duration_seconds") < 0).otherwise(is_backwards)


def with_rejection_reasons(
    source: str, rows: DataFrame, sessions: DataFrame | None, copied: DataFrame | None = None
) -> DataFrame:
    """The source's rows with `rejected_because`: the first reason that applies, newer copies aside; else null.

    And with `copy` for `with_duplicates_rejected`: null for a row whose key is certainly unique. `rows` holds the
    source's `columns_read`; `sessions` one row per usable session (`session_id`), needed by the sources whose rules say
    `in_session`; `copied` the `key_hash` of each of its `duplicate_keys`, None if they are unknown.
    """
    rules = RULES[source]
    keyed = rows.withColumn("id", blank_to_null(F.col("id")))
    reasons = [F.when(F.col("id").isNull(), "missing_key")]
    if rules.placed_by:
        reasons.append(F.when(F.col(rules.placed_by).isNull(), "missing_time"))
    if rules.event_types:
        is_known = normalised(F.col("event_type")).isin(*rules.event_types)
        reasons.append(F.when(~F.coalesce(is_known, F.lit(False)), "unknown_event_type"))
    joined = keyed
    if rules.in_session:
        if sessions is None:
            raise ValueError(f"{source} is judged by its sessions")
        known = sessions.select("session_id", F.lit(True).alias("is_in_session"))
        joined = joined.join(known, "session_id", how="left")
        reasons.append(F.when(F.col("is_in_session").isNull(), "orphan_session"))
    if rules.has_duration:
        reasons.append(F.when(_is_unusable_duration(), "negative_duration"))
    may_be_copied = F.col("id").isNotNull()
    if copied is not None:
        few = F.broadcast(copied.select("key_hash", F.lit(True).alias("is_copied")))
        joined = joined.withColumn("key_hash", key_hash(F.lit(source), F.col("id"))).join(few, "key_hash", how="left")
        may_be_copied &= F.col("is_copied").isNotNull()
    return joined.select(
        *keyed.columns,
        F.coalesce(*reasons).alias("rejected_because"),
        F.when(may_be_copied, _copy(source, keyed.columns)).alias("copy"),
    )


def _is_out_of_range(measure: Measure, data_type: DataType) -> Column:
    value = F.col(measure.name)
    bounds = [value < F.lit(measure.minimum) if measure.minimum is not None else None]
    bounds.append(value > F.lit(measure.maximum) if measure.maximum is not None else None)
    if isinstance(data_type, FloatType | DoubleType):
        # Spark's NaN is greater than every number: it is out of every range except one without a maximum.
        bounds.append(F.isnan(value) | (F.abs(value) == float("inf")))
    return any_of(bound for bound in bounds if bound is not None)


def _is_foreign(dimension: Dimension) -> Column:
    value = blank_to_null(F.col(dimension.name))
    return value.isNotNull() & ~normalised(value).isin(*dimension.values)


def _violations(rows: DataFrame, measures: Iterable[Measure], dimensions: Iterable[Dimension]) -> dict[str, Column]:
    """For each column, whether its value counts as null because the contract does not allow it."""
    broken = {m.name: _is_out_of_range(m, rows.schema[m.name].dataType) for m in measures}
    broken |= {d.name: _is_foreign(d) for d in dimensions}
    if "payload" in rows.columns:
        broken["payload"] = F.col("payload").isNotNull() & F.col("payload_object").isNull()
    return broken


def _cleaned(rows: DataFrame, measures: Iterable[Measure], dimensions: Iterable[Dimension]) -> dict[str, Column]:
    """The columns of a usable row that differ from the source's own: what counts as null is null.

    That is blank keys and references, measures outside their range, and dimensions outside their domain (which are
    trimmed and in lower case). Moments beyond the calendar become its first or last. The personal columns are replaced
    by what the metrics need from them.
    """
    clean = {name: blank_to_null(F.col(name)) for name in rows.columns if name.endswith("_id")}
    moments = [field.name for field in rows.schema if isinstance(field.dataType, TimestampType)]
    clean |= {name: in_calendar(F.col(name)) for name in moments}
    is_outside = {m.name: _is_out_of_range(m, rows.schema[m.name].dataType) for m in measures}
    clean |= {name: F.when(~is_broken, F.col(name)) for name, is_broken in is_outside.items()}
    clean |= {d.name: F.when(~_is_foreign(d), normalised(blank_to_null(F.col(d.name)))) for d in dimensions}
    if "payload" in rows.columns:
        clean |= {"group_id": group_id(F.col("payload_object")), "latency_ms": latency_ms(F.col("payload_object"))}
    if "duration_seconds" in rows.columns:
        clean["seconds"] = _seconds()
    if "anonymous_id" in rows.columns:
        clean["person"] = person()
    return clean


def facts(
    source: str,
    rows: DataFrame,
    public_columns: Iterable[str],
    measures: Iterable[Measure],
    dimensions: Iterable[Dimension],
    also: Iterable[str] = (),
) -> DataFrame:
    """One row per row `with_rejection_reasons`: its clean `metric_columns` (and `also`), and what is wrong with it.

    `source`; `reason` (why it is rejected, null for a usable row); `row_key` and `row_json` (a rejected row's `id`, and
    the row as JSON without its personal columns); `violations` (names of a usable row's columns that count as null,
    null if there are none); `copy` (see `with_rejection_reasons`). A row that may be a copy has both kinds of columns
    until `deduplicated` decides.
    """
    if "payload" in rows.columns:
        rows = with_payload_object(rows)
    is_rejected = F.col("rejected_because").isNotNull()
    may_be_rejected = is_rejected | F.col("copy").isNotNull()
    violations = _violations(rows, measures, dimensions)
    is_violated = any_of(violations.values())
    # Names are collected only for the few rows that need them.
    names = F.array_compact(F.array(*[F.when(is_broken, name) for name, is_broken in violations.items()]))
    clean = _cleaned(rows, measures, dimensions)
    return rows.select(
        F.lit(source).alias("source"),
        F.col("rejected_because").alias("reason"),
        F.when(may_be_rejected, F.col("id")).alias("row_key"),
        F.when(may_be_rejected, _as_json(public_columns)).alias("row_json"),
        F.when(~is_rejected & is_violated, names.cast("array<string>")).alias("violations"),
        "copy",
        *[clean.get(name, F.col(name)).alias(name) for name in fact_columns(source, also)],
    )


def deduplicated(facts: DataFrame) -> DataFrame:
    """The facts without their `copy`: of several copies of a row, the newest counts and the others are rejected."""
    ranked = with_duplicates_rejected(facts, "reason")
    is_rejected = F.col("reason").isNotNull()
    return ranked.withColumns(
        {name: F.when(is_rejected, F.col(name)) for name in ("row_key", "row_json")}
        | {"violations": F.when(~is_rejected, F.col("violations"))}
    )


def fact_columns(source: str, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The source's `metric_columns` and the columns `also`, each once."""
    return tuple(dict.fromkeys((*RULES[source].metric_columns, *also)))


def usable(source: str, facts: DataFrame, also: Iterable[str] = ()) -> DataFrame:
    """The `metric_columns` (and `also`) of the source's usable rows."""
    is_usable = (F.col("source") == source) & F.col("reason").isNull()
    return facts.where(is_usable).select(*fact_columns(source, also))


def findings(facts: DataFrame) -> DataFrame:
    """The rows that have a problem: rejected ones, and usable ones with a violation."""
    is_finding = F.col("reason").isNotNull() | F.col("violations").isNotNull()
    return facts.where(is_finding).select("source", "row_key", "reason", "row_json", "violations")
