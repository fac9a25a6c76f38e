"""The pages of the documentation, carried out: their commands in their order, their snippets as they stand."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pyspark.sql import SparkSession

from jobs.commands import cli
from jobs.job_options import job_parser
from jobs.registry import JOBS, job_named
from tests.conftest import ROOT
from tests.delta_io import write_lake
from tests.messy_lakehouse import messy_tables
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


def shown(page: Path) -> list[str]:
    """The commands that a page shows and nobody carries out: in indented blocks and within sentences."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    indented = re.findall(r"^ {4,}(?:\S*\.venv/bin/)?((?:classwaves|databricks|make|python -m) .*)", text, re.M)
    return [line.split("  #")[0] for line in indented] + re.findall(r"`((?:classwaves|make) [^`]+)`", text)


def wrong_with(line: str) -> str | None:
    """What is wrong with a command that is not carried out: names, and options where there are some."""
    program, *words = shlex.split(line.replace("…", ""), comments=True)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        return None if {word for word in words if "=" not in word} <= set(targets) else "no such target"
    if program == "databricks":
        return _wrong_with_bundle(words)
    if program == "python":
        return None if importlib.util.find_spec(words[1]) else "no such module"
    command: Any = typer.main.get_command(cli.app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if getattr(command, "commands", {}) and words and not words[0].startswith("--"):
        return f"no command {words[0]}"
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"--help", "--install-completion", "--show-completion"}
    if command.context_settings.get("ignore_unknown_options"):
        known |= {option for job in map(job_named, JOBS) for option in job_parser(job)._option_string_actions}
    unknown = {word for word in words if word.startswith("--")} - known
    return f"no option {unknown}" if unknown else None


def _wrong_with_bundle(words: list[str]) -> str | None:
    """The bundle's targets and jobs, and the chunks of a backfill; the CLI itself is not here."""
    declared = yaml.safe_load((ROOT / "resources" / "databricks.yml").read_text(encoding="utf-8"))
    if words[words.index("-t") + 1] not in declared["targets"]:
        return "no such target"
    if words[:2] == ["bundle", "run"]:
        job = words[words.index("-t") + 2]
        file = ROOT / "resources" / f"{job}.job.yml"
        if not file.is_file():
            return f"no job {job}"
        has = {one["name"] for one in yaml.safe_load(file.read_text())["resources"]["jobs"][job].get("parameters", [])}
        given = re.findall(r"(?:^|,)(\w+)=", "\n".join(words[words.index(job) + 1 :]), re.M)
        return None if set(given) <= has else f"no parameter {set(given) - has}"
    return None


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
