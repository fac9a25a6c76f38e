"""What `classwaves doctor` finds: each check that can fail, made to fail by what it is there for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession

from expectations import contract
from jobs import spark_session
from jobs.commands import cli, doctor
from jobs.commands.doctor import Diagnosis, examined
from jobs.lake import Lake
from jobs.storage import LocalFolder
from tests.delta_io import load_schemas, write_lake, write_table
from tests.lakehouses import EFFECTIVENESS
from tests.messy_lakehouse import messy_tables
from transforms.catalog import PROMPTS


def the_only(check: str, lakehouse: Path | None = None) -> Diagnosis:
    (found,) = (diagnosis for diagnosis in examined(lakehouse) if diagnosis.check == check)
    return found


def told_by(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["classwaves", "doctor", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a cache of jars, on a machine on which nothing has started Spark."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(spark_session, "is_started_by_spark", lambda: False)
    return tmp_path


def java_that_says(version: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = home / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(home))


@pytest.mark.parametrize(
    ("version", "status"), [("1.8.0_292", "fail"), ("11.0.2", "fail"), ("17.0.9", "ok"), ("21", "warn"), ("25", "warn")]
)
def test_java_is_what_it_says_it_is(version: str, status: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java_that_says(version, home, monkeypatch)
    assert doctor.java().status == status


def test_no_java_is_a_wrong_configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert doctor.java() == Diagnosis("java", "fail", "no Java", "Install Java 17, or set JAVA_HOME to it.", True)


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 13, 0)])
def test_a_python_that_we_do_not_run_on_fails(version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert doctor.python().status == "fail"


def test_a_java_that_cannot_be_executed_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java_that_says("17", home, monkeypatch)
    (home / "bin" / "java").write_bytes(b"\x7fELF of another machine")
    assert doctor.java().found == "no Java"


@pytest.mark.usefixtures("home")
def test_a_spark_that_is_not_ours_is_told_beside_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/nowhere")
    assert doctor.java().found.startswith("SPARK_HOME names no Spark: /nowhere.")


@pytest.mark.usefixtures("home")
def test_memory_that_spark_does_not_understand_is_a_wrong_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_property", lambda name: "2.5g")
    found = doctor.memory()
    assert (found.status, found.is_configuration) == ("fail", True)
    assert found.found == "spark.driver.memory is 2.5g"


def test_a_jar_that_is_not_cached_is_warned_of(home: Path) -> None:
    missing = doctor.jar()
    assert (missing.status, "classwaves prepare" in missing.remedy) == ("warn", True)
    name = missing.found.split()[0]
    (home / ".ivy2.5.2" / "jars").mkdir(parents=True)
    (home / ".ivy2.5.2" / "jars" / name).touch()
    assert doctor.jar().status == "ok"


@pytest.mark.parametrize(("given", "status"), [("1m", "ok"), ("900t", "fail")])
def test_the_drivers_memory_must_be_there(given: str, status: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = home / "spark.properties"
    properties.write_text(f"spark.driver.memory   {given}\n", encoding="utf-8")
    monkeypatch.setattr(spark_session, "properties_file", lambda: properties)
    assert doctor.memory().status == status


def test_memory_that_others_use_is_warned_of(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "memory_of_machine", lambda: (64 * doctor.GB, 1 * doctor.GB))
    assert doctor.memory().status == "warn"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("gigabytes", "status"), [(0.5, "fail"), (3, "warn"), (50, "ok")])
def test_room_on_the_disk(gigabytes: float, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(folder: Path) -> Usage:
        return Usage(0, 0, int((gigabytes if folder == tmp_path else 100) * doctor.GB))

    monkeypatch.setattr("shutil.disk_usage", usage)
    assert doctor.disk(tmp_path).status == status
    assert doctor.disk().status == "ok"
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "which Spark" / "makes"))
    assert doctor.disk().status == status


def test_settings_that_are_wrong_or_mistyped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSWAVES_LOOK_BAK_HOURS", "12")
    assert the_only("settings").found == "CLASSWAVES_LOOK_BAK_HOURS is not a setting"
    monkeypatch.setenv("CLASSWAVES_MAX_SESSION_HOURS", "0")
    found = the_only("settings")
    assert (found.status, found.is_configuration) == ("fail", True)
    assert "CLASSWAVES_MAX_SESSION_HOURS" in found.found
    assert told_by([], monkeypatch) == 2


def test_a_broken_contract_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(table: str) -> Any:
        return (
            contract.read_contract("table: nonsense", table) if table == EFFECTIVENESS else contract.contract_of(table)
        )

    monkeypatch.setattr(doctor, "contract_of", broken)
    found = the_only("contracts")
    assert found.status == "fail"
    assert found.remedy == "Fix expectations/contracts/ai_insights/teacher_prompt_effectiveness.yaml."


def test_statuses_are_coloured_on_a_terminal_but_for_no_color(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert told_by([], monkeypatch) == 0
    assert "\x1b[32mok" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    told_by([], monkeypatch)
    assert "\x1b[32m" not in capsys.readouterr().out


def test_a_lakehouse_that_is_not_there_is_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told_by(["--lakehouse", str(tmp_path / "nowhere"), "--json"], monkeypatch) == 2
    captured = capsys.readouterr()
    last = json.loads(captured.out)[-1]
    assert (last["check"], last["status"]) == ("lakehouse", "fail")
    assert "does not exist" in last["found"]
    assert captured.err.strip().splitlines()[-1] == "A run would fail: see lakehouse above."


@pytest.fixture(scope="module")
def lakehouse(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources as they should be, one that lacks a column, and a required one that is absent."""
    folder = tmp_path_factory.mktemp("doctor")
    tables = messy_tables(3, sessions=10)
    write_lake(folder, {name: tables[name] for name in ("sessions.classroom_sessions", PROMPTS)})
    narrow = load_schemas()["audio.recordings"][:3]
    write_table(folder, "audio.recordings", [], {"audio.recordings": narrow})
    write_table(folder, EFFECTIVENESS, [], {EFFECTIVENESS: load_schemas()[EFFECTIVENESS][:-1]})
    return folder


def test_sources_and_targets_are_held_to_their_contracts(
    lakehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told_by(["--lakehouse", str(lakehouse), "--json"], monkeypatch) == 1
    captured = capsys.readouterr()
    diagnoses = json.loads(captured.out)
    failed = {diagnosis["found"]: diagnosis["remedy"] for diagnosis in diagnoses if diagnosis["status"] == "fail"}
    absent = [
        f"The required table {name} is absent." for name in ("analytics.session_events", "sessions.transcriptions")
    ]
    assert set(absent) < set(failed)
    (narrow,) = (found for found in failed if "audio.recordings breaks its contract" in found)
    assert "is absent" in narrow
    (target,) = (remedy for found, remedy in failed.items() if EFFECTIVENESS in found)
    assert target.startswith(f"`classwaves add-columns {EFFECTIVENESS}` adds absent columns")
    warned = [
        diagnosis["found"]
        for diagnosis in diagnoses
        if diagnosis["status"] == "warn" and diagnosis["check"] == "sources"
    ]
    assert "sessions.participants is absent" in warned
    assert "sessions.classroom_sessions" not in " ".join([*failed, *warned])
    assert captured.err.strip().splitlines()[-1] == "A run would fail: see sources, targets above."


def test_a_table_that_may_not_be_read_does_not_end_the_checks(
    lakehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register = LocalFolder.register

    def as_a_catalog_refuses(self: LocalFolder, spark: SparkSession, tables: Iterable[str]) -> None:
        names = list(tables)
        if PROMPTS in names:
            raise RuntimeError("[INSUFFICIENT_PERMISSIONS] Table '`ai_insights`.`teacher_guidance_metrics`'")
        register(self, spark, names)

    monkeypatch.setattr(LocalFolder, "register", as_a_catalog_refuses)
    assert told_by(["--lakehouse", str(lakehouse), "--json"], monkeypatch) == 1
    diagnoses = json.loads(capsys.readouterr().out)
    assert f"Permission was denied for {PROMPTS}: grant it and run again." in [each["found"] for each in diagnoses]
    assert diagnoses[-1]["check"] == "clock"


def test_a_log_that_cannot_be_listed_does_not_end_the_checks(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path.joinpath(*PROMPTS.split("."), "_delta_log")
    log.parent.mkdir(parents=True)
    log.symlink_to(log)
    assert told_by(["--lakehouse", str(tmp_path), "--json"], monkeypatch) == 1
    diagnoses = json.loads(capsys.readouterr().out)
    (found,) = (each["found"] for each in diagnoses if PROMPTS in each["found"])
    assert found.startswith(f"The Delta log of {PROMPTS} cannot be read: ")
    assert diagnoses[-1]["check"] == "clock"


def test_a_commit_in_the_future_tells_of_a_wrong_clock(spark: SparkSession, lakehouse: Path) -> None:
    lake = Lake(spark, LocalFolder(lakehouse))
    assert doctor.clock(lake).status == "ok"
    back = datetime.now(timezone.utc) - timedelta(days=2)
    found = doctor.clock(lake, lambda: back)
    assert (found.status, "in the future" in found.found) == ("warn", True)
