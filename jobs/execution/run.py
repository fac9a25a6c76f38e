"""A run as values: its identity, how it is carried out, and how it ended."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from expectations.gate import Verdict
from jobs.rollup import RunWindow

Phase = Callable[[str], None]
"""A callback that receives the name of each phase of a run as it begins."""


def new_run_id(job_name: str, run_start: datetime) -> str:
    """A unique name for a run of the job."""
    return f"{job_name}-{run_start:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def is_run_of(job_name: str, run_id: str) -> bool:
    """Whether `run_id` has the form of a name of a run of the job."""
    return re.fullmatch(rf"{re.escape(job_name)}-\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}", run_id) is not None


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
        return cls(new_run_id(job_name, start), job_name, start)

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
class Changes:
    """How many rows of a window publishing changes, and in how many of the changed rows each column differs.

    `version`: that of the commit that changed them; None if there is none, or if another run's came before it that read
    other versions of the sources.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    version: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return self.new + self.changed + self.gone == 0

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows of each kind, by the kind's name."""
        return {"new": self.new, "changed": self.changed, "gone": self.gone, "unchanged": self.unchanged}

    @property
    def rows(self) -> int:
        """How many rows the window holds afterwards."""
        return self.new + self.changed + self.unchanged


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
