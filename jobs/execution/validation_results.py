"""What is kept of the gate's verdicts: `quality.validation_results`, one row per check of a run, and pages."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
from expectations.gate import Check, Verdict, write_data_docs
from jobs.execution.run import Run
from jobs.lake import Lake
from jobs.logs import log
from jobs.settings import Settings
from transforms.catalog import VALIDATION_RESULTS


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
    lake.append(VALIDATION_RESULTS, lake.rows_of(contract_of(VALIDATION_RESULTS), rows))


def docs_folder(lake: Lake, settings: Settings) -> Path | None:
    """The folder for the pages of all runs; None if there is none."""
    return settings.data_docs_dir or lake.storage.docs_folder()


def data_docs(lake: Lake, settings: Settings, run: Run, verdict: Verdict) -> Path | None:
    """Writes the pages that show the verdict if there is a folder for them, and returns the first.

    If they cannot be written, a warning says so; the verdict holds all the same.
    """
    folder = docs_folder(lake, settings)
    try:
        return write_data_docs(verdict, folder / run.job_name / run.run_id) if folder else None
    except OSError as error:
        log.warning("the pages of the checks could not be written", path=str(folder), reason=error.strerror)
        return None
