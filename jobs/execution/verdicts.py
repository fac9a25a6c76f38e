"""What the gate checks in a rollup's staged rows, and where its results are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract, contract_of
from expectations.gate import Check, Verdict, judge, relative_differences, write_data_docs
from expectations.reconciliation.mirror_tables import count_mismatched_rows
from expectations.reconciliation.totals import totals_of
from expectations.suites import Volume, prepared, reconciliation_suite, rollup_suite
from jobs.execution.run import Run
from jobs.execution.sources import Sources
from jobs.lake import Lake
from jobs.logs import log
from jobs.rollup import Rollup, W
from jobs.settings import Settings
from transforms.combine import union_all
from transforms.inputs import RollupInputs

TABLE = "quality.validation_results"
BASELINE_WINDOWS = 4
"""How many preceding windows define the usual number of rows."""


def _volume(lake: Lake, rollup: Rollup[W], window: W) -> Volume:
    """The rows of the window in whichever target has most of them, and the usual number of that target."""
    counts = [F.count_if(F.expr(rollup.condition(window))).alias("now")]
    for number in range(1, BASELINE_WINDOWS + 1):
        counts.append(F.count_if(F.expr(rollup.condition(window.shifted_back(number)))).alias(f"before_{number}"))
    of_targets = [lake.latest(table).agg(*counts) for table in rollup.targets if lake.exists(table)]
    if not of_targets:
        return Volume(0)
    # Not the canonical one alone: a twin that has lost it must not be emptied unnoticed.
    row = max(union_all(of_targets).collect(), key=lambda counted: counted["now"])
    past = [row[f"before_{number}"] for number in range(1, BASELINE_WINDOWS + 1)]
    # Selected hours are not comparable with all hours before them.
    is_comparable = window.selected is None and all(past)
    return Volume(row["now"], sum(past) / len(past) if is_comparable else None)


def _totals(
    rollup: Rollup[W], window: W, staged: DataFrame, inputs: RollupInputs
) -> tuple[dict[str, float], dict[str, float]]:
    """The totals of the staged rows and those of the sources' rows, by name."""
    of_staged = totals_of(staged, {name: F.expr(sql) for name, sql in rollup.staged_totals.items()})
    of_sources = rollup.source_totals(inputs, window)
    sides = (of_staged.withColumn("side", F.lit(0)), of_sources.withColumn("side", F.lit(1)))
    totals: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for row in sides[0].unionByName(sides[1]).collect():
        totals[row["side"]][row["name"]] = row["total"]
    return totals


def verdict_on(
    rollup: Rollup[W],
    window: W,
    run_start: datetime,
    staged: DataFrame,
    targets: Mapping[Contract, DataFrame],
    read: Sources,
    lake: Lake,
    settings: Settings,
    *,
    allow_empty: bool,
) -> Verdict:
    """The gate's verdict on staged rows. `targets` maps each table's contract, the canonical first, to its rows."""
    suite = rollup_suite(
        list(targets),
        staged.columns,
        rollup.covered(window),
        rollup.ordered,
        _volume(lake, rollup, window),
        allow_empty=allow_empty,
        drift_tolerance=settings.drift_tolerance,
    )
    canonical, *twins = targets
    of_staged, of_sources = _totals(rollup, window, staged, read.inputs(run_start, settings.metrics))
    unlike = {
        f"rows_unlike_{twin.table}": float(count_mismatched_rows(targets[canonical], targets[twin], canonical.key))
        for twin in twins
    }
    differences = {**relative_differences(of_staged, of_sources), **unlike}
    rows = prepared(staged, canonical.key, rollup.ordered)
    return judge(rows, suite, canonical.key, differences, reconciliation_suite(canonical.table, differences))


def checks_of_findings(found: DataFrame) -> tuple[Check, ...]:
    """Counts of rejected rows by source and reason, and of nulled values by source and column."""
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
        for row in sorted(by_reason.unionByName(by_column).collect())
    )


def record(lake: Lake, run: Run, table: str, checks: tuple[Check, ...]) -> None:
    """Appends the checks of a run to the validation results."""
    now = datetime.now(timezone.utc)
    of_run = {"run_id": run.run_id, "job_name": run.job_name, "target_table": table, "checked_at": now}
    rows = [of_run | {**asdict(check), "check_kind": check.kind, "check_name": check.name} for check in checks]
    lake.append(TABLE, lake.rows_of(contract_of(TABLE), rows))


def data_docs(lake: Lake, settings: Settings, run: Run, verdict: Verdict) -> Path | None:
    """Writes the pages that show the verdict if there is a folder for them, and returns the first.

    If they cannot be written, a warning says so; the verdict holds all the same.
    """
    folder = settings.data_docs_dir or lake.storage.docs_folder()
    try:
        return write_data_docs(verdict, folder / run.job_name / run.run_id) if folder else None
    except OSError as error:
        log.warning("the pages of the checks could not be written", path=str(folder), reason=error.strerror)
        return None
