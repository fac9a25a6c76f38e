"""Sessions: where their span begins and ends, when their groups were ready, and how good they were."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_rows, assert_values
from tests.transforms.frames import events_of
from transforms.metric_settings import MetricSettings
from transforms.sessions import earliest_ready, group_readiness, session_quality, session_spans


def spans(sessions: DataFrame, events: DataFrame, settings: MetricSettings | None = None) -> DataFrame:
    """The spans of sessions that are given by their id and recorded times alone."""
    whole = sessions.selectExpr(
        "*",
        "'oak' AS school_id",
        "'t1' AS teacher_id",
        "50.0 AS engagement_score",
        "50.0 AS participation_rate",
        "45 AS actual_duration_minutes",
    )
    found = session_spans(whole, events, settings or MetricSettings())
    return found.select("session_id", "start", "recorded_end", "end")


def test_the_earliest_started_event_beats_the_recorded_start(table: Table) -> None:
    sessions = table("""
        id string | actual_start timestamp | actual_end timestamp
        by_events | 2025-09-01 09:00:00    | 2025-09-01 10:00:00
        by_row    | 2025-09-01 09:00:00    | 2025-09-01 10:00:00
        event     | null                   | 2025-09-01 10:00:00
    """)
    events = table("""
        session_id string | event_type string | event_time timestamp
        by_events         | started           | 2025-09-01 09:20:00
        by_events         | ' Started'        | 2025-09-01 09:10:00
        by_events         | member_join       | 2025-09-01 09:05:00
        by_row            | configured        | 2025-09-01 08:00:00
        event             | started           | 2025-09-01 09:30:00
    """)
    assert_rows(
        spans(sessions, events),
        table("""
            session_id string | start timestamp     | recorded_end timestamp | end timestamp
            by_events         | 2025-09-01 09:10:00 | 2025-09-01 10:00:00    | 2025-09-01 10:00:00
            by_row            | 2025-09-01 09:00:00 | 2025-09-01 10:00:00    | 2025-09-01 10:00:00
            event             | 2025-09-01 09:30:00 | 2025-09-01 10:00:00    | 2025-09-01 10:00:00
        """),
    )


def test_the_latest_ended_event_beats_the_recorded_end(table: Table) -> None:
    sessions = table("""
        id string | actual_start timestamp | actual_end timestamp
        by_events | 2025-09-01 09:00:00    | 2025-09-01 10:30:00
        by_row    | 2025-09-01 09:00:00    | 2025-09-01 10:30:00
    """)
    events = table("""
        session_id string | event_type string | event_time timestamp
        by_events         | ended             | 2025-09-01 09:40:00
        by_events         | 'ENDED\t'         | 2025-09-01 09:50:00
        by_row            | member_leave      | 2025-09-01 09:55:00
    """)
    assert_rows(
        spans(sessions, events),
        table("""
            session_id string | start timestamp     | recorded_end timestamp | end timestamp
            by_events         | 2025-09-01 09:00:00 | 2025-09-01 09:50:00    | 2025-09-01 09:50:00
            by_row            | 2025-09-01 09:00:00 | 2025-09-01 10:30:00    | 2025-09-01 10:30:00
        """),
    )


def test_a_session_ends_no_earlier_than_it_starts_and_no_later_than_24_hours_on(table: Table) -> None:
    sessions = table("""
        id string      | actual_start timestamp | actual_end timestamp
        too_early      | 2025-09-01 09:00:00    | 2025-09-01 08:00:00
        event_early    | 2025-09-01 09:00:00    | 2025-09-01 10:00:00
        just_a_day     | 2025-09-01 09:00:00    | 2025-09-02 09:00:00
        over_a_day     | 2025-09-01 09:00:00    | 2025-09-02 09:00:00.000001
    """)
    events = table("""
        session_id string | event_type string | event_time timestamp
        event_early       | ended             | 2025-09-01 07:00:00
    """)
    assert_rows(
        spans(sessions, events),
        table("""
            session_id string | start timestamp     | recorded_end timestamp | end timestamp
            too_early         | 2025-09-01 09:00:00 | 2025-09-01 09:00:00    | 2025-09-01 09:00:00
            event_early       | 2025-09-01 09:00:00 | 2025-09-01 09:00:00    | 2025-09-01 09:00:00
            just_a_day        | 2025-09-01 09:00:00 | 2025-09-02 09:00:00    | 2025-09-02 09:00:00
            over_a_day        | 2025-09-01 09:00:00 | 2025-09-02 09:00:00    | 2025-09-02 09:00:00
        """),
    )


def test_an_open_session_has_no_recorded_end_and_one_without_a_start_no_span(table: Table) -> None:
    sessions = table("""
        id string | actual_start timestamp | actual_end timestamp
        open      | 2025-09-01 09:00:00    | null
        no_start  | null                   | 2025-09-01 10:00:00
    """)
    events = table("""
        session_id string | event_type string | event_time timestamp
        no_start          | ended             | 2025-09-01 10:00:00
    """)
    assert_rows(
        spans(sessions, events),
        table("""
            session_id string | start timestamp     | recorded_end timestamp | end timestamp
            open              | 2025-09-01 09:00:00 | null                   | 2025-09-01 13:00:00
            no_start          | null                | null                   | null
        """),
    )


def test_the_settings_say_how_long_a_session_lasts(table: Table) -> None:
    sessions = table("""
        id string | actual_start timestamp | actual_end timestamp
        open      | 2025-09-01 09:00:00    | null
        long      | 2025-09-01 09:00:00    | 2025-09-01 20:00:00
    """)
    events = table("session_id string | event_type string | event_time timestamp")
    assert_rows(
        spans(sessions, events, MetricSettings(max_session_hours=3, open_session_hours=2)),
        table("""
            session_id string | start timestamp     | recorded_end timestamp | end timestamp
            open              | 2025-09-01 09:00:00 | null                   | 2025-09-01 11:00:00
            long              | 2025-09-01 09:00:00 | 2025-09-01 12:00:00    | 2025-09-01 12:00:00
        """),
    )


def test_a_group_is_ready_at_its_sessions_earliest_leader_ready_event_that_names_it(table: Table) -> None:
    events = events_of(
        table("""
        session_id string | event_type string | event_time timestamp | payload string
        s1                | leader_ready      | 2025-09-01 09:10:00  | {"groupId": "g1"}
        s1                | ' Leader_Ready'   | 2025-09-01 09:05:00  | {"groupId": "g1"}
        s1                | member_join       | 2025-09-01 09:01:00  | {"groupId": "g1"}
        s1                | leader_ready      | 2025-09-01 09:02:00  | {"groupId": 1}
        s1                | leader_ready      | 2025-09-01 09:03:00  | null
        s2                | leader_ready      | 2025-09-01 09:00:00  | {"groupId": "g1"}
    """)
    )
    assert_rows(
        earliest_ready(events, F.col("event_time")),
        table("""
            session_id string | group_id string | ready timestamp
            s1                | g1              | 2025-09-01 09:05:00
            s2                | g1              | 2025-09-01 09:00:00
        """),
    )
    groups = table("""
        id string | session_id string
        g1        | s1
        g2        | s2
    """)
    assert_rows(
        group_readiness(groups, events),
        table("""
            session_id string | group_id string | ready_at timestamp
            s1                | g1              | 2025-09-01 09:05:00
            s2                | g2              | null
        """),
    )


def test_quality_is_the_mean_of_what_is_known_of_engagement_participation_and_collaboration(table: Table) -> None:
    cases = table("""
        engagement_score decimal(5,2) | participation_rate decimal(5,2) | collaboration_sum double | collaboration_count bigint | expected double
        60.00 | 90.00 | 60.0 | 2    | 60.0
        60.50 | null  | 60.0 | 2    | 45.25
        null  | 90.00 | null | 0    | 90.0
        null  | null  | 50.0 | 2    | 25.0
        0.00  | 50.00 | null | null | 25.0
        null  | null  | null | null | null
    """)  # noqa: E501
    assert_values(cases, session_quality())
