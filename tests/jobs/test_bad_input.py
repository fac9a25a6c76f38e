"""What a user can get wrong: one sentence, the right exit status, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

import pyspark
import pytest
from pyspark.sql import SparkSession

from expectations.contract import BrokenContractFileError
from jobs import dashboard_metrics_hourly, spark_session, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.commands import cli
from jobs.errors import UsageError
from jobs.exit_status import exit_status_of
from jobs.failures import OutsideError, explained
from jobs.lake import Lake
from jobs.logs import set_up_logs
from jobs.network import answers
from jobs.settings import load_settings
from jobs.spark_session import check_spark_home
from jobs.storage import LocalFolder
from tests.delta_io import load_schemas, read_table, write_table
from tests.lakehouses import HOURLY, copy_of_example, reject, rows_of, version_of
from transforms.catalog import QUARANTINE

Captured = pytest.CaptureFixture[str]
WINDOW = ["--start", "2025-10-30", "--end", "2025-10-31"]


def files_of(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def status_of(main: Callable[[], None]) -> int:
    """The exit status of a command."""
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def answer(arguments: list[str], capsys: Captured, job: ModuleType = dashboard_metrics_hourly) -> tuple[int, str]:
    """The job's exit status and its last line on stderr."""
    status = status_of(lambda: job.main(arguments))
    return status, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start", "2025-01-02", "--end", "2025-01-01"], "--end (2025-01-01T00:00Z) must be after --start"),
        (["--start", "2025-01-02", "--end", "2025-01-02"], "--end (2025-01-02T00:00Z) must be after --start"),
        (["--start", "yesterday"], "--start is not an ISO 8601 date or time: 'yesterday'."),
        (["--end", "2025-13-01"], "--end is not an ISO 8601 date or time: '2025-13-01'."),
        (["--sart", "2025-01-01"], "Unrecognized arguments: --sart 2025-01-01."),
        (["--start"], "Argument --start: expected one argument."),
        (["--start", "1899-12-31"], "--start must be from 1900-01-01 to 9999-01-01: '1899-12-31'."),
        (["--start", "9999-01-02"], "--start must be from 1900-01-01 to 9999-01-01: '9999-01-02'."),
        (["--end", "1899-12-31"], "--end must be from 1900-01-01 to 9999-01-01: '1899-12-31'."),
        (["--start", "0001-01-01T00:00:00+05:00"], "--start must be from 1900-01-01 to 9999-01-01: '0001-01-01T00"),
        (["--lakehouse", ""], "--lakehouse names no folder."),
        (["--period", "day"], "Unrecognized arguments: --period day."),
        (["--catalog", "classwaves"], "Give --lakehouse or --catalog, not both."),
    ],
)
def test_a_wrong_call_ends_with_2(arguments: list[str], sentence: str, tmp_path: Path, capsys: Captured) -> None:
    status, last_line = answer(["--lakehouse", str(tmp_path), *arguments], capsys)
    assert (status, list(tmp_path.iterdir())) == (2, [])
    assert last_line.startswith(sentence)


def test_a_wrong_call_of_the_other_jobs_ends_with_2(tmp_path: Path, capsys: Captured) -> None:
    place, day = ["--lakehouse", str(tmp_path)], ["--start", "2025-01-02", "--end", "2025-01-02"]
    assert answer([*place, "--period", "year"], capsys, teacher_prompt_effectiveness) == (
        2,
        "Argument --period: invalid choice: 'year' (choose from 'day', 'week', 'month').",
    )
    for job in (teacher_analytics_summary, teacher_prompt_effectiveness):
        status, last_line = answer([*place, *day], capsys, job)
        assert (status, list(tmp_path.iterdir())) == (2, [])
        assert last_line.startswith("--end (2025-01-02T00:00Z) must be after --start")


def test_a_lakehouse_that_is_not_there_ends_with_2(tmp_path: Path, capsys: Captured) -> None:
    missing = tmp_path / "missing"
    assert answer(["--lakehouse", str(missing)], capsys) == (2, f"The lakehouse folder {missing} does not exist.")


def test_a_catalog_that_is_not_there_ends_with_2(spark: SparkSession, capsys: Captured) -> None:
    assert answer(["--catalog", "nowhere"], capsys) == (
        2,
        "The catalog nowhere does not exist or may not be used; for a local folder use --lakehouse DIR.",
    )
    assert spark.catalog.currentCatalog() == "spark_catalog"


def test_a_folder_that_cannot_be_written_ends_with_2(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere: permissions do not stop it
    assert answer(["--lakehouse", str(tmp_path)], capsys) == (2, f"The lakehouse folder {tmp_path} cannot be written.")


def test_what_only_looks_needs_no_folder_that_can_be_written(
    spark: SparkSession, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    for arguments in (["show", HOURLY], ["quarantine"], ["report", "--out", str(tmp_path / "report.html")]):
        monkeypatch.setattr("sys.argv", ["classwaves", *arguments, "--lakehouse", str(tmp_path)])
        assert status_of(cli.main) == 2
        assert " yet: run " in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_file_is_no_lakehouse(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "lake.zip"
    file.touch()
    assert answer(["--lakehouse", str(file)], capsys) == (2, f"The lakehouse {file} is a file: a folder is needed.")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SPARK_HOME", "/nowhere", "SPARK_HOME names no Spark: /nowhere. Unset it: the package brings its own."),
        ("SPARK_REMOTE", "nonsense", "SPARK_REMOTE is not the address of a Spark Connect server."),
        # Spark's client would try for ten minutes. The port is reserved, so nobody listens on it.
        ("SPARK_REMOTE", "sc://127.0.0.1:1", "No Spark Connect server answers at the address in SPARK_REMOTE."),
    ],
)
def test_an_environment_that_names_no_spark_ends_with_2(name: str, value: str, sentence: str, tmp_path: Path) -> None:
    environment = {key: text for key, text in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_"))}
    command = [sys.executable, "-m", "jobs.commands.cli", "quarantine", "--lakehouse", str(tmp_path)]
    ended = subprocess.run(command, env={**environment, name: value}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.strip().splitlines()) == (2, [sentence])


def test_what_is_behind_a_proxy_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert answers("127.0.0.1", 1)


def test_a_spark_of_another_release_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "spark"
    for file in (other / "bin" / "spark-submit", other / "jars" / "spark-core_2.12-3.5.1.jar"):
        file.parent.mkdir(parents=True)
        file.touch()
    monkeypatch.setenv("SPARK_HOME", str(other))
    with pytest.raises(UsageError, match=r"^SPARK_HOME is not Spark \d"):
        check_spark_home()
    monkeypatch.setenv("SPARK_HOME", str(Path(pyspark.__file__).parent))
    check_spark_home()


def test_without_spark_the_command_line_says_what_to_install() -> None:
    script = "import sys; sys.modules['pyspark'] = None; from jobs.console_script import main; main()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "Spark is not installed: install the package with its extra, classwaves-analytics[local].\n"


def test_a_timeout_within_spark_is_not_put_down_to_storage() -> None:
    error = RuntimeError("Could not execute broadcast in 300 secs: Futures timed out after [300 seconds]")
    assert explained(error) is error


def test_without_its_client_workspace_commands_say_what_to_install() -> None:
    script = "import sys; sys.modules['databricks'] = None; from jobs.commands.cli import main; main()"
    command = [sys.executable, "-c", script, "workspace", "runs"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.endswith("install the package with its extra, classwaves-analytics[workspace].\n")


@pytest.mark.parametrize("command", ["run", "backfill"])
def test_options_before_the_job_are_pointed_out(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("sys.argv", ["classwaves", command, "--lakehouse", "demo", "dashboard_metrics_hourly"])
    assert status_of(cli.main) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("Name the job before its options: --lakehouse ")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "java.io.IOException: Mkdirs failed to create file:/lake/quality/runs/_delta_log",
            "Permission was denied for quality.runs: grant it and run again.",
        ),
        (
            "java.io.FileNotFoundException: /lake/quality/runs/x.parquet (Read-only file system)",
            "Permission was denied for quality.runs: grant it and run again.",
        ),
        (
            "Job aborted due to stage failure: java.lang.OutOfMemoryError: Java heap space",
            "Spark ran out of memory: give it more (spark.driver.memory in conf/spark.properties), "
            "or run a shorter window.",
        ),
        (
            "Job aborted: s3a://lake/quality/runs/x.parquet: The provided token has expired (Status Code: 403)",
            "Storage did not answer, or denied access for quality.runs: run again once it does.",
        ),
        (
            "Job aborted: Unable to execute HTTP request: Read timed out",
            "Storage did not answer, or denied access: run again once it does.",
        ),
        (
            "[FAILED_READ_FILE.NO_HINT] s3a://x.parquet. Caused by: java.net.SocketTimeoutException: Read timed out",
            "Storage did not answer, or denied access: run again once it does.",
        ),
    ],
)
def test_what_a_machine_denies_is_told_in_a_sentence(message: str, sentence: str) -> None:
    told = explained(RuntimeError(message))
    assert isinstance(told, OutsideError)
    assert str(told) == sentence


def test_a_broken_contract_file_is_a_wrong_configuration() -> None:
    told = explained(BrokenContractFileError("The contract quality.runs cannot be read: kind: Field required"))
    assert isinstance(told, UsageError)
    assert str(told) == "The contract quality.runs cannot be read: kind: Field required."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEEP_CHECKS_DAYS", "1000000"),
        ("DRIFT_TOLERANCE", "inf"),
        ("LOOK_BACK_HOURS", "100000000"),
        ("VACUUM_RETAIN_HOURS", "1e9"),
        ("TRANSCRIPTION_USD_PER_MINUTE", "inf"),
        ("ANALYSIS_USD_PER_SECOND", "nan"),
    ],
)
def test_a_setting_beyond_all_reason_is_wrong(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CLASSWAVES_{name}", value)
    with pytest.raises(UsageError, match=f"The setting CLASSWAVES_{name} is wrong: "):
        load_settings()


def test_logs_that_nobody_reads_stop_nothing(tmp_path: Path) -> None:
    """`classwaves run … 2>&1 | grep -m1 published` must not end a run between two commits."""
    script = (
        "from jobs.logs import log, set_up_logs; from jobs.exit_status import exit_status_of; set_up_logs()\n"
        f"def work():\n for n in range(9): log.info('on', n=n)\n open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "raise SystemExit(exit_status_of(work))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([sys.executable, "-c", script], stderr=writing, check=False)
    assert (ended.returncode, (tmp_path / "done").exists()) == (0, True)


def test_a_failure_whose_results_nobody_reads_is_a_failure() -> None:
    def refused() -> str:
        try:
            raise UsageError("No.")
        finally:
            raise BrokenPipeError

    assert exit_status_of(refused) == 2


def test_an_empty_setting_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DOCS_DIR", "OPENLINEAGE_FILE", "MAX_SESSION_HOURS"):
        monkeypatch.setenv(f"CLASSWAVES_{name}", "")
    settings = load_settings()
    assert (settings.data_docs_dir, settings.openlineage_file, settings.max_session_hours) == (None, None, 24)


def test_a_wrong_setting_ends_with_2(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSWAVES_MAX_SESSION_HOURS", "many")
    status, last_line = answer(["--lakehouse", str(tmp_path)], capsys)
    assert status == 2
    assert last_line.startswith("The setting CLASSWAVES_MAX_SESSION_HOURS is wrong")


@pytest.mark.parametrize(
    ("java", "sentence"),
    [(None, "Java was not found: install Java 17"), (11, "Java 11 is too old for Spark: install Java 17")],
)
def test_java_missing_or_too_old_is_said(java: int | None, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_session, "java_major_version", lambda: java)
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    with pytest.raises(UsageError, match=sentence):
        spark_session.open_session("tests")


def test_the_version_of_java_is_read_off_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert spark_session.java_major_version() == 8
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert spark_session.java_major_version() is None


PERSONAL = "Ada Lovelace said hello"


def test_an_error_of_ours_ends_with_1_and_shows_no_data(capsys: Captured) -> None:
    def broken() -> str:
        raise ValueError(PERSONAL)

    set_up_logs()
    assert exit_status_of(broken) == 1
    *logged, last_line = capsys.readouterr().err.strip().splitlines()
    assert last_line == "The command failed unexpectedly: ValueError; the log above has the details."
    stack = "".join(logged)
    assert "ValueError" in stack
    assert "in broken" in stack
    assert PERSONAL not in stack


def test_an_interrupted_job_ends_with_1_and_one_sentence(capsys: Captured) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    assert exit_status_of(interrupted) == 1
    assert capsys.readouterr().err == "The command was interrupted.\n"


@pytest.fixture
def lakehouse(tmp_path: Path) -> Path:
    return copy_of_example(tmp_path / "lake")


def refusal(lakehouse: Path, capsys: Captured) -> str:
    """The last line of a run that ends with 4 and writes nothing."""
    before = files_of(lakehouse)
    status, last_line = answer(["--lakehouse", str(lakehouse), *WINDOW], capsys)
    assert status == 4
    assert files_of(lakehouse) == before
    return last_line


def test_a_required_table_that_is_absent_ends_with_4(spark: SparkSession, lakehouse: Path, capsys: Captured) -> None:
    shutil.rmtree(lakehouse / "sessions" / "transcriptions")
    assert refusal(lakehouse, capsys) == "The required table sessions.transcriptions is absent."


def test_columns_that_are_absent_or_of_another_type_end_with_4(
    spark: SparkSession, lakehouse: Path, capsys: Captured
) -> None:
    table = "sessions.transcriptions"
    shutil.rmtree(lakehouse / "sessions" / "transcriptions")
    columns = [["id", "string"], ["session_id", "string"], ["start_time", "timestamp"], ["end_time", "string"]]
    write_table(lakehouse, table, [{"id": "t-1"}], {table: columns})
    output = refusal(lakehouse, capsys)
    assert output.startswith("The table sessions.transcriptions breaks its contract: ")
    assert "column end_time is string instead of timestamp" in output
    assert "column duration_seconds is absent" in output
    assert "start_time" not in output


def test_a_target_with_a_foreign_schema_ends_with_4(spark: SparkSession, lakehouse: Path, capsys: Captured) -> None:
    write_table(lakehouse, HOURLY, [{"id": "x", "mood": "good"}], {HOURLY: [["id", "string"], ["mood", "string"]]})
    output = refusal(lakehouse, capsys)
    assert output.startswith(f"The table {HOURLY} breaks its contract: column school_id is absent")
    assert output.endswith("column mood is not in the contract.")


def test_a_target_of_an_older_release_ends_with_4_and_names_what_adds_the_column(
    spark: SparkSession, lakehouse: Path, capsys: Captured
) -> None:
    columns = load_schemas()[HOURLY]
    write_table(lakehouse, HOURLY, [], {HOURLY: columns[:-1]})
    assert refusal(lakehouse, capsys) == (
        f"The table {HOURLY} breaks its contract: column {columns[-1][0]} is absent; "
        f"`classwaves add-columns {HOURLY}` adds what is absent."
    )


@pytest.mark.parametrize(
    "arguments", [["show", HOURLY, "--json"], ["explain", HOURLY, "school-1", "2025-09-01T10:00Z"]]
)
def test_a_look_at_a_target_of_an_older_release_ends_with_4(
    spark: SparkSession, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    columns = load_schemas()[HOURLY]
    write_table(tmp_path, HOURLY, [], {HOURLY: columns[:-1]})
    status, last_line = command([*arguments, "--lakehouse", str(tmp_path)], monkeypatch, capsys)
    assert status == 4
    assert last_line.endswith(f"`classwaves add-columns {HOURLY}` adds what is absent.")


def test_a_corrupt_delta_log_ends_with_4(spark: SparkSession, lakehouse: Path, capsys: Captured) -> None:
    log = lakehouse / "analytics" / "session_events" / "_delta_log" / f"{0:020}.json"
    log.write_text('{"commitInfo": ', encoding="utf-8")
    assert refusal(lakehouse, capsys).startswith("The table analytics.session_events cannot be read")


def test_an_optional_table_may_be_absent(spark: SparkSession, lakehouse: Path, capsys: Captured) -> None:
    long_ago = datetime(2025, 1, 1, tzinfo=timezone.utc)
    reject(Lake(spark, LocalFolder(lakehouse)), "sessions.participants", ["p-1"], "run-1", long_ago)
    for table in ("participants", "student_groups"):
        shutil.rmtree(lakehouse / "sessions" / table)
    status, last_line = answer(["--lakehouse", str(lakehouse), *WINDOW], capsys)
    assert (status, last_line[:34]) == (0, "analytics.dashboard_metrics_hourly")
    rows = read_table(lakehouse / "analytics" / "dashboard_metrics_hourly")
    assert len(rows) > 5
    assert {(row["students_active"], row["total_groups"]) for row in rows} == {(0, 0)}
    assert version_of(lakehouse, "sessions.participants") == -1
    (rejected,) = (row for row in rows_of(lakehouse, QUARANTINE) if row["row_key"] == "p-1")
    assert rejected["resolved_at"] is not None


def command(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> tuple[int, str]:
    """The command line's exit status and its last line on stderr."""
    monkeypatch.setattr("sys.argv", ["classwaves", *arguments])
    status = status_of(cli.main)
    return status, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["run", "dashboard_metrics_hourl"],
            "There is no job dashboard_metrics_hourl: did you mean dashboard_metrics_hourly?",
        ),
        (["show", "analytics.dashboard_metric"], "There is no table analytics.dashboard_metric: did you mean"),
        (["show", HOURLY, "--columns", "total_eror"], "There is no column that may be shown in"),
        (
            ["show", "users.students", "--columns", "email"],
            "There is no column that may be shown in users.students named",
        ),
        (["quarantine", "--rows", "3"], "No such option: --rows"),
        (["shwo"], "No such command 'shwo'."),
        (["show", HOURLY, "--lakehouse", "x", "--catalog", "y"], "Give --lakehouse or --catalog, not both."),
        (["sample", "--lakehouse", "/dev/null/x"], "The lakehouse folder /dev/null/x cannot be created"),
        (["sample", "--lakehouse", ""], "--lakehouse names no folder."),
        (["show", HOURLY, "--lakehouse", ""], "--lakehouse names no folder."),
    ],
)
def test_a_wrong_command_ends_with_2_and_suggests(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    status, last_line = command(arguments, monkeypatch, capsys)
    assert status == 2
    assert last_line.startswith(sentence)


def test_a_command_that_is_interrupted_does_not_end_with_0(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "open_lake", interrupted)
    assert command(["quarantine"], monkeypatch, capsys) == (1, "The command was interrupted.")


def test_a_sample_never_overwrites_tables_unasked(
    lakehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    before = files_of(lakehouse)
    status, last_line = command(["sample", "--lakehouse", str(lakehouse)], monkeypatch, capsys)
    assert (status, files_of(lakehouse)) == (2, before)
    assert "give --overwrite to replace them" in last_line


def test_a_full_disk_under_the_logs_stops_nothing() -> None:
    script = (
        "from jobs.logs import log, set_up_logs; from jobs.exit_status import exit_status_of; set_up_logs();"
        "log.info('published'); print('went on'); raise SystemExit(exit_status_of(lambda: 'done'))"
    )
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", script]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "went on\n")


def test_logs_are_json_elsewhere_than_on_a_terminal(capsys: Captured) -> None:
    assert status_of(lambda: dashboard_metrics_hourly.main(["--lakehouse", "/nowhere"])) == 2
    capsys.readouterr()
    from jobs.logs import log, set_up_logs

    set_up_logs()
    log.info("run", run_id="r-1")
    assert json.loads(capsys.readouterr().err)["run_id"] == "r-1"
