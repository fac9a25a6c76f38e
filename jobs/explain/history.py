"""Finds a row's past: the commits that changed it, and the row as each of them left it."""

from __future__ import annotations

from datetime import datetime

from expectations.contract import Contract
from jobs.commits import Commit
from jobs.errors import BrokenContractError
from jobs.explain.explanation import Change, Values, text_of
from jobs.explain.keys import has_key
from jobs.explain.subject import Subject
from jobs.lake import Lake
from jobs.rollup import span_of
from transforms.table_diff import AUDIT_COLUMNS

STEPS_LOOKED_BACK = 20
"""How many commits are searched for a row that did not exist just before it was written."""


def row_at(lake: Lake, contract: Contract, subject: Subject, version: int) -> Values | None:
    """The row at that version; raises `GoneError` if the version cannot be read."""
    rows = lake.rows_at(contract.table, version, has_key(subject), contract.column_names)
    if rows is None:
        raise GoneError
    return rows[0] if rows else None


class GoneError(Exception):
    """A version whose files are no longer there."""


def _stamp(contract: Contract, values: Values) -> datetime:
    """The start of the run that last changed the row; raises `BrokenContractError` if the row lacks it."""
    name = next(name for name in AUDIT_COLUMNS if name in contract.column_names and name != "created_at")
    stamp: datetime | None = values[name]
    if stamp is None:
        raise BrokenContractError(f"The row of {contract.table} has no {name}: no run wrote it.")
    return stamp


def history(lake: Lake, contract: Contract, subject: Subject, now: Values) -> tuple[list[Change], list[str]]:
    """The row now and before each change. Its audit column identifies the run, so each change is found in one step."""
    commits = lake.all_commits(contract.table)
    job_name = subject.rollup.job_name
    changes: list[Change] = []
    notes: list[str] = []
    values: Values | None = now
    while values is not None:
        stamp = _stamp(contract, values)
        before = changes[-1].commit.version if changes and changes[-1].commit else None
        own = (c for c in commits if c.is_of_start(job_name, stamp))
        commit = next((c for c in own if before is None or c.version < before), None)
        changes.append(Change(commit, stamp, values))
        if commit is None:
            notes.append(
                f"The commit that wrote the row on {text_of(stamp)} is no longer in the history of {contract.table}."
            )
            break
        try:
            values = _before(lake, contract, subject, [c for c in commits if c.version < commit.version])
        except GoneError:
            notes.append(f"Versions of {contract.table} before {commit.version} can no longer be read.")
            break
    return changes, notes


def _before(lake: Lake, contract: Contract, subject: Subject, older: list[Commit]) -> Values | None:
    """The row as these commits left it or, if it was gone by then, as one of them had left it."""
    if not older:
        return None
    values = row_at(lake, contract, subject, older[0].version)
    if values is not None:
        return values
    covering = [c for c in older[1:] if _may_have_written(c, subject)]
    for commit in covering[:STEPS_LOOKED_BACK]:
        if (values := row_at(lake, contract, subject, commit.version)) is not None:
            return values
    return None


def _may_have_written(commit: Commit, subject: Subject) -> bool:
    if commit.provenance is None:
        return not commit.keeps_rows
    start, end = span_of(subject.window)
    first, last = commit.provenance.span
    return first < end and start < last
