"""What changed in the sources since a rollup last followed them: rows that were added and rows that were removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from expectations.contract import contract_of
from jobs.execution.incremental.watermark import Baseline
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.staging import Staging
from jobs.lake import CHANGE_TYPE, COMMIT_VERSION
from jobs.logs import log
from jobs.provenance import Provenance, Snapshot, Versions
from transforms.catalog import SESSIONS
from transforms.columns import any_of, blank_to_null, instant
from transforms.combine import union_all
from transforms.copies import values_hash
from transforms.source_rules import RULES, columns_read, times_read

ADDED, REMOVED = ("insert", "update_postimage"), ("update_preimage", "delete")
"""The kinds of change in Delta's feed: a row as it is from that version on, and as it was until then."""

MAX_PUBLISHED_VERSIONS = 50
"""If rows were published from more versions than this, the windows of those publications are recomputed instead."""

_LOCATIONS = StructType(
    [StructField(name, StringType()) for name in ("source", "id", "session_id", CHANGE_TYPE)]
    + [StructField("made", LongType())]
)


@dataclass(frozen=True)
class SourceChanges:
    """What changed in the sources since the `watermark`.

    `rows`: for each source that changed, the added and removed rows that have a key (`_change_type`). `locations`,
    staged: for each change, the row's `source`, `id` (null if it has none), `session_id` and when it was `made`
    (microseconds), and its `_change_type`. `is_complete`: whether these are all changes, which is unknown for a source
    whose earlier version is gone.

    `published_versions`: versions of the sources, later than the watermark's, from which rows were published and after
    which something changed. `published_from_unknown`: commits that were made from versions that are no longer known, or
    of a table that is no longer there.
    """

    watermark: Snapshot
    rows: Mapping[str, DataFrame]
    locations: DataFrame
    is_complete: bool
    published_versions: tuple[Versions, ...] = ()
    published_from_unknown: tuple[Provenance, ...] = ()

    def versions_of(self, source: str) -> list[int]:
        """The source's version in each of the `published_versions`; -1 if it did not exist."""
        return [snapshot.get(source, -1) for snapshot in self.published_versions]

    @property
    def keyed(self) -> DataFrame:
        """The locations of rows that have a key."""
        return self.locations.where(F.col("id").isNotNull())

    @property
    def ids(self) -> DataFrame:
        """`source` and `id`, each once, of new and changed rows, but not of those that were only deleted."""
        return self.keyed.where(F.col(CHANGE_TYPE) != "delete").select("source", "id").distinct()

    def ids_of(self, source: str) -> DataFrame:
        """The `id`s of one source among them."""
        return self.ids.where(F.col("source") == source).select("id")


def _modified_since(rows: DataFrame, source: str, since: datetime) -> DataFrame:
    """Rows that were created or updated at or after `since`, or have such a time in a column that metrics read."""
    moments = times_read(source, rows.schema, also=("created_at", "updated_at"))
    return rows.where(any_of(F.coalesce(F.col(name) >= instant(since), F.lit(False)) for name in moments))


def _without_rewritten(feed: DataFrame, columns: Sequence[str], *, by_commit: bool) -> DataFrame:
    """The feed without the rows that were removed and added again as they were, as an overwrite of a table does.

    `by_commit`: only those that one commit removed and added, because states in between count, too.
    """
    alike = Window.partitionBy("id", "values_hash", *([COMMIT_VERSION] if by_commit else []))
    added = F.when(F.col(CHANGE_TYPE).isin(*ADDED), 1).otherwise(-1)
    return (
        feed.withColumn("values_hash", values_hash(columns))
        .withColumn("added", F.sum(added).over(alike))
        .where("added != 0")
        .drop("values_hash", "added")
    )


def _as(change: str, rows: DataFrame) -> DataFrame:
    return rows.withColumn(CHANGE_TYPE, F.lit(change))


def _changes_of(
    pinned: PinnedSources, source: str, baseline: Baseline, look_back_hours: int
) -> tuple[DataFrame, bool] | None:
    """What was added to a source and removed, and whether that is all; None if the version is the same.

    From the Change Data Feed, where a row that was rewritten as it was is no change; without it, by comparing with the
    version that was followed; if that is gone, by a look-back over the rows' own timestamps. All rows of a source that
    is new.
    """
    lake, version, watermark = pinned.lake, pinned.versions[source], baseline.watermark
    before = watermark.versions.get(source)
    if version == before:
        return None
    columns = columns_read(source, contract_of(source).public_columns)
    rows = pinned.raw_rows(source)
    if before is None or version < before:
        log.warning("the source is new or was recreated: all of its rows count as new", source=source)
        log.warning("what was published from an earlier table stays until a run with an explicit window", source=source)
        return _as("insert", rows), False
    if (found := lake.changes(source, before + 1, version)) is not None:
        feed, has_removed = found
        changes = feed.select(*columns, CHANGE_TYPE, COMMIT_VERSION)
        if has_removed:
            changes = _without_rewritten(changes, columns, by_commit=bool(baseline.published_since))
        return changes, True
    if (then := lake.readable(source, before, columns)) is not None:
        log.warning("no change data feed: comparing with the version followed before", source=source, version=before)
        return _as("insert", rows.exceptAll(then)).unionByName(_as("delete", then.exceptAll(rows))), True
    since = watermark.run_start - timedelta(hours=look_back_hours)
    log.warning("no change data feed: looking back by the rows' timestamps", source=source, since=since.isoformat())
    log.warning(
        "rows that moved, or changed without a new time, count as before until a run with an explicit window",
        source=source,
    )
    return _as("insert", _modified_since(rows, source, since)), False


def session_of(source: str) -> Column:
    """The session to which a row of the source belongs, for a session its own id; null for sources without one."""
    if source == SESSIONS:
        return F.col("id")
    return F.col("session_id") if "session_id" in contract_of(source).column_names else F.lit(None).cast("string")


def made_at(source: str) -> Column:
    """When a row of the source was made: `created_at` if its contract has that, else the time by which it is listed."""
    return F.col("created_at" if "created_at" in contract_of(source).column_names else RULES[source].row_time)


def _keys_and_references(columns: Collection[str]) -> list[str]:
    return [name for name in columns if name == "id" or name.endswith("_id")]


def before_and_after(rows: DataFrame, changes: DataFrame | None, published_versions: Sequence[int] = ()) -> DataFrame:
    """The rows before the changes and now, side by side, as if several lakehouses were combined in one.

    "Before" is at the watermark and at each of these later `published_versions` of the source. Every key and reference
    gets a prefix (`now:…`, `then_0:…` for the watermark, `then_1:…`), so that rows of different states never join;
    which of equally old copies survives is decided by their values without the prefix. `rows` are the current rows,
    including all that the changes added.
    """
    columns = rows.columns
    names = [f"then_{number}" for number in range(len(published_versions) + 1)]
    all_rows = rows.withColumn("state", F.explode(F.array(*map(F.lit, ("now", *names)))))
    if changes is not None:
        is_later = [F.col(COMMIT_VERSION) > version for version in published_versions]
        is_undone_in = [
            F.lit(names[0]),
            *[F.when(later, name) for later, name in zip(is_later, names[1:], strict=True)],
        ]
        undone = changes.select(
            *columns,
            F.explode(F.array_compact(F.array(*is_undone_in))).alias("state"),
            F.when(F.col(CHANGE_TYPE).isin(*ADDED), -1).otherwise(1).alias("copies"),
        )
        counted = all_rows.withColumn("copies", F.lit(1)).unionByName(undone)
        all_rows = counted.groupBy("state", *columns).agg(F.sum("copies").alias("copies")).where("copies > 0")
    of_state = {
        name: F.when(blank_to_null(F.col(name)).isNotNull(), F.concat_ws(":", "state", name))
        for name in _keys_and_references(columns)
    }
    return all_rows.withColumn("values_hash", values_hash(columns)).withColumns(of_state).drop("state", "copies")


def without_state_prefix(rows: DataFrame) -> DataFrame:
    """Rows derived from `before_and_after`, with the prefixes of keys and references removed."""
    plain = {name: F.regexp_replace(name, r"^(now|then_\d+):", "") for name in _keys_and_references(rows.columns)}
    return rows.withColumns(plain)


def _published_versions(
    published: Sequence[Provenance], watermark: Snapshot, versions: Mapping[str, int], changed: Collection[str]
) -> list[Versions]:
    """The distinct versions from which rows were published, except those equal to the current or watermark's versions.

    Only `changed` sources are compared.
    """

    def of_changed(found: Versions) -> tuple[int, ...]:
        earliest = {source: watermark.versions.get(source, -1) for source in changed}
        return tuple(max(earliest[source], min(found.get(source, -1), versions[source])) for source in changed)

    distinct = {of_changed(each.source_versions): each.source_versions for each in published}
    for known in (versions, watermark.versions):
        distinct.pop(of_changed(known), None)
    return list(distinct.values())


def read_source_changes(
    pinned: PinnedSources, staging: Staging, baseline: Baseline, look_back_hours: int
) -> SourceChanges:
    """What changed in the pinned sources since the baseline."""
    watermark = baseline.watermark
    changes = {
        source: found
        for source in pinned.versions
        if (found := _changes_of(pinned, source, baseline, look_back_hours)) is not None
    }
    rows = {source: changed.where(blank_to_null(F.col("id")).isNotNull()) for source, (changed, _) in changes.items()}
    locations = [
        changed.select(
            F.lit(source).alias("source"),
            blank_to_null(F.col("id")).alias("id"),
            session_of(source).alias("session_id"),
            F.unix_micros(made_at(source)).alias("made"),
            CHANGE_TYPE,
        )
        for source, (changed, _) in changes.items()
    ]
    staged = staging.write("changed", union_all([pinned.lake.empty(_LOCATIONS), *locations]))
    is_complete = all(is_all for _, is_all in changes.values())
    others = _published_versions(baseline.published_since, watermark, pinned.versions, rows)
    are_known = len(others) <= MAX_PUBLISHED_VERSIONS and all(
        COMMIT_VERSION in changed.columns for changed in rows.values()
    )
    unknown = baseline.published_from_recreated
    if others and not are_known:
        others, unknown = [], (*unknown, *baseline.published_since)
    return SourceChanges(watermark, rows, staged, is_complete, tuple(others), unknown)
