"""The gate against broken rows: each invariant of each rollup is broken, and the verdict names it.

Great Expectations takes seconds per verdict, so one frame holds all the broken rows. It stays attributable: a check
counts the rows that fail it, and every break says which checks it fails and how often. A break that passed silently,
or failed more than it should, would show in the counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.gate import Check, Verdict, _answers, judge, relative_differences, write_data_docs
from expectations.suites import ROWS_OF_THE_ID, Volume, reconciliation_suite
from tests.expectations.staged import (
    ALL,
    BETWEEN,
    HOURLY,
    IN_SET,
    NOT_NULL_CHECK,
    PERSONAL,
    ROW_COUNT,
    Cells,
    Failed,
    Staged,
)

EQUAL = dict.fromkeys(HOURLY.rollup.staged_totals, 0.0)
"""No difference in any total."""

CANONICAL = HOURLY.canonical


def failed(checks: tuple[Check, ...]) -> Counter[Failed]:
    """How many rows failed which checks."""
    return Counter({(c.name, c.subject): int(c.observed) for c in checks if not c.success and c.observed is not None})


def verdict_on(spark: SparkSession, each: Staged, rows: Sequence[Cells]) -> Verdict:
    """The verdict on rows of a rollup that are as many as usual and whose totals are right."""
    equal = dict.fromkeys(each.rollup.staged_totals, 0.0)
    asked = each.suite(volume=Volume(len(rows), float(len(rows))))
    totals = reconciliation_suite(each.canonical.table, equal)
    return judge(each.frame(spark, rows), asked, each.canonical.key, equal, totals)


@pytest.fixture(scope="module")
def verdicts_on_breaks(spark: SparkSession) -> Callable[[Staged], Verdict]:
    """The verdict on all breaks of a rollup at once, judged once."""
    known: dict[str, Verdict] = {}

    def verdict_of(each: Staged) -> Verdict:
        if each.name not in known:
            rows = [*each.sound, *(cells for broken in each.breaks() for cells in broken.rows)]
            known[each.name] = verdict_on(spark, each, rows)
        return known[each.name]

    return verdict_of


@pytest.fixture(params=ALL, ids=lambda each: each.name)
def broken_one(
    verdicts_on_breaks: Callable[[Staged], Verdict], request: pytest.FixtureRequest
) -> tuple[Staged, Verdict]:
    """A rollup and the verdict on all of its breaks."""
    return request.param, verdicts_on_breaks(request.param)


@pytest.fixture(scope="module", params=ALL, ids=lambda each: each.name)
def sound_one(spark: SparkSession, request: pytest.FixtureRequest) -> Verdict:
    return verdict_on(spark, request.param, request.param.sound)


@pytest.fixture
def broken(verdicts_on_breaks: Callable[[Staged], Verdict]) -> Verdict:
    return verdicts_on_breaks(HOURLY)


def test_sound_rows_pass(sound_one: Verdict) -> None:
    assert [check for check in sound_one.checks if not check.success] == []
    assert not sound_one.refused
    assert {check.kind for check in sound_one.checks} == {"expectation", "emptiness", "drift", "reconciliation"}
    keys = [(check.kind, check.name, check.subject) for check in sound_one.checks]
    assert len(keys) == len(set(keys))


def test_each_broken_invariant_is_refused_by_the_check_that_names_it_and_by_no_other(
    broken_one: tuple[Staged, Verdict],
) -> None:
    """A check counts the rows that fail it: what one break adds cannot hide what another one lacks."""
    each, verdict = broken_one
    assert verdict.refused
    assert failed(verdict.failures) == sum((Counter(broken.fails) for broken in each.breaks()), Counter())
    assert all(check.kind == "expectation" for check in verdict.failures)
    assert verdict.warnings == ()


def test_every_check_of_the_rows_was_broken(broken_one: tuple[Staged, Verdict]) -> None:
    _, verdict = broken_one
    assert {(c.name, c.subject) for c in verdict.checks if c.kind == "expectation" and c.success} == set()


def test_the_pairs_that_must_order_are_declared() -> None:
    pairs = {each.name: {(pair.smaller, pair.greater) for pair in each.rollup.ordered} for each in ALL}
    assert pairs["dashboard_metrics_hourly"] >= {("ready_groups", "total_groups"), ("total_errors", "total_alerts")}
    assert pairs["teacher_analytics_summary"] >= {
        ("total_prompts_used", "total_prompts_shown"),
        ("total_prompts_dismissed", "total_prompts_shown"),
        ("total_interventions", "total_alerts_generated"),
    }
    assert pairs["teacher_prompt_effectiveness"] >= {
        ("total_acknowledged", "total_generated"),
        ("total_used", "total_generated"),
        ("total_dismissed", "total_generated"),
        ("confidence_interval_lower", "avg_effectiveness_score"),
        ("avg_effectiveness_score", "confidence_interval_upper"),
    }


def test_a_failure_tells_the_rows_by_their_keys_in_utc_and_never_their_values(broken: Verdict) -> None:
    details = {(check.name, check.subject): check.detail for check in broken.failures}
    assert details[BETWEEN, ROWS_OF_THE_ID] == "oak | 2025-09-01 20:00:00; oak | 2025-09-01 21:00:00"
    assert details[IN_SET, "calculation_method"] == "oak | 2025-09-02 06:00:00; oak | 2025-09-02 07:00:00"
    assert details[NOT_NULL_CHECK, "school_id"] == "null | null"
    assert details[BETWEEN, "total_groups_less_ready_groups"] == "oak | 2025-09-02 15:00:00"
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
    assert all(
        text in page for text in ("Failed", "error_rate", "total_groups_less_ready_groups", "1 unexpected values found")
    )
    assert "sessions_active" in other
    assert "unexpected values found" not in other
    assert PERSONAL not in page + other
    assert "display_name" not in page + other


def test_a_window_that_holds_rows_is_not_emptied(spark: SparkSession) -> None:
    asked = HOURLY.suite(["id"], Volume(4))
    verdict = judge(HOURLY.frame(spark, []), asked, CANONICAL.key, EQUAL, reconciliation_suite("x", EQUAL))
    assert verdict.refused
    assert [(check.kind, check.name, check.subject) for check in verdict.failures] == [("emptiness", ROW_COUNT, "rows")]


def test_a_window_is_emptied_where_the_call_allows_it_and_drift_is_only_a_warning(spark: SparkSession) -> None:
    asked = HOURLY.suite(["id"], Volume(4, 10.0), allow_empty=True)
    verdict = judge(HOURLY.frame(spark, []), asked, CANONICAL.key, EQUAL, reconciliation_suite("x", EQUAL))
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
    verdict = judge(
        HOURLY.frame(spark, HOURLY.sound), none, CANONICAL.key, differences, reconciliation_suite("x", differences)
    )
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
    verdict = judge(
        HOURLY.frame(spark, HOURLY.sound), asked, CANONICAL.key, {}, ExpectationSuite(name="none", expectations=[])
    )
    assert verdict.refused
    assert [(c.name, c.subject, c.severity, c.detail) for c in verdict.checks if not c.success] == [
        (NOT_NULL_CHECK, "no_such_column", "critical", "the expectation raised")
    ]


def test_what_an_expectation_raised_is_kept_from_pages(spark: SparkSession, tmp_path: Path) -> None:
    message = "No space left on device, while row Ada was read"
    broken = HOURLY.frame(spark, HOURLY.sound).withColumn("id", F.raise_error(F.lit(message)).cast("string"))
    verdict = judge(broken, HOURLY.suite(["id"]), CANONICAL.key, EQUAL, reconciliation_suite("x", EQUAL))
    assert verdict.refused
    assert any(message in error for error in verdict.errors)
    assert message not in repr(verdict)
    write_data_docs(verdict, tmp_path)
    pages = "".join(page.read_text(encoding="utf-8") for page in tmp_path.iterdir())
    assert "raised an exception" in pages
    assert "Ada" not in pages


def test_a_check_of_the_volume_that_raises_does_not_say_that_the_window_is_emptied(spark: SparkSession) -> None:
    result = verdict_on(spark, HOURLY, HOURLY.sound).results[0]
    for answer in result.results:
        answer.exception_info = {"raised_exception": True}
    checks = _answers(result, HOURLY.suite(), "expectation")
    assert {check.severity for check in checks} == {"critical"}
    assert Counter(check.kind for check in checks if check.name == ROW_COUNT) == {"drift": 1, "emptiness": 1}


def test_a_missing_result_is_refused(spark: SparkSession) -> None:
    of_rows = verdict_on(spark, HOURLY, HOURLY.sound).results[0]
    lost, *others = of_rows.results
    complete = _answers(of_rows, HOURLY.suite(), "expectation")
    assert not Verdict(complete).refused
    of_rows.results = others
    verdict = Verdict(_answers(of_rows, HOURLY.suite(), "expectation"))
    assert verdict.refused
    assert len(verdict.checks) == len(complete)
    column = lost.expectation_config.kwargs["column"]
    assert [(c.name, c.subject, c.detail) for c in verdict.failures] == [
        (lost.expectation_config.type, column, "no result")
    ]


def test_no_checks_are_no_verdict(spark: SparkSession) -> None:
    from great_expectations.core import ExpectationSuite

    none = ExpectationSuite(name="none", expectations=[])
    verdict = judge(HOURLY.frame(spark, HOURLY.sound), none, CANONICAL.key, {}, none)
    assert verdict.checks == ()
    assert verdict.refused


def test_only_critical_failures_refuse() -> None:
    passed = Check("expectation", "a", "rows", "critical", True)
    informed = replace(passed, severity="info", success=False)
    warned = replace(passed, severity="warning", success=False)
    refused = replace(passed, success=False)
    assert not Verdict((passed, informed, warned)).refused
    assert Verdict((passed, informed, warned)).warnings == (warned,)
    assert Verdict((passed, refused)).failures == (refused,)
    assert Verdict((passed, refused)).refused
