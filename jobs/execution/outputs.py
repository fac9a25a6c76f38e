"""What a run writes besides its own record, and what a dry run does instead: it compares, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from pyspark.sql import DataFrame

from expectations.contract import contract_of
from expectations.gate import Verdict
from jobs.execution import quarantine, validation_results
from jobs.execution.incremental.source_subset import SourceSubset
from jobs.execution.publish import Replacement, preview, publish
from jobs.execution.run import Changes, Phase, Run
from jobs.execution.staging import drop_left_behind
from jobs.lake import Lake
from jobs.provenance import Provenance, Snapshot
from jobs.settings import Settings
from transforms.catalog import QUARANTINE, RUNS, VALIDATION_RESULTS

OWN_TABLES = (QUARANTINE, VALIDATION_RESULTS, RUNS)


class Outputs(Protocol):
    """The writes of a run, in the order in which they are made.

    `keep_findings`: whether `quarantine` keeps what it is given; if not, rows need not be read for it alone.
    """

    keep_findings: ClassVar[bool]

    def prepare(self) -> None:
        """Drops what killed runs left behind, and creates the tables about runs that are missing."""

    def quarantine(self, findings: DataFrame, sources: Sequence[str], subset: SourceSubset | None) -> None:
        """Records the rejected rows of the sources, or of the `subset` of them that was read."""

    def verdict(self, table: str, verdict: Verdict, findings: DataFrame) -> Path | None:
        """Records the gate's verdict on the rows for a table, and returns the pages that show it if there are any."""

    def publish(
        self,
        replacements: Sequence[Replacement],
        provenance: Provenance,
        since: Mapping[str, int],
        watermark: Snapshot | None,
    ) -> dict[str, Changes]:
        """Replaces rows in each table in a commit of its own, and returns what that changed: see `publish`.

        `since`: the version of each table when the run began, if it existed.
        """


@dataclass(frozen=True)
class WrittenOutputs:
    """The outputs of a run that writes."""

    keep_findings: ClassVar[bool] = True

    lake: Lake
    run: Run
    settings: Settings
    phase: Phase

    def prepare(self) -> None:
        """See `Outputs`."""
        drop_left_behind(self.lake, self.run.run_start)
        for table in OWN_TABLES:
            self.lake.create_missing(contract_of(table))

    def quarantine(self, findings: DataFrame, sources: Sequence[str], subset: SourceSubset | None) -> None:
        """See `Outputs`."""
        self.phase("quarantine")
        quarantine.record(self.lake, self.run, findings, sources, subset)

    def verdict(self, table: str, verdict: Verdict, findings: DataFrame) -> Path | None:
        """See `Outputs`."""
        checks = (*verdict.checks, *validation_results.checks_of_findings(findings))
        validation_results.record(self.lake, self.run, table, checks)
        return validation_results.data_docs(self.lake, self.settings, self.run, verdict)

    def publish(
        self,
        replacements: Sequence[Replacement],
        provenance: Provenance,
        since: Mapping[str, int],
        watermark: Snapshot | None,
    ) -> dict[str, Changes]:
        """See `Outputs`."""
        for replacement in replacements:  # all of them, before the first is published
            self.lake.create_missing(replacement.contract)
        changes = {}
        for replacement in replacements:
            table = replacement.contract.table
            self.phase(f"publish {table}")
            changes[table] = publish(
                self.lake, replacement, self.run.run_start, provenance, since.get(table, -1), watermark
            )
        return changes


@dataclass(frozen=True)
class DryOutputs:
    """The outputs of a dry run: nothing is written that stays."""

    keep_findings: ClassVar[bool] = False

    lake: Lake
    phase: Phase

    def prepare(self) -> None:
        """Does nothing."""

    def quarantine(self, findings: DataFrame, sources: Sequence[str], subset: SourceSubset | None) -> None:
        """Does nothing."""

    def verdict(self, table: str, verdict: Verdict, findings: DataFrame) -> Path | None:
        """Does nothing."""

    def publish(
        self,
        replacements: Sequence[Replacement],
        provenance: Provenance,
        since: Mapping[str, int],
        watermark: Snapshot | None,
    ) -> dict[str, Changes]:
        """Returns what publishing would change."""
        self.phase("compare")
        return {replacement.contract.table: preview(self.lake, replacement) for replacement in replacements}
