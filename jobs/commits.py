"""The commits of a table, and which of them made what it holds now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.provenance import Provenance

KEEPS_ROWS = (
    "CREATE TABLE",
    "OPTIMIZE",
    "SET TBLPROPERTIES",
    "CLUSTER BY",
    "VACUUM START",
    "VACUUM END",
    "ADD COLUMNS",
    "UNSET TBLPROPERTIES",
    "CHANGE COLUMN",
    "CHANGE COLUMNS",
    "UPGRADE PROTOCOL",
    "UPDATE SCHEMA",
    "ADD CONSTRAINT",
    "DROP CONSTRAINT",
    "DROP FEATURE",
    "REMOVE COLUMN MAPPING",
    "COMPUTE STATS",
    "REORG",
    "REORG TABLE UPGRADE UNIFORM",
    "ROW TRACKING BACKFILL",
    "ROW TRACKING UNBACKFILL",
    "DOMAIN METADATA CLEANUP",
)
"""Operations that leave all rows of a table as they are."""
REPLACES_TABLE = (
    "CLONE",
    "REPLACE TABLE",
    "REPLACE TABLE AS SELECT",
    "CREATE OR REPLACE TABLE",
    "CREATE OR REPLACE TABLE AS SELECT",
)
"""Operations after which a table has nothing of what it had before."""


@dataclass(frozen=True)
class Commit:
    """A commit of a table: its version, when and how it was made, and its provenance if it is one of ours."""

    version: int
    at: datetime
    operation: str
    provenance: Provenance | None

    def made_by(self, job_name: str) -> Provenance | None:
        """Its provenance if a run of the job made it, else None."""
        return self.provenance if self.provenance and self.provenance.job_name == job_name else None

    def is_of(self, run_id: str) -> bool:
        """Whether this run made it."""
        return self.provenance is not None and self.provenance.run_id == run_id

    def is_of_start(self, job_name: str, run_start: datetime) -> bool:
        """Whether the run of the job that began then made it."""
        own = self.made_by(job_name)
        return own is not None and own.run_start == run_start

    @property
    def keeps_rows(self) -> bool:
        """Whether it left all rows of the table unchanged."""
        return self.operation in KEEPS_ROWS


def standing_commits(history: Iterable[Mapping[str, Any]]) -> list[Commit]:
    """The commits of a table's history that made what it holds now, the newest first.

    Commits that a RESTORE undid are left out: after it come those up to the restored version. Of a table that was
    replaced by another, or by a clone, only what came since. `history`: the rows of DESCRIBE HISTORY (`version`,
    `timestamp`, `operation`, `userMetadata`), with the version that a RESTORE `restored`.
    """
    found: list[Commit] = []
    below: float = float("inf")
    for row in sorted(history, key=lambda row: -row["version"]):
        if row["version"] > below:
            continue
        if row["operation"] in REPLACES_TABLE:
            below = -1
        if row["operation"] == "RESTORE":
            # A restore to a timestamp records no version: it is unknown which commits still count.
            below = int(row["restored"]) if row["restored"] and row["restored"].isdecimal() else -1
        provenance = Provenance.read(row["userMetadata"])
        found.append(Commit(row["version"], row["timestamp"], row["operation"], provenance))
    return found
