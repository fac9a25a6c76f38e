"""How sources are read: the same rows of few and of many, and plans that stay as narrow as they were meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import reduce

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.dashboard_metrics_hourly import ROLLUP
from jobs.execution import pinned_sources, sources
from jobs.execution.incremental import source_subset
from jobs.execution.incremental.source_changes import read_source_changes
from jobs.execution.incremental.watermark import Baseline
from jobs.execution.pinned_sources import PinnedSources, pin
from jobs.execution.run import Run
from jobs.execution.staging import Staging
from jobs.lake import Lake
from jobs.storage import LocalFolder
from tests.lakehouses import copy_of_example, long_sources, tuned_like_a_run
from transforms.catalog import SESSION_EVENTS, SESSIONS
from transforms.copies import duplicate_keys
from transforms.metric_settings import MetricSettings
from transforms.source_rules import columns_read
from transforms.windows import HourWindow

TRANSCRIPTIONS = "sessions.transcriptions"
READ = (SESSIONS, "sessions.student_groups", TRANSCRIPTIONS, SESSION_EVENTS)
RUN_START = datetime(2025, 10, 1, tzinfo=timezone.utc)
DAY = HourWindow(datetime(2025, 10, 30, tzinfo=timezone.utc), datetime(2025, 10, 31, tzinfo=timezone.utc))
WHOLE_PLANS = {"spark.sql.maxMetadataStringLength": "100000", "spark.sql.debug.maxToStringFields": "1000"}


def plan_of(rows: DataFrame) -> str:
    """The physical plan, before it is carried out."""
    return str(rows._jdf.queryExecution().executedPlan().toString())


def scans_of(plan: str, source: str) -> list[set[str]]:
    """The columns that each scan of the source in the plan reads."""
    # Not line by line: a filter may hold the white space that is trimmed.
    within = r"(?:(?!FileScan).)*?"
    schemas = re.findall(
        rf"FileScan {within}/{source.replace('.', '/')}\]{within}ReadSchema: struct<([^\n]*)>", plan, re.DOTALL
    )
    return [set(re.findall(r"(?:^|,)(\w+):", schema)) for schema in schemas]


class PlansKept(Staging):
    """Staging tables, and how each of them is made."""

    def __init__(self, lake: Lake, run: Run) -> None:
        super().__init__(lake, run)
        self.plans: dict[str, str] = {}

    def write(self, name: str, rows: DataFrame) -> DataFrame:
        self.plans[name] = plan_of(rows)
        return super().write(name, rows)


@dataclass
class Reading:
    """By which plans sources were read, and what the rows amount to."""

    plans: dict[str, str]
    amounts: set[tuple[object, ...]]

    def plan_with(self, source: str) -> str:
        """The one plan that scans the source."""
        (found,) = (plan for plan in self.plans.values() if scans_of(plan, source))
        return found


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(spark, LocalFolder(copy_of_example(tmp_path_factory.mktemp("reading") / "lake")))


@contextmanager
def whole_plans(lake: Lake) -> Iterator[None]:
    """Plans are told with all of their columns and files."""
    try:
        for name, value in WHOLE_PLANS.items():
            lake.spark.conf.set(name, value)
        yield
    finally:
        for name in WHOLE_PLANS:
            lake.spark.conf.unset(name)


def reading(lake: Lake, bytes_of_long: int) -> Iterator[Reading]:
    """Reads the example's sources, as long ones from so many bytes on."""
    staging = PlansKept(lake, Run(f"reading {bytes_of_long}", "job", RUN_START))
    pinned = PinnedSources(lake, pin(lake, READ, RUN_START).versions)
    with pytest.MonkeyPatch.context() as patch, staging, whole_plans(lake):
        patch.setattr(pinned_sources, "LARGE", bytes_of_long)
        with tuned_like_a_run(pinned):
            read = sources.read(pinned, staging, READ, MetricSettings())
            rows = {**read.usable, "spans": read.sessions, "findings": read.findings}
            amounts = [
                frame.select(F.lit(name).alias("name"), F.xxhash64(F.to_json(F.struct(*frame.columns))).alias("row"))
                .groupBy("name")
                .agg(F.count("*"), F.sum(F.col("row").cast("decimal(38,0)")))
                for name, frame in rows.items()
            ]
            found = reduce(lambda a, b: a.unionByName(b), amounts).collect()
        yield Reading(staging.plans, set(map(tuple, found)))


@pytest.fixture(scope="module")
def of_few(lake: Lake) -> Iterator[Reading]:
    yield from reading(lake, 10**12)


@pytest.fixture(scope="module")
def of_many(lake: Lake) -> Iterator[Reading]:
    yield from reading(lake, 0)


def test_few_rows_and_many_are_judged_alike(of_few: Reading, of_many: Reading) -> None:
    assert of_few.amounts == of_many.amounts
    assert len(of_few.amounts) == len(READ) + 2
    assert "copies" in of_many.plans
    assert "copies" not in of_few.plans


def test_no_plan_goes_through_python(of_few: Reading, of_many: Reading) -> None:
    plans = (*of_few.plans.values(), *of_many.plans.values())
    assert not [plan for plan in plans if re.search(r"Python|Pandas|MapIn|UDF", plan)]


def test_each_source_is_scanned_once_for_the_columns_that_are_needed(of_few: Reading, of_many: Reading) -> None:
    for source in READ:
        wanted = set(columns_read(source, contract_of(source).public_columns))
        for plans in (of_few.plans, of_many.plans):
            assert [columns for plan in plans.values() for columns in scans_of(plan, source)] == [wanted]


def test_of_many_rows_the_keys_alone_are_looked_through(lake: Lake) -> None:
    keys = duplicate_keys({source: lake.latest(source).select("id") for source in READ}, 10)
    assert {source: scans_of(plan_of(keys), source) for source in READ} == {source: [{"id"}] for source in READ}


def test_many_rows_are_neither_sorted_nor_shuffled(of_many: Reading) -> None:
    plan = of_many.plan_with(TRANSCRIPTIONS)
    assert "BroadcastHashJoin" in plan
    assert not re.search(r"Exchange hashpartitioning|Window|Sort ", plan)
    assert "Window" in of_many.plans["copies"]


def test_few_rows_are_ranked_in_one_go(of_few: Reading) -> None:
    plan = of_few.plan_with(TRANSCRIPTIONS)
    assert len(re.findall(r"Window \[", plan)) == 1


@pytest.fixture(scope="module")
def near(lake: Lake) -> Iterator[tuple[source_subset.SourceSubset, dict[str, str]]]:
    """What a run over one day looks at where nothing has changed, as if the example were long."""
    staging, snapshot = PlansKept(lake, Run("near", "job", RUN_START)), pin(lake, READ, RUN_START)
    pinned = PinnedSources(lake, snapshot.versions)
    with long_sources(), staging, whole_plans(lake):
        nothing = read_source_changes(pinned, staging, Baseline(snapshot), 0)
        assert nothing.rows == {}
        found = source_subset.rows_for_window(
            pinned, staging, nothing, lambda moment: ROLLUP.may_affect(moment, DAY, MetricSettings())
        )
        assert found is not None
        yield found, staging.plans


def test_what_is_near_is_told_by_keys_and_times_alone(near: tuple[source_subset.SourceSubset, dict[str, str]]) -> None:
    _, plans = near
    scans = {name: scans_of(plans[name], TRANSCRIPTIONS) for name in ("near", "keys", "locations")}
    assert scans == {
        "near": [{"session_id", "start_time"}],
        "keys": [{"id", "session_id"}],
        "locations": [{"id", "session_id", "created_at"}],
    }


def test_rows_near_are_read_from_files_of_their_time(
    lake: Lake, near: tuple[source_subset.SourceSubset, dict[str, str]]
) -> None:
    found = near[0].rows[TRANSCRIPTIONS]
    plan = plan_of(found)
    assert re.search(r"PushedFilters: \[.*GreaterThanOrEqual\(created_at,.*LessThanOrEqual\(created_at,", plan)
    assert len(scans_of(plan, TRANSCRIPTIONS)) == 1
    everything = lake.latest(TRANSCRIPTIONS)
    sessions = lake.latest(SESSIONS).select(F.col("id").alias("session_id"))
    of_day = everything.where(DAY.contains(F.col("start_time"))).join(sessions, "session_id", how="left_semi")
    assert of_day.select("id").exceptAll(found.select("id")).isEmpty()
    assert 0 < of_day.count() < found.count() < everything.count()
