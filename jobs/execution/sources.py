"""The sources of a run: each pinned to one version, checked against its contract, and classified row by row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame

from expectations.contract import Contract, contract_of
from jobs.errors import BrokenContractError
from jobs.execution.staging import Staging
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.tuning import tune
from transforms.catalog import SESSION_EVENTS, SESSIONS
from transforms.clean_values import Dimension, Measure
from transforms.combine import union_all
from transforms.copies import duplicate_keys
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings
from transforms.sessions import session_keys, session_spans
from transforms.source_rules import RULES, columns_read
from transforms.usable_rows import classified, deduplicated, findings, usable, with_rejection_reasons

LARGE = 8_000_000
"""Bytes above which it pays to search for rows before reading them, and to stage a source in its own table.

The search is for duplicated keys and, in an incremental run, for the rows near its window.
"""
MAX_DUPLICATE_KEYS = 200_000
"""If a source has more duplicated keys than this, all of its rows are ranked: lookups in a long list are slow."""

SubsetRows = Mapping[str, DataFrame] | None
"""Per source the rows to read, in the columns of `raw_rows`; None for all rows."""


@dataclass(frozen=True)
class Sources:
    """What a run reads.

    `versions`: the pinned version of each existing source. `usable`: per source its usable rows. `sessions`: the usable
    sessions, staged, with their spans if the run reads the events. `findings`: all that was found wrong.
    """

    versions: Mapping[str, int]
    usable: Usable
    sessions: DataFrame
    findings: DataFrame

    def inputs(self, run_start: datetime, settings: MetricSettings) -> RollupInputs:
        """The inputs from which a run that began at `run_start` computes its rollup."""
        return RollupInputs(self.sessions, self.usable, run_start, settings)


def pin(lake: Lake, sources: tuple[str, ...], run_start: datetime) -> Snapshot:
    """The current version of every existing source, to which the run that began at `run_start` is pinned.

    Raises `BrokenContractError` for a required source that is absent and for one that is not as its contract says.
    """
    present = [source for source in sources if lake.exists(source)]
    for source in sources:
        if source not in present and contract_of(source).required:
            raise BrokenContractError(f"The required table {source} is absent.")
    lake.register(present)
    versions = {source: lake.version(source) for source in present}
    for source in present:
        lake.check(contract_of(source), exactly=False)
    return Snapshot(versions, run_start, lake.commit_ids(versions))


def _measures(contract: Contract) -> tuple[Measure, ...]:
    return tuple(Measure(c.name, c.minimum, c.maximum) for c in contract.measures)


def _dimensions(contract: Contract) -> tuple[Dimension, ...]:
    return tuple(Dimension(c.name, c.domain) for c in contract.columns if c.domain)


def raw_rows(lake: Lake, source: str, versions: Mapping[str, int]) -> DataFrame:
    """The source's rows at its version, in the columns that a run reads; no rows for a source without a version."""
    contract = contract_of(source)
    raw = lake.read(source, versions[source]) if source in versions else lake.empty(contract.spark_schema)
    return raw.select(*columns_read(source, contract.public_columns))


def _rows(lake: Lake, source: str, versions: Mapping[str, int], subset_rows: SubsetRows) -> DataFrame:
    return raw_rows(lake, source, versions) if subset_rows is None or source not in versions else subset_rows[source]


def sizes_of(lake: Lake, versions: Mapping[str, int]) -> dict[str, int]:
    """The approximate size in bytes of each of these sources at its version."""
    return {source: lake.bytes_of(source, version) for source, version in versions.items()}


def is_large(size: int) -> bool:
    """Whether sources of this many bytes exceed `LARGE`."""
    return size > LARGE


def current_versions(lake: Lake, sources: tuple[str, ...]) -> dict[str, int]:
    """The latest version of each of these sources that exists."""
    return {source: lake.version(source) for source in sources if lake.exists(source)}


def are_large(lake: Lake, versions: Mapping[str, int]) -> bool:
    """Whether these sources together exceed `LARGE`."""
    return is_large(sum(sizes_of(lake, versions).values()))


def tune_to_read(lake: Lake, versions: Mapping[str, int]) -> None:
    """Has Spark plan as suits reading these versions, adaptively if they are large."""
    tune(lake, lambda: are_large(lake, versions), adaptive=True)


def classified_rows(source: str, rows: DataFrame, sessions: DataFrame | None, also: Collection[str] = ()) -> DataFrame:
    """These `raw_rows` of a source, classified: against the usable sessions if its rules require it."""
    return deduplicated(_before_ranking(source, rows, sessions, also=also))


def _before_ranking(
    source: str,
    rows: DataFrame,
    sessions: DataFrame | None,
    copied: DataFrame | None = None,
    also: Collection[str] = (),
) -> DataFrame:
    """The rows classified each by itself: copies of a row are still to be ranked."""
    contract = contract_of(source)
    with_reasons = with_rejection_reasons(source, rows, sessions if RULES[source].in_session else None, copied)
    return classified(source, with_reasons, contract.public_columns, _measures(contract), _dimensions(contract), also)


def _duplicate_keys(lake: Lake, versions: Mapping[str, int]) -> dict[str, DataFrame]:
    """Per source, the `key_hash` of the keys that occur more than once; without sources that have too many."""
    hashes: dict[str, list[int]] = {source: [] for source in versions}
    ids = {source: lake.read(source, version).select("id") for source, version in versions.items()}
    for row in duplicate_keys(ids, MAX_DUPLICATE_KEYS + 1).collect():
        hashes[row["source"]].append(row["key_hash"])
    # Via Arrow, because that makes a local relation: a lookup in it needs no shuffle.
    return {
        source: lake.spark.createDataFrame(pa.table({"key_hash": pa.array(found, pa.int64())}))
        for source, found in hashes.items()
        if len(found) <= MAX_DUPLICATE_KEYS
    }


@dataclass(frozen=True)
class _Classified:
    """The classified rows: for each source the frames that together hold them, which several sources may share."""

    of_sources: Mapping[str, tuple[DataFrame, ...]]

    def usable(self, source: str) -> DataFrame:
        """The source's usable rows."""
        return union_all(usable(source, frame) for frame in self.of_sources[source])

    def findings(self) -> DataFrame:
        """The findings of all sources: rejected rows and violations."""
        frames = {id(frame): frame for frames in self.of_sources.values() for frame in frames}
        return union_all(map(findings, frames.values()))


def _staged_rows(
    lake: Lake,
    staging: Staging,
    others: Collection[str],
    versions: Mapping[str, int],
    sessions: DataFrame,
    subset_rows: SubsetRows,
) -> dict[str, tuple[DataFrame, ...]]:
    """The classified rows of all sources but the sessions, each scanned once, if large a second time by `id` alone.

    Few rows are all ranked before they are staged, which is cheaper than finding out which of them need it. Of many
    rows, only those whose key occurs more than once are ranked, from what is already staged. `subset_rows` are few.
    """
    present = {source: versions[source] for source in others if source in versions}
    sizes = sizes_of(lake, present)
    copied = _duplicate_keys(lake, present) if subset_rows is None and are_large(lake, present) else {}

    def rows_of(source: str) -> DataFrame:
        return _before_ranking(source, _rows(lake, source, versions, subset_rows), sessions, copied.get(source))

    # One table less saves a second; but each row of a shared table costs time for the columns that it lacks.
    shared = [source for source in others if subset_rows is not None or not is_large(sizes.get(source, 0))]
    groups = [[source] for source in others if source not in shared] + ([shared] if shared else [])
    tables = []
    for number, group in enumerate(groups):
        known, unknown = ([s for s in group if (s in copied) == is_known] for is_known in (True, False))
        parts = [rows_of(source) for source in known]
        if unknown:
            parts.append(deduplicated(union_all(map(rows_of, unknown))))
        tables.append(staging.write(f"classified_{number}", union_all(parts)))
    candidates = [table.where("copy IS NOT NULL") for table in tables if "copy" in table.columns]
    copies = (staging.write("copies", deduplicated(union_all(candidates))),) if candidates else ()

    def parts_of(table: DataFrame) -> tuple[DataFrame, ...]:
        return (table.where("copy IS NULL").drop("copy"), *copies) if "copy" in table.columns else (table,)

    parts_of_groups = zip(groups, map(parts_of, tables), strict=True)
    return {source: parts for group, parts in parts_of_groups for source in group}


def read(
    lake: Lake,
    staging: Staging,
    sources: tuple[str, ...],
    versions: Mapping[str, int],
    settings: MetricSettings,
    subset_rows: SubsetRows = None,
) -> Sources:
    """The sources at their pinned versions, classified once; what metrics read and the sessions are staged.

    Every row is classified and placed by its session. With staging, a session's span is computed once instead of in
    each of these joins. Without the session events among the sources there are no spans. `subset_rows`: these rows of
    each source instead of all.
    """
    rows_of_sessions = _rows(lake, SESSIONS, versions, subset_rows)
    of_sessions = staging.write("classified_sessions", classified_rows(SESSIONS, rows_of_sessions, None))
    clean = usable(SESSIONS, of_sessions)
    sessions = session_keys(clean)
    others = [source for source in sources if source != SESSIONS]
    of_others = _staged_rows(lake, staging, others, versions, sessions, subset_rows)
    rows = _Classified({SESSIONS: (of_sessions,), **of_others})
    if SESSION_EVENTS in sources:
        # Without spans, the sessions are read from their classified rows, which are already staged.
        sessions = staging.write("sessions", session_spans(clean, rows.usable(SESSION_EVENTS), settings))
    return Sources(versions, {source: rows.usable(source) for source in sources}, sessions, rows.findings())
