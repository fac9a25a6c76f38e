"""Identifiers of derived rows, equal in every engine that hashes the same text."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, TimestampType


def _as_text(name: str, data_type: DataType) -> Column:
    if isinstance(data_type, TimestampType):
        return F.date_format(name, "yyyy-MM-dd'T'HH:mm:ss'Z'")
    if isinstance(data_type, DateType):
        return F.date_format(name, "yyyy-MM-dd")
    return F.col(name).cast("string")


def row_id(full_name: str, key: dict[str, DataType]) -> Column:
    """Lower-case hex SHA-256 of the table's full name and the key's values, joined by `|`.

    `key` maps the key's columns, in the order of the table's key, to their types. Timestamps read
    `2025-09-01T14:00:00Z`, dates `2025-09-01`.
    """
    values = [_as_text(name, data_type) for name, data_type in key.items()]
    return F.sha2(F.concat_ws("|", F.lit(full_name), *values), 256)
