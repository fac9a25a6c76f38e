"""The oracle against the worked example: another independent implementation's results."""

import math
from datetime import date, datetime, timezone
from functools import cache
from typing import Any

import pytest

from tests.delta_io import read_lake
from tests.example import EXAMPLE, expected_rejections, expected_rows
from tests.oracle import common, daily, hourly, prompts

FIRST, LAST = date(2025, 10, 20), date(2025, 11, 17)  # the window, the end exclusive
START, END = datetime(2025, 10, 20, tzinfo=timezone.utc), datetime(2025, 11, 17, tzinfo=timezone.utc)
RUN_START = datetime(2026, 1, 1, tzinfo=timezone.utc)  # later than anything in the example


@cache
def lake() -> common.Tables:
    return read_lake(EXAMPLE / "lake")


def same(left: Any, right: Any) -> bool:
    """Equality; of doubles to 1e-9, relative or absolute."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return type(left) is type(right) and bool(left == right)


def differences(actual: list[common.Row], wanted: list[common.Row]) -> list[str]:
    """What differs between two lists of rows, matched by id."""
    left = {row["id"]: row for row in actual}
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
    wanted = expected_rows("dashboard_metrics_hourly")
    assert len(actual) == len(wanted) == 328
    assert differences(actual, wanted) == []


def test_quarantine() -> None:
    found = {source: dict(reasons) for source, reasons in common.rejected(lake()).items() if reasons}
    assert found == expected_rejections()


def test_daily() -> None:
    actual = daily.rows(lake(), FIRST, LAST)
    wanted = expected_rows("teacher_analytics_summary")
    assert len(actual) == len(wanted) == 52
    assert differences(actual, wanted) == []


def test_prompts() -> None:
    actual = prompts.rows(lake(), FIRST, LAST, "week")
    wanted = expected_rows("teacher_prompt_effectiveness")
    assert len(actual) == len(wanted) == 204
    assert differences(actual, wanted) == []


@pytest.mark.parametrize("degrees", [3, 4, 5, 8, 10, 19, 26, 60, 150])
def test_student_t(degrees: int) -> None:
    """Simpson's rule over the density finds 95 % between -t and t."""
    t, steps = common.student_t_95(degrees), 20000
    scale = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    weights = (1 if step in (0, steps) else 2 + 2 * (step % 2) for step in range(steps + 1))
    density = (scale * (1 + (step * t / steps) ** 2 / degrees) ** (-(degrees + 1) / 2) for step in range(steps + 1))
    share = 2 * t / steps / 3 * math.fsum(weight * height for weight, height in zip(weights, density, strict=True))
    assert abs(share - 0.95) < 1e-14


@pytest.mark.parametrize(("degrees", "value"), [(1, 12.706204736174704), (2, 4.302652729749462)])
def test_student_t_closed_forms(degrees: int, value: float) -> None:
    assert math.isclose(common.student_t_95(degrees), value, rel_tol=1e-13)
