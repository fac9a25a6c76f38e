"""Small Column helpers that the definitions of several metrics share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F

# What Unicode calls white space, and the four separators that Python's `str.strip` knows besides.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


# What most texts are, told without a look at each kind of white space: nothing else takes as long on millions of keys.
_BEGINS_VISIBLY_FROM, _BEGINS_VISIBLY_BEFORE = "!", "\x7f"
# Up to `\z`: `$` would let a line break follow.
_VISIBLE_AT_BOTH_ENDS = r"^[!-~](.*[!-~])?\z"


def trimmed(text: Column) -> Column:
    """The text without white space at its ends, of any kind that Unicode knows."""
    return F.btrim(text, F.lit(WHITE_SPACE))


def blank_to_null(text: Column) -> Column:
    """The text exactly as it is, or null where it holds nothing but white space."""
    begins_visibly = (text >= _BEGINS_VISIBLY_FROM) & (text < _BEGINS_VISIBLY_BEFORE)
    return F.when(begins_visibly, text).when(trimmed(text) != "", text)


def normalised(text: Column) -> Column:
    """The text trimmed of white space and in lower case: how the values of a text domain are compared."""
    return F.lower(F.when(text.rlike(_VISIBLE_AT_BOTH_ENDS), text).otherwise(trimmed(text)))


def any_of(conditions: Iterable[Column]) -> Column:
    """Whether one of the conditions holds; false where there is none."""
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
    """The start of the hour `[h, h + 1 h)` that holds the moment (sessions run in UTC)."""
    return F.date_trunc("hour", moment)


def seconds_between(earlier: Column, later: Column) -> Column:
    """Seconds from one moment to another, with fractions; negative where they are the other way round."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / F.lit(1e6)


def not_negative(value: Column) -> Column:
    """The value, or null where it is below 0."""
    return F.when(value >= 0, value)


_TINY = 2.0**-64


def mean(value: Column) -> Column:
    """The mean over a group's non-null values, as a double: that of decimals would be rounded.

    The mean of finite values is finite, though their sum may not be: so values are made smaller first, by a power of
    two, which changes no digit of one above 1e-288.
    """
    return F.avg(value.cast("double") * _TINY) / _TINY


def mean_of(*values: Column) -> Column:
    """The mean of those values of one row that are not null; null where all are."""
    present = [F.when(value.isNotNull(), 1).otherwise(0) for value in values]
    total = reduce(lambda a, b: a + b, [F.coalesce(value, F.lit(0.0)) for value in values])
    count = reduce(lambda a, b: a + b, present)
    return F.when(count > 0, total / count)


def weighted_mean(value: Column, weight: Column) -> Column:
    """The mean over the rows of a group that hold both; null where no row weighs anything.

    Of values up to 1 it is at most 1, to the last bit: rounding keeps order, so that no product exceeds its weight. A
    factor such as 100 belongs outside; within, it would round the part above the whole.
    """
    weighs = F.when(value.isNotNull(), weight)
    total = F.sum(weighs)
    return F.when(total > 0, F.sum(value * weighs) / total)


def percentage(part: Column, whole: Column) -> Column:
    """100 x part / whole, of counts; null where the whole is 0 or null."""
    return F.when(whole > 0, F.lit(100.0) * part / whole)


_CALENDAR = ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")


def in_calendar(moment: Column) -> Column:
    """The moment, one beyond the years 1 to 9999 as the first or the last of them; null where it is null.

    A column can hold what neither Python nor sums of moments can. No window reaches that far.
    """
    first, last = (F.lit(f"{text}+00:00").cast("timestamp") for text in _CALENDAR)
    return clamped(moment, first, last)


def clamped(moment: Column, earliest: Column, latest: Column) -> Column:
    """The moment, taken no earlier than `earliest` and no later than `latest`; null where it is null."""
    return F.when(moment.isNotNull(), F.least(F.greatest(moment, earliest), latest))
