"""The oracle against the worked example: another independent implementation's results."""

import json
import math
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.delta_io import read_lake
from tests.oracle import common, hourly

EXAMPLE = Path(__file__).parent.parent / "fixtures" / "example"
FIRST, LAST = date(2025, 10, 20), date(2025, 11, 17)  # the window, the end exclusive
START, END = datetime(2025, 10, 20, tzinfo=UTC), datetime(2025, 11, 17, tzinfo=UTC)
RUN_START = datetime(2026, 1, 1, tzinfo=UTC)  # later than anything in the example


@cache
def lake() -> common.Tables:
    return read_lake(EXAMPLE / "lake")


def expected(table: str) -> list[common.Row]:
    lines = (EXAMPLE / "expected" / f"{table}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def plain(value: Any) -> Any:
    """A value as the example's JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


def same(left: Any, right: Any) -> bool:
    """Equality; of doubles to 1e-9, relative or absolute."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return type(left) is type(right) and bool(left == right)


def differences(actual: list[common.Row], wanted: list[common.Row]) -> list[str]:
    """What differs between two lists of rows, matched by id."""
    left = {row["id"]: {name: plain(value) for name, value in row.items()} for row in actual}
    right = {row["id"]: row for row in wanted}
    found = [f"{row_id} only here: {left[row_id]}" for row_id in left.keys() - right.keys()]
    found += [f"{row_id} only in the example: {right[row_id]}" for row_id in right.keys() - left.keys()]
    for row_id in left.keys() & right.keys():
        for name in left[row_id].keys() | right[row_id].keys():
            pair = left[row_id].get(name, "absent"), right[row_id].get(name, "absent")
            if not same(*pair):
                found.append(f"{row_id} {name}: {pair[0]!r} here, {pair[1]!r} in the example")
    return found


def test_hourly() -> None:
    actual = hourly.rows(lake(), START, END, RUN_START)
    wanted = expected("dashboard_metrics_hourly")
    assert len(actual) == len(wanted) == 328
    assert differences(actual, wanted) == []


def test_quarantine() -> None:
    wanted = json.loads((EXAMPLE / "expected" / "quarantine.json").read_text(encoding="utf-8"))
    assert {source: dict(reasons) for source, reasons in common.rejected(lake()).items() if reasons} == wanted


