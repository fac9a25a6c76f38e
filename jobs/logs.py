"""What a run says while it works: text on a terminal, one JSON object per line elsewhere, always on stderr."""

from __future__ import annotations

import sys

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("classwaves")


def set_up_logs() -> None:
    """Chooses the form by what stderr is."""
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
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
