"""Tools for building the sample lakehouse: repeatable randomness, moments, and rows in their table's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of


@dataclass(frozen=True)
class Dice:
    """Randomness that depends on nothing but the seed, a purpose and the numbers of a row.

    `F.rand` depends on how the rows are partitioned; a hash does not, so equal seeds give equal rows on any machine.
    `ids` are the columns that identify the row, or SQL expressions that do.
    """

    seed: int

    def unit(self, purpose: str, *ids: str) -> Column:
        """A uniformly distributed double in [0, 1)."""
        return F.expr(self._unit(purpose, *ids))

    def between(self, low: float, high: float, purpose: str, *ids: str) -> Column:
        """A uniformly distributed double in [low, high)."""
        return F.expr(f"{float(low)}D + {self._unit(purpose, *ids)} * {float(high - low)}D")

    def whole(self, low: int, high: int, purpose: str, *ids: str) -> Column:
        """A uniformly distributed whole number from `low` to `high`, both inclusive."""
        return F.expr(self._whole(low, high, purpose, *ids))

    def chance(self, share: float, purpose: str, *ids: str) -> Column:
        """True for that share of the rows."""
        return F.expr(f"{self._unit(purpose, *ids)} < {float(share)}D")

    def one_of(self, values: Sequence[str | int], purpose: str, *ids: str) -> Column:
        """One of the values (texts without quotes), each with a probability proportional to how often it is listed."""
        listed = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)
        return F.expr(f"element_at(array({listed}), int({self._whole(1, len(values), purpose, *ids)}))")

    # One SQL text per roll: building hundreds of rolls call by call would take Python longer than Spark.
    def _unit(self, purpose: str, *ids: str) -> str:
        # xxhash64 differs between an int and an equal bigint, hence the conversion.
        numbers = ", ".join(f"bigint({name})" for name in ids)
        return f"shiftrightunsigned(xxhash64('{self.seed}', '{purpose}', {numbers}), 11) / {float(1 << 53)}D"

    def _whole(self, low: int, high: int, purpose: str, *ids: str) -> str:
        return f"{low} + floor({self._unit(purpose, *ids)} * {high - low + 1})"


def numbered(frame: DataFrame, name: str, count: Column) -> DataFrame:
    """Each row `count` times, numbered from 1 in the column `name`."""
    # sequence(1, 0) is [1, 0]: a count of 0 must become null, which explode drops.
    return frame.withColumn(name, F.explode(F.when(count >= 1, F.sequence(F.lit(1), count.cast("int")))))


def key(kind: str, *numbers: str) -> Column:
    """A readable key such as `group-000042-1`; the first number is padded."""
    return F.format_string("-".join([kind, "%06d", *["%d"] * (len(numbers) - 1)]), *numbers)


def after(moment: str | Column, seconds: Column) -> Column:
    """The moment this many seconds later (earlier if negative), to the millisecond."""
    return F.timestamp_millis(F.unix_millis(moment) + (seconds * F.lit(1e3)).cast("bigint"))


def score(value: Column) -> Column:
    """The value limited to [0, 100], with two decimals; null if it is null, which `greatest` would skip."""
    return F.when(value.isNotNull(), F.round(F.least(F.greatest(value, F.lit(0.0)), F.lit(100.0)), 2))


def shaped(frame: DataFrame, table: str, values: Mapping[str, Column]) -> DataFrame:
    """The table's columns in the contract's order and types, null if `values` lacks them.

    Raises `KeyError` for a value of a column that the table does not have.
    """
    contract = contract_of(table)
    if unknown := set(values) - set(contract.column_names):
        raise KeyError(f"{table} has no column {', '.join(sorted(unknown))}")
    return frame.select(
        *(
            values[column.name].cast(column.type).alias(column.name)
            if column.name in values
            else F.expr(f"CAST(NULL AS {column.type}) AS `{column.name}`")
            for column in contract.columns
        )
    )
