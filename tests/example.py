"""What an independent implementation of the metrics made of the worked example."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parent / "fixtures" / "example"

_TYPED = {
    "metric_hour": datetime.fromisoformat,
    "summary_date": date.fromisoformat,
    "calculation_period_start": datetime.fromisoformat,
    "calculation_period_end": datetime.fromisoformat,
}
"""What JSON has as a text."""


def expected_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a rollup by its canonical table's own name, `source_tables` as a list.

    Moments and dates have the types that delta-rs reads.
    """
    lines = (EXAMPLE / "expected" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: _typed(key, value) for key, value in json.loads(line).items()} for line in lines]


def _typed(name: str, value: Any) -> Any:
    # Python 3.10 does not read the Z.
    return _TYPED[name](value.replace("Z", "+00:00")) if name in _TYPED else value


def expected_rejections() -> dict[str, dict[str, int]]:
    """How many rows of each source are rejected, by reason."""
    found: dict[str, dict[str, int]] = json.loads((EXAMPLE / "expected" / "quarantine.json").read_text("utf-8"))
    return found
