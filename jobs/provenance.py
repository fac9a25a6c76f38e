"""What a commit of ours was made from, as JSON in its user metadata, and how versions of tables compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from pydantic import TypeAdapter, ValidationError

Versions = Mapping[str, int]
"""The version of each table by its name."""


def is_newer(one: Versions, other: Versions) -> bool:
    """Whether any table has a later version in `one` than in `other`: versions only grow, whatever the clocks say."""
    return any(version > other.get(table, -1) for table, version in one.items())


@dataclass(frozen=True)
class Watermark:
    """How far a rollup has followed its sources: their versions, and the start of the run that read them."""

    versions: Versions
    run_start: datetime


@dataclass(frozen=True)
class Provenance:
    """The run and its job, the window that it covered (ISO 8601), what it read, and what the gate said.

    `watermark`: how far the rollup has followed its sources with this commit; None if a run with an explicit window had
    none to pass on.
    """

    run_id: str
    job_name: str
    run_start: datetime
    window: tuple[str, str]
    source_versions: Versions
    watermark: Watermark | None = None
    suite: str | None = None
    verdict: Literal["passed"] = "passed"
    checks: int = 0
    warnings: int = 0

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The window's start and end as instants; a date, as in the daily summary, is its midnight in UTC."""
        start, end = map(_instant, self.window)
        return start, end

    @property
    def is_incremental(self) -> bool:
        """Whether the run followed the sources up to the versions that it read."""
        return self.watermark == Watermark(self.source_versions, self.run_start)

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
