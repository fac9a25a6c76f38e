"""Runs a job as a call or a script asks for it, again if another run published first; sums it up in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.exit_status import run_main
from jobs.job import Call, Job
from jobs.job_options import read_call
from jobs.logs import log
from jobs.open_lake import open_lake
from jobs.rollup import W

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from jobs.execution.run import Outcome, Phase, Run
    from jobs.lake import Lake
    from jobs.settings import Settings

RUN_ATTEMPTS = 5


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("the run is superseded, retrying", attempt=state.attempt_number, reason=str(error))


def run_with_retries(
    job: Job[W], call: Call, lake: Lake, run: Run, settings: Settings, phase: Phase = lambda name: None
) -> Outcome:
    """One run of a job in an open lake; all of it is repeated if another run has superseded it, up to four times.

    Returns the outcome of the last attempt; raises its `JobError`.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    from jobs.execution.lineage import lineage_events
    from jobs.execution.pipeline import Execution
    from jobs.execution.publish import SupersededError
    from jobs.execution.run import Mode

    rollup, window = job.rollup_of(call), job.window_of(call, run.run_start)
    mode = Mode(is_incremental=not call.names_a_window, allow_empty=call.allow_empty, dry_run=call.dry_run)
    covered = "incremental" if mode.is_incremental else f"{window.start} to {window.end}"
    log.info("run", run_id=run.run_id, window=covered, dry_run=call.dry_run)
    attempts = Retrying(
        retry=retry_if_exception_type(SupersededError),
        stop=stop_after_attempt(RUN_ATTEMPTS),
        wait=wait_random_exponential(multiplier=2, max=60),
        before_sleep=_log_retry,
        reraise=True,
    )
    for attempt in attempts:
        with attempt:
            number = attempt.retry_state.attempt_number
            this = run if number == 1 else run.again()
            this_mode = replace(mode, is_retry=number > 1, may_retry=number < RUN_ATTEMPTS)
            execution = Execution(rollup, lake, this, settings, this_mode, phase)
            with lineage_events(execution, settings, may_retry=this_mode.may_retry):
                return execution.run_over(window)
    raise AssertionError("the attempts end in a result or an error")


def run_job(job: Job[W], call: Call, phase: Phase = lambda name: None) -> str:
    """Carries out a call and returns what it did in one sentence; raises a `JobError` with a sentence of its own."""
    from jobs.execution.run import Run
    from jobs.settings import load_settings

    settings = load_settings()
    rollup = job.rollup_of(call)
    run = Run.begin(rollup.job_name)
    job.window_of(call, run.run_start)  # reports a wrong window before Spark starts
    phase("start Spark")
    lake = open_lake(call.lakehouse, call.catalog, f"classwaves {rollup.job_name}")
    outcome = run_with_retries(job, call, lake, run, settings, phase)
    if outcome.data_docs:
        log.info("data docs", path=str(outcome.data_docs))
    canonical = rollup.targets[0]
    if call.dry_run and (columns := outcome.changes[canonical].columns):
        log.info("columns that would change, and in how many rows", **columns)
    return sentence_on(outcome, dry_run=call.dry_run)


def sentence_on(outcome: Outcome, *, dry_run: bool = False) -> str:
    """What a run did, or would do, to the first of its tables that it changes, normally the canonical one."""
    table = next(
        (name for name, changes in outcome.changes.items() if not changes.is_empty), next(iter(outcome.changes))
    )
    changes = outcome.changes[table]
    if changes.is_empty:
        return f"{table}: nothing {'would change' if dry_run else 'changed'}."
    counts = f"{changes.new} rows new, {changes.changed} changed, {changes.gone} gone, {changes.unchanged} unchanged"
    return f"{table}: {counts}{'; this is a dry run, nothing was written' if dry_run else ''}."


def main_of(job: Job[W]) -> Callable[..., None]:
    """The `main` of a job's script and of its entry point in the wheel.

    It returns if the run succeeded, as a Databricks task requires, and exits with the status otherwise.
    """

    def main(arguments: Sequence[str] | None = None) -> None:
        run_main(lambda given: run_job(job, read_call(job, given)), arguments)

    return main
