# ruff: noqa: E501  (tables are as wide as their columns)
"""Which rows are usable, why the others are not, and what of a usable row counts as null."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import cast

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Table
from tests.transforms.assertions import assert_rows, assert_values
from transforms.catalog import SESSION_EVENTS, SESSIONS, TRANSCRIPTIONS
from transforms.clean_values import Dimension, Measure
from transforms.copies import duplicate_keys, values_hash, with_duplicates_rejected
from transforms.metric_settings import MetricSettings
from transforms.sessions import session_spans
from transforms.source_rules import RULES, SourceRules, columns_read
from transforms.usable_rows import classified, deduplicated, findings, usable, with_rejection_reasons

MEASURES = (Measure("rating", 1, 5), Measure("seconds", 0), Measure("effect"))
DIMENSIONS = (Dimension("phase", ("opening", "closure")),)


SOURCE = "x.y"


@contextmanager
def rules_of(rules: SourceRules) -> Iterator[None]:
    """Rules for `SOURCE`, which is no table of the catalog."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cast("dict[str, SourceRules]", RULES), SOURCE, rules)
        yield


def alone(rows: DataFrame) -> DataFrame:
    """The rows as classified ones of which none is a copy, usable where they do not say why not."""
    reason = F.col("rejected_because") if "rejected_because" in rows.columns else F.lit(None).cast("string")
    return rows.withColumn("rejected_because", reason).withColumn("copy", F.lit(None).cast("struct<id: string>"))


def sessions(table: Table) -> DataFrame:
    return table("""
        session_id string
        s1
    """)


def judged(source: str, rows: DataFrame, known: DataFrame | None = None, copied: DataFrame | None = None) -> DataFrame:
    """The rows with `rejected_because`."""
    return with_duplicates_rejected(with_rejection_reasons(source, rows, known, copied), "rejected_because")


def assert_reasons(source: str, cases: DataFrame, known: DataFrame | None = None) -> None:
    """Each row of the cases is rejected for the reason that it expects; null: usable."""
    assert_values(judged(source, cases, known), F.col("rejected_because"))


def test_a_key_of_nothing_but_white_space_is_missing(table: Table) -> None:
    assert_reasons(
        "users.teachers",
        table("""
        id string          | name string | expected string
        null               | a           | missing_key
        ''                 | b           | missing_key
        '  '               | c           | missing_key
        '\t\t'             | d           | missing_key
        '\u00a0\u3000'     | e           | missing_key
        ' t1'              | f           | null
        t1                 | g           | null
        T1                 | h           | null
    """),
    )


def test_of_copies_the_latest_updated_at_wins_then_the_latest_created_at(table: Table) -> None:
    assert_reasons(
        SESSIONS,
        table("""
        id string             | updated_at timestamp | created_at timestamp | expected string
        by_update             | 2025-09-01 10:00:00  | 2025-09-01 09:00:00  | duplicate_key
        by_update             | 2025-09-01 11:00:00  | 2025-09-01 08:00:00  | null
        null_update_is_first  | null                 | 2025-09-01 12:00:00  | duplicate_key
        null_update_is_first  | 2025-09-01 10:00:00  | 2025-09-01 08:00:00  | null
        by_creation           | 2025-09-01 10:00:00  | 2025-09-01 09:00:00  | null
        by_creation           | 2025-09-01 10:00:00  | 2025-09-01 08:00:00  | duplicate_key
        null_creation_is_first| null                 | null                 | duplicate_key
        null_creation_is_first| null                 | 2025-09-01 08:00:00  | null
        of_three              | 2025-09-01 10:00:00  | 2025-09-01 08:00:00  | duplicate_key
        of_three              | 2025-09-01 12:00:00  | 2025-09-01 08:00:00  | null
        of_three              | 2025-09-01 11:00:00  | 2025-09-01 08:00:00  | duplicate_key
    """),
    )


def test_where_there_is_no_updated_at_the_latest_created_at_wins(table: Table) -> None:
    assert_reasons(
        "operational.api_metrics",
        table("""
        id string | created_at timestamp | timestamp timestamp | expected string
        a         | 2025-09-01 09:00:00  | 2025-09-01 09:00:00 | null
        a         | 2025-09-01 08:00:00  | 2025-09-01 10:00:00 | duplicate_key
        a         | null                 | 2025-09-01 11:00:00 | duplicate_key
    """),
    )


def test_of_equally_new_copies_one_survives_the_same_in_any_order(table: Table) -> None:
    header = "id string | created_at timestamp | status string | updated_at timestamp"
    rows = [
        "a | 2025-09-01 09:00:00 | one   | null",
        "a | 2025-09-01 09:00:00 | two   | null",
        "a | 2025-09-01 09:00:00 | null  | null",
        "b | null                | equal | null",
        "b | null                | equal | null",
    ]
    survivors = [
        sorted(
            (row.id, row.status)
            for row in judged(SESSIONS, table("\n".join([header, *order]))).collect()
            if row.rejected_because is None
        )
        for order in (rows, rows[::-1])
    ]
    assert survivors == [[("a", "one"), ("b", "equal")]] * 2


def test_the_newest_copy_is_the_truth_broken_or_not(table: Table) -> None:
    cases = table("""
        id string | session_id string | event_type string | event_time timestamp | created_at timestamp | expected string
        e1        | s1                | started           | 2025-09-01 09:00:00  | 2025-09-01 09:00:00  | duplicate_key
        e1        | s1                | started           | null                 | 2025-09-01 10:00:00  | missing_time
        e2        | s1                | started           | 2025-09-01 09:00:00  | 2025-09-01 10:00:00  | null
        e2        | s9                | started           | 2025-09-01 09:00:00  | 2025-09-01 09:00:00  | duplicate_key
    """)
    assert_reasons(SESSION_EVENTS, cases, sessions(table))


def test_the_first_reason_that_fits_is_the_reason(table: Table) -> None:
    events = table("""
        id string | session_id string | event_type string | event_time timestamp | created_at timestamp | expected string
        null      | s9                | nonsense          | null                 | null                 | missing_key
        old       | s9                | nonsense          | null                 | 2025-09-01 09:00:00  | duplicate_key
        old       | s1                | started           | 2025-09-01 09:00:00  | 2025-09-01 10:00:00  | null
        timeless  | s9                | nonsense          | null                 | null                 | missing_time
        unknown   | s9                | nonsense          | 2025-09-01 09:00:00  | null                 | unknown_event_type
        orphan    | s9                | started           | 2025-09-01 09:00:00  | null                 | orphan_session
    """)
    assert_reasons(SESSION_EVENTS, events, sessions(table))
    transcriptions = table("""
        id string | session_id string | start_time timestamp | end_time timestamp  | duration_seconds int | expected string
        timeless  | s9                | null                 | 2025-09-01 09:00:00 | -1                   | missing_time
        orphan    | s9                | 2025-09-01 09:00:00  | 2025-09-01 09:00:00 | -1                   | orphan_session
        negative  | s1                | 2025-09-01 09:00:00  | 2025-09-01 09:00:00 | -1                   | negative_duration
    """)
    assert_reasons(TRANSCRIPTIONS, transcriptions, sessions(table))


def test_each_source_needs_the_time_that_places_its_rows_and_its_session(table: Table) -> None:
    expected = table("""
        source string                        | without_time string | without_session string
        sessions.classroom_sessions          | null                | null
        sessions.student_groups              | null                | orphan_session
        sessions.participants                | missing_time        | orphan_session
        sessions.transcriptions              | missing_time        | orphan_session
        analytics.session_events             | missing_time        | orphan_session
        analytics.session_analytics          | null                | orphan_session
        ai_insights.teacher_guidance_metrics | missing_time        | orphan_session
        ai_insights.intervention_suggestions | missing_time        | orphan_session
        ai_insights.analysis_results         | missing_time        | orphan_session
        audio.recordings                     | null                | orphan_session
        operational.api_metrics              | missing_time        | null
        operational.system_events            | missing_time        | null
        users.teachers                       | null                | null
    """)
    placed_by = {
        "sessions.participants": "join_time",
        "sessions.transcriptions": "start_time",
        "analytics.session_events": "event_time",
        "ai_insights.teacher_guidance_metrics": "generated_at",
        "ai_insights.intervention_suggestions": "created_at",
        "ai_insights.analysis_results": "analysis_timestamp",
        "operational.api_metrics": "timestamp",
        "operational.system_events": "created_at",
    }
    rows = table("""
        id string       | session_id string | event_type string | duration_seconds int | end_time timestamp | moment timestamp
        without_time    | s1                | started           | 60                   | null               | null
        without_session | s9                | started           | 60                   | null               | 2025-09-01 09:00:00
    """)
    by_source = [
        judged(
            source, rows.withColumnsRenamed({"moment": placed_by.get(source, "start_time")}), sessions(table)
        ).select(F.lit(source).alias("source"), "id", "rejected_because")
        for source in RULES
    ]
    found: dict[str, dict[str, str | None]] = {source: {} for source in RULES}
    for row in reduce(lambda a, b: a.unionByName(b), by_source).collect():
        found[row.source][row.id] = row.rejected_because
    assert found == {
        row.source: {"without_time": row.without_time, "without_session": row.without_session}
        for row in expected.collect()
    }


def test_an_event_type_is_known_however_it_is_spaced_and_cased(table: Table) -> None:
    cases = table("""
        id string | session_id string | event_time timestamp | event_type string  | expected string
        e1        | s1                | 2025-09-01 09:00:00  | configured         | null
        e2        | s1                | 2025-09-01 09:00:00  | started            | null
        e3        | s1                | 2025-09-01 09:00:00  | leader_ready       | null
        e4        | s1                | 2025-09-01 09:00:00  | member_join        | null
        e5        | s1                | 2025-09-01 09:00:00  | '\tMember_Leave '  | null
        e6        | s1                | 2025-09-01 09:00:00  | ENDED              | null
        e7        | s1                | 2025-09-01 09:00:00  | paused             | unknown_event_type
        e8        | s1                | 2025-09-01 09:00:00  | 'leader ready'     | unknown_event_type
        e9        | s1                | 2025-09-01 09:00:00  | ''                 | unknown_event_type
        e10       | s1                | 2025-09-01 09:00:00  | null               | unknown_event_type
    """)
    assert_reasons(SESSION_EVENTS, cases, sessions(table))


def test_a_reference_to_a_session_is_compared_exactly(table: Table) -> None:
    cases = table("""
        id string | session_id string | expected string
        g1        | s1                | null
        g2        | S1                | orphan_session
        g3        | ' s1'             | orphan_session
        g4        | s2                | orphan_session
        g5        | ' '               | orphan_session
        g6        | null              | orphan_session
    """)
    assert_reasons("sessions.student_groups", cases, sessions(table))


def test_a_source_of_facts_cannot_be_judged_without_its_sessions(table: Table) -> None:
    with pytest.raises(ValueError, match=r"sessions\.student_groups is judged by its sessions"):
        with_rejection_reasons(
            "sessions.student_groups", sessions(table).selectExpr("session_id AS id", "session_id"), None
        )


def test_a_transcription_needs_a_duration_of_at_least_0_final_or_not(table: Table) -> None:
    cases = table("""
        id string | session_id string | is_final boolean | start_time timestamp  | end_time timestamp  | duration_seconds decimal(10,3) | expected string
        t1        | s1                | true             | 2025-09-01 09:00:00   | null                | 5.000                          | null
        t2        | s1                | true             | 2025-09-01 09:00:00   | null                | 0.000                          | null
        t3        | s1                | true             | 2025-09-01 09:00:00   | 2025-09-01 09:00:05 | -0.001                         | negative_duration
        t4        | s1                | false            | 2025-09-01 09:00:00   | 2025-09-01 09:00:05 | -5.000                         | negative_duration
        t5        | s1                | true             | 2025-09-01 09:00:00   | 2025-09-01 08:00:00 | 5.000                          | null
        t6        | s1                | true             | 2025-09-01 09:00:00   | 2025-09-01 09:00:05 | null                           | null
        t7        | s1                | true             | 2025-09-01 09:00:00   | 2025-09-01 09:00:00 | null                           | null
        t8        | s1                | true             | 2025-09-01 09:00:00.5 | 2025-09-01 09:00:00 | null                           | negative_duration
        t9        | s1                | null             | 2025-09-01 09:00:00   | null                | null                           | negative_duration
    """)
    assert_reasons(TRANSCRIPTIONS, cases, sessions(table))


def test_a_value_that_its_contract_does_not_allow_is_a_violation(table: Table) -> None:
    cases = table("""
        rating int | seconds bigint | effect double | phase string | payload string | expected array<string>
        1          | 0              | -1e300        | opening      | {}             | []
        5          | 9999999999     | 0.0           | ' Closure\t' | {"a": 1}       | []
        null       | null           | null          | null         | null           | []
        3          | 1              | 0.5           | ' '          | {}             | []
        0          | 1              | 0.5           | opening      | {}             | ["rating"]
        6          | 1              | 0.5           | opening      | {}             | ["rating"]
        3          | -1             | 0.5           | opening      | {}             | ["seconds"]
        3          | 1              | NaN           | opening      | {}             | ["effect"]
        3          | 1              | -Infinity     | opening      | {}             | ["effect"]
        3          | 1              | 0.5           | middle       | {}             | ["phase"]
        3          | 1              | 0.5           | opening      | []             | ["payload"]
        3          | 1              | 0.5           | opening      | 'null'         | ["payload"]
        3          | 1              | 0.5           | opening      | ''             | ["payload"]
        9          | -1             | Infinity      | middle       | {              | ["rating", "seconds", "effect", "phase", "payload"]
    """)
    rows = alone(cases.withColumn("id", F.to_json("expected")))
    with rules_of(SourceRules(("id",), personal=("payload",))):
        found = classified(SOURCE, rows, ("id",), MEASURES, DIMENSIONS)
        named = found.select(F.col("id"), F.coalesce("violations", F.array().cast("array<string>")).alias("violations"))
        assert_values(named.withColumn("expected", F.from_json("id", "array<string>")), F.col("violations"))


def test_a_usable_row_is_clean(table: Table) -> None:
    rows = table("""
        id string | teacher_id string | rating int | seconds bigint | effect double | phase string | payload string             | rejected_because string
        a         | t1                | 5          | 0              | -1.5          | ' Closure\t' | {"groupId": "g1"}          | null
        b         | ' t1 '            | 6          | -1             | NaN           | middle       | []                         | null
        c         | '\u00a0'          | 0          | null           | Infinity      | ' '          | {"latencyMs": 5}           | null
        d         | t1                | 5          | 0              | -1.5          | closure      | {"groupId": "g1"}          | orphan_session
    """)
    columns = ("id", "teacher_id", "rating", "seconds", "effect", "phase", "group_id", "latency_ms")
    with rules_of(SourceRules(columns, personal=("payload",))):
        found = usable(SOURCE, classified(SOURCE, alone(rows), ("id",), MEASURES, DIMENSIONS))
        assert_rows(
            found,
            table("""
            id string | teacher_id string | rating int | seconds bigint | effect double | phase string | group_id string | latency_ms double
            a         | t1                | 5          | 0              | -1.5          | closure      | g1              | null
            b         | ' t1 '            | null       | null           | null          | null         | null            | null
            c         | null              | null       | null           | null          | null         | null            | 5.0
        """),
        )


def test_findings_are_rejected_rows_without_their_personal_columns_and_usable_rows_with_violations(
    table: Table,
) -> None:
    rows = table("""
        id string | session_id string | rating int | payload string  | rejected_because string
        good      | s1                | 5          | {"name": "Ada"} | null
        broken    | s1                | 6          | Ada             | null
        rejected  | s9                | 6          | Ada             | orphan_session
        null      | s1                | 5          | {"name": "Ada"} | missing_key
    """)
    with rules_of(SourceRules(("id",), personal=("payload",))):
        found = findings(
            classified(SOURCE, alone(rows), ("id", "session_id", "rating"), (Measure("rating", 1, 5),), ())
        )
        assert_rows(
            found,
            table("""
            source string | row_key string | reason string  | row_json string                                  | violations array<string>
            x.y           | null           | null           | null                                             | ["rating", "payload"]
            x.y           | rejected       | orphan_session | {"id":"rejected","session_id":"s9","rating":6}   | null
            x.y           | null           | missing_key    | {"session_id":"s1","rating":5}                   | null
        """),
        )


def test_the_seconds_of_a_transcription_are_its_duration_else_from_its_start_to_its_end(table: Table) -> None:
    cases = table("""
        id string | session_id string | start_time timestamp | end_time timestamp    | duration_seconds decimal(10,3) | confidence_score decimal(5,4) | is_final boolean | expected double
        both      | s1                | 2025-09-01 09:00:00  | 2025-09-01 09:10:00   | 90.500                         | 0.5000                        | true             | 90.5
        times     | s1                | 2025-09-01 09:00:00  | 2025-09-01 09:00:30.5 | null                           | 0.5000                        | true             | 30.5
        neither   | s1                | 2025-09-01 09:00:00  | null                  | null                           | 0.5000                        | true             | null
    """)
    rows = alone(cases)
    wanted = cases.select(F.col("id").alias("case_id"), "expected")
    with rules_of(SourceRules(("id", "seconds"), has_duration=True)):
        found = classified(SOURCE, rows, ("id",), (), ())
        assert_values(found.join(wanted, F.col("id") == F.col("case_id")), F.col("seconds"))


def test_only_keys_that_stand_more_than_once_are_copied_at_most_so_many_of_each_source(table: Table) -> None:
    once, twice = table("id string\na\nb\nnull\nnull"), table("id string\na\na\nb\nb\nb\nc")
    assert duplicate_keys({"x.once": once, "x.twice": twice}, 10).groupBy("source").count().collect() == [
        ("x.twice", 2)
    ]
    assert duplicate_keys({"x.once": once, "x.twice": twice}, 1).count() == 1


@pytest.mark.parametrize("known", ["all of them", "not known", "of other sources"])
def test_copies_are_found_out_however_much_is_known_of_the_keys(table: Table, known: str) -> None:
    cases = table("""
        id string | updated_at timestamp | created_at timestamp | expected string
        a         | 2025-09-01 10:00:00  | 2025-09-01 09:00:00  | duplicate_key
        a         | 2025-09-01 11:00:00  | 2025-09-01 08:00:00  | null
        b         | null                 | null                 | null
        ' '       | null                 | null                 | missing_key
        null      | null                 | null                 | missing_key
    """)
    copied = duplicate_keys({SESSIONS: cases}, 10).select("key_hash")
    others = cases.sparkSession.range(3).withColumnRenamed("id", "key_hash")
    hashes = {"all of them": copied, "not known": None, "of other sources": copied.unionByName(others)}[known]
    assert_values(judged(SESSIONS, cases, None, hashes), F.col("rejected_because"))


def test_of_a_copy_only_what_holds_is_told(table: Table) -> None:
    cases = table("""
        id string | session_id string | created_at timestamp | rating int
        alone     | s1                | 2025-09-01 09:00:00  | 6
        stale     | s1                | 2025-09-01 08:00:00  | 6
        stale     | s1                | 2025-09-01 09:00:00  | 9
        broken    | s1                | 2025-09-01 08:00:00  | 5
        broken    | s9                | 2025-09-01 09:00:00  | 5
    """)
    with rules_of(SourceRules(("id", "rating"), in_session=True)):
        output = deduplicated(
            classified(SOURCE, with_rejection_reasons(SOURCE, cases, sessions(table)), ("rating",), MEASURES[:1], ())
        )
        assert_rows(
            output.select("id", "reason", "row_key", "row_json", "violations"),
            table("""
            id string | reason string  | row_key string | row_json string | violations array<string>
            alone     | null           | null           | null            | ["rating"]
            stale     | duplicate_key  | stale          | {"rating":6}    | null
            stale     | null           | null           | null            | ["rating"]
            broken    | duplicate_key  | broken         | {"rating":5}    | null
            broken    | orphan_session | broken         | {"rating":5}    | null
        """),
        )


def test_the_json_of_a_row_has_all_digits_of_its_times(table: Table) -> None:
    """Equally old copies that differ by a microsecond are told apart by it: else the files' order would decide."""
    cases = table("""
        id string | session_id string | created_at timestamp       | generated_at timestamp
        a         | s1                | 2025-09-01 09:00:00.000001 | 2025-09-01 09:00:00.000001
        a         | s1                | 2025-09-01 09:00:00.000001 | 2025-09-01 09:00:00.000002
    """)
    hashes = cases.select(values_hash(cases.columns).alias("hash"))
    assert hashes.distinct().count() == 2
    with rules_of(SourceRules(("id",))):
        found = deduplicated(
            classified(SOURCE, with_rejection_reasons(SOURCE, cases, None), ("id", "generated_at"), (), ())
        )
        (output,) = found.where("reason IS NOT NULL").select("row_json").collect()
    assert re.fullmatch(r'\{"id":"a","generated_at":"2025-09-01T09:00:00.00000[12]Z"\}', output["row_json"])


@pytest.mark.parametrize("micros", [-(2**63), 2**63 - 1])
def test_a_moment_beyond_the_calendar_breaks_no_sum(table: Table, micros: int) -> None:
    """Such as a column can hold, and neither Python nor a sum of moments."""
    beyond, other = F.timestamp_micros(F.lit(micros)), F.timestamp_micros(F.lit(-micros - 1))

    def usable_of(source: str, rows: DataFrame) -> DataFrame:
        moved = rows.withColumns({name: beyond for name in rows.columns if name in ("actual_start", "start_time")})
        moved = moved.withColumns({name: other for name in rows.columns if name in ("actual_end", "end_time")})
        judged_rows = with_rejection_reasons(source, moved, sessions(table))
        return usable(source, deduplicated(classified(source, judged_rows, moved.columns, [], [])))

    starts = table("""
        id string | school_id string | teacher_id string | engagement_score double | participation_rate double | actual_duration_minutes int | actual_start timestamp | actual_end timestamp
        s1        | school           | teacher           | 1                       | 1                         | 1                           | null                   | null
    """)
    none = table("session_id string | event_type string | event_time timestamp")
    (span,) = (
        session_spans(usable_of(SESSIONS, starts), none, MetricSettings()).select("start", "end").toArrow().to_pylist()
    )
    assert span["start"].year == (1 if micros < 0 else 9999)
    said = table("""
        id string | session_id string | start_time timestamp | end_time timestamp | duration_seconds int | confidence_score double | is_final boolean
        a         | s1                | null                 | null               | null                 | 1                       | true
    """)
    assert usable_of(TRANSCRIPTIONS, said).count() == (1 if micros < 0 else 0)


def test_of_the_personal_columns_only_those_are_read_that_a_metric_needs() -> None:
    personal = {source: columns_read(source, ("id",))[1:] for source in RULES}
    assert {source: names for source, names in personal.items() if names} == {
        "sessions.participants": ("student_id", "anonymous_id"),
        "analytics.session_events": ("payload",),
    }
