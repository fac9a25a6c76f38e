"""What the alerts find in the log of runs, by Spark."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from tests.resources.bundle import Bundle
from transforms.catalog import RUNS

HOURS_ALLOWED = {
    "dashboard_metrics_hourly": 3,
    "teacher_analytics_summary": 27,
    "teacher_prompt_effectiveness.day": 27,
    "teacher_prompt_effectiveness.week": 27,
    "teacher_prompt_effectiveness.month": 27,
}
"""How late each rollup may be: docs/deploy.md says so."""
JOBS = tuple(HOURS_ALLOWED)


def found_by(spark: SparkSession, alert: str, runs: list[dict[str, object]]) -> int:
    """The number that the alert compares with 0, where these runs were made."""
    schema = contract_of(RUNS).spark_schema
    spark.createDataFrame(
        [tuple(run.get(name) for name in schema.names) for run in runs], schema
    ).createOrReplaceTempView("runs_of_an_alert")
    query = Bundle.read().resources("alerts")[alert]["query_text"]
    (row,) = spark.sql(query.replace("classwaves.quality.runs", "runs_of_an_alert")).collect()
    return int(row[0])


def a_run(job: str, hours_ago: float, status: str = "succeeded", is_incremental: bool = True) -> dict[str, object]:
    ended = datetime.now(timezone.utc) - timedelta(hours=hours_ago)
    output = {"job_name": job, "status": status, "is_incremental": is_incremental, "run_end": ended}
    needed = {field.name: "x" for field in contract_of(RUNS).spark_schema if not field.nullable}
    return {**needed, **output}


@pytest.mark.parametrize(("alert", "status"), [("stale", "succeeded"), ("refused", "rejected")])
def test_a_backfill_does_not_hide_what_the_schedule_does(spark: SparkSession, alert: str, status: str) -> None:
    scheduled = [a_run(job, 1) for job in JOBS]
    assert found_by(spark, alert, scheduled) == 0
    broken = [a_run(JOBS[0], 30, status), *scheduled[1:]]
    assert found_by(spark, alert, broken) == 1
    assert found_by(spark, alert, [*broken, a_run(JOBS[0], 0, is_incremental=False)]) == 1
    assert found_by(spark, alert, [*broken, a_run(JOBS[0], 0)]) == 0


@pytest.mark.parametrize(("hours", "late"), [(-0.5, 0), (0.5, len(JOBS))])
def test_a_rollup_is_stale_once_it_is_later_than_allowed(spark: SparkSession, hours: float, late: int) -> None:
    runs = [a_run(job, allowed + hours) for job, allowed in HOURS_ALLOWED.items()]
    assert found_by(spark, "stale", runs) == late


def test_a_rollup_that_was_never_made_is_stale(spark: SparkSession) -> None:
    assert found_by(spark, "stale", [a_run(job, 1) for job in JOBS[1:]]) == 1
