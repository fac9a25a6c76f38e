"""The ledger of runs, `users.analytics_job_metadata`: one row per job and window start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from expectations.contract import contract_of
from jobs.lake import Lake
from jobs.logs import log

TABLE = "users.analytics_job_metadata"

Status = Literal["running", "succeeded", "rejected", "failed"]


@dataclass(frozen=True)
class Entry:
    """Which row of the ledger a run writes: its job, its window's start and its own start."""

    job_name: str
    processing_period: datetime
    run_start: datetime


class Ledger:
    """Writes the ledger and reads when a job last succeeded."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @property
    def exists(self) -> bool:
        """Whether any run was ever recorded here."""
        return self._lake.exists(TABLE)

    def prepare(self) -> None:
        """Makes sure that the table is there and as its contract says."""
        self._lake.create_missing(contract_of(TABLE))

    def record(self, entry: Entry, status: Status, rows: int | None = None, error: str | None = None) -> None:
        """Writes the run's row, over the last run of the same job and window start."""
        now = datetime.now(timezone.utc)
        seconds = None if status == "running" else max(0, int((now - entry.run_start).total_seconds()))
        line = " ".join(error.split())[:1000] if error else None
        row = (
            entry.job_name, entry.processing_period, entry.run_start, rows, status, line, seconds,
            entry.run_start, entry.run_start,
        )
        contract = contract_of(TABLE)
        columns = [name for name in contract.column_names if name not in (*contract.key, "created_at")]
        self._lake.merge(
            TABLE,
            self._lake.spark.createDataFrame([row], contract.schema),
            key=contract.key,
            updates={name: f"s.{name}" for name in columns},
        )

    def last_success(self, job_name: str) -> datetime | None:
        """The start of the job's latest run that succeeded; None where there is none."""
        if not self.exists:
            return None
        self._lake.attach([TABLE])
        rows = (
            self._lake.spark.table(TABLE)
            .where(f"job_name = '{job_name}' AND status = 'succeeded'")
            .selectExpr("unix_micros(max(last_run)) AS last_run")
            .collect()
        )
        micros = rows[0]["last_run"]
        return datetime.fromtimestamp(micros / 1e6, timezone.utc) if micros is not None else None

    def report_dead_run(self, entry: Entry) -> None:
        """Says so where the last run of this job and window left `running` behind; this run writes over it."""
        dead = (
            self._lake.spark.table(TABLE)
            .where(f"job_name = '{entry.job_name}' AND status = 'running'")
            .where(f"processing_period = TIMESTAMP '{entry.processing_period:%Y-%m-%d %H:%M:%S}+00:00'")
        )
        if not dead.isEmpty():
            log.warning("a run of this window did not end", job=entry.job_name)
