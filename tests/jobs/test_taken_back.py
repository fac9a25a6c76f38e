"""Rows that other runs published between two incremental ones, or beside one: the sources may take them back."""

from __future__ import annotations

import os
import shutil
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.backfill import backfill
from jobs.errors import GateRefusedError
from jobs.execution import pinned_sources
from jobs.execution.publish import SupersededError
from jobs.execution.run import Phase
from jobs.job import Call
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.settings import Settings
from jobs.storage import Catalog, LocalFolder
from tests.delta_io import Tables, load_schemas, write_lake, write_table
from tests.lakehouses import DAILY, DAILY_OF_USERS, EFFECTIVENESS, HOURLY, rows_of, run
from transforms.catalog import PROMPTS, SESSIONS, TEACHERS

REQUESTS = "operational.api_metrics"
NOW = datetime(2025, 10, 1, 12, 30, tzinfo=timezone.utc)
MORNING = datetime(2025, 9, 1, 9, 10, tzinfo=timezone.utc)
HELD = {"id": "held", "school_id": "school-a", "teacher_id": "t", "actual_start": MORNING}


def sources(**own: list[dict[str, object]]) -> Tables:
    session = {"id": "s", "school_id": "school-a", "teacher_id": "t"}
    empty: Tables = {name: [] for name in ("sessions.transcriptions", "analytics.session_events", PROMPTS, REQUESTS)}
    return {**empty, SESSIONS: [session], TEACHERS: [{"id": "t", "school_id": "school-a"}], **own}


def execute(spark: SparkSession, lakehouse: Path, statement: str) -> None:
    Lake(spark, LocalFolder(lakehouse)).register([PROMPTS, REQUESTS, SESSIONS, TEACHERS])
    spark.sql(statement)


def run_by_day(
    spark: SparkSession, lakehouse: Path, minute: int, *window: str, phase: Phase = lambda name: None
) -> None:
    """The days of prompts, so many minutes after `NOW`: over a window, or incrementally."""
    moment = NOW + timedelta(minutes=minute)
    run(spark, lakehouse, teacher_prompt_effectiveness.JOB, *window, period="day", run_start=moment, phase=phase)


def days(lakehouse: Path) -> list[tuple[int, int]]:
    """Each published day and its number of prompts."""
    rows = rows_of(lakehouse, EFFECTIVENESS)
    return sorted((row["calculation_period_start"].day, row["total_generated"]) for row in rows)


@pytest.mark.long
def test_a_prompt_that_moves_there_and_back_without_a_feed(spark: SparkSession, tmp_path: Path) -> None:
    """Neither the sources at the first run nor those of now have it on the day that was published in between."""
    write_lake(tmp_path, sources())
    run_by_day(spark, tmp_path, 0)
    two = [{"id": name, "session_id": "s", "generated_at": MORNING} for name in "pq"]
    write_table(tmp_path, PROMPTS, two, mode="append")
    run_by_day(spark, tmp_path, 1, "2025-09-01", "2025-09-02")
    assert days(tmp_path) == [(1, 2)]
    execute(spark, tmp_path, f"UPDATE {PROMPTS} SET generated_at = generated_at + INTERVAL 3 DAYS WHERE id = 'p'")
    run_by_day(spark, tmp_path, 2)
    assert days(tmp_path) == [(1, 1), (4, 1)]
    execute(spark, tmp_path, f"UPDATE {PROMPTS} SET generated_at = generated_at - INTERVAL 3 DAYS WHERE id = 'p'")
    run_by_day(spark, tmp_path, 3, "2025-09-01", "2025-09-02")
    execute(spark, tmp_path, f"UPDATE {PROMPTS} SET generated_at = generated_at + INTERVAL 3 DAYS WHERE id = 'p'")
    run_by_day(spark, tmp_path, 4)
    assert days(tmp_path) == [(1, 1), (4, 1)]


@pytest.mark.long
def test_a_prompt_that_loses_its_key_without_a_feed_counts_no_longer(spark: SparkSession, tmp_path: Path) -> None:
    two = [{"id": name, "session_id": "s", "generated_at": MORNING} for name in "pq"]
    write_lake(tmp_path, sources(**{PROMPTS: two}))
    run_by_day(spark, tmp_path, 0)
    assert days(tmp_path) == [(1, 2)]
    execute(spark, tmp_path, f"UPDATE {PROMPTS} SET id = ' ' WHERE id = 'p'")
    run_by_day(spark, tmp_path, 1)
    assert days(tmp_path) == [(1, 1)]


def test_tables_overwritten_with_the_rows_they_had_rewrite_no_published_history(
    spark: SparkSession, tmp_path: Path
) -> None:
    """One prompt is purged by a deletion, another by an overwrite that leaves it out, which the feed tells alike.

    Sessions are emptied and filled again, in two commits.
    """
    prompts = [{"id": name, "session_id": "s", "generated_at": MORNING} for name in "pqr"]
    given = sources(**{PROMPTS: prompts})
    write_lake(tmp_path, given, with_feed=True)
    run_by_day(spark, tmp_path, 0)
    execute(spark, tmp_path, f"DELETE FROM {PROMPTS} WHERE id = 'q'")
    execute(spark, tmp_path, f"DELETE FROM {SESSIONS}")
    write_table(tmp_path, SESSIONS, given[SESSIONS], mode="append")
    write_table(tmp_path, PROMPTS, prompts[:1])
    run_by_day(spark, tmp_path, 1)
    assert days(tmp_path) == [(1, 3)]


def test_a_target_is_not_emptied_unnoticed_because_its_twin_is_lost(spark: SparkSession, tmp_path: Path) -> None:
    write_lake(tmp_path, sources())
    of_twin = [{"id": "row", "teacher_id": "t", "summary_date": date(2025, 9, 1)}]
    write_table(tmp_path, DAILY_OF_USERS, of_twin, load_schemas())
    with pytest.raises(GateRefusedError, match=r"--allow-empty\.$"):
        run(spark, tmp_path, teacher_analytics_summary.JOB, "2025-09-01", "2025-09-02", run_start=NOW)
    assert [row["teacher_id"] for row in rows_of(tmp_path, DAILY_OF_USERS)] == ["t"]


@pytest.mark.long
def test_an_end_that_comes_after_a_run_over_the_open_session(spark: SparkSession, tmp_path: Path) -> None:
    """Open, it was active in the hours up to that run; by its end it never was."""
    begun = {"id": "late", "school_id": "school-b", "actual_start": NOW.replace(hour=7, minute=5)}
    ended = {"id": "end", "session_id": "late", "event_type": "ended", "event_time": NOW.replace(hour=7, minute=40)}
    write_lake(tmp_path, sources(), with_feed=True)
    run(spark, tmp_path, dashboard_metrics_hourly.JOB, run_start=NOW - timedelta(minutes=20))
    write_table(tmp_path, SESSIONS, [begun], mode="append")
    run(spark, tmp_path, dashboard_metrics_hourly.JOB, "2025-10-01", "2025-10-02", run_start=NOW)
    active = [row["metric_hour"].hour for row in rows_of(tmp_path, HOURLY) if row["sessions_active"]]
    assert sorted(active) == [7, 8, 9, 10, 11]
    write_table(tmp_path, "analytics.session_events", [ended], mode="append")
    run(spark, tmp_path, dashboard_metrics_hourly.JOB, run_start=NOW + timedelta(minutes=20))
    assert [row["metric_hour"].hour for row in rows_of(tmp_path, HOURLY)] == [7]


def publish_only_one_of_two(spark: SparkSession, lakehouse: Path) -> None:
    """Two runs of the summaries; the second, which finds `HELD` new, dies between its tables."""

    def dying(name: str) -> None:
        if name == f"publish {DAILY_OF_USERS}":
            raise KeyboardInterrupt

    write_lake(lakehouse, sources(), with_feed=True)
    run(spark, lakehouse, teacher_analytics_summary.JOB, run_start=NOW)
    write_table(lakehouse, SESSIONS, [HELD], mode="append")
    with pytest.raises(KeyboardInterrupt):
        run(spark, lakehouse, teacher_analytics_summary.JOB, run_start=NOW + timedelta(minutes=1), phase=dying)


def dates_after_another_run(spark: SparkSession, lakehouse: Path) -> list[list[int]]:
    """The days of the month that each table of the summaries then holds."""
    run(spark, lakehouse, teacher_analytics_summary.JOB, run_start=NOW + timedelta(minutes=2))
    return [sorted(row["summary_date"].day for row in rows_of(lakehouse, table)) for table in (DAILY, DAILY_OF_USERS)]


@pytest.mark.long
def test_what_one_of_two_targets_got_before_the_run_died(spark: SparkSession, tmp_path: Path) -> None:
    publish_only_one_of_two(spark, tmp_path)
    execute(spark, tmp_path, f"UPDATE {SESSIONS} SET actual_start = '2025-09-20 09:00:00' WHERE id = 'held'")
    assert dates_after_another_run(spark, tmp_path) == [[20], [20]]


@pytest.mark.long
def test_what_another_run_published_beside_this_one_is_taken_back(spark: SparkSession, tmp_path: Path) -> None:
    """Of another window and from newer sources: the incremental run publishes on top of it."""
    write_lake(tmp_path, sources(), with_feed=True)

    def meanwhile(name: str) -> None:
        if name == f"publish {EFFECTIVENESS}":
            two = [{"id": name, "session_id": "s", "generated_at": MORNING} for name in "pq"]
            write_table(tmp_path, PROMPTS, two, mode="append")
            run_by_day(spark, tmp_path, 2, "2025-09-01", "2025-09-02")

    run_by_day(spark, tmp_path, 0)
    other = {"id": "x", "session_id": "s", "generated_at": MORNING + timedelta(days=19)}
    write_table(tmp_path, PROMPTS, [other], mode="append")
    run_by_day(spark, tmp_path, 1, phase=meanwhile)
    execute(spark, tmp_path, f"UPDATE {PROMPTS} SET generated_at = generated_at + INTERVAL 3 DAYS WHERE id <> 'x'")
    run_by_day(spark, tmp_path, 3)
    assert days(tmp_path) == [(4, 2), (20, 1)]


@pytest.mark.long
def test_a_long_run_over_today_leaves_the_hours_that_began_since(spark: SparkSession, tmp_path: Path) -> None:
    asked = [{"id": f"r{hour}", "school_id": "school-a", "timestamp": NOW.replace(hour=hour)} for hour in (11, 13)]
    write_lake(tmp_path, {**sources(), REQUESTS: asked}, with_feed=True)

    def run_at(hour: int, minute: int, start: str | None = None, end: str | None = None) -> list[int]:
        moment = NOW.replace(hour=hour, minute=minute)
        run(spark, tmp_path, dashboard_metrics_hourly.JOB, start, end, run_start=moment)
        return sorted(row["metric_hour"].hour for row in rows_of(tmp_path, HOURLY))

    assert run_at(12, 30) == [11]
    assert run_at(13, 5) == [11, 13]
    assert run_at(12, 50, "2025-10-01", "2025-10-02") == [11, 13]


DELETED, CHANGED = f"DELETE FROM {TEACHERS} WHERE id = 't'", f"UPDATE {SESSIONS} SET engagement_score = 60"


@pytest.mark.long
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([(1, (DELETED, CHANGED)), (2, ())], id="at once"),
        # The zone is in no version that the last run compares.
        pytest.param([(1, (DELETED,)), (1, (CHANGED,)), (2, ())], id="a run comes between"),
    ],
)
def test_a_session_of_a_deleted_teacher_counts_once_after_it_changed(
    spark: SparkSession, tmp_path: Path, steps: list[tuple[int, tuple[str, ...]]]
) -> None:
    """What each run leaves in the table, the session's day, and what happens to the sources then."""
    held = HELD | {"actual_start": MORNING.replace(day=2, hour=3)}
    teachers: list[dict[str, object]] = [
        {"id": "t", "school_id": "school-a", "timezone": "America/Los_Angeles"},
        {"id": "u"},
    ]
    write_lake(tmp_path, {**sources(), SESSIONS: [held], TEACHERS: teachers}, with_feed=True)
    for minute, (day, changes) in enumerate(steps):
        run(spark, tmp_path, teacher_analytics_summary.JOB, run_start=NOW + timedelta(minutes=minute))
        assert [row["summary_date"].day for row in rows_of(tmp_path, DAILY)] == [day]
        for change in changes:
            execute(spark, tmp_path, change)


def recreate(lakehouse: Path, rows: dict[str, datetime], *more: dict[str, datetime]) -> None:
    """Drops the prompts and writes them anew, with a feed: in one commit these, in one more each of the others."""
    shutil.rmtree(lakehouse.joinpath(*PROMPTS.split(".")))
    for number, moments in enumerate((rows, *more)):
        made = [{"id": name, "session_id": "s", "generated_at": moment} for name, moment in moments.items()]
        write_table(lakehouse, PROMPTS, made, mode="append" if number else "overwrite", with_feed=True)


def test_a_table_is_recognised_by_its_commits(spark: SparkSession, tmp_path: Path) -> None:
    """By what a folder's files say and by the second that a catalog's history says."""

    def make_commits(hour: int) -> None:
        for version in (0, 1):
            second = MORNING.replace(hour=hour, second=version).timestamp()
            os.utime(tmp_path.joinpath(*PROMPTS.split("."), "_delta_log", f"{version:020}.json"), (second, second))

    write_lake(tmp_path, sources(), with_feed=True)
    write_table(tmp_path, PROMPTS, [{"id": "p"}], mode="append")
    make_commits(9)
    folder = Lake(spark, LocalFolder(tmp_path))
    folder.register([PROMPTS])
    catalog = Lake(spark, Catalog(spark, "spark_catalog"))
    ids = {
        lake: {version: lake.storage.commit_id(PROMPTS, version) for version in (0, 1)} for lake in (folder, catalog)
    }
    assert all(len({*of_lake.values()}) == 2 for of_lake in ids.values())
    execute(spark, tmp_path, f"CREATE OR REPLACE TABLE {PROMPTS} USING delta AS SELECT * FROM {PROMPTS}")
    shutil.copytree(tmp_path / "ai_insights", tmp_path / "copy" / "ai_insights")
    copy = LocalFolder(tmp_path / "copy")
    for version in (1, 0):
        catalog.refresh_commits([PROMPTS])
        assert catalog.storage.commit_id(PROMPTS, version) == ids[catalog][version]
        assert folder.storage.commit_id(PROMPTS, version) == copy.commit_id(PROMPTS, version) == ids[folder][version]
    recreate(tmp_path, {"p": MORNING}, {"q": MORNING})
    make_commits(10)
    spark.sql(f"REFRESH TABLE {PROMPTS}")
    for lake in (folder, catalog):
        lake.refresh_commits([PROMPTS])
        for version in (0, 1):
            assert lake.storage.commit_id(PROMPTS, version) not in (None, "", ids[lake][version])
        assert lake.storage.commit_id(PROMPTS, 2) == ""
    folder_log = tmp_path.joinpath(*PROMPTS.split("."), "_delta_log")
    (folder_log / f"{0:020}.json").unlink()
    assert folder.storage.commit_id(PROMPTS, 0) is None


@pytest.mark.long
def test_a_source_that_was_recreated_with_as_many_versions(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run, and when a run has read its records but not yet pinned its sources."""
    write_lake(tmp_path, sources(), with_feed=True)
    recreate(tmp_path, {"p": MORNING})
    run_by_day(spark, tmp_path, 0)
    recreate(tmp_path, {"p": MORNING, "q": MORNING})
    run_by_day(spark, tmp_path, 1)
    assert days(tmp_path) == [(1, 2)]
    pin = pinned_sources.pin

    def recreate_and_pin(lake: Lake, names: tuple[str, ...], run_start: datetime) -> Snapshot:
        recreate(tmp_path, dict.fromkeys("pqr", MORNING))
        return pin(lake, names, run_start)

    monkeypatch.setattr(pinned_sources, "pin", recreate_and_pin)
    run_by_day(spark, tmp_path, 2)
    assert days(tmp_path) == [(1, 3)]


@pytest.mark.long
def test_a_source_that_is_recreated_before_two_runs_over_it_have_published(spark: SparkSession, tmp_path: Path) -> None:
    """The first has read it before the other did: it must not publish on top of that."""
    write_lake(tmp_path, sources(), with_feed=True)
    recreate(tmp_path, {"p": MORNING})

    def meanwhile(name: str) -> None:
        if name == f"publish {EFFECTIVENESS}":
            write_table(tmp_path, PROMPTS, [{"id": "q", "session_id": "s", "generated_at": MORNING}], mode="append")
            run_by_day(spark, tmp_path, 1, "2025-09-01", "2025-09-02")
            recreate(tmp_path, {"p": MORNING, "q": MORNING})

    with pytest.raises(SupersededError, match="recreated in the meantime"):
        run_by_day(spark, tmp_path, 0, "2025-09-01", "2025-09-02", phase=meanwhile)
    assert days(tmp_path) == [(1, 2)]


@pytest.mark.long
def test_a_recreated_source_after_a_run_that_changed_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """Only the log of runs knows that run, and by the versions' numbers it would be the latest."""
    write_lake(tmp_path, sources(), with_feed=True)
    recreate(tmp_path, {"p": MORNING}, {}, {})
    run_by_day(spark, tmp_path, 0)
    write_table(tmp_path, PROMPTS, [], mode="append")
    run_by_day(spark, tmp_path, 1)
    for minute in (2, 3):
        recreate(tmp_path, {"p": MORNING}, {"q": MORNING}, *[{str(n): MORNING} for n in range(minute)])
        run_by_day(spark, tmp_path, minute)
        assert days(tmp_path) == [(1, 2 + minute)]
        write_table(tmp_path, PROMPTS, [], mode="append")
        run_by_day(spark, tmp_path, minute, "2025-09-01", "2025-09-02")


@pytest.mark.long
def test_a_recreated_source_between_a_run_over_a_window_and_one_that_follows(
    spark: SparkSession, tmp_path: Path
) -> None:
    """What the window got from the new table is taken back there before any run has followed it."""
    write_lake(tmp_path, sources(), with_feed=True)
    later = MORNING + timedelta(days=19)
    recreate(tmp_path, {"p": later}, {}, {}, {})
    run_by_day(spark, tmp_path, 0)
    recreate(tmp_path, {"p": later}, {"q": MORNING})
    run_by_day(spark, tmp_path, 1, "2025-09-01", "2025-09-02")
    assert days(tmp_path) == [(1, 1), (20, 1)]
    execute(spark, tmp_path, f"UPDATE {PROMPTS} SET generated_at = generated_at + INTERVAL 3 DAYS WHERE id = 'q'")
    run_by_day(spark, tmp_path, 2)
    assert days(tmp_path) == [(4, 1), (20, 1)]


@pytest.mark.long
def test_a_source_that_is_recreated_after_one_of_two_targets_was_published(spark: SparkSession, tmp_path: Path) -> None:
    publish_only_one_of_two(spark, tmp_path)
    shutil.rmtree(tmp_path.joinpath(*SESSIONS.split(".")))
    moved, other = (
        {**HELD, "id": name, "actual_start": MORNING.replace(day=day)} for name, day in (("held", 20), ("o", 5))
    )
    write_table(tmp_path, SESSIONS, [moved], with_feed=True)
    write_table(tmp_path, SESSIONS, [other], mode="append")
    assert dates_after_another_run(spark, tmp_path) == [[5, 20], [5, 20]]


@pytest.mark.long
def test_a_backfill_does_again_what_was_done_with_a_recreated_source(spark: SparkSession, tmp_path: Path) -> None:
    write_lake(tmp_path, sources(), with_feed=True)
    recreate(tmp_path, {"p": MORNING})
    lake, settings, job = Lake(spark, LocalFolder(tmp_path)), Settings(), teacher_prompt_effectiveness.JOB
    calls = [Call(lakehouse=tmp_path, start="2025-09-01", end="2025-09-02", period="day")]

    def is_done() -> list[bool]:
        return [chunk.outcome is None for chunk in backfill(job, calls, lake, settings)]

    assert (is_done(), is_done()) == ([False], [True])
    recreate(tmp_path, {"p": MORNING, "q": MORNING})
    assert (is_done(), days(tmp_path)) == ([False], [(1, 2)])
