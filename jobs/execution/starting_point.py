"""What a run is pinned to: the versions of its sources and targets when it began, and how far sources were followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.execution.incremental.watermark import Baseline
from jobs.provenance import Snapshot


@dataclass(frozen=True)
class StartingPoint:
    """What was there when the run began: the sources, the targets' versions, and how far sources were followed."""

    sources: Snapshot
    targets: Mapping[str, int]
    baseline: Baseline | None

    @property
    def watermark(self) -> Snapshot | None:
        """How far the sources that are there were followed; None if that is unknown.

        A source that is absent now is left out: this run publishes without it, and once it is back all of its rows are
        new.
        """
        return self.baseline.watermark.without(self.no_longer_there) if self.baseline else None

    @property
    def no_longer_there(self) -> set[str]:
        """The sources that were followed and are absent now."""
        return set(self.baseline.watermark.versions if self.baseline else ()) - set(self.sources.versions)
