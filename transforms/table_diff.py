"""What publishing would change: staged rows compared with the table's current rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructType

from transforms.columns import any_of, instant

AUDIT_COLUMNS = ("calculated_at", "last_calculated", "created_at", "updated_at", "last_updated")
"""The audit columns: they record when a row was written and are no part of its content."""

TOLERANCE = 1e-9
"""Doubles closer than this, relative or absolute, are equal: summing in another order is not a change."""

NEW, CHANGED, UNCHANGED, GONE = "new", "changed", "unchanged", "gone"


def _differs(name: str, is_double: bool) -> Column:
    old, new = F.col(f"old.{name}"), F.col(f"new.{name}")
    if not is_double:
        return ~old.eqNullSafe(new)
    allowed = F.lit(TOLERANCE) * F.greatest(F.lit(1.0), F.abs(old), F.abs(new))
    distance = F.abs(old - new)
    # An infinite value would allow an infinite distance and, in Spark, NaN a distance of NaN.
    is_within_tolerance = (distance <= allowed) & (distance < float("inf"))
    is_close = F.when(old.isNull() | new.isNull(), old.isNull() & new.isNull()).otherwise(is_within_tolerance)
    # In Spark, NaN and infinity equal themselves, but their distance is not small.
    return ~(is_close | old.eqNullSafe(new))


def compared(current: DataFrame, staged: DataFrame, key: Sequence[str]) -> DataFrame:
    """One row per key: `old` and `new` (the rows as structs, null if absent) and `change`.

    `current` has the table's columns, `staged` all of them but the audit columns. A key that the table holds twice
    counts as gone and, if it is staged, as new: one row replaces the copies.
    """
    copies = F.count("*").over(Window.partitionBy(*key))
    old = current.withColumn("copies", copies).select(
        F.struct(*current.columns).alias("old"), (F.col("copies") == 1).alias("is_single")
    )
    new = staged.select(F.struct(*staged.columns).alias("new"))
    same_key = [F.col(f"old.{name}").eqNullSafe(F.col(f"new.{name}")) for name in key]
    matches = reduce(lambda a, b: a & b, [F.col("is_single"), *same_key])
    differences = [
        _differs(field.name, isinstance(field.dataType, DoubleType))
        for field in staged.schema.fields
        if field.name not in key
    ]
    is_different = any_of(differences)
    change = (
        F.when(F.col("old").isNull(), NEW)
        .when(F.col("new").isNull(), GONE)
        .when(is_different, CHANGED)
        .otherwise(UNCHANGED)
    )
    return old.join(new, matches, how="full").select("old", "new", change.alias("change"))


def changed_columns(changes: DataFrame, staged: StructType, key: Sequence[str]) -> DataFrame:
    """One row: for each column of the staged rows, in how many changed rows of `compared` it differs."""
    is_changed = F.col("change") == CHANGED
    return changes.agg(
        *[
            F.count_if(is_changed & _differs(field.name, isinstance(field.dataType, DoubleType))).alias(field.name)
            for field in staged.fields
            if field.name not in key
        ]
    )


def content_after(changes: DataFrame, columns: Sequence[str], run_start: datetime) -> DataFrame:
    """The rows that the window holds after the change, from `compared`.

    An unchanged row is exactly the old one. A new or changed row has the run's start in its audit columns; a changed
    row keeps its `created_at`.
    """
    is_unchanged = F.col("change") == UNCHANGED
    stamp = instant(run_start)

    def value(name: str) -> Column:
        if name == "created_at":
            return F.when(is_unchanged, F.col("old.created_at")).otherwise(F.coalesce("old.created_at", stamp))
        if name in AUDIT_COLUMNS:
            return F.when(is_unchanged, F.col(f"old.{name}")).otherwise(stamp)
        return F.when(is_unchanged, F.col(f"old.{name}")).otherwise(F.col(f"new.{name}"))

    return changes.where(F.col("change") != GONE).select(*[value(name).alias(name) for name in columns])
