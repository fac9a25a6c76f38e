"""The pages of the documentation, carried out: their commands in their order, their snippets as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import cli
from tests.conftest import ROOT
from tests.delta_io import write_lake
from tests.messy import messy_tables
from tests.processes import own_environment

LAKEHOUSE = Path("demo-lakehouse")
MAKES_SAMPLE = "classwaves sample --lakehouse demo-lakehouse"
OF_THE_TESTS = ("CLASSWAVES_NO_BROWSER",)
_BLOCK = re.compile(r'^(?P<indent> *)```(?P<kind>\w+)(?: title="(?P<title>.*?)")?\n(?P<text>.*?)^ *```', re.S | re.M)


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind (`sh`, `sql`, `python`, …), the file that its title names, its text."""

    kind: str
    title: str | None
    text: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page under docs/."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [Block(m["kind"], m["title"], textwrap.dedent(m["text"])) for m in _BLOCK.finditer(text)]


def commands(page: str) -> list[tuple[str, str]]:
    """What is to be carried out, in its order: each line of shell and SQL, each snippet of Python as a whole."""
    found = []
    for block in blocks(page):
        if block.kind in ("sh", "sql"):
            found += [(block.kind, line) for line in block.text.splitlines()]
        elif block.kind == "python" and block.title is None:
            found.append((block.kind, block.text))
    return found


def make_lakehouse() -> None:
    """A small lakehouse with all that the smallest job reads, in the current folder."""
    needed = ("ai_insights.teacher_guidance_metrics", "sessions.classroom_sessions")
    write_lake(LAKEHOUSE, {table: rows for table, rows in messy_tables(3, sessions=40).items() if table in needed})


def carry_out(spark: SparkSession, kind: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of the command line goes on in this process and its session; the sample is ours, which is smaller."""
    given = re.match(r"((?:[A-Z_]+=\S+ )*)(classwaves .*)", line)
    if kind == "sql":
        spark.sql(line).collect()
    elif kind == "python":
        exec(compile(line, "a snippet", "exec"), {"__name__": "snippet"})
    elif line == MAKES_SAMPLE:
        assert set(shlex.split(line)[2:]) <= {"--lakehouse", *COMMAND_OPTIONS["sample"], str(LAKEHOUSE)}
        if not LAKEHOUSE.exists():
            make_lakehouse()
    elif given:
        with monkeypatch.context() as patch:
            for assignment in given[1].split():
                patch.setenv(*assignment.split("=", 1))
            for name in OF_THE_TESTS:
                patch.delenv(name, raising=False)
            patch.setattr(sys, "argv", shlex.split(given[2]))
            cli.main()
    elif line.startswith("make "):
        # That there is such a target; what the targets do, CI does.
        subprocess.run(["make", "--dry-run", *shlex.split(line)[1:]], cwd=ROOT, check=True, capture_output=True)
    else:
        subprocess.run(["bash", "-c", line], env=own_environment(), check=True, capture_output=True)


def _options() -> dict[str, set[str]]:
    import typer

    whole = typer.main.get_command(cli.app)
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in whole.commands.items()  # type: ignore[attr-defined]
    }


COMMAND_OPTIONS = _options()
