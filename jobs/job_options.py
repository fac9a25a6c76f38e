"""Declares and reads the options of a job's own script, and of the commands that pass theirs on to a job.

Those of the other commands of `classwaves` are in `jobs.commands.options`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jobs.errors import UsageError
from jobs.job import DEFAULT_CATALOG, DEFAULT_PERIOD, Call, Job
from jobs.open_lake import ONE_PLACE
from jobs.rollup import W
from jobs.suggestions import nearest


class Parser(argparse.ArgumentParser):
    """Reports errors as a `UsageError` with one sentence; for a mistyped option it suggests the one that was meant.

    `extra_options` are those of the command around the parser, which are suggested as well.
    """

    def __init__(self, *, extra_options: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(**settings)
        self._extra_options = extra_options

    def error(self, message: str) -> NoReturn:
        """Raises `UsageError` with the message as a sentence."""
        sentence = ONE_PLACE if "not allowed with argument" in message else f"{message[0].upper()}{message[1:]}."
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            options = [*self._option_string_actions, *self._extra_options]
            near = nearest(unknown[1], options, cutoff=0.75)
            sentence += f" Did you mean {near}?" if near else f" See {self.prog} --help."
        raise UsageError(sentence)


def _given(text: str) -> str | None:
    return text or None


def lakehouse_folder(text: str) -> Path:
    """The folder that `--lakehouse` names; raises `UsageError` for an empty text, which would be the current folder."""
    if not text:
        raise UsageError("--lakehouse names no folder.")
    return Path(text)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--lakehouse` and `--catalog`, of which a call may have at most one."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--lakehouse", type=lakehouse_folder, metavar="DIR", help="the folder of a local lakehouse")
    place.add_argument("--catalog", type=_given, metavar="NAME", help=f"the catalog (default: {DEFAULT_CATALOG})")


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", ""):
        raise argparse.ArgumentTypeError(f"true or false is expected: {text!r}")
    return text.lower() == "true"


def _add_flag(parser: argparse.ArgumentParser, name: str, meaning: str) -> None:
    """Adds `--name`, alone or, as for a platform's parameter, with `true` or `false` and with `_` for `-`."""
    also = [f"--{name.replace('-', '_')}"]
    parser.add_argument(
        f"--{name}", *also, type=_flag, nargs="?", const=True, default=False, metavar="BOOL", help=meaning
    )


def job_parser(job: Job[W], extra_options: Sequence[str] = ()) -> Parser:
    """The parser of a job's own options; see `Parser` for `extra_options`."""
    parser = Parser(
        prog=job.name,
        allow_abbrev=False,
        description=f"Writes {job.name}: see docs/jobs.md.",
        epilog=f"Example: {job.name} --lakehouse demo-lakehouse --start 2025-09-01 --end 2025-09-08",
        extra_options=extra_options,
    )
    add_place_options(parser)
    parser.add_argument("--start", type=_given, metavar="T", help="first instant or date of the window, ISO 8601, UTC")
    parser.add_argument("--end", type=_given, metavar="T", help="end of the window, exclusive")
    _add_flag(parser, "allow-empty", "let the run empty a window that holds rows")
    _add_flag(parser, "dry-run", "show what would change, and write nothing")
    if job.periods:
        parser.add_argument(
            "--period",
            type=lambda text: text or DEFAULT_PERIOD,
            choices=job.periods,
            default=DEFAULT_PERIOD,
            help="length of a period (default: %(default)s)",
        )
    return parser


def read_call(job: Job[W], arguments: Sequence[str], extra_options: Sequence[str] = ()) -> Call:
    """The call that the arguments describe; raises `UsageError` for an option that the job does not have.

    An empty `--start=` counts as not given: a parameter of a Databricks job is always sent, empty by default. See
    `Parser` for `extra_options`.
    """
    return Call(**vars(job_parser(job, extra_options).parse_args(arguments)))
