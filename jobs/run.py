"""A run as values: its identity, how it is carried out, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from expectations.gate import Verdict
from jobs import run_log
from jobs.publish import Changes
from jobs.rollup import RunWindow

Phase = Callable[[str], None]
"""Is told the name of each phase of a run as it begins."""


@dataclass(frozen=True)
class Run:
    """A run of a job: its name, and when it began."""

    run_id: str
    job_name: str
    run_start: datetime

    @classmethod
    def begin(cls, job_name: str, run_start: datetime | None = None) -> Run:
        """A run that starts now, or at the given instant."""
        start = run_start or datetime.now(timezone.utc)
        return cls(run_log.new_run_id(job_name, start), job_name, start)

    def again(self) -> Run:
        """Another attempt at the same run: the same start, a new name."""
        return Run.begin(self.job_name, self.run_start)


@dataclass(frozen=True)
class Mode:
    """How a run is carried out.

    `is_incremental`: over what changed in the sources instead of the whole window. `allow_empty`: even if that empties
    a window that holds rows. `dry_run`: up to the gate's verdict, with what publishing would change; nothing is
    written. `is_retry`: an earlier attempt at the same run was superseded. `may_retry`: another attempt may follow.
    """

    is_incremental: bool = False
    allow_empty: bool = False
    dry_run: bool = False
    is_retry: bool = False
    may_retry: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a successful run did: the window it covered (None: nothing to recompute), and the changes per table.

    `verdict` is that of the gate; None if there was nothing to recompute.
    """

    run: Run
    window: RunWindow | None
    changes: Mapping[str, Changes]
    verdict: Verdict | None = None
    data_docs: Path | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to write."""
        return all(changes.is_empty for changes in self.changes.values())
