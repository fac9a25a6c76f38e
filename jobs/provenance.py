"""What a commit of ours was made from, as JSON in its user metadata, and how versions of tables compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from pydantic import TypeAdapter, ValidationError

Versions = Mapping[str, int]
"""The version of each table by its name."""


def is_newer(one: Versions, other: Versions) -> bool:
    """Whether any table has a later version in `one` than in `other`: versions only grow, whatever the clocks say."""
    return any(version > other.get(table, -1) for table, version in one.items())


@dataclass(frozen=True)
class Snapshot:
    """The sources as a run read them: their versions, and the start of the run.

    `commits`: what identifies the commit of each of these versions (`Storage.commit_id`). A table that was dropped and
    recreated counts its versions from 0 again: only this distinguishes them. Runs of earlier releases recorded none.
    """

    versions: Versions
    run_start: datetime
    commits: Mapping[str, str] = field(default_factory=dict)

    def without(self, sources: Collection[str]) -> Snapshot:
        """The snapshot as if these sources had been absent."""
        versions = {source: version for source, version in self.versions.items() if source not in sources}
        commits = {source: commit for source, commit in self.commits.items() if source not in sources}
        return Snapshot(versions, self.run_start, commits)

    def reads_as(self, other: Snapshot) -> bool:
        """Whether both are of the same versions of the same tables."""
        return (self.versions, self.commits) == (other.versions, other.commits)


@dataclass(frozen=True)
class Provenance:
    """The run and its job, the window that it covered (ISO 8601), what it read, and what the gate said.

    `selected`: the starts of the hours, dates or periods that it covered of the window; None for all of them.

    `watermark`: how far the rollup has followed its sources with this commit; None if a run with an explicit window had
    none to pass on. `source_versions` and `source_commits` are those of its `snapshot`.
    """

    run_id: str
    job_name: str
    run_start: datetime
    window: tuple[str, str]
    source_versions: Versions
    watermark: Snapshot | None = None
    suite: str | None = None
    verdict: Literal["passed"] = "passed"
    checks: int = 0
    warnings: int = 0
    source_commits: Mapping[str, str] = field(default_factory=dict)
    selected: tuple[str, ...] | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The sources as the run read them."""
        return Snapshot(self.source_versions, self.run_start, self.source_commits)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The window's start and end as instants; a date, as in the daily summary, is its midnight in UTC."""
        start, end = map(_instant, self.window)
        return start, end

    @property
    def is_incremental(self) -> bool:
        """Whether the run followed the sources up to the versions that it read."""
        return self.watermark == self.snapshot

    def as_json(self) -> str:
        """The JSON that is written to the commit's user metadata."""
        return _JSON.dump_json(self).decode()

    @classmethod
    def read(cls, text: str | None) -> Provenance | None:
        """Read from a commit's user metadata; None if that is not ours: others may write anything there, even JSON."""
        try:
            return _JSON.validate_json(text or "null")
        except ValidationError:
            return None


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_JSON = TypeAdapter(Provenance)
