"""The Column helpers, value by value."""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta, timezone

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_values
from transforms.columns import (
    blank_to_null,
    clamped,
    hour_of,
    hours,
    instant,
    mean,
    mean_of,
    normalised,
    percentage,
    seconds_between,
    standard_deviation,
    trimmed,
    weighted_mean,
)


def test_every_white_space_that_python_knows_is_trimmed_from_the_ends_only(spark: SparkSession) -> None:
    spaces = "".join(character for character in map(chr, range(sys.maxunicode)) if character.isspace())
    text = spark.range(1).select(trimmed(F.lit(f"{spaces}a{spaces}\u200b{spaces}")).alias("text")).collect()[0].text
    assert text == f"a{spaces}\u200b"


def test_a_text_of_white_space_is_null_and_any_other_stays_exactly_as_it_is(table: Table) -> None:
    cases = table("""
        value string      | expected string
        null              | null
        ''                | null
        '  '              | null
        '\t\u00a0\u3000 ' | null
        ' a '             | ' a '
        '\t0'             | '\t0'
        ~                 | ~
        '\x7f'            | '\x7f'
        é                 | é
    """)
    assert_values(cases, blank_to_null(F.col("value")))


def test_a_normalised_text_is_trimmed_and_in_lower_case(table: Table) -> None:
    cases = table("""
        value string          | expected string
        ' Excellent\t'        | excellent
        '\u00a0LEADER_READY ' | leader_ready
        'In Progress'         | 'in progress'
        X                     | x
        'É '                  | é
        'Ready\u3000'         | ready
        null                  | null
    """)
    assert_values(cases, normalised(F.col("value")))


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_a_line_break_at_the_end_is_trimmed_too(spark: SparkSession, line_break: str) -> None:
    text = spark.range(1).select(normalised(F.lit(f"Completed{line_break}")).alias("text")).collect()[0].text
    assert text == "completed"


def test_seconds_between_keep_fractions_and_sign(table: Table) -> None:
    cases = table("""
        earlier timestamp          | later timestamp            | expected double
        2025-09-01 09:00:00        | 2025-09-01 09:00:01.250001 | 1.250001
        2025-09-01 09:00:01.5      | 2025-09-01 09:00:00        | -1.5
        2025-08-31 23:59:59        | 2025-09-02 00:00:00        | 86401.0
        null                       | 2025-09-01 09:00:00        | null
        2025-09-01 09:00:00        | null                       | null
    """)
    assert_values(cases, seconds_between(F.col("earlier"), F.col("later")))


def test_a_mean_is_of_the_values_that_are_not_null(table: Table) -> None:
    cases = table("""
        a double | b double | c double | expected double
        1.0      | 2.0      | 6.0      | 3.0
        1.0      | null     | 2.0      | 1.5
        null     | null     | 0.0      | 0.0
        null     | null     | null     | null
    """)
    assert_values(cases, mean_of(F.col("a"), F.col("b"), F.col("c")))


def test_a_percentage_of_nothing_is_null(table: Table) -> None:
    cases = table("""
        part double | whole double | expected double
        1.0         | 4.0          | 25.0
        0.0         | 4.0          | 0.0
        0.0         | 0.0          | null
        1.0         | null         | null
    """)
    assert_values(cases, percentage(F.col("part"), F.col("whole")))


def test_the_mean_of_finite_values_is_finite_and_exact(table: Table) -> None:
    cases = table("""
        id string | value double
        huge      | 1.7e308
        huge      | 1.7e308
        huge      | null
        usual     | 0.1
        usual     | 0.2
        usual     | 0.3
        none      | null
    """)
    means = cases.groupBy("id").agg(mean(F.col("value")).alias("mean"), F.avg("value").alias("plain"))
    found = {row["id"]: row["mean"] for row in means.collect()}
    plain = {row["id"]: row["plain"] for row in means.collect()}
    assert found == {"huge": 1.7e308, "usual": plain["usual"], "none": None}


def test_the_standard_deviation_of_huge_values_is_finite_and_that_of_others_is_sparks(table: Table) -> None:
    cases = table("""
        id string | value double
        equal     | 1.7e308
        equal     | 1.7e308
        apart     | 1e155
        apart     | 0.5
        apart     | 0.5
        apart     | null
        usual     | 0.1
        usual     | 0.2
        usual     | 0.4
        one       | 1.7e308
        none      | null
    """)
    found = cases.groupBy("id").agg(
        standard_deviation(F.col("value")).alias("found"), F.stddev_samp("value").alias("plain")
    )
    rows = {row["id"]: (row["found"], row["plain"]) for row in found.collect()}
    deviations = {name: deviation for name, (deviation, _) in rows.items()}
    assert deviations.pop("apart") == pytest.approx(1e155 / math.sqrt(3), rel=1e-12)
    assert deviations == {"equal": 0.0, "usual": rows["usual"][1], "one": None, "none": None}


def test_a_weighted_mean_never_leaves_the_range_of_its_values(table: Table) -> None:
    """Rounding must not lift a mean of ones above 1: 100 * 88.166 / 88.166 is more than 100."""
    cases = table("""
        id string | value double | weight double
        all-ones  | 1.0          | 88.166
        all-ones  | null         | 5.0
        mixed     | 1.0          | 3.0
        mixed     | 0.5          | 1.0
        weightless| 0.5          | 0.0
        unknown   | null         | 1.0
    """)
    means = cases.groupBy("id").agg(weighted_mean(F.col("value"), F.col("weight")).alias("mean"))
    assert {row["id"]: row["mean"] for row in means.collect()} == {
        "all-ones": 1.0,
        "mixed": 0.875,
        "weightless": None,
        "unknown": None,
    }


def test_a_moment_is_clamped_to_its_bounds_and_null_stays_null(table: Table) -> None:
    cases = table("""
        moment timestamp    | earliest timestamp  | latest timestamp    | expected timestamp
        2025-09-01 09:00:00 | 2025-09-01 08:00:00 | 2025-09-01 10:00:00 | 2025-09-01 09:00:00
        2025-09-01 07:00:00 | 2025-09-01 08:00:00 | 2025-09-01 10:00:00 | 2025-09-01 08:00:00
        2025-09-01 11:00:00 | 2025-09-01 08:00:00 | 2025-09-01 10:00:00 | 2025-09-01 10:00:00
        null                | 2025-09-01 08:00:00 | 2025-09-01 10:00:00 | null
    """)
    assert_values(cases, clamped(F.col("moment"), F.col("earliest"), F.col("latest")))


def test_an_hour_holds_its_first_moment_and_not_the_next_hours(table: Table) -> None:
    cases = table("""
        moment timestamp           | expected timestamp
        2025-09-01 09:00:00        | 2025-09-01 09:00:00
        2025-09-01 09:59:59.999999 | 2025-09-01 09:00:00
        2025-09-01 10:00:00        | 2025-09-01 10:00:00
        2025-11-02 06:30:00        | 2025-11-02 06:00:00
    """)
    assert_values(cases, hour_of(F.col("moment")))
    assert_values(cases, hour_of(F.col("moment") + hours(24)) - hours(24))


def test_an_instant_is_the_same_in_every_zone_and_keeps_microseconds(table: Table) -> None:
    cases = table("""
        expected timestamp
        2025-09-01 14:00:00.000001
    """)
    india = timezone(timedelta(hours=5, minutes=30))
    assert_values(cases, instant(datetime(2025, 9, 1, 14, 0, 0, 1, tzinfo=timezone.utc)))
    assert_values(cases, instant(datetime(2025, 9, 1, 19, 30, 0, 1, tzinfo=india)))


def test_an_instant_needs_an_offset() -> None:
    with pytest.raises(ValueError, match="needs an offset"):
        instant(datetime(2025, 9, 1))  # noqa: DTZ001
