"""Instants as they are collected to the driver."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.collect import collect_utc


@pytest.mark.parametrize(
    ("micros", "instant"),
    [
        (None, None),
        (0, datetime(1970, 1, 1, tzinfo=timezone.utc)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)),
        (1_737_000_000_123_456, datetime(2025, 1, 16, 4, 0, 0, 123_456, tzinfo=timezone.utc)),
        # Milliseconds that a producer wrote as seconds: the year 57013, which a column holds and Python does not.
        (1_737_000_000_000 * 10**6, datetime.max.replace(tzinfo=timezone.utc)),
        (-(2**63), datetime.min.replace(tzinfo=timezone.utc)),
    ],
)
def test_every_instant_of_a_column_can_be_collected(spark: SparkSession, micros: int | None, instant: datetime) -> None:
    rows = spark.range(1).select(F.timestamp_micros(F.lit(micros).cast("bigint")).alias("at"))
    assert collect_utc(rows) == [{"at": instant}]
