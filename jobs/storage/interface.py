"""What a lake asks of the place where its tables are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pyspark.sql import SparkSession

from expectations.literals import sql_text

RECENT_COMMITS = 100
"""No more than this are expected between a commit and the next look at its table."""


class Storage(Protocol):
    """Where a lake's tables are: what differs between a folder and a catalog.

    `staging_clause`: the SQL for the kind of table that one run writes once, reads many times and drops. `may_tune`:
    whether the session's settings are ours to choose.
    """

    staging_clause: str
    may_tune: bool

    def register(self, spark: SparkSession, tables: Iterable[str]) -> None:
        """Makes those of the tables that exist known by their two-part names."""

    def location(self, name: str) -> str | None:
        """The path at which a new table or schema is created; None lets the catalog choose."""

    def exists(self, table: str) -> bool:
        """Whether the table exists."""

    def latest_version(self, table: str) -> int:
        """The number of the table's latest commit."""

    def commit_id(self, table: str, version: int) -> str | None:
        """What distinguishes the commit of a version from those of all other tables that ever had this name.

        None if the log no longer goes back that far, empty if the table has no such version.
        """

    def bytes_of(self, table: str) -> int:
        """The approximate size of the table's files in bytes."""

    def lock(self, table: str) -> AbstractContextManager[None]:
        """A lock to hold while one of our tables is written, if the place itself does not serialize commits."""

    def docs_folder(self) -> Path | None:
        """The default folder for the pages of runs; None if there is none."""

    def clear_remains(self, table: str) -> None:
        """Removes what a process that ended before the first commit of a table left where it is created."""

    def drop(self, spark: SparkSession, table: str) -> None:
        """Drops one of our tables and its files."""

    def tables_like(self, schema: str, prefix: str) -> list[str]:
        """The two-part names of the schema's tables whose own names begin with the prefix."""

    def is_gone(self, owner: str) -> bool | None:
        """Whether the process that `owner` names has ended; None if that cannot be known."""


def location_clause(storage: Storage, name: str) -> str:
    """The location of a new table or schema, as the end of its statement; empty if the catalog chooses."""
    location = storage.location(name)
    return f" LOCATION {sql_text(location)}" if location else ""


def create_schema(spark: SparkSession, storage: Storage, table: str) -> None:
    """Creates the table's schema if it is missing."""
    schema = table.split(".")[0]
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}{location_clause(storage, schema)}")
