"""How far a rollup has followed its sources, as the commits of its targets and the log of runs say."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs.dashboard_metrics_hourly import ROLLUP
from jobs.execution import run_log
from jobs.execution.incremental.watermark import Baseline
from jobs.execution.run import Changes
from jobs.execution.starting_point import StartingPoint
from jobs.lake import Lake
from jobs.provenance import Provenance, Snapshot
from jobs.rollup import Rollup
from jobs.storage import LocalFolder
from tests.lakehouses import log_success, read_baseline
from transforms.catalog import RUNS
from transforms.windows import HourWindow

TWO = replace(ROLLUP, targets=("analytics.one", "analytics.other"))
BEGUN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def watermark(number: int) -> Snapshot:
    """Further by later versions, though of an earlier run by the clock."""
    return Snapshot({"a source": number}, BEGUN - timedelta(hours=number))


def commit(spark: SparkSession, lakehouse: Path, table: str, metadata: str) -> None:
    path = str(lakehouse.joinpath(*table.split(".")))
    spark.range(1).write.format("delta").mode("append").option("userMetadata", metadata).save(path)


def provenance(number: int, *, follows: bool = True, hands_on: int | None = None) -> str:
    """Of an incremental run, or of one over a window that hands on an earlier watermark, or none."""
    followed = watermark(number)
    run = (f"run-{number}", ROLLUP.job_name, followed.run_start, ("2025-09-01", "2025-10-01"))
    handed_on = followed if follows else None if hands_on is None else watermark(hands_on)
    return Provenance(*run, followed.versions, handed_on).as_json()


def watermark_of(lake: Lake, rollup: Rollup[HourWindow], *, also_by_runs: bool = True) -> Snapshot | None:
    baseline = read_baseline(lake, rollup, also_by_runs=also_by_runs)
    return baseline.watermark if baseline else None


def published_since(lake: Lake, rollup: Rollup[HourWindow]) -> list[str]:
    baseline = read_baseline(lake, rollup)
    assert baseline is not None
    return [provenance.run_id for provenance in baseline.published_since]


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
    assert watermark_of(Lake(spark, LocalFolder(lakehouse)), one) == watermark(2)


def test_of_two_targets_the_one_that_is_behind_counts(spark: SparkSession, lakehouse: Path) -> None:
    lake = Lake(spark, LocalFolder(lakehouse))
    assert watermark_of(lake, TWO) == watermark_of(lake, replace(TWO, targets=TWO.targets[::-1])) == watermark(1)


def test_what_only_one_of_them_holds_is_known(spark: SparkSession, lakehouse: Path) -> None:
    """A run that died between its commits: what it published may have been taken back since."""
    assert published_since(Lake(spark, LocalFolder(lakehouse)), TWO) == ["run-2"]


def test_runs_over_windows_since_the_watermark_are_known(spark: SparkSession, lakehouse: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(lakehouse, tmp_path / "lake"))
    for number in (4, 3):  # one over older sources came later
        commit(spark, folder, "analytics.one", provenance(number, follows=False, hands_on=2))
    lake, one = Lake(spark, LocalFolder(folder)), replace(ROLLUP, targets=("analytics.one",))
    assert (watermark_of(lake, one), published_since(lake, one)) == (watermark(2), ["run-3", "run-4"])
    commit(spark, folder, "analytics.one", provenance(5))
    assert (watermark_of(lake, one), published_since(lake, one)) == (watermark(5), [])


def test_runs_over_windows_are_known_however_many_there_were(
    spark: SparkSession, lakehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(lakehouse, tmp_path / "lake"))
    for number in (3, 4, 5):
        commit(spark, folder, "analytics.one", provenance(number, follows=False, hands_on=2))
    monkeypatch.setattr("jobs.lake.MAX_COMMITS", 2)  # that are looked at first
    lake, one = Lake(spark, LocalFolder(folder)), replace(ROLLUP, targets=("analytics.one",))
    assert (watermark_of(lake, one), published_since(lake, one)) == (watermark(2), ["run-5", "run-4", "run-3"])


def test_commits_from_sources_that_were_made_anew_since_do_not_count(spark: SparkSession, tmp_path: Path) -> None:
    """By the numbers of their versions they would be later for ever."""
    one, lake = replace(ROLLUP, targets=("analytics.one",)), Lake(spark, LocalFolder(tmp_path))
    commit(spark, tmp_path, "analytics.one", provenance(9))
    late = Snapshot({"a source": 1}, BEGUN + timedelta(days=1))
    run = ("run-new", ROLLUP.job_name, late.run_start, ("2025-09-01", "2025-10-01"))
    commit(spark, tmp_path, "analytics.one", Provenance(*run, late.versions, late).as_json())
    assert (watermark_of(lake, one), published_since(lake, one)) == (late, [])


def test_a_source_that_is_absent_now_is_new_once_it_is_back() -> None:
    """A run over a window publishes without it and hands the watermark on."""
    followed = Snapshot({"a source": 5, "b source": 3}, BEGUN, {"a source": "a5", "b source": "b3"})
    of_a = Snapshot({"a source": 5}, BEGUN, {"a source": "a5"})
    assert StartingPoint(of_a, {}, Baseline(followed)).watermark == of_a
    assert StartingPoint(followed, {}, Baseline(of_a)).watermark == of_a
    assert StartingPoint(of_a, {}, None).watermark is None


@pytest.mark.parametrize("versions", [1, 2, 3])
def test_in_the_watermark_a_source_that_was_recreated_is_absent(
    spark: SparkSession, tmp_path: Path, versions: int
) -> None:
    """With fewer versions, as many or more; what a later run over a window read of it is unknown, too."""
    names, lake = ("users.recreated", "users.kept"), Lake(spark, LocalFolder(tmp_path))

    def write(name: str, times: int) -> None:
        shutil.rmtree(tmp_path.joinpath(*name.split(".")), ignore_errors=True)
        for _ in range(times):
            commit(spark, tmp_path, name, "of a source")

    def publish(run_id: str, hours: int, watermark: Snapshot | None = None) -> Snapshot:
        read = {name: lake.version(name) for name in names}
        snapshot = Snapshot(read, BEGUN + timedelta(hours=hours), lake.commit_ids(read))
        run = (run_id, ROLLUP.job_name, snapshot.run_start, ("2025-09-01", "2025-10-01"))
        made_from = Provenance(*run, snapshot.versions, watermark or snapshot, source_commits=snapshot.commits)
        commit(spark, tmp_path, "analytics.one", made_from.as_json())
        return snapshot

    for name in names:
        write(name, 2)
    followed = publish("followed", 0)
    publish("window", 1, followed)
    rollup = replace(ROLLUP, targets=("analytics.one",))
    baseline = read_baseline(lake, rollup)
    assert baseline is not None
    assert (baseline.watermark, baseline.published_from_recreated) == (followed, ())
    write("users.recreated", versions)
    baseline = read_baseline(lake, rollup)
    assert baseline is not None
    assert baseline.watermark.versions == {"users.kept": 1}
    assert [provenance.run_id for provenance in baseline.published_from_recreated] == ["window"]
    assert baseline.published_since == ()


def test_a_run_with_a_recreated_source_is_no_other_run_over_it(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(RUNS))
    read, window = Snapshot({"a source": 1}, BEGUN, {"a source": "one"}), (BEGUN, BEGUN)
    log_success(lake, "run", "a job", BEGUN, Changes(), sources=read)
    assert [run.run_id for run in run_log.successful_runs(lake, "a job", window, read)] == ["run"]
    of_another = replace(read, commits={"a source": "another"})
    assert run_log.successful_runs(lake, "a job", window, of_another) == []


@pytest.mark.parametrize("dropped", TWO.targets)
def test_where_a_target_is_gone_nothing_is_known(
    spark: SparkSession, lakehouse: Path, tmp_path: Path, dropped: str
) -> None:
    shutil.copytree(lakehouse, tmp_path / "lake")
    shutil.rmtree(tmp_path.joinpath("lake", *dropped.split(".")))
    assert read_baseline(Lake(spark, LocalFolder(tmp_path / "lake")), TWO) is None


def log_run(
    lake: Lake, job_name: str, number: int, *, one: int = 4, other: int = 0, is_incremental: bool = True
) -> None:
    """A run that ended well, and the versions of the targets that it left."""
    followed, versions = watermark(number), {"analytics.one": one, "analytics.other": other}
    lake.create_missing(contract_of(RUNS))
    log_success(
        lake,
        f"log-{number}",
        job_name,
        followed.run_start,
        Changes(),
        is_incremental=is_incremental,
        sources=followed,
        targets=versions,
    )


def after(spark: SparkSession, lakehouse: Path, tmp_path: Path, *, one: int = 4, other: int = 0) -> tuple[Lake, Path]:
    """A copy of the lakehouse in which a run followed to version 5 and left these versions of the targets."""
    folder = Path(shutil.copytree(lakehouse, tmp_path / "lake"))
    lake = Lake(spark, LocalFolder(folder))
    log_run(lake, ROLLUP.job_name, 5, one=one, other=other)
    return lake, folder


def test_a_run_that_changed_nothing_counts(spark: SparkSession, lakehouse: Path, tmp_path: Path) -> None:
    lake, folder = after(spark, lakehouse, tmp_path)
    log_run(lake, "another", 9)
    log_run(lake, ROLLUP.job_name, 8, is_incremental=False)
    assert watermark_of(lake, TWO) == watermark(5)
    assert watermark_of(lake, TWO, also_by_runs=False) == watermark(1)
    commit(spark, folder, "analytics.other", provenance(6))  # newer sources: what the run left still stands
    spark.sql("OPTIMIZE analytics.one")
    assert watermark_of(lake, TWO) == watermark(5)


def test_it_is_all_that_is_known_where_the_commits_before_it_are_gone(
    spark: SparkSession, lakehouse: Path, tmp_path: Path
) -> None:
    """After a long holiday Delta has deleted the log of the last commit that followed; maintenance went on."""
    lake, folder = after(spark, lakehouse, tmp_path, one=5)
    path = folder / "analytics" / "one"
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
    log_run(lake, ROLLUP.job_name, 6, one=5)
    for old in (path / "_delta_log").glob("*.json"):
        if int(old.stem) < 5:
            old.unlink()
    assert watermark_of(Lake(spark, LocalFolder(folder)), TWO) == watermark(6)


def test_it_does_not_count_where_the_table_is_another(spark: SparkSession, lakehouse: Path, tmp_path: Path) -> None:
    """Dropped, and made anew by a run over a window, with a version of that number."""
    lake, folder = after(spark, lakehouse, tmp_path)
    for name in ("one", "other"):
        shutil.rmtree(folder / "analytics" / name)
        for _ in range(5):
            commit(spark, folder, f"analytics.{name}", provenance(7, follows=False))
    assert read_baseline(lake, TWO) is None


@pytest.mark.parametrize("metadata", ["by hand", '{"job_name": "another"}', provenance(4)])
def test_it_does_not_count_where_a_hand_or_older_sources_came_after_it(
    spark: SparkSession, lakehouse: Path, tmp_path: Path, metadata: str
) -> None:
    lake, folder = after(spark, lakehouse, tmp_path)
    commit(spark, folder, "analytics.other", metadata)
    assert watermark_of(lake, TWO) == (watermark(2) if "run-4" in metadata else watermark(1))


@pytest.mark.parametrize(("one", "other"), [(5, 0), (4, 1)])
def test_it_does_not_count_where_one_table_lacks_its_commit(
    spark: SparkSession, lakehouse: Path, tmp_path: Path, one: int, other: int
) -> None:
    """One table's folder was copied back from a backup that was made just before the run published."""
    lake, _ = after(spark, lakehouse, tmp_path, one=one, other=other)
    assert watermark_of(lake, TWO) == watermark(1)


@pytest.mark.parametrize("replacement", ["SHALLOW CLONE", "USING delta AS SELECT * FROM"])
def test_a_table_that_was_replaced_by_its_backup_has_followed_nothing(
    spark: SparkSession, lakehouse: Path, tmp_path: Path, replacement: str
) -> None:
    lake, folder = after(spark, lakehouse, tmp_path)
    lake.register(["analytics.one"])
    backup = shutil.copytree(folder / "analytics" / "one", tmp_path / "backup")
    if "CLONE" in replacement:
        spark.sql("DELETE FROM analytics.one")  # Delta clones into an empty table only, unlike Databricks
    spark.sql(f"CREATE OR REPLACE TABLE analytics.one {replacement} delta.`{backup}`")
    assert len(lake.commits("analytics.one")) == 1
    assert read_baseline(lake, TWO) is None


def test_a_row_of_the_log_that_does_not_tell_the_targets_is_passed_over(
    spark: SparkSession, lakehouse: Path, tmp_path: Path
) -> None:
    lake, _ = after(spark, lakehouse, tmp_path)
    spark.sql(f"UPDATE {RUNS} SET target_versions = NULL")
    assert watermark_of(lake, TWO) == watermark(1)


def test_it_does_not_count_where_what_it_left_was_restored(
    spark: SparkSession, lakehouse: Path, tmp_path: Path
) -> None:
    lake, _ = after(spark, lakehouse, tmp_path)
    lake.register(["analytics.one"])
    spark.sql("RESTORE analytics.one TO VERSION AS OF 0")
    assert watermark_of(lake, TWO) == watermark(1)
