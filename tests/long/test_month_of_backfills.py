"""A month of dates in one go, day by day and backwards: whole runs, an hour of them. `make test-long` runs it."""

from __future__ import annotations

import itertools
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs import teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.command import Job
from tests.delta_io import write_lake
from tests.lakehouses import DAILY, DAILY_OF_USERS, PROMPTS, differences, rows_of, run
from tests.messy import messy_tables
from transforms.changes import STAMPS

pytestmark = pytest.mark.long

FIRST, DAYS = date(2025, 10, 16), 30
CASES: dict[str, tuple[Job[Any], tuple[str, ...]]] = {
    "teacher_analytics_summary": (teacher_analytics_summary.JOB, (DAILY, DAILY_OF_USERS)),
    "teacher_prompt_effectiveness": (teacher_prompt_effectiveness.JOB, (PROMPTS,)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_month_is_the_same_in_one_go_day_by_day_and_backwards(spark: SparkSession, tmp_path: Path, name: str) -> None:
    job, tables = CASES[name]
    dates = [FIRST + timedelta(days=number) for number in range(DAYS + 1)]
    day_by_day = list(itertools.pairwise(dates))
    orders = {"in_one_go": [(dates[0], dates[-1])], "day_by_day": day_by_day, "backwards": day_by_day[::-1]}
    write_lake(tmp_path / "sources", messy_tables(5, sessions=120))
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for order, windows in orders.items():
        lakehouse = tmp_path / order
        shutil.copytree(tmp_path / "sources", lakehouse)
        for start, end in windows:
            run(spark, lakehouse, job, start.isoformat(), end.isoformat(), period="day")
        found[order] = {table: rows_of(lakehouse, table) for table in tables}
    for table in tables:
        columns = [column for column in contract_of(table).column_names if column not in STAMPS]
        whole = found["in_one_go"][table]
        assert len(whole) > 50
        for order in ("day_by_day", "backwards"):
            assert differences(found[order][table], whole, columns) == []
