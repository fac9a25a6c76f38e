"""The life of a run: pin, read, quarantine, transform, stage, gate, publish, record. One direction, no way back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import TypeVar

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract, contract_of
from expectations.gate import Check, Verdict, judge, relative_differences, write_data_docs
from expectations.reconciliation.twins import rows_unlike
from expectations.suites import Volume, reconciliation_suite, rollup_suite
from jobs import quarantine, sources
from jobs.errors import GateRefusedError, JobError
from jobs.lake import Changes, Lake
from jobs.ledger import Entry, Ledger, Status
from jobs.logs import log
from jobs.news import Followed, window_of_news
from jobs.rollup import Rollup, RunWindow
from jobs.settings import Settings
from jobs.staging import Staging, drop_left_behind
from transforms.changes import STAMPS
from transforms.identity import row_id

VALIDATION_RESULTS = "quality.validation_results"
COMMITS_LOOKED_AT = 100
"""How many commits back a run looks for how far the sources were followed: others than ours may have come since."""

WINDOWS_OF_THE_PAST = 4
"""How many windows before this one say what volume is usual."""

Phase = Callable[[str], None]
W = TypeVar("W", bound=RunWindow)


@dataclass(frozen=True)
class Run:
    """A run is a value: its job, its window and its start, and so is what it reads."""

    run_id: str
    job_name: str
    run_start: datetime

    @classmethod
    def begin(cls, job_name: str, run_start: datetime | None = None) -> Run:
        """A run that starts now, or at the given instant."""
        start = run_start or datetime.now(timezone.utc)
        return cls(f"{job_name}-{start:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}", job_name, start)

    def again(self) -> Run:
        """Another attempt at the same run: the same start, a name of its own."""
        return Run.begin(self.job_name, self.run_start)


@dataclass(frozen=True)
class Outcome:
    """What a run that ended well did: changes per table, rejected rows, the verdict and the page that shows it."""

    run: Run
    changes: Mapping[str, Changes]
    verdict: Verdict
    data_docs: Path | None

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to write."""
        return all(changes.is_empty for changes in self.changes.values())


def _as_instant(moment: datetime | date) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), timezone.utc)


def identified(rows: DataFrame, rollup: Rollup[W]) -> DataFrame:
    """The rows with their `id`: that of the canonical table in all of them."""
    canonical = contract_of(rollup.targets[0])
    types = {field.name: field.dataType for field in canonical.spark_schema if field.name in canonical.key}
    return rows.withColumn("id", row_id(canonical.full_name, {name: types[name] for name in canonical.key}))


def own_columns(staged: DataFrame, contract: Contract) -> DataFrame:
    """The staged rows in a target's own columns: all but the stamps, which publishing sets."""
    return staged.select(*[name for name in contract.column_names if name not in STAMPS])


def _volume(lake: Lake, rollup: Rollup[W], window: W) -> Volume:
    canonical = rollup.targets[0]
    if not lake.exists(canonical):
        return Volume(0)
    counts = [F.count_if(F.expr(rollup.condition(window))).alias("now")]
    for number in range(1, WINDOWS_OF_THE_PAST + 1):
        counts.append(F.count_if(F.expr(rollup.condition(window.before(number)))).alias(f"before_{number}"))
    row = lake.read(canonical, lake.version(canonical)).agg(*counts).collect()[0]
    past = [row[f"before_{number}"] for number in range(1, WINDOWS_OF_THE_PAST + 1)]
    # Picked hours are not comparable with all hours before them.
    is_comparable = window.picked is None and all(past)
    return Volume(row["now"], sum(past) / len(past) if is_comparable else None)


def _totals(rows: DataFrame) -> dict[str, float]:
    return {row["name"]: row["total"] for row in rows.collect()}


def _gate(
    rollup: Rollup[W],
    window: W,
    run: Run,
    staged: DataFrame,
    targets: Mapping[Contract, DataFrame],
    volume: Volume,
    source_rows: sources.Sources,
    settings: Settings,
    *,
    allow_empty: bool,
) -> Verdict:
    contracts = list(targets)
    suite = rollup_suite(
        contracts,
        staged.columns,
        rollup.covered(window),
        rollup.ordered,
        volume,
        allow_empty=allow_empty,
        drift_tolerance=settings.drift_tolerance,
    )
    canonical, *twins = contracts
    expressions = [
        F.coalesce(F.expr(sql).cast("double"), F.lit(0.0)).alias(name) for name, sql in rollup.staged_totals.items()
    ]
    of_staged = staged.agg(*expressions).collect()[0].asDict()
    of_sources = _totals(rollup.source_totals(source_rows.usable, window, run.run_start, settings.metrics))
    unlike = {
        f"rows_unlike_{twin.table}": float(rows_unlike(targets[canonical], targets[twin], canonical.key))
        for twin in twins
    }
    differences = {**relative_differences(of_staged, of_sources), **unlike}
    return judge(staged, suite, canonical.key, differences, reconciliation_suite(canonical.table, differences))


def _checks_of_findings(found: DataFrame) -> tuple[Check, ...]:
    """How many rows of each source were rejected, by reason, and how many values counted as null, by column."""
    by_reason = (
        found.where(F.col("reason").isNotNull())
        .groupBy("source", F.col("reason").alias("what"), F.lit(True).alias("is_rejected"))
        .count()
    )
    by_column = (
        found.select("source", F.explode("violations").alias("what"), F.lit(False).alias("is_rejected"))
        .groupBy("source", "what", "is_rejected")
        .count()
    )
    return tuple(
        Check(
            kind="quarantine" if row["is_rejected"] else "source_measure",
            name=row["what"] if row["is_rejected"] else "out_of_range",
            subject=row["source"] if row["is_rejected"] else f"{row['source']}.{row['what']}",
            severity="info",
            success=False,
            observed=float(row["count"]),
        )
        for row in by_reason.unionByName(by_column).orderBy("source", "what").collect()
    )


def _record_checks(lake: Lake, run: Run, table: str, checks: tuple[Check, ...]) -> None:
    now = datetime.now(timezone.utc)
    rows = [
        (
            run.run_id,
            run.job_name,
            table,
            now,
            c.kind,
            c.name,
            c.subject,
            c.severity,
            c.success,
            c.observed,
            c.expected,
            c.detail,
        )
        for c in checks
    ]
    lake.append(VALIDATION_RESULTS, lake.spark.createDataFrame(rows, contract_of(VALIDATION_RESULTS).spark_schema))


def _refusal(rollup: Rollup[W], verdict: Verdict) -> GateRefusedError:
    told = "; ".join(f"{check.name} on {check.subject}" for check in verdict.failures[:3])
    more = f" and {len(verdict.failures) - 3} more" if len(verdict.failures) > 3 else ""
    return GateRefusedError(f"The gate refused the rows for {rollup.targets[0]}: {told}{more}; nothing was written.")


def _followed(lake: Lake, rollup: Rollup[W]) -> Followed | None:
    """How far the rollup has followed its sources: as its latest commit to the target says that is written last.

    Only its own commits count: the rollups of several period lengths share a table.
    """
    table = rollup.targets[-1]
    if not lake.exists(table):
        return None
    own = (p for p in lake.provenances(table, COMMITS_LOOKED_AT) if p.get("job_name") == rollup.job_name)
    return next(filter(None, map(Followed.read, own)), None)


def execute(
    rollup: Rollup[W],
    lake: Lake,
    window: W,
    run: Run,
    settings: Settings,
    *,
    follow: bool = False,
    allow_empty: bool = False,
    phase: Phase = lambda name: None,
) -> Outcome:
    """Carries out one run over one window, or, where it is to `follow` the sources, over what is new in it.

    Raises `BrokenContractError` before anything is written, `GateRefusedError` with the targets as they were, and
    whatever else went wrong; the ledger says so in each case, once it exists.
    """
    ledger = Ledger(lake)
    entry = Entry(rollup.job_name, _as_instant(window.start), run.run_start)
    created_at: datetime | None = None
    try:
        phase("pin")
        versions = sources.pin(lake, rollup.sources)
        drop_left_behind(lake, run.run_start)
        present = [table for table in rollup.targets if lake.exists(table)]
        lake.attach(present)
        for table in present:
            lake.check(contract_of(table), exactly=True)
        for table in (quarantine.TABLE, VALIDATION_RESULTS):
            lake.create_missing(contract_of(table))
        followed = _followed(lake, rollup)
        if follow and followed is not None:
            phase("look for what is new")
            news = window_of_news(lake, rollup, window, followed, versions, run.run_id, run.run_start, settings)
            if news is None:
                return Outcome(run, {table: Changes() for table in rollup.targets}, Verdict(()), None)
            window = news
            entry = Entry(rollup.job_name, _as_instant(window.start), run.run_start)
            log.info("what is new", start=str(window.start), end=str(window.end), picked=len(window.picked or ()))
        if follow:
            followed = Followed(versions, run.run_start)
        ledger.prepare()
        created_at = ledger.begin(entry)
        outcome = _written(
            rollup, lake, window, run, settings, versions, followed, allow_empty=allow_empty, phase=phase
        )
        phase("record")
        ledger.record(entry, "succeeded", created_at, outcome.changes[rollup.targets[0]].rows)
        return outcome
    except Exception as error:
        if ledger.exists:
            status: Status = "rejected" if isinstance(error, GateRefusedError) else "failed"
            told = str(error) if isinstance(error, JobError) else type(error).__name__
            ledger.prepare()
            ledger.record(entry, status, created_at or run.run_start, error=told)
        raise


def _written(
    rollup: Rollup[W],
    lake: Lake,
    window: W,
    run: Run,
    settings: Settings,
    versions: Mapping[str, int],
    followed: Followed | None,
    *,
    allow_empty: bool,
    phase: Phase,
) -> Outcome:
    canonical = contract_of(rollup.targets[0])
    with Staging(lake, run.run_id, run.run_start) as staging:
        phase("read")
        read = sources.read(lake, staging, rollup.sources, versions, settings.metrics)
        phase("quarantine")
        quarantine.record(lake, read.findings, read.versions, run.run_id, run.run_start)
        phase("transform")
        rows = rollup.rows(read.sessions, read.usable, window, run.run_start, settings.metrics)
        staged = staging.write("rows", identified(rows, rollup))
        phase("gate")
        targets = {contract: own_columns(staged, contract) for contract in map(contract_of, rollup.targets)}
        volume = _volume(lake, rollup, window)
        verdict = _gate(rollup, window, run, staged, targets, volume, read, settings, allow_empty=allow_empty)
        _record_checks(lake, run, canonical.table, (*verdict.checks, *_checks_of_findings(read.findings)))
        docs = _data_docs(lake, settings, run, verdict)
        for warning in verdict.warnings:
            log.warning("check failed", check=warning.name, subject=warning.subject, expected=warning.expected)
        if verdict.refused:
            raise _refusal(rollup, verdict)
        phase("publish")
        changes = {}
        provenance = _provenance(rollup, window, run, versions, followed, verdict)
        covered = rollup.covered(window).sql
        for contract, rows in targets.items():
            lake.create_missing(contract)
            changes[contract.table] = lake.publish(contract, rows, covered, rollup.among, run.run_start, provenance)
        return Outcome(run, changes, verdict, docs)


def _data_docs(lake: Lake, settings: Settings, run: Run, verdict: Verdict) -> Path | None:
    folder = settings.data_docs_dir or lake.place.docs_folder()
    return write_data_docs(verdict, folder / run.job_name / run.run_id) if folder else None


def _provenance(
    rollup: Rollup[W],
    window: W,
    run: Run,
    versions: Mapping[str, int],
    followed: Followed | None,
    verdict: Verdict,
) -> dict[str, object]:
    """What a commit was made from. A run with a window of its own hands on how far the sources were followed before."""
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "run_start": run.run_start.isoformat(),
        "window": [window.start.isoformat(), window.end.isoformat()],
        "source_versions": dict(versions),
        "followed": followed.as_json() if followed else None,
        "suite": rollup.targets[0],
        "checks": len(verdict.checks),
        "warnings": len(verdict.warnings),
    }
