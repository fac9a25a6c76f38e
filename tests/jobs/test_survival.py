"""What can happen to a run and its tables: each ends in a clear error or in a correct result."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from expectations.gate import Verdict
from jobs import teacher_prompt_effectiveness
from jobs.backfill import backfill, chunks_of, read_chunk_length
from jobs.errors import GateRefusedError
from jobs.execution import pinned_sources, verdicts
from jobs.execution.job_run import run_with_retries
from jobs.execution.run import Run
from jobs.execution.staging import Staging, drop_left_behind
from jobs.execution.validation_results import data_docs
from jobs.failures import OutsideError, says_gone
from jobs.job import Call
from jobs.lake import Lake
from jobs.provenance import Snapshot
from jobs.settings import Settings
from jobs.storage import LocalFolder
from tests.delta_io import read_lake, write_lake, write_table
from tests.lakehouses import EFFECTIVENESS, differences, rows_of, run, value_columns, version_of
from tests.messy_lakehouse import messy_tables
from tests.oracle import prompts
from transforms.catalog import PROMPTS

JOB = teacher_prompt_effectiveness.JOB
WINDOW = ("2025-10-27", "2025-11-10")
NOW = datetime(2026, 1, 1, 12, 30, tzinfo=timezone.utc)

Row = dict[str, Any]
Tables = dict[str, list[Row]]


def over_window(lakehouse: Path) -> Call:
    """A call of the job over the window."""
    return Call(lakehouse=lakehouse, start=WINDOW[0], end=WINDOW[1], period="week")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    """The two sources of prompt effectiveness, and nothing of ours."""
    tables = {
        name: rows
        for name, rows in messy_tables(8, sessions=60).items()
        if name in (PROMPTS, "sessions.classroom_sessions")
    }
    folder = tmp_path_factory.mktemp("pristine") / "lake"
    write_lake(folder, tables)
    return folder, tables


@pytest.fixture
def lakehouse(pristine: tuple[Path, Tables], tmp_path: Path) -> Path:
    """A copy of the sources."""
    return Path(shutil.copytree(pristine[0], tmp_path / "lake"))


def wrong(lakehouse: Path, tables: Tables, start: str, end: str) -> list[str]:
    """Where the weeks of the window differ from what the oracle makes of the sources."""
    first, last = (datetime.fromisoformat(text).date() for text in (start, end))
    return differences(
        rows_of(lakehouse, EFFECTIVENESS), prompts.rows(tables, first, last, "week"), value_columns(EFFECTIVENESS)
    )


def at(name: str, act: Callable[[], object]) -> Callable[[str], None]:
    """A phase callback that acts when the run comes to that phase."""

    def callback(phase: str) -> None:
        if phase == name:
            act()

    return callback


def parquet_files(lakehouse: Path, table: str) -> list[Path]:
    return sorted(lakehouse.joinpath(*table.split(".")).glob("*.parquet"))


def nothing_of_ours(lakehouse: Path) -> bool:
    """Whether no target and no staging table is there."""
    staging = list((lakehouse / "quality").glob("staging_*"))
    return version_of(lakehouse, EFFECTIVENESS) == -1 and staging == []


def test_a_session_gets_its_settings_back(spark: SparkSession, lakehouse: Path) -> None:
    before = dict(spark.conf.getAll)
    within: dict[str, str] = {}
    run(spark, lakehouse, JOB, *WINDOW, dry_run=True, phase=at("gate", lambda: within.update(spark.conf.getAll)))
    after = dict(spark.conf.getAll)
    of_spark = [name for name in before if name.startswith("spark.sql.")]  # others say, for one, which folder is open
    assert {name: after.get(name) for name in of_spark} == {name: before[name] for name in of_spark}
    assert {name for name in of_spark if within[name] != before[name]} >= {"spark.sql.shuffle.partitions"}


def test_a_dry_run_shows_what_would_change_and_writes_nothing(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables]
) -> None:
    _, tables = pristine
    rehearsed = run(spark, lakehouse, JOB, *WINDOW, dry_run=True)
    assert sorted(path.parent.name for path in lakehouse.glob("*/*/_delta_log")) == sorted(
        n.split(".")[1] for n in tables
    )
    first = run(spark, lakehouse, JOB, *WINDOW)
    assert (
        rehearsed.changes[EFFECTIVENESS].new
        == first.changes[EFFECTIVENESS].new
        == len(rows_of(lakehouse, EFFECTIVENESS))
        > 10
    )
    published = rows_of(lakehouse, EFFECTIVENESS)
    versions = {table: version_of(lakehouse, table) for table in read_lake(lakehouse)}
    changed = [row | {"used_at": None, "dismissed_at": None} for row in tables[PROMPTS]]
    write_table(lakehouse, PROMPTS, changed)
    again = run(spark, lakehouse, JOB, *WINDOW, dry_run=True).changes[EFFECTIVENESS]
    assert again.changed > 5
    assert (again.new, again.gone) == (0, 0)
    assert {"total_used", "total_dismissed", "usage_rate"} <= set(again.columns)
    assert again.columns["total_used"] <= again.changed
    assert "total_generated" not in again.columns
    assert rows_of(lakehouse, EFFECTIVENESS) == published
    assert {t: version_of(lakehouse, t) for t in versions} == versions | {PROMPTS: versions[PROMPTS] + 1}


def test_a_backfill_is_done_in_chunks_and_goes_on_where_it_was(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, settings = Lake(spark, LocalFolder(lakehouse)), Settings()
    call = over_window(lakehouse)
    calls = chunks_of(JOB, call, read_chunk_length("7d"), NOW)
    assert (calls[0].start, calls[0].end) == ("2025-10-27T00:00:00+00:00", "2025-11-03T00:00:00+00:00")
    assert len(calls) == 2
    first = next(backfill(JOB, calls, lake, settings))  # and then the engineer's machine went to sleep
    assert first.outcome is not None
    resumed = list(backfill(JOB, calls, lake, settings))
    assert [chunk.outcome is None for chunk in resumed] == [True, False]
    monkeypatch.setattr("jobs.lake.MAX_COMMITS", 1)  # that are looked at first
    assert [chunk.outcome is None for chunk in backfill(JOB, calls, lake, settings)] == [True, True]
    assert wrong(lakehouse, pristine[1], *WINDOW) == []


@pytest.mark.long
def test_a_chunk_that_was_undone_is_done_again(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables]
) -> None:
    lake, settings = Lake(spark, LocalFolder(lakehouse)), Settings()
    calls = chunks_of(JOB, over_window(lakehouse), read_chunk_length("7d"), NOW)
    assert [chunk.outcome is None for chunk in backfill(JOB, calls, lake, settings)] == [False, False]
    lake.spark.sql(f"RESTORE TABLE {EFFECTIVENESS} TO VERSION AS OF 1")
    assert [chunk.outcome is None for chunk in backfill(JOB, calls[:1], lake, settings)] == [False]
    lake.drop(EFFECTIVENESS)  # the log of runs still says that all is done
    assert [chunk.outcome is None for chunk in backfill(JOB, calls, lake, settings)] == [False, False]
    assert wrong(lakehouse, pristine[1], *WINDOW) == []


@pytest.mark.long
def test_a_backfill_stops_at_the_first_refused_chunk_and_names_it(spark: SparkSession, lakehouse: Path) -> None:
    lake, settings = Lake(spark, LocalFolder(lakehouse)), Settings()
    calls = chunks_of(JOB, over_window(lakehouse), read_chunk_length("7d"), NOW)
    assert len(list(backfill(JOB, calls, lake, settings))) == 2
    kept = rows_of(lakehouse, EFFECTIVENESS)
    write_table(lakehouse, PROMPTS, [])
    with pytest.raises(GateRefusedError, match=r"stopped at 2025-10-27.* to 2025-11-03.*: The gate refused"):
        list(backfill(JOB, calls, lake, settings))
    assert rows_of(lakehouse, EFFECTIVENESS) == kept


@pytest.mark.long
def test_a_source_that_is_rewritten_under_a_run_is_read_as_it_was(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables]
) -> None:
    run(spark, lakehouse, JOB, *WINDOW, phase=at("read", lambda: write_table(lakehouse, PROMPTS, [])))
    assert wrong(lakehouse, pristine[1], *WINDOW) == []


def test_a_source_that_is_vacuumed_under_a_run_is_said_and_nothing_is_written(
    spark: SparkSession, lakehouse: Path
) -> None:
    def vacuum() -> None:
        for file in parquet_files(lakehouse, PROMPTS):
            file.unlink()

    with pytest.raises(OutsideError, match=rf"^A file of {PROMPTS} cannot be read"):
        run(spark, lakehouse, JOB, *WINDOW, phase=at("read", vacuum))
    assert nothing_of_ours(lakehouse)
    (entry,) = rows_of(lakehouse, "users.analytics_job_metadata")
    assert entry["status"] == "failed"
    assert PROMPTS in entry["error_message"]


@pytest.mark.long
def test_a_half_written_file_of_a_source_is_said(spark: SparkSession, lakehouse: Path) -> None:
    (file,) = parquet_files(lakehouse, PROMPTS)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OutsideError, match=rf"^A file of {PROMPTS} cannot be read"):
        run(spark, lakehouse, JOB, *WINDOW)
    file.write_bytes(whole)
    assert run(spark, lakehouse, JOB, *WINDOW).changes[EFFECTIVENESS].new > 10


@pytest.mark.long
def test_a_constraint_on_our_table_is_named(spark: SparkSession, lakehouse: Path) -> None:
    run(spark, lakehouse, JOB, WINDOW[0], "2025-11-03")
    spark.sql(f"ALTER TABLE {EFFECTIVENESS} ADD CONSTRAINT c CHECK (calculation_period_start < '2025-11-01')")
    with pytest.raises(OutsideError, match=rf"^A constraint of {EFFECTIVENESS} refuses rows: drop it and run again\.$"):
        run(spark, lakehouse, JOB, *WINDOW)


def test_a_disk_that_is_full_while_the_gate_checks_is_no_refusal(
    spark: SparkSession, lakehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_room(staged: DataFrame, *_: object) -> DataFrame:
        return staged.withColumn("id", F.raise_error(F.lit("No space left on device: Ada")).cast("string"))

    monkeypatch.setattr(verdicts, "prepared", without_room)
    with pytest.raises(OutsideError, match=r"^There is no room left to write"):
        run(spark, lakehouse, JOB, *WINDOW)
    assert nothing_of_ours(lakehouse)
    (entry,) = rows_of(lakehouse, "users.analytics_job_metadata")
    assert (entry["status"], "Ada" in entry["error_message"]) == ("failed", False)


def test_a_window_is_emptied_where_the_call_allows_it(spark: SparkSession, lakehouse: Path) -> None:
    monday = datetime(2025, 10, 27, tzinfo=timezone.utc)
    row = {"id": "1", "calculation_period_start": monday, "calculation_period_end": monday + timedelta(weeks=1)}
    schema = {EFFECTIVENESS: [[column.name, column.type] for column in contract_of(EFFECTIVENESS).columns]}
    write_table(lakehouse, EFFECTIVENESS, [row], schema)
    write_table(lakehouse, PROMPTS, [])
    assert run(spark, lakehouse, JOB, *WINDOW, allow_empty=True).changes[EFFECTIVENESS].gone == 1
    assert rows_of(lakehouse, EFFECTIVENESS) == []


def jvm_of(spark: SparkSession) -> int:
    gateway: Any = spark.sparkContext._gateway
    return int(gateway.proc.pid)


@pytest.fixture
def small_files_only(spark: SparkSession) -> Iterator[Callable[[], object]]:
    """Lets the JVM write no file of more than some kilobytes: to it as good as a full disk."""
    before = resource.prlimit(jvm_of(spark), resource.RLIMIT_FSIZE)
    yield lambda: resource.prlimit(jvm_of(spark), resource.RLIMIT_FSIZE, (3000, before[1]))
    resource.prlimit(jvm_of(spark), resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_the_next_run_makes_up_for_it(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables], small_files_only: Callable[[], object]
) -> None:
    before = resource.prlimit(jvm_of(spark), resource.RLIMIT_FSIZE)
    with pytest.raises(OutsideError, match=r"^There is no room left to write"):
        run(spark, lakehouse, JOB, *WINDOW, phase=at("transform", small_files_only))
    resource.prlimit(jvm_of(spark), resource.RLIMIT_FSIZE, before)
    run(spark, lakehouse, JOB, *WINDOW)
    assert wrong(lakehouse, pristine[1], *WINDOW) == []


@pytest.mark.long
def test_after_a_restore_a_run_that_follows_makes_good_what_was_undone(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables]
) -> None:
    tables = pristine[1]
    run(spark, lakehouse, JOB, run_start=NOW)
    good = version_of(lakehouse, EFFECTIVENESS)
    session = next(row for row in tables["sessions.classroom_sessions"] if row["id"])
    late = {"id": "late", "session_id": session["id"], "generated_at": datetime(2025, 10, 29, tzinfo=timezone.utc)}
    write_table(lakehouse, PROMPTS, [late], mode="append")
    assert not run(spark, lakehouse, JOB, run_start=NOW + timedelta(hours=1)).is_unchanged
    published = rows_of(lakehouse, EFFECTIVENESS)
    spark.sql(f"RESTORE TABLE {EFFECTIVENESS} TO VERSION AS OF {good}")
    assert rows_of(lakehouse, EFFECTIVENESS) != published
    assert not run(spark, lakehouse, JOB, run_start=NOW + timedelta(hours=2)).is_unchanged
    assert differences(rows_of(lakehouse, EFFECTIVENESS), published, value_columns(EFFECTIVENESS)) == []


@pytest.mark.long
def test_what_another_run_publishes_while_this_one_pins_stays(
    spark: SparkSession, lakehouse: Path, pristine: tuple[Path, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one has pinned older sources: it is superseded, which is no failure, and starts again."""
    pin, changed = pinned_sources.pin, [row | {"used_at": None} for row in pristine[1][PROMPTS]]

    def pin_and_be_superseded(lake: Lake, names: tuple[str, ...], run_start: datetime) -> Snapshot:
        pinned = pin(lake, names, run_start)
        monkeypatch.setattr(pinned_sources, "pin", pin)
        write_table(lakehouse, PROMPTS, changed)
        run(spark, lakehouse, JOB, *WINDOW)
        return pinned

    monkeypatch.setattr(pinned_sources, "pin", pin_and_be_superseded)
    call = over_window(lakehouse)
    begun = Run.begin(JOB.rollup_of(call).job_name)
    assert run_with_retries(JOB, call, Lake(spark, LocalFolder(lakehouse)), begun, Settings()).is_unchanged
    assert wrong(lakehouse, pristine[1] | {PROMPTS: changed}, *WINDOW) == []
    assert [row["status"] for row in rows_of(lakehouse, "users.analytics_job_metadata")] == ["succeeded"]
    assert [row["status"] for row in rows_of(lakehouse, "quality.runs")] == ["succeeded"] * 2


@pytest.mark.long
def test_files_that_are_compacted_behind_a_commit_do_not_hide_it(spark: SparkSession, lakehouse: Path) -> None:
    compacting = {"enabled": "true", "minNumFiles": "2"}
    for name, value in compacting.items():
        spark.conf.set(f"spark.databricks.delta.autoCompact.{name}", value)
    try:
        changes = run(spark, lakehouse, JOB, *WINDOW).changes[EFFECTIVENESS]
    finally:
        for name in compacting:
            spark.conf.unset(f"spark.databricks.delta.autoCompact.{name}")
    operations = [commit.operation for commit in Lake(spark, LocalFolder(lakehouse)).commits(EFFECTIVENESS)]
    assert operations[0] == "OPTIMIZE"
    assert (changes.new, changes.unchanged) == (len(rows_of(lakehouse, EFFECTIVENESS)), 0)


def test_a_staging_table_that_cannot_be_dropped_hides_nothing(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, LocalFolder(tmp_path))
    staging = Staging(lake, Run("run", "job", NOW))
    for name in ("first", "second"):
        staging.write(name, spark.range(1))
    first, second = sorted((tmp_path / "quality").glob("staging_*"))
    spark.sql(f"DROP TABLE quality.{first.name}")
    spark.sql(f"CREATE VIEW quality.{first.name} AS SELECT 1")  # which DROP TABLE refuses
    with pytest.raises(GateRefusedError, match="refused"), staging:
        raise GateRefusedError("refused")
    assert (first.exists(), second.exists()) == (True, False)
    assert drop_left_behind(lake, NOW + timedelta(days=2)) == []
    spark.sql(f"DROP VIEW quality.{first.name}")
    assert drop_left_behind(lake, NOW + timedelta(days=2)) == [f"quality.{first.name}"]


def test_a_table_that_cannot_be_looked_for_is_not_absent(spark: SparkSession, tmp_path: Path) -> None:
    log_folder = tmp_path / "analytics" / "session_events" / "_delta_log"
    log_folder.parent.mkdir(parents=True)
    log_folder.symlink_to(log_folder)
    with pytest.raises(OSError, match="symbolic links"):
        LocalFolder(tmp_path).exists("analytics.session_events")


class Refusing(LocalFolder):
    """A place that answers as Unity Catalog does to those who may not read a table, or as storage that is away."""

    answer = "[INSUFFICIENT_PERMISSIONS] Table '`sessions`.`transcriptions`'"

    def latest_version(self, table: str) -> int:
        raise RuntimeError(self.answer)

    def register(self, spark: SparkSession, tables: Iterable[str]) -> None:
        self.latest_version("")


def test_storage_that_does_not_answer_is_no_broken_contract(spark: SparkSession, tmp_path: Path) -> None:
    place = Refusing(tmp_path)
    place.answer = "Unable to execute HTTP request: Read timed out"
    with pytest.raises(OutsideError) as told:
        Lake(spark, place).version("sessions.transcriptions")
    assert str(told.value) == f"The Delta log of sessions.transcriptions cannot be read: {place.answer}"
    assert told.value.exit_status == 1


def test_a_table_that_may_not_be_read_is_not_broken(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, Refusing(tmp_path))
    looks: list[Callable[[], Any]] = [
        lambda: lake.version("sessions.transcriptions"),
        lambda: lake.register(["sessions.transcriptions"]),
    ]
    for look in looks:
        with pytest.raises(OutsideError) as told:
            look()
        assert str(told.value) == "Permission was denied for sessions.transcriptions: grant it and run again."


@pytest.mark.parametrize(
    ("message", "is_gone"),
    [
        ("[DELTA_MISSING_CHANGE_DATA] Error getting change data for range [2 , 2]", True),
        ("[DELTA_CHANGE_DATA_FILE_NOT_FOUND] gone\n\tat a.RpcTimeoutException.timed out(X.scala:503)", True),
        ("[FAILED_READ_FILE.NO_HINT] Encountered error while reading file s3://x", False),
        ("[FAILED_READ_FILE.FILE_NOT_EXIST] s3://x: Status Code: 503, SlowDown", False),
        ("DELTA_CONCURRENT_APPEND", False),
        ("[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file file:/x.parquet", True),
        ("[FAILED_READ_FILE.NO_HINT] /x.parquet: Permission denied", False),
        ("Job aborted due to stage failure: ExecutorLostFailure (executor 7 exited)", False),
    ],
)
def test_only_what_says_so_is_gone(message: str, is_gone: bool) -> None:
    assert says_gone(RuntimeError(message)) == is_gone


def test_pages_that_cannot_be_written_hold_nothing_up(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings().model_copy(update={"data_docs_dir": tmp_path / "file"})
    assert data_docs(Lake(spark, LocalFolder(tmp_path)), settings, Run("run", "job", NOW), Verdict(())) is None


@pytest.mark.long
def test_a_clock_that_goes_back_takes_nothing_away(spark: SparkSession, lakehouse: Path) -> None:
    run(spark, lakehouse, JOB, run_start=NOW)
    published = rows_of(lakehouse, EFFECTIVENESS)
    assert run(spark, lakehouse, JOB, run_start=NOW - timedelta(days=400)).is_unchanged
    assert rows_of(lakehouse, EFFECTIVENESS) == published
