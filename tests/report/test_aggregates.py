"""What the report adds up, aggregate by aggregate."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.contract import Contract, contract_of
from jobs.report import figures
from jobs.report.contents import EVERYONE, Span
from jobs.report.figures import (
    latest_runs,
    latest_verdicts,
    of_busiest,
    period_length,
    periods,
    pooled,
    profile,
    quarantined,
    scoped,
    teacher_weeks,
    teachers,
    weeks,
)
from tests.conftest import Table
from tests.transforms.frames import with_columns
from transforms.catalog import DASHBOARD_METRICS, PROMPT_EFFECTIVENESS, TEACHER_SUMMARY_OF_USERS

HOURS, DAYS, PROMPTS = (
    {column.name: column.type for column in contract_of(table).columns}
    for table in (DASHBOARD_METRICS, TEACHER_SUMMARY_OF_USERS, PROMPT_EFFECTIVENESS)
)
"""All columns of the rollups, those of metrics that are yet to come among them."""


def rows(frame: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """The frame's rows in these columns, in order."""
    return sorted((tuple(row) for row in frame.select(*columns).collect()), key=str)


@pytest.mark.parametrize(
    ("first", "last", "dates"),
    [
        (date(2026, 6, 1), date(2026, 6, 1), [1, 0, 0, 0, 0, 0, 0]),
        (date(2026, 6, 6), date(2026, 6, 8), [1, 0, 0, 0, 0, 1, 1]),
        (date(2026, 6, 3), date(2026, 6, 30), [4, 4, 4, 4, 4, 4, 4]),
        (date(2026, 6, 1), date(2026, 6, 30), [5, 5, 4, 4, 4, 4, 4]),
    ],
)
def test_dates_of_weekdays_are_counted(first, last, dates):
    assert Span(first, last).dates_of_weekdays() == dates


def test_a_hundred_days_are_shown_by_day_and_more_by_week():
    assert Span(date(2026, 1, 1), date(2026, 4, 10)).grain == "day"
    assert Span(date(2026, 1, 1), date(2026, 4, 11)).grain == "week"


def test_each_row_counts_for_its_school_and_for_all(table: Table) -> None:
    frame = table("""
        school_id string | total int
        a                | 1
        b                | 2
        null             | 4
    """)
    totals = scoped(frame).groupBy("scope").agg(F.sum("total").alias("total"))
    assert rows(totals, "scope", "total") == [(EVERYONE, 7), ("a", 1), ("b", 2)]


def test_periods_add_up_counts_weigh_scores_and_keep_the_busiest_hour(table: Table) -> None:
    hours = table("""
        scope string | metric_hour timestamp | sessions_active int | sessions_completed int | avg_engagement_score double | websocket_connections int | students_active int | total_errors int
        a            | 2026-06-01 00:00:00   | 1                   | 0                      | 50                          | 7                         | 9                   | 1
        a            | 2026-06-01 23:00:00   | 3                   | 2                      | 90                          | 4                         | 5                   | 2
        a            | 2026-06-01 12:00:00   | 5                   | 1                      | null                        | 0                         | 0                   | 0
        a            | 2026-06-02 00:00:00   | 0                   | 0                      | null                        | 0                         | 0                   | 3
        b            | 2026-06-07 23:00:00   | 1                   | 1                      | 10                          | 1                         | 1                   | 0
    """)  # noqa: E501
    made = periods(with_columns(hours, HOURS), "day")
    columns = ("scope", "start", "sessions_completed", "active_hours", "engagement", "most_connections", "errors")
    assert rows(made, *columns, "most_people") == [
        ("a", date(2026, 6, 1), 3, 3, 80.0, 7, 3, 9),
        ("a", date(2026, 6, 2), 0, 0, None, 0, 3, 0),
        ("b", date(2026, 6, 7), 1, 1, 10.0, 1, 0, 1),
    ]
    by_week = periods(with_columns(hours, HOURS), "week")
    assert rows(by_week, "scope", "start", "errors") == [("a", date(2026, 6, 1), 6), ("b", date(2026, 6, 1), 0)]


def test_the_usual_week_counts_hours_without_a_row_as_empty(table: Table) -> None:
    hours = table("""
        scope string | metric_hour timestamp | sessions_active int | avg_engagement_score double
        a            | 2026-06-01 09:00:00   | 3                   | 60
        a            | 2026-06-08 09:00:00   | 2                   | 80
        a            | 2026-06-07 23:00:00   | 1                   | null
        a            | 2026-06-03 10:00:00   | 0                   | null
    """)
    made = profile(hours, Span(date(2026, 6, 1), date(2026, 6, 30)).dates_of_weekdays())
    assert rows(made, "scope", "weekday", "hour", "sessions", "engagement") == [
        ("a", 0, 9, 1.0, 68.0),
        ("a", 6, 23, 0.25, None),
    ]


def test_weeks_of_teachers_take_the_last_trend_and_add_up_by_school(table: Table) -> None:
    days = table("""
        school_id string | teacher_id string | summary_date date | total_sessions int | avg_session_score double | total_prompts_shown int | total_prompts_used int | improvement_trend string
        a                | t1                | 2026-06-01        | 1                  | 40                       | 4                       | 1                      | stable
        a                | t1                | 2026-06-07        | 3                  | 80                       | 0                       | 0                      | improving
        a                | t1                | 2026-06-08        | 1                  | null                     | 1                       | 1                      | stable
        a                | t2                | 2026-06-03        | 4                  | 100                      | 2                       | 2                      | declining
        null             | t3                | 2026-06-03        | 8                  | 10                       | 0                       | 0                      | insufficient_data
    """)  # noqa: E501
    own = teacher_weeks(with_columns(days, DAYS))
    assert rows(own, "teacher", "start", "sessions", "score", "prompts_shown", "prompts_used", "trend") == [
        ("t1", date(2026, 6, 1), 4, 70.0, 4, 1, "improving"),
        ("t1", date(2026, 6, 8), 1, None, 1, 1, "stable"),
        ("t2", date(2026, 6, 1), 4, 100.0, 2, 2, "declining"),
        ("t3", date(2026, 6, 1), 8, 10.0, 0, 0, "insufficient_data"),
    ]
    columns = ("scope", "start", "teachers", "score", "improving", "stable", "declining", "insufficient_data")
    assert rows(weeks(own), *columns) == [
        (EVERYONE, date(2026, 6, 1), 3, 47.5, 1, 0, 1, 1),
        (EVERYONE, date(2026, 6, 8), 1, None, 0, 1, 0, 0),
        ("a", date(2026, 6, 1), 2, 85.0, 1, 0, 1, 0),
        ("a", date(2026, 6, 8), 1, None, 0, 1, 0, 0),
    ]


def test_a_teacher_of_two_schools_has_the_trend_of_the_last_date_among_all(table: Table) -> None:
    days = table("""
        school_id string | teacher_id string | summary_date date | total_sessions int | improvement_trend string
        a                | t1                | 2026-06-01        | 1                  | improving
        null             | t1                | 2026-06-03        | 0                  | declining
        b                | t1                | 2026-06-02        | 1                  | improving
    """)
    made = weeks(teacher_weeks(with_columns(days, DAYS)))
    assert rows(made, "scope", "teachers", "improving", "declining") == [
        (EVERYONE, 1, 0, 1),
        ("a", 1, 1, 0),
        ("b", 1, 1, 0),
    ]


def test_of_more_teachers_than_a_page_holds_it_has_the_weeks_of_the_busiest_and_counts_all(table: Table) -> None:
    days = table("""
        school_id string | teacher_id string | summary_date date | total_sessions int
        a                | t1                | 2026-06-01        | 3
        a                | t2                | 2026-06-01        | 2
        a                | t2                | 2026-06-08        | 2
        null             | t3                | 2026-06-08        | 3
        b                | t4                | 2026-06-08        | 2
    """)
    own = teacher_weeks(with_columns(days, DAYS))
    assert rows(of_busiest(own, 2), "school_id", "teacher", "start", "sessions") == [
        ("a", "t1", date(2026, 6, 1), 3),
        ("a", "t2", date(2026, 6, 1), 2),
        ("a", "t2", date(2026, 6, 8), 2),
    ]
    assert of_busiest(own).columns == own.columns
    assert rows(teachers(days), "scope", "teachers") == [(EVERYONE, 4), ("a", 2), ("b", 1)]


def test_rows_brought_together_have_the_interval_of_their_prompts(table: Table) -> None:
    # Scores 1, 2, 3 in one row, 4 and 6 in another, 9 alone in a third, and a row without any.
    prompts = table(f"""
        kind string | total_generated int | total_used int | data_points int | avg_effectiveness_score double | std_dev_effectiveness double
        x           | 5                   | 2              | 3               | 2                              | 1
        x           | 2                   | 2              | 2               | 5                              | {math.sqrt(2)}
        x           | 2                   | 0              | 1               | 9                              | null
        x           | 1                   | 1              | 0               | null                           | null
        few         | 4                   | 1              | 4               | 0.5                            | 0.1
        none        | 1                   | 0              | 0               | null                           | null
    """)  # noqa: E501
    made = {row["kind"]: row for row in pooled(with_columns(prompts, PROMPTS), ["kind"]).collect()}
    scores = [1, 2, 3, 4, 6, 9]
    mean = sum(scores) / 6
    half = 2.57058183563631551 * math.sqrt(sum((score - mean) ** 2 for score in scores) / 5) / math.sqrt(6)
    x = made["x"]
    assert (x["generated"], x["used"], x["n"], x["used_rate"]) == (10, 5, 6, 50.0)
    assert [x["mean"], x["lower"], x["upper"]] == pytest.approx([mean, mean - half, mean + half], rel=1e-12)
    assert (made["few"]["n"], made["few"]["mean"], made["few"]["lower"]) == (4, 0.5, None)
    assert (made["none"]["n"], made["none"]["mean"], made["none"]["upper"]) == (0, None, None)


def test_metrics_that_their_contracts_put_into_the_report_are_brought_together_as_these_say(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {
        DASHBOARD_METRICS: {"total_errors": "sum", "avg_latency_ms": "sessions_active"},
        TEACHER_SUMMARY_OF_USERS: {"total_prompts_used": "sum", "avg_engagement_score": "total_sessions"},
        PROMPT_EFFECTIVENESS: {"usage_rate": "total_generated"},
    }

    def telling(name: str) -> Contract:
        contract = contract_of(name)
        columns = [c.model_copy(update={"report": how.get(name, {}).get(c.name)}) for c in contract.columns]
        return contract.model_copy(update={"columns": tuple(columns)})

    monkeypatch.setattr(figures, "contract_of", telling)
    hours = table("""
        scope string | metric_hour timestamp | sessions_active int | avg_latency_ms double | total_errors int
        a            | 2026-06-01 00:00:00   | 1                   | 50                    | 1
        a            | 2026-06-01 23:00:00   | 3                   | 90                    | 2
        a            | 2026-06-01 12:00:00   | 5                   | null                  | 4
    """)
    assert rows(periods(with_columns(hours, HOURS), "day"), "total_errors", "avg_latency_ms") == [(7, 80.0)]
    days = table("""
        school_id string | teacher_id string | summary_date date | total_sessions int | avg_engagement_score double | total_prompts_used int
        a                | t1                | 2026-06-01        | 1                  | 40                          | 1
        a                | t1                | 2026-06-02        | 3                  | 80                          | 2
        a                | t1                | 2026-06-03        | 5                  | null                        | 0
        a                | t2                | 2026-06-01        | 4                  | 100                         | 4
    """)  # noqa: E501
    own = teacher_weeks(with_columns(days, DAYS))
    asked = ("total_prompts_used", "avg_engagement_score")
    assert rows(own, "teacher", *asked) == [("t1", 3, 70.0), ("t2", 4, 100.0)]
    assert rows(weeks(own), "scope", *asked) == [(EVERYONE, 7, 85.0), ("a", 7, 85.0)]
    prompts = table("""
        kind string | total_generated int | usage_rate double
        x           | 1                   | 100
        x           | 3                   | 20
        x           | 0                   | null
    """)
    assert rows(pooled(with_columns(prompts, PROMPTS), ["kind"]), "usage_rate") == [(40.0,)]


def test_lengths_of_periods_are_told_apart(table: Table) -> None:
    frame = table("""
        calculation_period_start timestamp | calculation_period_end timestamp
        2026-06-01 00:00:00                | 2026-06-02 00:00:00
        2026-06-01 00:00:00                | 2026-06-08 00:00:00
        2026-06-01 00:00:00                | 2026-07-01 00:00:00
    """)
    assert [row[0] for row in frame.select(period_length()).collect()] == ["day", "week", "month"]


def test_quarantined_rows_are_counted_by_source_and_reason(table: Table) -> None:
    frame = table("""
        source_table string               | reason string | resolved_at timestamp | last_seen_at timestamp
        classwaves.analytics.session_events | missing_key   | null                  | 2026-06-01 00:00:00
        classwaves.analytics.session_events | missing_key   | null                  | 1970-01-01 00:00:01
        classwaves.analytics.session_events | missing_key   | 2026-06-02 00:00:00   | 1970-01-01 00:00:01
        classwaves.users.teachers           | duplicate_key | 2026-06-02 00:00:00   | 1970-01-01 00:00:01
    """)
    frame = with_columns(frame, {"first_seen_at": "timestamp"})
    assert rows(quarantined(frame), "source", "reason", "rejected", "resolved") == [
        ("analytics.session_events", "missing_key", 2, 1),
        ("users.teachers", "duplicate_key", 0, 1),
    ]
    assert [row["last_seen_at"] for row in quarantined(frame).where("rejected = 0").collect()] == [1000]


def test_verdicts_are_those_of_the_latest_run_without_what_is_only_told(table: Table) -> None:
    frame = table("""
        job_name string | run_id string | checked_at timestamp | check_kind string | severity string | success boolean
        hourly          | old           | 2026-06-01 00:00:00  | expectation       | critical        | false
        hourly          | new           | 2026-06-02 00:00:00  | expectation       | critical        | true
        hourly          | new           | 2026-06-02 00:00:00  | expectation       | critical        | false
        hourly          | new           | 2026-06-02 00:00:00  | drift             | warning         | false
        hourly          | new           | 2026-06-02 00:00:00  | quarantine        | info            | false
        daily           | newest        | 2026-06-03 00:00:00  | quarantine        | info            | false
    """)
    assert rows(latest_verdicts(frame), "job", "run_id", "kind", "passed", "warnings", "refusals") == [
        ("hourly", "new", "drift", 0, 1, 0),
        ("hourly", "new", "expectation", 1, 0, 1),
    ]


def test_runs_tell_how_long_they_took(table: Table) -> None:
    frame = table("""
        run_id string | job_name string | status string | run_start timestamp | run_end timestamp   | rows_new bigint
        r1            | hourly          | succeeded     | 2026-06-01 00:00:00 | 2026-06-01 00:01:30 | 5
    """)
    others = {**dict.fromkeys(("rows_changed", "rows_gone", "rows_unchanged", "checks", "failed_checks"), "bigint")}
    made = latest_runs(with_columns(frame, {**others, "message": "string"})).collect()[0]
    assert (made["job"], made["status"], made["seconds"], made["rows_new"]) == ("hourly", "succeeded", 90.0, 5)
    assert made["run_start"] == datetime.fromisoformat("2026-06-01T00:00:00+00:00").timestamp() * 1000
