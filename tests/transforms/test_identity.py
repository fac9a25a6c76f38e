"""Row identifiers against the same texts hashed by Python."""

from __future__ import annotations

from hashlib import sha256

from pyspark.sql.types import DataType, DateType, StringType, TimestampType

from tests.conftest import Table
from tests.transforms.assertions import assert_values
from transforms.identity import row_id

HOURLY = "classwaves.analytics.dashboard_metrics_hourly"


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_an_hourly_row_is_named_by_its_school_and_the_start_of_its_hour(table: Table) -> None:
    cases = table(f"""
        school_id string | metric_hour timestamp | expected string
        school-1 | 2025-09-01 14:00:00 | {hashed(HOURLY + "|school-1|2025-09-01T14:00:00Z")}
        école    | 2025-01-01 00:00:00 | {hashed(HOURLY + "|école|2025-01-01T00:00:00Z")}
    """)
    key: dict[str, DataType] = {"school_id": StringType(), "metric_hour": TimestampType()}
    assert_values(cases, row_id(HOURLY, key))


def test_a_date_in_a_key_reads_as_a_date(table: Table) -> None:
    cases = table(f"""
        teacher_id string | summary_date date | expected string
        t1                | 2025-09-01        | {hashed("classwaves.analytics.teacher_analytics_summary|t1|2025-09-01")}
    """)
    key: dict[str, DataType] = {"teacher_id": StringType(), "summary_date": DateType()}
    assert_values(cases, row_id("classwaves.analytics.teacher_analytics_summary", key))


def test_the_key_decides_the_order_of_the_values(table: Table) -> None:
    cases = table(f"""
        a string | b string | expected string
        1        | 2        | {hashed("classwaves.x.y|2|1")}
    """)
    assert_values(cases, row_id("classwaves.x.y", {"b": StringType(), "a": StringType()}))
