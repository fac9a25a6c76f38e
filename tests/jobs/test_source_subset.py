"""Which rows of the sources an incremental run reads."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.incremental.source_changes import read_source_changes
from jobs.incremental.source_subset import changed_teachers
from jobs.incremental.watermark import Baseline
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.staging import Staging
from jobs.storage import LocalFolder
from tests.delta_io import write_table
from tests.lakehouses import version_of
from transforms.usable_rows import TEACHERS

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


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
    now = {TEACHERS: version_of(tmp_path, TEACHERS)}
    with Staging(lake, "test", NOW) as staging:
        changed = read_source_changes(
            lake, staging, Baseline(Snapshot({TEACHERS: before}, NOW)), now, look_back_hours=1
        )
        found = {row["teacher_id"] for row in changed_teachers(lake, now, changed).collect()}
    assert found == {"moves", "changes-school", "new"}
