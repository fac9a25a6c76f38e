"""A month of dates in one go, day by day and backwards."""

from __future__ import annotations

import itertools
import uuid
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.execution import sources
from jobs.execution.pinned_sources import PinnedSources, pin
from jobs.execution.pipeline import own_columns
from jobs.execution.publish import Replacement
from jobs.execution.publish import publish as publish_rows
from jobs.execution.run import Run
from jobs.execution.sources import Sources
from jobs.execution.staging import Staging
from jobs.job import Call, Job
from jobs.lake import Lake
from jobs.provenance import Provenance
from jobs.rollup import Rollup, identified
from jobs.storage import LocalFolder
from tests.delta_io import write_lake
from tests.lakehouses import (
    DAILY,
    DAILY_OF_USERS,
    EFFECTIVENESS,
    HOURLY,
    differences,
    rows_of,
    tuned_like_a_run,
    value_columns,
)
from tests.messy_lakehouse import messy_tables
from transforms.metric_settings import MetricSettings

pytestmark = pytest.mark.long

FIRST, DAYS = date(2025, 10, 16), 30
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CASES: dict[str, tuple[Job[Any], tuple[str, ...]]] = {
    "teacher_analytics_summary": (teacher_analytics_summary.JOB, (DAILY, DAILY_OF_USERS)),
    "teacher_prompt_effectiveness": (teacher_prompt_effectiveness.JOB, (EFFECTIVENESS,)),
    "dashboard_metrics_hourly": (dashboard_metrics_hourly.JOB, (HOURLY,)),
}


def publish(lake: Lake, rollup: Rollup[Any], read: Sources, window: Any) -> None:
    """What a run does to the targets between reading and recording, without its gate."""
    rows = identified(rollup.rows(read.inputs(NOW, MetricSettings()), window), rollup)
    for contract in map(contract_of, rollup.targets):
        own = own_columns(rows, contract)
        replacement = Replacement(contract, own, rollup.covered(window).sql, rollup.among)
        span = (window.start.isoformat(), window.end.isoformat())
        made_from = Provenance(uuid.uuid4().hex, rollup.job_name, NOW, span, {})
        publish_rows(lake, replacement, NOW, made_from, lake.version(contract.table))


@pytest.mark.parametrize("name", CASES)
def test_a_month_is_the_same_in_one_go_day_by_day_and_backwards(spark: SparkSession, tmp_path: Path, name: str) -> None:
    job, tables = CASES[name]
    dates = [FIRST + timedelta(days=number) for number in range(DAYS + 1)]
    day_by_day = list(itertools.pairwise(dates))
    orders = {"in_one_go": [(dates[0], dates[-1])], "day_by_day": day_by_day, "backwards": day_by_day[::-1]}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for order, windows in orders.items():
        lakehouse = tmp_path / order
        write_lake(lakehouse, messy_tables(5, sessions=120))
        lake = Lake(spark, LocalFolder(lakehouse))
        calls = [Call(lakehouse=lakehouse, start=str(start), end=str(end), period="day") for start, end in windows]
        rollup = job.rollup_of(calls[0])
        for table in rollup.targets:
            lake.create_missing(contract_of(table))
        with Staging(lake, Run(order, job.name, NOW)) as staging:
            pinned = PinnedSources(lake, pin(lake, rollup.sources, NOW).versions)
            with tuned_like_a_run(pinned):
                read = sources.read(pinned, staging, rollup.sources, MetricSettings())
                for call in calls:
                    publish(lake, rollup, read, job.window_of(call, NOW))
        found[order] = {table: rows_of(lakehouse, table) for table in tables}
    for table in tables:
        whole = found["in_one_go"][table]
        assert len(whole) > 50
        for order in ("day_by_day", "backwards"):
            assert differences(found[order][table], whole, value_columns(table)) == []
