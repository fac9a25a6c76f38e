"""How the parts of a rollup become its rows."""

from __future__ import annotations

from tests.conftest import Table
from tests.transforms.assertions import assert_rows, assert_values
from transforms.combine import as_count, one_row_per_key


def test_parts_meet_in_one_row_per_key(table: Table) -> None:
    left = table("""
        school string | hour int | a int | facts bigint
        oak           | 1        | 10    | 2
        elm           | 1        | null  | 1
    """)
    right = table("""
        school string | hour int | b double | facts bigint
        oak           | 1        | -0.5     | 3
        oak           | 2        | 1.5      | 1
    """)
    assert_rows(
        one_row_per_key([left, right], ("school", "hour"), summed=("facts",)),
        table("""
            school string | hour int | a int | b double | facts bigint
            oak           | 1        | 10    | -0.5     | 5
            oak           | 2        | null  | 1.5      | 1
            elm           | 1        | null  | null     | 1
        """),
    )


def test_a_count_is_0_over_nothing_and_null_where_the_catalog_cannot_hold_it(table: Table) -> None:
    cases = table("""
        value bigint | expected int
        null         | 0
        0            | 0
        2147483647   | 2147483647
        2147483648   | null
    """)
    assert_values(cases, as_count("value"))
    assert cases.select(as_count("value")).schema.simpleString() == "struct<value:int>"
