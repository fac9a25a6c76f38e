"""What a run reads of its pinned sources: every row classified, what metrics need of it staged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame

from expectations.contract import Contract, contract_of
from jobs.execution.pinned_sources import PinnedSources, is_large
from jobs.execution.staging import Staging
from jobs.tuning import tune
from transforms.catalog import SESSION_EVENTS, SESSIONS
from transforms.clean_values import Dimension, Measure
from transforms.combine import union_all
from transforms.copies import duplicate_keys
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings
from transforms.sessions import session_keys, session_spans
from transforms.source_rules import RULES
from transforms.usable_rows import classified, deduplicated, findings, usable, with_rejection_reasons

MAX_DUPLICATE_KEYS = 200_000
"""If a source has more duplicated keys than this, all of its rows are ranked: lookups in a long list are slow."""

SubsetRows = Mapping[str, DataFrame] | None
"""Per source the rows to read, in the columns of `raw_rows`; None for all rows."""


@dataclass(frozen=True)
class Sources:
    """What a run reads.

    `usable`: per source its usable rows. `sessions`: the usable sessions, staged, with their spans if the run reads the
    events. `findings`: all that was found wrong.
    """

    usable: Usable
    sessions: DataFrame
    findings: DataFrame

    def inputs(self, run_start: datetime, settings: MetricSettings) -> RollupInputs:
        """The inputs from which a run that began at `run_start` computes its rollup."""
        return RollupInputs(self.sessions, self.usable, run_start, settings)


def _measures(contract: Contract) -> tuple[Measure, ...]:
    return tuple(Measure(c.name, c.minimum, c.maximum) for c in contract.measures)


def _dimensions(contract: Contract) -> tuple[Dimension, ...]:
    return tuple(Dimension(c.name, c.domain) for c in contract.columns if c.domain)


def _rows(pinned: PinnedSources, source: str, subset_rows: SubsetRows) -> DataFrame:
    return pinned.raw_rows(source) if subset_rows is None or source not in pinned.versions else subset_rows[source]


def tune_to_read(pinned: PinnedSources) -> None:
    """Has Spark plan as suits reading these sources, adaptively if they are large."""
    tune(pinned.lake, pinned.are_large, adaptive=True)


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


def _duplicate_keys(pinned: PinnedSources) -> dict[str, DataFrame]:
    """Per source, the `key_hash` of the keys that occur more than once; without sources that have too many."""
    hashes: dict[str, list[int]] = {source: [] for source in pinned.versions}
    ids = {source: pinned.rows(source).select("id") for source in pinned.versions}
    for row in duplicate_keys(ids, MAX_DUPLICATE_KEYS + 1).collect():
        hashes[row["source"]].append(row["key_hash"])
    # Via Arrow, because that makes a local relation: a lookup in it needs no shuffle.
    return {
        source: pinned.lake.spark.createDataFrame(pa.table({"key_hash": pa.array(found, pa.int64())}))
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
    pinned: PinnedSources,
    staging: Staging,
    others: Collection[str],
    sessions: DataFrame,
    subset_rows: SubsetRows,
) -> dict[str, tuple[DataFrame, ...]]:
    """The classified rows of all sources but the sessions, each scanned once, if large a second time by `id` alone.

    Few rows are all ranked before they are staged, which is cheaper than finding out which of them need it. Of many
    rows, only those whose key occurs more than once are ranked, from what is already staged. `subset_rows` are few.
    """
    present = pinned.among(others)
    sizes = present.sizes()
    copied = _duplicate_keys(present) if subset_rows is None and present.are_large() else {}

    def rows_of(source: str) -> DataFrame:
        return _before_ranking(source, _rows(pinned, source, subset_rows), sessions, copied.get(source))

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
    pinned: PinnedSources,
    staging: Staging,
    sources: tuple[str, ...],
    settings: MetricSettings,
    subset_rows: SubsetRows = None,
) -> Sources:
    """The pinned sources, classified once; what metrics read and the sessions are staged.

    Every row is classified and placed by its session. With staging, a session's span is computed once instead of in
    each of these joins. Without the session events among the sources there are no spans. `subset_rows`: these rows of
    each source instead of all.
    """
    rows_of_sessions = _rows(pinned, SESSIONS, subset_rows)
    of_sessions = staging.write("classified_sessions", classified_rows(SESSIONS, rows_of_sessions, None))
    clean = usable(SESSIONS, of_sessions)
    sessions = session_keys(clean)
    others = [source for source in sources if source != SESSIONS]
    of_others = _staged_rows(pinned, staging, others, sessions, subset_rows)
    rows = _Classified({SESSIONS: (of_sessions,), **of_others})
    if SESSION_EVENTS in sources:
        # Without spans, the sessions are read from their classified rows, which are already staged.
        sessions = staging.write("sessions", session_spans(clean, rows.usable(SESSION_EVENTS), settings))
    return Sources({source: rows.usable(source) for source in sources}, sessions, rows.findings())
