"""What the command line says to people and programs besides its tables: JSON, hints, examples, completions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from pyspark.sql import SparkSession

from expectations.contract import contract_names, contract_of
from jobs.backfill import Chunk
from jobs.commands import cli
from jobs.commands.show import as_texts, chosen_columns, newest_rows
from jobs.errors import JobError
from jobs.execution.job_run import sentence_on
from jobs.execution.run import Changes, Outcome, Run
from jobs.lake import Lake
from jobs.storage import LocalFolder
from tests.conftest import ROOT, Table
from tests.delta_io import load_schemas, read_table, write_table
from tests.lakehouses import EFFECTIVENESS
from transforms.catalog import PROMPTS, QUARANTINE

NOW = datetime(2025, 10, 20, 9, 30, tzinfo=timezone.utc)
Captured = pytest.CaptureFixture[str]
COMMAND: Any = typer.main.get_command(cli.app)


def answer(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> tuple[Any, str]:
    """The JSON on stdout and the last line on stderr."""
    monkeypatch.setattr("sys.argv", ["classwaves", *arguments])
    cli.main()
    captured = capsys.readouterr()
    return json.loads(captured.out), (captured.err.strip().splitlines() or [""])[-1]


def test_tables_are_shown_to_programs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    place = ["--lakehouse", str(tmp_path), "--json"]
    write_table(tmp_path, EFFECTIVENESS, [{"id": name, "usage_rate": 50.0} for name in "abc"], load_schemas())
    shown, _ = answer(["show", EFFECTIVENESS, "--rows", "2", *place], monkeypatch, capsys)
    assert len(shown) == 2
    assert list(shown[0]) == list(contract_of(EFFECTIVENESS).public_columns)
    assert (shown[0]["usage_rate"], shown[0]["total_used"]) == (50.0, None)
    met = {"source_table": "classwaves.users.teachers", "reason": "missing_key", "first_seen_at": NOW}
    rejected = [{**met, "last_seen_at": NOW, "resolved_at": resolved} for resolved in (None, None, NOW)]
    schema = {QUARANTINE: [[c.name, c.type] for c in contract_of(QUARANTINE).columns]}
    write_table(tmp_path, QUARANTINE, rejected, schema)
    output, _ = answer(["quarantine", *place], monkeypatch, capsys)
    seen = {"first_seen_at": "2025-10-20T09:30:00.000Z", "last_seen_at": "2025-10-20T09:30:00.000Z"}
    assert output == [{"source": "users.teachers", "reason": "missing_key", "rejected": 2, "resolved": 1, **seen}]


@pytest.mark.parametrize("table", contract_names())
@pytest.mark.parametrize("all_by_default", [False, True])
def test_no_personal_column_is_shown_by_default(table: str, all_by_default: bool) -> None:
    contract = contract_of(table)
    shown = chosen_columns(contract, None, all_by_default=all_by_default)
    assert shown
    assert set(shown) <= set(contract.public_columns)


def test_the_newest_rows_of_a_source_are_those_with_the_latest_time(spark: SparkSession, tmp_path: Path) -> None:
    made = [{"id": name, "generated_at": NOW - timedelta(days=age)} for name, age in {"a": 1, "c": 2, "b": 0}.items()]
    write_table(tmp_path, PROMPTS, made)
    newest = newest_rows(Lake(spark, LocalFolder(tmp_path)), contract_of(PROMPTS), 2)
    assert [row["id"] for row in newest.collect()] == ["b", "a"]


def test_numbers_are_shown_rounded_and_texts_as_they_are(table: Table) -> None:
    rows = table("""
        version string | cost double | minutes double | score decimal(5,2)
        3.10           | 0.00041239  | 1234.56789     | 17.00
        0.0004         | 0.0         | 1.0E300        | null
        NaN            | NaN         | -0.0           | 1.25
    """)
    assert as_texts(rows, ["version", "cost", "minutes", "score"]) == [
        ["3.10", "0.000412", "1234.568", "17"],
        ["0.0004", "0", "1e+300", None],
        ["NaN", "NaN", "0", "1.25"],
    ]


def test_chunks_of_a_backfill_are_told_to_programs(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    outcome = SimpleNamespace(changes={EFFECTIVENESS: Changes(new=3, unchanged=4)})
    chunks = [Chunk(NOW, NOW + timedelta(7)), SimpleNamespace(start=NOW, end=NOW + timedelta(7), outcome=outcome)]
    monkeypatch.setattr("jobs.backfill.backfill", lambda *_, **__: iter(chunks))
    monkeypatch.setattr(cli, "open_lake", lambda *_: None)
    window = ["--start", "2025-10-20", "--end", "2025-11-03", "--json"]
    output, sentence = answer(["backfill", "teacher_prompt_effectiveness", *window], monkeypatch, capsys)
    span = {"start": "2025-10-20T09:30:00+00:00", "end": "2025-10-27T09:30:00+00:00"}
    assert output == [
        {**span, "done_before": True, "new": None, "changed": None, "gone": None, "unchanged": None},
        {**span, "done_before": False, "new": 3, "changed": 0, "gone": 0, "unchanged": 4},
    ]
    assert sentence == "2 chunks, 1 of them done before with these sources."


def test_a_backfill_that_stops_tells_what_it_has_done(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def stopping(*_: object, **__: object) -> Iterator[Chunk]:
        yield Chunk(NOW, NOW + timedelta(7))
        raise JobError("The backfill stopped.")

    monkeypatch.setattr("jobs.backfill.backfill", stopping)
    monkeypatch.setattr(cli, "open_lake", lambda *_: None)
    window = ["--start", "2025-10-20", "--end", "2025-11-03", "--json"]
    with pytest.raises(SystemExit, match="1"):
        answer(["backfill", "teacher_prompt_effectiveness", *window], monkeypatch, capsys)
    captured = capsys.readouterr()
    assert [chunk["start"] for chunk in json.loads(captured.out)] == ["2025-10-20T09:30:00+00:00"]
    assert captured.err.strip().splitlines()[-1] == "The backfill stopped."


def test_maintenance_answers_for_programs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_table(tmp_path, EFFECTIVENESS, [], load_schemas())
    (output,), _ = answer(["maintain", "--lakehouse", str(tmp_path), "--json"], monkeypatch, capsys)
    assert output == {"table": EFFECTIVENESS, "files_before": 0, "files_after": 0, "bytes_after": 0, "not_done": []}


def test_the_last_line_is_on_a_table_that_changed() -> None:
    """A trend alone may change, which only one of the two tables of daily summaries holds."""
    unchanged, changed = Changes(unchanged=4), Changes(changed=1, unchanged=3)
    one, other = (Outcome(Run.begin("job"), None, {"a.one": unchanged, "a.other": c}) for c in (unchanged, changed))
    assert sentence_on(one) == "a.one: nothing changed."
    assert sentence_on(other) == "a.other: 0 rows new, 1 changed, 0 gone, 3 unchanged."


def test_columns_that_a_contract_has_and_its_table_lacks_are_added(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_table(tmp_path, EFFECTIVENESS, [{"id": "x"}], {EFFECTIVENESS: load_schemas()[EFFECTIVENESS][:-2]})
    output = []
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["classwaves", "add-columns", EFFECTIVENESS, "--lakehouse", str(tmp_path)])
        cli.main()
        output.append(capsys.readouterr().err.strip().splitlines()[-1])
    assert output == [f"{EFFECTIVENESS}: added created_at, updated_at.", f"{EFFECTIVENESS}: no column is missing."]
    (row,) = read_table(tmp_path.joinpath(*EFFECTIVENESS.split(".")))
    assert list(row) == list(contract_of(EFFECTIVENESS).column_names)
    assert (row["id"], row["updated_at"]) == ("x", None)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "dashboard_metrics_hourly", "--strat", "2025-09-01"], "Did you mean --start?"),
        (["run", "teacher_prompt_effectiveness", "--perod", "day"], "Did you mean --period?"),
        (["run", "dashboard_metrics_hourly", "--zzz"], "--zzz. See dashboard_metrics_hourly --help."),
        (["backfill", "dashboard_metrics_hourly", "--chnk", "7d"], "Did you mean --chunk?"),
        (["show", EFFECTIVENESS, "--colums", "id"], "--columns"),
        ([], "No command given: see the list above."),
        (["doctr"], "Did you mean 'doctor'?"),
        (["reprot", "--lakehouse", "x"], "Did you mean 'report'"),
        (["report", "--lakehouse", "x", "--ot", "y.html"], "--out"),
        (["workspace", "chek"], "Did you mean 'check'?"),
        (["workspace", "backfill", "teacher_summary"], "--start"),
        (["workspace", "runs", "--jbo", "hourly"], "--job"),
        (["add-columns", "users.teachers"], "The table users.teachers is a source: it is not ours to change."),
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


def all_commands(group: Any, before: str = "") -> dict[str, Any]:
    """The commands by their names, those within groups too."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = all_commands(command, f"{before}{name} ") if hasattr(command, "commands") else {before + name: command}
        found |= inner
    return found


COMMANDS = all_commands(COMMAND)
ANSWERS_WITH_DATA = {
    "backfill", "doctor", "explain", "maintain", "quarantine", "show", "workspace check", "workspace runs",
}  # fmt: skip


def test_every_command_that_answers_with_data_answers_as_json() -> None:
    assert {n for n, c in COMMANDS.items() if any("--json" in p.opts for p in c.params)} == ANSWERS_WITH_DATA


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_every_command_has_an_example_with_options_that_it_has(name: str) -> None:
    command = COMMANDS[name]
    output = " ".join((command.help or "").split())
    assert f"Example: classwaves {name}" in output
    example = output.split("Example: ")[1].split()
    own = {option for parameter in command.params for option in parameter.opts}
    if not command.context_settings.get("ignore_unknown_options"):
        assert {word for word in example if word.startswith("--")} <= own


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("classwaves run te", ["teacher_analytics_summary", "teacher_prompt_effectiveness"]),
        ("classwaves workspace backfill d", ["dashboard_metrics_hourly"]),
        ("classwaves explain ai", [EFFECTIVENESS]),
        ("classwaves show quality.", [name for name in contract_names() if name.startswith("quality.")]),
    ],
)
def test_a_shell_completes_the_names_of_jobs_and_tables(words: str, offered: list[str]) -> None:
    ask = {"_CLASSWAVES_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    code = "import sys; sys.argv = ['classwaves']; from jobs.commands.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **ask}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered
