"""Comparisons that cost one Spark action at most: a suite of many small frames has to be quick."""

from __future__ import annotations

from chispa.rows_comparer import assert_basic_rows_equality
from chispa.schema_comparer import assert_schema_equality
from pyspark.sql import Column, DataFrame


def assert_rows(actual: DataFrame, expected: DataFrame) -> None:
    """Both have the same columns and, in any order, the same rows."""
    assert_schema_equality(actual.schema, expected.schema, ignore_nullable=True)
    # Sorted here: chispa would let Spark sort both, which costs more jobs than it has rows.
    assert_basic_rows_equality(sorted(actual.collect(), key=repr), sorted(expected.collect(), key=repr))


def assert_values(cases: DataFrame, actual: Column) -> None:
    """`actual` equals the column `expected` in every row of the cases."""
    wrong = [row for row in cases.select("*", actual.alias("actual")).collect() if row.actual != row.expected]
    assert not wrong, "\n".join(["Not as expected:", *map(str, wrong)])
