"""A teacher's date, part by part, and all of it at once."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_rows, assert_values
from tests.transforms.frames import events_of, groups_of, with_columns
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.teacher_analytics_summary import (
    at_local_date,
    final_transcriptions,
    prompts_by_date,
    sessions_by_date,
    source_tables,
    suggestion_totals,
    teacher_analytics_summary,
    teacher_profiles,
    with_peer_comparison,
)
from transforms.windows import DateWindow

TIMES = ("start", "recorded_end", "end", "configured_at")
SPAN_TYPES = {
    "teacher_id": "string",
    "school_id": "string",
    "engagement_score": "decimal(5,2)",
    "participation_rate": "decimal(5,2)",
    "actual_duration_minutes": "int",
    **dict.fromkeys(TIMES, "timestamp"),
    "session_events": "bigint",
    "leader_ready_events": "bigint",
}
SUMS = ("collaboration", "argumentation", "discussion", "reaction")
SESSION_TYPES = {
    **SPAN_TYPES,
    "summary_date": "date",
    "teacher_school_id": "string",
    **{f"{name}_sum": "double" for name in SUMS},
    **{f"{name}_count": "bigint" for name in SUMS},
    **dict.fromkeys(("groups", "completed_groups", "final_transcriptions", "suggestions", "interventions"), "bigint"),
    "ready_ats": "array<timestamp>",
}
PROMPT_TYPES = {
    "teacher_id": "string",
    **dict.fromkeys(("acknowledged_at", "used_at", "dismissed_at"), "timestamp"),
    "effectiveness_score": "double",
    "response_time_seconds": "int",
}


def sessions_of(frame: DataFrame) -> DataFrame:
    """Sessions of Ada's first of September of which a case gives some columns."""
    given = frame.withColumns({"teacher_id": F.lit("ada"), "summary_date": F.lit(date(2025, 9, 1))})
    return with_columns(given, SESSION_TYPES)


def test_a_fact_is_of_its_teachers_own_date_and_without_a_teacher_of_none(table: Table) -> None:
    profiles = teacher_profiles(
        table("""
        id string | school_id string | timezone string
        ada       | oak              | Pacific/Kiritimati
        bo        | elm              | Pacific/Honolulu
        cy        | null             | Mars/Olympus
    """)
    )
    facts = table("""
        fact string   | teacher_id string | moment timestamp
        begins        | ada               | 2025-08-31 10:00:00
        too_early     | ada               | 2025-08-31 09:59:59
        ends          | ada               | 2025-09-01 09:59:59
        still_before  | bo                | 2025-09-01 09:59:59
        late          | bo                | 2025-09-02 09:59:59
        unknown_zone  | cy                | 2025-09-01 23:59:59
        no_profile    | dee               | 2025-09-01 00:00:00
        no_teacher    | null              | 2025-09-01 12:00:00
    """)
    window = DateWindow(date(2025, 9, 1), date(2025, 9, 2))
    assert_rows(
        at_local_date(facts, "moment", profiles, window).select("fact", "teacher_school_id", "summary_date"),
        table("""
            fact string  | teacher_school_id string | summary_date date
            begins       | oak                      | 2025-09-01
            ends         | oak                      | 2025-09-01
            late         | elm                      | 2025-09-01
            unknown_zone | null                     | 2025-09-01
            no_profile   | null                     | 2025-09-01
        """),
    )


def test_only_final_transcriptions_count(table: Table) -> None:
    transcriptions = table("""
        session_id string | is_final boolean
        s1                | true
        s1                | true
        s1                | false
        s2                | null
    """)
    assert_rows(
        final_transcriptions(transcriptions),
        table("""
            session_id string | final_transcriptions bigint
            s1                | 2
        """),
    )


def test_a_suggestion_is_an_alert_and_where_it_was_acted_upon_an_intervention(table: Table) -> None:
    suggestions = table("""
        session_id string | acted_upon boolean | created_at timestamp | acted_at timestamp
        s1                | true               | 2025-09-01 09:00:00  | 2025-09-01 09:00:30
        s1                | true               | 2025-09-01 09:00:00  | 2025-09-01 09:01:30.5
        s1                | true               | 2025-09-01 09:00:00  | 2025-09-01 08:59:59
        s1                | true               | 2025-09-01 09:00:00  | null
        s1                | false              | 2025-09-01 09:00:00  | 2025-09-01 10:00:00
        s1                | null               | 2025-09-01 09:00:00  | 2025-09-01 10:00:00
        s2                | false              | 2025-09-01 09:00:00  | null
    """)
    assert_rows(
        suggestion_totals(suggestions),
        table("""
            session_id string | suggestions bigint | interventions bigint | reaction_sum double | reaction_count bigint
            s1                | 6                  | 4                    | 120.5               | 2
            s2                | 1                  | 0                    | null                | 0
        """),
    )


def test_a_session_lasts_as_recorded_else_whole_minutes_else_not_at_all(table: Table) -> None:
    sessions = table("""
        actual_duration_minutes int | start timestamp     | recorded_end timestamp
        45                          | 2025-09-01 09:00:00 | 2025-09-01 12:00:00
        null                        | 2025-09-01 09:00:00 | 2025-09-01 09:30:59.999
        null                        | 2025-09-01 09:00:00 | 2025-09-01 09:00:59
        null                        | 2025-09-01 09:00:00 | null
        0                           | 2025-09-01 09:00:00 | 2025-09-01 12:00:00
    """)
    (row,) = sessions_by_date(sessions_of(sessions)).collect()
    assert (row["total_sessions"], row["total_session_duration_minutes"]) == (5, 45 + 30)
    assert (row["avg_session_score"], row["avg_group_completion_rate"], row["avg_group_readiness_time"]) == (None,) * 3


def test_a_group_counts_once_however_many_its_session_has(table: Table) -> None:
    sessions = table("""
        engagement_score decimal(5,2) | collaboration_sum double | collaboration_count bigint | groups bigint | completed_groups bigint | configured_at timestamp | start timestamp | ready_ats array<timestamp>
        80.00 | 60.0 | 1 | 3    | 1    | 2025-09-01 08:50:00 | 2025-09-01 09:00:00 | ["2025-09-01 09:00:00", "2025-09-01 08:40:00"]
        20.00 | 90.0 | 3 | 5    | 1    | null                | 2025-09-01 10:00:00 | ["2025-09-01 10:05:00"]
        50.00 | null | 0 | null | null | null                | 2025-09-01 11:00:00 | null
    """)  # noqa: E501
    (row,) = sessions_by_date(sessions_of(sessions)).collect()
    assert row["avg_collaboration_score"] == 150.0 / 4
    assert row["avg_group_completion_rate"] == 100 * 2 / 8
    assert row["avg_group_readiness_time"] == (10 + 0 + 5) / 3
    assert row["avg_engagement_score"] == 50.0
    assert row["avg_session_score"] == (70.0 + 25.0 + 50.0) / 3


def test_a_prompt_counts_where_it_was_shown_whenever_it_was_used(table: Table) -> None:
    prompts = table("""
        summary_date date | generated_at timestamp | used_at timestamp   | dismissed_at timestamp | effectiveness_score double
        2025-09-01        | 2025-09-01 09:00:00    | 2025-09-03 09:00:00 | null                   | 0.5
        2025-09-01        | 2025-09-01 09:00:00    | null                | 2025-09-01 09:00:20    | -0.25
        2025-09-01        | 2025-09-01 09:00:00    | null                | null                   | null
    """)  # noqa: E501
    given = with_columns(prompts.withColumn("teacher_school_id", F.lit("oak")), PROMPT_TYPES)
    (row,) = prompts_by_date(given).collect()
    assert (row["total_prompts_shown"], row["total_prompts_used"], row["total_prompts_dismissed"]) == (3, 1, 1)
    assert (row["avg_prompt_response_time"], row["avg_effectiveness_score"]) == ((2 * 86400 + 20) / 2, 0.125)


def test_the_source_tables_are_those_that_gave_a_row(table: Table) -> None:
    cases = table("""
        total_prompts_shown int | session_events bigint | total_sessions int | groups bigint | final_transcriptions bigint | expected string
        1 | 2    | 3 | 4    | 5    | ["classwaves.ai_insights.teacher_guidance_metrics","classwaves.analytics.session_events","classwaves.sessions.classroom_sessions","classwaves.sessions.student_groups","classwaves.sessions.transcriptions"]
        0 | 0    | 1 | null | null | ["classwaves.sessions.classroom_sessions"]
        1 | null | 0 | null | null | ["classwaves.ai_insights.teacher_guidance_metrics"]
    """)  # noqa: E501
    assert_values(cases, source_tables())


def test_peers_are_the_others_with_a_score_and_at_least_five(table: Table) -> None:
    rows = table("""
        teacher_id string | school_id string | summary_date date | avg_session_score double
        a                 | oak              | 2025-09-01        | 10.0
        b                 | oak              | 2025-09-01        | 20.0
        c                 | oak              | 2025-09-01        | 30.0
        d                 | oak              | 2025-09-01        | 40.0
        e                 | oak              | 2025-09-01        | 50.0
        f                 | oak              | 2025-09-01        | 60.0
        g                 | null             | 2025-09-01        | 70.0
        h                 | oak              | 2025-09-01        | null
        a                 | oak              | 2025-09-02        | 10.0
        b                 | oak              | 2025-09-02        | 20.0
        c                 | oak              | 2025-09-02        | 30.0
        d                 | elm              | 2025-09-02        | 40.0
        e                 | elm              | 2025-09-02        | 50.0
        f                 | null             | 2025-09-03        | 60.0
    """)
    found = {
        (row["teacher_id"], row["summary_date"].day): (row["vs_peer_average"], row["vs_school_average"])
        for row in with_peer_comparison(rows).collect()
    }
    assert found["a", 1] == (10.0 - 270.0 / 6, 10.0 - 40.0)
    assert found["f", 1] == (60.0 - 220.0 / 6, 60.0 - 30.0)
    assert found["g", 1] == (70.0 - 35.0, None)
    assert found["h", 1] == (None, None)
    assert {found[key] for key in found if key[1] > 1} == {(None, None)}


def test_a_teachers_date_is_made_of_sessions_and_prompts(table: Table) -> None:
    given = table("""
        session_id string | teacher_id string | school_id string | start timestamp | score decimal(5,2) | events bigint
        s1         | ada  | oak   | 2025-09-01 09:00:00 | 60.00 | 3
        s2         | ada  | birch | 2025-09-01 10:00:00 | null  | 0
        before     | ada  | oak   | 2025-08-31 09:00:00 | 10.00 | 1
        no_start   | ada  | oak   | null                | 90.00 | 1
        bos        | bo   | oak   | 2025-09-02 09:00:00 | 50.00 | 0
        no_teacher | null | oak   | 2025-09-01 09:00:00 | 50.00 | 0
    """)
    named = given.withColumnsRenamed({"score": "engagement_score", "events": "session_events"})
    spans = with_columns(named, SPAN_TYPES)
    prompts = table("""
        id string | session_id string | teacher_id string | generated_at timestamp
        own       | bos               | ada               | 2025-09-01 09:00:00
        inherited | s1                | null              | 2025-09-01 09:00:00
        alone     | s1                | cy                | 2025-09-01 09:00:00
        nobodys   | no_teacher        | null              | 2025-09-01 09:00:00
    """)
    usable = {
        "users.teachers": table("""
            id string | school_id string | timezone string
            cy        | elm              | null
        """),
        "sessions.student_groups": groups_of(table("id string | session_id string")).drop("ready_at"),
        "analytics.session_events": events_of(
            table("""
            session_id string | event_type string | event_time timestamp | payload string
        """)
        ),
        "sessions.transcriptions": table("""
            session_id string | is_final boolean
            s2                | true
        """),
        "ai_insights.intervention_suggestions": table("""
            session_id string | acted_upon boolean | created_at timestamp | acted_at timestamp
            s1                | true               | 2025-09-01 09:00:00  | 2025-09-01 09:00:30
        """),
        "ai_insights.teacher_guidance_metrics": with_columns(prompts, PROMPT_TYPES),
    }
    window = DateWindow(date(2025, 9, 1), date(2025, 9, 2))
    run_start = datetime(2025, 9, 5, tzinfo=timezone.utc)
    rows = teacher_analytics_summary(RollupInputs(spans, usable, run_start, MetricSettings()), window).collect()
    found = {row["teacher_id"]: row for row in rows}
    assert {(row["teacher_id"], row["summary_date"]) for row in rows} == {("ada", window.start), ("cy", window.start)}
    ada, cy = found["ada"], found["cy"]
    assert (ada["school_id"], cy["school_id"]) == ("birch", "elm")
    assert (ada["total_sessions"], ada["total_prompts_shown"], ada["total_alerts_generated"]) == (2, 2, 1)
    assert (cy["total_sessions"], cy["total_prompts_shown"], cy["total_alerts_generated"]) == (0, 1, 0)
    assert (ada["avg_intervention_rate"], cy["avg_intervention_rate"]) == (0.5, None)
    assert (ada["avg_session_score"], ada["avg_alert_response_time"]) == (60.0, 30.0)
    assert (ada["confidence_score"], cy["confidence_score"]) == (4 / 14, 1 / 11)
    assert (ada["data_quality_score"], cy["data_quality_score"]) == (2 / 8, 0.0)
    assert (ada["data_points_included"], cy["data_points_included"]) == (5, 1)
    assert (ada["prompt_usage_rate"], cy["prompt_usage_rate"]) == (0.0, 0.0)
    assert len(json.loads(ada["source_tables"])) == 4
    assert json.loads(cy["source_tables"]) == ["classwaves.ai_insights.teacher_guidance_metrics"]
    assert {row["improvement_trend"] for row in rows} == {"insufficient_data"}
