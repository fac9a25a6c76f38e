"""What a job is, and what a call of it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic

from jobs.rollup import Rollup, W
from transforms.catalog import CATALOG
from transforms.windows import PeriodLength

DEFAULT_CATALOG = CATALOG
DEFAULT_PERIOD: PeriodLength = "week"


@dataclass(frozen=True, kw_only=True)
class Call:
    """The options of a job, as they were given."""

    lakehouse: Path | None = None
    catalog: str | None = None
    start: str | None = None
    end: str | None = None
    allow_empty: bool = False
    dry_run: bool = False
    period: PeriodLength | None = None

    @property
    def names_a_window(self) -> bool:
        """Whether the call names an explicit window; otherwise the run is incremental."""
        return self.start is not None or self.end is not None


@dataclass(frozen=True)
class Job(Generic[W]):
    """A job: its name, and what a call makes it do.

    `window_of` takes the call and the run's start; for a call that names no window it returns all history. It raises
    `UsageError` for an impossible window. `periods` are the values of `--period`.
    """

    name: str
    rollup_of: Callable[[Call], Rollup[W]]
    window_of: Callable[[Call, datetime], W]
    periods: tuple[PeriodLength, ...] = ()

    def default_call(self) -> Call:
        """The call without any option: an incremental run in the default catalog, by the default length of period."""
        return Call(period=DEFAULT_PERIOD if self.periods else None)

    @property
    def default_rollup(self) -> Rollup[W]:
        """The rollup of the call without any option."""
        return self.rollup_of(self.default_call())
