"""How far a rollup has followed its sources, as the commits of its targets say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.changed import Followed
from jobs.dashboard_metrics_hourly import ROLLUP
from jobs.lake import Lake
from jobs.news import followed_by
from jobs.places import LocalFolder

TWO = replace(ROLLUP, targets=("analytics.one", "analytics.other"))
BEGUN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def followed(number: int) -> Followed:
    """Further by later versions, though of an earlier run by the clock."""
    return Followed({"a source": number}, BEGUN - timedelta(hours=number))


def commit(spark: SparkSession, lakehouse: Path, table: str, metadata: str) -> None:
    path = str(lakehouse.joinpath(*table.split(".")))
    spark.range(1).write.format("delta").mode("append").option("userMetadata", metadata).save(path)


def provenance(number: int) -> str:
    return json.dumps({"job_name": ROLLUP.job_name, "followed": followed(number).as_json()})


@pytest.fixture(scope="module")
def lakehouse(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two targets one has followed further; then others have written to it."""
    folder = tmp_path_factory.mktemp("commits")
    commit(spark, folder, "analytics.one", provenance(1))
    commit(spark, folder, "analytics.other", provenance(1))
    commit(spark, folder, "analytics.one", provenance(2))
    for foreign in ("{ticket 42}", "[1]", '{"job_name": "another"}'):
        commit(spark, folder, "analytics.one", foreign)
    return folder


def test_what_others_write_into_commits_is_passed_over(spark: SparkSession, lakehouse: Path) -> None:
    one = replace(ROLLUP, targets=("analytics.one",))
    assert followed_by(Lake(spark, LocalFolder(lakehouse)), one) == followed(2)


def test_of_two_targets_the_one_that_is_behind_counts(spark: SparkSession, lakehouse: Path) -> None:
    lake = Lake(spark, LocalFolder(lakehouse))
    assert followed_by(lake, TWO) == followed_by(lake, replace(TWO, targets=TWO.targets[::-1])) == followed(1)


@pytest.mark.parametrize("dropped", TWO.targets)
def test_where_a_target_is_gone_nothing_is_known(
    spark: SparkSession, lakehouse: Path, tmp_path: Path, dropped: str
) -> None:
    shutil.copytree(lakehouse, tmp_path / "lake")
    shutil.rmtree(tmp_path.joinpath("lake", *dropped.split(".")))
    assert followed_by(Lake(spark, LocalFolder(tmp_path / "lake")), TWO) is None
