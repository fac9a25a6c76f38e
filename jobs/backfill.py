"""Backfills: a long window in chunks, each a separate run, so that completed chunks stay completed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.commits import Commit
from jobs.errors import JobError, UsageError
from jobs.execution import run_log
from jobs.execution.incremental.watermark import stands
from jobs.execution.job_run import run_with_retries
from jobs.execution.pinned_sources import pin
from jobs.execution.run import Outcome, Phase, Run
from jobs.job import Call, Job
from jobs.lake import Lake
from jobs.logs import log
from jobs.rollup import Rollup, W, span_of
from jobs.settings import Settings

LONGEST_CHUNK = timedelta(weeks=520)
"""Longer than any history."""

_CHUNK = re.compile(r"(\d+)([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def read_chunk_length(text: str) -> timedelta:
    """A length such as `12h`, `7d` or `2w`; raises `UsageError` for any other text."""
    match = _CHUNK.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--chunk must be a number of hours, days or weeks, such as 12h, 7d or 2w: {text!r}.")
    if int(match[1]) > LONGEST_CHUNK / _UNITS[match[2]]:
        raise UsageError(f"--chunk must be at most {LONGEST_CHUNK.days}d: {text!r}.")
    return int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True)
class Chunk:
    """One part of a backfill, and its run's outcome; None if the chunk had already succeeded."""

    start: datetime
    end: datetime
    outcome: Outcome | None = None


def chunks_of(job: Job[W], call: Call, length: timedelta, now: datetime) -> list[Call]:
    """The calls that cover the window, one after another, each widened to whole hours, dates or periods.

    Raises `UsageError` for a call that does not name both ends of its window.
    """
    if call.start is None or call.end is None:
        raise UsageError("A backfill needs --start and --end.")
    start, end = span_of(job.window_of(call, now))
    found = []
    while start < end:
        part = replace(call, start=start.isoformat(), end=(start + min(length, end - start)).isoformat())
        found.append(part)
        start = span_of(job.window_of(part, now))[1]
    return found


def backfill(
    job: Job[W],
    calls: list[Call],
    lake: Lake,
    settings: Settings,
    *,
    again: bool = False,
    phase: Phase = lambda name: None,
) -> Iterator[Chunk]:
    """Runs the calls in their order and yields each chunk when it is done.

    A chunk that has succeeded with the current versions of the sources is skipped, unless `again` is set. Raises the
    `JobError` of the first chunk that fails, and names the chunk: those before it are published, those after it are not
    tried.
    """
    rollup = job.rollup_of(calls[0])
    for call in calls:
        run = Run.begin(rollup.job_name)
        window = span_of(job.window_of(call, run.run_start))
        if not (again or call.dry_run) and _is_done(lake, rollup, window, run.run_start):
            log.info("the chunk has already succeeded with these sources", start=str(window[0]), end=str(window[1]))
            yield Chunk(*window)
            continue
        try:
            outcome = run_with_retries(job, call, lake, run, settings, phase)
        except JobError as error:
            error.args = (f"The backfill stopped at {call.start} to {call.end}: {error}",)
            raise
        except Exception:
            log.error("the backfill stopped", start=str(call.start), end=str(call.end))
            raise
        yield Chunk(*window, outcome)


def _is_done(lake: Lake, rollup: Rollup[W], window: tuple[datetime, datetime], run_start: datetime) -> bool:
    """Whether a run over the window has succeeded with the sources as they are, and its rows are still there."""
    snapshot = pin(lake, rollup.sources, run_start)
    if not all(map(lake.exists, rollup.targets)):
        return False
    runs = run_log.successful_runs(lake, rollup.job_name, window, snapshot)
    if not runs:
        return False

    def commits_since_run(table: str) -> list[Commit]:
        first = min(run.version_left(table) for run in runs)
        return lake.commits_back_to(table, lambda commits: commits[-1].version <= first)

    commits = {table: commits_since_run(table) for table in rollup.targets}
    return any(stands(lake, run, rollup.job_name, commits) for run in runs)
