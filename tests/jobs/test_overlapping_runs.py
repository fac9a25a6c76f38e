"""Runs that overlap: quarantine and ledger say what the run that began last found out."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs import quarantine
from jobs.lake import Lake
from jobs.ledger import Entry, Ledger
from jobs.places import LocalFolder
from tests.lakehouses import rows_of

SOURCE = "ai_insights.teacher_guidance_metrics"
EARLY = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
LATE = EARLY + timedelta(minutes=5)
FINDINGS = "source string, row_key string, reason string, row_json string, violations array<string>"


def test_an_older_run_that_ends_later_takes_nothing_back(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(quarantine.TABLE))

    def record(keys: list[str], run_id: str, run_start: datetime) -> None:
        found = spark.createDataFrame([(SOURCE, key, "missing_time", "{}", None) for key in keys], FINDINGS)
        quarantine.record(lake, found, [SOURCE], run_id, run_start)

    def told() -> dict[str, tuple[str, str, str | None]]:
        rows = rows_of(tmp_path, quarantine.TABLE)
        return {row["row_key"]: (row["first_run_id"], row["last_run_id"], row["resolved_run_id"]) for row in rows}

    record(["mended"], "first", EARLY - timedelta(hours=1))
    record(["new"], "late", LATE)  # which finds the other row mended
    expected = {"mended": ("first", "first", "late"), "new": ("late", "late", None)}
    assert told() == expected
    record(["mended"], "early", EARLY)  # which has read older sources
    assert told() == expected
    record(["mended"], "latest", LATE + timedelta(minutes=5))
    assert told() == {"mended": ("first", "latest", None), "new": ("late", "late", "latest")}


def test_a_run_that_fails_leaves_the_ledgers_row_of_one_that_began_later(spark: SparkSession, tmp_path: Path) -> None:
    ledger = Ledger(Lake(spark, LocalFolder(tmp_path)))
    ledger.prepare()
    early, late = (Entry("job", EARLY, begun) for begun in (EARLY, LATE))
    ledger.begin(early)
    created_at = ledger.begin(late)
    assert created_at == EARLY
    ledger.record(late, "succeeded", created_at, rows=3)
    assert ledger.begin(early) is None
    ledger.end(early, "failed", error="It was too slow.")
    (row,) = rows_of(tmp_path, "users.analytics_job_metadata")
    assert (row["status"], row["last_run"], row["records_processed"]) == ("succeeded", LATE, 3)
    ledger.end(Entry("job", EARLY, LATE + timedelta(minutes=5)), "failed", error="It was wrong.")
    (row,) = rows_of(tmp_path, "users.analytics_job_metadata")
    assert (row["status"], row["created_at"], row["error_message"]) == ("failed", EARLY, "It was wrong.")
