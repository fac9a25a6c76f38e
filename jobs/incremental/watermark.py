"""How far a rollup has followed its sources: told by the commits of its targets, and by the log of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs import run_log
from jobs.lake import Commit, Lake
from jobs.provenance import Watermark, is_newer
from jobs.rollup import Rollup, W


def read_watermark(lake: Lake, rollup: Rollup[W], *, also_by_runs: bool = True) -> Watermark | None:
    """How far the rollup has followed its sources: as far as all of its targets have.

    One that was dropped or restored alone is made whole with the others. Only the rollup's own commits count: those of
    several period lengths share a table. A run that found nothing to change made no commit: it counts `also_by_runs`.
    """
    if not all(map(lake.exists, rollup.targets)):
        return None
    commits = {table: lake.commits(table) for table in rollup.targets}
    by_commits = [_watermark_in(own, rollup.job_name) for own in commits.values()]
    last = run_log.last_incremental(lake, rollup.job_name) if also_by_runs else None
    known = []
    if all(by_commits):
        known.append(min(filter(None, by_commits), key=_distance))
    if last and all(_stands(last, rollup.job_name, table, own) for table, own in commits.items()):
        # Where nothing changed for longer than Delta keeps a table's log, that is all that is known.
        known.append(Watermark(last.source_versions, last.run_start))
    return max(known, key=_distance, default=None)


def _distance(watermark: Watermark) -> tuple[int, datetime]:
    """By versions first, which only grow, while a clock may go back."""
    return sum(watermark.versions.values()), watermark.run_start


def _watermark_in(commits: Sequence[Commit], job_name: str) -> Watermark | None:
    return next((own.watermark for commit in commits if (own := commit.made_by(job_name)) and own.watermark), None)


def _stands(run: run_log.LastRun, job_name: str, table: str, commits: Sequence[Commit]) -> bool:
    """Whether the table still holds what the run left: no hand has changed it since, nor a run with older sources."""
    began_at = run.target_versions.get(table, 0)
    if not any(commit.version == began_at and commit.at <= run.run_end for commit in commits):
        return False  # it has another history by now, or one that no longer goes back as far
    since = [commit for commit in commits if commit.version > began_at]
    own = [provenance for commit in since if (provenance := commit.made_by(job_name))]
    return all(commit.provenance or commit.keeps_rows for commit in since) and not any(
        is_newer(run.source_versions, provenance.source_versions) for provenance in own
    )
