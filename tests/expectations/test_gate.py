"""The gate against broken rows: each invariant of the hourly rollup is broken, and the verdict names it.

Great Expectations takes seconds per verdict, so one frame holds all the broken rows. It stays attributable: a check
counts the rows that fail it, and every break says which checks it fails and how often. A break that passed silently,
or failed more than it should, would show in the counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from expectations.gate import Check, Verdict, _answers, judge, relative_differences, write_data_docs
from expectations.suites import Range, Volume, reconciliation_suite, rollup_suite
from jobs.dashboard_metrics_hourly import ROLLUP
from tests.expectations.staged import (
    BOUNDED,
    CANONICAL,
    COLUMNS,
    COUNTS,
    DOUBLES,
    END,
    GOOD,
    NOT_NULL,
    PERSONAL,
    START,
    Cells,
    frame,
    row,
    staged,
    suite,
)

BETWEEN = "expect_column_values_to_be_between"
NOT_NULL_CHECK = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
UNIQUE = "expect_column_values_to_be_unique"
COMPOUND = "expect_compound_columns_to_be_unique"
PAIR = "expect_column_pair_values_a_to_be_greater_than_b"
ROW_COUNT = "expect_table_row_count_to_be_between"

EQUAL = dict.fromkeys(ROLLUP.staged_totals, 0.0)
"""No difference in any total."""

Failed = tuple[str, str]
"""The name and the subject of a check."""


@dataclass(frozen=True)
class Break:
    """Rows that break an invariant, and how many rows then fail which checks."""

    name: str
    rows: tuple[Cells, ...]
    fails: Mapping[Failed, int]


def _below(name: str) -> float:
    minimum = CANONICAL.column(name).minimum
    assert minimum is not None
    return minimum - 0.001


BREAKS = (
    Break(
        "two rows of one school and hour",
        (row(10, id="twin-1"), row(10, id="twin-2")),
        {(COMPOUND, "school_id, metric_hour"): 2},
    ),
    Break("two rows of one id", (row(11, id="shared"), row(12, id="shared")), {(UNIQUE, "id"): 2}),
    Break("a null in each column", ({},), {(NOT_NULL_CHECK, name): 1 for name in NOT_NULL}),
    Break(
        "each count below its minimum",
        (row(13, **dict.fromkeys(COUNTS, -1)) | {"data_sources_count": 0},),
        {(BETWEEN, name): 1 for name in COUNTS},
    ),
    Break(
        "each double below its minimum",
        (row(14, **{name: _below(name) for name in DOUBLES}),),
        {(BETWEEN, name): 1 for name in DOUBLES},
    ),
    Break(
        "each score and percentage above 100",
        (row(15, **dict.fromkeys(BOUNDED, 100.001)),),
        {(BETWEEN, name): 1 for name in BOUNDED},
    ),
    Break("NaN", (row(16, **dict.fromkeys(DOUBLES, math.nan)),), {(BETWEEN, name): 1 for name in DOUBLES}),
    Break("infinity", (row(17, **dict.fromkeys(DOUBLES, math.inf)),), {(BETWEEN, name): 1 for name in DOUBLES}),
    Break("minus infinity", (row(18, **dict.fromkeys(DOUBLES, -math.inf)),), {(BETWEEN, name): 1 for name in DOUBLES}),
    Break(
        "a row before the window",
        (row(-1), row(19, metric_hour=START - timedelta(microseconds=1))),
        {(BETWEEN, "metric_hour"): 2},
    ),
    Break("a row at the window's end", (row(20, metric_hour=END),), {(BETWEEN, "metric_hour"): 1}),
    Break(
        "another method of calculation",
        (row(21, calculation_method="daily_rollup"), row(22, calculation_method="Hourly_rollup")),
        {(IN_SET, "calculation_method"): 2},
    ),
    *(
        Break(
            f"{pair.smaller} above {pair.greater}",
            (row(30 + number, **dict.fromkeys(COUNTS, 8)) | {pair.smaller: 9},),
            {(PAIR, f"{pair.greater}, {pair.smaller}"): 1},
        )
        for number, pair in enumerate(ROLLUP.ordered)
    ),
)


def failed(checks: tuple[Check, ...]) -> Counter[Failed]:
    """How many rows failed which checks."""
    return Counter({(c.name, c.subject): int(c.observed) for c in checks if not c.success and c.observed is not None})


@pytest.fixture(scope="module")
def sound(spark: SparkSession) -> Verdict:
    return judge(staged(spark, GOOD), suite(), CANONICAL.key, EQUAL, reconciliation_suite(CANONICAL.table, EQUAL))


@pytest.fixture(scope="module")
def broken(spark: SparkSession) -> Verdict:
    rows = [*GOOD, *(cells for each in BREAKS for cells in each.rows)]
    asked = suite(volume=Volume(len(rows), float(len(rows))))
    return judge(staged(spark, rows), asked, CANONICAL.key, EQUAL, reconciliation_suite(CANONICAL.table, EQUAL))


def test_sound_rows_pass(sound: Verdict) -> None:
    assert [check for check in sound.checks if not check.success] == []
    assert not sound.refused
    assert {check.kind for check in sound.checks} == {"expectation", "emptiness", "drift", "reconciliation"}
    keys = [(check.kind, check.name, check.subject) for check in sound.checks]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: each.name)
def test_a_broken_invariant_is_refused_by_the_check_that_names_it(broken: Verdict, each: Break) -> None:
    assert broken.refused
    found = failed(broken.failures)
    everything = sum((Counter(other.fails) for other in BREAKS), Counter())
    assert {key: found[key] for key in each.fails} == {key: everything[key] for key in each.fails}


def test_nothing_else_is_refused(broken: Verdict) -> None:
    assert failed(broken.failures) == sum((Counter(each.fails) for each in BREAKS), Counter())
    assert all(check.kind == "expectation" for check in broken.failures)
    assert broken.warnings == ()


def test_every_check_of_the_rows_was_broken(broken: Verdict) -> None:
    assert {(c.name, c.subject) for c in broken.checks if c.kind == "expectation" and c.success} == set()


def test_a_failure_tells_the_rows_by_their_keys_in_utc_and_never_their_values(broken: Verdict) -> None:
    details = {(check.name, check.subject): check.detail for check in broken.failures}
    assert details[UNIQUE, "id"] == "oak | 2025-09-01 20:00:00; oak | 2025-09-01 21:00:00"
    assert details[IN_SET, "calculation_method"] == "oak | 2025-09-02 06:00:00; oak | 2025-09-02 07:00:00"
    assert details[NOT_NULL_CHECK, "school_id"] == "null | null"
    assert details[PAIR, "total_groups, ready_groups"] == "oak | 2025-09-02 15:00:00"
    assert len(details[BETWEEN, "error_rate"].split("; ")) == 5
    assert PERSONAL not in str(broken.checks)


def test_a_failure_says_what_was_expected(broken: Verdict) -> None:
    expected = {(check.name, check.subject): check.expected for check in broken.failures}
    assert expected[BETWEEN, "avg_connection_stability"] == "min_value=25.0, max_value=100.0"
    assert expected[BETWEEN, "total_errors"] == "min_value=0.0"
    assert expected[IN_SET, "calculation_method"] == "value_set=['hourly_rollup']"
    assert "strict_max=True" in expected[BETWEEN, "metric_hour"]


def test_the_pages_show_what_failed_and_nothing_personal(broken: Verdict, tmp_path: Path) -> None:
    first = write_data_docs(broken, tmp_path / "docs" / "run")
    assert first == tmp_path / "docs" / "run" / "analytics.dashboard_metrics_hourly.html"
    page = first.read_text(encoding="utf-8")
    other = first.with_name("analytics.dashboard_metrics_hourly.reconciliation.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert all(told in page for told in ("Failed", "error_rate", "values must be unique", "1 unexpected values found"))
    assert "sessions_active" in other
    assert "unexpected values found" not in other
    assert PERSONAL not in page + other
    assert "display_name" not in page + other


def test_a_window_that_holds_rows_is_not_emptied(spark: SparkSession) -> None:
    asked = suite(["id"], Volume(4))
    verdict = judge(staged(spark, []), asked, CANONICAL.key, EQUAL, reconciliation_suite("x", EQUAL))
    assert verdict.refused
    assert [(check.kind, check.name, check.subject) for check in verdict.failures] == [("emptiness", ROW_COUNT, "rows")]


def test_a_window_is_emptied_where_the_call_allows_it_and_drift_is_only_a_warning(spark: SparkSession) -> None:
    asked = suite(["id"], Volume(4, 10.0), allow_empty=True)
    verdict = judge(staged(spark, []), asked, CANONICAL.key, EQUAL, reconciliation_suite("x", EQUAL))
    assert not verdict.refused
    assert [(check.kind, check.name, check.severity) for check in verdict.warnings] == [("drift", ROW_COUNT, "warning")]
    assert verdict.warnings[0].observed == 0
    assert verdict.warnings[0].expected == "min_value=5, max_value=16"


def test_totals_must_be_those_of_the_sources(spark: SparkSession) -> None:
    from great_expectations.core import ExpectationSuite

    source = {
        "equal": 7.0,
        "equal_but_for_the_order_of_a_sum": 1e6,
        "one_more": 1000.0,
        "one_less": 1000.0,
        "from_nothing": 0.0,
        "a_millionth_more": 1e6,
        "a_millionth_less": 1e6,
        "not_a_number": 3.0,
        "endless": 3.0,
        "not_staged": 3.0,
    }
    of_staged = {
        "equal": 7.0,
        "equal_but_for_the_order_of_a_sum": 1e6 + 1e-5,
        "one_more": 1001.0,
        "one_less": 999.0,
        "from_nothing": 1.0,
        "a_millionth_more": 1e6 * (1 + 1e-6),
        "a_millionth_less": 1e6 * (1 - 1e-6),
        "not_a_number": math.nan,
        "endless": math.inf,
        "without_a_source": 3.0,
    }
    differences = relative_differences(of_staged, source)
    none = ExpectationSuite(name="none", expectations=[])
    verdict = judge(staged(spark, GOOD), none, CANONICAL.key, differences, reconciliation_suite("x", differences))
    off = ["one_more", "one_less", "from_nothing", "a_millionth_more", "a_millionth_less"]
    missing = ["not_a_number", "endless", "not_staged", "without_a_source"]
    assert verdict.refused
    assert {(check.kind, check.name, check.subject) for check in verdict.failures} == {
        *(("reconciliation", BETWEEN, name) for name in off),
        *(("reconciliation", NOT_NULL_CHECK, name) for name in missing),
    }


def test_relative_differences_are_over_the_greater_total_and_at_least_one() -> None:
    found = relative_differences(
        {"a": 0.5, "b": 110.0, "c": 90.0, "d": 1.0}, {"a": 0.0, "b": 100.0, "c": 100.0, "e": 1.0}
    )
    assert found == {"a": 0.5, "b": pytest.approx(1 / 11), "c": pytest.approx(-0.1), "d": None, "e": None}


def test_an_expectation_that_raises_is_critical_whatever_its_severity(spark: SparkSession) -> None:
    import great_expectations.expectations as gxe
    from great_expectations.core import ExpectationSuite

    asked = ExpectationSuite(
        name="raising",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="no_such_column", severity="warning"),
            gxe.ExpectColumnValuesToNotBeNull(column="id"),
        ],
    )
    verdict = judge(staged(spark, GOOD), asked, CANONICAL.key, {}, ExpectationSuite(name="none", expectations=[]))
    assert verdict.refused
    assert [(c.name, c.subject, c.severity, c.detail) for c in verdict.checks if not c.success] == [
        (NOT_NULL_CHECK, "no_such_column", "critical", "the expectation raised")
    ]


def test_a_missing_result_is_refused(sound: Verdict) -> None:
    of_rows = sound.results[0]
    lost, *others = of_rows.results
    complete = _answers(of_rows, suite(), "expectation")
    assert not Verdict(complete).refused
    # The results belong to the module's verdict: put back as they were.
    of_rows.results = others
    try:
        verdict = Verdict(_answers(of_rows, suite(), "expectation"))
    finally:
        of_rows.results = [lost, *others]
    assert verdict.refused
    assert len(verdict.checks) == len(complete)
    column = lost.expectation_config.kwargs["column"]
    assert [(c.name, c.subject, c.detail) for c in verdict.failures] == [
        (lost.expectation_config.type, column, "no result")
    ]


def test_no_checks_are_no_verdict(spark: SparkSession) -> None:
    from great_expectations.core import ExpectationSuite

    none = ExpectationSuite(name="none", expectations=[])
    verdict = judge(staged(spark, GOOD), none, CANONICAL.key, {}, none)
    assert verdict.checks == ()
    assert verdict.refused


def test_only_critical_failures_refuse() -> None:
    passed = Check("expectation", "a", "rows", "critical", True)
    told = replace(passed, severity="info", success=False)
    warned = replace(passed, severity="warning", success=False)
    refused = replace(passed, success=False)
    assert not Verdict((passed, told, warned)).refused
    assert Verdict((passed, told, warned)).warnings == (warned,)
    assert Verdict((passed, refused)).failures == (refused,)
    assert Verdict((passed, refused)).refused


def test_dates_and_doubles_without_a_range_of_the_other_rollups_are_held_too(spark: SparkSession) -> None:
    """A window of dates is half-open as well, and a score of any size must be a number."""
    table = contract_of("analytics.teacher_analytics_summary")
    first, end = date(2025, 9, 1), date(2025, 9, 8)
    score, day = "avg_effectiveness_score", "summary_date"
    scores: list[float | None] = [-1e300, 1e300, None, math.nan, math.inf, -math.inf, 0.0, 0.0]
    days = [
        first,
        end - timedelta(days=1),
        *[first + timedelta(days=n) for n in range(1, 5)],
        first - timedelta(days=1),
        end,
    ]
    rows = [
        {"id": f"row-{number}", "teacher_id": "ada", day: days[number], score: scores[number]}
        for number in range(len(days))
    ]
    types = {"id": "string", "teacher_id": "string", day: "date", score: "double"}
    asked = rollup_suite([table], types, Range(day, first, end), (), Volume(0), allow_empty=False, drift_tolerance=0.5)
    verdict = judge(frame(spark, rows, types), asked, table.key, EQUAL, reconciliation_suite("x", EQUAL))
    assert failed(verdict.failures) == {(BETWEEN, score): 3, (BETWEEN, day): 2}
    details = {check.subject: check.detail for check in verdict.failures}
    assert details[day] == "ada | 2025-08-31; ada | 2025-09-08"


def test_the_columns_that_are_broken_above_are_all_columns_with_a_rule() -> None:
    assert {column.name for column in COLUMNS if column.is_measure} == {*COUNTS, *DOUBLES}
    assert {column.name for column in COLUMNS if column.domain} == {"calculation_method"}
