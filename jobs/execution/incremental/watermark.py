"""What an incremental run starts from: how far the sources were followed, and what was published beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from jobs.commits import Commit
from jobs.execution import run_log
from jobs.lake import Lake
from jobs.provenance import Provenance, Snapshot, is_newer
from jobs.rollup import Rollup, W


@dataclass(frozen=True)
class Baseline:
    """What an incremental run compares the sources with.

    `watermark`: how far the rollup has followed its sources. `published_since`: commits of its targets that were made
    from later versions: by runs with an explicit window, or by a run that reached only some of the targets. The source
    data that they published may have been reverted since, so that it is neither in the sources at the watermark nor in
    the current ones. `published_from_recreated`: those of them that read a source that was recreated since.

    In the watermark, a source that was recreated since counts as absent.
    """

    watermark: Snapshot
    published_since: tuple[Provenance, ...] = ()
    published_from_recreated: tuple[Provenance, ...] = ()


@dataclass(frozen=True)
class Records:
    """What is recorded of earlier runs: the commits of each target, and the last incremental run that succeeded."""

    commits: Mapping[str, Sequence[Commit]]
    last: run_log.SuccessfulRun | None


def read_records(lake: Lake, rollup: Rollup[W], *, also_by_runs: bool = True) -> Records | None:
    """The records of the rollup; None if one of its targets is absent.

    A run that found nothing to change made no commit: it is there only if `also_by_runs` is set.
    """
    if not all(map(lake.exists, rollup.targets)):
        return None
    commits = {table: _commits_since_followed(lake, table, rollup.job_name) for table in rollup.targets}
    return Records(commits, run_log.last_incremental(lake, rollup.job_name) if also_by_runs else None)


def _commits_since_followed(lake: Lake, table: str, job_name: str) -> list[Commit]:
    """The table's commits, at least back to the job's last incremental one, if its log has any."""
    return lake.commits_back_to(
        table,
        lambda commits: any(own.is_incremental for commit in commits if (own := commit.made_by(job_name))),
    )


def baseline_of(lake: Lake, rollup: Rollup[W], records: Records | None) -> Baseline | None:
    """The baseline of the rollup, as far as all of its targets have followed the sources; None if that is unknown.

    A target that was dropped or restored alone is repaired with the others. Only the rollup's own commits count: those
    of several period lengths share a table.
    """
    if records is None:
        return None
    commits, last = records.commits, records.last
    by_commits = [_watermark_in(lake, of_table, rollup.job_name) for of_table in commits.values()]
    known = []
    if all(by_commits):
        known.append(min(filter(None, by_commits), key=_AGE))
    if last and stands(lake, last, rollup.job_name, commits):
        # If nothing changed for longer than Delta keeps a table's log, nothing else is known.
        known.append(lake.without_recreated(last.sources))
    if not known:
        return None
    watermark = max(known, key=_AGE)
    since = [own for table in commits.values() for own in _published_since(lake, watermark, table, rollup.job_name)]
    from_recreated = [own for own in since if lake.reads_a_recreated(own.snapshot)]
    return Baseline(watermark, tuple(own for own in since if own not in from_recreated), tuple(from_recreated))


def _compared(one: Snapshot, other: Snapshot) -> int:
    """Below 0 if `one` is earlier, by versions, which only grow, while a clock may be set back.

    If neither or each is newer than the other, as after a source was recreated, the clock decides.
    """
    is_later, is_earlier = is_newer(one.versions, other.versions), is_newer(other.versions, one.versions)
    if is_later != is_earlier:
        return 1 if is_later else -1
    return (one.run_start > other.run_start) - (one.run_start < other.run_start)


_AGE = cmp_to_key(_compared)


def _watermark_in(lake: Lake, commits: Sequence[Commit], job_name: str) -> Snapshot | None:
    found = (own.watermark for commit in commits if (own := commit.made_by(job_name)) and own.watermark)
    return next(map(lake.without_recreated, found), None)


def _published_since(lake: Lake, watermark: Snapshot, commits: Sequence[Commit], job_name: str) -> list[Provenance]:
    """The job's commits from later versions than the watermark's, newest first.

    Commits before the watermark was set do not count, even if a recreated source makes their versions look later. The
    versions of a recreated source cannot be compared: there the clock decides.
    """
    found = []
    for own in filter(None, (commit.made_by(job_name) for commit in commits)):
        current = lake.without_recreated(own.snapshot)
        is_later_by_clock = current != own.snapshot and own.run_start > watermark.run_start
        if is_later_by_clock or is_newer(current.versions, watermark.versions):
            found.append(own)
        elif own.is_incremental:
            break
    return found


def stands(lake: Lake, run: run_log.SuccessfulRun, job_name: str, commits: Mapping[str, Sequence[Commit]]) -> bool:
    """Whether each target, by its commits, still holds what the run left: see `_stands_in`."""
    return all(_stands_in(lake, run, job_name, table, of_table) for table, of_table in commits.items())


def _stands_in(lake: Lake, run: run_log.SuccessfulRun, job_name: str, table: str, commits: Sequence[Commit]) -> bool:
    """Whether the table still holds what the run left: no manual commit and no run with older sources changed it."""
    if not run.is_in(table, commits):
        return False  # its history is another by now, or no longer goes back that far
    since = [commit for commit in commits if commit.version > run.version_left(table)]
    if not all(commit.provenance or commit.keeps_rows for commit in since):
        return False
    own = [provenance.snapshot for commit in since if (provenance := commit.made_by(job_name))]
    read = lake.without_recreated(run.sources).versions
    return not any(is_newer(read, lake.without_recreated(other).versions) for other in own)
