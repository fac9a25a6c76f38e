"""Explains a published row: its source rows, its run, whether they reproduce it, and what it was before.

The sources are read at the versions that the commit recorded. Only what the row can depend on is read, collected, and
run through the rollup's own transform over the one hour, date or period of the row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timezone
from functools import cached_property, reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampType

from expectations.contract import Contract, contract_of
from jobs import quarantine
from jobs.collect import collect_utc
from jobs.errors import BrokenContractError, UsageError
from jobs.explain.subjects import Subject
from jobs.failures import says_gone
from jobs.lake import Commit, Lake
from jobs.logs import log
from jobs.rollup import identified, span_of
from jobs.run import Phase
from jobs.settings import Settings
from jobs.sources import facts_of_rows, raw_rows
from transforms.columns import blank_to_null, instant
from transforms.combine import union_all
from transforms.evidence.parts import PLACES
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.sessions import session_spans
from transforms.table_diff import AUDIT_COLUMNS, TOLERANCE
from transforms.usable_rows import EVENTS, RULES, SESSIONS, usable, with_columns

_BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
"""Rows without a time come first."""
STEPS_LOOKED_BACK = 20
"""How many commits are searched for a row that did not exist just before it was written."""

Value = Any
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Listed:
    """A source row that took part, and the columns for which it counts or, by its role, places another row."""

    source: str
    id: str
    at: datetime | None
    role: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Rejected:
    """A source row near the explained one that counts in no metric; `resolved_at` if it no longer is rejected."""

    source: str
    row_key: str | None
    at: datetime | None
    reason: str
    resolved_at: datetime | None


@dataclass(frozen=True)
class Change:
    """The row as one commit left it; `commit` is None if the table's history no longer has it."""

    commit: Commit | None
    run_start: datetime
    values: Values


@dataclass(frozen=True)
class Recomputed:
    """What the sources give at some versions: the row, None if they give none, and what took part in it."""

    row: Values | None
    listed: tuple[Listed, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Explanation:
    """One row of one table, explained.

    `changes`: the row now, and before each change that the table's history still has. `notes`: what prevents an exact
    answer.
    """

    contract: Contract
    subject: Subject
    changes: tuple[Change, ...]
    made: Recomputed
    notes: tuple[str, ...]

    @property
    def values(self) -> Values:
        """The row as it is published."""
        return self.changes[0].values

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """The columns whose published values differ from what the sources give."""
        row = self.made.row
        names = [name for name in self.contract.column_names if name not in AUDIT_COLUMNS]
        return tuple(name for name in names if row is None or not same(self.values[name], row[name]))

    def listed_for(self, column: str) -> tuple[Listed, ...]:
        """The source rows of one column; for a part of the key, those of the facts for which the row exists.

        For a cumulative column, the latter are included as rows that place the row.
        """
        if column in AUDIT_COLUMNS:
            return ()
        like = self.subject.facts if self._is_of_row(column) else column
        found = [row for row in self.made.listed if like in row.columns]
        if column in self.subject.cumulative:
            known = {(row.source, row.id) for row in found}
            of_row = (row for row in self.made.listed if self.subject.facts in row.columns)
            found += [replace(row, role=PLACES) for row in of_row if (row.source, row.id) not in known]
        return tuple(found)

    def rejected_for(self, column: str | None) -> tuple[Rejected, ...]:
        """The nearby rejected rows from the sources of one column, or of all columns."""
        if column is None:
            return self.made.rejected
        sources = self.contract.column(column).sources
        return tuple(row for row in self.made.rejected if row.source in sources)

    def _is_of_row(self, column: str) -> bool:
        return column in self.contract.key or column in ("id", "calculation_method")

    def changes_of(self, column: str) -> tuple[Change, ...]:
        """The changes that changed this column's value, newest first."""
        found = [self.changes[0]]
        for change in self.changes[1:]:
            if same(found[-1].values[column], change.values[column]):
                found[-1] = change  # the value is older than the later change of the row
            else:
                found.append(change)
        return tuple(found)


def same(left: Value, right: Value) -> bool:
    """Whether two values of a column are equal, doubles within the tolerance that publishing uses."""
    if isinstance(left, float) and isinstance(right, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(left == right)


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


def _read(
    lake: Lake, subject: Subject, versions: Mapping[str, int], run_start: datetime, settings: MetricSettings
) -> _Read:
    """What the row can depend on at these versions, classified, in three passes over the sources."""
    sources = subject.rollup.sources
    raws: dict[str, DataFrame] = {}

    def raw(source: str) -> DataFrame:
        if source not in raws:
            raws[source] = raw_rows(lake, source, versions)
        return raws[source]

    touched = collected_locally(subject.sessions(raw, settings))

    def facts_of(source: str, known: DataFrame | None) -> DataFrame:
        rows = _with_copies(raw(source), subject.candidate_rows(source, raw(source), touched))
        return facts_of_rows(source, rows, known, also=_also(source)).select(
            "source", "reason", *with_columns(source, _also(source))
        )

    of_sessions = collected_locally(facts_of(SESSIONS, None))
    clean = usable(SESSIONS, of_sessions, _also(SESSIONS))
    known = clean.select(F.col("id").alias("session_id"))
    others = [facts_of(source, known) for source in sources if source != SESSIONS]
    facts = collected_locally(union_all(others))
    rows = {source: usable(source, facts, _also(source)) for source in sources if source != SESSIONS}
    rows[SESSIONS] = clean
    spans = clean.withColumnRenamed("id", "session_id").select("session_id", "school_id", "teacher_id")
    if EVENTS in sources:
        spans = collected_locally(session_spans(clean, rows[EVENTS], settings))
    return _Read(touched, RollupInputs(spans, rows, run_start, settings))


def _of_key(subject: Subject) -> Column:
    """Whether a row is the one with the key."""
    return reduce(lambda a, b: a & b, [F.col(name) == _literal(value) for name, value in subject.key.items()])


def _literal(value: str | date) -> Column:
    return instant(value) if isinstance(value, datetime) else F.lit(value)


def made_of(
    lake: Lake, subject: Subject, versions: Mapping[str, int], run_start: datetime, settings: MetricSettings
) -> Recomputed:
    """What the sources give for the key at these versions: the row and the source rows that took part."""
    read = _read(lake, subject, versions, run_start, settings)
    row = recomputed(subject, read.inputs)
    found = subject.evidence(read.inputs)
    listed = [Listed(r["source"], r["id"], r["at"], r["role"], frozenset(r["columns"])) for r in collect_utc(found)]
    listed.sort(key=lambda r: (r.role, r.source, r.at or _BEGINNING, r.id))
    return Recomputed(row, tuple(listed), _rejected(lake, subject, read))


def recomputed(subject: Subject, inputs: RollupInputs) -> Values | None:
    """The row with the key that the rollup's own transform computes from usable rows; None if it yields none."""
    plain = {source: frame.select(*RULES[source].metric_columns) for source, frame in inputs.usable.items()}
    made = identified(subject.rollup.rows(replace(inputs, usable=plain), subject.window), subject.rollup)
    rows_of_key = collect_utc(made.where(_of_key(subject)))
    return rows_of_key[0] if rows_of_key else None


def _rejected(lake: Lake, subject: Subject, read: _Read) -> tuple[Rejected, ...]:
    """What the quarantine holds near the row: as it is now, and as it was when the run started."""
    if not lake.exists(quarantine.TABLE):
        return ()
    sources = list(subject.rollup.sources)
    since_then = F.col("resolved_at").isNull() | (F.col("resolved_at") > instant(read.inputs.run_start))

    def field(name: str) -> Column:
        return F.get_json_object("row_json", f"$.{name}")

    at = F.coalesce(*[F.when(F.col("source") == name, field(RULES[name].row_time)) for name in sources])
    of_session = F.when(F.col("source") == SESSIONS, F.col("row_key")).otherwise(field("session_id"))
    touched = read.touched.where("is_close").select("session_id", F.lit(True).alias("is_touched"))
    rows = (
        lake.latest(quarantine.TABLE)
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


_DIMENSIONS = ("school_id", "teacher_id", "prompt_category", "subject_area", "session_phase", "priority_level")
"""What says where a rejected row would belong: nothing personal."""


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
            now = _row_at(lake, contract, subject, version)
        except _GoneError:
            raise BrokenContractError(f"The table {table} cannot be read at its latest version {version}.") from None
        if now is None:
            raise _no_row(lake, contract, subject, version)
        phase("look for the commits that wrote it")
        changes, notes = _history(lake, contract, subject, now)
        latest = changes[0]
        if latest.run_start not in known:
            phase("read the sources again")
            known[latest.run_start] = _made_again(lake, subject, latest, settings.metrics)
        made, more = known[latest.run_start]
        found.append(_with_what_differs_noted(Explanation(contract, subject, tuple(changes), made, (*notes, *more))))
    return found


def _row_at(lake: Lake, contract: Contract, subject: Subject, version: int) -> Values | None:
    """The row at that version; raises `_GoneError` if the version cannot be read."""
    rows = lake.rows_at(contract.table, version, _of_key(subject), contract.column_names)
    if rows is None:
        raise _GoneError
    return rows[0] if rows else None


class _GoneError(Exception):
    """A version whose files are no longer there."""


def _stamp(contract: Contract, values: Values) -> datetime:
    """The start of the run that last changed the row; raises `BrokenContractError` if the row lacks it."""
    name = next(name for name in AUDIT_COLUMNS if name in contract.column_names and name != "created_at")
    stamp: datetime | None = values[name]
    if stamp is None:
        raise BrokenContractError(f"The row of {contract.table} has no {name}: no run wrote it.")
    return stamp


def _history(lake: Lake, contract: Contract, subject: Subject, now: Values) -> tuple[list[Change], list[str]]:
    """The row now and before each change. Its audit column identifies the run, so each change is found in one step."""
    commits = lake.commits(contract.table)
    own = [commit for commit in commits if commit.made_by(subject.rollup.job_name)]
    changes: list[Change] = []
    notes: list[str] = []
    values: Values | None = now
    while values is not None:
        stamp = _stamp(contract, values)
        before = changes[-1].commit.version if changes and changes[-1].commit else None
        commit = next(
            (
                c
                for c in own
                if c.provenance and c.provenance.run_start == stamp and (before is None or c.version < before)
            ),
            None,
        )
        changes.append(Change(commit, stamp, values))
        if commit is None:
            notes.append(
                f"The commit that wrote the row on {text_of(stamp)} is no longer in the history of {contract.table}."
            )
            break
        try:
            values = _before(lake, contract, subject, [c for c in commits if c.version < commit.version])
        except _GoneError:
            notes.append(f"Versions of {contract.table} before {commit.version} can no longer be read.")
            break
    return changes, notes


def _before(lake: Lake, contract: Contract, subject: Subject, older: list[Commit]) -> Values | None:
    """The row as these commits left it or, if it was gone by then, as one of them had left it."""
    if not older:
        return None
    values = _row_at(lake, contract, subject, older[0].version)
    if values is not None:
        return values
    covering = [c for c in older[1:] if _may_have_written(c, subject)]
    for commit in covering[:STEPS_LOOKED_BACK]:
        if (values := _row_at(lake, contract, subject, commit.version)) is not None:
            return values
    return None


def _may_have_written(commit: Commit, subject: Subject) -> bool:
    if commit.provenance is None:
        return not commit.keeps_rows
    start, end = span_of(subject.window)
    first, last = commit.provenance.span
    return first < end and start < last


def _made_again(
    lake: Lake, subject: Subject, change: Change, settings: MetricSettings
) -> tuple[Recomputed, tuple[str, ...]]:
    """What the sources give at the versions that the commit recorded or, if these are gone, at the latest ones."""
    sources = subject.rollup.sources
    present = [source for source in sources if lake.exists(source)]
    lake.register(present)
    latest = {source: lake.version(source) for source in present}
    recorded = change.commit.provenance if change.commit else None
    if recorded and not lake.reads_a_recreated(recorded.snapshot):
        versions = {source: version for source, version in recorded.source_versions.items() if source in latest}
        try:
            return made_of(lake, subject, versions, change.run_start, settings), ()
        except Exception as error:
            if not says_gone(error):
                raise
            log.info("recorded versions cannot be read", reason=type(error).__name__)
    for source in present:
        lake.check(contract_of(source), exactly=False)
    note = "The sources as that run read them are no longer there: what follows is what they give now."
    return made_of(lake, subject, latest, change.run_start, settings), (note,)


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


def _no_row(lake: Lake, contract: Contract, subject: Subject, version: int) -> UsageError:
    """The error for a key without a row; its sentence names the nearest existing keys."""
    types = {field.name: field.dataType for field in contract.spark_schema}
    texts, times = [], []
    for name, value in subject.key.items():
        if isinstance(types[name], TimestampType):
            times.append(F.abs(F.unix_micros(name) - F.unix_micros(_literal(value))))
        elif isinstance(types[name], DateType):
            times.append(F.abs(F.datediff(F.col(name), F.lit(value))))
        else:
            texts.append(F.levenshtein(F.col(name), F.lit(value)))
    distances = [reduce(lambda a, b: a + b, texts), *times]
    rows = lake.read(contract.table, version).orderBy(*distances).limit(3)
    key = rows.select(*contract.key)
    near = collect_utc(key)
    asked = " ".join(text_of(value) for value in subject.key.values())
    if not near:
        return UsageError(f"{contract.table} has no row {asked}: it is empty.")
    keys = "; ".join(" ".join(text_of(value) for value in values.values()) for values in near)
    return UsageError(f"{contract.table} has no row {asked}; the nearest are: {keys}.")


def text_of(value: Value) -> str:
    """A value as the explanation writes it."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
