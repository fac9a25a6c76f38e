"""Values as SQL literals, for conditions and statements built as text."""

from __future__ import annotations

from datetime import date, datetime, timezone


def sql_text(text: str) -> str:
    """The text as a SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def sql_datetime(moment: datetime | date) -> str:
    """A date, or an instant with its offset, as a SQL literal: the session's zone does not matter.

    Raises `ValueError` for a moment without an offset.
    """
    if not isinstance(moment, datetime):
        return f"DATE '{moment.isoformat()}'"
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return f"TIMESTAMP '{moment.astimezone(timezone.utc).isoformat(sep=' ')}'"
