"""Rows collected to the driver: the only way in which instants are collected."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType


def collect_utc(rows: DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column name, timestamps as aware datetimes in UTC.

    Spark collects timestamps as naive datetimes in the driver's zone: so they are collected as numbers.
    """
    instants = {field.name for field in rows.schema if isinstance(field.dataType, TimestampType)}
    columns = [F.unix_micros(name).alias(name) if name in instants else F.col(name) for name in rows.columns]
    return [
        {name: _instant_of(value) if name in instants else value for name, value in row.asDict().items()}
        for row in rows.select(*columns).collect()
    ]


def _instant_of(micros: int | None) -> datetime | None:
    if micros is None:
        return None
    return datetime.fromtimestamp(micros // 10**6, timezone.utc).replace(microsecond=micros % 10**6)
