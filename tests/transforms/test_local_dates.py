"""A moment's date where a teacher is."""

from __future__ import annotations

import time

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_values
from transforms.local_dates import known_zone, local_date


def test_the_driver_has_another_zone_here(spark: SparkSession) -> None:
    """So that a timestamp which is collected as such, in the driver's zone, fails tests; a session leaves it alone."""
    assert time.tzname == ("EST", "EDT")


def test_a_zone_is_known_by_its_exact_iana_name_with_a_slash(table: Table) -> None:
    cases = table("""
        zone string           | expected string
        Europe/Berlin         | Europe/Berlin
        America/Indiana/Knox  | America/Indiana/Knox
        America/Port-au-Prince | America/Port-au-Prince
        Etc/GMT+5             | Etc/GMT+5
        null                  | UTC
        ''                    | UTC
        ' '                   | UTC
        ' Europe/Berlin'      | UTC
        'Europe/Berlin '      | UTC
        europe/berlin         | UTC
        Europe/Berlinn        | UTC
        CET                   | UTC
        EST                   | UTC
        GMT+5                 | UTC
        +05:30                | UTC
        Z                     | UTC
        Mars/Olympus          | UTC
        SystemV/EST5          | UTC
        Europe/               | UTC
        America/O'Higgins     | UTC
    """)
    assert_values(cases, known_zone(F.col("zone")))


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\x85"])
def test_a_zone_with_a_line_break_is_none(spark: SparkSession, line_break: str) -> None:
    zones = spark.range(1).select(F.lit(f"Europe/Berlin{line_break}").alias("zone"))
    assert zones.select(known_zone(F.col("zone"))).collect()[0][0] == "UTC"


def test_a_date_begins_at_midnight_on_the_clocks_of_the_zone(table: Table) -> None:
    cases = table("""
        zone string           | moment timestamp           | expected date
        UTC                   | 2025-09-01 00:00:00        | 2025-09-01
        Pacific/Kiritimati    | 2025-08-31 10:00:00        | 2025-09-01
        Pacific/Kiritimati    | 2025-08-31 09:59:59.999999 | 2025-08-31
        Pacific/Apia          | 2025-08-31 11:00:00        | 2025-09-01
        Pacific/Honolulu      | 2025-09-01 09:59:59.999999 | 2025-08-31
        Pacific/Honolulu      | 2025-09-01 10:00:00        | 2025-09-01
        Asia/Kolkata          | 2025-08-31 18:30:00        | 2025-09-01
        Asia/Kolkata          | 2025-08-31 18:29:59        | 2025-08-31
        America/St_Johns      | 2025-09-01 02:29:59        | 2025-08-31
        Australia/Lord_Howe   | 2025-08-31 13:30:00        | 2025-09-01
    """)
    assert_values(cases, local_date(F.col("moment"), F.col("zone")))


def test_a_date_on_which_the_clocks_change_is_an_hour_longer_or_shorter(table: Table) -> None:
    cases = table("""
        zone string      | moment timestamp           | expected date
        Europe/Berlin    | 2025-10-25 22:00:00        | 2025-10-26
        Europe/Berlin    | 2025-10-26 22:59:59.999999 | 2025-10-26
        Europe/Berlin    | 2025-10-26 23:00:00        | 2025-10-27
        Europe/Berlin    | 2025-03-29 23:00:00        | 2025-03-30
        Europe/Berlin    | 2025-03-30 21:59:59        | 2025-03-30
        Europe/Berlin    | 2025-03-30 22:00:00        | 2025-03-31
        America/New_York | 2025-11-03 04:59:59        | 2025-11-02
        America/New_York | 2025-11-03 05:00:00        | 2025-11-03
        America/Santiago | 2025-09-07 03:59:59        | 2025-09-06
        America/Santiago | 2025-09-07 04:00:00        | 2025-09-07
        Pacific/Apia     | 2011-12-30 09:59:59        | 2011-12-29
        Pacific/Apia     | 2011-12-30 10:00:00        | 2011-12-31
    """)
    assert_values(cases, local_date(F.col("moment"), F.col("zone")))
