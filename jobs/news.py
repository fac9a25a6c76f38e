"""What is new since a rollup last followed its sources: which of its hours, dates or periods a run has to make anew.

A changed row can count elsewhere than before, and move others with it: a late `ended` event closes its session, a
session that arrives places all facts that waited for it. So what is looked at are sessions: those that a new or changed
row belongs to, now or at the versions followed before. The rollup's own transform, over the rows of these sessions
alone, says where they counted then and where they count now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from expectations.contract import contract_of
from jobs import sources
from jobs.errors import JobError
from jobs.lake import Lake
from jobs.logs import log
from jobs.rollup import Rollup, W
from jobs.settings import Settings
from jobs.staging import Staging
from transforms.columns import instant
from transforms.usable_rows import RULES, SESSIONS, columns_read

TEACHERS = "users.teachers"
COMMITS_LOOKED_AT = 1000
"""How many commits back a run looks for how far the sources were followed: others than ours may have come since."""
OF_TEACHERS = {SESSIONS: "id", "ai_insights.teacher_guidance_metrics": "session_id"}
"""The sources with a `teacher_id`, and what names the session in them."""


@dataclass(frozen=True)
class Followed:
    """How far a rollup has followed its sources: their versions, and the start of the run that read them."""

    versions: Mapping[str, int]
    run_start: datetime

    @classmethod
    def read(cls, provenance: Mapping[str, object]) -> Followed | None:
        """From the provenance of a commit; None where it has none."""
        told = provenance.get("followed")
        if not isinstance(told, dict):
            return None
        return cls(dict(told["versions"]), datetime.fromisoformat(told["run_start"]))

    def as_json(self) -> dict[str, object]:
        """As a commit's provenance holds it."""
        return {"versions": dict(self.versions), "run_start": self.run_start.isoformat()}


def followed_by(lake: Lake, rollup: Rollup[W]) -> Followed | None:
    """How far the rollup has followed its sources: as its latest commit to the target says that is written last.

    Only its own commits count: the rollups of several period lengths share a table.
    """
    table = rollup.targets[-1]
    if not lake.exists(table):
        return None
    own = (commit.provenance for commit in lake.commits(table, COMMITS_LOOKED_AT) if commit.provenance)
    return next(filter(None, (Followed.read(p) for p in own if p.get("job_name") == rollup.job_name)), None)


def _by_stamps(rows: DataFrame, source: str, since: datetime) -> DataFrame:
    """The rows that say that they are as young, where no feed tells."""
    names = ("created_at", "updated_at", RULES[source].placed_by)
    is_young = [F.coalesce(F.col(n) >= instant(since), F.lit(False)) for n in rows.columns if n in names]
    return rows.where(reduce(lambda a, b: a | b, is_young))


def _unlike(now: DataFrame, then: DataFrame) -> DataFrame:
    """The rows of now that no row of then equals."""

    def hashed(rows: DataFrame) -> DataFrame:
        return rows.select("id", F.sha2(F.to_json(F.struct(*rows.columns)), 256).alias("row_hash"))

    return hashed(now).join(hashed(then), ["id", "row_hash"], how="left_anti")


def changed_rows(
    lake: Lake, source: str, followed: Followed, versions: Mapping[str, int], look_back_hours: int
) -> DataFrame | None:
    """The `id`s of rows of a source that are new or changed since it was followed; None where none can be.

    By the Change Data Feed; without one by comparing with the version that was followed; where that is gone, by a
    look-back over the rows' own stamps. All rows of a source that was not there. Deleted rows are not followed: a purge
    by retention must not rewrite what is published.
    """
    version, before = versions[source], followed.versions.get(source)
    if version == before:
        return None
    columns = columns_read(source, contract_of(source).public_columns)
    rows = lake.read(source, version).select(*columns)
    if before is None or version < before:
        log.warning("the source is new or was replaced: all of its rows count as new", source=source)
        changed = rows
    elif (feed := lake.changes(source, before + 1, version)) is not None:
        changed = feed
    elif (then := lake.readable(source, before, columns)) is not None:
        log.warning("no change data feed: comparing with the version followed before", source=source, version=before)
        changed = _unlike(rows, then)
    else:
        since = followed.run_start - timedelta(hours=look_back_hours)
        log.warning("no change data feed: looking back by stamps", source=source, since=since.isoformat())
        changed = _by_stamps(rows, source, since)
    return changed.where(F.col("id").isNotNull()).select(F.lit(source).alias("source"), "id").distinct()


def _touched_sessions(
    lake: Lake, rollup: Rollup[W], changed: DataFrame, sources_changed: Collection[str], versions: Mapping[str, int]
) -> DataFrame:
    """The sessions that changed rows belong to at these versions, and all sessions of a changed teacher."""
    found = [changed.where(F.col("source") == SESSIONS).select(F.col("id").alias("session_id"))]
    for source in rollup.sources:
        if source not in versions:
            continue
        rows = lake.read(source, versions[source])
        if source in sources_changed and source != SESSIONS and "session_id" in rows.columns:
            ids = changed.where(F.col("source") == source).select("id")
            found.append(rows.join(ids, "id", how="left_semi").select("session_id"))
        if TEACHERS in sources_changed and source in OF_TEACHERS:
            teachers = changed.where(F.col("source") == TEACHERS).select(F.col("id").alias("teacher_id"))
            of_teachers = rows.join(teachers, "teacher_id", how="left_semi")
            found.append(of_teachers.select(F.col(OF_TEACHERS[source]).alias("session_id")))
    return reduce(lambda a, b: a.unionByName(b), found).where(F.col("session_id").isNotNull())


def _keys(rows: DataFrame, column: str) -> set[Any]:
    """The values of the column. A timestamp is collected as a number: else it would come in the driver's zone."""
    if not isinstance(rows.schema[column].dataType, TimestampType):
        return {row[column] for row in rows.select(column).distinct().collect()}
    micros = rows.select(F.unix_micros(column).alias(column)).distinct().collect()
    return {datetime.fromtimestamp(row[column] / 1e6, timezone.utc) for row in micros}


def window_of_news(
    lake: Lake,
    rollup: Rollup[W],
    everything: W,
    followed: Followed,
    versions: Mapping[str, int],
    run_id: str,
    run_start: datetime,
    settings: Settings,
) -> W | None:
    """The hours, dates or periods that new and changed rows touch, and those that time completed; None for none.

    `everything` is the window of all history, `versions` what the run has pinned.
    """
    given = {s: changed_rows(lake, s, followed, versions, settings.look_back_hours) for s in versions}
    changes = {source: rows for source, rows in given.items() if rows is not None}
    keys: set[Any] = set()
    if changes:
        before = {s: v for s, v in followed.versions.items() if s in versions and v <= versions[s]}
        touched = partial(_touched_keys, lake, rollup, everything, changes, run_start=run_start, settings=settings)
        try:
            keys = touched([before, versions], run_id=f"{run_id}.news")
        except JobError:
            raise
        except Exception as error:
            log.warning(
                "the versions that were followed cannot be read: what moved away stays where it was until a run with a "
                "window",
                reason=type(error).__name__,
            )
            keys = touched([versions], run_id=f"{run_id}.news_now")
    return rollup.window_over(keys, followed.run_start, run_start)


def _touched_keys(
    lake: Lake,
    rollup: Rollup[W],
    everything: W,
    changes: Mapping[str, DataFrame],
    versions_of: Sequence[Mapping[str, int]],
    *,
    run_id: str,
    run_start: datetime,
    settings: Settings,
) -> set[Any]:
    """Where the sessions of the changed rows count, at each of these versions of the sources."""
    keys: set[Any] = set()
    with Staging(lake, run_id, run_start) as staging:
        changed = staging.write("changed", reduce(lambda a, b: a.unionByName(b), changes.values()))
        sessions = [_touched_sessions(lake, rollup, changed, changes.keys(), versions) for versions in versions_of]
        touched = staging.write("touched", reduce(lambda a, b: a.unionByName(b), sessions).distinct())
        only = sources.Only(changed, touched)
        for number, versions in enumerate(versions_of):
            with Staging(lake, f"{run_id}_{number}", run_start) as of_versions:
                read = sources.read(lake, of_versions, rollup.sources, versions, settings.metrics, only)
                rows = rollup.rows(read.sessions, read.usable, everything, run_start, settings.metrics)
                keys |= _keys(rows, rollup.window_column)
                if rollup.also_touched:
                    keys |= _keys(rollup.also_touched(read.sessions, read.usable), rollup.window_column)
    return keys
