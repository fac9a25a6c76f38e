"""A moment's date in a teacher's time zone."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

UTC = "UTC"
_NAME_OF_A_PLACE = r"^[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)+\z"
_NOT_IANA = "SystemV/"
"""The prefix of the JVM's own zone names."""


def known_zone(name: Column) -> Column:
    """The name if it is one of the IANA database with a `/`, case-sensitive; otherwise `UTC`.

    A name is known if the JVM can read a timestamp in it: `from_utc_timestamp` throws on any other.
    """
    is_place = name.rlike(_NAME_OF_A_PLACE) & ~name.startswith(_NOT_IANA)
    is_readable = F.concat(F.lit("2000-01-01 00:00:00 "), name).try_cast("timestamp").isNotNull()
    return F.when(is_place & is_readable, name).otherwise(UTC)


def local_date(moment: Column, zone: Column) -> Column:
    """The moment's date in a `known_zone`."""
    return F.to_date(F.from_utc_timestamp(moment, zone))
