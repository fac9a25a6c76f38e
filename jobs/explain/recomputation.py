"""Computes a published row anew: from what it can depend on in the sources, at the versions that its commit recorded.

Only that is read, collected, and run through the rollup's own transform over the one hour, date or period of the row.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.collect import collect_utc
from jobs.execution import quarantine
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.sources import classified_rows
from jobs.explain.explanation import Change, Listed, Recomputed, Rejected, Values
from jobs.explain.keys import has_key
from jobs.explain.subject import Subject
from jobs.failures import says_gone
from jobs.lake import Lake
from jobs.logs import log
from jobs.rollup import identified
from transforms.catalog import QUARANTINE, SESSION_EVENTS, SESSIONS
from transforms.columns import blank_to_null, instant
from transforms.combine import union_all
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.sessions import session_keys, session_spans
from transforms.source_rules import RULES, fact_columns
from transforms.usable_rows import usable

_BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
"""Rows without a time come first."""
_DIMENSIONS = ("school_id", "teacher_id", "prompt_category", "subject_area", "session_phase", "priority_level")
"""What says where a rejected row would belong: nothing personal."""


def collected_locally(rows: DataFrame) -> DataFrame:
    """The few rows, computed once and kept on the driver: reading them again does not read the lake again.

    Via Arrow, because that makes a local relation, whose size Spark knows: joins with it need no shuffle.
    """
    return rows.sparkSession.createDataFrame(rows.toArrow())


def _with_copies(rows: DataFrame, candidate_rows: DataFrame) -> DataFrame:
    """All rows with the candidates' keys: a copy may be elsewhere and be the one that counts."""
    keys = candidate_rows.where(blank_to_null(F.col("id")).isNotNull()).select("id").distinct()
    return rows.join(keys, "id", how="left_semi")


def _also(source: str) -> tuple[str, str]:
    return "id", RULES[source].row_time


@dataclass(frozen=True)
class _Read:
    touched: DataFrame
    inputs: RollupInputs


def _read(pinned: PinnedSources, subject: Subject, run_start: datetime, settings: MetricSettings) -> _Read:
    """What the row can depend on at these versions, classified, in three passes over the sources."""
    sources = subject.rollup.sources
    raws: dict[str, DataFrame] = {}

    def raw(source: str) -> DataFrame:
        if source not in raws:
            raws[source] = pinned.raw_rows(source)
        return raws[source]

    touched = collected_locally(subject.sessions(raw, settings))

    def classified_of(source: str, known: DataFrame | None) -> DataFrame:
        rows = _with_copies(raw(source), subject.candidate_rows(source, raw(source), touched))
        return classified_rows(source, rows, known, also=_also(source)).select(
            "source", "reason", *fact_columns(source, _also(source))
        )

    of_sessions = collected_locally(classified_of(SESSIONS, None))
    clean = usable(SESSIONS, of_sessions, _also(SESSIONS))
    known = clean.select(F.col("id").alias("session_id"))
    others = [classified_of(source, known) for source in sources if source != SESSIONS]
    of_others = collected_locally(union_all(others))
    rows = {source: usable(source, of_others, _also(source)) for source in sources if source != SESSIONS}
    rows[SESSIONS] = clean
    of_row = session_keys(clean)
    if SESSION_EVENTS in sources:
        of_row = collected_locally(session_spans(clean, rows[SESSION_EVENTS], settings))
    return _Read(touched, RollupInputs(of_row, rows, run_start, settings))


def recomputed_at(pinned: PinnedSources, subject: Subject, run_start: datetime, settings: MetricSettings) -> Recomputed:
    """What the sources give for the key at these versions: the row and the source rows that took part."""
    read = _read(pinned, subject, run_start, settings)
    row = recomputed_row(subject, read.inputs)
    found = subject.evidence(read.inputs)
    listed = [Listed(r["source"], r["id"], r["at"], r["role"], frozenset(r["columns"])) for r in collect_utc(found)]
    listed.sort(key=lambda r: (r.role, r.source, r.at or _BEGINNING, r.id))
    return Recomputed(row, tuple(listed), _rejected(pinned.lake, subject, read))


def recomputed_row(subject: Subject, inputs: RollupInputs) -> Values | None:
    """The row with the key that the rollup's own transform computes from usable rows; None if it yields none."""
    plain = {source: frame.select(*RULES[source].metric_columns) for source, frame in inputs.usable.items()}
    made = identified(subject.rollup.rows(replace(inputs, usable=plain), subject.window), subject.rollup)
    rows_of_key = collect_utc(made.where(has_key(subject)))
    return rows_of_key[0] if rows_of_key else None


def _rejected(lake: Lake, subject: Subject, read: _Read) -> tuple[Rejected, ...]:
    """What the quarantine holds near the row: as it is now, and what was resolved since the run started.

    Of a row that changed and is still rejected it holds only what the row is now.
    """
    if not lake.exists(QUARANTINE):
        return ()
    sources = list(subject.rollup.sources)
    since_then = F.col("resolved_at").isNull() | (F.col("resolved_at") > instant(read.inputs.run_start))

    def field(name: str) -> Column:
        return F.get_json_object("row_json", f"$.{name}")

    at = F.coalesce(*[F.when(F.col("source") == name, field(RULES[name].row_time)) for name in sources])
    of_session = F.when(F.col("source") == SESSIONS, F.col("row_key")).otherwise(field("session_id"))
    touched = read.touched.where("is_close").select("session_id", F.lit(True).alias("is_touched"))
    rows = (
        lake.latest(QUARANTINE)
        .where(since_then)
        .withColumn("source", quarantine.source_of_row())
        .where(F.col("source").isin(*sources))
        .withColumn("at", at.try_cast("timestamp"))
        .withColumn("session_id", of_session)
        .withColumns({name: field(name) for name in _DIMENSIONS})
        .join(touched, "session_id", how="left")
        .withColumn("is_of_session", F.coalesce("is_touched", F.lit(False)))
        .select("source", "row_key", "at", "reason", "resolved_at", "is_of_session", *_DIMENSIONS)
    )
    timeless = rows.where(F.col("at").isNull() & F.col("is_of_session"))
    near = subject.nearby(rows, read.inputs.usable).unionByName(timeless)
    names = [field.name for field in fields(Rejected)]
    found = [Rejected(**row) for row in collect_utc(near.select(*names))]
    return tuple(sorted(found, key=lambda r: (r.at or _BEGINNING, r.source, r.row_key or "", r.reason)))


def recomputed_as_published(
    lake: Lake, subject: Subject, change: Change, settings: MetricSettings
) -> tuple[Recomputed, tuple[str, ...]]:
    """What the sources give at the versions that the commit recorded or, if these are gone, at the latest ones."""
    sources = subject.rollup.sources
    present = [source for source in sources if lake.exists(source)]
    lake.register(present)
    latest = PinnedSources.latest(lake, present)
    recorded = change.commit.provenance if change.commit else None
    is_there = recorded is not None and all(map(lake.exists, recorded.source_versions))
    if recorded and is_there and not lake.reads_a_recreated(recorded.snapshot):
        then = PinnedSources(lake, recorded.source_versions).among(present)
        try:
            return recomputed_at(then, subject, change.run_start, settings), ()
        except Exception as error:
            if not says_gone(error):
                raise
            log.info("recorded versions cannot be read", reason=type(error).__name__)
    for source in present:
        lake.check(contract_of(source), exactly=False)
    note = "The sources as that run read them are no longer there: what follows is what they give now."
    return recomputed_at(latest, subject, change.run_start, settings), (note,)
