"""How the parts of a rollup, each computed from one kind of fact, become its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def union_all(frames: Iterable[DataFrame]) -> DataFrame:
    """All rows of the frames, null in the columns that a frame lacks."""
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), frames)


def one_row_per_key(parts: Iterable[DataFrame], key: Sequence[str], summed: Sequence[str] = ()) -> DataFrame:
    """One row per key that any part has, with all columns of the parts, from at most one row of each part.

    A column that several parts share must be equal in them, except for the `summed` ones. Done by a union, because a
    chain of full joins shuffles once per part.
    """
    rows = union_all(parts)
    # No part has two rows for one key, so the maximum is the only value.
    values = [F.max(name).alias(name) for name in rows.columns if name not in (*key, *summed)]
    return rows.groupBy(*key).agg(*values, *[F.sum(name).alias(name) for name in summed])


def as_count(name: str) -> Column:
    """A count or a sum as the catalog holds it: 0 over nothing, and null if it is too large for an int.

    The gate refuses that null and names the column; a failed cast would stop the run without naming it.
    """
    return F.coalesce(F.col(name), F.lit(0)).try_cast("int").alias(name)
