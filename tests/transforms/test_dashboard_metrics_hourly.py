# ruff: noqa: E501  (tables are as wide as their columns)
"""The hourly rollup, one kind of fact at a time and brought together."""

from __future__ import annotations

from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_rows, assert_values
from tests.transforms.frames import events_of, groups_of, participants_of, spans_of, with_columns
from transforms.dashboard_metrics_hourly import (
    KEY,
    analysis_results_by_hour,
    api_requests_by_hour,
    assembled_rows,
    bytes_stored_by_hour,
    connection_stability,
    connections_by_hour,
    dashboard_metrics_hourly,
    interventions_by_hour,
    participant_intervals,
    prompts_by_hour,
    session_analyses_by_hour,
    session_events_by_hour,
    sessions_by_hour,
    students_by_hour,
    system_events_by_hour,
    transcriptions_by_hour,
)
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.windows import HourWindow


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2025, 9, 1, hour, minute, second, tzinfo=timezone.utc)


WINDOW = HourWindow(at(8), at(12))

AVERAGES_AND_RATES = (
    "avg_session_quality",
    "avg_engagement_score",
    "avg_participation_rate",
    "avg_collaboration_score",
    "avg_audio_quality",
    "avg_connection_stability",
    "avg_response_time",
    "avg_latency_ms",
    "error_rate",
    "avg_ai_processing_time",
    "ai_analysis_success_rate",
)


def no_groups(table: Table) -> DataFrame:
    return groups_of(table("group_id string | session_id string"))


def three_sessions(table: Table) -> DataFrame:
    """One session in each of two schools, and one without a school."""
    return spans_of(
        table("""
        session_id string | school_id string
        in_oak            | oak
        in_elm            | elm
        nowhere           | null
    """)
    )


def test_a_session_is_active_where_its_span_overlaps_and_completed_where_it_ended(table: Table) -> None:
    spans = spans_of(
        table("""
        school_id string | session_id string | start timestamp     | recorded_end timestamp | end timestamp
        on_the_hour      | s1                | 2025-09-01 09:10:00 | 2025-09-01 10:00:00    | 2025-09-01 10:00:00
        in_the_hour      | s2                | 2025-09-01 09:10:00 | 2025-09-01 10:10:00    | 2025-09-01 10:10:00
        empty            | s3                | 2025-09-01 09:00:00 | 2025-09-01 09:00:00    | 2025-09-01 09:00:00
        open             | s4                | 2025-09-01 10:30:00 | null                   | 2025-09-01 14:30:00
        around_window    | s5                | 2025-09-01 07:59:00 | 2025-09-01 08:01:00    | 2025-09-01 08:01:00
        around_window    | s6                | 2025-09-01 11:59:00 | 2025-09-01 12:00:00    | 2025-09-01 12:00:00
        ends_at_window   | s7                | 2025-09-01 07:00:00 | 2025-09-01 08:00:00    | 2025-09-01 08:00:00
        outside_window   | s8                | 2025-09-01 07:00:00 | 2025-09-01 07:59:00    | 2025-09-01 07:59:00
        no_start         | s9                | null                | null                   | null
        null             | s10               | 2025-09-01 09:10:00 | 2025-09-01 10:10:00    | 2025-09-01 10:10:00
    """)
    )
    found = sessions_by_hour(spans, no_groups(table), WINDOW)
    assert_rows(
        found.select("school_id", "metric_hour", "sessions_active", "sessions_completed", "facts"),
        table("""
            school_id string | metric_hour timestamp | sessions_active bigint | sessions_completed bigint | facts bigint
            on_the_hour      | 2025-09-01 09:00:00   | 1                      | 0                         | 1
            on_the_hour      | 2025-09-01 10:00:00   | 0                      | 1                         | 1
            in_the_hour      | 2025-09-01 09:00:00   | 1                      | 0                         | 1
            in_the_hour      | 2025-09-01 10:00:00   | 1                      | 1                         | 1
            empty            | 2025-09-01 09:00:00   | 1                      | 1                         | 1
            open             | 2025-09-01 10:00:00   | 1                      | 0                         | 1
            open             | 2025-09-01 11:00:00   | 1                      | 0                         | 1
            around_window    | 2025-09-01 08:00:00   | 1                      | 1                         | 1
            around_window    | 2025-09-01 11:00:00   | 1                      | 0                         | 1
            ends_at_window   | 2025-09-01 08:00:00   | 0                      | 1                         | 1
        """),
    )


def test_teachers_groups_and_scores_are_of_the_active_sessions_only(table: Table) -> None:
    spans = spans_of(
        table("""
        session_id string | school_id string | teacher_id string | engagement_score decimal(5,2) | participation_rate decimal(5,2) | start timestamp     | recorded_end timestamp | end timestamp
        s1                | oak              | t1                | 40.00                         | 60.00                           | 2025-09-01 09:10:00 | 2025-09-01 09:40:00    | 2025-09-01 09:40:00
        s2                | oak              | t1                | 80.00                         | null                            | 2025-09-01 09:10:00 | 2025-09-01 10:00:00    | 2025-09-01 10:00:00
        s3                | oak              | t2                | null                          | null                            | 2025-09-01 09:10:00 | 2025-09-01 09:40:00    | 2025-09-01 09:40:00
        s4                | oak              | null              | null                          | null                            | 2025-09-01 09:10:00 | 2025-09-01 09:40:00    | 2025-09-01 09:40:00
    """)
    )
    groups = groups_of(
        table("""
        group_id string | session_id string | collaboration_score decimal(5,2)
        g1              | s1                | 20.00
        g2              | s1                | null
        g3              | s2                | 10.00
        g4              | s2                | 30.00
        g5              | s3                | null
    """)
    )
    # Qualities: s1 (40 + 60 + 20) / 3, s2 (80 + 20) / 2, the others unknown.
    assert_rows(
        sessions_by_hour(spans, groups, WINDOW).select(
            "metric_hour",
            "teachers_active",
            "total_groups",
            "avg_session_quality",
            "avg_engagement_score",
            "avg_participation_rate",
            "avg_collaboration_score",
        ),
        table("""
            metric_hour timestamp | teachers_active int | total_groups bigint | avg_session_quality double | avg_engagement_score double | avg_participation_rate double | avg_collaboration_score double
            2025-09-01 09:00:00   | 2                   | 5                   | 45.0                       | 60.0                        | 60.0                          | 20.0
            2025-09-01 10:00:00   | 0                   | null                | null                       | null                        | null                          | null
        """),
    )


def test_a_group_is_ready_in_an_hour_if_it_was_named_at_any_time_before_the_hours_end(table: Table) -> None:
    spans = spans_of(
        table("""
        session_id string | school_id string | start timestamp     | recorded_end timestamp | end timestamp
        s1                | oak              | 2025-09-01 09:10:00 | 2025-09-01 11:10:00    | 2025-09-01 11:10:00
    """)
    )
    groups = groups_of(
        table("""
        group_id string | session_id string | ready_at timestamp
        early           | s1                | 2025-08-31 09:00:00
        in_9            | s1                | 2025-09-01 09:59:59.999999
        on_10           | s1                | 2025-09-01 10:00:00
        never           | s1                | null
    """)
    )
    assert_rows(
        sessions_by_hour(spans, groups, WINDOW).select("metric_hour", "total_groups", "ready_groups"),
        table("""
            metric_hour timestamp | total_groups bigint | ready_groups bigint
            2025-09-01 09:00:00   | 4                   | 2
            2025-09-01 10:00:00   | 4                   | 3
            2025-09-01 11:00:00   | 4                   | 3
        """),
    )


def test_a_participant_is_present_from_joining_to_leaving_else_the_sessions_end(table: Table) -> None:
    spans = spans_of(
        table("""
        session_id string | school_id string | end timestamp
        s1                | oak              | 2025-09-01 10:00:00
        no_span           | oak              | null
        nowhere           | null             | 2025-09-01 10:00:00
    """)
    )
    participants = table("""
        id string     | session_id string | join_time timestamp | leave_time timestamp
        left          | s1                | 2025-09-01 09:00:00 | 2025-09-01 09:30:00
        stayed        | s1                | 2025-09-01 09:00:00 | null
        no_end        | no_span           | 2025-09-01 09:00:00 | null
        left_early    | s1                | 2025-09-01 09:00:00 | 2025-09-01 08:00:00
        joined_late   | s1                | 2025-09-01 11:00:00 | null
        over_a_day    | s1                | 2025-09-01 09:00:00 | 2025-09-03 09:00:00
        no_school     | nowhere           | 2025-09-01 09:00:00 | 2025-09-01 09:30:00
    """)
    whole = with_columns(participants, {"connection_quality": "string"}).withColumn("person", F.col("id"))
    assert_rows(
        participant_intervals(whole, spans).select("school_id", "person", "present_from", "present_until"),
        table("""
            school_id string | person string | present_from timestamp | present_until timestamp
            oak              | left          | 2025-09-01 09:00:00    | 2025-09-01 09:30:00
            oak              | stayed        | 2025-09-01 09:00:00    | 2025-09-01 10:00:00
            oak              | no_end        | 2025-09-01 09:00:00    | 2025-09-01 09:00:00
            oak              | left_early    | 2025-09-01 09:00:00    | 2025-09-01 09:00:00
            oak              | joined_late   | 2025-09-01 11:00:00    | 2025-09-01 11:00:00
            oak              | over_a_day    | 2025-09-01 09:00:00    | 2025-09-02 09:00:00
        """),
    )


def presence(intervals: DataFrame) -> DataFrame:
    """Students and connections by hour, one row per hour that has either."""
    return students_by_hour(intervals, WINDOW).join(connections_by_hour(intervals, WINDOW), [*KEY], how="full")


def test_a_student_a_visitor_and_a_participant_of_one_name_are_three_persons(table: Table) -> None:
    participants = participants_of(
        table("""
        id string | student_id string | anonymous_id string | session_id string
        p1        | x                 | y                   | in_oak
        p2        | x                 | null                | in_oak
        p3        | null              | x                   | in_oak
        x         | null              | null                | in_oak
        p4        | '  '              | x                   | in_oak
    """)
    )
    times = {"join_time": F.lit(at(9)), "leave_time": F.lit(at(10)), "connection_quality": F.lit("good")}
    intervals = participant_intervals(participants.withColumns(times), three_sessions(table))
    assert_rows(
        presence(intervals).select("students_active", "websocket_connections", "facts"),
        table("""
            students_active bigint | websocket_connections bigint | facts bigint
            3                   | 5                            | 5
        """),
    )


def test_the_peak_is_the_most_participants_at_one_instant_of_the_hour(table: Table) -> None:
    intervals = table("""
        school_id string | person string | present_from timestamp | present_until timestamp
        relay            | a             | 2025-09-01 09:00:00    | 2025-09-01 09:30:00
        relay            | b             | 2025-09-01 09:30:00    | 2025-09-01 10:00:00
        overlap          | a             | 2025-09-01 09:00:00    | 2025-09-01 09:30:00.000001
        overlap          | b             | 2025-09-01 09:30:00    | 2025-09-01 10:30:00
        overlap          | c             | 2025-09-01 10:00:00    | 2025-09-01 10:10:00
        overlap          | d             | 2025-09-01 10:10:00    | 2025-09-01 10:20:00
        empty            | a             | 2025-09-01 09:00:00    | 2025-09-01 09:00:00
        empty            | b             | 2025-09-01 09:30:00    | 2025-09-01 09:30:00
        empty_beside     | a             | 2025-09-01 09:00:00    | 2025-09-01 09:45:00
        empty_beside     | b             | 2025-09-01 09:30:00    | 2025-09-01 09:30:00
        through          | a             | 2025-09-01 07:00:00    | 2025-09-01 10:00:00
        through          | b             | 2025-09-01 08:59:00    | 2025-09-01 09:00:00
        rejoined         | a             | 2025-09-01 11:10:00    | 2025-09-01 11:20:00
        rejoined         | a             | 2025-09-01 11:15:00    | 2025-09-01 13:00:00
    """).withColumn("connection_quality", F.lit("good"))
    assert_rows(
        presence(intervals).select(*KEY, "students_active", "websocket_connections", "facts"),
        table("""
            school_id string | metric_hour timestamp | students_active bigint | websocket_connections bigint | facts bigint
            relay            | 2025-09-01 09:00:00   | 2                   | 1                            | 2
            overlap          | 2025-09-01 09:00:00   | 2                   | 2                            | 2
            overlap          | 2025-09-01 10:00:00   | 3                   | 2                            | 3
            empty            | 2025-09-01 09:00:00   | 2                   | 0                            | 2
            empty_beside     | 2025-09-01 09:00:00   | 2                   | 1                            | 2
            through          | 2025-09-01 08:00:00   | 2                   | 2                            | 2
            through          | 2025-09-01 09:00:00   | 1                   | 1                            | 1
            rejoined         | 2025-09-01 11:00:00   | 1                   | 2                            | 2
        """),
    )


def test_a_connection_that_no_name_describes_has_no_stability(table: Table) -> None:
    cases = table("""
        connection_quality string | expected double
        excellent                 | 100.0
        ' Good\t'                 | 75.0
        FAIR                      | 50.0
        poor                      | 25.0
        lost                      | null
        ''                        | null
        null                      | null
    """)
    assert_values(cases, connection_stability())


def test_connection_stability_is_the_mean_over_the_participants_present_in_the_hour(table: Table) -> None:
    intervals = table("""
        school_id string | person string | connection_quality string | present_from timestamp | present_until timestamp
        oak              | a             | excellent                 | 2025-09-01 09:00:00    | 2025-09-01 10:00:00
        oak              | b             | poor                      | 2025-09-01 09:50:00    | 2025-09-01 10:20:00
        oak              | c             | null                      | 2025-09-01 09:50:00    | 2025-09-01 11:20:00
    """)
    assert_rows(
        students_by_hour(intervals, WINDOW).select("metric_hour", "avg_connection_stability"),
        table("""
            metric_hour timestamp | avg_connection_stability double
            2025-09-01 09:00:00   | 62.5
            2025-09-01 10:00:00   | 25.0
            2025-09-01 11:00:00   | null
        """),
    )


def test_session_events_count_in_their_hour_and_latency_is_the_mean_of_those_that_report_it(table: Table) -> None:
    events = events_of(
        table("""
        session_id string | event_time timestamp       | payload string
        in_oak            | 2025-09-01 09:00:00        | {"latencyMs": 10}
        in_oak            | 2025-09-01 09:59:59.999999 | {"latencyMs": 20}
        in_oak            | 2025-09-01 09:30:00        | {"latencyMs": "90"}
        in_oak            | 2025-09-01 09:30:00        | null
        in_oak            | 2025-09-01 10:00:00        | {}
        in_elm            | 2025-09-01 09:30:00        | {"latencyMs": 0}
        nowhere           | 2025-09-01 09:30:00        | {"latencyMs": 90}
        in_oak            | 2025-09-01 07:59:59.999999 | {"latencyMs": 90}
        in_oak            | 2025-09-01 12:00:00        | {"latencyMs": 90}
    """)
    )
    assert_rows(
        session_events_by_hour(events, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | avg_latency_ms double | facts bigint
            oak              | 2025-09-01 09:00:00   | 15.0                  | 4
            oak              | 2025-09-01 10:00:00   | null                  | 1
            elm              | 2025-09-01 09:00:00   | 0.0                   | 1
        """),
    )


def test_audio_quality_is_weighted_by_duration_and_null_where_the_weights_sum_to_0(table: Table) -> None:
    transcriptions = table("""
        session_id string | is_final boolean | start_time timestamp | seconds double | confidence_score decimal(5,4)
        in_oak            | true             | 2025-09-01 08:00:00  | 90.0           | 0.5000
        in_oak            | true             | 2025-09-01 08:59:00  | 30.0           | 1.0000
        in_oak            | true             | 2025-09-01 08:30:00  | 60.0           | null
        in_oak            | true             | 2025-09-01 09:30:00  | 0.0            | 1.0000
        in_oak            | true             | 2025-09-01 10:30:00  | 60.0           | null
    """)
    assert_rows(
        transcriptions_by_hour(transcriptions, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | avg_audio_quality double | total_transcription_minutes double | facts bigint
            oak              | 2025-09-01 08:00:00   | 62.5                     | 3.0                                | 3
            oak              | 2025-09-01 09:00:00   | null                     | 0.0                                | 1
            oak              | 2025-09-01 10:00:00   | null                     | 1.0                                | 1
        """),
    )


def test_only_final_transcriptions_count_in_the_hour_in_which_they_start(table: Table) -> None:
    transcriptions = table("""
        session_id string | is_final boolean | start_time timestamp | seconds double | confidence_score decimal(5,4)
        in_oak            | true             | 2025-09-01 09:59:00  | 120.0          | 1.0000
        in_oak            | false            | 2025-09-01 09:00:00  | 60.0           | 0.0000
        in_oak            | null             | 2025-09-01 09:00:00  | 60.0           | 0.0000
        nowhere           | true             | 2025-09-01 09:00:00  | 60.0           | 0.0000
    """)
    assert_rows(
        transcriptions_by_hour(transcriptions, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | avg_audio_quality double | total_transcription_minutes double | facts bigint
            oak              | 2025-09-01 09:00:00   | 100.0                    | 2.0                                | 1
        """),
    )


def test_a_prompt_generated_and_used_in_one_hour_is_one_fact(table: Table) -> None:
    prompts = table("""
        session_id string | generated_at timestamp | used_at timestamp
        in_oak            | 2025-09-01 08:10:00    | 2025-09-01 08:20:00
        in_oak            | 2025-09-01 08:59:59    | 2025-09-01 09:00:00
        in_oak            | 2025-09-01 09:10:00    | null
        in_elm            | 2025-09-01 07:59:00    | 2025-09-01 10:00:00
        in_elm            | 2025-09-01 07:59:00    | 2025-09-01 12:00:00
        nowhere           | 2025-09-01 08:10:00    | 2025-09-01 08:20:00
    """)
    assert_rows(
        prompts_by_hour(prompts, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | total_prompts_generated bigint | total_prompts_used bigint | facts bigint
            oak              | 2025-09-01 08:00:00   | 2                              | 1                         | 2
            oak              | 2025-09-01 09:00:00   | 1                              | 1                         | 2
            elm              | 2025-09-01 10:00:00   | 0                              | 1                         | 1
        """),
    )


def test_an_intervention_counts_in_the_hour_in_which_it_was_acted_upon(table: Table) -> None:
    interventions = table("""
        session_id string | acted_upon boolean | acted_at timestamp
        in_oak            | true               | 2025-09-01 09:00:00
        in_oak            | true               | 2025-09-01 09:59:59.999999
        in_oak            | true               | 2025-09-01 10:00:00
        in_oak            | true               | null
        in_oak            | false              | 2025-09-01 09:30:00
        in_oak            | null               | 2025-09-01 09:30:00
        nowhere           | true               | 2025-09-01 09:30:00
    """)
    assert_rows(
        interventions_by_hour(interventions, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | total_interventions bigint | facts bigint
            oak              | 2025-09-01 09:00:00   | 2                          | 2
            oak              | 2025-09-01 10:00:00   | 1                          | 1
        """),
    )


def test_a_system_event_belongs_to_its_own_school_else_to_its_sessions(table: Table) -> None:
    system_events = table("""
        school_id string | session_id string | created_at timestamp | severity string
        own              | in_oak            | 2025-09-01 09:30:00  | info
        own              | null              | 2025-09-01 09:30:00  | info
        own              | gone              | 2025-09-01 09:30:00  | info
        null             | in_oak            | 2025-09-01 09:30:00  | info
        null             | nowhere           | 2025-09-01 09:30:00  | info
        null             | gone              | 2025-09-01 09:30:00  | info
        null             | null              | 2025-09-01 09:30:00  | info
    """)
    assert_rows(
        system_events_by_hour(system_events, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | total_errors bigint | total_alerts bigint | facts bigint
            own              | 2025-09-01 09:00:00   | 0                   | 0                   | 3
            oak              | 2025-09-01 09:00:00   | 0                   | 0                   | 1
        """),
    )


def test_errors_are_error_and_critical_alerts_are_warnings_too(table: Table) -> None:
    system_events = table("""
        school_id string | session_id string | created_at timestamp | severity string
        oak              | null              | 2025-09-01 09:00:00  | error
        oak              | null              | 2025-09-01 09:00:00  | ' Critical\t'
        oak              | null              | 2025-09-01 09:00:00  | WARNING
        oak              | null              | 2025-09-01 09:00:00  | info
        oak              | null              | 2025-09-01 09:00:00  | fatal
        oak              | null              | 2025-09-01 09:00:00  | null
        oak              | null              | 2025-09-01 10:00:00  | error
    """)
    assert_rows(
        system_events_by_hour(system_events, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | total_errors bigint | total_alerts bigint | facts bigint
            oak              | 2025-09-01 09:00:00   | 2                   | 3                   | 6
            oak              | 2025-09-01 10:00:00   | 1                   | 1                   | 1
        """),
    )


def test_the_error_rate_leaves_out_requests_without_a_status_code(table: Table) -> None:
    requests = table("""
        school_id string | timestamp timestamp        | response_time_ms int | status_code int
        oak              | 2025-09-01 09:00:00        | 100                  | 500
        oak              | 2025-09-01 09:30:00        | 200                  | 499
        oak              | 2025-09-01 09:30:00        | null                 | 200
        oak              | 2025-09-01 09:59:59.999999 | 300                  | 599
        oak              | 2025-09-01 09:30:00        | 400                  | null
        oak              | 2025-09-01 10:00:00        | null                 | null
        null             | 2025-09-01 09:30:00        | 900                  | 500
    """)
    assert_rows(
        api_requests_by_hour(requests, WINDOW),
        table("""
            school_id string | metric_hour timestamp | avg_response_time double | error_rate double | facts bigint
            oak              | 2025-09-01 09:00:00   | 250.0                    | 50.0              | 5
            oak              | 2025-09-01 10:00:00   | null                     | null              | 1
        """),
    )


def test_an_analysis_counts_with_or_without_its_processing_time(table: Table) -> None:
    results = table("""
        session_id string | analysis_timestamp timestamp | processing_time_ms int
        in_oak            | 2025-09-01 09:00:00          | 100
        in_oak            | 2025-09-01 09:59:59.999999   | 300
        in_oak            | 2025-09-01 09:30:00          | null
        in_oak            | 2025-09-01 10:00:00          | null
        nowhere           | 2025-09-01 09:30:00          | 900
    """)
    assert_rows(
        analysis_results_by_hour(results, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | ai_analyses_completed bigint | avg_ai_processing_time double | processing_ms double | facts bigint
            oak              | 2025-09-01 09:00:00   | 3                            | 200.0                         | 400.0                | 3
            oak              | 2025-09-01 10:00:00   | 1                            | null                          | null                 | 1
        """),
    )


def test_a_session_analysis_succeeds_when_computed_and_fails_when_failed(table: Table) -> None:
    analyses = table("""
        session_id string | status string  | computed_at timestamp | failed_at timestamp
        in_oak            | completed      | 2025-09-01 09:00:00   | null
        in_oak            | ' Completed\t' | 2025-09-01 09:30:00   | 2025-09-01 10:30:00
        in_oak            | COMPLETED      | 2025-09-01 09:59:59   | null
        in_oak            | failed         | 2025-09-01 10:30:00   | 2025-09-01 09:30:00
        in_oak            | failed         | null                  | 2025-09-01 11:00:00
        in_oak            | completed      | null                  | 2025-09-01 09:30:00
        in_oak            | failed         | 2025-09-01 09:30:00   | null
        in_oak            | running        | 2025-09-01 09:30:00   | 2025-09-01 09:30:00
        in_oak            | null           | 2025-09-01 09:30:00   | 2025-09-01 09:30:00
        nowhere           | failed         | null                  | 2025-09-01 09:30:00
    """)
    assert_rows(
        session_analyses_by_hour(analyses, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | ai_analysis_success_rate double | facts bigint
            oak              | 2025-09-01 09:00:00   | 75.0                            | 4
            oak              | 2025-09-01 11:00:00   | 0.0                             | 1
        """),
    )


def test_bytes_from_before_the_window_stand_in_the_hour_before_it(table: Table) -> None:
    recordings = table("""
        session_id string | created_at timestamp       | file_size_bytes bigint
        in_oak            | 2024-01-01 00:00:00        | 1
        in_oak            | 2025-09-01 07:59:59.999999 | 2
        in_oak            | 2025-09-01 08:00:00        | 4
        in_oak            | 2025-09-01 11:59:59        | 8
        in_oak            | 2025-09-01 12:00:00        | 16
        in_oak            | null                       | 32
        in_elm            | 2025-09-01 09:30:00        | null
        nowhere           | 2025-09-01 09:30:00        | 64
    """)
    assert_rows(
        bytes_stored_by_hour(recordings, three_sessions(table), WINDOW),
        table("""
            school_id string | metric_hour timestamp | bytes_stored double
            oak              | 2025-09-01 07:00:00   | 3.0
            oak              | 2025-09-01 08:00:00   | 4.0
            oak              | 2025-09-01 11:00:00   | 8.0
            elm              | 2025-09-01 09:00:00   | null
        """),
    )


def whole_lake(table: Table) -> dict[str, DataFrame]:
    """One fact of every kind in school oak at 9, a recording of 1 GB at 8, and an API request at 11."""
    return {
        "sessions.student_groups": groups_of(
            table("""
            id string | session_id string | collaboration_score decimal(5,2)
            g1        | s1                | 50.00
        """)
        ).drop("ready_at"),
        "sessions.participants": participants_of(
            table("""
            id string | session_id string | join_time timestamp | leave_time timestamp | connection_quality string
            p1        | s1                | 2025-09-01 09:10:00 | 2025-09-01 09:20:00  | good
        """)
        ),
        "analytics.session_events": events_of(
            table("""
            session_id string | event_type string | event_time timestamp | payload string
            s1                | leader_ready      | 2025-09-01 09:15:00  | {"groupId": "g1", "latencyMs": 30}
        """)
        ),
        "sessions.transcriptions": table("""
            session_id string | is_final boolean | start_time timestamp | seconds double | confidence_score decimal(5,4)
            s1                | true             | 2025-09-01 09:15:00  | 600.0          | 0.5000
        """),
        "ai_insights.teacher_guidance_metrics": table("""
            session_id string | generated_at timestamp | used_at timestamp
            s1                | 2025-09-01 09:15:00    | 2025-09-01 09:16:00
        """),
        "ai_insights.intervention_suggestions": table("""
            session_id string | acted_upon boolean | acted_at timestamp
            s1                | true               | 2025-09-01 09:15:00
        """),
        "operational.system_events": table("""
            school_id string | session_id string | created_at timestamp | severity string
            null             | s1                | 2025-09-01 09:15:00  | error
        """),
        "operational.api_metrics": table("""
            school_id string | timestamp timestamp | response_time_ms int | status_code int
            oak              | 2025-09-01 09:15:00 | 120                  | 200
            oak              | 2025-09-01 11:15:00 | 120                  | 200
        """),
        "ai_insights.analysis_results": table("""
            session_id string | analysis_timestamp timestamp | processing_time_ms int
            s1                | 2025-09-01 09:15:00          | 4000
        """),
        "analytics.session_analytics": table("""
            session_id string | status string | computed_at timestamp | failed_at timestamp
            s1                | completed     | 2025-09-01 09:15:00   | null
        """),
        "audio.recordings": table("""
            session_id string | created_at timestamp | file_size_bytes bigint
            s1                | 2025-09-01 08:15:00  | 1000000000
        """),
    }


def test_the_facts_of_a_school_and_hour_are_one_row_and_hours_not_begun_have_none(table: Table) -> None:
    spans = spans_of(
        table("""
        session_id string | school_id string | teacher_id string | engagement_score decimal(5,2) | participation_rate decimal(5,2) | start timestamp     | recorded_end timestamp | end timestamp
        s1                | oak              | t1                | 40.00                         | 60.00                           | 2025-09-01 09:10:00 | 2025-09-01 09:50:00    | 2025-09-01 09:50:00
    """)
    )
    # The run starts at 11:00, so the request of 11:15 is in an hour that has not begun.
    found = dashboard_metrics_hourly(RollupInputs(spans, whole_lake(table), at(11), MetricSettings()), WINDOW)
    rows = found.withColumn("metric_hour", F.col("metric_hour").cast("string")).collect()
    assert [row.asDict() for row in rows] == [
        {
            "school_id": "oak",
            "metric_hour": "2025-09-01 09:00:00",
            "sessions_active": 1,
            "sessions_completed": 1,
            "teachers_active": 1,
            "students_active": 1,
            "total_groups": 1,
            "ready_groups": 1,
            "total_errors": 1,
            "websocket_connections": 1,
            "total_prompts_generated": 1,
            "total_prompts_used": 1,
            "total_interventions": 1,
            "total_alerts": 1,
            "ai_analyses_completed": 1,
            "avg_session_quality": 50.0,
            "avg_engagement_score": 40.0,
            "avg_participation_rate": 60.0,
            "avg_collaboration_score": 50.0,
            "avg_audio_quality": 50.0,
            "avg_connection_stability": 75.0,
            "avg_response_time": 120.0,
            "avg_latency_ms": 30.0,
            "error_rate": 0.0,
            "avg_ai_processing_time": 4000.0,
            "ai_analysis_success_rate": 100.0,
            "total_transcription_minutes": 10.0,
            "total_storage_gb": 1.0,
            "estimated_compute_cost": 10 * 0.006 + 4 * 0.00025,
            # A session, a participant, a session event, a transcription, a prompt, an intervention, a system event,
            # an API request, an analysis result, a session analysis: each once. A recording is none.
            "data_sources_count": 10,
            "calculation_method": "hourly_rollup",
        }
    ]


def part(frame: DataFrame) -> DataFrame:
    """A part of the rollup with, as null, the columns that other parts bring."""
    counts = [
        "sessions_active",
        "sessions_completed",
        "teachers_active",
        "students_active",
        "total_groups",
        "ready_groups",
        "total_errors",
        "websocket_connections",
        "total_prompts_generated",
        "total_prompts_used",
        "total_interventions",
        "total_alerts",
        "ai_analyses_completed",
        "facts",
    ]
    amounts = [*AVERAGES_AND_RATES, "total_transcription_minutes", "processing_ms", "bytes_stored"]
    types = {**dict.fromkeys(counts, "bigint"), **dict.fromkeys(amounts, "double")}
    return with_columns(frame, types)


def test_storage_adds_up_over_the_hours_of_a_school_and_makes_no_row_by_itself(table: Table) -> None:
    facts = part(
        table("""
        school_id string | metric_hour timestamp | facts bigint
        oak              | 2025-09-01 08:00:00   | 1
        oak              | 2025-09-01 10:00:00   | 1
        oak              | 2025-09-01 11:00:00   | 1
        elm              | 2025-09-01 10:00:00   | 1
        ash              | 2025-09-01 08:00:00   | 1
    """)
    )
    stored = table("""
        school_id string | metric_hour timestamp | bytes_stored double
        oak              | 2025-09-01 07:00:00   | 1000000000.0
        oak              | 2025-09-01 09:00:00   | 2000000000.0
        oak              | 2025-09-01 10:00:00   | 4000000000.0
        ash              | 2025-09-01 09:00:00   | 8000000000.0
    """)
    assert_rows(
        assembled_rows([facts, stored], WINDOW, MetricSettings()).select(
            "school_id", "metric_hour", "total_storage_gb"
        ),
        table("""
            school_id string | metric_hour timestamp | total_storage_gb double
            oak              | 2025-09-01 08:00:00   | 1.0
            oak              | 2025-09-01 10:00:00   | 7.0
            oak              | 2025-09-01 11:00:00   | 7.0
            elm              | 2025-09-01 10:00:00   | 0.0
            ash              | 2025-09-01 08:00:00   | 0.0
        """),
    )


def test_over_nothing_counts_and_sums_are_0_and_averages_and_rates_null(table: Table) -> None:
    facts = part(
        table("""
        school_id string | metric_hour timestamp | facts bigint
        oak              | 2025-09-01 08:00:00   | 1
    """)
    )
    (row,) = assembled_rows([facts], WINDOW, MetricSettings()).drop("school_id", "metric_hour").collect()
    values = row.asDict()
    assert {name for name, value in values.items() if value is None} == set(AVERAGES_AND_RATES)
    assert {name: value for name, value in values.items() if value} == {
        "data_sources_count": 1,
        "calculation_method": "hourly_rollup",
    }


def test_the_settings_price_minutes_of_speech_and_seconds_of_analysis(table: Table) -> None:
    facts = part(
        table("""
        school_id string | metric_hour timestamp | facts bigint | total_transcription_minutes double | processing_ms double
        both             | 2025-09-01 08:00:00   | 1            | 10.0                               | 3000.0
        speech           | 2025-09-01 08:00:00   | 1            | 10.0                               | null
        analysis         | 2025-09-01 08:00:00   | 1            | null                               | 3000.0
    """)
    )
    prices = MetricSettings(transcription_usd_per_minute=0.5, analysis_usd_per_second=2.0)
    assert_rows(
        assembled_rows([facts], WINDOW, prices).select("school_id", "estimated_compute_cost"),
        table("""
            school_id string | estimated_compute_cost double
            both             | 11.0
            speech           | 5.0
            analysis         | 6.0
        """),
    )
