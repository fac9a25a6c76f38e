"""The rows of the sources that a run over what is new looks at, instead of all.

They are found by their keys. Narrow scans tell the keys of the rows that matter, and when the rows of these keys were
made; then the rows of that time are read that have one of the keys. So no older or newer copy of a row is missed,
wherever it stands, and where a source holds its rows by the time they were made, few of its files are read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from jobs.changed import Changed, session_of
from jobs.lake import Lake
from jobs.sources import are_long, raw_rows
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
    whole: Collection[str]


def _is_near(rows: DataFrame, source: str, is_near: IsNear) -> Column:
    """Whether any time that metrics read of the row is near."""
    moments = [f.name for f in rows.schema if f.name in RULES[source].metric_columns and f.dataType == TimestampType()]
    return reduce(lambda a, b: a | b, (is_near(F.col(name)) for name in moments), F.lit(False))


def _keys_in(
    lake: Lake,
    versions: Mapping[str, int],
    sources: Collection[str],
    sessions: DataFrame,
    ids: DataFrame,
    is_near: IsNear | None = None,
) -> DataFrame:
    """`source` and `key_hash`, each once, of the sources' rows in these sessions, and of these `ids` (with `source`).

    `is_near` adds rows that need no session and are near.
    """
    found = [ids.select("source", F.xxhash64("source", "id").alias("key_hash"))]
    for source in sources:
        rows = lake.read(source, versions[source])
        some = [rows.where(_is_near(rows, source, is_near))] if is_near and not RULES[source].in_session else []
        if source == SESSIONS or "session_id" in rows.columns:
            placed = rows.withColumn("session_id", session_of(source, rows.columns))
            some.append(placed.join(sessions, "session_id", how="left_semi"))
        found += [each.select(F.lit(source).alias("source"), key_hash(source).alias("key_hash")) for each in some]
    return together(found).distinct()


def _with_keys(rows: DataFrame, source: str, keys: DataFrame) -> DataFrame:
    known = keys.where(F.col("source") == source).select("key_hash")
    return rows.withColumn("key_hash", key_hash(source)).join(known, "key_hash", how="left_semi").drop("key_hash")


def _made_at(source: str, columns: Collection[str]) -> Column:
    return F.col("created_at" if "created_at" in columns else str(RULES[source].placed_by))


def _places(lake: Lake, versions: Mapping[str, int], source: str, keys: DataFrame) -> DataFrame:
    """`source`, `session_id` and when it was `made` (microseconds) of each of the source's rows with these keys."""
    rows = lake.read(source, versions[source])
    return _with_keys(
        rows.select(
            F.lit(source).alias("source"),
            "id",
            session_of(source, rows.columns).alias("session_id"),
            F.unix_micros(_made_at(source, rows.columns)).alias("made"),
        ),
        source,
        keys,
    ).drop("id")


def _looked_at(
    lake: Lake, versions: Mapping[str, int], keys: DataFrame, places: DataFrame | None, whole: Collection[str]
) -> LookedAt:
    """The rows with these keys. `places`, of some sources, say when they were made: few files hold such rows."""
    stretches: dict[str, tuple[Column, Column]] = {}
    if places is not None:
        figures = (F.count("*").alias("rows"), F.count("made").alias("dated"), F.min("made"), F.max("made"))
        for source, rows_found, dated, first, last in places.groupBy("source").agg(*figures).collect():
            if dated == rows_found:
                stretches[source] = F.timestamp_micros(F.lit(first)), F.timestamp_micros(F.lit(last))

    def rows_of(source: str) -> DataFrame:
        rows = raw_rows(lake, source, versions)
        if source in whole:
            return rows
        if source in stretches:
            rows = rows.where(_made_at(source, rows.columns).between(*stretches[source]))
        return _with_keys(rows, source, keys)

    return LookedAt({source: rows_of(source) for source in versions}, keys, whole)


def rows_touched(lake: Lake, staging: Staging, versions: Mapping[str, int], changed: Changed) -> LookedAt:
    """New and changed rows, and all rows of the sessions that these belong to, now or before; all teachers.

    Also of the sessions of other rows of the same key, which a new row can take the place of, and of all sessions of a
    changed teacher.
    """
    found = [changed.keys.join(changed.ids, ["source", "id"], how="left_semi").select("session_id")]
    for source, name in OF_TEACHERS.items():
        if TEACHERS in changed.rows and source in versions:
            teachers = changed.ids.where(F.col("source") == TEACHERS).select(F.col("id").alias("teacher_id"))
            rows = lake.read(source, versions[source]).join(teachers, "teacher_id", how="left_semi")
            found.append(rows.select(F.col(name).alias("session_id")))
    some = [source for source in versions if source != TEACHERS]

    def keys_and_places(name: str) -> tuple[DataFrame, DataFrame]:
        keys = staging.write(f"keys{name}", _keys_in(lake, versions, some, sessions, changed.ids))
        return keys, staging.write(f"places{name}", together(_places(lake, versions, s, keys) for s in some))

    sessions = staging.write("touched", together(found).where("session_id IS NOT NULL").distinct())
    keys, places = keys_and_places("")
    others = places.where("session_id IS NOT NULL").join(sessions, "session_id", how="left_anti").select("session_id")
    if not others.isEmpty():
        sessions = staging.write("touched_too", sessions.unionByName(others.distinct()))
        keys, places = keys_and_places("_too")
    return _looked_at(lake, versions, keys, places, (TEACHERS,))


def rows_near(
    lake: Lake, staging: Staging, versions: Mapping[str, int], changed: Changed, is_near: IsNear
) -> LookedAt | None:
    """All rows that can count in a window or place what does, and all whose usability a change can have changed.

    These are the rows of the sessions with a time near, changed rows, rows of changed sessions, and rows without a key;
    of some sources all. None where that is most of the sessions.
    """
    found = [changed.keys.select("session_id")]
    for source, version in versions.items():
        rows = lake.read(source, version)
        near = rows.where(_is_near(rows, source, is_near))
        found.append(near.select(session_of(source, rows.columns).alias("session_id")))
    sessions = staging.write("near", together(found).where("session_id IS NOT NULL").distinct())
    if sessions.count() * MOST_OF > lake.read(SESSIONS, versions[SESSIONS]).count():
        return None
    whole = [source for source in versions if RULES[source].is_read_whole]
    some = [source for source in versions if source not in whole]
    without_key = lake.spark.range(1).select(
        F.explode(F.array(*map(F.lit, some))).alias("source"), F.lit(None).cast("string").alias("id")
    )
    ids = changed.keys.select("source", "id").unionByName(without_key)
    keys = staging.write("keys", _keys_in(lake, versions, some, sessions, ids, is_near))
    # Of a short source all rows are read sooner than it is known which.
    long = [_places(lake, versions, source, keys) for source in some if are_long(lake, [source])]
    places = staging.write("places", together(long)) if long else None
    return _looked_at(lake, versions, keys, places, whole)
