"""The lake: everything that reads and writes Delta tables; where they are and how they are found is in `jobs.storage`.

Tables are addressed by two-part names (`analytics.session_events`) under the session's current catalog.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from expectations.contract import Contract
from jobs.collect import collect_utc
from jobs.commits import Commit, standing_commits
from jobs.errors import BrokenContractError, JobError, UsageError
from jobs.failures import OutsideError, explained, has_lost_spark, is_mendable, reason_of, says_gone
from jobs.logs import log
from jobs.provenance import Provenance, Snapshot, Versions
from jobs.storage import RECENT_COMMITS, Storage, create_schema, location_clause

CHANGE_TYPE = "_change_type"
"""The feed's column with the kind of a change."""
COMMIT_VERSION = "_commit_version"
"""The feed's column with the version that made the change."""
MAX_COMMITS = 1000
"""How many commits back a search goes at first: there may be commits besides ours."""
LOG_RETENTION_HOURS = 400 * 24
"""How long our tables keep their log: how far the sources were followed is in it, and schools close for months."""
WRITE_ATTEMPTS = 10
"""How often a write is tried if others write the same table."""

_VERSION_GONE = "an earlier version cannot be read"

T = TypeVar("T")


class ConflictError(JobError):
    """Another run wrote the same table at the same time: nothing was written, and the write may be retried."""


@contextmanager
def _refusals_named(table: str) -> Iterator[None]:
    """Turns Delta's concurrency errors, whatever their class on this platform, into `ConflictError`.

    Raises `OutsideError` if a constraint that somebody has put on the table refuses a row.
    """
    try:
        yield
    except Exception as error:
        if re.search(r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)|Concurrent\w+Exception", str(error)):
            raise ConflictError(f"Another run wrote {table} at the same time.") from error
        if re.search(r"DELTA_(VIOLATE_CONSTRAINT|NOT_NULL_CONSTRAINT)", str(error)):
            raise OutsideError(f"A constraint of {table} refuses rows: drop it and run again.") from error
        raise


@contextmanager
def _unreadable_named(what: str, table: str) -> Iterator[None]:
    """Raises `BrokenContractError` for what cannot be read, or `OutsideError` if nothing is wrong with it."""
    try:
        yield
    except Exception as error:
        sentence = f"{what} {table} cannot be read: {reason_of(error)}"
        if not is_mendable(error):
            raise BrokenContractError(sentence) from error
        named = explained(error)
        says_enough = isinstance(named, OutsideError) and (table in str(named) or has_lost_spark(error))
        raise named if says_enough else OutsideError(sentence) from error


def _unless_gone(read: Callable[[], T], tell: Callable[..., Any], event: str, **of: object) -> T | None:
    """Returns what `read` returns; None, with a log entry, if that is no longer there."""
    try:
        return read()
    except Exception as error:
        if not says_gone(error):
            raise
        tell(event, reason=reason_of(error), **of)
        return None


def _read_all(rows: DataFrame, column: str, *also: Column) -> Row:
    """Reads every file of the rows, in one column: a missing file is noticed only then. Returns `also`, aggregated."""
    # A count of what cannot be null, or an extreme, may be answered from the log.
    return rows.agg(F.max(F.hash(column)), *also).collect()[0]


def _assignments(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


class Lake:
    """Reads, stages and publishes Delta tables: sources and targets as of a version, every write in one commit."""

    def __init__(self, spark: SparkSession, storage: Storage) -> None:
        self.spark = spark
        self.storage = storage
        self._bytes: dict[tuple[str, int], int] = {}

    def register(self, tables: Iterable[str]) -> None:
        """Makes the tables known by name; raises `BrokenContractError` for one that cannot be read."""
        for table in tables:
            with _unreadable_named("The table", table):
                self.storage.register(self.spark, [table])

    def exists(self, table: str) -> bool:
        """Whether the table exists; raises `BrokenContractError` if its log cannot be looked for."""
        with _unreadable_named("The Delta log of", table):
            return self.storage.exists(table)

    def version(self, table: str) -> int:
        """The table's latest version; raises `BrokenContractError` if its log cannot be read."""
        with _unreadable_named("The Delta log of", table):
            return self.storage.latest_version(table)

    def commit_ids(self, versions: Versions) -> dict[str, str]:
        """What identifies the commit of each table's version, as far as that is known: see `Storage.commit_id`."""
        found = {table: self._commit_id(table, version) for table, version in versions.items()}
        return {table: commit for table, commit in found.items() if commit}

    def _commit_id(self, table: str, version: int) -> str | None:
        with _unreadable_named("The Delta log of", table):
            return self.storage.commit_id(table, version)

    def refresh_commits(self, tables: Iterable[str]) -> None:
        """Has the storage know the tables' commits as they are now."""
        for table in filter(self.exists, tables):
            self.version(table)

    def without_recreated(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot without the sources that were dropped and recreated since."""
        return snapshot.without({source for source in snapshot.commits if self._is_recreated(source, snapshot)})

    def reads_a_recreated(self, snapshot: Snapshot) -> bool:
        """Whether any of the snapshot's sources was dropped and recreated since."""
        return any(self._is_recreated(source, snapshot) for source in snapshot.commits)

    def _is_recreated(self, source: str, snapshot: Snapshot) -> bool:
        if not self.exists(source):
            return False
        found = self._commit_id(source, snapshot.versions[source])
        return found is not None and found != snapshot.commits[source]

    def bytes_of(self, table: str, version: int) -> int:
        """The approximate size of the table's files in bytes, asked once per version: a catalog is slow to answer."""
        known = self._bytes
        if (table, version) not in known:
            known[table, version] = self.storage.bytes_of(table)
        return known[table, version]

    def commits(self, table: str, limit: int | None = None) -> list[Commit]:
        """The `standing_commits` among the table's latest ones: at most `limit`, by default `MAX_COMMITS`."""
        return self._commits(table, f" LIMIT {limit or MAX_COMMITS}")

    def all_commits(self, table: str) -> list[Commit]:
        """The `standing_commits` among all that the table's log still has."""
        return self._commits(table)

    def commits_back_to(self, table: str, is_far_enough: Callable[[Sequence[Commit]], bool]) -> list[Commit]:
        """The `commits`, or all that the table's log still has if these do not go far enough back."""
        latest = self.commits(table)
        return latest if latest[-1].version == 0 or is_far_enough(latest) else self.all_commits(table)

    def _commits(self, table: str, limit: str = "") -> list[Commit]:
        self.register([table])  # another run may have created it since this one began
        history = self.spark.sql(f"DESCRIBE HISTORY {table}{limit}")
        restored = F.col("operationParameters")["version"].alias("restored")
        return standing_commits(
            collect_utc(history.select("version", "timestamp", "operation", restored, "userMetadata"))
        )

    def changes(self, table: str, first: int, last: int) -> tuple[DataFrame, bool] | None:
        """Rows inserted, deleted, and before and after an update, from the Change Data Feed of a table with an `id`.

        `_change_type` says which, `_commit_version` since which version. Also returns whether any row was removed or
        updated. None if the feed was not on for all of these versions, or is no longer there.
        """
        options = {"readChangeFeed": "true", "startingVersion": str(first), "endingVersion": str(last)}

        def feed() -> tuple[DataFrame, bool]:
            rows = self.spark.read.options(**options).table(table)
            found = _read_all(rows, "id", F.bool_or(F.col(CHANGE_TYPE) != "insert").alias("has_removed"))
            return rows, bool(found["has_removed"])

        return _unless_gone(feed, log.warning, "the change data feed cannot be read", table=table)

    def read(self, table: str, version: int) -> DataFrame:
        """The table as of one version."""
        return self.spark.read.option("versionAsOf", version).table(table)

    def latest(self, table: str) -> DataFrame:
        """The table as of its latest version, even if another run has created it since this one began."""
        self.register([table])
        return self.read(table, self.version(table))

    def readable(self, table: str, version: int, columns: Sequence[str]) -> DataFrame | None:
        """These columns of the table as of one version; None if its files or columns are no longer there."""

        def rows() -> DataFrame:
            found = self.read(table, version).select(*columns)
            _read_all(found, columns[0])
            return found

        return _unless_gone(rows, log.warning, _VERSION_GONE, table=table, version=version)

    def rows_at(
        self, table: str, version: int, condition: Column, columns: Sequence[str]
    ) -> list[dict[str, Any]] | None:
        """The few rows that satisfy the condition as of one version; None if its files are no longer there."""

        def rows() -> list[dict[str, Any]]:
            return collect_utc(self.read(table, version).where(condition).select(*columns))

        return _unless_gone(rows, log.info, _VERSION_GONE, table=table, version=version)

    def check(self, contract: Contract, *, exactly: bool) -> None:
        """Raises `BrokenContractError` that names every column of the table that is not as its contract says.

        `exactly` also refuses columns that are not in the contract: for tables that we write.
        """
        with _unreadable_named("The table", contract.table):
            found = {field.name: field.dataType for field in self.spark.table(contract.table).schema}
        absent = [f"column {name} is absent" for name in contract.column_names if name not in found]
        broken = [
            f"column {field.name} is {found[field.name].simpleString()} instead of {field.dataType.simpleString()}"
            for field in contract.spark_schema
            if field.name in found and found[field.name] != field.dataType
        ]
        if exactly:
            broken += [f"column {name} is not in the contract" for name in found if name not in contract.column_names]
        if absent or broken:
            is_only_older = contract.kind != "source" and not broken
            mend = f"; `classwaves add-columns {contract.table}` adds what is absent" if is_only_older else ""
            reasons = "; ".join(absent + broken)
            raise BrokenContractError(f"The table {contract.table} breaks its contract: {reasons}{mend}.")

    def require(self, contract: Contract) -> None:
        """Makes a table known that a command looks at.

        Raises `UsageError` if it does not exist yet, and `BrokenContractError` if it is not as its contract says.
        """
        if not self.exists(contract.table):
            if contract.kind == "source":
                raise UsageError(f"There is no table {contract.table}: it is a source, which ClassWaves writes.")
            raise UsageError(f"There is no table {contract.table} yet: run a job that writes it first.")
        self.register([contract.table])
        self.check(contract, exactly=False)

    def create_missing(self, contract: Contract) -> None:
        """Creates a table of ours if it is missing; raises `BrokenContractError` if it is not as its contract says."""
        self.register([contract.table])  # even before it exists: the session may know another lakehouse's by this name
        if not self.exists(contract.table):
            create_schema(self.spark, self.storage, contract.table)
            statement = contract.create_statement(self.storage.location(contract.table))
            self.retry_on_conflict(contract.table, lambda: self._create(contract.table, statement))
        self.check(contract, exactly=True)

    def add_columns(self, contract: Contract) -> tuple[str, ...]:
        """Adds the contract's columns that a table of ours lacks, null in existing rows, and returns their names."""
        self.register([contract.table])
        found = self.spark.table(contract.table).columns
        missing = tuple(name for name in contract.column_names if name not in found)
        if missing:
            definitions = ", ".join(contract.column_definition(name) for name in missing)
            self.retry_on_conflict(
                contract.table, lambda: self._sql(f"ALTER TABLE {contract.table} ADD COLUMNS ({definitions})")
            )
        self.check(contract, exactly=True)
        return missing

    def _create(self, table: str, statement: str) -> None:
        self.register([table])  # another run may have created it in the meantime
        self.storage.clear_remains(table)
        self.spark.sql(statement)

    def empty(self, schema: StructType) -> DataFrame:
        """A frame without rows, which stands for an absent optional table."""
        return self._local([], schema)

    def stage(self, table: str, rows: DataFrame) -> DataFrame:
        """Writes rows to a new table that has no contract, and returns them as they were written."""
        create_schema(self.spark, self.storage, table)
        columns = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in rows.schema)
        where = location_clause(self.storage, table)
        self.spark.sql(f"CREATE TABLE {table} ({columns}) {self.storage.staging_clause}{where}")
        rows.write.insertInto(table)
        return self.spark.table(table).select(*rows.columns)

    def drop(self, table: str) -> None:
        """Drops one of our tables and its files."""
        self.storage.drop(self.spark, table)

    def overwrite(
        self, table: str, rows: DataFrame, condition: str, provenance: Provenance, on_top_of: Sequence[Commit]
    ) -> int:
        """Replaces the rows that satisfy the condition, in one commit on top of the commits `on_top_of`, newest first.

        `condition` must be a range of one column: Delta overwrites only by comparisons with literals. The commit's user
        metadata is the provenance. Returns the commit's version; raises `ConflictError` if rows were changed by a later
        commit than those.
        """
        # Delta silently skips a transaction number it has already seen. Numbering by the last row-changing commit makes
        # it skip this write if another publication came first, whatever else was committed in between. The check below
        # detects the skip. The table's own id, because a deep clone takes over the numbers that its source has seen.
        changed_by = next((commit.version for commit in on_top_of if not commit.keeps_rows), on_top_of[-1].version)
        table_id = self._detail(table, "id")["id"]
        fence = {"txnAppId": f"classwaves:{table_id}", "txnVersion": str(changed_by + 1)}
        writer = rows.writeTo(table).options(**fence).option("userMetadata", provenance.as_json())
        with _refusals_named(table):
            writer.overwrite(F.expr(condition))
        # Another commit may already have followed it, such as an automatic compaction of files.
        commits = self.commits(table, RECENT_COMMITS)
        for commit in commits:
            if commit.version > on_top_of[0].version and commit.is_of(provenance.run_id):
                return commit.version
        raise ConflictError(f"Another run wrote {table} at the same time.")

    def retry_on_conflict(self, table: str, write: Callable[[], None]) -> None:
        """Writes one of our tables, retrying a few times if another run writes it at the same time."""
        attempts = Retrying(
            retry=retry_if_exception_type(ConflictError),
            stop=stop_after_attempt(WRITE_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=20),
            reraise=True,
        )
        for attempt in attempts:
            with attempt, self.storage.lock(table), _refusals_named(table):
                write()

    def size(self, table: str) -> tuple[int, int]:
        """The number of files of the table's latest version, and their size in bytes."""
        row = self._detail(table, "numFiles", "sizeInBytes")
        return row["numFiles"], row["sizeInBytes"]

    def _detail(self, table: str, *columns: str) -> Row:
        return self.spark.sql(f"DESCRIBE DETAIL {table}").select(*columns).collect()[0]

    def delete(self, table: str, condition: str) -> None:
        """Deletes the rows of one of our tables that satisfy the condition."""
        self.retry_on_conflict(table, lambda: self._sql(f"DELETE FROM {table} WHERE {condition}"))

    def optimize(self, table: str) -> None:
        """Compacts the table's rows into few files, by its clustering."""
        self.retry_on_conflict(table, lambda: self._sql(f"OPTIMIZE {table}"))

    def keep_versions(self, table: str, hours: int) -> None:
        """Keeps every version of one of our tables readable for this many hours, and its log for a year at least.

        By default Delta keeps a week and 30 days.
        """
        # Databricks refuses to read older versions, whether their files are there or not. And files older than the log
        # are known to nobody.
        wanted = {
            "delta.deletedFileRetentionDuration": f"interval {hours} hours",
            "delta.logRetentionDuration": f"interval {max(hours, LOG_RETENTION_HOURS)} hours",
        }
        found = {row["key"]: row["value"] for row in self.spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
        if not wanted.items() <= found.items():
            properties = ", ".join(f"'{name}' = '{value}'" for name, value in wanted.items())
            self.retry_on_conflict(table, lambda: self._sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({properties})"))

    def vacuum(self, table: str, retain_hours: int) -> None:
        """Deletes files that no version younger than this many hours needs."""
        self.retry_on_conflict(table, lambda: self._sql(f"VACUUM {table} RETAIN {retain_hours} HOURS"))

    def _sql(self, statement: str, **frames: Any) -> None:
        self.spark.sql(statement, **frames).collect()

    def rows_of(self, contract: Contract, rows: Iterable[Mapping[str, object]]) -> DataFrame:
        """Rows for one of our tables from values by column; raises `KeyError` for a column that a row leaves out."""
        names = contract.column_names
        return self._local([{name: row[name] for name in names} for row in rows], contract.spark_schema)

    def _local(self, rows: list[dict[str, object]], schema: StructType) -> DataFrame:
        # Via Arrow, because that makes a local relation: for a plain list Spark starts Python workers to write it.
        return self.spark.createDataFrame(pa.Table.from_pylist(rows, schema=to_arrow_schema(schema)), schema)

    def append(self, table: str, rows: DataFrame) -> None:
        """Appends rows to one of our tables."""
        self.retry_on_conflict(table, lambda: rows.select(*self.spark.table(table).columns).writeTo(table).append())

    def overwrite_all(self, contract: Contract, rows: DataFrame) -> None:
        """Replaces the whole content of a table, which is created if it is missing: for sample data."""
        self.create_missing(contract)
        rows.select(*contract.column_names).writeTo(contract.table).overwrite(F.lit(True))

    def replace(self, table: str, rows: DataFrame, condition: str) -> None:
        """Replaces the rows of one of our tables that satisfy the condition, in one commit."""
        own = rows.select(*self.spark.table(table).columns)
        self.retry_on_conflict(table, lambda: own.writeTo(table).overwrite(F.expr(condition)))

    def merge(
        self,
        table: str,
        rows: Callable[[], DataFrame],
        key: Sequence[str],
        updates: Mapping[str, str],
        matched: str,
        unmatched: tuple[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Merges rows into one of our tables by key: `updates` (column to SQL over `t` and `s`) if the key exists.

        `rows` is called anew at each attempt. `matched` is a condition over `t` and `s` for these updates; `unmatched`
        is a condition over `t` and the updates for rows of the table that have no match.
        """
        same_key = " AND ".join(f"t.{name} <=> s.{name}" for name in key)

        def write() -> None:
            merged = rows()
            columns = merged.columns
            clauses = [
                f"WHEN MATCHED AND {matched} THEN UPDATE SET {_assignments(updates)}",
                f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({', '.join(f's.{n}' for n in columns)})",
            ]
            if unmatched:
                condition, sets = unmatched
                clauses.append(f"WHEN NOT MATCHED BY SOURCE AND {condition} THEN UPDATE SET {_assignments(sets)}")
            # In SQL: Delta's Python interface needs an extra plug-in if the session is a remote one.
            self._sql(f"MERGE INTO {table} t USING {{rows}} s ON {same_key} {' '.join(clauses)}", rows=merged)

        self.retry_on_conflict(table, write)
