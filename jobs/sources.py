"""The sources of a run: each pinned to one version, held to its contract, and judged row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract, contract_of
from jobs.errors import BrokenContractError
from jobs.lake import Lake
from jobs.rollup import REQUIRED_SOURCES
from transforms.metric_settings import MetricSettings
from transforms.sessions import session_spans
from transforms.usable_rows import (
    EVENTS,
    RULES,
    SESSIONS,
    Dimension,
    Measure,
    classified,
    columns_read,
    findings,
    usable,
)

STAGED_SESSIONS = "quality.staging_sessions"


@dataclass(frozen=True)
class Sources:
    """What a run reads.

    `versions`: the pinned version of each source that is there. `usable`: per source its usable rows. `sessions`: the
    usable sessions, staged, with their spans where the run reads the events. `findings`: all that was found wrong.
    """

    versions: Mapping[str, int]
    usable: Mapping[str, DataFrame]
    sessions: DataFrame
    findings: DataFrame


@dataclass(frozen=True)
class Only:
    """Which rows of the sources are looked at, instead of all: those of some sessions, and some rows by their `id`.

    `changed`: `source` and `id`; `touched`: `session_id`. Teachers are all looked at.
    """

    changed: DataFrame
    touched: DataFrame

    def of(self, source: str, rows: DataFrame) -> DataFrame:
        """The source's rows among these."""
        if source == SESSIONS:
            return rows.join(self.touched.withColumnRenamed("session_id", "id"), "id", how="left_semi")
        if RULES[source].in_session:
            return rows.join(self.touched, "session_id", how="left_semi")
        if RULES[source].placed_by is None:
            return rows
        by_id = rows.join(self.changed.where(F.col("source") == source).select("id"), "id", how="left_semi")
        if "session_id" not in rows.columns:
            return by_id
        # A row may come twice: the copies of an id become one anyway.
        return by_id.unionByName(rows.join(self.touched, "session_id", how="left_semi"))


def pin(lake: Lake, sources: tuple[str, ...]) -> dict[str, int]:
    """The version of every source that is there, fixed from here on.

    Raises `BrokenContractError` for a required source that is absent and for one that is not as its contract says.
    """
    present = [source for source in sources if lake.exists(source)]
    for source in sources:
        if source not in present and source in REQUIRED_SOURCES:
            raise BrokenContractError(f"The required table {source} is absent.")
    lake.attach(present)
    versions = {source: lake.version(source) for source in present}
    for source in present:
        lake.check(contract_of(source), exactly=False)
    return versions


def _measures(contract: Contract) -> tuple[Measure, ...]:
    return tuple(Measure(c.name, c.minimum, c.maximum) for c in contract.measures)


def _dimensions(contract: Contract) -> tuple[Dimension, ...]:
    return tuple(Dimension(c.name, c.domain) for c in contract.columns if c.domain)


def _judged(
    lake: Lake, source: str, versions: Mapping[str, int], sessions: DataFrame | None, only: Only | None
) -> DataFrame:
    contract = contract_of(source)
    raw = lake.read(source, versions[source]) if source in versions else lake.empty(contract.spark_schema)
    rows = raw.select(*columns_read(source, contract.public_columns))
    if only is not None:
        rows = only.of(source, rows)
    return classified(source, rows, sessions if RULES[source].in_session else None)


def _usable(source: str, judged: DataFrame) -> DataFrame:
    contract = contract_of(source)
    return usable(judged, _measures(contract), _dimensions(contract))


def read(
    lake: Lake,
    sources: tuple[str, ...],
    versions: Mapping[str, int],
    run_id: str,
    settings: MetricSettings,
    only: Only | None = None,
) -> Sources:
    """The sources at their pinned versions: plans, but for the sessions, which are staged.

    Every fact is judged and placed by its session. Staged, a session's span is computed once instead of in each of
    these joins. A span takes the session's events: without them among the sources there is none.
    """
    judged = {SESSIONS: _judged(lake, SESSIONS, versions, None, only)}
    clean = {SESSIONS: _usable(SESSIONS, judged[SESSIONS])}
    sessions = clean[SESSIONS].withColumnRenamed("id", "session_id").select("session_id", "school_id", "teacher_id")
    if EVENTS in sources:
        judged[EVENTS] = _judged(lake, EVENTS, versions, sessions, only)
        clean[EVENTS] = _usable(EVENTS, judged[EVENTS])
        sessions = session_spans(clean[SESSIONS], clean[EVENTS], settings)
    staged_sessions = lake.stage(STAGED_SESSIONS, sessions, run_id)
    for source in sources:
        if source != SESSIONS:
            judged[source] = _judged(lake, source, versions, staged_sessions, only)
            clean[source] = _usable(source, judged[source])
    found = []
    for source in versions:
        contract = contract_of(source)
        measures, dimensions = _measures(contract), _dimensions(contract)
        found.append(findings(source, judged[source], contract.public_columns, measures, dimensions))
    return Sources(versions, clean, staged_sessions, reduce(lambda a, b: a.unionByName(b), found))
