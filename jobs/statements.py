"""Statements of SQL that tell a catalog what a contract says of a table: comments and tags."""

from __future__ import annotations

from collections.abc import Iterator

from expectations.contract import Column, Contract
from expectations.literals import sql_text


def quoted_name(text: str) -> str:
    """A name in backticks, its parts between the dots each."""
    return ".".join(map(quoted, text.split(".")))


def quoted(text: str) -> str:
    """One part of a name, or a principal, in backticks: dots in it divide nothing."""
    return f"`{text.replace('`', '``')}`"


def one_line(text: str | None) -> str:
    """The text with single spaces for all white space."""
    return " ".join((text or "").split())


def literal(text: str) -> str:
    """The text, on one line, as a literal."""
    return sql_text(one_line(text))


def table_comment(table: str, contract: Contract) -> str:
    """Says what the table is; `table` is its quoted name."""
    return f"COMMENT ON TABLE {table} IS {literal(contract.description)}"


def column_comment(table: str, column: Column) -> str:
    """Says what the column is."""
    return f"COMMENT ON COLUMN {table}.{quoted(column.name)} IS {literal(column.description)}"


def table_tag(table: str, contract: Contract) -> str:
    """Tags the table by its kind."""
    return f"ALTER TABLE {table} SET TAGS ('classwaves_kind' = {literal(contract.kind)})"


def column_tags(table: str, column: Column) -> Iterator[str]:
    """Tags the column by its unit and as personal; nothing for one that is neither."""
    tags = {"classwaves_personal": "true" if column.personal else None, "classwaves_unit": column.unit}
    given = ", ".join(f"'{key}' = {literal(value)}" for key, value in tags.items() if value)
    if given:
        yield f"ALTER TABLE {table} ALTER COLUMN {quoted(column.name)} SET TAGS ({given})"
