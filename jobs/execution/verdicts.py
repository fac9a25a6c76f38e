"""What the gate checks in a rollup's staged rows."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract
from expectations.gate import Verdict, judge, relative_differences
from expectations.reconciliation.mirror_tables import count_mismatched_rows
from expectations.reconciliation.totals import totals_of
from expectations.suites import Volume, prepared, reconciliation_suite, rollup_suite
from jobs.failures import OutsideError, explained
from jobs.lake import Lake
from jobs.rollup import Rollup, W
from transforms.combine import union_all
from transforms.inputs import RollupInputs

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
    inputs: RollupInputs,
    staged: DataFrame,
    targets: Mapping[Contract, DataFrame],
    lake: Lake,
    *,
    allow_empty: bool,
    drift_tolerance: float,
) -> Verdict:
    """The gate's verdict on rows staged from these inputs.

    `targets` maps each table's contract, the canonical first, to its rows. Raises `OutsideError` if the machine or the
    platform kept a check from being made.
    """
    suite = rollup_suite(
        list(targets),
        staged.columns,
        rollup.covered(window),
        rollup.ordered,
        _volume(lake, rollup, window),
        allow_empty=allow_empty,
        drift_tolerance=drift_tolerance,
    )
    canonical, *twins = targets
    of_staged, of_sources = _totals(rollup, window, staged, inputs)
    unlike = {
        f"rows_unlike_{twin.table}": float(count_mismatched_rows(targets[canonical], targets[twin], canonical.key))
        for twin in twins
    }
    differences = {**relative_differences(of_staged, of_sources), **unlike}
    rows = prepared(staged, canonical.key, rollup.ordered)
    verdict = judge(rows, suite, canonical.key, differences, reconciliation_suite(canonical.table, differences))
    _check_machine(lake, verdict)
    return verdict


def _check_machine(lake: Lake, verdict: Verdict) -> None:
    """Raises what kept a check from being made if that was not the check's own fault."""
    if not verdict.errors:
        return
    # Great Expectations passes only messages on: a Spark that has ended raises here as what it is.
    lake.spark.sql("SELECT 1").collect()
    for error in map(explained, map(RuntimeError, verdict.errors)):
        if isinstance(error, OutsideError):
            raise error
