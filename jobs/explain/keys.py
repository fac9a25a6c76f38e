"""The key of an explained row: how it is found, and which keys are near one that has no row."""

from __future__ import annotations

from datetime import date, datetime
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampType

from expectations.contract import Contract
from jobs.collect import collect_utc
from jobs.errors import UsageError
from jobs.explain.explanation import text_of
from jobs.explain.subject import Subject
from jobs.lake import Lake
from transforms.columns import instant


def has_key(subject: Subject) -> Column:
    """Whether a row is the one with the key."""
    return reduce(lambda a, b: a & b, [F.col(name) == _literal(value) for name, value in subject.key.items()])


def _literal(value: str | date) -> Column:
    return instant(value) if isinstance(value, datetime) else F.lit(value)


def no_row(lake: Lake, contract: Contract, subject: Subject, version: int) -> UsageError:
    """The error for a key without a row; its sentence names the nearest existing keys."""
    types = {field.name: field.dataType for field in contract.spark_schema}
    texts, times = [], []
    for name, value in subject.key.items():
        if isinstance(types[name], TimestampType):
            times.append(F.abs(F.unix_micros(name) - F.unix_micros(_literal(value))))
        elif isinstance(types[name], DateType):
            times.append(F.abs(F.datediff(F.col(name), F.lit(value))))
        else:
            texts.append(F.levenshtein(F.col(name), F.lit(value)))
    distances = [reduce(lambda a, b: a + b, texts), *times]
    rows = lake.read(contract.table, version).orderBy(*distances).limit(3)
    key = rows.select(*contract.key)
    near = collect_utc(key)
    asked = " ".join(text_of(value) for value in subject.key.values())
    if not near:
        return UsageError(f"{contract.table} has no row {asked}: it is empty.")
    keys = "; ".join(" ".join(text_of(value) for value in values.values()) for values in near)
    return UsageError(f"{contract.table} has no row {asked}; the nearest are: {keys}.")
