"""What a run logs while it works: text on a terminal, one JSON object per line elsewhere, always on stderr."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("classwaves")


class _MayBeUnread:
    """A stream whose reader may be gone: a run goes on without it and does not stop between two commits."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(BrokenPipeError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            self._stream.flush()


def set_up_logs() -> None:
    """Configures the logs: text if stderr is a terminal, JSON lines otherwise."""
    as_text = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
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
