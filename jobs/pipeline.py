"""The pipeline of a run: pin, read, quarantine, transform, stage, gate, publish, record, once and in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from pathlib import Path
from threading import Thread
from typing import Generic

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract, contract_of
from expectations.gate import Verdict, preload
from jobs import quarantine, run_log, sources, verdicts
from jobs.errors import GateRefusedError, JobError
from jobs.failures import explained
from jobs.incremental.affected_window import affected_window
from jobs.incremental.source_changes import SourceChanges, read_source_changes
from jobs.incremental.source_subset import SourceSubset, rows_for_window
from jobs.incremental.watermark import Baseline, read_baseline
from jobs.lake import Lake
from jobs.ledger import Entry, Ledger
from jobs.logs import log
from jobs.provenance import Provenance, Watermark
from jobs.publish import Changes, Replacement, SupersededError, preview, publish
from jobs.rollup import Rollup, RunWindow, W
from jobs.settings import Settings
from jobs.staging import Staging, begun_and_alive, drop_left_behind
from transforms.identity import row_id
from transforms.table_diff import AUDIT_COLUMNS

EMPTIED = "expect_table_row_count_to_be_between"
"""The check that a window which holds rows is not emptied."""
OWN_TABLES = (quarantine.TABLE, verdicts.TABLE, run_log.TABLE)

Phase = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run is a value: its job, its window and its start, and so is what it reads."""

    run_id: str
    job_name: str
    run_start: datetime

    @classmethod
    def begin(cls, job_name: str, run_start: datetime | None = None) -> Run:
        """A run that starts now, or at the given instant."""
        start = run_start or datetime.now(timezone.utc)
        return cls(run_log.new_run_id(job_name, start), job_name, start)

    def again(self) -> Run:
        """Another attempt at the same run: the same start, a name of its own."""
        return Run.begin(self.job_name, self.run_start)


@dataclass(frozen=True)
class Mode:
    """How a run is carried out.

    `is_incremental`: over what is new in the sources instead of the whole window. `allow_empty`: even if that empties a
    window that holds rows. `dry_run`: up to the gate's verdict, with what publishing would change, and nothing is
    written. `attempt`, of `attempts`: a run that another has superseded starts again.
    """

    is_incremental: bool = False
    allow_empty: bool = False
    dry_run: bool = False
    attempt: int = 1
    attempts: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a run that ended well did: the window it covered (None: nothing was new), and changes per table."""

    run: Run
    window: RunWindow | None
    changes: Mapping[str, Changes]
    verdict: Verdict = field(default_factory=lambda: Verdict(()))
    data_docs: Path | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to write."""
        return all(changes.is_empty for changes in self.changes.values())


def _as_instant(moment: datetime | date) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), timezone.utc)


def span_of(window: RunWindow) -> tuple[datetime, datetime]:
    """The window's start and end as instants, a date as its midnight."""
    return _as_instant(window.start), _as_instant(window.end)


def identified(rows: DataFrame, rollup: Rollup[W]) -> DataFrame:
    """The rows with their `id`: that of the canonical table in all of them."""
    canonical = contract_of(rollup.targets[0])
    types = {field.name: field.dataType for field in canonical.spark_schema if field.name in canonical.key}
    return rows.withColumn("id", row_id(canonical.full_name, {name: types[name] for name in canonical.key}))


def own_columns(staged: DataFrame, contract: Contract) -> DataFrame:
    """The staged rows in a target's own columns: all but the stamps, which publishing sets."""
    return staged.select(*[name for name in contract.column_names if name not in AUDIT_COLUMNS])


def _refusal(table: str, verdict: Verdict) -> GateRefusedError:
    failed = "; ".join(f"{check.name} on {check.subject}" for check in verdict.failures[:3])
    more = f" and {len(verdict.failures) - 3} more" if len(verdict.failures) > 3 else ""
    is_emptied = any(check.name == EMPTIED for check in verdict.failures)
    hint = " To empty the window on purpose give --allow-empty." if is_emptied else ""
    return GateRefusedError(f"The gate refused the rows for {table}: {failed}{more}; nothing was written.{hint}")


@dataclass(frozen=True)
class _Pinned:
    """Versions when the run began: of the sources, of the targets that are there, and how far sources were followed."""

    sources: Mapping[str, int]
    targets: Mapping[str, int]
    baseline: Baseline | None

    @property
    def watermark(self) -> Watermark | None:
        """How far the sources were followed, where that is known."""
        return self.baseline.watermark if self.baseline else None


@dataclass(frozen=True)
class Progress(Generic[W]):
    """A run while it goes on, for who tells others of it: what it reads, what the gate said, what it did."""

    rollup: Rollup[W]
    lake: Lake
    run: Run
    is_dry: bool
    source_versions: Mapping[str, int]
    verdict: Verdict
    outcome: Outcome | None


class Execution(Generic[W]):
    """One run of a rollup: what stays the same from its first phase to its last."""

    def __init__(
        self,
        rollup: Rollup[W],
        lake: Lake,
        run: Run,
        settings: Settings,
        mode: Mode = Mode(),
        phase: Phase = lambda name: None,
    ) -> None:
        self._rollup, self._lake, self._run = rollup, lake, run
        self._settings, self._mode, self._phase = settings, mode, phase
        self._ledger = Ledger(lake)
        self._checked = Verdict(())
        self._reads: Mapping[str, int] = {}
        self._outcome: Outcome | None = None

    @property
    def progress(self) -> Progress[W]:
        """What is known of the run so far."""
        outcome = self._outcome
        return Progress(self._rollup, self._lake, self._run, self._mode.dry_run, self._reads, self._checked, outcome)

    def over(self, window: W) -> Outcome:
        """Carries the run out over the window, or over what is new in it.

        Raises `BrokenContractError` before anything is written, `GateRefusedError` with the targets as they were, and
        whatever else went wrong; ledger and log of runs say so in each case, once they exist.
        """
        # Until an incremental run knows its window it has no row in the ledger.
        entry = None if self._mode.is_incremental else self._entry(window)
        pinned = _Pinned({}, {}, None)
        try:
            self._phase("pin")
            pinned = self._pin()
            self._reads = pinned.sources
            with Staging(self._lake, self._run.run_id, self._run.run_start) as staging:
                changed = self._changed(window, pinned, staging)
                if changed is not None:
                    covered = self._affected(window, pinned, changed)
                    if covered is None:
                        self._outcome = self._unaffected(pinned, changed, staging)
                        return self._outcome
                    window = covered
                entry = self._entry(window)
                if self._mode.dry_run:
                    return self._computed(window, pinned, changed, staging)
                self._ledger.prepare()
                created_at = self._ledger.begin(entry)
                outcome = self._computed(window, pinned, changed, staging)
            self._phase("record")
            canonical = outcome.changes[self._rollup.targets[0]]
            if created_at is not None:
                self._ledger.record(entry, "succeeded", created_at, canonical.rows)
            self._log_success(span_of(window), pinned, canonical)
            self._outcome = outcome
            return outcome
        except Exception as error:
            named = explained(error)
            if not self._mode.dry_run:
                self._record_failure(named, entry, window, pinned)
            if named is error:
                raise
            raise named from error

    def _entry(self, window: W) -> Entry:
        return Entry(self._rollup.job_name, _as_instant(window.start), self._run.run_start)

    def _pin(self) -> _Pinned:
        # The targets before the sources: what another run publishes in between counts as published since, from sources
        # that may be newer. The other way round this run would take it for known and write what is older over it.
        lake, rollup = self._lake, self._rollup
        present = [table for table in rollup.targets if lake.exists(table)]
        lake.register(present)
        for table in present:
            lake.check(contract_of(table), exactly=True)
        targets = {table: lake.version(table) for table in present}
        baseline = read_baseline(lake, rollup, also_by_runs=self._mode.is_incremental)
        versions = sources.pin(lake, rollup.sources)
        for source in set(baseline.watermark.versions if baseline else ()) - set(versions):
            log.warning("a source that was followed is absent: it counts as empty", source=source)
        if not self._mode.dry_run:
            drop_left_behind(lake, self._run.run_start)
            for table in OWN_TABLES:
                lake.create_missing(contract_of(table))
        return _Pinned(versions, targets, baseline)

    def _changed(self, window: W, pinned: _Pinned, staging: Staging) -> SourceChanges | None:
        """What changed in the sources since they were followed; None where the run makes its whole window."""
        if not self._mode.is_incremental:
            return None
        if self._ledger.exists and not self._mode.dry_run:
            self._ledger.prepare()
            alive = begun_and_alive(self._lake, self._run.run_start)
            self._ledger.repair(self._entry(window), alive, self._has_published)
        if pinned.baseline is None:
            if pinned.targets:
                log.warning("it is not known any more how far the sources were followed: all history is made anew")
            return None
        self._phase("look for what is new")
        hours = self._settings.look_back_hours
        return read_source_changes(self._lake, staging, pinned.baseline, pinned.sources, hours)

    def _affected(self, window: W, pinned: _Pinned, changed: SourceChanges) -> W | None:
        """The part of the window that these changes and the time gone by touch; None where they touch none."""
        run = self._run
        affected = affected_window(
            self._lake,
            self._rollup,
            window,
            changed,
            pinned.sources,
            run.run_id,
            run.run_start,
            self._settings,
        )
        if affected is not None:
            log.info(
                "what is new", start=str(affected.start), end=str(affected.end), selected=len(affected.selected or ())
            )
        return affected

    def _unaffected(self, pinned: _Pinned, changed: SourceChanges, staging: Staging) -> Outcome:
        """The run has done its work, which who watches the schedule must see: over an empty window, at its start.

        Rows that changed can be such as take part in no metric, or no longer.
        """
        if not self._mode.dry_run:
            if not changed.locations.isEmpty():
                self._read(None, pinned, changed, staging)
            self._phase("record")
            self._log_success((self._run.run_start, self._run.run_start), pinned, Changes())
        return Outcome(self._run, None, {table: Changes() for table in self._rollup.targets})

    def _read(
        self, window: W | None, pinned: _Pinned, changed: SourceChanges | None, staging: Staging
    ) -> sources.Sources:
        """The sources as the window needs them, and what is wrong with their rows in the quarantine."""
        rollup, lake, run, metrics = self._rollup, self._lake, self._run, self._settings.metrics
        self._phase("read")
        subset = self._subset(window, pinned, changed, staging)
        read = sources.read(lake, staging, rollup.sources, pinned.sources, metrics, subset.rows if subset else None)
        if not self._mode.dry_run:
            self._phase("quarantine")
            quarantine.record(lake, read.findings, read.versions, run.run_id, run.run_start, subset)
        return read

    def _subset(
        self, window: W | None, pinned: _Pinned, changed: SourceChanges | None, staging: Staging
    ) -> SourceSubset | None:
        """The rows that the window can need, where it is known what changed and all would be many; None for all."""
        if changed is None or not changed.is_complete:
            return None
        rollup, metrics = self._rollup, self._settings.metrics

        def may_affect(moment: Column) -> Column:
            return F.lit(False) if window is None else rollup.may_affect(moment, window, metrics)

        return rows_for_window(self._lake, staging, pinned.sources, changed, may_affect)

    def _has_published(self, run_start: datetime) -> bool:
        table = self._rollup.targets[-1]
        if not self._lake.exists(table):
            return False
        own = (commit.made_by(self._rollup.job_name) for commit in self._lake.commits(table))
        return any(provenance is not None and provenance.run_start == run_start for provenance in own)

    def _computed(self, window: W, pinned: _Pinned, changed: SourceChanges | None, staging: Staging) -> Outcome:
        rollup, run = self._rollup, self._run
        Thread(target=preload).start()
        read = self._read(window, pinned, changed, staging)
        self._phase("transform")
        rows = rollup.rows(read.inputs(run.run_start, self._settings.metrics), window)
        staged = staging.write("rows", identified(rows, rollup))
        self._phase("gate")
        targets = {contract: own_columns(staged, contract) for contract in map(contract_of, rollup.targets)}
        verdict, docs = self._gated(window, read, staged, targets)
        covered = rollup.covered(window).sql
        replacements = [Replacement(contract, rows, covered, rollup.among) for contract, rows in targets.items()]
        return Outcome(run, window, self._published(window, pinned, replacements, verdict), verdict, docs)

    def _gated(
        self, window: W, read: sources.Sources, staged: DataFrame, targets: Mapping[Contract, DataFrame]
    ) -> tuple[Verdict, Path | None]:
        """The gate's verdict, recorded, and the pages that show it; raises `GateRefusedError` where it refuses."""
        rollup, lake, run, settings = self._rollup, self._lake, self._run, self._settings
        canonical = rollup.targets[0]
        verdict = verdicts.verdict_on(
            rollup,
            window,
            run.run_start,
            staged,
            targets,
            read,
            lake,
            settings,
            allow_empty=self._mode.allow_empty,
        )
        self._checked = verdict
        docs = None
        if not self._mode.dry_run:
            checks = (*verdict.checks, *verdicts.checks_of_findings(read.findings))
            verdicts.record(lake, run.run_id, run.job_name, canonical, checks)
            docs = verdicts.data_docs(lake, settings, run.run_id, run.job_name, verdict)
        for warning in verdict.warnings:
            log.warning("check failed", check=warning.name, subject=warning.subject, expected=warning.expected)
        if verdict.refused:
            raise _refusal(canonical, verdict)
        return verdict, docs

    def _published(
        self, window: W, pinned: _Pinned, replacements: list[Replacement], verdict: Verdict
    ) -> dict[str, Changes]:
        lake, run_start = self._lake, self._run.run_start
        changes = {}
        provenance = self._provenance(window, pinned, verdict)
        if not self._mode.dry_run:
            for replacement in replacements:  # all of them, before the first is published
                lake.create_missing(replacement.contract)
        for replacement in replacements:
            table = replacement.contract.table
            if self._mode.dry_run:
                self._phase("compare")
                changes[table] = preview(lake, replacement)
                continue
            self._phase(f"publish {table}")
            since = pinned.targets.get(table, -1)
            watermark = pinned.watermark if self._mode.is_incremental else None
            changes[table] = publish(lake, replacement, run_start, provenance, since, watermark)
        return changes

    def _provenance(self, window: W, pinned: _Pinned, verdict: Verdict) -> Provenance:
        """What a commit is made from. A run with a window of its own hands on how far sources were followed before."""
        return Provenance(
            self._run.run_id,
            self._run.job_name,
            self._run.run_start,
            (window.start.isoformat(), window.end.isoformat()),
            pinned.sources,
            Watermark(pinned.sources, self._run.run_start) if self._mode.is_incremental else pinned.watermark,
            suite=self._rollup.targets[0],
            checks=len(verdict.checks),
            warnings=len(verdict.warnings),
        )

    def _log_success(self, span: tuple[datetime, datetime], pinned: _Pinned, changes: Changes) -> None:
        if self._mode.attempt > 1:
            self._ledger.settle(self._rollup.job_name, self._run.run_start)
        self._log(span, pinned, "succeeded", changes=changes)

    def _log(
        self,
        span: tuple[datetime, datetime],
        pinned: _Pinned,
        status: run_log.Status,
        *,
        changes: Changes | None = None,
        message: str | None = None,
    ) -> None:
        failed = sum(not check.success for check in self._checked.checks)
        run_log.record(
            self._lake,
            run_log.EndedRun(
                self._run.run_id,
                self._run.job_name,
                span,
                self._run.run_start,
                status,
                self._mode.is_incremental,
                pinned.sources,
                pinned.targets,
                changes,
                len(self._checked.checks),
                failed,
                message,
            ),
        )

    def _record_failure(self, error: Exception, entry: Entry | None, window: W, pinned: _Pinned) -> None:
        """Best effort: what went wrong may keep this from being written, and is what the user must hear of."""
        if isinstance(error, SupersededError) and self._mode.attempt < self._mode.attempts:
            return  # no failure yet: the next attempt settles what this one has begun
        status: run_log.Status = "rejected" if isinstance(error, GateRefusedError) else "failed"
        message = str(error) if isinstance(error, JobError) else type(error).__name__
        try:
            if entry is not None and self._ledger.exists:
                self._ledger.prepare()
                self._ledger.end(entry, status, error=message)
            if self._lake.exists(run_log.TABLE):
                self._lake.register([run_log.TABLE])
                self._log(span_of(window), pinned, status, message=message)
        except Exception as another:
            log.warning("the failure could not be recorded", reason=type(another).__name__)
