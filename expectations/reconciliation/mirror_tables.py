"""Two tables of one rollup agree in the columns that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from transforms.table_diff import UNCHANGED, compared

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def count_mismatched_rows(canonical: DataFrame, twin: DataFrame, key: Sequence[str]) -> int:
    """How many keys are in only one of them, or in both with different values in a shared column.

    Both hold rows to be published, without audit columns. Doubles are compared as in publishing.
    """
    shared = [name for name in canonical.columns if name in twin.columns]
    pairs = compared(canonical.select(*shared), twin.select(*shared), key)
    return pairs.where(F.col("change") != UNCHANGED).count()
