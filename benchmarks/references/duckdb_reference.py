"""What a job publishes, computed by DuckDB over the same files, in one statement.

python -m benchmarks.references.duckdb_reference JOB LAKEHOUSE OUT.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from transforms.source_rules import RULES

TEXTS = Path(__file__).parent / "duckdb"


def files_of(lakehouse: Path, table: str) -> list[str]:
    """The data files of a table's latest version, by its log."""
    files: list[str] = DeltaTable(str(lakehouse.joinpath(*table.split(".")))).file_uris()
    return files


def connected(lakehouse: Path, tables: tuple[str, ...] = tuple(RULES)) -> duckdb.DuckDBPyConnection:
    """A connection in which the tables have their two-part names."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute((TEXTS / "macros.sql").read_text(encoding="utf-8"))
    for table in tables:
        files = ", ".join(f"'{file}'" for file in files_of(lakehouse, table))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.split('.')[0]}")
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet([{files}])")
    return connection


def statement_of(job: str) -> str:
    """The query whose rows are those that the job publishes."""
    parts = [(TEXTS / f"{name}.sql").read_text(encoding="utf-8") for name in ("usable_rows", job)]
    return "WITH\n" + ",\n".join(part.rstrip() for part in parts)


def compute(job: str, lakehouse: Path, out: Path) -> None:
    """Writes the rows to a Parquet file."""
    with connected(lakehouse) as connection:
        connection.execute(f"COPY ({statement_of(job)}) TO '{out}' (FORMAT parquet)")


if __name__ == "__main__":
    compute(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
