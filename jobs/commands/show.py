"""The newest rows of a table, in the columns that may be shown."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import FractionalType

from expectations.contract import Contract
from jobs.lake import Lake
from jobs.suggestions import unknown_name_error
from transforms.source_rules import RULES
from transforms.table_diff import AUDIT_COLUMNS

MOST_COLUMNS = 9
"""How many columns, including the key's, are shown by default."""


def chosen_columns(contract: Contract, names: str | None, *, all_by_default: bool) -> list[str]:
    """The columns that `names` lists, as in `a,b`; without names all that may be shown, or the most informative ones.

    Raises `UsageError` for a column that does not exist or is personal.
    """
    public = contract.public_columns
    if names is None and all_by_default:
        return list(public)
    if names is None:
        key = [name for name in contract.key if name in public]
        telling = [name for name in public if name != "id" and name not in AUDIT_COLUMNS and name not in key]
        return [*key, *telling[: max(1, MOST_COLUMNS - len(key))]]
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in public:
            raise unknown_name_error(name, public, f"column that may be shown in {contract.table} named")
    return chosen


def newest_rows(lake: Lake, contract: Contract, number: int) -> DataFrame:
    """The newest `number` rows of the table, newest first; raises as `Lake.require` does."""
    lake.require(contract)
    return (
        lake.latest(contract.table)
        .orderBy(*[F.col(name).desc_nulls_last() for name in _newest_by(contract)])
        .limit(number)
    )


def _newest_by(contract: Contract) -> list[str]:
    """The columns that order the table's rows by age: the row's time if it has one, then its key."""
    moments: tuple[str, ...] = ("run_end", "checked_at", "last_seen_at", "last_run")
    if contract.kind == "source":
        moments = (RULES[contract.table].row_time if contract.table in RULES else "created_at",)
    return [*(name for name in moments if name in contract.column_names), *reversed(contract.key)]


def as_objects(rows: DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    """The rows as JSON objects by column name."""
    as_text = F.to_json(F.struct(*columns), {"ignoreNullFields": "false"})
    return [json.loads(row["as_text"]) for row in rows.select(as_text.alias("as_text")).collect()]


def as_texts(rows: DataFrame, columns: list[str]) -> list[list[str | None]]:
    """The rows as lists of texts, in the order of the columns, numbers rounded to be read; None for null."""
    has_decimals = {name for name in columns if isinstance(rows.schema[name].dataType, FractionalType)}
    shown = rows.select(*[F.col(name).cast("string").alias(name) for name in columns]).collect()
    return [
        [_rounded(row[name]) if name in has_decimals and row[name] else row[name] for name in columns] for row in shown
    ]


def _rounded(number: str) -> str:
    """The number with at most three decimals; a very small or large one with three significant digits."""
    value = float(number) + 0.0  # which makes -0.0 a plain 0
    if not isfinite(value):
        return number
    is_plain = value == 0 or 0.001 <= abs(value) < 1e15
    return f"{value:.3f}".rstrip("0").rstrip(".") if is_plain else f"{value:.3g}"
