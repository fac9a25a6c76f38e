"""A lakehouse in a local folder: the files are authoritative, a run registers the folders of the tables it needs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.errors import UsageError
from jobs.logs import log
from jobs.processes import has_ended
from jobs.spark_session import is_remote
from jobs.storage.interface import create_schema, location_clause

_REGISTERED_FOLDER = "spark.classwaves.registered_lakehouse"


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

        It is released when the process that holds it ends, however that happens. That another holds it is logged.
        """
        folder = self.folder / "_locks"
        folder.mkdir(exist_ok=True)
        with (folder / table).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process that writes the table", table=table, lock=file.name)
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
