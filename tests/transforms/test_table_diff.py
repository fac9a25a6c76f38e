"""Staged rows against the rows of a table: what counts as a change, and what the window holds after it."""

from __future__ import annotations

from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_rows
from transforms.table_diff import compared, content_after

RUN_START = datetime(2025, 9, 2, 6, 30, tzinfo=timezone.utc)
COLUMNS = ("day", "total", "created_at", "calculated_at")


def assert_changes(cases: DataFrame) -> None:
    """`old` against `new`, both of the same `day`, is the change that the case expects."""
    comparison = compared(cases.selectExpr("day", "old AS value"), cases.selectExpr("day", "new AS value"), ["day"])
    assert_rows(comparison.selectExpr("old.day", "change AS expected"), cases.select("day", "expected"))


def test_a_key_is_new_changed_unchanged_or_gone(table: Table) -> None:
    current = table("""
        day string | total int | calculated_at timestamp
        mon        | 1         | 2025-09-01 06:00:00
        tue        | 2         | 2025-09-01 06:00:00
        wed        | 3         | 2025-09-01 06:00:00
    """)
    staged = table("""
        day string | total int
        tue        | 2
        wed        | 4
        thu        | 5
    """)
    assert_rows(
        compared(current, staged, ["day"]).selectExpr("old.day AS old", "new.day AS new", "change"),
        table("""
            old string | new string | change string
            mon        | null       | gone
            tue        | tue        | unchanged
            wed        | wed        | changed
            null       | thu        | new
        """),
    )


def test_doubles_within_1e_9_relative_or_absolute_are_unchanged(table: Table) -> None:
    assert_changes(
        table("""
        day string | old double    | new double         | expected string
        d01        | 0.0           | 0.0000000009       | unchanged
        d02        | 0.0           | 0.000000002        | changed
        d03        | 0.5           | 0.5000000009       | unchanged
        d04        | 0.5           | 0.500000002        | changed
        d05        | 1000000000000 | 1000000000900      | unchanged
        d06        | 1000000000000 | 1000000002000      | changed
        d07        | 0.0000000004  | -0.0000000004      | unchanged
        d08        | -1000000000.0 | -1000000000.9      | unchanged
        d09        | -1000000000.0 | 1000000000.0       | changed
        d10        | 0.0           | null               | changed
        d11        | null          | 0.0                | changed
        d12        | null          | null               | unchanged
    """)
    )


def test_what_is_not_finite_equals_only_itself(table: Table) -> None:
    assert_changes(
        table("""
        day string | old double | new double | expected string
        d1         | NaN        | NaN        | unchanged
        d2         | NaN        | 5.0        | changed
        d3         | 5.0        | NaN        | changed
        d4         | NaN        | null       | changed
        d5         | Infinity   | Infinity   | unchanged
        d6         | Infinity   | 5.0        | changed
        d7         | 5.0        | -Infinity  | changed
        d8         | Infinity   | -Infinity  | changed
        d9         | NaN        | Infinity   | changed
    """)
    )


def test_texts_are_compared_exactly_and_null_is_no_empty_text(table: Table) -> None:
    assert_changes(
        table("""
        day string | old string | new string | expected string
        d1         | stable     | stable     | unchanged
        d2         | stable     | Stable     | changed
        d3         | ''         | null       | changed
        d4         | null       | ''         | changed
        d5         | null       | null       | unchanged
    """)
    )


def test_a_null_in_a_key_equals_null_and_nothing_else(table: Table) -> None:
    current = table("""
        school string | day string | total int
        null          | mon        | 1
        oak           | null       | 2
        null          | tue        | 3
    """)
    staged = table("""
        school string | day string | total int
        null          | mon        | 1
        oak           | null       | 9
        ''            | tue        | 3
    """)
    assert_rows(
        compared(current, staged, ["school", "day"]).selectExpr("old.total AS old", "new.total AS new", "change"),
        table("""
            old int | new int | change string
            1       | 1       | unchanged
            2       | 9       | changed
            3       | null    | gone
            null    | 3       | new
        """),
    )


def test_a_key_that_the_table_holds_twice_makes_way_for_one_new_row(table: Table) -> None:
    current = table("""
        day string | total int | created_at timestamp | calculated_at timestamp
        mon        | 1         | 2025-09-01 06:00:00  | 2025-09-01 06:00:00
        mon        | 2         | 2025-09-01 06:00:00  | 2025-09-01 06:00:00
        tue        | 3         | 2025-09-01 06:00:00  | 2025-09-01 06:00:00
        tue        | 3         | 2025-09-01 06:00:00  | 2025-09-01 06:00:00
    """)
    staged = table("""
        day string | total int
        mon        | 1
    """)
    changes = compared(current, staged, ["day"])
    assert_rows(
        changes.selectExpr("old.day AS old", "new.day AS new", "change"),
        table("""
            old string | new string | change string
            mon        | null       | gone
            mon        | null       | gone
            tue        | null       | gone
            tue        | null       | gone
            null       | mon        | new
        """),
    )
    assert_rows(
        content_after(changes, COLUMNS, RUN_START),
        table("""
            day string | total int | created_at timestamp | calculated_at timestamp
            mon        | 1         | 2025-09-02 06:30:00  | 2025-09-02 06:30:00
        """),
    )


def test_a_change_is_stamped_with_the_run_but_keeps_when_it_was_created(table: Table) -> None:
    current = table("""
        day string | total int | created_at timestamp | calculated_at timestamp
        unchanged  | 1         | 2025-09-01 06:00:00  | 2025-09-01 07:00:00
        changed    | 2         | 2025-09-01 06:00:00  | 2025-09-01 07:00:00
        gone       | 3         | 2025-09-01 06:00:00  | 2025-09-01 07:00:00
    """)
    staged = table("""
        day string | total int
        unchanged  | 1
        changed    | 20
        new        | 4
    """)
    assert_rows(
        content_after(compared(current, staged, ["day"]), COLUMNS, RUN_START),
        table("""
            day string | total int | created_at timestamp | calculated_at timestamp
            unchanged  | 1         | 2025-09-01 06:00:00  | 2025-09-01 07:00:00
            changed    | 20        | 2025-09-01 06:00:00  | 2025-09-02 06:30:00
            new        | 4         | 2025-09-02 06:30:00  | 2025-09-02 06:30:00
        """),
    )


def test_an_unchanged_row_is_left_exactly_as_it_is(table: Table) -> None:
    current = table("""
        day string | total double | created_at timestamp | calculated_at timestamp
        mon        | 1.0          | null                 | null
    """)
    staged = table("""
        day string | total double
        mon        | 1.0000000001
    """)
    content = content_after(compared(current, staged, ["day"]), COLUMNS, RUN_START)
    assert_rows(content.select(*[F.col(name) for name in COLUMNS]), current)
