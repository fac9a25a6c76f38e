"""Staged rows of the hourly rollup, sound by default, and the suite that its contracts make for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from expectations.contract import contract_of
from expectations.suites import Range, Volume, rollup_suite
from jobs.dashboard_metrics_hourly import ROLLUP
from transforms.changes import STAMPS

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite

Cells = Mapping[str, object]

CONTRACTS = tuple(contract_of(table) for table in ROLLUP.targets)
CANONICAL = CONTRACTS[0]
COLUMNS = tuple(column for column in CANONICAL.columns if column.name not in STAMPS)
NAMES = tuple(column.name for column in COLUMNS)
COUNTS = tuple(column.name for column in COLUMNS if column.type == "int")
DOUBLES = tuple(column.name for column in COLUMNS if column.type == "double")
BOUNDED = tuple(column.name for column in COLUMNS if column.type == "double" and column.maximum is not None)
NOT_NULL = tuple(column.name for column in COLUMNS if column.not_null)

START = datetime(2025, 9, 1, 9, tzinfo=timezone.utc)
END = START + timedelta(hours=48)
WINDOW = Range("metric_hour", START, END)

PERSONAL = "Ada Lovelace"
"""What a column that no contract knows holds in every staged row."""

_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


def row(number: int, **cells: object) -> dict[str, object]:
    """The sound row of the window's hour of that number, but for the given cells."""
    sound: dict[str, object] = {
        "id": f"row-{number}",
        "school_id": "oak",
        "metric_hour": START + timedelta(hours=number),
        "calculation_method": "hourly_rollup",
        **dict.fromkeys(COUNTS, 2),
        **dict.fromkeys(DOUBLES, 50.0),
    }
    return {**sound, **cells}


GOOD = (
    row(0),
    row(0, id="row-of-elm", school_id="elm", **dict.fromkeys(BOUNDED, 100.0)),
    row(
        1,
        **dict.fromkeys(COUNTS, 0),
        **{name: None for name in DOUBLES if name not in NOT_NULL},
        **{name: 0.0 for name in DOUBLES if name in NOT_NULL},
    )
    | {"data_sources_count": 1},
    row(47, **{column.name: column.minimum for column in COLUMNS if column.type == "double"}),
)
"""Sound rows at the edges of what is allowed."""


def frame(spark: SparkSession, rows: Iterable[Cells], types: Mapping[str, str]) -> DataFrame:
    """A local frame of these columns; a cell that a row lacks is null."""
    given = list(rows)
    arrays = {name: pa.array([cells.get(name) for cells in given], _ARROW[type_]) for name, type_ in types.items()}
    return spark.createDataFrame(pa.table(arrays))


def staged(spark: SparkSession, rows: Iterable[Cells]) -> DataFrame:
    """The rows as a run stages them, with a personal text that no check asks about."""
    types = {column.name: column.type for column in COLUMNS}
    named = [{**cells, "display_name": PERSONAL} for cells in rows]
    return frame(spark, named, {**types, "display_name": "string"})


FOUR_AS_USUAL = Volume(rows_now=4, usual_rows=4.0)


def suite(
    columns: Iterable[str] = NAMES,
    volume: Volume = FOUR_AS_USUAL,
    *,
    allow_empty: bool = False,
) -> ExpectationSuite:
    """The suite of the hourly rollup, over these of its columns."""
    return rollup_suite(
        CONTRACTS, columns, WINDOW, ROLLUP.ordered, volume, allow_empty=allow_empty, drift_tolerance=0.5
    )
