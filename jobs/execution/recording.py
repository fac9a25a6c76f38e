"""What a run records about itself: its row in the ledger while it runs, and in the log of runs once it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from expectations.gate import Verdict
from jobs.errors import GateRefusedError, JobError
from jobs.execution import run_log
from jobs.execution.ledger import Entry, Ledger
from jobs.execution.publish import SupersededError
from jobs.execution.run import Changes, Mode, Phase, Run
from jobs.execution.staging import begun_and_alive
from jobs.execution.starting_point import StartingPoint
from jobs.failures import explained
from jobs.lake import Lake
from jobs.logs import log
from jobs.rollup import Rollup, RunWindow, span_of
from transforms.catalog import RUNS


class Recorder(Protocol):
    """Records one run, from start to finish."""

    def repair(self) -> None:
        """Ends the ledger rows of earlier runs of the job that died."""

    def begin(self, window: RunWindow) -> None:
        """Records that the run is running over the window, unless a run that began later has its row."""

    def succeed(
        self, window: RunWindow, start: StartingPoint, changes: Mapping[str, Changes], verdict: Verdict
    ) -> None:
        """Records that the run succeeded, with what it changed in each table."""

    def succeed_without_window(self, start: StartingPoint) -> None:
        """Records that the run found nothing to recompute: over an empty window, at its start."""

    def fail(
        self, error: Exception, window: RunWindow, start: StartingPoint, verdict: Verdict, *, window_is_known: bool
    ) -> Exception:
        """Records a failure and returns the error that explains it."""


class NoRecorder:
    """Records nothing, for a dry run."""

    def repair(self) -> None:
        """Does nothing."""

    def begin(self, window: RunWindow) -> None:
        """Does nothing."""

    def succeed(
        self, window: RunWindow, start: StartingPoint, changes: Mapping[str, Changes], verdict: Verdict
    ) -> None:
        """Does nothing."""

    def succeed_without_window(self, start: StartingPoint) -> None:
        """Does nothing."""

    def fail(
        self, error: Exception, window: RunWindow, start: StartingPoint, verdict: Verdict, *, window_is_known: bool
    ) -> Exception:
        """Returns the error that explains the failure."""
        return explained(error)


class RunRecorder:
    """Records one run in the ledger and in the log of runs."""

    def __init__(self, rollup: Rollup[Any], lake: Lake, run: Run, mode: Mode, phase: Phase) -> None:
        self._rollup, self._lake, self._run, self._mode, self._phase = rollup, lake, run, mode, phase
        self._ledger = Ledger(lake)
        self._created_at: datetime | None = None

    def repair(self) -> None:
        """Ends the ledger rows of earlier runs of the job that died."""
        if not self._ledger.exists:
            return
        self._ledger.prepare()
        alive = begun_and_alive(self._lake, self._run.run_start)
        self._ledger.repair(self._run.job_name, self._run.run_start, alive, self._has_published)

    def begin(self, window: RunWindow) -> None:
        """Records that the run is running over the window, unless a run that began later has its row."""
        self._ledger.prepare()
        self._created_at = self._ledger.begin(self._entry(window))

    def succeed(
        self, window: RunWindow, start: StartingPoint, changes: Mapping[str, Changes], verdict: Verdict
    ) -> None:
        """Records that the run succeeded, with what it changed in each table."""
        self._phase("record")
        if self._created_at is not None:
            rows = changes[self._rollup.targets[0]].rows
            self._ledger.record(self._entry(window), "succeeded", self._created_at, rows)
        self._log_success(span_of(window), start, changes, verdict)

    def succeed_without_window(self, start: StartingPoint) -> None:
        """Records that the run found nothing to recompute: over an empty window, at its start."""
        self._phase("record")
        self._log_success((self._run.run_start, self._run.run_start), start, {}, Verdict(()))

    def fail(
        self, error: Exception, window: RunWindow, start: StartingPoint, verdict: Verdict, *, window_is_known: bool
    ) -> Exception:
        """Records a failure and returns the error that explains it.

        Best effort: what went wrong may also prevent this from being written, and it is what the user must hear about.
        An incremental run that does not know its window yet has no row in the ledger.
        """
        named = explained(error)
        if isinstance(named, SupersededError) and self._mode.may_retry:
            return named  # a superseded attempt is not a failure yet: the next one settles what this one began
        status: run_log.EndStatus = "rejected" if isinstance(named, GateRefusedError) else "failed"
        message = str(named) if isinstance(named, JobError) else type(named).__name__
        try:
            if window_is_known and self._ledger.exists:
                self._ledger.prepare()
                self._ledger.end(self._entry(window), status, error=message)
            if self._lake.exists(RUNS):
                self._lake.register([RUNS])
                self._log(span_of(window), start, status, verdict, message=message)
        except Exception as another:
            log.warning("the failure could not be recorded", reason=type(another).__name__)
        return named

    def _entry(self, window: RunWindow) -> Entry:
        return Entry(self._run.job_name, span_of(window)[0], self._run.run_start)

    def _has_published(self, run_start: datetime) -> bool:
        table = self._rollup.targets[-1]
        if not self._lake.exists(table):
            return False
        return any(commit.is_of_start(self._run.job_name, run_start) for commit in self._lake.commits(table))

    def _log_success(
        self, span: tuple[datetime, datetime], start: StartingPoint, changes: Mapping[str, Changes], verdict: Verdict
    ) -> None:
        if self._mode.is_retry:
            self._ledger.settle(self._run.job_name, self._run.run_start)
        self._log(span, start, "succeeded", verdict, changes=changes)

    def _log(
        self,
        span: tuple[datetime, datetime],
        start: StartingPoint,
        status: run_log.EndStatus,
        verdict: Verdict,
        *,
        changes: Mapping[str, Changes] | None = None,
        message: str | None = None,
    ) -> None:
        published = {table: each.version for table, each in (changes or {}).items() if each.version is not None}
        ended = run_log.EndedRun(
            run_id=self._run.run_id,
            job_name=self._run.job_name,
            window=span,
            run_start=self._run.run_start,
            status=status,
            is_incremental=self._mode.is_incremental,
            sources=start.sources,
            target_versions={**start.targets, **published},
            changes=None if changes is None else changes.get(self._rollup.targets[0], Changes()),
            checks=len(verdict.checks),
            failed_checks=sum(not check.success for check in verdict.checks),
            message=message,
        )
        run_log.record(self._lake, ended)
