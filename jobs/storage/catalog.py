"""A lakehouse in a catalog, which knows its tables and serializes their commits."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.errors import UsageError
from jobs.storage.interface import RECENT_COMMITS


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

    def _read_history(self, table: str, limit: int) -> dict[int, int]:
        """The second of each of the latest commits, by its version; keeps it until the next look at the table."""
        # Of two commits with the same timestamp, DESCRIBE HISTORY shows the later one a millisecond later, but only if
        # it lists both. On some object stores all commits of a second have the same timestamp.
        history = self._spark.sql(f"DESCRIBE HISTORY {table} LIMIT {limit + 1}")
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
