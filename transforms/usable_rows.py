"""Which rows of a source count in the metrics, and why the others do not.

`with_rejection_reasons` judges each row of a source by itself, by the `RULES` of `transforms.source_rules`;
`classified` extracts, in one pass, what metrics read from it and what is wrong with it; `deduplicated` finds the newest
of several copies among these narrow rows. `usable` and `findings` are two views of the classified rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.clean_values import Dimension, Measure, clean_values, violations_of
from transforms.columns import any_of, as_json, blank_to_null, normalised
from transforms.copies import copy_of, key_hash, with_duplicates_rejected
from transforms.payloads import with_payload_object
from transforms.source_rules import RULES, fact_columns


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
        F.when(may_be_copied, copy_of(source, keyed.columns)).alias("copy"),
    )


def classified(
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
    if "payload" in RULES[source].personal:
        rows = with_payload_object(rows)
    is_rejected = F.col("rejected_because").isNotNull()
    may_be_rejected = is_rejected | F.col("copy").isNotNull()
    violations = violations_of(source, rows, measures, dimensions)
    is_violated = any_of(violations.values())
    # Names are collected only for the few rows that need them.
    names = F.array_compact(F.array(*[F.when(is_broken, name) for name, is_broken in violations.items()]))
    clean = clean_values(source, rows, violations, dimensions)
    return rows.select(
        F.lit(source).alias("source"),
        F.col("rejected_because").alias("reason"),
        F.when(may_be_rejected, F.col("id")).alias("row_key"),
        F.when(may_be_rejected, as_json(public_columns)).alias("row_json"),
        F.when(~is_rejected & is_violated, names.cast("array<string>")).alias("violations"),
        "copy",
        *[clean.get(name, F.col(name)).alias(name) for name in fact_columns(source, also)],
    )


def deduplicated(rows: DataFrame) -> DataFrame:
    """The classified rows without their `copy`: the newest of several copies counts, the others are rejected."""
    ranked = with_duplicates_rejected(rows, "reason")
    is_rejected = F.col("reason").isNotNull()
    return ranked.withColumns(
        {name: F.when(is_rejected, F.col(name)) for name in ("row_key", "row_json")}
        | {"violations": F.when(~is_rejected, F.col("violations"))}
    )


def usable(source: str, rows: DataFrame, also: Iterable[str] = ()) -> DataFrame:
    """The `metric_columns` (and `also`) of the usable ones of the source's classified rows."""
    is_usable = (F.col("source") == source) & F.col("reason").isNull()
    return rows.where(is_usable).select(*fact_columns(source, also))


def findings(rows: DataFrame) -> DataFrame:
    """The classified rows that have a problem: rejected ones, and usable ones with a violation."""
    is_finding = F.col("reason").isNotNull() | F.col("violations").isNotNull()
    return rows.where(is_finding).select("source", "row_key", "reason", "row_json", "violations")
