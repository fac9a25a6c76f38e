"""The names in a query: enough of SQL to tell which tables and columns our dashboards and alerts read."""

from __future__ import annotations

import re

from expectations.contract import contract_names, contract_of

_KEYWORDS = frozenset(
    [
        "all",
        "and",
        "as",
        "asc",
        "between",
        "by",
        "case",
        "current_date",
        "current_timestamp",
        "day",
        "days",
        "desc",
        "distinct",
        "else",
        "end",
        "false",
        "from",
        "group",
        "having",
        "hour",
        "hours",
        "in",
        "inner",
        "interval",
        "is",
        "join",
        "left",
        "like",
        "limit",
        "minute",
        "month",
        "not",
        "null",
        "nulls",
        "last",
        "first",
        "on",
        "or",
        "order",
        "outer",
        "over",
        "partition",
        "select",
        "then",
        "true",
        "union",
        "using",
        "values",
        "when",
        "where",
        "week",
        "year",
    ]
)
_STRINGS = re.compile(r"'(?:[^']|'')*'")
_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+(?:[\w<>]+\.)?(\w+\.\w+)\b", re.IGNORECASE)
_DEFINED = re.compile(r"\bAS\s+(\w+)(?:\s*\(([\w\s,]*)\))?", re.IGNORECASE)
_UNITS = re.compile(r"\b(?:timestampdiff|date_trunc)\s*\(\s*\w+\s*,", re.IGNORECASE)


def wrong_names(query: str) -> list[str]:
    """What the query reads that no contract has: tables, or columns of none of its tables."""
    text = _STRINGS.sub("''", query)
    tables = _TABLE.findall(text)
    unknown = [f"the table {table}" for table in tables if table not in contract_names()]
    if unknown:
        return unknown
    known = {column for table in tables for column in contract_of(table).column_names}
    for name, columns in _DEFINED.findall(text):
        known |= {name, *re.findall(r"\w+", columns)}
    rest = _UNITS.sub(" (", _TABLE.sub(" ", text))
    names = re.findall(r"(?<![\w.])[a-zA-Z_]\w*(?:\.\w+)*(?!\w*\s*\()(?![\w.])", rest)
    read = {part for name in names if name.lower() not in _KEYWORDS for part in name.split(".")}
    return [f"the column {name}" for name in sorted(read - known)]


def outputs(query: str) -> set[str]:
    """The names of the columns that the outermost SELECT gives."""
    text = _STRINGS.sub("''", query)
    items, item, depth = [], "", 0
    for word in re.findall(r"\w+|[^\w\s]|\s+", text[re.search(r"SELECT", text).end() :]):  # type: ignore[union-attr]
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in (",", "FROM"):
            items.append(item)
            item = ""
            if word == "FROM":
                break
        else:
            item += word
    return {item.split()[-1].split(".")[-1] for item in items}
