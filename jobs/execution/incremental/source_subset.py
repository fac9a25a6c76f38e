"""The subset of the sources' rows that an incremental run reads, instead of all.

They are found by their keys. Narrow scans find the keys of the rows that matter, and when the rows with these keys were
made; then the rows of that time that have one of the keys are read. So no older or newer copy of a row is missed,
wherever it is, and if a source's files are ordered by the time its rows were made, few of them are read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.execution.incremental.source_changes import (
    ADDED,
    REMOVED,
    SourceChanges,
    before_and_after,
    made_at,
    session_of,
    without_state_prefix,
)
from jobs.execution.pinned_sources import PinnedSources, is_large
from jobs.execution.sources import classified_rows
from jobs.execution.staging import Staging
from jobs.lake import CHANGE_TYPE
from transforms.catalog import PROMPTS, SESSIONS, TEACHERS
from transforms.columns import any_of, blank_to_null
from transforms.combine import union_all
from transforms.copies import key_hash
from transforms.source_rules import RULES, times_read
from transforms.usable_rows import usable

OF_TEACHERS = (SESSIONS, PROMPTS)
"""The sources with a `teacher_id`."""

MAX_SHARE = 0.5
"""If a greater share of the sessions is needed, all rows are read instead: once, and without a search."""

WindowFilter = Callable[[Column], Column]
"""Whether a moment may affect a window: what happens then can count in it, or place a session that counts in it."""


@dataclass(frozen=True)
class SourceSubset:
    """Some rows of the sources, with all other rows that have the same keys.

    `rows`: each source's rows, as `PinnedSources.raw_rows` returns them. `keys`, staged: `source` and `key_hash` of the
    rows, except for sources that are read `whole`.
    """

    rows: Mapping[str, DataFrame]
    keys: DataFrame
    whole: Collection[str]


def _may_affect(rows: DataFrame, source: str, may_affect: WindowFilter) -> Column:
    """Whether any of the times that metrics read from the row may affect the window."""
    return any_of(may_affect(F.col(name)) for name in times_read(source, rows.schema))


def _keys_in(
    pinned: PinnedSources,
    sources: Collection[str],
    sessions: DataFrame,
    ids: DataFrame,
    may_affect: WindowFilter | None = None,
) -> DataFrame:
    """`source` and `key_hash`, each once, of the sources' rows in these sessions, and of these `ids` (with `source`).

    `may_affect` adds rows that need no session and pass it. Rows without a key are left out.
    """
    found = [ids.select("source", "id")]
    for source in sources:
        rows = pinned.rows(source)
        some = (
            [rows.where(_may_affect(rows, source, may_affect))] if may_affect and not RULES[source].in_session else []
        )
        if source == SESSIONS or "session_id" in contract_of(source).column_names:
            placed = rows.withColumn("session_id", session_of(source))
            some.append(placed.join(sessions, "session_id", how="left_semi"))
        keyed = [each.where(blank_to_null(F.col("id")).isNotNull()) for each in some]
        found += [each.select(F.lit(source).alias("source"), "id") for each in keyed]
    return union_all(found).select("source", key_hash(F.col("source"), F.col("id")).alias("key_hash")).distinct()


def _with_keys(rows: DataFrame, source: str, keys: DataFrame) -> DataFrame:
    known = keys.where(F.col("source") == source).select("key_hash")
    hashed = rows.withColumn("key_hash", key_hash(F.lit(source), F.col("id")))
    return hashed.join(known, "key_hash", how="left_semi").drop("key_hash")


def _locations(pinned: PinnedSources, source: str, keys: DataFrame) -> DataFrame:
    """`source`, `id`, `session_id` and when it was `made` (microseconds) of each row of the source with these keys."""
    rows = pinned.rows(source)
    session, made = session_of(source), F.unix_micros(made_at(source))
    locations = rows.select(F.lit(source).alias("source"), "id", session.alias("session_id"), made.alias("made"))
    return _with_keys(locations, source, keys)


def _key_of_keyless(pinned: PinnedSources, sources: Collection[str]) -> DataFrame:
    """For each of these sources, the one `key_hash` that all rows without a key share."""
    named = pinned.lake.spark.range(1).select(
        F.explode(F.array(*map(F.lit, sources)).cast("array<string>")).alias("source")
    )
    return named.select("source", key_hash(F.col("source"), F.lit(None).cast("string")).alias("key_hash"))


def _subset(
    pinned: PinnedSources,
    keys: DataFrame,
    locations: DataFrame,
    placed: Collection[str],
    whole: Collection[str],
    keyless: Collection[str] = (),
) -> SourceSubset:
    """The rows with these keys and, from the `keyless` sources, also rows without a key.

    For the `placed` sources, `locations` has when all these rows were made, so that few files need to be read.
    """
    is_possible = dict.fromkeys(placed, F.lit(False))
    figures = (F.count("*").alias("rows"), F.count("made").alias("dated"), F.min("made"), F.max("made"))
    for source, rows_found, dated, first, last in locations.groupBy("source").agg(*figures).collect():
        stretch = F.timestamp_micros(F.lit(first)), F.timestamp_micros(F.lit(last))
        is_possible[source] = made_at(source).between(*stretch) if dated == rows_found else F.lit(True)
    all_keys = keys.unionByName(_key_of_keyless(pinned, keyless)) if keyless else keys

    def rows_of(source: str) -> DataFrame:
        rows = pinned.raw_rows(source)
        if source in whole:
            return rows
        return _with_keys(rows.where(is_possible.get(source, F.lit(True))), source, all_keys)

    return SourceSubset({source: rows_of(source) for source in pinned.versions}, keys, whole)


def _known_sessions(pinned: PinnedSources, changed: SourceChanges, found: Sequence[DataFrame]) -> DataFrame:
    """The `session_id`s among these that exist or existed: rows of others count nowhere and can be anywhere."""
    of_now = pinned.rows(SESSIONS).select(F.col("id").alias("session_id"))
    of_then = changed.keyed.where(F.col("source") == SESSIONS).select("session_id")
    return union_all(found).distinct().join(of_now.unionByName(of_then), "session_id", how="left_semi")


def changed_in_metrics(pinned: PinnedSources, changed: SourceChanges, source: str) -> DataFrame:
    """The `id`s of new and changed sessions or teachers in which a column has changed that metrics read.

    Each login changes a teacher's row, and each new title or status a session's: without this, a login would recompute
    all dates of the teacher, and archiving a session whose facts are purged what was published of it.
    """
    published_versions = changed.versions_of(source)
    ids = changed.ids_of(source)
    current = pinned.raw_rows(source).join(ids, "id", how="left_semi")
    rows = before_and_after(current, changed.rows[source].join(ids, "id", how="left_semi"), published_versions)
    in_all = without_state_prefix(usable(source, classified_rows(source, rows, None)))
    counted = in_all.groupBy(*in_all.columns).agg(F.count("*").alias("states"))
    return counted.where(F.col("states") < len(published_versions) + 2).select("id").distinct()


def without_unread_changes(pinned: PinnedSources, staging: Staging, changed: SourceChanges) -> SourceChanges:
    """The changes without those of session rows in which no column that metrics read has changed.

    All of them if some changes are unknown.
    """
    if SESSIONS not in changed.rows or not changed.is_complete:
        return changed
    read = changed_in_metrics(pinned, changed, SESSIONS)
    unread = staging.write("unread", changed.ids_of(SESSIONS).join(read, "id", how="left_anti"))
    of_sessions = unread.withColumn("source", F.lit(SESSIONS))
    return replace(
        changed,
        rows={**changed.rows, SESSIONS: changed.rows[SESSIONS].join(unread, "id", how="left_anti")},
        locations=changed.locations.join(of_sessions, ["source", "id"], how="left_anti"),
    )


def rows_for_changes(pinned: PinnedSources, staging: Staging, changed: SourceChanges) -> tuple[SourceSubset, DataFrame]:
    """New and changed rows, all rows of the sessions they belong or belonged to, and all teachers.

    Also sessions of other rows with the same key, which a new row may supersede, and all sessions of a teacher whose
    relevant columns changed. Returns the subset and those `session_id`s.
    """
    # Without a feed, or if its table was overwritten, a row that has lost its key looks like one that was deleted and
    # another that never had a key. Other rows without a key bring no session along: they count nowhere.
    without_key = changed.locations.where(F.col("id").isNull() & F.col(CHANGE_TYPE).isin(*ADDED))
    deleted = changed.keyed.where(F.col(CHANGE_TYPE) == "delete")
    found = [
        changed.keyed.join(changed.ids, ["source", "id"], how="left_semi").select("session_id"),
        without_key.join(deleted, ["source", "session_id"], how="left_semi").select("session_id"),
    ]
    if TEACHERS in changed.rows:
        ids = changed_in_metrics(pinned, changed, TEACHERS)
        teachers = staging.write("teachers", ids.select(F.col("id").alias("teacher_id")))
        for source in (source for source in OF_TEACHERS if source in pinned.versions):
            rows = pinned.rows(source).join(teachers, "teacher_id", how="left_semi")
            found.append(rows.select(session_of(source).alias("session_id")))
    some = [source for source in pinned.versions if source != TEACHERS]

    def keys_and_locations(sessions: DataFrame, name: str) -> tuple[DataFrame, DataFrame]:
        keys = staging.write(f"keys{name}", _keys_in(pinned, some, sessions, changed.ids))
        return keys, staging.write(f"locations{name}", union_all(_locations(pinned, s, keys) for s in some))

    sessions = staging.write("affected_sessions", _known_sessions(pinned, changed, found))
    keys, locations = keys_and_locations(sessions, "")
    of_same_key = locations.join(changed.ids, ["source", "id"], how="left_semi").select("session_id")
    others = of_same_key.join(sessions, "session_id", how="left_anti")
    if not (of_copies := _known_sessions(pinned, changed, [others])).isEmpty():
        sessions = staging.write("affected_sessions_and_of_copies", sessions.unionByName(of_copies))
        keys, locations = keys_and_locations(sessions, "_of_copies")
    return _subset(pinned, keys, locations, some, (TEACHERS,)), sessions


def rows_for_window(
    pinned: PinnedSources, staging: Staging, changed: SourceChanges, may_affect: WindowFilter
) -> SourceSubset | None:
    """All rows that can count in a window or place those that do, and all whose usability may have changed.

    These are the rows of sessions with a time near the window, changed rows, and rows of changed sessions; from some
    sources all rows. None stands for all rows: if they are few, or if that would be most of the sessions.
    """
    if not pinned.are_large():
        return None
    found = [changed.keyed.where(F.col("source") == SESSIONS).select("session_id")]
    of_sessions = [source for source in pinned.versions if source == SESSIONS or RULES[source].in_session]
    for source in of_sessions:
        rows = pinned.rows(source)
        near = rows.where(_may_affect(rows, source, may_affect))
        found.append(near.select(session_of(source).alias("session_id")))
    sessions = staging.write("near", _known_sessions(pinned, changed, found))
    if sessions.count() > MAX_SHARE * pinned.rows(SESSIONS).count():
        return None
    whole = [source for source in pinned.versions if RULES[source].is_read_whole]
    some = [source for source in pinned.versions if source not in whole]
    # If a keyless row was removed, all keyless rows must be read to see which is missing. If one was added, its
    # duplicates were created at the same time, so that stretch suffices.
    without_key = changed.locations.where(F.col("id").isNull() & F.col("source").isin(some))
    is_removed = F.max(F.col(CHANGE_TYPE).isin(*REMOVED)).alias("is_removed")
    keyless = {row["source"]: row["is_removed"] for row in without_key.groupBy("source").agg(is_removed).collect()}
    keys = _keys_in(pinned, some, sessions, changed.keyed.where(F.col("source").isin(some)), may_affect)
    gone = [source for source, is_gone in keyless.items() if is_gone]
    staged = staging.write("keys", keys.unionByName(_key_of_keyless(pinned, gone)) if gone else keys)
    # Reading all rows of a small source is quicker than finding out which are needed.
    sizes = pinned.sizes()
    long = [source for source in some if is_large(sizes[source])]
    of_long = [_locations(pinned, source, staged) for source in long]
    locations = staging.write("locations", union_all([without_key.where(F.col("source").isin(long)), *of_long]))
    return _subset(pinned, staged, locations, long, whole, keyless)
