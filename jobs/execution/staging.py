"""The staging tables of a run: computed once, read many times, dropped when the run ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from types import TracebackType

from pyspark.sql import DataFrame

from jobs.execution.run import Run
from jobs.failures import reason_of
from jobs.lake import Lake
from jobs.logs import log
from jobs.processes import this_process
from transforms.catalog import QUALITY_SCHEMA

PREFIX = "staging_"
MAX_AGE = timedelta(days=1)
"""No run takes this long: anything older is a leftover."""

_NAME = re.compile(rf"{QUALITY_SCHEMA}\.{PREFIX}(?P<moment>\d{{8}}t\d{{6}}z)_(?P<owner>[0-9a-f]{{8}}_\d+)_.*")


class Staging:
    """Creates staging tables for one run; as a context manager it drops them at the end.

    A table's name contains the run's start, the owning process and the run, so that a leftover of a killed process can
    be distinguished from a table in use.
    """

    def __init__(self, lake: Lake, run: Run, part: str = "") -> None:
        """`part` distinguishes several of one run."""
        self._lake = lake
        moment = f"{run.run_start.astimezone(timezone.utc):%Y%m%dt%H%M%Sz}"
        name = re.sub(r"[^a-z0-9]", "_", f"{run.run_id}_{part}".rstrip("_").lower())
        self._prefix = f"{QUALITY_SCHEMA}.{PREFIX}{moment}_{this_process()}_{name}"
        self._made: list[str] = []

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in self._made:
            _dropped(self._lake, table)

    def write(self, name: str, rows: DataFrame) -> DataFrame:
        """Writes rows to a new table and returns them as they were written."""
        table = f"{self._prefix}_{name}"
        self._made.append(table)
        return self._lake.stage(table, rows)


def drop_left_behind(lake: Lake, now: datetime) -> list[str]:
    """Drops the staging tables of runs that were killed, and returns their names."""
    dropped = []
    for table, begun, is_in_use in _found(lake, now):
        if not is_in_use and _dropped(lake, table):
            log.warning("dropped a staging table of a run that died", table=table, begun=str(begun))
            dropped.append(table)
    return dropped


def begun_and_alive(lake: Lake, now: datetime) -> set[datetime]:
    """The starts, in whole seconds, of runs whose staging tables are in use: as far as is known, they are alive."""
    return {begun for _, begun, is_in_use in _found(lake, now) if is_in_use}


def _found(lake: Lake, now: datetime) -> Iterator[tuple[str, datetime, bool]]:
    """Each staging table, when its run began, and whether it may be in use."""
    for table in lake.storage.tables_like(QUALITY_SCHEMA, PREFIX):
        if match := _NAME.fullmatch(table):
            begun = datetime.strptime(match["moment"], "%Y%m%dt%H%M%Sz").replace(tzinfo=timezone.utc)
            yield table, begun, not lake.storage.is_gone(match["owner"]) and now - begun <= MAX_AGE


def _dropped(lake: Lake, table: str) -> bool:
    """Tries to drop a table: one that remains does no harm, and a failure must not hide an earlier error."""
    try:
        lake.drop(table)
    except Exception as error:
        log.warning("a staging table cannot be dropped", table=table, reason=reason_of(error))
        return False
    return True
