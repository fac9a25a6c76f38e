"""What the suites ask, read off their expectations: nothing is validated here."""

from __future__ import annotations

import sys
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from expectations.contract import contract_of
from expectations.suites import (
    ROWS_OF_THE_ID,
    ROWS_OF_THE_KEY,
    AtMost,
    Range,
    Volume,
    reconciliation_suite,
    rollup_suite,
)
from tests.expectations.staged import BETWEEN, HOURLY, NOT_NULL_CHECK, ROW_COUNT
from transforms.table_diff import AUDIT_COLUMNS

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite


def asked(made: ExpectationSuite, name: str) -> list[dict[str, Any]]:
    """The arguments of the suite's expectations of that name."""
    return [dict(e.configuration.kwargs) for e in made.expectations if e.configuration.type == name]


def columns_of(made: ExpectationSuite, name: str) -> list[str]:
    return sorted(kwargs["column"] for kwargs in asked(made, name))


def test_each_column_that_is_never_null_is_asked_for_nulls() -> None:
    assert columns_of(HOURLY.suite(), NOT_NULL_CHECK) == sorted(HOURLY.not_null)


def test_each_number_has_its_range_and_a_double_never_an_open_one() -> None:
    made = {kwargs["column"]: kwargs for kwargs in asked(HOURLY.suite(), BETWEEN)}
    numbers = {column.name: column for column in (*HOURLY.counts, *HOURLY.doubles)}
    bounded = {column.name for column in HOURLY.bounded}
    open_ended = {column.name for column in HOURLY.doubles} - bounded
    pairs = {pair.name for pair in HOURLY.rollup.ordered}
    assert set(made) == {*numbers, *pairs, "metric_hour", ROWS_OF_THE_ID, ROWS_OF_THE_KEY}
    assert {made[name]["max_value"] for name in bounded} == {100.0}
    assert {made[name]["max_value"] for name in open_ended} == {sys.float_info.max}
    assert {name: made[name]["min_value"] for name in numbers} == {n: c.minimum for n, c in numbers.items()}


def test_a_double_without_a_range_must_be_finite() -> None:
    table = contract_of("ai_insights.teacher_prompt_effectiveness")
    window = HOURLY.window
    made = rollup_suite(
        [table], ["avg_effectiveness_score"], window, (), Volume(0), allow_empty=False, drift_tolerance=0.5
    )
    (bounds,) = [kwargs for kwargs in asked(made, BETWEEN) if kwargs["column"] == "avg_effectiveness_score"]
    assert (bounds["min_value"], bounds["max_value"]) == (-sys.float_info.max, sys.float_info.max)


def test_the_window_is_half_open() -> None:
    (bounds,) = [kwargs for kwargs in asked(HOURLY.suite(), BETWEEN) if kwargs["column"] == "metric_hour"]
    assert (bounds["min_value"], bounds["max_value"], bounds["strict_max"]) == (
        HOURLY.window.start,
        HOURLY.window.end,
        True,
    )
    assert "strict_min" not in bounds or not bounds["strict_min"]


def test_the_id_and_the_key_are_unique() -> None:
    made = {kwargs["column"]: kwargs for kwargs in asked(HOURLY.suite(), BETWEEN)}
    assert made[ROWS_OF_THE_ID]["max_value"] == made[ROWS_OF_THE_KEY]["max_value"] == 1


def test_the_declared_pairs_are_ordered() -> None:
    assert AtMost("ready_groups", "total_groups") in HOURLY.rollup.ordered
    assert AtMost("total_errors", "total_alerts") in HOURLY.rollup.ordered
    made = {kwargs["column"]: kwargs for kwargs in asked(HOURLY.suite(), BETWEEN)}
    assert {made[pair.name]["min_value"] for pair in HOURLY.rollup.ordered} == {0}


@pytest.mark.parametrize(
    ("rows_now", "usual", "allow_empty", "bounds"),
    [
        (0, None, False, []),
        (1, None, False, [(1, None, "critical")]),
        (1, None, True, []),
        (0, 0.0, False, []),
        (0, 10.0, False, [(5, 16, "warning")]),
        (3, 2.5, True, [(1, 4, "warning")]),
        (3, 2.5, False, [(1, None, "critical"), (1, 4, "warning")]),
    ],
)
def test_the_number_of_rows_is_critical_only_where_a_window_would_be_emptied(
    rows_now: int, usual: float | None, allow_empty: bool, bounds: list[tuple[int, int | None, str]]
) -> None:
    made = HOURLY.suite(volume=Volume(rows_now, usual), allow_empty=allow_empty)
    found = [e.configuration for e in made.expectations if e.configuration.type == ROW_COUNT]
    assert [(c.kwargs["min_value"], c.kwargs.get("max_value"), c.severity.value) for c in found] == bounds


def test_all_but_the_drift_is_critical() -> None:
    severities = [(e.configuration.type, e.configuration.severity.value) for e in HOURLY.suite().expectations]
    assert [name for name, severity in severities if severity != "critical"] == [ROW_COUNT]


@pytest.mark.parametrize(
    ("tables", "window"),
    [
        (
            ("analytics.teacher_analytics_summary", "users.teacher_analytics_summary"),
            Range("summary_date", date(2025, 9, 1), date(2025, 9, 8)),
        ),
        (
            ("ai_insights.teacher_prompt_effectiveness",),
            Range(
                "calculation_period_start",
                datetime(2025, 9, 1, tzinfo=timezone.utc),
                datetime(2025, 9, 8, tzinfo=timezone.utc),
            ),
        ),
    ],
)
def test_the_columns_of_every_target_are_asked_about(tables: tuple[str, ...], window: Range) -> None:
    contracts = [contract_of(table) for table in tables]
    columns = {
        column.name: column for table in contracts for column in table.columns if column.name not in AUDIT_COLUMNS
    }
    made = rollup_suite(contracts, columns, window, (), Volume(0), allow_empty=False, drift_tolerance=0.5)
    assert columns_of(made, NOT_NULL_CHECK) == sorted(name for name, column in columns.items() if column.not_null)
    assert {c.name for c in columns.values() if c.is_measure or c.type == "double"} <= set(columns_of(made, BETWEEN))
    assert columns_of(made, "expect_column_values_to_be_in_set") == sorted(c.name for c in columns.values() if c.domain)
    assert made.name == tables[0]


def test_a_staged_column_without_a_contract_is_no_column_of_the_rollup() -> None:
    with pytest.raises(KeyError, match="display_name"):
        HOURLY.suite(["display_name"])


def test_each_total_must_be_there_and_almost_equal() -> None:
    made = reconciliation_suite("analytics.dashboard_metrics_hourly", {"a": 0.0, "b": 0.0})
    assert made.name == "analytics.dashboard_metrics_hourly.reconciliation"
    assert columns_of(made, NOT_NULL_CHECK) == columns_of(made, BETWEEN) == ["a", "b"]
    assert {(kwargs["min_value"], kwargs["max_value"]) for kwargs in asked(made, BETWEEN)} == {(-1e-9, 1e-9)}


def test_a_range_reads_in_sql_as_comparisons_with_literals() -> None:
    day = Range("summary_date", date(2025, 9, 1), date(2025, 9, 4))
    assert day.sql == "summary_date >= DATE '2025-09-01' AND summary_date < DATE '2025-09-04'"
    hours = Range("metric_hour", HOURLY.window.start, HOURLY.window.end, [HOURLY.window.start])
    first = "TIMESTAMP '2025-09-01 09:00:00+00:00'"
    end = "TIMESTAMP '2025-09-03 09:00:00+00:00'"
    assert hours.sql == f"metric_hour >= {first} AND metric_hour < {end} AND metric_hour IN ({first})"
