"""Staged rows of each rollup, sound by default, the suite that its contracts make for them, and ways to break them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from expectations.contract import Column, Contract, contract_of
from expectations.suites import ROWS_OF_THE_ID, ROWS_OF_THE_KEY, Range, Volume, prepared, rollup_suite
from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.rollup import Rollup
from transforms.table_diff import AUDIT_COLUMNS

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite

Cells = Mapping[str, object]

BETWEEN = "expect_column_values_to_be_between"
NOT_NULL_CHECK = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
ROW_COUNT = "expect_table_row_count_to_be_between"

Failed = tuple[str, str]
"""The name and the subject of a check."""

PERSONAL = "Ada Lovelace"
"""What a column that no contract knows holds in every staged row."""

FOUR_AS_USUAL = Volume(rows_now=4, usual_rows=4.0)

_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


@dataclass(frozen=True)
class Break:
    """Rows that break an invariant, and how many rows then fail which checks."""

    name: str
    rows: tuple[Cells, ...]
    fails: Mapping[Failed, int]


def _midway(column: Column) -> float:
    if column.minimum is None or column.maximum is None:
        return 50.0
    return (column.minimum + column.maximum) / 2


@dataclass(frozen=True)
class Staged:
    """A rollup with a window of 48 of its hours, dates or periods. `key_of` is the key of a number's row."""

    rollup: Rollup[Any]
    window: Range
    key_of: Callable[[int], Cells]

    @property
    def name(self) -> str:
        return self.rollup.name

    @cached_property
    def contracts(self) -> tuple[Contract, ...]:
        return tuple(contract_of(table) for table in self.rollup.targets)

    @property
    def canonical(self) -> Contract:
        return self.contracts[0]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        by_name = {column.name: column for contract in reversed(self.contracts) for column in contract.columns}
        return tuple(column for column in by_name.values() if column.name not in AUDIT_COLUMNS)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def counts(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.type == "int")

    @property
    def doubles(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.type == "double")

    @property
    def bounded(self) -> tuple[Column, ...]:
        return tuple(column for column in self.doubles if column.maximum is not None)

    @property
    def not_null(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.not_null)

    @property
    def domains(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.domain)

    def row(self, number: int, **cells: object) -> dict[str, object]:
        """The sound row of that number, but for the given cells."""
        return {
            **{column.name: "given" for column in self.columns if column.type == "string"},
            **{column.name: column.domain[0] for column in self.domains},
            **{column.name: 2 for column in self.counts},
            **{column.name: _midway(column) for column in self.doubles},
            "id": f"row-{number}",
            **self.key_of(number),
            **cells,
        }

    @property
    def sound(self) -> tuple[Cells, ...]:
        """Rows at the edges of what is allowed."""
        lowest = {column.name: column.minimum for column in self.doubles if column.minimum is not None}
        nulls = {name: None for name in self.names if name not in self.not_null}
        return (
            self.row(0),
            self.row(1, **{column.name: column.maximum for column in self.bounded}),
            self.row(2, **{**nulls, **{column.name: int(column.minimum or 0) for column in self.counts}}),
            self.row(47, **lowest),
        )

    def frame(self, spark: SparkSession, rows: Iterable[Cells]) -> DataFrame:
        """The rows as the gate gets them, with a personal text that no check asks about."""
        types = {column.name: column.type for column in self.columns}
        named = [{**cells, "display_name": PERSONAL} for cells in rows]
        whole = frame(spark, named, {**types, "display_name": "string"})
        return prepared(whole, self.canonical.key, self.rollup.ordered)

    def suite(
        self, columns: Iterable[str] | None = None, volume: Volume = FOUR_AS_USUAL, *, allow_empty: bool = False
    ) -> ExpectationSuite:
        """The rollup's suite, over these of its columns."""
        return rollup_suite(
            self.contracts,
            self.names if columns is None else columns,
            self.window,
            self.rollup.ordered,
            volume,
            allow_empty=allow_empty,
            drift_tolerance=0.5,
        )

    def breaks(self) -> tuple[Break, ...]:
        """Every invariant that the contracts and the declaration state, broken one by one."""
        lowered = [column for column in self.doubles if column.minimum is not None]
        column, doubles = self.window.column, [column.name for column in self.doubles]
        in_pairs = {name for pair in self.rollup.ordered for name in (pair.smaller, pair.greater)} & set(doubles)
        each_double = [(BETWEEN, name) for name in doubles]
        made = [
            Break(
                "two rows of one key",
                (self.row(10, id="twin-1"), self.row(10, id="twin-2")),
                {(BETWEEN, ROWS_OF_THE_KEY): 2},
            ),
            Break(
                "two rows of one id",
                (self.row(11, id="shared"), self.row(12, id="shared")),
                {(BETWEEN, ROWS_OF_THE_ID): 2},
            ),
            Break("a null in each column", ({},), {(NOT_NULL_CHECK, name): 1 for name in self.not_null}),
            Break(
                "each count below its minimum",
                (self.row(13, **{count.name: int(count.minimum or 0) - 1 for count in self.counts}),),
                {(BETWEEN, count.name): 1 for count in self.counts},
            ),
            Break(
                "each double below its minimum",
                (self.row(14, **{column.name: (column.minimum or 0) - 0.001 for column in lowered}),),
                {(BETWEEN, column.name): 1 for column in lowered},
            ),
            Break(
                "each double above its maximum",
                (self.row(15, **{column.name: (column.maximum or 0) + 0.001 for column in self.bounded}),),
                {(BETWEEN, column.name): 1 for column in self.bounded},
            ),
            *(
                Break(value, (self.row(16 + n, **dict.fromkeys(doubles, float(value))),), dict.fromkeys(each_double, 1))
                for n, value in enumerate(("nan", "inf", "-inf"))
            ),
            Break("before the window", (self.row(19, **{column: self.key_of(-1)[column]}),), {(BETWEEN, column): 1}),
            Break("at the window's end", (self.row(20, **{column: self.window.end}),), {(BETWEEN, column): 1}),
            Break(
                "no value of its domain",
                tuple(
                    self.row(21 + n, **{domain.name: changed for domain in self.domains})
                    for n, changed in enumerate(("elsewhere", self.domains[0].domain[0].title()))
                ),
                {(IN_SET, domain.name): 2 for domain in self.domains},
            ),
        ]
        for number, pair in enumerate(self.rollup.ordered):
            others: dict[str, object] = {name: None for name in in_pairs if pair.smaller in doubles}
            values = {count.name: 8 for count in self.counts} if pair.smaller not in doubles else others
            both = (51.0, 50.0) if pair.smaller in doubles else (9, 8)
            cells = {**values, pair.smaller: both[0], pair.greater: both[1]}
            made.append(
                Break(
                    f"{pair.smaller} above {pair.greater}",
                    (self.row(30 + number, **cells),),
                    {(BETWEEN, pair.name): 1},
                )
            )
        return tuple(made)


def frame(spark: SparkSession, rows: Iterable[Cells], types: Mapping[str, str]) -> DataFrame:
    """A local frame of these columns; a cell that a row lacks is null."""
    given = list(rows)
    arrays = {name: pa.array([cells.get(name) for cells in given], _ARROW[type_]) for name, type_ in types.items()}
    return spark.createDataFrame(pa.table(arrays))


START = datetime(2025, 9, 1, 9, tzinfo=timezone.utc)
MONDAY = datetime(2025, 9, 1, tzinfo=timezone.utc)

HOURLY = Staged(
    dashboard_metrics_hourly.ROLLUP,
    Range("metric_hour", START, START + timedelta(hours=48)),
    lambda number: {"school_id": "oak", "metric_hour": START + timedelta(hours=number)},
)
DAILY = Staged(
    teacher_analytics_summary.ROLLUP,
    Range("summary_date", date(2025, 9, 1), date(2025, 9, 1) + timedelta(days=48)),
    lambda number: {"teacher_id": "ada", "summary_date": date(2025, 9, 1) + timedelta(days=number)},
)
PROMPTS = Staged(
    teacher_prompt_effectiveness.rollup_by("week"),
    Range("calculation_period_start", MONDAY, MONDAY + timedelta(weeks=48)),
    lambda number: {
        "calculation_period_start": MONDAY + timedelta(weeks=number),
        "calculation_period_end": MONDAY + timedelta(weeks=number + 1),
    },
)
ALL = (HOURLY, DAILY, PROMPTS)
