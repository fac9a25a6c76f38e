"""SQL statements that give a catalog what a contract says about a table: comments and tags."""

from __future__ import annotations

from collections.abc import Iterator

from expectations.contract import Column, Contract
from expectations.literals import sql_text


def quoted_name(text: str) -> str:
    """A dotted name, each of its parts in backticks."""
    return ".".join(map(quoted, text.split(".")))


def quoted(text: str) -> str:
    """One part of a name, or a principal, in backticks: dots in it do not separate parts."""
    return f"`{text.replace('`', '``')}`"


def one_line(text: str | None) -> str:
    """The text with all white space collapsed to single spaces."""
    return " ".join((text or "").split())


def literal(text: str) -> str:
    """The text, on one line, as a SQL string literal."""
    return sql_text(one_line(text))


def table_comment(table: str, contract: Contract) -> str:
    """The statement that sets the table's comment; `table` is its quoted name."""
    return f"COMMENT ON TABLE {table} IS {literal(contract.description)}"


def column_comment(table: str, column: Column) -> str:
    """The statement that sets the column's comment; `table` is the quoted name of its table."""
    return f"COMMENT ON COLUMN {table}.{quoted(column.name)} IS {literal(column.description)}"


def table_tag(table: str, contract: Contract) -> str:
    """The statement that tags the table with its kind; `table` is its quoted name."""
    return f"ALTER TABLE {table} SET TAGS ('classwaves_kind' = {literal(contract.kind)})"


def column_tags(table: str, column: Column) -> Iterator[str]:
    """The statement that tags the column with its unit and as personal; none for a column with neither."""
    tags = {"classwaves_personal": "true" if column.personal else None, "classwaves_unit": column.unit}
    given = ", ".join(f"'{key}' = {literal(value)}" for key, value in tags.items() if value)
    if given:
        yield f"ALTER TABLE {table} ALTER COLUMN {quoted(column.name)} SET TAGS ({given})"
