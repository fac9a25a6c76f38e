"""The totals that the daily summary and prompt effectiveness are held against, counted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timezone

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.gate import judge, relative_differences
from expectations.reconciliation import teacher_analytics_summary, teacher_prompt_effectiveness
from expectations.reconciliation.mirror_tables import count_mismatched_rows
from expectations.suites import reconciliation_suite
from tests.conftest import Table, read_table
from tests.expectations.staged import BETWEEN, DAILY
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.windows import DateWindow, PeriodWindow

NOW = datetime(2025, 9, 5, tzinfo=timezone.utc)
DATES = DateWindow(date(2025, 9, 1), date(2025, 9, 2))
DAYS = PeriodWindow(datetime(2025, 9, 1, tzinfo=timezone.utc), datetime(2025, 9, 2, tzinfo=timezone.utc), "day")

USABLE = {
    "users.teachers": """
        id string | timezone string
        ada       | Pacific/Kiritimati
        bo        | Mars/Olympus
    """,
    "sessions.classroom_sessions": """
        id string  | school_id string | teacher_id string | actual_start timestamp | actual_end timestamp
        by_event   | oak              | ada               | 2025-09-01 12:00:00    | null
        early      | oak              | ada               | 2025-08-31 09:59:59    | null
        too_late   | oak              | ada               | 2025-09-01 10:00:00    | null
        bos        | null             | bo                | 2025-09-01 23:59:59    | null
        strangers  | oak              | cy                | 2025-09-01 00:00:00    | null
        no_teacher | oak              | null              | 2025-09-01 09:00:00    | null
        no_start   | oak              | ada               | null                   | 2025-09-01 09:00:00
    """,
    "analytics.session_events": """
        session_id string | event_type string | event_time timestamp
        by_event          | ' Started'        | 2025-08-31 10:00:00
        by_event          | leader_ready      | 2025-09-02 10:00:00
        by_event          | LEADER_READY      | 2025-09-01 10:00:00
        bos               | leader_ready      | 2025-09-01 10:00:00
        bos               | member_join       | 2025-09-01 10:00:00
        too_late          | leader_ready      | 2025-09-01 10:00:00
    """,
    "sessions.transcriptions": """
        session_id string | is_final boolean
        by_event          | true
        by_event          | false
        strangers         | true
        no_start          | true
        too_late          | true
    """,
    "ai_insights.intervention_suggestions": """
        session_id string | acted_upon boolean
        by_event          | true
        by_event          | null
        bos               | false
        early             | true
    """,
    "ai_insights.teacher_guidance_metrics": """
        session_id string | teacher_id string | generated_at timestamp     | acknowledged_at timestamp | used_at timestamp   | dismissed_at timestamp | effectiveness_score double
        no_teacher        | ada               | 2025-08-31 10:00:00        | null                      | 2025-09-09 00:00:00 | null                   | 0.5
        by_event          | null              | 2025-09-01 09:59:59.999999 | 2025-09-09 00:00:00       | 2025-09-09 00:00:00 | 2025-09-09 00:00:00    | null
        by_event          | null              | 2025-09-01 10:00:00        | null                      | 2025-09-09 00:00:00 | null                   | 1.5
        bos               | null              | 2025-09-01 23:59:59.999999 | 2025-09-09 00:00:00       | null                | null                   | 0.5
        no_teacher        | null              | 2025-09-01 09:00:00        | null                      | null                | 2025-09-09 00:00:00    | 0.5
        by_event          | cy                | 2025-09-02 00:00:00        | null                      | null                | null                   | 0.5
    """,  # noqa: E501
}

OF_DATES = {
    "total_sessions": 3.0,
    "total_prompts_shown": 3.0,
    "total_prompts_used": 2.0,
    "total_prompts_dismissed": 1.0,
    "total_alerts_generated": 3.0,
    "total_interventions": 1.0,
    "total_leader_ready_events": 3.0,
    "final_transcriptions": 2.0,
}
"""Sessions by_event, bos and strangers: `too_late` begins Kiritimati's second, `early` ends its last of August."""

OF_DAYS = {
    "total_generated": 4.0,
    "total_acknowledged": 2.0,
    "total_used": 2.0,
    "total_dismissed": 2.0,
    "data_points": 3.0,
}
"""All prompts of the UTC day, whoever's they are."""


def named(totals: DataFrame) -> dict[str, float]:
    rows = totals.collect()
    assert len(rows) == len({row["name"] for row in rows})
    return {row["name"]: row["total"] for row in rows}


def usable_of(spark: SparkSession, texts: Mapping[str, str]) -> dict[str, DataFrame]:
    return {source: read_table(spark, text) for source, text in texts.items()}


def inputs_of(usable: Mapping[str, DataFrame]) -> RollupInputs:
    return RollupInputs(usable["sessions.classroom_sessions"], usable, NOW, MetricSettings())


@pytest.fixture(scope="module")
def usable(spark: SparkSession) -> dict[str, DataFrame]:
    return usable_of(spark, USABLE)


def test_the_totals_of_a_teachers_dates_are_what_a_hand_counts(usable: dict[str, DataFrame]) -> None:
    totals = named(teacher_analytics_summary.source_totals(inputs_of(usable), DATES))
    assert totals == OF_DATES
    assert set(totals) == set(teacher_analytics_summary.STAGED_TOTALS)


def test_the_totals_of_periods_are_what_a_hand_counts(usable: dict[str, DataFrame]) -> None:
    totals = named(teacher_prompt_effectiveness.source_totals(inputs_of(usable), DAYS))
    assert totals == OF_DAYS
    assert set(totals) == set(teacher_prompt_effectiveness.STAGED_TOTALS)


def test_nothing_adds_up_to_zero(spark: SparkSession) -> None:
    nothing = usable_of(spark, {source: text.strip().splitlines()[0] for source, text in USABLE.items()})
    totals = teacher_analytics_summary.source_totals(inputs_of(nothing), DATES)
    assert named(totals) == dict.fromkeys(OF_DATES, 0.0)


STAGED = """
    total_sessions int | total_prompts_shown int | total_prompts_used int | total_prompts_dismissed int | total_alerts_generated int | total_interventions int | total_leader_ready_events int | data_points_included int | total_generated int | total_acknowledged int | total_used int | total_dismissed int | data_points int
    2 | 1 | 1 | 1 | 1 | 1 | 2 | 4 | 1 | 1 | 1 | 1 | 1
    1 | 2 | 1 | 0 | 2 | 0 | 1 | 4 | 3 | 1 | 1 | 1 | 2
"""  # noqa: E501


@pytest.mark.parametrize(("change", "sign"), [("sound", 0), ("duplicated", 1), ("lost", -1)])
def test_a_row_too_many_or_too_few_shows_in_every_total_that_it_has(
    spark: SparkSession, change: str, sign: int
) -> None:
    rows = read_table(spark, STAGED)
    first = F.col("total_sessions") == 2
    changed = {"sound": rows, "duplicated": rows.unionByName(rows.where(first)), "lost": rows.where(~first)}[change]
    sql = {**teacher_analytics_summary.STAGED_TOTALS, **teacher_prompt_effectiveness.STAGED_TOTALS}
    made = changed.agg(*[F.expr(text).cast("double").alias(name) for name, text in sql.items()]).collect()[0].asDict()
    differences = relative_differences(made, {**OF_DATES, **OF_DAYS})
    assert set(differences) == set(sql)
    assert {(difference or 0) > 0.1 for difference in differences.values()} == {sign > 0}
    assert {(difference or 0) < -0.1 for difference in differences.values()} == {sign < 0}


def test_two_tables_agree_on_what_both_have(table: Table) -> None:
    canonical = table("""
        teacher_id string | summary_date date | school_id string | total_sessions int | avg_session_score double
        ada               | 2025-09-01        | oak              | 1                  | 50.0
        bo                | 2025-09-01        | null             | 2                  | null
    """)
    twin = table("""
        teacher_id string | summary_date date | school_id string | total_sessions int | improvement_trend string
        ada               | 2025-09-01        | oak              | 1                  | stable
        bo                | 2025-09-01        | null             | 2                  | improving
    """)
    key = ("teacher_id", "summary_date")
    assert count_mismatched_rows(canonical, twin, key) == 0
    is_ada = F.col("teacher_id") == "ada"
    assert count_mismatched_rows(canonical, twin.withColumn("total_sessions", F.when(is_ada, 3).otherwise(2)), key) == 1
    assert count_mismatched_rows(canonical, twin.withColumn("school_id", F.lit(None).cast("string")), key) == 1
    assert count_mismatched_rows(canonical, twin.where(is_ada), key) == 1
    assert count_mismatched_rows(canonical.where(is_ada), twin, key) == 1


def test_tables_that_disagree_are_refused(spark: SparkSession) -> None:
    from great_expectations.core import ExpectationSuite

    unlike = {"rows_unlike_users.teacher_analytics_summary": 1.0}
    none = ExpectationSuite(name="none", expectations=[])
    rows = DAILY.frame(spark, DAILY.sound)
    verdict = judge(rows, none, DAILY.canonical.key, unlike, reconciliation_suite("x", unlike))
    assert verdict.refused
    assert [(check.name, check.subject) for check in verdict.failures] == [(BETWEEN, *unlike)]
