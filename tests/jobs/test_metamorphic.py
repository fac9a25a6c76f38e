"""What must not matter: in which order, files and copies the sources came, when it was, in how many runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.execution import sources
from jobs.execution.pinned_sources import PinnedSources, pin
from jobs.execution.run import Run
from jobs.execution.staging import Staging
from jobs.job import Call, Job
from jobs.lake import Lake
from jobs.storage import LocalFolder
from tests.delta_io import Tables, write_table
from tests.lakehouses import differences, tuned_like_a_run
from tests.messy_lakehouse import messy_tables
from transforms.metric_settings import MetricSettings

Row = dict[str, Any]

JOBS: dict[str, Job[Any]] = {
    job.name: job
    for job in (dashboard_metrics_hourly.JOB, teacher_analytics_summary.JOB, teacher_prompt_effectiveness.JOB)
}
WINDOW = (date(2025, 10, 27), date(2025, 11, 10))
YEAR_OF_WEEKS = timedelta(weeks=52)
"""Clocks change on the same Sunday of the month, so whole years of weeks are what no time zone notices."""


def as_they_are(tables: Tables) -> Tables:
    return tables


def shuffled(tables: Tables) -> Tables:
    dice = random.Random(1)
    return {name: dice.sample(rows, len(rows)) for name, rows in tables.items()}


def delivered_twice(tables: Tables) -> Tables:
    return {name: rows * 2 for name, rows in tables.items()}


def moved(value: Any, by: timedelta) -> Any:
    return value + by if isinstance(value, date | datetime) else value


def a_year_earlier(tables: Tables) -> Tables:
    return {
        name: [{column: moved(value, -YEAR_OF_WEEKS) for column, value in row.items()} for row in rows]
        for name, rows in tables.items()
    }


def all_at_once(tables: Tables) -> Tables:
    return shuffled(delivered_twice(a_year_earlier(tables)))


def write_in_commits(lakehouse: Path, tables: Tables, commits: int) -> None:
    """Each table in so many commits, a file each at least."""
    for name, rows in tables.items():
        for number in range(commits):
            write_table(lakehouse, name, rows[number::commits], mode="append" if number else "overwrite")


INSTANTS = ("metric_hour", "calculation_period_start", "calculation_period_end")


def computed(spark: SparkSession, lakehouse: Path, name: str, windows: list[tuple[date, date]]) -> list[Row]:
    """The rows that the job's transform makes of the sources over these windows; instants as microseconds."""
    job, lake = JOBS[name], Lake(spark, LocalFolder(lakehouse))
    now = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    calls = [Call(lakehouse=lakehouse, start=str(start), end=str(end), period="week") for start, end in windows]
    rollup = job.rollup_of(calls[0])
    found: list[Row] = []
    with Staging(lake, Run(f"metamorphic_{len(windows)}", job.name, now)) as staging:
        pinned = PinnedSources(lake, pin(lake, rollup.sources, now).versions)
        with tuned_like_a_run(pinned):
            read = sources.read(pinned, staging, rollup.sources, MetricSettings())
            for call in calls:
                rows = rollup.rows(read.inputs(now, MetricSettings()), job.window_of(call, now))
                as_numbers = {column: F.unix_micros(column) for column in INSTANTS if column in rows.columns}
                found += [row.asDict() for row in rows.withColumns(as_numbers).collect()]
    return found


def keyed(rows: list[Row], name: str, by: timedelta) -> list[Row]:
    """The rows moved by so much, with their keys as `id`."""
    key = contract_of(JOBS[name].rollup_of(Call(period="week")).targets[0]).key
    micros = by // timedelta(microseconds=1)
    back = [
        {column: value + micros if column in INSTANTS else moved(value, by) for column, value in row.items()}
        for row in rows
    ]
    return [row | {"id": str([row[column] for column in key])} for row in back]


@pytest.fixture(scope="module")
def base(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Tables, list[Row]]]:
    """The sources, and per job the rows that they make in one go."""
    tables, lakehouse = messy_tables(12, sessions=60), tmp_path_factory.mktemp("base")
    write_in_commits(lakehouse, tables, 1)
    made: dict[str, list[Row]] = {}

    def rows_of(name: str) -> tuple[Tables, list[Row]]:
        if name not in made:
            made[name] = keyed(computed(spark, lakehouse, name, [WINDOW]), name, timedelta())
        return tables, made[name]

    return rows_of


LONG = pytest.mark.long
SHORTEST = "teacher_prompt_effectiveness"
"""The job whose runs the short form makes."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == SHORTEST else LONG) for name in JOBS])
@pytest.mark.parametrize(
    ("change", "commits", "earlier", "parts"),
    [
        pytest.param(all_at_once, 3, YEAR_OF_WEEKS, 2, id="all at once"),
        pytest.param(shuffled, 1, timedelta(), 1, id="rows shuffled", marks=LONG),
        pytest.param(as_they_are, 4, timedelta(), 1, id="many files and commits", marks=LONG),
        pytest.param(delivered_twice, 1, timedelta(), 1, id="every row twice", marks=LONG),
        pytest.param(a_year_earlier, 1, YEAR_OF_WEEKS, 1, id="moved by whole weeks", marks=LONG),
        pytest.param(as_they_are, 1, timedelta(), 2, id="two windows instead of one", marks=LONG),
    ],
)
def test_what_must_not_matter_does_not(
    spark: SparkSession,
    base: Callable[[str], tuple[Tables, list[Row]]],
    tmp_path: Path,
    name: str,
    change: Callable[[Tables], Tables],
    commits: int,
    earlier: timedelta,
    parts: int,
) -> None:
    tables, wanted = base(name)
    write_in_commits(tmp_path, change(tables), commits)
    start, end = (day - earlier for day in WINDOW)
    length = (end - start) // parts
    windows = [(start + number * length, start + (number + 1) * length) for number in range(parts)]
    found = keyed(computed(spark, tmp_path, name, windows), name, earlier)
    assert len(wanted) > 10
    assert differences(found, wanted, list(wanted[0])) == []
