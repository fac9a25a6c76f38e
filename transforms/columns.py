"""Small Column helpers that the definitions of several metrics share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F

# Unicode's white space, and the four separators that Python's `str.strip` removes as well.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


# Recognises most texts without looking for each kind of white space, the slowest step on millions of keys.
_BEGINS_VISIBLY_FROM, _BEGINS_VISIBLY_BEFORE = "!", "\x7f"
# `\z`, because `$` would allow a line break at the end.
_VISIBLE_AT_BOTH_ENDS = r"^[!-~](.*[!-~])?\z"


def trimmed(text: Column) -> Column:
    """The text without white space of any kind at its ends."""
    return F.btrim(text, F.lit(WHITE_SPACE))


def blank_to_null(text: Column) -> Column:
    """The text exactly as it is, or null if it holds nothing but white space."""
    begins_visibly = (text >= _BEGINS_VISIBLY_FROM) & (text < _BEGINS_VISIBLY_BEFORE)
    return F.when(begins_visibly, text).when(trimmed(text) != "", text)


def normalised(text: Column) -> Column:
    """The text trimmed of white space and in lower case, as the values of a text domain are compared."""
    return F.lower(F.when(text.rlike(_VISIBLE_AT_BOTH_ENDS), text).otherwise(trimmed(text)))


def as_json(columns: Iterable[str]) -> Column:
    """The columns as a JSON object, with all six decimals of their timestamps; Spark writes three by default."""
    return F.to_json(F.struct(*columns), {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"})


def any_of(conditions: Iterable[Column]) -> Column:
    """Whether any of the conditions holds; false without conditions."""
    return reduce(or_, conditions, F.lit(False))


def instant(moment: datetime) -> Column:
    """A timestamp literal of a UTC instant; raises `ValueError` for a moment without an offset."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return F.lit(f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S.%f}+00:00").cast("timestamp")


def hours(count: int) -> Column:
    """An interval of whole hours."""
    return F.make_dt_interval(hours=F.lit(count))


def hour_of(moment: Column) -> Column:
    """The start of the hour `[h, h + 1 h)` that holds the moment (Spark sessions are in UTC)."""
    return F.date_trunc("hour", moment)


def seconds_between(earlier: Column, later: Column) -> Column:
    """Seconds from one moment to another, with fractions; negative if they are the other way round."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / F.lit(1e6)


def not_negative(value: Column) -> Column:
    """The value, or null if it is below 0."""
    return F.when(value >= 0, value)


_TINY = 2.0**-64


def mean(value: Column) -> Column:
    """The mean over a group's non-null values, as a double: the mean of decimals would be rounded.

    The mean of finite values is finite, though their sum may not be: so values are first scaled down by a power of two,
    which changes no digit of a value above 1e-288.
    """
    return F.avg(value.cast("double") * _TINY) / _TINY


_HUGE, _TINIER = 2.0**500, 2.0**-600


def standard_deviation(value: Column) -> Column:
    """The sample standard deviation over a group's non-null values, as a double; null for fewer than two.

    Spark adds up squares of deviations from a running mean: accurate however far the values are from zero. Squares of
    values beyond 1e154 are not finite, so where there are huge ones all are first scaled down by a power of two.
    """
    number = value.cast("double")
    scaled = F.stddev_samp(number * _TINIER) / _TINIER
    return F.when(F.max(F.abs(number)) > _HUGE, scaled).otherwise(F.stddev_samp(number))


def mean_of(*values: Column) -> Column:
    """The mean of a row's values that are not null; null if all are."""
    present = [F.when(value.isNotNull(), 1).otherwise(0) for value in values]
    total = reduce(lambda a, b: a + b, [F.coalesce(value, F.lit(0.0)) for value in values])
    count = reduce(lambda a, b: a + b, present)
    return F.when(count > 0, total / count)


def weighted_mean(value: Column, weight: Column) -> Column:
    """The weighted mean over a group's rows that hold both; null if no row has weight.

    For values up to 1 it is at most 1, to the last bit: rounding preserves order, so no product exceeds its weight. A
    factor such as 100 belongs outside: inside, it could round the part above the whole.
    """
    weighs = F.when(value.isNotNull(), weight)
    total = F.sum(weighs)
    return F.when(total > 0, F.sum(value * weighs) / total)


def percentage(part: Column, whole: Column) -> Column:
    """100 x part / whole, of counts; null if the whole is 0 or null."""
    return F.when(whole > 0, F.lit(100.0) * part / whole)


_CALENDAR = ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")


def in_calendar(moment: Column) -> Column:
    """The moment, one beyond the years 1 to 9999 as the first or the last of them; null where it is null.

    A column can hold what neither Python nor sums of moments can. No window reaches that far.
    """
    first, last = (F.lit(f"{text}+00:00").cast("timestamp") for text in _CALENDAR)
    return clamped(moment, first, last)


def clamped(moment: Column, earliest: Column, latest: Column) -> Column:
    """The moment limited to `earliest` and `latest`; null if it is null."""
    return F.when(moment.isNotNull(), F.least(F.greatest(moment, earliest), latest))
