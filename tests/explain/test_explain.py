"""What is listed for a value is what it was made of: no row less gives it, and for counts none more."""

from __future__ import annotations

import random

import pytest
from pyspark.sql import SparkSession

from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.explain import Explanation, Listed, same
from tests.delta_io import write_lake
from tests.explain.published import DAYS, HOURS, PERIODS, RUN_START, Oracle, Published, value_of
from tests.lakehouses import run
from tests.messy import messy_tables
from transforms.changes import STAMPS
from transforms.evidence import COUNTS

COUNTED = {
    HOURS: (
        "sessions_active",
        "sessions_completed",
        "total_groups",
        "ready_groups",
        "total_errors",
        "total_alerts",
        "total_prompts_generated",
        "total_prompts_used",
        "total_interventions",
        "ai_analyses_completed",
        "data_sources_count",
    ),
    DAYS: (
        "total_sessions",
        "total_prompts_shown",
        "total_prompts_used",
        "total_prompts_dismissed",
        "total_interventions",
        "total_alerts_generated",
        "total_leader_ready_events",
        "data_points_included",
    ),
    PERIODS: ("total_generated", "total_acknowledged", "total_used", "total_dismissed", "data_points"),
}
"""Columns of which each counting row counts one."""


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("explain") / "lake"
    tables = messy_tables(8, 140)
    write_lake(folder, tables)
    for job in (dashboard_metrics_hourly.JOB, teacher_analytics_summary.JOB, teacher_prompt_effectiveness.JOB):
        run(spark, folder, job, run_start=RUN_START)
    return Published(folder, tables)


def unlike(explanation: Explanation, oracle: Oracle) -> list[str]:
    """The columns whose listed rows do not give what is published."""
    found = []
    for column in explanation.contract.column_names:
        if column in STAMPS:
            continue
        again = value_of(explanation, column, oracle.row(explanation.listed_for(column)))
        if not same(explanation.values[column], again):
            found.append(f"{explanation.subject.key} {column}: {again!r} is not {explanation.values[column]!r}")
    return found


def needless(explanation: Explanation, oracle: Oracle, columns: tuple[str, ...]) -> list[str]:
    """Rows that count for one of these columns without changing it."""
    found = []
    for column in columns:
        if column not in explanation.contract.column_names:
            continue
        listed = explanation.listed_for(column)
        counting = [row for row in listed if row.role == COUNTS]
        if len(counting) != explanation.values[column]:
            found.append(f"{explanation.subject.key} {column}: {len(counting)} rows, not {explanation.values[column]}")
        for gone in counting[:2]:
            rest: list[Listed] = [row for row in listed if (row.source, row.id) != (gone.source, gone.id)]
            if same(value_of(explanation, column, oracle.row(rest)), explanation.values[column]):
                found.append(f"{explanation.subject.key} {column}: it is the same without {gone.source} {gone.id}")
    return found


def check(spark: SparkSession, published: Published, name: str, seed: int, number: int) -> None:
    subjects = published.subjects(name)
    told = []
    for subject in random.Random(seed).sample(subjects, min(number, len(subjects))):
        oracle = Oracle(published.tables, subject)
        for explanation in published.explained(spark, name, subject):
            told += explanation.notes
            told += unlike(explanation, oracle) + needless(explanation, oracle, COUNTED[name])
    assert told == [], "\n".join(told[:30])


@pytest.mark.parametrize("name", [HOURS, DAYS, PERIODS])
def test_listed_rows_give_every_column(spark: SparkSession, published: Published, name: str) -> None:
    check(spark, published, name, 1, 3)
