"""Which rows of the sources an incremental run reads."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.execution.incremental.source_changes import read_source_changes
from jobs.execution.incremental.source_subset import (
    changed_in_metrics,
    rows_for_changes,
    without_unread_changes,
)
from jobs.execution.incremental.watermark import Baseline
from jobs.execution.pinned_sources import PinnedSources
from jobs.execution.run import Run
from jobs.execution.staging import Staging
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.storage import LocalFolder
from tests.delta_io import write_table
from tests.lakehouses import version_of
from transforms.catalog import SESSIONS, TEACHERS

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
API_METRICS = "operational.api_metrics"


def test_a_login_is_no_change_of_a_teacher(spark: SparkSession, tmp_path: Path) -> None:
    names = ("logs-in", "moves", "copied", "copied-late", "left", "changes-school", "stays")
    teachers = {name: {"id": name, "school_id": "a", "timezone": "UTC", "created_at": NOW} for name in names}
    write_table(tmp_path, TEACHERS, list(teachers.values()), with_feed=True)
    lake, before = Lake(spark, LocalFolder(tmp_path)), version_of(tmp_path, TEACHERS)
    lake.register([TEACHERS])
    spark.sql(f"UPDATE {TEACHERS} SET last_login = '2026-01-02', updated_at = '2026-01-02' WHERE id = 'logs-in'")
    spark.sql(f"UPDATE {TEACHERS} SET timezone = 'Asia/Tokyo' WHERE id = 'moves'")
    spark.sql(f"UPDATE {TEACHERS} SET school_id = 'b' WHERE id = 'changes-school'")
    spark.sql(f"DELETE FROM {TEACHERS} WHERE id = 'left'")
    added = [
        {**teachers["copied"], "created_at": NOW + timedelta(days=1)},
        {**teachers["copied-late"], "created_at": NOW - timedelta(days=1), "timezone": "Asia/Tokyo"},
        {**teachers["stays"], "id": "new"},
        {**teachers["stays"], "id": " "},
    ]
    write_table(tmp_path, TEACHERS, added, mode="append")
    now = PinnedSources.latest(lake, [TEACHERS])
    with Staging(lake, Run("test", "job", NOW)) as staging:
        changed = read_source_changes(now, staging, Baseline(Snapshot({TEACHERS: before}, NOW)), look_back_hours=1)
        found = {row["id"] for row in changed_in_metrics(now, changed, TEACHERS).collect()}
    assert found == {"moves", "changes-school", "new"}


def test_a_new_title_is_no_change_of_a_session(spark: SparkSession, tmp_path: Path) -> None:
    names = ("archived", "rated", "copied", "gone", "stays")
    sessions = {name: {"id": name, "school_id": "a", "title": "A", "created_at": NOW} for name in names}
    write_table(tmp_path, SESSIONS, [*sessions.values(), {"id": None}], with_feed=True)
    lake, before = Lake(spark, LocalFolder(tmp_path)), version_of(tmp_path, SESSIONS)
    lake.register([SESSIONS])
    spark.sql(
        f"UPDATE {SESSIONS} SET title = 'B', status = 'archived', updated_at = '2026-02-01' WHERE id = 'archived'"
    )
    spark.sql(f"UPDATE {SESSIONS} SET title = 'B', engagement_score = 5 WHERE id = 'rated' OR id IS NULL")
    spark.sql(f"DELETE FROM {SESSIONS} WHERE id = 'gone'")
    newer = {**sessions["copied"], "school_id": "b", "created_at": NOW + timedelta(days=1)}
    write_table(tmp_path, SESSIONS, [newer], mode="append")
    now = PinnedSources.latest(lake, [SESSIONS])
    with Staging(lake, Run("test", "job", NOW)) as staging:
        changed = read_source_changes(now, staging, Baseline(Snapshot({SESSIONS: before}, NOW)), look_back_hours=1)
        followed = without_unread_changes(now, staging, changed)
        assert {row["id"] for row in followed.ids.collect()} == {"rated", "copied"}
        located = {row["id"] for row in followed.locations.collect()}
        assert located == {"rated", "copied", "gone", None}
        assert {row["id"] for row in followed.rows[SESSIONS].collect()} == {"rated", "copied", "gone"}


def test_when_a_row_was_made_is_told_by_its_contract_not_by_an_additional_column(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_table(tmp_path, SESSIONS, [])
    request = {"id": "early", "timestamp": NOW, "response_time_ms": 5}
    write_table(tmp_path, API_METRICS, [request], with_feed=True)
    lake, before = Lake(spark, LocalFolder(tmp_path)), version_of(tmp_path, API_METRICS)
    lake.register([SESSIONS, API_METRICS])
    spark.sql(f"ALTER TABLE {API_METRICS} ADD COLUMNS (created_at TIMESTAMP)")
    spark.sql(f"UPDATE {API_METRICS} SET response_time_ms = 7, created_at = timestamp + INTERVAL 2 HOURS")
    now = PinnedSources.latest(lake, [SESSIONS, API_METRICS])
    followed = Snapshot({SESSIONS: now.versions[SESSIONS], API_METRICS: before}, NOW)
    with Staging(lake, Run("test", "job", NOW)) as staging:
        changed = read_source_changes(now, staging, Baseline(followed), look_back_hours=1)
        subset, _ = rows_for_changes(now, staging, changed)
        assert [row["id"] for row in subset.rows[API_METRICS].collect()] == ["early"]
