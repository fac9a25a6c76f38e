"""The rows of the sources that a run over what is new looks at, instead of all.

They are found by keys, in two steps: narrow scans tell the keys of the rows that matter, then these rows are read with
all others of the same key. So no older or newer copy of a row is missed, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from jobs.changed import Changed
from jobs.lake import Lake
from jobs.sources import raw_rows
from jobs.staging import Staging
from transforms.parts import together
from transforms.usable_rows import RULES, SESSIONS, key_hash

TEACHERS = "users.teachers"
OF_TEACHERS = {SESSIONS: "id", "ai_insights.teacher_guidance_metrics": "session_id"}
"""The sources with a `teacher_id`, and what names the session in them."""

MOST_OF = 2
"""Where one in so many sessions is looked at, all rows are read instead: once, and without a search for them."""

IsNear = Callable[[Column], Column]
"""Whether a moment is near a window: what happens then can count in it, or place a session that does."""


@dataclass(frozen=True)
class LookedAt:
    """Some rows of the sources with all other rows of their keys.

    `rows`: of each source its rows, as `raw_rows` has them. `keys`, staged: `source` and `key_hash` of the rows, but
    for the sources of which the rows are `whole`.
    """

    rows: Mapping[str, DataFrame]
    keys: DataFrame
    whole: Collection[str] = ()


def _session_ids(rows: DataFrame, name: str) -> DataFrame:
    return rows.where(F.col(name).isNotNull()).select(F.col(name).alias("session_id"))


def touched_sessions(lake: Lake, versions: Mapping[str, int], changed: Changed) -> DataFrame:
    """The `session_id`s that new and changed rows belong to, now or before, and all sessions of a changed teacher.

    Also those of other rows of the same key, which a new row can take the place of.
    """
    found = [_session_ids(changed.keys.join(changed.ids, ["source", "id"], how="left_semi"), "session_id")]
    for source, version in versions.items():
        rows = lake.read(source, version)
        if source in changed.rows and source != SESSIONS and "session_id" in rows.columns:
            ids = changed.ids.where(F.col("source") == source).select("id")
            found.append(_session_ids(rows.join(ids, "id", how="left_semi"), "session_id"))
        if TEACHERS in changed.rows and source in OF_TEACHERS:
            teachers = changed.ids.where(F.col("source") == TEACHERS).select(F.col("id").alias("teacher_id"))
            found.append(_session_ids(rows.join(teachers, "teacher_id", how="left_semi"), OF_TEACHERS[source]))
    return together(found).distinct()


def _is_near(rows: DataFrame, source: str, is_near: IsNear) -> Column:
    """Whether any time that metrics read of the row is near."""
    moments = [f.name for f in rows.schema if f.name in RULES[source].metric_columns and f.dataType == TimestampType()]
    return reduce(lambda a, b: a | b, (is_near(F.col(name)) for name in moments), F.lit(False))


def _keys(source: str, rows: DataFrame, sessions: DataFrame, is_near: IsNear | None) -> DataFrame:
    """The keys of the source's rows in these sessions; of rows that need no session also those with a time near."""
    if source == SESSIONS:
        found = sessions.withColumnRenamed("session_id", "id")
    elif RULES[source].in_session:
        found = rows.join(sessions, "session_id", how="left_semi")
    else:
        found = rows.where(F.lit(False) if is_near is None else _is_near(rows, source, is_near))
        if "session_id" in rows.columns:
            found = found.select("id").unionByName(rows.join(sessions, "session_id", how="left_semi").select("id"))
    return found.select(F.lit(source).alias("source"), key_hash(source).alias("key_hash"))


def rows_of_sessions(
    lake: Lake,
    staging: Staging,
    versions: Mapping[str, int],
    sessions: DataFrame,
    changed: Changed,
    is_near: IsNear | None = None,
    whole: Collection[str] = (),
) -> LookedAt:
    """The rows of these sessions and the changed rows, with all others of their keys, at these versions.

    `is_near` adds rows that need no session and have a time near, `whole` names sources of which all rows are taken.
    Rows without a key are among them.
    """
    some = [source for source in versions if source not in whole]
    sources = F.explode(F.array(*map(F.lit, some))).alias("source")
    without_key = lake.spark.range(1).select(sources, F.lit(None).cast("string").alias("id"))
    of_changes = changed.keys.select("source", "id").unionByName(without_key)
    parts = [_keys(source, lake.read(source, versions[source]), sessions, is_near) for source in some]
    parts.append(of_changes.select("source", F.xxhash64("source", "id").alias("key_hash")))
    keys = staging.write("keys", together(parts).distinct())

    def rows_of(source: str) -> DataFrame:
        rows = raw_rows(lake, source, versions)
        if source not in some:
            return rows
        known = keys.where(F.col("source") == source).select("key_hash")
        return rows.withColumn("key_hash", key_hash(source)).join(known, "key_hash", how="left_semi").drop("key_hash")

    return LookedAt({source: rows_of(source) for source in versions}, keys, frozenset(whole))


def rows_near(
    lake: Lake, staging: Staging, versions: Mapping[str, int], changed: Changed, is_near: IsNear
) -> LookedAt | None:
    """All rows that can count in a window or place what does, and all whose usability a change can have changed.

    These are the rows of the sessions with a time near, changed rows, rows of changed sessions, and rows without a key;
    of sessions, teachers and what is a stock all. None where that is most of the sources: then all are read sooner.
    """
    found = [_session_ids(changed.keys, "session_id")]
    for source, version in versions.items():
        rows = lake.read(source, version)
        name = "id" if source == SESSIONS else "session_id"
        if name in rows.columns:
            found.append(_session_ids(rows.where(_is_near(rows, source, is_near)), name))
    near = staging.write("near", together(found).distinct())
    if near.count() * MOST_OF > lake.read(SESSIONS, versions[SESSIONS]).count():
        return None
    whole = [source for source in versions if RULES[source].is_read_whole]
    return rows_of_sessions(lake, staging, versions, near, changed, is_near, whole)
