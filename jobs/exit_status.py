"""How a command ends: its exit status, and the last line on stderr that says why."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from jobs.errors import JobError
from jobs.failures import explained
from jobs.logs import log, say, set_up_logs


def _answer_on(error: Exception) -> tuple[str, int]:
    """The last line and the exit status of a command that ended with the error."""
    failure = explained(error)
    if isinstance(failure, JobError):
        return str(failure), failure.exit_status
    log.error("unexpected", exc_info=error)
    return f"The command failed unexpectedly: {type(error).__name__}; the log above has the details.", 1


def exit_status_of(work: Callable[[], str | None]) -> int:
    """Does the work and returns its exit status; the last line on stderr is the work's sentence or its error's.

    A user's mistake leaves no stack trace; our own leaves a full one in the log.
    """
    sentence: str | None
    try:
        sentence, status = work(), 0
        sys.stdout.flush()
    except BrokenPipeError as error:
        # The reader, such as `head`, has seen enough. Discard the rest, or Python would raise the error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        failed = error.__context__  # the pipe may have broken while a failed command showed its results
        sentence, status = _answer_on(failed) if isinstance(failed, Exception) else (None, 0)
    except KeyboardInterrupt:
        sentence, status = "The command was interrupted.", 1
    except Exception as error:
        sentence, status = _answer_on(error)
    if sentence:
        say(" ".join(sentence.split()))
    return status


def exit_with(work: Callable[[], str | None]) -> None:
    """Does the work and returns if it succeeded; raises `SystemExit` with the exit status otherwise."""
    if status := exit_status_of(work):
        raise SystemExit(status)


def run_main(work: Callable[[Sequence[str]], str | None], arguments: Sequence[str] | None) -> None:
    """Does an entry point's work with its arguments, by default the process's own, and ends as `exit_with`."""
    set_up_logs()
    given = sys.argv[1:] if arguments is None else arguments
    exit_with(lambda: work(given))
