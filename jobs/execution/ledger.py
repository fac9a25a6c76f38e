"""The ledger of runs, `users.analytics_job_metadata`: one row per job and window start."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from expectations.contract import contract_of
from expectations.literals import sql_datetime, sql_text
from jobs.collect import collect_utc
from jobs.lake import Lake
from jobs.logs import log
from transforms.catalog import LEDGER

Status = Literal["running", "succeeded", "rejected", "failed"]


@dataclass(frozen=True)
class Entry:
    """Identifies the ledger row that a run writes: its job, its window's start and its own start."""

    job_name: str
    processing_period: datetime
    run_start: datetime


@dataclass(frozen=True)
class _Before:
    """What a row of the ledger holds; all None if the row does not exist."""

    status: str | None
    created_at: datetime | None
    last_run: datetime | None

    def is_later_than(self, entry: Entry) -> bool:
        """Whether the row belongs to a run that began later."""
        return self.last_run is not None and self.last_run > entry.run_start


class Ledger:
    """Reads and writes the ledger: one row per job and window start."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @property
    def exists(self) -> bool:
        """Whether the table exists: whether any run was ever recorded."""
        return self._lake.exists(LEDGER)

    def prepare(self) -> None:
        """Creates the table if it is missing; raises `BrokenContractError` if it is not as its contract says."""
        self._lake.create_missing(contract_of(LEDGER))

    def begin(self, entry: Entry) -> datetime | None:
        """Records that the run is running and returns when its row was created; None if a later run has the row.

        Logs a warning if the last run of the same job and window left `running` behind: it died, this run repairs it.
        """
        before = self._before(entry)
        if before.is_later_than(entry):
            return None
        if before.status == "running" and before.last_run != entry.run_start:
            log.warning("the last run of this window died", job=entry.job_name)
        created_at = before.created_at or entry.run_start
        self.record(entry, "running", created_at)
        return created_at

    def end(self, entry: Entry, status: Status, error: str | None = None) -> None:
        """Records how a run that did not publish ended, unless a run that began later has the row by now."""
        before = self._before(entry)
        if not before.is_later_than(entry):
            self.record(entry, status, before.created_at or entry.run_start, error=error)

    def settle(self, job_name: str, run_start: datetime) -> None:
        """Ends rows of the run's earlier attempts, whatever their window, as succeeded: the last one did it all."""
        for period, last_run, created_at in self._running(job_name):
            if last_run == run_start:
                self.record(Entry(job_name, period, last_run), "succeeded", created_at)

    def _running(self, job_name: str) -> list[tuple[datetime, datetime, datetime]]:
        """Of the job's rows that are `running`: the window's start, the run's start, and when the row was created."""
        rows = self._lake.latest(LEDGER).where(
            f"job_name = {sql_text(job_name)} AND status = 'running' AND processing_period IS NOT NULL "
            "AND last_run IS NOT NULL"
        )
        created_at = "coalesce(created_at, last_run) AS created_at"
        found = collect_utc(rows.selectExpr("processing_period", "last_run", created_at))
        return [(row["processing_period"], row["last_run"], row["created_at"]) for row in found]

    def _before(self, entry: Entry) -> _Before:
        names = ("status", "created_at", "last_run")
        rows = self._lake.latest(LEDGER).where(_is_row_of(entry))
        (row,) = collect_utc(rows.selectExpr(*(f"max({name}) AS {name}" for name in names)))
        return _Before(**row)

    def repair(
        self, job_name: str, run_start: datetime, alive: Collection[datetime], has_published: Callable[[datetime], bool]
    ) -> None:
        """Ends the rows, whatever their window, that earlier runs of the job left `running` when they died.

        `alive`: the starts, in whole seconds, of runs that are still going. `has_published` tells by a run's start
        whether it published before it died: then only the record is missing.
        """
        for period, last_run, created_at in self._running(job_name):
            if last_run >= run_start or last_run.replace(microsecond=0) in alive:
                continue
            is_done = has_published(last_run)
            log.warning("an earlier run died", job=job_name, window=str(period), had_published=is_done)
            status: Status = "succeeded" if is_done else "failed"
            message = None if is_done else "The run died."
            self.record(Entry(job_name, period, last_run), status, created_at, error=message)

    def record(
        self, entry: Entry, status: Status, created_at: datetime, rows: int | None = None, error: str | None = None
    ) -> None:
        """Writes the run's row, which replaces that of the same job and window start."""
        now = datetime.now(timezone.utc)
        values = {
            "job_name": entry.job_name,
            "processing_period": entry.processing_period,
            "last_run": entry.run_start,
            "records_processed": rows,
            "status": status,
            "error_message": " ".join(error.split())[:1000] if error else None,
            "execution_duration_seconds": None if status == "running" else int((now - entry.run_start).total_seconds()),
            "created_at": created_at,
            "updated_at": entry.run_start,
        }
        self._lake.replace(LEDGER, self._lake.rows_of(contract_of(LEDGER), [values]), _is_row_of(entry))


def _is_row_of(entry: Entry) -> str:
    return f"job_name = {sql_text(entry.job_name)} AND processing_period = {sql_datetime(entry.processing_period)}"
