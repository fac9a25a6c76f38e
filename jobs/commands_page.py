"""The page of all commands, from the command line itself: `make dictionary` writes it to docs/commands.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import typer

from jobs.cli import app
from jobs.job_options import job_parser
from jobs.registry import JOBS, job_named

_INTRODUCTION = """# Commands

Generated from the command line by `make dictionary`: change that, not this page.

Every command has `--help` and exits with 0 if all went well; otherwise its last line on stderr says why:
2 the call or the configuration is wrong, 3 the gate refused the rows, 4 a table breaks its contract, 1 all else."""


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _table(rows: list[tuple[str, str]]) -> list[str]:
    return (
        ["| option | meaning |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in rows)] if rows else []
    )


def _of_parameter(parameter: Any) -> tuple[str, str]:
    """Name and meaning of an option or argument of the command line."""
    names = ", ".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    if parameter.param_type_name == "argument":
        return parameter.name.upper(), _cell(parameter.help)
    is_flag = getattr(parameter, "is_flag", False)
    value = "" if is_flag else f" {parameter.metavar or parameter.name.upper()}"
    given = parameter.default
    default = f" (default: {given})" if given is not None and not is_flag else ""
    return f"{names}{value}".replace("|", "\\|"), _cell(parameter.help) + default


def _of_action(action: argparse.Action) -> tuple[str, str]:
    """Name and meaning of an option of a job's own parser."""
    value = "" if action.nargs == 0 else f" {action.metavar or (action.dest or '').upper()}"
    if action.nargs == "?":
        value = f"[={value.strip()}]"
    meaning = _cell((action.help or "").replace("%(default)s", str(action.default)))
    of = f" One of: {', '.join(map(str, action.choices))}." if action.choices else ""
    return f"{action.option_strings[0]}{value}", f"{meaning[:1].upper()}{meaning[1:]}.{of}"


def _of_command(name: str, command: Any) -> Iterator[str]:
    """The section of a command, and those of the commands within it."""
    within = getattr(command, "commands", {})
    text, _, example = (command.help or "").partition("Example: ")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]
    yield f"## {name}"
    yield from paragraphs
    if example:
        yield "    " + " ".join(example.split())
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    if table := _table([_of_parameter(parameter) for parameter in parameters]):
        yield "\n".join(table)
    for inner, found in within.items():
        yield from _of_command(f"{name} {inner}", found)


def _of_jobs() -> Iterator[str]:
    yield "## Options of the jobs"
    yield (
        "The options that `run` and `backfill` take besides their own, and that each job's script takes: "
        f"{', '.join(f'`{name}`' for name in JOBS)}. More on them is in [Jobs](jobs.md)."
    )
    options: dict[str, tuple[str, list[str]]] = {}
    for name in JOBS:
        for action in job_parser(job_named(name))._actions:
            if action.dest != "help":
                option, meaning = _of_action(action)
                options.setdefault(option, (meaning, []))[1].append(name)
    rows = [
        (option, meaning if len(owners) == len(JOBS) else f"{meaning} Only {', '.join(owners)}.")
        for option, (meaning, owners) in options.items()
    ]
    yield "\n".join(_table(rows))


def commands_page() -> str:
    """The page in Markdown: a section per command, and one with the jobs' own options."""
    whole: Any = typer.main.get_command(app)
    sections = [section for name, command in whole.commands.items() for section in _of_command(name, command)]
    return "\n\n".join([_INTRODUCTION, *sections, *_of_jobs()]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(commands_page())
