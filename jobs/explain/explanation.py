"""An explanation, as values: a published row, its source rows, its run, and what it was before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from functools import cached_property
from typing import Any

from expectations.contract import Contract
from jobs.commits import Commit
from jobs.explain.subject import Subject
from transforms.evidence.parts import PLACES
from transforms.table_diff import AUDIT_COLUMNS, TOLERANCE

Value = Any
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Listed:
    """A source row that took part, and the columns for which it counts or, by its role, places another row."""

    source: str
    id: str
    at: datetime | None
    role: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Rejected:
    """A source row near the explained one that counts in no metric; `resolved_at` if it no longer is rejected."""

    source: str
    row_key: str | None
    at: datetime | None
    reason: str
    resolved_at: datetime | None


@dataclass(frozen=True)
class Change:
    """The row as one commit left it; `commit` is None if the table's history no longer has it."""

    commit: Commit | None
    run_start: datetime
    values: Values


@dataclass(frozen=True)
class Recomputed:
    """What the sources give at some versions: the row, None if they give none, and what took part in it."""

    row: Values | None
    listed: tuple[Listed, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Explanation:
    """One row of one table, explained.

    `changes`: the row now, and before each change that the table's history still has. `notes`: what prevents an exact
    answer.
    """

    contract: Contract
    subject: Subject
    changes: tuple[Change, ...]
    made: Recomputed
    notes: tuple[str, ...]

    @property
    def values(self) -> Values:
        """The row as it is published."""
        return self.changes[0].values

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """The columns whose published values differ from what the sources give."""
        row = self.made.row
        names = [name for name in self.contract.column_names if name not in AUDIT_COLUMNS]
        return tuple(name for name in names if row is None or not same(self.values[name], row[name]))

    def listed_for(self, column: str) -> tuple[Listed, ...]:
        """The source rows of one column; for a part of the key, those that make the row exist.

        For a cumulative column, the latter are included as rows that place the row.
        """
        if column in AUDIT_COLUMNS:
            return ()
        like = self.subject.defining_column if self._is_of_row(column) else column
        found = [row for row in self.made.listed if like in row.columns]
        if column in self.subject.cumulative:
            known = {(row.source, row.id) for row in found}
            of_row = (row for row in self.made.listed if self.subject.defining_column in row.columns)
            found += [replace(row, role=PLACES) for row in of_row if (row.source, row.id) not in known]
        return tuple(found)

    def rejected_for(self, column: str | None) -> tuple[Rejected, ...]:
        """The nearby rejected rows from the sources of one column, or of all columns."""
        if column is None:
            return self.made.rejected
        sources = self.contract.column(column).sources
        return tuple(row for row in self.made.rejected if row.source in sources)

    def _is_of_row(self, column: str) -> bool:
        return column in self.contract.key or column in ("id", "calculation_method")

    def changes_of(self, column: str) -> tuple[Change, ...]:
        """The changes that changed this column's value, newest first."""
        found = [self.changes[0]]
        for change in self.changes[1:]:
            if same(found[-1].values[column], change.values[column]):
                found[-1] = change  # the value is older than the later change of the row
            else:
                found.append(change)
        return tuple(found)


def same(left: Value, right: Value) -> bool:
    """Whether two values of a column are equal, doubles within the tolerance that publishing uses."""
    if isinstance(left, float) and isinstance(right, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(left == right)


def text_of(value: Value) -> str:
    """A value as the explanation writes it."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
