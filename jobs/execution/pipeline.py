"""The pipeline of a run: pin, read, quarantine, transform, stage, gate, publish, record, once and in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Generic

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract, contract_of
from expectations.gate import Verdict, preload
from jobs.errors import GateRefusedError
from jobs.execution import pinned_sources, sources, verdicts
from jobs.execution.incremental.affected_window import affected_window
from jobs.execution.incremental.source_changes import SourceChanges, read_source_changes
from jobs.execution.incremental.source_subset import SourceSubset, rows_for_window
from jobs.execution.incremental.watermark import baseline_of, read_records
from jobs.execution.outputs import DryOutputs, Outputs, WrittenOutputs
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.publish import Replacement
from jobs.execution.recording import NoRecorder, Recorder, RunRecorder
from jobs.execution.run import Changes, Mode, Outcome, Phase, Run
from jobs.execution.staging import Staging
from jobs.execution.starting_point import StartingPoint
from jobs.lake import Lake
from jobs.logs import log
from jobs.provenance import Provenance, Snapshot
from jobs.rollup import Rollup, W, identified
from jobs.settings import Settings
from jobs.tuning import settings_restored, tune
from transforms.inputs import RollupInputs
from transforms.table_diff import AUDIT_COLUMNS


def own_columns(staged: DataFrame, contract: Contract) -> DataFrame:
    """The staged rows in a target's own columns: all but the audit columns, which publishing sets."""
    return staged.select(*[name for name in contract.column_names if name not in AUDIT_COLUMNS])


def _refusal(table: str, verdict: Verdict) -> GateRefusedError:
    failed = "; ".join(f"{check.name} on {check.subject}" for check in verdict.failures[:3])
    more = f" and {len(verdict.failures) - 3} more" if len(verdict.failures) > 3 else ""
    # A check that raised has observed nothing.
    is_emptied = any(check.kind == "emptiness" and check.observed is not None for check in verdict.failures)
    hint = " To empty the window on purpose give --allow-empty." if is_emptied else ""
    return GateRefusedError(f"The gate refused the rows for {table}: {failed}{more}; no rollup was changed.{hint}")


@dataclass(frozen=True)
class Progress(Generic[W]):
    """A snapshot of a run in progress, for observers such as lineage: what it reads, its verdict and its outcome."""

    rollup: Rollup[W]
    lake: Lake
    run: Run
    dry_run: bool
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
        mode: Mode,
        phase: Phase = lambda name: None,
    ) -> None:
        self._rollup, self._lake, self._run = rollup, lake, run
        self._settings, self._mode, self._phase = settings, mode, phase
        # A dry run writes nothing that stays: what writes is chosen here, once.
        self._outputs: Outputs = DryOutputs(lake, phase) if mode.dry_run else WrittenOutputs(lake, run, settings, phase)
        self._recorder: Recorder = NoRecorder() if mode.dry_run else RunRecorder(rollup, lake, run, mode, phase)
        self._starting_point = StartingPoint(Snapshot({}, run.run_start), {}, None)
        self._verdict = Verdict(())
        self._outcome: Outcome | None = None

    @property
    def progress(self) -> Progress[W]:
        """What is known about the run so far."""
        versions = self._starting_point.sources.versions
        return Progress(self._rollup, self._lake, self._run, self._mode.dry_run, versions, self._verdict, self._outcome)

    @property
    def _pinned_sources(self) -> PinnedSources:
        return PinnedSources(self._lake, self._starting_point.sources.versions)

    def run_over(self, window: W) -> Outcome:
        """Carries out the run over the window; an incremental run over what changed in it.

        Raises `BrokenContractError` before anything is written, `GateRefusedError` with the targets unchanged, and an
        error for anything else that went wrong; ledger and log of runs record each failure, once they exist.
        """
        with settings_restored(self._lake):
            return self._run_over(window)

    def _run_over(self, window: W) -> Outcome:
        is_known = not self._mode.is_incremental
        try:
            self._phase("pin")
            self._starting_point = self._pin()
            self._outputs.prepare()
            if self._mode.is_incremental:
                self._recorder.repair()
            with Staging(self._lake, self._run) as staging:
                changed = self._read_changes(staging) if self._mode.is_incremental else None
                if changed is not None:
                    covered = self._find_affected_window(window, changed)
                    if covered is None:
                        self._outcome = self._finish_without_window(changed, staging)
                        return self._outcome
                    window = covered
                is_known = True
                self._recorder.begin(window)
                outcome = self._read_to_publish(window, changed, staging)
            self._recorder.succeed(window, self._starting_point, outcome.changes, self._verdict)
            self._outcome = outcome
            return outcome
        except Exception as error:
            named = self._recorder.fail(error, window, self._starting_point, self._verdict, window_is_known=is_known)
            if named is error:
                raise
            raise named from error

    def _pin(self) -> StartingPoint:
        # The targets before the sources: what another run publishes in between then counts as published since, from
        # possibly newer sources. The other way round, this run would overwrite it with older values.
        lake, rollup = self._lake, self._rollup
        # Not adaptively yet: while a run looks for changes that only adds jobs.
        tune(lake, lambda: PinnedSources.latest(lake, rollup.sources).are_large())
        present = [table for table in rollup.targets if lake.exists(table)]
        lake.register(present)
        for table in present:
            lake.check(contract_of(table), exactly=True)
        targets = {table: lake.version(table) for table in present}
        records = read_records(lake, rollup, also_by_runs=self._mode.is_incremental)
        snapshot = pinned_sources.pin(lake, rollup.sources, self._run.run_start)
        # Only now: a source that is recreated before it is pinned must not count as the one that was followed.
        starting_point = StartingPoint(snapshot, targets, baseline_of(lake, rollup, records))
        for source in rollup.sources:
            if source not in snapshot.versions:
                was_followed = source in starting_point.no_longer_there
                log.warning("a source is absent: it counts as empty", source=source, was_followed=was_followed)
        return starting_point

    def _read_changes(self, staging: Staging) -> SourceChanges | None:
        """What changed in the sources since the watermark; None if all history has to be recomputed."""
        baseline = self._starting_point.baseline
        if baseline is None:
            if self._starting_point.targets:
                log.warning("the watermark is lost: all history is recomputed")
            return None
        self._phase("look for what is new")
        hours = self._settings.look_back_hours
        return read_source_changes(self._pinned_sources, staging, baseline, hours)

    def _find_affected_window(self, window: W, changed: SourceChanges) -> W | None:
        """The part of the window that these changes and the passage of time affect; None if they affect nothing."""
        run = self._run
        affected = affected_window(
            self._pinned_sources,
            self._rollup,
            window,
            changed,
            run,
            self._settings,
        )
        if affected is not None:
            log.info(
                "affected window",
                start=str(affected.start),
                end=str(affected.end),
                selected=len(affected.selected or ()),
            )
        return affected

    def _finish_without_window(self, changed: SourceChanges, staging: Staging) -> Outcome:
        """Ends a run that has nothing to recompute.

        Changed rows still go through the quarantine: a row may count in no metric, or may have stopped counting.
        """
        if self._outputs.keep_findings and not changed.locations.isEmpty():
            self._read(None, changed, staging)
        self._recorder.succeed_without_window(self._starting_point)
        return Outcome(self._run, None, {table: Changes() for table in self._rollup.targets})

    def _read(self, window: W | None, changed: SourceChanges | None, staging: Staging) -> sources.Sources:
        """Reads what the window needs of the sources, and records rejected rows in the quarantine."""
        rollup, pinned, metrics = self._rollup, self._pinned_sources, self._settings.metrics
        self._phase("read")
        subset = self._find_subset(window, changed, staging)
        rows = subset.rows if subset else None
        sources.tune_to_read(pinned)
        read = sources.read(pinned, staging, rollup.sources, metrics, rows)
        self._outputs.quarantine(read.findings, rollup.sources, subset)
        return read

    def _find_subset(self, window: W | None, changed: SourceChanges | None, staging: Staging) -> SourceSubset | None:
        """The rows that the window can need if all changes are known and the sources are large; None for all rows."""
        if changed is None or not changed.is_complete:
            return None
        rollup, metrics = self._rollup, self._settings.metrics

        def may_affect(moment: Column) -> Column:
            return F.lit(False) if window is None else rollup.may_affect(moment, window, metrics)

        return rows_for_window(self._pinned_sources, staging, changed, may_affect)

    def _read_to_publish(self, window: W, changed: SourceChanges | None, staging: Staging) -> Outcome:
        """Everything between the pinned versions and the published rows: read, transform, gate, publish."""
        rollup, run = self._rollup, self._run
        # Not joined: the gate's own import waits for it.
        Thread(target=preload, daemon=True).start()
        read = self._read(window, changed, staging)
        self._phase("transform")
        inputs = read.inputs(run.run_start, self._settings.metrics)
        rows = rollup.rows(inputs, window)
        staged = staging.write("rows", identified(rows, rollup))
        self._phase("gate")
        targets = {contract: own_columns(staged, contract) for contract in map(contract_of, rollup.targets)}
        docs = self._pass_gate(window, inputs, read.findings, staged, targets)
        covered = rollup.covered(window).sql
        replacements = [Replacement(contract, rows, covered, rollup.among) for contract, rows in targets.items()]
        watermark = self._starting_point.watermark if self._mode.is_incremental else None
        changes = self._outputs.publish(replacements, self._provenance(window), self._starting_point.targets, watermark)
        return Outcome(run, window, changes, self._verdict, docs)

    def _pass_gate(
        self,
        window: W,
        inputs: RollupInputs,
        findings: DataFrame,
        staged: DataFrame,
        targets: Mapping[Contract, DataFrame],
    ) -> Path | None:
        """Records the gate's verdict and returns the pages that show it; raises `GateRefusedError` if it refuses."""
        rollup, canonical = self._rollup, self._rollup.targets[0]
        verdict = verdicts.verdict_on(
            rollup,
            window,
            inputs,
            staged,
            targets,
            self._lake,
            allow_empty=self._mode.allow_empty,
            drift_tolerance=self._settings.drift_tolerance,
        )
        self._verdict = verdict
        docs = self._outputs.verdict(canonical, verdict, findings)
        for warning in verdict.warnings:
            log.warning("check failed", check=warning.name, subject=warning.subject, expected=warning.expected)
        if verdict.refused:
            raise _refusal(canonical, verdict)
        return docs

    def _provenance(self, window: W) -> Provenance:
        """What a commit is made from. A run with an explicit window passes the watermark on unchanged."""
        starting_point = self._starting_point
        return Provenance(
            self._run.run_id,
            self._run.job_name,
            self._run.run_start,
            (window.start.isoformat(), window.end.isoformat()),
            starting_point.sources.versions,
            starting_point.sources if self._mode.is_incremental else starting_point.watermark,
            suite=self._rollup.targets[0],
            checks=len(self._verdict.checks),
            warnings=len(self._verdict.warnings),
            source_commits=starting_point.sources.commits,
            selected=None if window.selected is None else tuple(start.isoformat() for start in window.selected),
        )
