"""The totals that the hourly rollup is held against, counted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.gate import relative_differences
from expectations.reconciliation.dashboard_metrics_hourly import (
    STAGED_TOTALS,
    _hours_overlapped,
    source_totals,
)
from expectations.reconciliation.totals import session_ends
from tests.conftest import read_table
from tests.transforms.frames import with_columns
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.windows import HourWindow

SESSIONS = "sessions.classroom_sessions"
EVENTS = "analytics.session_events"

START = datetime(2025, 9, 1, 9, tzinfo=timezone.utc)
END = datetime(2025, 9, 1, 12, tzinfo=timezone.utc)
"""The window: three hours, from nine o'clock to noon."""

USABLE = {
    SESSIONS: """
        id string           | school_id string | actual_start timestamp | actual_end timestamp
        by_columns          | oak              | 2025-09-01 09:10:00    | 2025-09-01 10:00:00
        by_events           | oak              | 2025-09-01 01:00:00    | 2025-09-01 02:00:00
        from_before         | elm              | 2025-09-01 08:00:00    | 2025-09-01 09:00:00
        into_after          | elm              | 2025-09-01 11:59:59    | 2025-09-01 12:00:00
        around              | elm              | 2025-09-01 02:00:00    | 2025-09-01 18:00:00
        open                | oak              | 2025-09-01 06:30:00    | null
        backwards           | oak              | 2025-09-01 10:00:00    | 2025-09-01 08:00:00
        endless             | oak              | 2025-08-31 10:15:00    | 2025-09-05 00:00:00
        not_started         | oak              | null                   | 2025-09-01 10:00:00
        without_school      | null             | 2025-09-01 09:00:00    | 2025-09-01 11:00:00
        over                | oak              | 2025-09-01 07:00:00    | 2025-09-01 08:59:59
        later               | oak              | 2025-09-01 12:00:00    | 2025-09-01 12:30:00
    """,
    EVENTS: """
        session_id string | event_type string | event_time timestamp
        by_events         | ' Started '       | 2025-09-01 10:30:00
        by_events         | started           | 2025-09-01 09:30:00
        by_events         | ended             | 2025-09-01 09:45:00
        by_events         | ENDED             | 2025-09-01 11:30:00
        by_events         | member_join       | 2025-09-01 03:00:00
        over              | configured        | 2025-09-01 09:30:00
        without_school    | ended             | 2025-09-01 11:30:00
    """,
    "sessions.transcriptions": """
        session_id string | is_final boolean | start_time timestamp  | seconds double
        by_columns        | true             | 2025-09-01 09:00:00   | 90.5
        by_columns        | true             | 2025-09-01 11:59:59.9 | 90.5
        over              | true             | 2025-09-01 10:00:00   | 0
        by_columns        | false            | 2025-09-01 10:00:00   | 1000
        by_columns        | null             | 2025-09-01 10:00:00   | 1000
        by_columns        | true             | 2025-09-01 12:00:00   | 1000
        by_columns        | true             | 2025-09-01 08:59:59   | 1000
        without_school    | true             | 2025-09-01 10:00:00   | 1000
    """,
    "ai_insights.teacher_guidance_metrics": """
        session_id string | generated_at timestamp     | used_at timestamp
        by_columns        | 2025-09-01 09:00:00        | 2025-09-01 11:59:59.999999
        by_columns        | 2025-09-01 08:59:59.999999 | 2025-09-01 09:00:00
        over              | 2025-09-01 11:00:00        | 2025-09-01 12:00:00
        over              | 2025-09-01 11:00:00        | null
        without_school    | 2025-09-01 11:00:00        | 2025-09-01 11:10:00
    """,
    "ai_insights.intervention_suggestions": """
        session_id string | acted_upon boolean | acted_at timestamp
        by_columns        | true               | 2025-09-01 09:00:00
        by_columns        | true               | 2025-09-01 12:00:00
        by_columns        | true               | null
        by_columns        | false              | 2025-09-01 09:00:00
        by_columns        | null               | 2025-09-01 09:00:00
        without_school    | true               | 2025-09-01 09:00:00
    """,
    "ai_insights.analysis_results": """
        session_id string | analysis_timestamp timestamp
        by_columns        | 2025-09-01 09:00:00
        over              | 2025-09-01 11:00:00
        over              | 2025-09-01 12:00:00
        without_school    | 2025-09-01 11:00:00
    """,
    "operational.system_events": """
        school_id string | session_id string | severity string | created_at timestamp
        fir              | null              | error           | 2025-09-01 09:00:00
        null             | by_columns        | ' CRITICAL '    | 2025-09-01 10:00:00
        fir              | without_school    | warning         | 2025-09-01 10:00:00
        fir              | no_such_session   | Warning         | 2025-09-01 11:59:59
        null             | over              | info            | 2025-09-01 10:00:00
        null             | over              | null            | 2025-09-01 10:00:00
        null             | without_school    | error           | 2025-09-01 10:00:00
        null             | no_such_session   | error           | 2025-09-01 10:00:00
        null             | null              | error           | 2025-09-01 10:00:00
        fir              | by_columns        | error           | 2025-09-01 12:00:00
        fir              | by_columns        | error           | 2025-09-01 08:59:59.999999
    """,
}

ACTIVE_HOURS = {
    "by_columns": 1,  # it ends on the hour: not active in the next
    "by_events": 3,  # from the first started event to the last ended one
    "from_before": 0,  # it ends as the window begins
    "into_after": 1,
    "around": 3,
    "open": 2,  # assumed to end four hours after its start, at half past ten
    "backwards": 1,  # taken to end as it starts, on the hour: empty, and yet active in the hour that begins
    "endless": 2,  # taken to end 24 hours after its start, at a quarter past ten
}
COMPLETED = {"by_columns", "by_events", "from_before", "backwards", "endless"}

TOTALS = {
    "sessions_active": float(sum(ACTIVE_HOURS.values())),
    "sessions_completed": float(len(COMPLETED)),
    "total_transcription_minutes": (90.5 + 90.5 + 0) / 60,
    "total_prompts_generated": 3.0,
    "total_prompts_used": 2.0,
    "total_interventions": 1.0,
    "ai_analyses_completed": 2.0,
    "total_alerts": 4.0,
    "total_errors": 2.0,
}


def usable_of(spark: SparkSession, texts: Mapping[str, str]) -> dict[str, DataFrame]:
    frames = {source: read_table(spark, text) for source, text in texts.items()}
    return {**frames, SESSIONS: with_columns(frames[SESSIONS], {"teacher_id": "string"})}


def totals_of(usable: Mapping[str, DataFrame], window: HourWindow | None = None) -> dict[str, float]:
    inputs = RollupInputs(usable[SESSIONS], usable, END, MetricSettings())
    rows = source_totals(inputs, window or HourWindow(START, END)).collect()
    assert len(rows) == len({row["name"] for row in rows})
    return {row["name"]: row["total"] for row in rows}


@pytest.fixture(scope="module")
def totals(spark: SparkSession) -> dict[str, float]:
    return totals_of(usable_of(spark, USABLE))


@pytest.mark.parametrize("name", sorted(TOTALS))
def test_a_total_is_what_a_hand_counts(totals: dict[str, float], name: str) -> None:
    assert totals[name] == pytest.approx(TOTALS[name], rel=1e-12)


def test_the_totals_are_those_that_the_staged_rows_make(totals: dict[str, float]) -> None:
    assert set(totals) == set(STAGED_TOTALS) == set(TOTALS)


def test_each_session_counts_in_the_hours_that_its_span_overlaps(spark: SparkSession) -> None:
    """Session by session: a sum over all of them could hide two errors that cancel out."""
    usable = usable_of(spark, {SESSIONS: USABLE[SESSIONS], EVENTS: USABLE[EVENTS]})
    spans = session_ends(usable[SESSIONS], usable[EVENTS], 24, 4).where("school_id IS NOT NULL")
    rows = spans.select("session_id", _hours_overlapped(HourWindow(START, END)).alias("hours")).collect()
    assert {row["session_id"]: row["hours"] for row in rows} == {**ACTIVE_HOURS, "over": 0, "later": 0}


def test_the_totals_of_picked_hours_are_those_of_the_hours(spark: SparkSession, totals: dict[str, float]) -> None:
    usable = usable_of(spark, USABLE)
    hour = timedelta(hours=1)
    first, middle, last = (HourWindow(START + n * hour, START + (n + 1) * hour) for n in range(3))
    selected = totals_of(usable, HourWindow.of([first.start, last.start]))
    of_middle = totals_of(usable, middle)
    assert selected == pytest.approx({name: totals[name] - of_middle[name] for name in totals})
    assert selected["sessions_active"] not in (0.0, totals["sessions_active"])


def test_nothing_adds_up_to_zero(spark: SparkSession) -> None:
    headers = {source: text.strip().splitlines()[0] for source, text in USABLE.items()}
    assert totals_of(usable_of(spark, headers)) == dict.fromkeys(STAGED_TOTALS, 0.0)


STAGED = """
    metric_hour timestamp | sessions_active int | sessions_completed int | total_prompts_generated int \
    | total_prompts_used int | total_interventions int | total_alerts int | total_errors int \
    | ai_analyses_completed int | total_transcription_minutes double
    2025-09-01 09:00:00 | 6 | 2 | 1 | 1 | 1 | 1 | 1 | 1 | 1.5
    2025-09-01 10:00:00 | 5 | 2 | 1 | 0 | 0 | 2 | 1 | 0 | 1.5166666666666666
    2025-09-01 11:00:00 | 2 | 1 | 1 | 1 | 0 | 1 | 0 | 1 | 0
"""


def staged_totals(rows: DataFrame) -> dict[str, float]:
    made = rows.agg(*[F.expr(sql).cast("double").alias(name) for name, sql in STAGED_TOTALS.items()])
    return dict(made.collect()[0].asDict())


def test_sound_rows_make_the_totals_of_the_sources(spark: SparkSession, totals: dict[str, float]) -> None:
    differences = relative_differences(staged_totals(read_table(spark, STAGED)), totals)
    assert differences == pytest.approx(dict.fromkeys(STAGED_TOTALS, 0.0), abs=1e-12)


@pytest.mark.parametrize("change", ["duplicated", "lost"])
def test_a_row_too_many_or_too_few_shows_in_every_total_that_it_has(
    spark: SparkSession, totals: dict[str, float], change: str
) -> None:
    rows = read_table(spark, STAGED)
    first = F.col("metric_hour") == F.lit("2025-09-01 09:00:00").cast("timestamp")
    changed = rows.unionByName(rows.where(first)) if change == "duplicated" else rows.where(~first)
    differences = relative_differences(staged_totals(changed), totals)
    sign = 1 if change == "duplicated" else -1
    assert set(differences) == set(STAGED_TOTALS)
    assert [name for name, difference in differences.items() if difference is None or difference * sign < 0.1] == []
