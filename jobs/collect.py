"""Rows collected to the driver: the only way in which instants are collected."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = (
    (moment - _EPOCH) // timedelta(microseconds=1)
    for moment in (datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc))
)


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
    """The instant; one beyond the years of Python's calendar, which a column can hold, is its first or last."""
    if micros is None:
        return None
    return _EPOCH + timedelta(microseconds=min(max(micros, _FIRST), _LAST))
