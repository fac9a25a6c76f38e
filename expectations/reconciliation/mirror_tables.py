"""Two tables of one rollup say the same in the columns that both have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from transforms.table_diff import UNCHANGED, compared

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def count_mismatched_rows(canonical: DataFrame, twin: DataFrame, key: Sequence[str]) -> int:
    """How many keys only one of them has, or both with another value in a column that both have.

    Both are rows to be published: without the stamps. Doubles are compared as publishing does.
    """
    shared = [name for name in canonical.columns if name in twin.columns]
    pairs = compared(canonical.select(*shared), twin.select(*shared), key)
    return pairs.where(F.col("change") != UNCHANGED).count()
