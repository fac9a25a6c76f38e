"""The lake: the only module that touches Delta.

Tables go by their two-part names (`analytics.session_events`) under the session's current catalog.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from expectations.contract import Contract
from jobs.errors import BrokenContractError, JobError
from jobs.logs import log
from jobs.places import Place
from transforms.changes import CHANGED, GONE, NEW, UNCHANGED, compared, content_after

RUN_ID = "run_id"


class ConflictError(JobError):
    """Another run wrote the same table in between: the whole run has to start again."""


@contextmanager
def _conflicts_named(table: str) -> Iterator[None]:
    """Turns Delta's concurrency errors, whatever their class on this platform, into `ConflictError`."""
    try:
        yield
    except Exception as error:
        if re.search(r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)|Concurrent\w+Exception", str(error)):
            raise ConflictError(f"Another run wrote {table} at the same time.") from error
        raise


@dataclass(frozen=True)
class Changes:
    """How many rows of a window publishing changed."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return self.new + self.changed + self.gone == 0

    @property
    def rows(self) -> int:
        """The rows that the window holds afterwards."""
        return self.new + self.changed + self.unchanged


def _reason(error: Exception) -> str:
    """The first line of an error, short enough for one sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


class Lake:
    """Reads, stages and publishes tables. Every read is of one version, every write is one commit."""

    def __init__(self, spark: SparkSession, place: Place) -> None:
        self.spark = spark
        self.place = place

    def attach(self, tables: Iterable[str]) -> None:
        """Makes the tables known by name; raises `BrokenContractError` for one that cannot be read."""
        for table in tables:
            try:
                self.place.attach(self.spark, [table])
            except Exception as error:
                raise BrokenContractError(f"The table {table} cannot be read: {_reason(error)}") from error

    def exists(self, table: str) -> bool:
        """Whether the table is there."""
        return self.place.exists(self.spark, table)

    def version(self, table: str) -> int:
        """The table's latest version; raises `BrokenContractError` where its log cannot be read."""
        try:
            return self.place.latest_version(self.spark, table)
        except Exception as error:
            raise BrokenContractError(f"The Delta log of {table} cannot be read: {_reason(error)}") from error

    def provenances(self, table: str, commits: int) -> list[dict[str, object]]:
        """What the latest commits were made from, the newest first; those that are not ours are left out."""
        history = (
            self.spark.sql(f"DESCRIBE HISTORY {table} LIMIT {commits}").select("version", "userMetadata").collect()
        )
        told = [row["userMetadata"] for row in sorted(history, key=lambda row: -row["version"])]
        return [dict(json.loads(text)) for text in told if text and text.startswith("{")]

    def changes(self, table: str, first: int, last: int) -> DataFrame | None:
        """Rows as they were inserted, and as they were before and after an update, by the table's Change Data Feed.

        None where the feed was not on for all of these versions, or is no longer there.
        """
        options = {"readChangeFeed": "true", "startingVersion": str(first), "endingVersion": str(last)}
        try:
            feed = self.spark.read.options(**options).table(table).where(F.col("_change_type") != "delete")
            feed.limit(1).collect()  # what is missing shows when it is read
        except Exception as error:
            log.warning("the change data feed cannot be read", table=table, reason=_reason(error))
            return None
        return feed

    def read(self, table: str, version: int) -> DataFrame:
        """The table as of one version."""
        return self.spark.read.option("versionAsOf", version).table(table)

    def readable(self, table: str, version: int, columns: Sequence[str]) -> DataFrame | None:
        """These columns of the table as of one version; None where its files or columns are no longer there."""
        try:
            rows = self.read(table, version).select(*columns)
            rows.agg(F.count(F.col(columns[0]))).collect()  # a missing file shows when it is read
        except Exception as error:
            log.warning("an earlier version cannot be read", table=table, version=version, reason=_reason(error))
            return None
        return rows

    def check(self, contract: Contract, *, exactly: bool) -> None:
        """Raises `BrokenContractError` that names every column of the table that is not as its contract says.

        `exactly` also refuses columns that the contract does not know: for tables that are ours to write.
        """
        try:
            found = {field.name: field.dataType for field in self.spark.table(contract.table).schema}
        except Exception as error:
            raise BrokenContractError(f"The table {contract.table} cannot be read: {_reason(error)}") from error
        broken = []
        for field in contract.spark_schema:
            if field.name not in found:
                broken.append(f"column {field.name} is absent")
            elif found[field.name] != field.dataType:
                actual, wanted = found[field.name].simpleString(), field.dataType.simpleString()
                broken.append(f"column {field.name} is {actual} instead of {wanted}")
        if exactly:
            broken += [f"column {name} is not in the contract" for name in found if name not in contract.column_names]
        if broken:
            raise BrokenContractError(f"The table {contract.table} breaks its contract: {'; '.join(broken)}.")

    def create_missing(self, contract: Contract) -> None:
        """Makes sure that a table of ours exists; raises `BrokenContractError` where it is not as its contract says."""
        self.attach([contract.table])  # before it exists, too: the session may know another lakehouse's by this name
        if self.exists(contract.table):
            self.check(contract, exactly=True)
            return
        self._create_schema(contract.table)
        self.spark.sql(contract.create_statement(self.place.location(contract.table)))

    def _create_schema(self, table: str) -> None:
        schema = table.split(".")[0]
        location = self.place.location(schema)
        clause = f" LOCATION '{location}'" if location else ""
        self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}{clause}")

    def empty(self, schema: StructType) -> DataFrame:
        """A frame without rows: what an absent optional table counts as."""
        return self.spark.createDataFrame([], schema)

    def create(self, table: str, schema: StructType, properties: Mapping[str, str]) -> None:
        """Makes a table of ours that has no contract."""
        self._create_schema(table)
        columns = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in schema)
        location = self.place.location(table)
        clause = f" LOCATION '{location}'" if location else ""
        told = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        self.spark.sql(f"CREATE TABLE {table} ({columns}) USING delta{clause} TBLPROPERTIES ({told})")

    def drop(self, table: str) -> None:
        """Drops a table of ours with its files."""
        self.place.drop(self.spark, table)

    def publish(
        self,
        contract: Contract,
        rows: DataFrame,
        covered: str,
        among: str,
        run_start: datetime,
        provenance: Mapping[str, object],
    ) -> Changes:
        """Replaces the covered rows among the table's own kind by these, in one commit; none where nothing changed.

        `rows` have the table's columns but its stamps. `covered` must be a range of one column: Delta overwrites by
        nothing that is not a comparison with a literal. So what it covers but is not `among` the rows of this kind is
        carried over. The commit's user metadata is the provenance as JSON. Raises `ConflictError` where another run
        wrote the table since it was compared.
        """
        version = self.version(contract.table)
        current = self.read(contract.table, version).where(covered)
        is_among = F.coalesce(F.expr(among), F.lit(False))
        comparison = compared(current.where(is_among), rows, contract.key)
        counts = {row["change"]: row["count"] for row in comparison.groupBy("change").count().collect()}
        changes = Changes(*(counts.get(change, 0) for change in (NEW, CHANGED, UNCHANGED, GONE)))
        if changes.is_empty:
            return changes
        content = content_after(comparison, contract.column_names, run_start).unionByName(current.where(~is_among))
        # Delta skips a transaction whose number it has seen, without a word: numbered by the version that the rows
        # were compared with, a commit on top of any other publication does not happen, which the check below notices.
        fence = {"txnAppId": f"classwaves:{contract.table}", "txnVersion": str(version + 1)}
        writer = content.writeTo(contract.table).options(**fence).option("userMetadata", json.dumps(provenance))
        with _conflicts_named(contract.table):
            writer.overwrite(F.expr(covered))
        latest = self.provenances(contract.table, 1)
        if not latest or latest[0].get(RUN_ID) != provenance[RUN_ID]:
            raise ConflictError(f"Another run wrote {contract.table} at the same time.")
        log.info("published", table=contract.table, **changes.__dict__)
        return changes

    def append(self, table: str, rows: DataFrame) -> None:
        """Appends rows to a table of ours."""
        with _conflicts_named(table):
            rows.select(*self.spark.table(table).columns).writeTo(table).append()

    def overwrite_all(self, contract: Contract, rows: DataFrame) -> None:
        """Replaces the whole content of a table that may be missing: for sample data."""
        self.create_missing(contract)
        rows.select(*contract.column_names).writeTo(contract.table).overwrite(F.lit(True))

    def replace(self, table: str, rows: DataFrame, condition: str) -> None:
        """Replaces the rows of a table of ours that satisfy the condition, in one commit."""
        with _conflicts_named(table):
            rows.select(*self.spark.table(table).columns).writeTo(table).overwrite(F.expr(condition))

    def merge(
        self,
        table: str,
        rows: DataFrame,
        key: Sequence[str],
        updates: Mapping[str, str],
        unmatched: tuple[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Merges rows into a table of ours by key: `updates` (column to SQL over `t` and `s`) where the key is there.

        `unmatched` is a condition over `t` and the updates for those of its rows that are not among `rows`.
        """
        from delta.tables import DeltaTable

        same_key = " AND ".join(f"t.{name} <=> s.{name}" for name in key)
        merge = (
            DeltaTable.forName(self.spark, table)
            .alias("t")
            .merge(rows.alias("s"), same_key)
            .whenMatchedUpdate(set=dict(updates))
            .whenNotMatchedInsertAll()
        )
        if unmatched:
            condition, sets = unmatched
            merge = merge.whenNotMatchedBySourceUpdate(condition=condition, set=dict(sets))
        with _conflicts_named(table):
            merge.execute()
