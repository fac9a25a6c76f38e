"""How a job is called and how it answers: its options, its exit status, its last line on stderr."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn

from jobs.errors import JobError, UsageError
from jobs.failures import explained
from jobs.logs import log, say, set_up_logs
from jobs.rollup import Rollup, W
from transforms.windows import PeriodLength

if TYPE_CHECKING:
    from jobs.lake import Lake
    from jobs.run import Outcome, Run
    from jobs.settings import Settings

DEFAULT_CATALOG = "classwaves"
DEFAULT_PERIOD = "week"
RUN_ATTEMPTS = 5
ONE_PLACE = "Give --lakehouse or --catalog, not both."


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence; for an option that is mistyped also which one may be meant."""

    also: Sequence[str] = ()
    """Options of the command around the parser, which may be the ones that were meant."""

    def error(self, message: str) -> NoReturn:
        sentence = ONE_PLACE if "not allowed with argument" in message else f"{message[0].upper()}{message[1:]}."
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            near = difflib.get_close_matches(unknown[1], [*self._option_string_actions, *self.also], n=1, cutoff=0.75)
            sentence += f" Did you mean {near[0]}?" if near else f" {self.prog} --help says what there is."
        raise UsageError(sentence)


@dataclass(frozen=True)
class Call:
    """The options of a job, as they were given."""

    lakehouse: Path | None
    catalog: str | None
    start: str | None
    end: str | None
    allow_empty: bool = False
    dry_run: bool = False
    period: PeriodLength | None = None

    @property
    def names_a_window(self) -> bool:
        """Whether the window is asked for, and not what is new."""
        return self.start is not None or self.end is not None


@dataclass(frozen=True)
class Job(Generic[W]):
    """A job: its name, and what a call makes it do.

    `window_of` gets the call and the run's start: all history for a call that names no window. It raises `UsageError`
    for one that cannot be. `periods` are the values of `--period`.
    """

    name: str
    rollup_of: Callable[[Call], Rollup[W]]
    window_of: Callable[[Call, datetime], W]
    periods: tuple[str, ...] = ()


def _given(text: str) -> str | None:
    return text or None


def lakehouse_folder(text: str) -> Path:
    """The folder that `--lakehouse` names; raises `UsageError` for nothing, which would be the current folder."""
    if not text:
        raise UsageError("--lakehouse names no folder.")
    return Path(text)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """`--lakehouse` and `--catalog`, of which a call has at most one."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--lakehouse", type=lakehouse_folder, metavar="DIR", help="the folder of a local lakehouse")
    place.add_argument("--catalog", type=_given, metavar="NAME", help=f"the catalog (default: {DEFAULT_CATALOG})")


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", ""):
        raise argparse.ArgumentTypeError(f"true or false is expected: {text!r}")
    return text.lower() == "true"


def _add_flag(parser: argparse.ArgumentParser, name: str, meaning: str) -> None:
    """`--name` alone, or as a platform's parameter has it: with `true` or `false`, and `_` for `-`."""
    also = [f"--{name.replace('-', '_')}"]
    parser.add_argument(
        f"--{name}", *also, type=_flag, nargs="?", const=True, default=False, metavar="BOOL", help=meaning
    )


def read_call(job: Job[W], arguments: Sequence[str], also: Sequence[str] = ()) -> Call:
    """The call that the arguments spell; raises `UsageError` for an option that the job does not have.

    `--start=`, with nothing after it, is not given: a parameter of a Databricks job is always sent, empty by default.
    `also` are options of the command that was called, for the hint where one is mistyped.
    """
    parser = job_parser(job)
    parser.also = also
    return Call(**vars(parser.parse_args(arguments)))


def job_parser(job: Job[W]) -> _Parser:
    """The parser of a job's own options."""
    parser = _Parser(
        prog=job.name,
        allow_abbrev=False,
        description=f"Writes {job.name}: see docs/jobs.md.",
        epilog=f"Example: {job.name} --lakehouse demo-lakehouse --start 2025-09-01 --end 2025-09-08",
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


def open_lake(lakehouse: Path | None, catalog: str | None, application: str, *, only_reads: bool = False) -> Lake:
    """The lake that a call names, in a Spark session; raises `UsageError` where there is none."""
    from jobs.lake import Lake
    from jobs.spark_session import check_delta, open_session
    from jobs.storage import Catalog, LocalFolder

    if lakehouse is not None and catalog is not None:
        raise UsageError(ONE_PLACE)
    folder = LocalFolder(lakehouse, only_reads=only_reads) if lakehouse is not None else None
    spark = open_session(application)
    check_delta(spark)
    return Lake(spark, folder or Catalog(spark, catalog or DEFAULT_CATALOG))


def sentence_on(outcome: Outcome, *, is_dry: bool = False) -> str:
    """What a run did, or would do, to the first of its tables that it changes: the canonical one, as a rule."""
    table = next(
        (name for name, changes in outcome.changes.items() if not changes.is_empty), next(iter(outcome.changes))
    )
    changes = outcome.changes[table]
    if changes.is_empty:
        return f"{table}: nothing {'would change' if is_dry else 'changed'}."
    counts = f"{changes.new} rows new, {changes.changed} changed, {changes.gone} gone, {changes.unchanged} unchanged"
    return f"{table}: {counts}{'; this is a dry run, nothing was written' if is_dry else ''}."


def run_with_retries(
    job: Job[W], call: Call, lake: Lake, run: Run, settings: Settings, phase: Callable[[str], None] = lambda name: None
) -> Outcome:
    """One run of a job in an open lake, and the whole of it again where another run was faster, with newer sources."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    from jobs.lineage import lineage_events
    from jobs.pipeline import Execution
    from jobs.publish import SupersededError
    from jobs.run import Mode

    rollup, window = job.rollup_of(call), job.window_of(call, run.run_start)
    mode = Mode(is_incremental=not call.names_a_window, allow_empty=call.allow_empty, dry_run=call.dry_run)
    covered = "what is new" if mode.is_incremental else f"{window.start} to {window.end}"
    log.info("run", run_id=run.run_id, window=covered, dry_run=call.dry_run)
    attempts = Retrying(
        retry=retry_if_exception_type(SupersededError),
        stop=stop_after_attempt(RUN_ATTEMPTS),
        wait=wait_random_exponential(multiplier=2, max=60),
        before_sleep=lambda state: log.warning("another run was faster, once more", attempt=state.attempt_number),
        reraise=True,
    )
    for attempt in attempts:
        with attempt:
            number = attempt.retry_state.attempt_number
            this = run if number == 1 else run.again()
            this_mode = replace(mode, is_retry=number > 1, may_retry=number < RUN_ATTEMPTS)
            execution = Execution(rollup, lake, this, settings, this_mode, phase)
            with lineage_events(execution, settings):
                return execution.run_over(window)
    raise AssertionError("the attempts end in a result or an error")


def run_job(job: Job[W], call: Call, phase: Callable[[str], None] = lambda name: None) -> str:
    """Carries out a call and returns what it did in one sentence; raises `JobError`s with theirs."""
    from jobs.run import Run
    from jobs.settings import load_settings

    settings = load_settings()
    rollup = job.rollup_of(call)
    run = Run.begin(rollup.job_name)
    job.window_of(call, run.run_start)  # a wrong window is told before Spark starts
    phase("start Spark")
    lake = open_lake(call.lakehouse, call.catalog, f"classwaves {rollup.job_name}")
    outcome = run_with_retries(job, call, lake, run, settings, phase)
    if outcome.data_docs:
        log.info("data docs", path=str(outcome.data_docs))
    canonical = rollup.targets[0]
    if call.dry_run and (columns := outcome.changes[canonical].columns):
        log.info("columns that would change, and in how many rows", **columns)
    return sentence_on(outcome, is_dry=call.dry_run)


def _answer_on(error: Exception) -> tuple[str, int]:
    """The last line and the exit status of a command that ended with the error."""
    failure = explained(error)
    if isinstance(failure, JobError):
        return str(failure), failure.exit_code
    log.error("unexpected", exc_info=error)
    return f"The run failed unexpectedly: {type(error).__name__}; the log above has the details.", 1


def exit_status_of(work: Callable[[], str | None]) -> int:
    """Does the work and returns its exit status; the last line on stderr says why, in the sentence of the work.

    A user's mistake leaves no stack trace; our own leaves a full one in the log.
    """
    sentence: str | None
    try:
        sentence, status = work(), 0
        sys.stdout.flush()
    except BrokenPipeError as error:
        # Whoever reads along, `head` say, has seen enough. What is left goes nowhere: else Python would raise it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        failed = error.__context__  # what a command shows when it has failed may be what nobody reads
        sentence, status = _answer_on(failed) if isinstance(failed, Exception) else (None, 0)
    except Exception as error:
        sentence, status = _answer_on(error)
    if sentence:
        say(" ".join(sentence.split()))
    return status


def main_of(job: Job[W]) -> Callable[..., None]:
    """The `main` of a job's script and of its entry point in the wheel.

    It returns where the run ended well, which is what a Databricks task wants, and exits with the status otherwise.
    """

    def main(arguments: Sequence[str] | None = None) -> None:
        set_up_logs()
        given = sys.argv[1:] if arguments is None else arguments
        status = exit_status_of(lambda: run_job(job, read_call(job, given)))
        if status:
            raise SystemExit(status)

    return main
