"""The affected window: which hours, dates or periods of a rollup an incremental run has to recompute.

A changed row can count elsewhere than before, and move others with it: a late `ended` event closes its session, a
session that arrives places all facts that waited for it. So the unit is the session: those to which a new or changed
row belongs now, belonged at the watermark, or at versions from which rows were published since. A session's own row
counts as changed only if a column that metrics read has changed. The rollup's own transform, over the rows of these
sessions alone, gives where they counted then and where they count now.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.collect import collect_utc
from jobs.execution import sources
from jobs.execution.incremental.source_changes import SourceChanges, before_and_after, session_of
from jobs.execution.incremental.source_subset import rows_for_changes, without_unread_changes
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.run import Run
from jobs.execution.staging import Staging
from jobs.lake import CHANGE_TYPE
from jobs.logs import log
from jobs.provenance import Provenance
from jobs.rollup import Rollup, RunWindow, W
from jobs.settings import Settings
from transforms.catalog import TEACHERS
from transforms.windows import starts_between


def _without_purges(changed: SourceChanges, sessions: DataFrame) -> dict[str, DataFrame]:
    """Each source's changes, without deletions of rows that no other change affects: a purge is not followed.

    `sessions` are the affected ones: their deleted rows are kept, because they show where the sessions counted before.
    """
    deleted = changed.keyed.where(F.col(CHANGE_TYPE) == "delete")
    not_followed = deleted.join(changed.ids, ["source", "id"], how="left_anti").join(
        sessions, "session_id", how="left_anti"
    )
    purged = {row["source"] for row in not_followed.select("source").distinct().collect()}
    if purged:
        log.info(
            "rows that were only deleted are not followed: what was published from them stays", sources=sorted(purged)
        )

    def relevant(source: str, changes: DataFrame) -> DataFrame:
        ids = changed.ids_of(source).withColumn("is_changed", F.lit(True))
        placed = changes.withColumn("placed_in", session_of(source)).join(ids, "id", how="left")
        of_sessions = sessions.select(F.col("session_id").alias("placed_in"), F.lit(True).alias("is_affected"))
        return (
            placed.join(of_sessions, "placed_in", how="left")
            .where((F.col(CHANGE_TYPE) != "delete") | F.col("is_changed") | F.col("is_affected"))
            .select(*changes.columns)
        )

    # A teacher's zone says where sessions counted before, and a teacher alone counts nowhere.
    followed = {TEACHERS} | set(changed.rows) - purged
    return {s: changes if s in followed else relevant(s, changes) for s, changes in changed.rows.items()}


def _keys(rows: DataFrame, column: str) -> set[Any]:
    """The distinct values of the column."""
    return {row[column] for row in collect_utc(rows.select(column).distinct())}


def starts_covered(published: Provenance, everything: RunWindow) -> set[Any]:
    """The starts of the hours, dates or periods that a commit's run covered."""
    if published.selected is None:
        return set(starts_between(everything, *published.span))
    starts = map(type(everything.start).fromisoformat, published.selected)
    return {start for start in starts if everything.start <= start < everything.end}


def affected_window(
    pinned: PinnedSources,
    rollup: Rollup[W],
    everything: W,
    changed: SourceChanges,
    run: Run,
    settings: Settings,
) -> W | None:
    """The hours, dates or periods that changed rows or the passage of time affect; None if there are none.

    `everything` is the window of all history.
    """
    keys: set[Any] = set()
    if changed.rows:
        with Staging(pinned.lake, run, "affected") as staging:
            followed = without_unread_changes(pinned, staging, changed)
            affected, sessions = rows_for_changes(pinned, staging, followed)
            changes = _without_purges(followed, sessions)
            rows = {
                source: before_and_after(found, changes.get(source), followed.versions_of(source))
                for source, found in affected.rows.items()
            }
            sources.tune_to_read(pinned)
            read = sources.read(pinned, staging, rollup.sources, settings.metrics, rows)
            inputs = read.inputs(run.run_start, settings.metrics)
            keys |= _keys(rollup.rows(inputs, everything), rollup.window_column)
            if rollup.also_affected:
                others = rollup.also_affected(inputs)
                keys |= _keys(others.where(everything.contains(F.col(rollup.window_column))), rollup.window_column)
        for published in changed.published_from_unknown:
            keys |= starts_covered(published, everything)
    return rollup.window_covering(keys, changed.watermark.run_start, run.run_start)
