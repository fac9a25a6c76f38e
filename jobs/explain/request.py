"""What a call of `classwaves explain` asks about, from the names and the key that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expectations.contract import contract_of
from jobs.explain.subject import Subject
from jobs.explain.subjects import TARGETS_OF, subject_of
from jobs.suggestions import unknown_name_error


@dataclass(frozen=True)
class Request:
    """A row, the tables to explain it in, and one of its columns; None for all of them."""

    subject: Subject
    tables: tuple[str, ...]
    column: str | None


def read_request(table: str, words: Sequence[str]) -> Request:
    """The request for a rollup or one of its tables, and a row's key with or without a column after it.

    Raises `UsageError` for an unknown name and for an invalid key.
    """
    name, tables = _rollup_and_tables(table)
    parts = len(contract_of(tables[0]).key)
    if len(words) != parts + 1:
        return Request(subject_of(name, words), tables, None)
    *key, column = words
    return Request(subject_of(name, key), _with_column(tables, column), column)


def _rollup_and_tables(table: str) -> tuple[str, tuple[str, ...]]:
    """The rollup that a name refers to, and its tables: all of them, or the one that is named."""
    if table in TARGETS_OF:
        return table, TARGETS_OF[table]
    for name, tables in TARGETS_OF.items():
        if table in tables:
            return name, (table,)
    every = tuple(each for tables in TARGETS_OF.values() for each in tables)
    raise unknown_name_error(table, (*TARGETS_OF, *every), "rollup or table of one named")


def _with_column(tables: tuple[str, ...], column: str) -> tuple[str, ...]:
    """The first of the tables that has the column."""
    for table in tables:
        if column in contract_of(table).public_columns:
            return (table,)
    names = tuple(dict.fromkeys(name for table in tables for name in contract_of(table).public_columns))
    raise unknown_name_error(column, names, f"column of {tables[0]} named")
