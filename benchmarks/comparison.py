"""Whether a reference's rows are those that a job published: counted, never shown."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.references.duckdb_reference import files_of
from expectations.contract import contract_of
from transforms.table_diff import AUDIT_COLUMNS, TOLERANCE


def differences(lakehouse: Path, table: str, reference: Path) -> list[str]:
    """How many rows of a target are on one side only, and how many values differ, by column.

    All columns are compared but the stamps, of rows with the same key; what the reference computes beyond the table's
    columns is left aside. Doubles may be as far apart as publishing lets them: the order of a sum is no difference. A
    text of the sources' names is compared as it is.
    """
    contract = contract_of(table)
    subject = f"{table} by {', '.join(contract.key)}"
    listed = ", ".join(f"'{file}'" for file in files_of(lakehouse, table))
    same_key = " AND ".join(f"j.{name} IS NOT DISTINCT FROM r.{name}" for name in contract.key)
    columns = [column for column in contract.columns if column.name not in (*AUDIT_COLUMNS, *contract.key)]
    values = [f"count(*) FILTER ({_differs(c.name, c.type)}) AS {c.name}" for c in columns]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW job AS SELECT * FROM read_parquet([{listed}])")
        connection.execute(f"CREATE VIEW reference AS SELECT * FROM read_parquet('{reference}')")
        counts = "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM reference), count(*)"
        job, other, both = _only_row(connection, f"{counts} FROM job AS j JOIN reference AS r ON {same_key}")
        unlike = _only_row(connection, f"SELECT {', '.join(values)} FROM job AS j JOIN reference AS r ON {same_key}")
    found = []
    if not job:
        found.append(f"{subject}: the job published no rows")
    if job != both or other != both:
        found.append(f"{subject}: {job} rows of the job, {other} of the reference, {both} with the same key")
    found += [
        f"{subject}, column {column.name}: {count} of {both} rows differ"
        for column, count in zip(columns, unlike, strict=True)
        if count
    ]
    return found


def _only_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row: tuple[int, ...] = connection.execute(query).fetchall()[0]
    return row


def _differs(name: str, type_: str) -> str:
    mine, other = f"j.{name}", f"r.{name}"
    is_distinct = f"{mine} IS DISTINCT FROM {other}"
    if type_ != "double":
        return is_distinct
    within = f"abs({mine} - {other}) <= {TOLERANCE} * greatest(1, abs({mine}), abs({other}))"
    return f"{is_distinct} AND NOT coalesce({within}, false)"
