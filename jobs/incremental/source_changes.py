"""What changed in the sources since a rollup last followed them: rows as they were added and removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from expectations.contract import contract_of
from jobs.incremental.watermark import Baseline
from jobs.lake import CHANGE_TYPE, COMMIT_VERSION, Lake
from jobs.logs import log
from jobs.provenance import Provenance, Versions, Watermark
from jobs.staging import Staging
from transforms.columns import any_of, blank_to_null, instant
from transforms.combine import union_all
from transforms.usable_rows import RULES, SESSIONS, columns_read, values_hash

ADDED, REMOVED = ("insert", "update_postimage"), ("update_preimage", "delete")
"""The kinds of change that Delta's feed knows: a row as it is from then on, a row as it was until then."""

MAX_SNAPSHOTS = 50
"""Of more snapshots that rows were published from, the windows that they were published for are made anew instead."""

_LOCATIONS = StructType(
    [StructField(name, StringType()) for name in ("source", "id", "session_id", CHANGE_TYPE)]
    + [StructField("made", LongType())]
)


@dataclass(frozen=True)
class SourceChanges:
    """What changed in the sources since the `watermark`.

    `rows`: of each source that changed its rows with a key, as they were added and removed (`_change_type`).
    `locations`, staged: of each change the row's `source`, `id` (null for none), `session_id` and when it was `made`
    (microseconds), and its `_change_type`. `is_complete`: whether that is all that changed, which is
    not known of a source whose earlier version is gone.

    `snapshots`: versions of the sources, later than the watermark's, that rows were published from and after which
    something changed. `unknown_windows`: start and end of the windows that rows were published for from versions
    that cannot be told any more.
    """

    watermark: Watermark
    rows: Mapping[str, DataFrame]
    locations: DataFrame
    is_complete: bool
    snapshots: tuple[Versions, ...] = ()
    unknown_windows: tuple[tuple[datetime, datetime], ...] = ()

    def versions_of(self, source: str) -> list[int]:
        """The source's version in each of the snapshots."""
        return [snapshot.get(source, -1) for snapshot in self.snapshots]

    @property
    def keyed(self) -> DataFrame:
        """The locations of rows with a key."""
        return self.locations.where(F.col("id").isNotNull())

    @property
    def ids(self) -> DataFrame:
        """`source` and `id` of the rows that are new or changed, but not of those that were only deleted."""
        return self.keyed.where(F.col(CHANGE_TYPE) != "delete").select("source", "id").distinct()


def _modified_since(rows: DataFrame, source: str, since: datetime) -> DataFrame:
    """The rows that say that they are as young, where no feed tells."""
    names = ("created_at", "updated_at", RULES[source].placed_by)
    is_young = [F.coalesce(F.col(n) >= instant(since), F.lit(False)) for n in rows.columns if n in names]
    return rows.where(any_of(is_young))


def _as(change: str, rows: DataFrame) -> DataFrame:
    return rows.withColumn(CHANGE_TYPE, F.lit(change))


def _changes_of(
    lake: Lake, source: str, watermark: Watermark, version: int, look_back_hours: int
) -> tuple[DataFrame, bool] | None:
    """What was added to a source and removed, and whether that is all; None where nothing can have been.

    By the Change Data Feed; without one by comparing with the version that was followed; where that is gone, by a
    look-back over the rows' own stamps. All rows of a source that was not there.
    """
    before = watermark.versions.get(source)
    if version == before:
        return None
    columns = columns_read(source, contract_of(source).public_columns)
    rows = lake.read(source, version).select(*columns)
    if before is None or version < before:
        log.warning("the source is new or was replaced: all of its rows count as new", source=source)
        return _as("insert", rows), False
    if (feed := lake.changes(source, before + 1, version)) is not None:
        return feed.select(*columns, CHANGE_TYPE, COMMIT_VERSION), True
    if (then := lake.readable(source, before, columns)) is not None:
        log.warning("no change data feed: comparing with the version followed before", source=source, version=before)
        return _as("insert", rows.exceptAll(then)).unionByName(_as("delete", then.exceptAll(rows))), True
    since = watermark.run_start - timedelta(hours=look_back_hours)
    log.warning("no change data feed: looking back by stamps", source=source, since=since.isoformat())
    log.warning("what moved away stays where it was until a run with a window", source=source)
    return _as("insert", _modified_since(rows, source, since)), False


def session_of(source: str, columns: Collection[str]) -> Column:
    """The session that a row of the source is of: a session itself is its own, some rows are of none."""
    if source == SESSIONS:
        return F.col("id")
    return F.col("session_id") if "session_id" in columns else F.lit(None).cast("string")


def made_at(source: str, columns: Collection[str]) -> Column:
    """When a row of the source was made, as far as it tells."""
    return F.col("created_at" if "created_at" in columns else str(RULES[source].placed_by))


def _keys_and_references(columns: Collection[str]) -> list[str]:
    return [name for name in columns if name == "id" or name.endswith("_id")]


def before_and_after(rows: DataFrame, changes: DataFrame | None, snapshots: Sequence[int] = ()) -> DataFrame:
    """The rows as they were before the changes and as they are, side by side: as of several lakehouses in one.

    Before the changes is at the watermark and at each of these later `snapshots`, versions of the source. Every key and
    reference says which it is of (`now:…`, `then_0:…` for the watermark, `then_1:…`), so that nothing in one meets
    anything in another; which of equally old copies survives is told by the values without that. `rows` are as they are
    now, among them all that the changes added.
    """
    columns = rows.columns
    names = [f"then_{number}" for number in range(len(snapshots) + 1)]
    all_rows = rows.withColumn("lakehouse", F.explode(F.array(*map(F.lit, ("now", *names)))))
    if changes is not None:
        is_later = [F.col(COMMIT_VERSION) > version for version in snapshots]
        is_undone_in = [
            F.lit(names[0]),
            *[F.when(later, name) for later, name in zip(is_later, names[1:], strict=True)],
        ]
        undone = changes.select(
            *columns,
            F.explode(F.array_compact(F.array(*is_undone_in))).alias("lakehouse"),
            F.when(F.col(CHANGE_TYPE).isin(*ADDED), -1).otherwise(1).alias("copies"),
        )
        counted = all_rows.withColumn("copies", F.lit(1)).unionByName(undone)
        all_rows = counted.groupBy("lakehouse", *columns).agg(F.sum("copies").alias("copies")).where("copies > 0")
    of_lakehouse = {
        name: F.when(blank_to_null(F.col(name)).isNotNull(), F.concat_ws(":", "lakehouse", name))
        for name in _keys_and_references(columns)
    }
    return (
        all_rows.withColumn("values_hash", values_hash(columns)).withColumns(of_lakehouse).drop("lakehouse", "copies")
    )


def without_snapshot_prefix(rows: DataFrame) -> DataFrame:
    """What was made of `before_and_after`, with keys and references that no longer say of which."""
    plain = {name: F.regexp_replace(name, r"^(now|then_\d+):", "") for name in _keys_and_references(rows.columns)}
    return rows.withColumns(plain)


def _snapshots(
    published: Sequence[Provenance], watermark: Watermark, versions: Mapping[str, int], changed: Collection[str]
) -> list[Versions]:
    """The versions that rows were published from, each once, without those that hold what the sources hold now or did.

    Only `changed` sources tell them apart.
    """

    def of_changed(found: Versions) -> tuple[int, ...]:
        earliest = {source: watermark.versions.get(source, -1) for source in changed}
        return tuple(max(earliest[source], min(found.get(source, -1), versions[source])) for source in changed)

    distinct = {of_changed(each.source_versions): each.source_versions for each in published}
    for known in (versions, watermark.versions):
        distinct.pop(of_changed(known), None)
    return list(distinct.values())


def read_source_changes(
    lake: Lake, staging: Staging, baseline: Baseline, versions: Mapping[str, int], look_back_hours: int
) -> SourceChanges:
    """What changed in the sources between the baseline and these versions."""
    watermark = baseline.watermark
    changes = {
        source: found
        for source, version in versions.items()
        if (found := _changes_of(lake, source, watermark, version, look_back_hours)) is not None
    }
    rows = {source: changed.where(blank_to_null(F.col("id")).isNotNull()) for source, (changed, _) in changes.items()}
    locations = [
        changed.select(
            F.lit(source).alias("source"),
            blank_to_null(F.col("id")).alias("id"),
            session_of(source, changed.columns).alias("session_id"),
            F.unix_micros(made_at(source, changed.columns)).alias("made"),
            CHANGE_TYPE,
        )
        for source, (changed, _) in changes.items()
    ]
    staged = staging.write("changed", union_all([lake.empty(_LOCATIONS), *locations]))
    is_complete = all(is_all for _, is_all in changes.values())
    snapshots = _snapshots(baseline.published_since, watermark, versions, rows)
    are_known = len(snapshots) <= MAX_SNAPSHOTS and all(COMMIT_VERSION in changed.columns for changed in rows.values())
    if snapshots and not are_known:
        windows = tuple({published.span for published in baseline.published_since})
        return SourceChanges(watermark, rows, staged, is_complete, unknown_windows=windows)
    return SourceChanges(watermark, rows, staged, is_complete, tuple(snapshots))
