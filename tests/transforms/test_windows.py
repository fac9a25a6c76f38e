"""Windows: which hours, dates and periods they hold."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_values
from transforms.windows import (
    EARLIEST,
    LATEST,
    MAX_SELECTED,
    MAX_STRETCHES,
    PERIOD_LENGTHS,
    DateWindow,
    HourWindow,
    PeriodLength,
    PeriodWindow,
    ceil_period,
    floor_period,
    starts_between,
)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2025, 9, 1, hour, minute, second, tzinfo=timezone.utc)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


WINDOW = HourWindow(at(8), at(12))


def test_a_run_covers_the_hours_that_began_before_its_start() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    assert [
        (run_start, WINDOW.until(run_start).end)
        for run_start in (at(20), at(12), at(11, 0, 1), at(11), at(10, 59, 59), at(8), at(3))
    ] == [
        (at(20), at(12)),
        (at(12), at(12)),
        (at(11, 0, 1), at(12)),
        (at(11), at(11)),
        (at(10, 59, 59), at(11)),
        (at(8), at(8)),
        (at(3), at(8)),
    ]
    # 14:40 in a zone half an hour off is 09:10 UTC: cut at the hour of UTC.
    assert WINDOW.until(datetime(2025, 9, 1, 14, 40, tzinfo=india)).end == at(10)


def test_an_interval_overlaps_the_hours_of_the_window_that_it_reaches_into(table: Table) -> None:
    cases = table("""
        start timestamp     | end timestamp              | expected array<timestamp>
        2025-09-01 09:10:00 | 2025-09-01 09:50:00        | ["2025-09-01 09:00:00"]
        2025-09-01 09:10:00 | 2025-09-01 10:00:00        | ["2025-09-01 09:00:00"]
        2025-09-01 09:10:00 | 2025-09-01 10:00:00.000001 | ["2025-09-01 09:00:00", "2025-09-01 10:00:00"]
        2025-09-01 09:59:59 | 2025-09-01 11:30:00        | ["2025-09-01 09:00:00", "2025-09-01 10:00:00", "2025-09-01 11:00:00"]
        2025-09-01 10:00:00 | 2025-09-01 10:00:00        | ["2025-09-01 10:00:00"]
        2025-09-01 10:30:00 | 2025-09-01 10:30:00        | ["2025-09-01 10:00:00"]
        2025-08-30 00:00:00 | 2025-09-01 09:00:00        | ["2025-09-01 08:00:00"]
        2025-09-01 11:30:00 | 2025-09-03 00:00:00        | ["2025-09-01 11:00:00"]
        2025-09-01 07:00:00 | 2025-09-01 08:00:00        | null
        2025-09-01 12:00:00 | 2025-09-01 12:00:00        | null
        null                | null                       | null
    """)  # noqa: E501
    assert_values(cases, WINDOW.overlapped_hours(F.col("start"), F.col("end")))


def test_an_empty_window_has_no_hours(table: Table) -> None:
    cases = table("""
        start timestamp     | end timestamp       | expected array<timestamp>
        2025-09-01 07:30:00 | 2025-09-01 09:30:00 | null
    """)
    assert_values(cases, HourWindow(at(8), at(8)).overlapped_hours(F.col("start"), F.col("end")))


def test_a_date_window_holds_its_dates_and_may_hold_what_is_one_of_them_somewhere(table: Table) -> None:
    window = DateWindow(date(2025, 9, 1), date(2025, 9, 3))
    dates = table("""
        day date   | expected boolean
        2025-08-31 | false
        2025-09-01 | true
        2025-09-02 | true
        2025-09-03 | false
    """)
    assert_values(dates, window.contains(F.col("day")))
    moments = table("""
        moment timestamp    | expected boolean
        2025-08-31 10:00:00 | true
        2025-09-03 11:59:59 | true
        2025-08-30 23:59:59 | false
        2025-09-04 00:00:00 | false
    """)
    assert_values(moments, window.may_contain(F.col("moment")))
    assert window.with_days_before(27) == DateWindow(date(2025, 8, 5), date(2025, 9, 3))


@pytest.mark.parametrize(
    ("length", "start", "end", "moment", "first", "after"),
    [
        ("day", "2025-02-28", "2025-03-01", "2025-02-28 23:59:59.999999", "2025-02-28", "2025-03-01"),
        ("week", "2025-12-29", "2026-01-05", "2026-01-04 23:59:59", "2025-12-29", "2026-01-05"),
        ("month", "2024-02-01", "2024-03-01", "2024-02-29 12:00:00", "2024-02-01", "2024-03-01"),
        ("month", "2025-12-01", "2026-01-01", "2025-12-31 00:00:00", "2025-12-01", "2026-01-01"),
    ],
)
def test_a_period_is_a_day_an_iso_week_or_a_month(
    length: PeriodLength, start: str, end: str, moment: str, first: str, after: str, table: Table
) -> None:
    window = PeriodWindow(day(start), day(end), length)
    cases = table(f"""
        moment timestamp | expected timestamp
        {moment}         | {first} 00:00:00
    """)
    assert_values(cases, window.period_start(F.col("moment")))
    cases = table(f"""
        start timestamp  | expected timestamp
        {first} 00:00:00 | {after} 00:00:00
    """)
    assert_values(cases, window.next_period_start(F.col("start")))
    inside = datetime.fromisoformat(moment).replace(tzinfo=timezone.utc)
    assert (floor_period(inside, length), floor_period(day(first), length)) == (day(first), day(first))
    assert ceil_period(day(first), length) == day(first)
    assert ceil_period(day(first) + timedelta(microseconds=1), length) == day(after)


def test_the_windows_before_have_the_same_length_and_end_where_history_begins() -> None:
    assert WINDOW.shifted_back(2) == HourWindow(at(0), at(4))
    assert DateWindow(date(2025, 9, 8), date(2025, 9, 15)).shifted_back(3) == DateWindow(
        date(2025, 8, 18), date(2025, 8, 25)
    )
    months = PeriodWindow(day("2025-03-01"), day("2025-05-01"), "month")
    assert months.shifted_back(1) == PeriodWindow(day("2025-01-01"), day("2025-03-01"), "month")
    assert months.shifted_back(2) == PeriodWindow(day("2024-11-01"), day("2025-01-01"), "month")
    weeks = PeriodWindow(day("2025-09-01"), day("2025-09-15"), "week")
    assert weeks.shifted_back(1) == PeriodWindow(day("2025-08-18"), day("2025-09-01"), "week")
    first = EARLIEST.date()
    assert DateWindow(date(2025, 9, 1), LATEST.date()).shifted_back(4) == DateWindow(first, first)
    assert HourWindow(EARLIEST, at(8)).shifted_back(1) == HourWindow(EARLIEST, EARLIEST)
    for length in PERIOD_LENGTHS:
        assert PeriodWindow(EARLIEST, LATEST, length).shifted_back(1).end == EARLIEST == floor_period(EARLIEST, length)


def test_a_window_of_hours_with_gaps_holds_only_these(table: Table) -> None:
    assert HourWindow.of([at(10), at(9), at(9)]) == HourWindow(at(9), at(11))
    window = HourWindow.of([at(8), at(11)])
    assert window == HourWindow(at(8), at(12), (at(8), at(11)))
    moments = table("""
        moment timestamp    | expected boolean
        2025-09-01 07:59:59 | false
        2025-09-01 08:59:59 | true
        2025-09-01 09:00:00 | false
        2025-09-01 11:30:00 | true
        2025-09-01 12:00:00 | false
    """)
    assert_values(moments, window.contains(F.col("moment")))
    intervals = table("""
        start timestamp     | end timestamp       | expected array<timestamp>
        2025-09-01 07:30:00 | 2025-09-01 13:00:00 | ["2025-09-01 08:00:00", "2025-09-01 11:00:00"]
        2025-09-01 09:30:00 | 2025-09-01 10:00:00 | []
    """)
    assert_values(intervals, window.overlapped_hours(F.col("start"), F.col("end")))
    assert window.until(at(10)) == HourWindow(at(8), at(10), (at(8), at(11)))
    assert window.shifted_back(1) == HourWindow(at(4), at(8))


def test_what_reaches_into_hours_begins_at_most_so_long_before_each(table: Table) -> None:
    moments = table("""
        moment timestamp    | two_hours_before boolean | of_all boolean
        2025-09-01 05:59:59 | false                    | false
        2025-09-01 06:00:00 | true                     | true
        2025-09-01 08:59:59 | true                     | true
        2025-09-01 09:00:00 | false                    | true
        2025-09-01 12:00:00 | true                     | true
        2025-09-01 14:30:00 | true                     | true
        2025-09-01 15:00:00 | false                    | false
    """)
    window = HourWindow.of([at(8), at(14)])
    for name, output in (("two_hours_before", window), ("of_all", HourWindow(at(8), at(15)))):
        cases = moments.select("moment", F.col(name).alias("expected"))
        assert_values(cases, output.reached_from(F.col("moment"), hours_before=2))


def test_of_very_many_hours_all_between_them_is_near(table: Table) -> None:
    between = table("""
        moment timestamp    | expected boolean
        2025-09-01 04:00:00 | false
    """)
    hours = [at(0) + timedelta(hours=6 * n) for n in range(MAX_STRETCHES + 1)]
    assert_values(between, HourWindow.of(hours[:-1]).reached_from(F.col("moment"), hours_before=1))
    assert_values(
        between.withColumn("expected", F.lit(True)), HourWindow.of(hours).reached_from(F.col("moment"), hours_before=1)
    )


def test_a_window_of_dates_or_periods_with_gaps_holds_only_these(table: Table) -> None:
    window = DateWindow.of([date(2025, 9, 1), date(2025, 9, 3)])
    dates = table("""
        day date   | expected boolean
        2025-09-01 | true
        2025-09-02 | false
        2025-09-03 | true
    """)
    assert_values(dates, window.contains(F.col("day")))
    assert window.with_days_before(1) == DateWindow(date(2025, 8, 31), date(2025, 9, 4))
    months = PeriodWindow.of([day("2025-12-01"), day("2025-09-01")], "month")
    assert (months.start, months.end) == (day("2025-09-01"), day("2026-01-01"))
    moments = table("""
        moment timestamp    | expected boolean
        2025-09-30 23:59:59 | true
        2025-10-01 00:00:00 | false
        2025-12-31 12:00:00 | true
    """)
    assert_values(moments, months.contains(F.col("moment")))
    weeks = PeriodWindow.of([day("2025-09-01"), day("2025-09-08")], "week")
    assert weeks == PeriodWindow(day("2025-09-01"), day("2025-09-15"), "week")


def test_a_window_of_very_many_hours_holds_all_between_them() -> None:
    hours = [EARLIEST + timedelta(hours=2 * n) for n in range(MAX_SELECTED + 1)]
    assert HourWindow.of(hours[:-1]).selected == tuple(hours[:-1])
    assert HourWindow.of(hours) == HourWindow(EARLIEST, hours[-1] + timedelta(hours=1))


def test_the_starts_between_two_instants_are_those_of_the_window() -> None:
    everything, midnight = (EARLIEST, LATEST), (day("2025-08-31"), day("2025-09-02"))
    assert starts_between(HourWindow(at(2), at(9)), at(0), at(4)) == [at(2), at(3)]
    assert starts_between(HourWindow(at(2), at(9)), at(7), at(23)) == [at(7), at(8)]
    assert starts_between(HourWindow(at(2), at(9)), at(9), at(12)) == []
    dates = DateWindow(EARLIEST.date(), LATEST.date())
    assert starts_between(dates, *midnight) == [date(2025, 8, 31), date(2025, 9, 1)]
    assert starts_between(dates, at(22), at(23)) == [date(2025, 9, 1)]
    assert starts_between(DateWindow(date(2025, 9, 1), date(2025, 9, 1)), *everything) == []
    months = PeriodWindow(EARLIEST, LATEST, "month")
    assert starts_between(months, day("2025-02-01"), day("2025-04-01")) == [day("2025-02-01"), day("2025-03-01")]


def test_of_very_many_starts_the_ends_are_enough_for_a_window_of_all() -> None:
    hours = HourWindow(EARLIEST, at(9))
    assert HourWindow.of(starts_between(hours, EARLIEST, LATEST)) == hours
    dates = DateWindow(EARLIEST.date(), LATEST.date())
    assert DateWindow.of(starts_between(dates, EARLIEST, LATEST)) == dates
    for length in PERIOD_LENGTHS:
        periods = PeriodWindow(EARLIEST, floor_period(LATEST, length), length)
        assert PeriodWindow.of(starts_between(periods, EARLIEST, LATEST), length) == periods
