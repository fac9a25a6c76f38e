"""Where a lake is stored: a local folder, or a catalog. This module has only what differs between them.

In a local lakehouse, folders are registered under two-part names when a run needs them; the files are authoritative.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.literals import sql_text
from jobs.errors import UsageError
from jobs.processes import has_ended
from jobs.spark_session import is_remote

RECENT_COMMITS = 100
"""No more than this are expected between a commit and the next look at its table."""

_REGISTERED_FOLDER = "spark.classwaves.registered_lakehouse"


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


class LocalFolder:
    """A folder with the Delta table `schema.name` at `schema/name`."""

    # Without a log: for a table of one commit, Delta's would cost a few Spark jobs, and one more for each place in a
    # plan that reads it.
    staging_clause = "USING parquet"
    may_tune = True

    def __init__(self, folder: Path, *, only_reads: bool = False) -> None:
        """Raises `UsageError` if the folder does not exist or, unless a command `only_reads`, cannot be written."""
        self.folder = folder.absolute()
        self._others: set[str] = set()
        if self.folder.is_file():
            raise UsageError(f"The lakehouse {folder} is a file: a folder is needed.")
        if not self.folder.is_dir():
            raise UsageError(f"The lakehouse folder {folder} does not exist.")
        if not only_reads and not os.access(self.folder, os.W_OK | os.X_OK):
            raise UsageError(f"The lakehouse folder {folder} cannot be written.")

    def location(self, name: str) -> str:
        """Returns the folder of the table, or of the schema, as an absolute path."""
        return str(self.folder.joinpath(*name.split(".")))

    def exists(self, table: str) -> bool:
        """Whether the table's folder has a Delta log with a commit: the first one may still be in progress."""
        return bool(self._commits(table))

    def latest_version(self, table: str) -> int:
        """Returns the latest version by the names of the files in the Delta log.

        A run asks for a dozen tables, and a Spark job for each would take longer.
        """
        return max(self._commits(table))

    def commit_id(self, table: str, version: int) -> str | None:
        """Returns a hash of the commit's file: a copy of the folder has the same."""
        try:
            content = Path(self.location(table), "_delta_log", f"{version:020}.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return "" if version > max(self._commits(table), default=-1) else None
        return hashlib.sha256(content).hexdigest()[:16]

    def _commits(self, table: str) -> list[int]:
        try:
            names = os.listdir(Path(self.location(table), "_delta_log"))
        except (FileNotFoundError, NotADirectoryError):  # no other error means that there is no table
            return []
        return [int(name[:20]) for name in names if re.match(r"\d{20}\.(json|checkpoint)", name)]

    def bytes_of(self, table: str) -> int:
        """Returns the size of the table's files in bytes, including files that no current version holds."""
        size = 0
        for path in Path(self.location(table)).rglob("*.parquet"):
            with suppress(FileNotFoundError):  # others may vacuum their tables at any time
                size += path.stat().st_size
        return size

    def register(self, spark: SparkSession, tables: Iterable[str]) -> None:
        """Registers the folders of existing tables in the session's in-memory catalog."""
        self._forget_other_folder(spark)
        for table in tables:
            if self.exists(table):
                if table in self._others:
                    raise UsageError("the session's catalog has another table of that name.")
                create_schema(spark, self, table)
                spark.sql(f"CREATE TABLE IF NOT EXISTS {table} USING delta{location_clause(self, table)}")

    def _forget_other_folder(self, spark: SparkSession) -> None:
        registered = spark.conf.get(_REGISTERED_FOLDER, None)
        if registered == str(self.folder):
            return
        # The sessions of a Connect server share one catalog, and an earlier one may have registered its folder there.
        # What a metastore keeps is not ours to drop.
        may_know_another = registered is not None or is_remote()
        if may_know_another and spark.conf.get("spark.sql.catalogImplementation", "in-memory") == "in-memory":
            # Only tables are dropped, which leaves their files alone: dropping a schema would delete its folder.
            # In SQL: Spark cannot decode what `spark.catalog` lists while expressions are interpreted.
            for schema in [row["namespace"] for row in spark.sql("SHOW SCHEMAS").collect()]:
                for table in spark.sql(f"SHOW TABLE EXTENDED IN {schema} LIKE '*'").collect():
                    name = f"{schema}.{table['tableName']}"
                    if "Type: EXTERNAL" in table["information"]:
                        spark.sql(f"DROP TABLE IF EXISTS {name}")
                    else:
                        self._others.add(name)
        spark.conf.set(_REGISTERED_FOLDER, str(self.folder))

    @contextmanager
    def lock(self, table: str) -> Iterator[None]:
        """A lock of the operating system: Delta's commits to a local folder exclude each other only within one JVM.

        It is released when the process that holds it ends, however that happens.
        """
        folder = self.folder / "_locks"
        folder.mkdir(exist_ok=True)
        with (folder / table).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def docs_folder(self) -> Path:
        """Returns the folder `_data_docs` of the lakehouse."""
        return self.folder / "_data_docs"

    def clear_remains(self, table: str) -> None:
        """Deletes a log without a commit, if the folder holds nothing else: Delta creates no table beside it."""
        folder = Path(self.location(table))
        if not self.exists(table) and folder.is_dir() and os.listdir(folder) == ["_delta_log"]:
            shutil.rmtree(folder / "_delta_log")

    def drop(self, spark: SparkSession, table: str) -> None:
        """Unregisters the table and deletes its folder, which the session's catalog would keep."""
        if spark.catalog.databaseExists(table.split(".")[0]):
            spark.sql(f"DROP TABLE IF EXISTS {table}")
        shutil.rmtree(self.location(table), ignore_errors=True)

    def tables_like(self, schema: str, prefix: str) -> list[str]:
        """Returns the tables that have a folder, including half-written ones, ordered by name."""
        return [f"{schema}.{path.name}" for path in sorted((self.folder / schema).glob(f"{prefix}*"))]

    def is_gone(self, owner: str) -> bool | None:
        """Returns whether a process of this machine has ended; None for one of another machine."""
        return has_ended(owner)


class Catalog:
    """A catalog of Unity Catalog, or any other that the session knows."""

    # Unity Catalog manages no other kind. Column statistics are off: no lookup would use them.
    staging_clause = "USING delta TBLPROPERTIES ('delta.dataSkippingNumIndexedCols' = '0')"
    may_tune = False

    def __init__(self, spark: SparkSession, name: str) -> None:
        """Makes it the session's current catalog; raises `UsageError` if the session has no such catalog."""
        try:
            spark.catalog.setCurrentCatalog(name)
        except Exception as error:
            raise UsageError(
                f"The catalog {name} does not exist or may not be used; for a local folder use --lakehouse DIR."
            ) from error
        self._spark = spark
        self._quoted_name = f"`{name.replace('`', '``')}`"
        self._seconds: dict[str, dict[int, int]] = {}

    def location(self, name: str) -> None:
        """Returns None: the catalog chooses where its tables and schemas are."""
        del name

    def exists(self, table: str) -> bool:
        """Whether the catalog has the table."""
        return bool(self._spark.catalog.tableExists(self._full_name(table)))

    def _full_name(self, name: str) -> str:
        # A shorter name would be looked up in Spark's own catalog first.
        return f"{self._quoted_name}.{name}"

    def register(self, spark: SparkSession, tables: Iterable[str]) -> None:
        """Does nothing: a catalog knows its tables."""
        del spark, tables

    def latest_version(self, table: str) -> int:
        """Returns the version of the latest commit in the table's history."""
        return max(self._read_history(table, 1))

    def commit_id(self, table: str, version: int) -> str | None:
        """Returns the second in which the commit was made, since 1970, as it was when the table was last looked at."""
        known = self._seconds.get(table) or self._read_history(table, 1)
        if version > max(known):
            known = self._read_history(table, 1)
        if version > max(known):
            return ""
        if version < min(known):
            known = self._read_history(table, max(known) - version + RECENT_COMMITS)
        return str(known[version]) if version in known else None

    def _read_history(self, table: str, most: int) -> dict[int, int]:
        """The second of each of the latest commits, by its version; keeps it until the next look at the table."""
        # Delta tells a commit that is as old as the one before it a millisecond later, if it lists that one, too. On
        # some object stores all commits of a second are equally old.
        history = self._spark.sql(f"DESCRIBE HISTORY {table} LIMIT {most + 1}")
        rows = history.select("version", F.unix_seconds("timestamp").alias("second")).collect()
        self._seconds[table] = {row["version"]: row["second"] for row in rows}
        return self._seconds[table]

    def bytes_of(self, table: str) -> int:
        """Returns the size in bytes of the files that the latest version holds."""
        return int(self._spark.sql(f"DESCRIBE DETAIL {table}").select("sizeInBytes").collect()[0]["sizeInBytes"])

    def lock(self, table: str) -> AbstractContextManager[None]:
        """Returns a lock that never blocks: in a catalog, one of two competing commits fails."""
        del table
        return nullcontext()

    def docs_folder(self) -> None:
        """Returns None: a catalog has no folder for reports."""

    def clear_remains(self, table: str) -> None:
        """Does nothing: a catalog lists a table after its first commit."""
        del table

    def drop(self, spark: SparkSession, table: str) -> None:
        """Drops the table; the catalog deletes the files of one that it manages."""
        spark.sql(f"DROP TABLE IF EXISTS {table}")

    def tables_like(self, schema: str, prefix: str) -> list[str]:
        """Returns the tables that the catalog lists; none if it has no such schema."""
        if not self._spark.catalog.databaseExists(self._full_name(schema)):
            return []
        found = self._spark.sql(f"SHOW TABLES IN {schema} LIKE '{prefix}*'").select("tableName").collect()
        return [f"{schema}.{row['tableName']}" for row in found]

    def is_gone(self, owner: str) -> None:
        """Returns None: a platform's machines come and go, so this cannot be known."""
        del owner
