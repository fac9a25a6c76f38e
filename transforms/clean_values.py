"""Which values of a usable row count, and as what: the others count as null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, FloatType, TimestampType

from transforms.columns import any_of, blank_to_null, in_calendar, normalised, seconds_between
from transforms.payloads import group_id, latency_ms
from transforms.people import person
from transforms.source_rules import RULES


@dataclass(frozen=True)
class Measure:
    """A column whose values count as null if outside `[minimum, maximum]` (inclusive) or not finite."""

    name: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Dimension:
    """A text column whose values count as null unless, trimmed and in lower case, they are among `values`."""

    name: str
    values: tuple[str, ...]


def _seconds() -> Column:
    """The duration of a transcription in seconds: `duration_seconds`, else `end_time - start_time`."""
    start, end = in_calendar(F.col("start_time")), in_calendar(F.col("end_time"))
    return F.coalesce(F.col("duration_seconds").cast("double"), seconds_between(start, end))


def _is_out_of_range(measure: Measure, data_type: DataType) -> Column:
    value = F.col(measure.name)
    bounds = [value < F.lit(measure.minimum) if measure.minimum is not None else None]
    bounds.append(value > F.lit(measure.maximum) if measure.maximum is not None else None)
    if isinstance(data_type, FloatType | DoubleType):
        # Spark's NaN is greater than every number: it is out of every range except one without a maximum.
        bounds.append(F.isnan(value) | (F.abs(value) == float("inf")))
    return any_of(bound for bound in bounds if bound is not None)


def _is_foreign(dimension: Dimension) -> Column:
    value = blank_to_null(F.col(dimension.name))
    return value.isNotNull() & ~normalised(value).isin(*dimension.values)


def violations_of(
    source: str, rows: DataFrame, measures: Iterable[Measure], dimensions: Iterable[Dimension]
) -> dict[str, Column]:
    """For each column, whether its value counts as null because the contract does not allow it."""
    broken = {m.name: _is_out_of_range(m, rows.schema[m.name].dataType) for m in measures}
    broken |= {d.name: _is_foreign(d) for d in dimensions}
    if "payload" in RULES[source].personal:
        broken["payload"] = F.col("payload").isNotNull() & F.col("payload_object").isNull()
    return broken


def clean_values(
    source: str, rows: DataFrame, violations: Mapping[str, Column], dimensions: Iterable[Dimension]
) -> dict[str, Column]:
    """The columns of a usable row that differ from the source's own: what counts as null is null.

    That is blank keys and references, measures outside their range, and dimensions outside their domain (which are
    trimmed and in lower case). Moments beyond the calendar become its first or last. The personal columns are replaced
    by what the metrics need from them.
    """
    clean = {name: blank_to_null(F.col(name)) for name in rows.columns if name.endswith("_id")}
    moments = [field.name for field in rows.schema if isinstance(field.dataType, TimestampType)]
    clean |= {name: in_calendar(F.col(name)) for name in moments}
    of_dimensions = {d.name: normalised(blank_to_null(F.col(d.name))) for d in dimensions}
    clean |= {name: F.when(~broken, of_dimensions.get(name, F.col(name))) for name, broken in violations.items()}
    if "payload" in RULES[source].personal:
        clean |= {"group_id": group_id(F.col("payload_object")), "latency_ms": latency_ms(F.col("payload_object"))}
    if RULES[source].has_duration:
        clean["seconds"] = _seconds()
    if "anonymous_id" in RULES[source].personal:
        clean["person"] = person()
    return clean
