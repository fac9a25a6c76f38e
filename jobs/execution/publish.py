"""Publishing: what staged rows would change in a table, and the one commit that changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract
from jobs.commits import Commit
from jobs.errors import JobError
from jobs.execution.run import Changes
from jobs.lake import Lake
from jobs.logs import log
from jobs.provenance import Provenance, Snapshot, is_newer
from transforms.table_diff import CHANGED, GONE, NEW, UNCHANGED, changed_columns, compared, content_after


class SupersededError(JobError):
    """The table was written since this run began, from other sources or manually: the whole run has to start again."""


@dataclass(frozen=True)
class Replacement:
    """Rows that replace those of a table.

    `rows` have the columns of the contract's table except the audit columns. They replace rows that are `covered` (a
    range of one column, in SQL) and `among` those of their kind; covered rows of other kinds are carried over.
    """

    contract: Contract
    rows: DataFrame
    covered: str
    among: str

    def compared_with(self, current: DataFrame) -> DataFrame:
        """One row per key: see `compared`."""
        return compared(current.where(self._is_among()), self.rows, self.contract.key)

    def carried_over(self, current: DataFrame) -> DataFrame:
        """The covered rows of other kinds."""
        return current.where(~self._is_among())

    def _is_among(self) -> Column:
        return F.coalesce(F.expr(self.among), F.lit(False))


def _counted(comparison: DataFrame) -> Changes:
    counts = {row["change"]: row["count"] for row in comparison.groupBy("change").count().collect()}
    return Changes(*(counts.get(change, 0) for change in (NEW, CHANGED, UNCHANGED, GONE)))


def preview(lake: Lake, replacement: Replacement) -> Changes:
    """What publishing would change, also by column; nothing is written."""
    contract = replacement.contract
    current = (
        lake.latest(contract.table).where(replacement.covered)
        if lake.exists(contract.table)
        else lake.empty(contract.spark_schema)
    )
    comparison = replacement.compared_with(current)
    counted = _counted(comparison)
    differing = changed_columns(comparison, replacement.rows.schema, contract.key).collect()[0].asDict()
    columns = {name: count for name, count in sorted(differing.items(), key=lambda item: -item[1]) if count}
    return Changes(counted.new, counted.changed, counted.unchanged, counted.gone, columns)


def publish(
    lake: Lake,
    replacement: Replacement,
    run_start: datetime,
    provenance: Provenance,
    since: int,
    watermark: Snapshot | None = None,
) -> Changes:
    """Writes the rows in one commit, or none if nothing changed, and returns the changes.

    `since` is the table's version when the run began; `watermark` is where an incremental run starts from, and stays
    there if another run has published in the meantime. Raises `SupersededError` if a commit made since must not be
    overwritten without starting again, or the table was dropped.
    """
    table = replacement.contract.table
    done = Changes()

    def attempt() -> None:
        nonlocal done
        commits = lake.commits(table)
        if commits[0].version < since:
            raise SupersededError(f"The table {table} was dropped or recreated in the meantime.")
        came_since = [commit for commit in commits if commit.version > since and not commit.keeps_rows]
        _check_not_superseded(lake, table, came_since, provenance, watermark)
        current = lake.read(table, commits[0].version).where(replacement.covered)
        comparison = replacement.compared_with(current)
        done = _counted(comparison)
        if done.is_empty:
            return
        content = content_after(comparison, replacement.contract.column_names, run_start)
        whole = content.unionByName(replacement.carried_over(current))
        is_overtaken = _is_overtaken(provenance, came_since)
        made_from = replace(provenance, watermark=watermark) if is_overtaken else provenance
        version = lake.overwrite(table, whole, replacement.covered, made_from, commits)
        done = replace(done, version=None if is_overtaken else version)

    lake.retry_on_conflict(table, attempt)
    if not done.is_empty:
        log.info("published", table=table, **done.counts)
    return done


def _check_not_superseded(
    lake: Lake, table: str, came_since: Sequence[Commit], provenance: Provenance, watermark: Snapshot | None
) -> None:
    """Raises `SupersededError` if a run with newer sources has published an overlapping window.

    `came_since`: row-changing commits since this run began. Also raised for manual commits and for runs with sources
    older than `watermark`: this run does not recompute their rows, and no later run would.
    """
    if any(commit.provenance is None for commit in came_since):
        raise SupersededError(f"The table {table} was changed manually in the meantime.")
    others = [other for commit in came_since if (other := commit.made_by(provenance.job_name))]
    if not others:
        return
    lake.refresh_commits(provenance.source_versions)
    if lake.reads_a_recreated(provenance.snapshot):
        raise SupersededError(f"A source of {table} was dropped and recreated in the meantime.")
    for other in others:
        read_by_other = lake.without_recreated(other.snapshot).versions
        if _overlap(other.span, provenance.span) and is_newer(read_by_other, provenance.source_versions):
            raise SupersededError(f"Another run has published {table} from newer sources in the meantime.")
        if watermark and is_newer(watermark.versions, read_by_other):
            raise SupersededError(f"Another run has published {table} from older sources in the meantime.")


def _is_overtaken(provenance: Provenance, came_since: Sequence[Commit]) -> bool:
    """Whether a run that read other versions of the sources has published since this incremental run began.

    This run has not looked for what the sources took back of that: so it leaves the watermark to the next one.
    """
    others = (commit.made_by(provenance.job_name) for commit in came_since)
    return provenance.is_incremental and any(
        other is not None and not other.snapshot.reads_as(provenance.snapshot) for other in others
    )


def _overlap(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    (start, end), (other_start, other_end) = one, other
    return start < other_end and other_start < end
