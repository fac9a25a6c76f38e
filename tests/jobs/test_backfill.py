"""The chunks of a backfill. What becomes of a backfill that stops is in `test_survival`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from jobs.backfill import chunks_of, read_chunk_length
from jobs.errors import UsageError
from jobs.job import Call
from jobs.teacher_prompt_effectiveness import JOB

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["", "7", "0d", "d7", "-1d", "7 days"])
def test_a_chunk_is_a_number_of_hours_days_or_weeks(text: str) -> None:
    with pytest.raises(UsageError, match="--chunk must be a number of hours, days or weeks"):
        read_chunk_length(text)


@pytest.mark.parametrize("text", ["3641d", "9000000d", "99999999999999999999w"])
def test_a_chunk_is_at_most_ten_years(text: str) -> None:
    assert read_chunk_length("3640d") == read_chunk_length("520w")
    with pytest.raises(UsageError, match="--chunk must be at most 3640d"):
        read_chunk_length(text)


def test_chunks_are_widened_to_whole_periods_and_cover_the_window_once() -> None:
    call = Call(start="2025-01-15", end="2025-04-10", period="month")
    ends = [(part.start or "")[:10] for part in chunks_of(JOB, call, read_chunk_length("7d"), NOW)]
    assert ends == ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"]
    with pytest.raises(UsageError, match="A backfill needs --start and --end"):
        chunks_of(JOB, Call(start="2025-01-15", period="month"), read_chunk_length("7d"), NOW)


def test_the_last_chunk_may_end_where_dates_end() -> None:
    call = Call(lakehouse=Path("lake"), start="9998-01-01", end="9999-12-01", period="month")
    calls = chunks_of(JOB, call, read_chunk_length("520w"), NOW)
    assert [(part.start[:10], part.end[:10]) for part in calls if part.start and part.end] == [
        ("9998-01-01", "9999-01-01")
    ]
