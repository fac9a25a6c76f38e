"""Rows of a source that share an `id`: which they are, and which of them is the newest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.columns import as_json, blank_to_null
from transforms.combine import union_all


def key_hash(source: Column, key: Column) -> Column:
    """A number that rows of one source and `id` share; all rows without a key share another."""
    return F.xxhash64(source, blank_to_null(key))


def duplicate_keys(sources: Mapping[str, DataFrame], limit: int) -> DataFrame:
    """One row per source and hash of an `id` that occurs in it more than once; at most `limit` rows of each source.

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
        copied.withColumn("number", of_source).where(F.col("number") <= limit).select(name.alias("source"), "key_hash")
    )


def values_hash(columns: Iterable[str]) -> Column:
    """What decides between equally old copies, so that the order of the rows in their files never does."""
    # As JSON, because a hash of columns skips nulls: it would not depend on which column holds a value.
    return F.xxhash64(as_json(sorted(columns)))


def copy_of(source: str, columns: Collection[str]) -> Column:
    """What a row may be a copy of, and what decides which of the copies is the newest.

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
