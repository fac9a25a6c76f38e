"""What the command line says to people and programs besides its tables: JSON, hints, examples, completions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from pyspark.sql import SparkSession

from expectations.contract import contract_names, contract_of
from jobs import cli
from tests.conftest import ROOT
from tests.delta_io import load_schemas, read_table, write_lake, write_table
from tests.lakehouses import PROMPTS, rows_of
from tests.messy import messy_tables

Captured = pytest.CaptureFixture[str]
COMMAND: Any = typer.main.get_command(cli.app)


@pytest.fixture(scope="module")
def lakehouse(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    tables = messy_tables(3, sessions=20)
    needed = ("ai_insights.teacher_guidance_metrics", "sessions.classroom_sessions")
    write_lake(folder, {name: tables[name] for name in needed})
    return folder


def answer(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> tuple[Any, str]:
    """The JSON on stdout and the last line on stderr."""
    monkeypatch.setattr("sys.argv", ["classwaves", *arguments])
    cli.main()
    captured = capsys.readouterr()
    return json.loads(captured.out), (captured.err.strip().splitlines() or [""])[-1]


def test_answers_for_programs(lakehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    place = ["--lakehouse", str(lakehouse), "--json"]
    window = ["--start", "2025-10-20", "--end", "2025-11-03", "--chunk", "2w"]
    (first,), _ = answer(["backfill", "teacher_prompt_effectiveness", *window, *place], monkeypatch, capsys)
    assert (first["start"], first["end"]) == ("2025-10-20T00:00:00+00:00", "2025-11-03T00:00:00+00:00")
    assert (first["done_before"], first["changed"]) == (False, 0)
    assert first["new"] == len(rows_of(lakehouse, PROMPTS))
    shown, _ = answer(["show", PROMPTS, "--rows", "2", *place], monkeypatch, capsys)
    assert len(shown) == 2
    assert list(shown[0]) == list(contract_of(PROMPTS).public_columns)
    assert isinstance(shown[0]["usage_rate"], float)
    rejected, _ = answer(["quarantine", *place], monkeypatch, capsys)
    assert {row["source"].split(".")[0] for row in rejected} == {"ai_insights", "sessions"}
    assert sum(row["rejected"] for row in rejected) == len(rows_of(lakehouse, "quality.quarantine"))


def test_maintenance_answers_for_programs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_table(tmp_path, PROMPTS, [], load_schemas())
    (told,), _ = answer(["maintain", "--lakehouse", str(tmp_path), "--json"], monkeypatch, capsys)
    assert told == {"table": PROMPTS, "files_before": 0, "files_after": 0, "bytes_after": 0}


def test_columns_that_a_contract_has_and_its_table_lacks_are_added(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_table(tmp_path, PROMPTS, [{"id": "x"}], {PROMPTS: load_schemas()[PROMPTS][:-2]})
    told = []
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["classwaves", "add-columns", PROMPTS, "--lakehouse", str(tmp_path)])
        cli.main()
        told.append(capsys.readouterr().err.strip().splitlines()[-1])
    assert told == [f"{PROMPTS}: added created_at, updated_at.", f"{PROMPTS}: no column is missing."]
    (row,) = read_table(tmp_path.joinpath(*PROMPTS.split(".")))
    assert list(row) == list(contract_of(PROMPTS).column_names)
    assert (row["id"], row["updated_at"]) == ("x", None)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "dashboard_metrics_hourly", "--strat", "2025-09-01"], "Did you mean --start?"),
        (["run", "teacher_prompt_effectiveness", "--perod", "day"], "Did you mean --period?"),
        (["run", "dashboard_metrics_hourly", "--zzz"], "--zzz. dashboard_metrics_hourly --help says what there is."),
        (["backfill", "dashboard_metrics_hourly", "--chnk", "7d"], "Did you mean --chunk?"),
        (["show", PROMPTS, "--colums", "id"], "--columns"),
        (["doctr"], "Did you mean 'doctor'?"),
        (["add-columns", "users.teachers"], "The table users.teachers is a source, it is not ours to change."),
    ],
)
def test_who_mistypes_is_told_what_may_be_meant(
    arguments: list[str], hint: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("sys.argv", ["classwaves", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert hint in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("name", list(COMMAND.commands))
def test_the_help_of_every_command_has_an_example_with_options_that_it_has(name: str) -> None:
    command = COMMAND.commands[name]
    if not hasattr(command, "callback") or getattr(command, "commands", None):
        pytest.skip("a group of commands")
    told = " ".join((command.help or "").split())
    assert f"Example: classwaves {name}" in told
    example = told.split("Example: ")[1].split()
    own = {option for parameter in command.params for option in parameter.opts}
    if not command.context_settings.get("ignore_unknown_options"):
        assert {word for word in example if word.startswith("--")} <= own


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("classwaves run te", ["teacher_analytics_summary", "teacher_prompt_effectiveness"]),
        ("classwaves show quality.", [name for name in contract_names() if name.startswith("quality.")]),
    ],
)
def test_a_shell_completes_the_names_of_jobs_and_tables(words: str, offered: list[str]) -> None:
    ask = {"_CLASSWAVES_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
    code = "import sys; sys.argv = ['classwaves']; from jobs.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **ask}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered
