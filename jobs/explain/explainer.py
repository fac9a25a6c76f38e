"""Explains a published row: its source rows, its run, whether they reproduce it, and what it was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from expectations.contract import contract_of
from jobs.errors import BrokenContractError
from jobs.execution.run import Phase
from jobs.explain.explanation import Explanation, Recomputed
from jobs.explain.history import GoneError, history, row_at
from jobs.explain.keys import no_row
from jobs.explain.recomputation import recomputed_as_published
from jobs.explain.subject import Subject
from jobs.lake import Lake
from jobs.settings import Settings


def explain(
    lake: Lake,
    subject: Subject,
    tables: Sequence[str],
    settings: Settings,
    phase: Phase = lambda name: None,
) -> list[Explanation]:
    """Explains the row in each of these tables of its rollup; raises `UsageError` if a table or the row is missing."""
    found = []
    known: dict[datetime, tuple[Recomputed, tuple[str, ...]]] = {}
    for table in tables:
        contract = contract_of(table)
        lake.require(contract)
        phase(f"look for the row in {table}")
        version = lake.version(table)
        try:
            now = row_at(lake, contract, subject, version)
        except GoneError:
            raise BrokenContractError(f"The table {table} cannot be read at its latest version {version}.") from None
        if now is None:
            raise no_row(lake, contract, subject, version)
        phase("look for the commits that wrote it")
        changes, notes = history(lake, contract, subject, now)
        latest = changes[0]
        if latest.run_start not in known:
            phase("read the sources again")
            known[latest.run_start] = recomputed_as_published(lake, subject, latest, settings.metrics)
        made, more = known[latest.run_start]
        found.append(_with_what_differs_noted(Explanation(contract, subject, tuple(changes), made, (*notes, *more))))
    return found


def _with_what_differs_noted(explanation: Explanation) -> Explanation:
    """The explanation, with a note on what cannot be reproduced as it was published."""
    names = explanation.differing
    if not names:
        return explanation
    causes = ["settings or the release changed since"]
    if explanation.notes:
        causes.append("the sources are not those that the run read")
        causes += [
            f"a late recording does not restate {name}" for name in explanation.subject.cumulative if name in names
        ]
    what = ", ".join(names) if explanation.made.row is not None else "the row"
    table, why = explanation.contract.table, ", or ".join(causes)
    note = f"NOT REPRODUCED: {what}; the sources do not give what {table} holds. Maybe {why}."
    return replace(explanation, notes=(*explanation.notes, note))
