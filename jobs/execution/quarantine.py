"""The quarantine: which source rows count in no metric, and why, without anything personal."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from expectations.contract import contract_of
from expectations.literals import sql_datetime, sql_text
from jobs.execution.incremental.source_subset import SourceSubset
from jobs.execution.run import Run
from jobs.lake import Lake
from transforms.catalog import CATALOG, QUARANTINE, full_name
from transforms.columns import instant
from transforms.copies import key_hash

OF_LAST_RUN = ("row_hash", "row_json", "last_run_id", "last_seen_at", "resolved_run_id", "resolved_at")
"""The columns that describe a row as the last run found it: a rejected row may change and stay rejected."""


def source_of_row() -> Column:
    """The two-part name of the source that a row of the quarantine comes from."""
    return F.regexp_replace("source_table", rf"^{CATALOG}\.", "")


def rejected_rows(findings: DataFrame, run: Run) -> DataFrame:
    """One row per rejected source row and reason, in the columns of the quarantine.

    A row is identified by its key or, where it has none, by its hash; a superseded copy of a row by both. Several that
    are alike are distinguished by `occurrence`, so that the count stays correct.
    """
    rejected = findings.where(F.col("reason").isNotNull()).withColumn("row_hash", F.sha2("row_json", 256))
    # Of the rows with one key all but the newest are superseded copies: only these need more than the key.
    is_copy = F.col("reason") == "duplicate_key"
    of_row = F.when(F.col("row_key").isNotNull() & ~is_copy, F.lit("")).otherwise(F.col("row_hash"))
    same = Window.partitionBy("source", "reason", "row_key", of_row).orderBy("row_json")
    key = F.coalesce("row_key", F.lit(""))
    identity = F.concat_ws("|", "source_table", key, "reason", of_row, F.col("occurrence").cast("string"))
    return (
        rejected.withColumn("source_table", F.concat(F.lit(f"{CATALOG}."), F.col("source")))
        .withColumn("occurrence", F.row_number().over(same))
        .withColumn("id", F.sha2(identity, 256))
        .withColumns(
            {
                "first_run_id": F.lit(run.run_id),
                "first_seen_at": instant(run.run_start),
                "last_run_id": F.lit(run.run_id),
                "last_seen_at": instant(run.run_start),
                "resolved_run_id": F.lit(None).cast("string"),
                "resolved_at": F.lit(None).cast("timestamp"),
            }
        )
        .select(*contract_of(QUARANTINE).column_names)
    )


def _no_longer_rejected(
    lake: Lake, run: Run, rejected: DataFrame, sources: Collection[str], subset: SourceSubset
) -> DataFrame:
    """The open rows of the quarantine whose source rows were read and are no longer rejected, marked as resolved."""
    whole = {*subset.whole, *(source for source in sources if source not in subset.rows)}
    still_open = lake.latest(QUARANTINE).where(F.col("resolved_at").isNull()).withColumn("source", source_of_row())
    hashes = still_open.withColumn("key_hash", key_hash(F.col("source"), F.col("row_key")))
    of_whole = hashes.where(F.col("source").isin(*whole))
    found = hashes.join(subset.keys, ["source", "key_hash"], how="left_semi").unionByName(of_whole)
    return (
        found.join(rejected.select("id"), "id", how="left_anti")
        .withColumns({"resolved_run_id": F.lit(run.run_id), "resolved_at": instant(run.run_start)})
        .select(*rejected.columns)
    )


def record(
    lake: Lake, run: Run, findings: DataFrame, sources: Collection[str], subset: SourceSubset | None = None
) -> None:
    """Updates the quarantine with what a run found in these sources, or in the `subset` of them that it read.

    A row that is seen again names the run as its last; a row that its source no longer holds as rejected is marked
    resolved. Rows that a later run has already updated are left unchanged: runs of several jobs, and backfills, may
    overlap. An absent source has no rows, so none that are rejected.
    """
    rejected = rejected_rows(findings, run)

    def rows() -> DataFrame:
        if subset is None:
            return rejected
        return rejected.unionByName(_no_longer_rejected(lake, run, rejected, sources, subset))

    names = ", ".join(sql_text(full_name(source)) for source in sources)
    all_others = (
        f"t.source_table IN ({names}) AND t.resolved_at IS NULL AND t.last_seen_at <= {sql_datetime(run.run_start)}",
        {"resolved_run_id": sql_text(run.run_id), "resolved_at": sql_datetime(run.run_start)},
    )
    lake.merge(
        QUARANTINE,
        rows,
        key=["id"],
        updates={name: f"s.{name}" for name in OF_LAST_RUN},
        matched="coalesce(t.resolved_at, t.last_seen_at) <= coalesce(s.resolved_at, s.last_seen_at)",
        unmatched=all_others if subset is None else None,
    )


def counts(rows: DataFrame) -> DataFrame:
    """By source and reason: how many source rows are rejected, how many no longer are, and when they were seen."""
    is_open = F.col("resolved_at").isNull()
    return rows.groupBy(source_of_row().alias("source"), "reason").agg(
        F.count_if(is_open).alias("rejected"),
        F.count_if(~is_open).alias("resolved"),
        F.min("first_seen_at").alias("first_seen_at"),
        F.max("last_seen_at").alias("last_seen_at"),
    )
