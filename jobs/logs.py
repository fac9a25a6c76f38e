"""What a run logs while it works: text on a terminal, one JSON object per line elsewhere, always on stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("classwaves")


class _MayBeUnread:
    """A stream that may be closed, unread or full: a run goes on without it and does not stop between two commits."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _named(error: BaseException) -> str:
    """The error's class and, if Spark raised it, its condition, such as `DIVIDE_BY_ZERO`."""
    condition = None
    with suppress(Exception):  # the session that would tell may be gone
        condition = getattr(error, "getCondition", lambda: None)()
    return f"{type(error).__module__}.{type(error).__qualname__}" + (f" [{condition}]" if condition else "")


def _format_stack(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Writes an error and its causes as classes and stack only: a message may quote a row."""
    error = event.pop("exc_info", None)
    parts: list[str] = []
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        parts.insert(0, "".join(traceback.format_tb(error.__traceback__)) + _named(error))
        error = error.__cause__ or error.__context__
    if parts:
        event["exception"] = "\n\nled to:\n\n".join(parts)
    return event


def set_up_logs() -> None:
    """Configures the logs: text if stderr is a terminal, JSON lines otherwise."""
    as_text = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _format_stack,
            renderer,
        ],
        logger_factory=lambda *_: structlog.WriteLogger(cast(TextIO, _MayBeUnread(sys.stderr))),
    )


def say(sentence: str) -> None:
    """Writes a command's last line to stderr.

    `spark-submit` sends all that its Python process prints to its own stdout; its stderr is reached through its JVM.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        from pyspark import SparkContext

        SparkContext._ensure_initialized()
        if SparkContext._jvm is not None:
            SparkContext._jvm.System.err.println(sentence)
            return
    print(sentence, file=_MayBeUnread(sys.stderr), flush=True)
