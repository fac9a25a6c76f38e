"""Expectation suites for a rollup's staged rows: what its tables' contracts demand, and what they cannot express."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from expectations.contract import Column, Contract
from expectations.literals import sql_datetime
from transforms.table_diff import TOLERANCE

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation
    from pyspark.sql import DataFrame

ROWS_OF_THE_ID, ROWS_OF_THE_KEY = "rows_of_the_id", "rows_of_the_key"
"""Columns that hold how many staged rows have a row's `id` and its key."""

NUMERIC = ("int", "bigint", "double", "float")


@dataclass(frozen=True)
class Range:
    """A window: a column's values in the half-open range `[start, end)` or, if given, only the `selected` ones."""

    column: str
    start: datetime | date
    end: datetime | date
    selected: Sequence[datetime | date] | None = None

    @property
    def sql(self) -> str:
        """The range as a condition with literals, which every engine can push down."""
        first, end = (sql_datetime(moment) for moment in (self.start, self.end))
        between = f"{self.column} >= {first} AND {self.column} < {end}"
        if self.selected is None:
            return between
        return f"{between} AND {self.column} IN ({', '.join(map(sql_datetime, self.selected))})"


@dataclass(frozen=True)
class AtMost:
    """Two columns of which `smaller` may never exceed `greater` if neither is null."""

    smaller: str
    greater: str

    @property
    def name(self) -> str:
        """The name of the column that is checked: `greater - smaller`, which must be at least 0."""
        return f"{self.greater}_less_{self.smaller}"


@dataclass(frozen=True)
class Volume:
    """How many rows the fullest of a rollup's tables holds in the window now, and on average in those before it."""

    rows_now: int
    usual_rows: float | None = None


def prepared(rows: DataFrame, key: Sequence[str], ordered: Iterable[AtMost]) -> DataFrame:
    """The staged rows with the additional columns that the suite checks.

    Great Expectations evaluates all single-column checks in one pass over the rows, but takes a pass for every pair of
    columns and every uniqueness check: so these are turned into columns.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    copies = {ROWS_OF_THE_ID: ["id"], ROWS_OF_THE_KEY: list(key)}
    counted = {name: F.count("*").over(Window.partitionBy(*columns)) for name, columns in copies.items()}
    apart = {pair.name: F.col(pair.greater) - F.col(pair.smaller) for pair in ordered}
    return rows.withColumns({**counted, **apart})


def _of_column(column: Column) -> list[Expectation]:
    import great_expectations.expectations as gxe

    made: list[Expectation] = []
    if column.not_null:
        made.append(gxe.ExpectColumnValuesToNotBeNull(column=column.name))
    if column.domain:
        made.append(gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.domain)))
    if column.type == "double":
        # The greatest finite double as upper bound catches NaN and infinity: NaN passes a lower bound alone.
        made.append(
            gxe.ExpectColumnValuesToBeBetween(
                column=column.name,
                min_value=-sys.float_info.max if column.minimum is None else column.minimum,
                max_value=sys.float_info.max if column.maximum is None else column.maximum,
            )
        )
    elif column.type in NUMERIC and column.is_measure:
        made.append(
            gxe.ExpectColumnValuesToBeBetween(column=column.name, min_value=column.minimum, max_value=column.maximum)
        )
    return made


def rollup_suite(
    contracts: Sequence[Contract],
    staged_columns: Iterable[str],
    window: Range,
    ordered: Iterable[AtMost],
    volume: Volume,
    *,
    allow_empty: bool,
    drift_tolerance: float,
) -> ExpectationSuite:
    """The suite for a rollup's `prepared` staged rows. `contracts` are those of its tables, the canonical one first."""
    import great_expectations.expectations as gxe
    from great_expectations.core import ExpectationSuite

    canonical = contracts[0]
    columns = {column.name: column for contract in reversed(contracts) for column in contract.columns}
    made = [expectation for name in staged_columns for expectation in _of_column(columns[name])]
    made += [gxe.ExpectColumnValuesToBeBetween(column=name, max_value=1) for name in (ROWS_OF_THE_ID, ROWS_OF_THE_KEY)]
    made.append(
        gxe.ExpectColumnValuesToBeBetween(
            column=window.column, min_value=window.start, max_value=window.end, strict_max=True
        )
    )
    made += [gxe.ExpectColumnValuesToBeBetween(column=pair.name, min_value=0) for pair in ordered]
    if volume.rows_now > 0 and not allow_empty:
        made.append(gxe.ExpectTableRowCountToBeBetween(min_value=1, notes="A window that holds rows is not emptied."))
    if volume.usual_rows:
        made.append(
            gxe.ExpectTableRowCountToBeBetween(
                min_value=int(volume.usual_rows * (1 - drift_tolerance)),
                max_value=int(volume.usual_rows * (1 + drift_tolerance)) + 1,
                severity="warning",
                notes="The windows before this one held about as many rows.",
            )
        )
    return ExpectationSuite(name=canonical.table, expectations=made)


def reconciliation_suite(table: str, totals: Iterable[str]) -> ExpectationSuite:
    """The suite of a one-row frame with the relative difference of each total, staged against sources."""
    import great_expectations.expectations as gxe
    from great_expectations.core import ExpectationSuite

    expectations = [
        gxe.ExpectColumnValuesToBeBetween(column=total, min_value=-TOLERANCE, max_value=TOLERANCE) for total in totals
    ]
    not_null = [gxe.ExpectColumnValuesToNotBeNull(column=total) for total in totals]
    return ExpectationSuite(name=f"{table}.reconciliation", expectations=[*not_null, *expectations])
