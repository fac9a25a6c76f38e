"""The sample lakehouse: the same for the same seed, coherent where it is sound, and broken where it says so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.sample.defects import MODELS
from jobs.sample.lakehouse import BUSY_DENSITY, sample_tables
from jobs.sample.people import Scale
from transforms.catalog import PROMPTS
from transforms.source_rules import RULES

Rows = dict[str, list[Row]]

SESSIONS = "sessions.classroom_sessions"
EVENTS = "analytics.session_events"
SPEECH = "sessions.transcriptions"
EVENT_TYPES = {"configured", "started", "leader_ready", "member_join", "member_leave", "ended"}


@contextmanager
def partitions(spark: SparkSession, count: int) -> Iterator[None]:
    """Ranges in that many partitions, whatever the machine."""
    setting = "spark.sql.leafNodeDefaultParallelism"
    before = spark.conf.get(setting, None)
    spark.conf.set(setting, str(count))
    try:
        yield
    finally:
        spark.conf.unset(setting) if before is None else spark.conf.set(setting, before)


def collected(spark: SparkSession, **options: Any) -> Rows:
    return {name: frame.collect() for name, frame in sample_tables(spark, **options).items()}


@pytest.fixture(scope="module")
def sample(spark: SparkSession) -> Rows:
    with partitions(spark, 2):
        return collected(spark)


@pytest.fixture(scope="module")
def sound(sample: Rows) -> Rows:
    """The sample without the rows that were added broken, nor the older copies."""

    def is_sound(table: str, row: Row) -> bool:
        return bool(row.id and row.id.strip()) and not row.id.startswith(f"{MODELS.get(table, '?')}-")

    def newest(rows: list[Row]) -> list[Row]:
        ordered = sorted(rows, key=lambda row: str(row.asDict().get("created_at") or ""))
        return list({row.id: row for row in ordered}.values())

    return {table: newest([row for row in rows if is_sound(table, row)]) for table, rows in sample.items()}


def test_every_table_has_the_columns_and_types_of_its_contract(spark):
    tables = sample_tables(spark)
    assert len(tables) == 16
    made = {name: [(field.name, field.dataType.simpleString()) for field in t.schema] for name, t in tables.items()}
    assert made == {name: [(column.name, column.type) for column in contract_of(name).columns] for name in tables}


def test_equal_seeds_give_equal_rows_however_they_are_partitioned(spark, sample):
    with partitions(spark, 7):
        again = collected(spark)
    assert {name: Counter(map(repr, rows)) for name, rows in again.items()} == {
        name: Counter(map(repr, rows)) for name, rows in sample.items()
    }


def test_another_seed_gives_other_sessions(spark, sample):
    other = sample_tables(spark, seed=8)[SESSIONS].collect()
    assert len({row.actual_start for row in other} & {row.actual_start for row in sample[SESSIONS]}) < len(other) / 4


@pytest.mark.parametrize(
    ("table", "documented"),
    [
        ("users.schools", 203),
        ("users.teachers", 222),
        (SESSIONS, 425),
        ("sessions.student_groups", 725),
        ("sessions.student_group_members", 1079),
        ("sessions.participants", 149),
        (SPEECH, 325),
        (EVENTS, 279),
        (PROMPTS, 118),
        ("analytics.session_analytics", 131),
        ("operational.system_events", 907),
    ],
)
def test_the_default_sample_has_about_the_documented_volumes(sound, table, documented):
    assert len(sound[table]) == pytest.approx(documented, rel=0.2)


def test_a_busy_sample_has_the_volumes_of_schools_in_full_use(spark):
    tables = sample_tables(spark, sessions=400, density=BUSY_DENSITY)
    per_session = {SPEECH: 60, EVENTS: 16, "sessions.participants": 9, PROMPTS: 8, "sessions.student_groups": 2}
    assert {name: tables[name].count() / 400 for name in per_session} == pytest.approx(per_session, rel=0.15)


def test_the_smallest_sample_has_rows_in_every_table(spark):
    tables = sample_tables(spark, sessions=1, days=1, density=0)
    assert [name for name, frame in tables.items() if frame.isEmpty()] == []


@pytest.mark.parametrize(
    ("table", "column", "target"),
    [
        ("users.teachers", "school_id", "users.schools"),
        ("users.students", "school_id", "users.schools"),
        (SESSIONS, "school_id", "users.schools"),
        (SESSIONS, "teacher_id", "users.teachers"),
        ("sessions.student_groups", "session_id", SESSIONS),
        ("sessions.student_group_members", "group_id", "sessions.student_groups"),
        ("sessions.student_group_members", "student_id", "users.students"),
        ("sessions.participants", "session_id", SESSIONS),
        ("sessions.participants", "group_id", "sessions.student_groups"),
        ("sessions.participants", "student_id", "users.students"),
        (SPEECH, "session_id", SESSIONS),
        (SPEECH, "group_id", "sessions.student_groups"),
        (EVENTS, "session_id", SESSIONS),
        (EVENTS, "teacher_id", "users.teachers"),
        ("analytics.session_analytics", "session_id", SESSIONS),
        (PROMPTS, "session_id", SESSIONS),
        (PROMPTS, "teacher_id", "users.teachers"),
        (PROMPTS, "group_id", "sessions.student_groups"),
        ("ai_insights.intervention_suggestions", "session_id", SESSIONS),
        ("ai_insights.intervention_suggestions", "group_id", "sessions.student_groups"),
        ("ai_insights.analysis_results", "session_id", SESSIONS),
        ("operational.api_metrics", "school_id", "users.schools"),
        ("operational.system_events", "school_id", "users.schools"),
        ("operational.system_events", "session_id", SESSIONS),
        ("audio.recordings", "session_id", SESSIONS),
        ("audio.recordings", "group_id", "sessions.student_groups"),
    ],
)
def test_every_reference_of_a_sound_row_resolves(sound, table, column, target):
    known = {row.id for row in sound[target]}
    references = {row[column] for row in sound[table] if row[column] is not None}
    assert references
    assert references - known == set()


def test_who_speaks_was_there(sound):
    people = {row.id for row in sound["sessions.participants"]} | {row.id for row in sound["users.teachers"]}
    assert {row.speaker_id for row in sound[SPEECH]} - people == set()


def test_the_group_that_a_leader_says_is_ready_is_one_of_the_session(sound):
    groups = {(row.session_id, row.id) for row in sound["sessions.student_groups"] if row.is_ready}
    ready = [row for row in sound[EVENTS] if row.event_type == "leader_ready"]
    assert {(row.session_id, json.loads(row.payload)["groupId"]) for row in ready} == groups


@pytest.mark.parametrize(
    ("table", "earlier", "later"),
    [
        (SESSIONS, "created_at", "scheduled_start"),
        (SESSIONS, "actual_start", "actual_end"),
        ("sessions.student_groups", "start_time", "end_time"),
        ("sessions.participants", "join_time", "leave_time"),
        (SPEECH, "start_time", "end_time"),
        (SPEECH, "end_time", "created_at"),
        (PROMPTS, "generated_at", "acknowledged_at"),
        (PROMPTS, "acknowledged_at", "used_at"),
        (PROMPTS, "acknowledged_at", "dismissed_at"),
        ("ai_insights.intervention_suggestions", "created_at", "acted_at"),
        ("analytics.session_analytics", "started_at", "computed_at"),
        ("analytics.session_analytics", "started_at", "failed_at"),
        ("audio.recordings", "created_at", "processed_at"),
    ],
)
def test_moments_come_in_their_order(sound, table, earlier, later):
    pairs = [(row[earlier], row[later]) for row in sound[table] if row[earlier] and row[later]]
    assert pairs
    assert [pair for pair in pairs if pair[0] >= pair[1]] == []


def test_the_life_of_a_recorded_session_is_configured_started_ended(sound):
    moments: dict[str, dict[str, datetime]] = {}
    for row in sound[EVENTS]:
        moments.setdefault(row.session_id, {})[row.event_type] = row.event_time
    spans = {row.id: (row.actual_start, row.actual_end) for row in sound[SESSIONS]}
    assert all(life["configured"] < life["started"] < life["ended"] for life in moments.values())
    assert [key for key, life in moments.items() if (life["started"], life["ended"]) != spans[key]] == []


def test_what_is_said_and_prompted_lies_in_its_session(sound):
    spans = {row.id: (row.actual_start, row.actual_end) for row in sound[SESSIONS]}
    said = [(row.session_id, row.start_time) for row in sound[SPEECH]]
    shown = [(row.session_id, row.generated_at) for row in sound[PROMPTS]]
    assert [fact for fact in said + shown if not spans[fact[0]][0] <= fact[1] <= spans[fact[0]][1]] == []


def test_only_what_ran_has_scores(sound):
    ran = {row.id for row in sound[SESSIONS] if row.actual_start}
    scored = {row.id for row in sound[SESSIONS] if row.engagement_score is not None}
    grouped = {row.session_id for row in sound["sessions.student_groups"] if row.collaboration_score is not None}
    assert 0.8 * len(ran) < len(scored) < len(ran) < len(sound[SESSIONS])
    assert scored | grouped <= ran


def test_nobody_sits_twice_in_a_session(sound):
    seats = Counter((row.session_id, row.student_id) for row in sound["sessions.student_group_members"])
    assert max(seats.values()) == 1


def test_sessions_are_on_working_days_and_mostly_in_school_hours_of_the_school(sound):
    zones = {row.school_id: row.timezone for row in sound["users.teachers"] if "/" in (row.timezone or "")}
    placed = [row for row in sound[SESSIONS] if row.school_id in zones]
    # Collected moments are naive, in the driver's own zone, which is what astimezone takes them for.
    local = [row.scheduled_start.astimezone(ZoneInfo(zones[row.school_id])) for row in placed]
    assert len(set(zones.values())) == 10
    assert {moment.weekday() for moment in local} == {0, 1, 2, 3, 4}
    assert {moment.date() for moment in local} <= {date(2025, 9, 1) + timedelta(days=n) for n in range(30)}
    assert sum(8 <= moment.hour < 16 for moment in local) / len(local) > 0.9


def test_some_teachers_have_sessions_enough_for_a_trend(sound):
    ran = {(row.teacher_id, row.actual_start.date()) for row in sound[SESSIONS] if row.actual_start}
    assert sum(days >= 5 for days in Counter(teacher for teacher, _ in ran).values()) >= 3


@pytest.mark.parametrize(
    ("first_day", "days", "expected"),
    [
        (date(2025, 9, 1), 30, (0, 21)),  # from Monday to the Tuesday four weeks later
        (date(2025, 9, 3), 1, (2, 2)),
        (date(2025, 9, 5), 4, (4, 5)),  # from Friday to Monday
        (date(2025, 9, 6), 2, (5, 5)),  # a weekend
    ],
)
def test_working_days_are_counted_from_the_first_monday(first_day, days, expected):
    assert Scale(sessions=1, days=days, first_day=first_day, density=1).working_days == expected


@pytest.mark.parametrize("options", [{"sessions": 0}, {"days": 0}, {"density": 1.5}])
def test_numbers_that_make_no_sample_are_refused(spark, options):
    with pytest.raises(ValueError, match="at least one session"):
        sample_tables(spark, **options)


def test_keys_are_missing_and_double_in_every_source(sample):
    for table in MODELS:
        keys = Counter((row.id or "").strip() for row in sample[table])
        assert keys[""] >= 2, table
        assert sorted(key for key, count in keys.items() if count > 1 and key) == [MODELS[table]], table


def test_every_source_of_a_session_has_orphans(sample):
    known = {row.id for row in sample[SESSIONS]} - {None}
    sources = [table for table in MODELS if RULES[table].in_session]
    assert len(sources) == 9
    for table in sources:
        orphans = [row.session_id for row in sample[table] if row.session_id not in known]
        assert sorted(map(str, orphans)) == ["None", "session-that-never-was"], table


def test_every_source_that_a_time_places_has_a_row_without_it(sample):
    times = {table: rules.placed_by for table, rules in RULES.items() if rules.placed_by}
    assert len(times) == 8
    without = {table: sum(row[time] is None for row in sample[table]) for table, time in times.items()}
    assert without == dict.fromkeys(times, 1)


def test_some_events_are_of_an_unknown_type(sample):
    assert {row.event_type for row in sample[EVENTS]} - EVENT_TYPES == {"paused", None}


def test_some_speech_lasts_less_than_nothing(sample):
    def seconds(row: Row) -> float | None:
        if row.duration_seconds is not None:
            return float(row.duration_seconds)
        return (row.end_time - row.start_time).total_seconds() if row.end_time and row.start_time else None

    negative = [row.id for row in sample[SPEECH] if (length := seconds(row)) is None or length < 0]
    assert sorted(negative) == [f"{MODELS[SPEECH]}-{name}" for name in ("backwards", "negative", "no-end")]


def test_some_payloads_are_no_objects(sample):
    def is_object(payload: str) -> bool:
        try:
            return isinstance(json.loads(payload), dict)
        except ValueError:
            return False

    broken = {row.payload for row in sample[EVENTS] if row.payload is not None and not is_object(row.payload)}
    assert broken == {"ready!", '{"groupId": "group-0', "[1, 2]", "", "null"}


def test_some_measures_are_out_of_their_range(spark):
    outside = {
        SPEECH: "confidence_score > 1",
        SESSIONS: "engagement_score > 100 AND participation_rate < 0",
        "sessions.student_groups": "collaboration_score > 100 AND argumentation_quality < 0",
        PROMPTS: "feedback_rating > 5 AND response_time_seconds < 0 OR isnan(effectiveness_score)",
        "ai_insights.analysis_results": "processing_time_ms < 0",
        "operational.api_metrics": "response_time_ms < 0",
        "audio.recordings": "file_size_bytes < 0",
    }
    tables = sample_tables(spark, sessions=20)
    assert {name for name, rule in outside.items() if not tables[name].filter(F.expr(rule)).isEmpty()} == set(outside)


def test_a_session_is_open_one_endless_one_without_a_start(sample):
    rows = {row.id: row for row in sample[SESSIONS]}
    no_end, endless = rows["session-000001-open"], rows["session-000001-endless"]
    assert (no_end.actual_start is not None, no_end.actual_end) == (True, None)
    assert endless.actual_end - endless.actual_start > timedelta(hours=24)
    assert rows["session-000001-no-start"].actual_start is None
    assert rows["session-000001-no-start"].actual_end is not None
