"""Maintenance: keeps our tables small and deletes what nobody needs any longer."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from expectations.contract import own_contracts
from expectations.literals import sql_datetime, sql_text
from jobs.errors import BrokenContractError, JobError
from jobs.execution import run_log, validation_results
from jobs.execution.run import is_run_of
from jobs.execution.staging import drop_left_behind
from jobs.failures import OutsideError, reason_of
from jobs.lake import Lake
from jobs.logs import log
from jobs.settings import Settings
from transforms.catalog import QUARANTINE, RUNS, VALIDATION_RESULTS

AGES = {VALIDATION_RESULTS: "checked_at", RUNS: "run_end", QUARANTINE: "resolved_at"}
"""The tables that only grow, and the column by whose age their rows are deleted; rows in which it is null stay."""


@dataclass(frozen=True)
class Maintained:
    """A table's files before and after, its size after, and which operations the place did not allow."""

    table: str
    files_before: int
    files_after: int
    bytes_after: int
    not_done: tuple[str, ...] = ()


def maintain(lake: Lake, settings: Settings, now: datetime) -> Iterator[Maintained]:
    """Deletes old rows of tables that only grow and files that no version needs; compacts each table.

    Files stay as long as the feed and time travel may need them (`vacuum_retain_hours`). Raises `JobError` at the end
    if an operation failed on every table: then the place does not allow it, which would go unnoticed; and
    `BrokenContractError` if a table cannot be read (`OutsideError` if nothing is wrong with it), which stops none of
    the others.
    """
    drop_left_behind(lake, now)
    _delete_old_pages(lake, settings, now)
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    unreadable: dict[str, Exception] = {}
    for table in (contract.table for contract in own_contracts()):
        operations = _operations(lake, table, settings, now)
        try:
            if not lake.exists(table):
                continue
            lake.register([table])
            maintained = _maintain(lake, table, operations)
        except Exception as error:
            unreadable[table] = error
            log.warning("the table cannot be read", table=table, reason=reason_of(error))
            continue
        tried.update(operations.keys())
        failed.update(maintained.not_done)
        yield maintained
    if unreadable:
        is_outside = all(isinstance(error, OutsideError) for error in unreadable.values())
        kind = OutsideError if is_outside else BrokenContractError
        raise kind(f"{' and '.join(unreadable)} cannot be read: the warnings above say why.")
    if on_none := [name for name in tried if failed[name] == tried[name]]:
        raise JobError(f"{' and '.join(on_none)} failed on every table: the warnings above say why.")


def _operations(lake: Lake, table: str, settings: Settings, now: datetime) -> dict[str, Callable[[], None]]:
    """What is done to the table, in this order."""
    oldest, hours = now - timedelta(days=settings.keep_checks_days), settings.vacuum_retain_hours

    def delete_old_rows() -> None:
        kept = run_log.latest_incremental_ids(lake) if table == RUNS else []
        but_for = "".join(f" AND run_id <> {sql_text(run_id)}" for run_id in kept)
        lake.delete(table, f"{AGES[table]} < {sql_datetime(oldest)}{but_for}")

    return {
        **({"DELETE": delete_old_rows} if table in AGES else {}),
        "OPTIMIZE": lambda: lake.optimize(table),
        "ALTER": lambda: lake.keep_versions(table, hours),
        "VACUUM": lambda: lake.vacuum(table, hours),
    }


def _maintain(lake: Lake, table: str, operations: dict[str, Callable[[], None]]) -> Maintained:
    files_before, _ = lake.size(table)
    not_done = []
    for name, work in operations.items():
        try:
            work()
        except Exception as error:
            # Some catalogs do this themselves and allow nobody else to.
            not_done.append(name)
            log.warning("the table could not be maintained", table=table, operation=name, reason=reason_of(error))
    return Maintained(table, files_before, *lake.size(table), tuple(not_done))


def _delete_old_pages(lake: Lake, settings: Settings, now: datetime) -> None:
    folder = validation_results.docs_folder(lake, settings)
    if folder is None:
        return
    oldest = (now - timedelta(days=settings.keep_checks_days)).timestamp()
    for pages in folder.glob("*/*"):
        # The user chooses the folder, and it may hold anything else.
        if is_run_of(pages.parent.name, pages.name) and pages.is_dir() and pages.stat().st_mtime < oldest:
            shutil.rmtree(pages, ignore_errors=True)
