"""Deployed tables: how they differ from their contracts, and the SQL that updates the catalog's descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from expectations.contract import Contract
from jobs.commands.workspace.difference import Difference
from jobs.statements import column_comment, column_tags, one_line, quoted_name, table_comment, table_tag

if TYPE_CHECKING:
    from databricks.sdk.service.catalog import TableInfo

FEED = "delta.enableChangeDataFeed"
_CLUSTERING = "clusteringColumns"
_OTHER_NAMES = {"integer": "int", "long": "bigint"}
"""Type names that some clients wrote to the catalog, and the names that contracts use for them."""


def differences(contract: Contract, table: TableInfo | None) -> list[Difference]:
    """Where the table differs from its contract; None is a table that does not exist.

    Of a source, only what a run requires is compared: the columns of its contract and their types. An absent source
    that counts as empty is not a difference.
    """
    if table is None:
        is_missed = contract.kind != "source" or contract.required
        return [Difference(contract.table, "table", "present", "absent")] if is_missed else []
    found = list(_columns(contract, table))
    if contract.kind != "source":
        found += _of_our_own(contract, table)
    return found


def _columns(contract: Contract, table: TableInfo) -> Iterator[Difference]:
    deployed = {(column.name or "").lower(): column for column in table.columns or []}
    for column in contract.columns:
        place = f"{contract.table}.{column.name}"
        there = deployed.get(column.name)
        if there is None:
            yield Difference(place, "column", "present", "absent")
            continue
        declared, found = _type(column.type), _type(there.type_text or "")
        if declared != found:
            yield Difference(place, "type", declared, found)
        if contract.kind == "source":
            continue
        if there.nullable is False:
            yield Difference(place, "nullability", "nullable", "not null")
        if one_line(column.description) != one_line(there.comment):
            yield Difference(place, "comment", one_line(column.description), one_line(there.comment))


def _of_our_own(contract: Contract, table: TableInfo) -> Iterator[Difference]:
    for column in table.columns or []:
        if (column.name or "").lower() not in contract.column_names:
            yield Difference(f"{contract.table}.{column.name}", "column", "absent", "present")
    if one_line(contract.description) != one_line(table.comment):
        yield Difference(contract.table, "comment", one_line(contract.description), one_line(table.comment))
    properties = table.properties or {}
    clustering = _clustering(properties.get(_CLUSTERING, ""))
    if clustering != contract.clustering:
        yield Difference(contract.table, "clustering", ", ".join(contract.clustering), ", ".join(clustering))
    if properties.get(FEED, "").lower() != "true":
        yield Difference(contract.table, FEED, "true", properties.get(FEED, ""))


def statements(contract: Contract, catalog: str, table: TableInfo) -> list[str]:
    """The SQL statements that give one of our tables its comments, its property and its tags.

    What the table already has is left out, except for tags: the catalog does not return them with the table. A column
    that the table lacks gets none.
    """
    name = quoted_name(f"{catalog}.{contract.table}")
    open_points = {(difference.place, difference.what) for difference in differences(contract, table)}
    found = []
    if (contract.table, "comment") in open_points:
        found.append(table_comment(name, contract))
    for column in contract.columns:
        if (f"{contract.table}.{column.name}", "comment") in open_points:
            found.append(column_comment(name, column))
    if (contract.table, FEED) in open_points:
        found.append(f"ALTER TABLE {name} SET TBLPROPERTIES ('{FEED}' = 'true')")
    found.append(table_tag(name, contract))
    for column in contract.columns:
        if (f"{contract.table}.{column.name}", "column") not in open_points:
            found += column_tags(name, column)
    return found


def _type(text: str) -> str:
    plain = "".join(text.lower().split())
    return _OTHER_NAMES.get(plain, plain)


def _clustering(text: str) -> tuple[str, ...]:
    """The columns in the property that Spark and Databricks write: `[["a"],["b"]]`, a path of names per column."""
    try:
        return tuple(".".join(path) for path in json.loads(text))
    except (ValueError, TypeError):
        return tuple(name.strip() for name in text.split(",") if name.strip())
