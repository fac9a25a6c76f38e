"""What commits say that they were made from."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from jobs.provenance import Provenance

NOW = datetime(2025, 10, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "window",
    [("2025-10-01", "2025-10-02"), ("2025-10-01T00:00:00+00:00", "2025-10-02T00:00:00+00:00")],
)
def test_a_window_of_dates_and_one_of_instants_are_read_alike(window: tuple[str, str]) -> None:
    made_from = Provenance("run", "job", NOW, window, {})
    assert Provenance.read(made_from.as_json()) == made_from
    assert made_from.span == (datetime(2025, 10, 1, tzinfo=timezone.utc), NOW)
