"""What commits say that they were made from."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from jobs.execution.incremental.affected_window import starts_covered
from jobs.provenance import Provenance
from transforms.windows import DateWindow, HourWindow

NOW = datetime(2025, 10, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "window",
    [("2025-10-01", "2025-10-02"), ("2025-10-01T00:00:00+00:00", "2025-10-02T00:00:00+00:00")],
)
def test_a_window_of_dates_and_one_of_instants_are_read_alike(window: tuple[str, str]) -> None:
    made_from = Provenance("run", "job", NOW, window, {})
    assert Provenance.read(made_from.as_json()) == made_from
    assert made_from.span == (datetime(2025, 10, 1, tzinfo=timezone.utc), NOW)


@pytest.mark.parametrize(
    ("window_of", "starts"),
    [(HourWindow.of, [NOW - timedelta(days=600), NOW]), (DateWindow.of, [date(2024, 3, 1), date(2025, 10, 1)])],
)
def test_only_what_a_run_has_selected_counts_as_covered(window_of: Any, starts: list[Any]) -> None:
    """Between two hours or dates that were recomputed, the raw rows of all others may have been purged since."""
    window = window_of(starts)
    everything = replace(window, end=window.end + timedelta(days=9), selected=None)
    selected = tuple(start.isoformat() for start in starts)
    made_from = Provenance("run", "job", NOW, (window.start.isoformat(), window.end.isoformat()), {}, selected=selected)
    assert Provenance.read(made_from.as_json()) == made_from
    assert starts_covered(made_from, everything) == set(starts)
    assert starts_covered(made_from, replace(everything, start=starts[1])) == {starts[1]}
    assert len(starts_covered(replace(made_from, selected=None), everything)) > 500
