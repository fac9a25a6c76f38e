"""Runs that look for what is new: sources that grow and change between them, and what each run makes anew."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.execution import pipeline
from jobs.execution.incremental import source_subset
from jobs.execution.run import Outcome
from jobs.job import Call, Job
from jobs.lake import Lake
from jobs.storage import LocalFolder
from tests.delta_io import read_lake, write_lake, write_table
from tests.lakehouses import (
    DAILY,
    EFFECTIVENESS,
    HOURLY,
    differences,
    long_sources,
    read_baseline,
    rows_of,
    run,
    unlike,
    value_columns,
    version_of,
)
from tests.messy_lakehouse import messy_tables
from tests.oracle import common, prompts, rollups
from transforms.catalog import PROMPTS
from transforms.windows import PeriodWindow

Row = dict[str, Any]
Tables = dict[str, list[Row]]

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=timezone.utc)
"""The start of the first run, after all that happened."""

FIRST, LAST = date(2025, 1, 1), date(2026, 1, 1)


@dataclass(frozen=True)
class Case:
    """A job, its canonical table, and what the oracle makes of the sources' rows."""

    job: Job[Any]
    table: str

    def wanted(self, tables: Tables) -> list[Row]:
        return rollups.wanted(self.job.name, tables, FIRST, LAST)


CASES = {
    "hourly": Case(dashboard_metrics_hourly.JOB, HOURLY),
    "daily": Case(teacher_analytics_summary.JOB, DAILY),
    "prompts": Case(teacher_prompt_effectiveness.JOB, EFFECTIVENESS),
}


def mismatches(case: Case, lakehouse: Path, tables: Tables, but_for: tuple[str, ...] = ()) -> list[str]:
    """Where the canonical table differs from what the oracle makes of the sources, in all columns but these."""
    return unlike(case.table, rows_of(lakehouse, case.table), case.wanted(tables), but_for)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_sources_that_arrive_in_two_halves_make_the_rows_of_all(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """Half of the rows first, at random: facts without their session, sessions without their end, copies of a key."""
    case, dice = CASES[name], random.Random(11)
    whole = messy_tables(6, sessions=60)
    late = {table: [dice.random() < 0.5 for _ in rows] for table, rows in whole.items()}
    halves = [
        {
            table: [row for row, is_late in zip(rows, late[table], strict=True) if is_late == half]
            for table, rows in whole.items()
        }
        for half in (False, True)
    ]
    write_lake(tmp_path, halves[0], with_feed=name != "prompts")  # whose run compares versions instead
    run(spark, tmp_path, case.job, run_start=NOW)
    assert mismatches(case, tmp_path, halves[0]) == []
    for table, rows in halves[1].items():
        write_table(tmp_path, table, rows, mode="append")
    run(spark, tmp_path, case.job, run_start=NOW + timedelta(minutes=1))
    # A late recording makes its own hour anew; the storage of the hours after it is not restated.
    assert mismatches(case, tmp_path, whole, but_for=("total_storage_gb",)) == []


@pytest.fixture(scope="module")
def incremental(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row], Outcome]:
    """A lakehouse after its first run by day, one late prompt, and a second run."""
    lakehouse, tables = tmp_path_factory.mktemp("the pupils' school"), messy_tables(7, sessions=60)
    write_lake(lakehouse, tables, with_feed=True)
    run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=NOW, period="day")
    before = rows_of(lakehouse, EFFECTIVENESS)
    session = tables["sessions.classroom_sessions"][0]["id"]
    late = {"id": "late", "session_id": session, "generated_at": datetime(2025, 10, 29, 12, tzinfo=timezone.utc)}
    write_table(lakehouse, PROMPTS, [late], mode="append")
    return lakehouse, before, run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=NOW, period="day")


def test_one_late_row_makes_a_run_compute_only_what_its_session_touches(
    incremental: tuple[Path, list[Row], Outcome],
) -> None:
    lakehouse, before, outcome = incremental
    changes = outcome.changes[EFFECTIVENESS]
    assert (changes.new + changes.changed, changes.gone) == (1, 0)
    assert 1 <= changes.rows < len(before) / 2
    (record,) = (row for row in rows_of(lakehouse, "quality.runs") if row["run_id"] == outcome.run.run_id)
    assert json.loads(record["target_versions"]) == {EFFECTIVENESS: version_of(lakehouse, EFFECTIVENESS)}
    now = {table: rows for table, rows in read_lake(lakehouse).items() if not table.startswith("quality.")}
    assert (
        differences(
            rows_of(lakehouse, EFFECTIVENESS), prompts.rows(now, FIRST, LAST, "day"), value_columns(EFFECTIVENESS)
        )
        == []
    )


def test_where_nothing_is_new_nothing_is_computed(
    spark: SparkSession, incremental: tuple[Path, list[Row], Outcome]
) -> None:
    lakehouse, _, _ = incremental
    version = version_of(lakehouse, EFFECTIVENESS)
    outcome = run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=NOW, period="day")
    assert outcome.changes[EFFECTIVENESS].rows == 0
    assert outcome.is_unchanged
    assert version_of(lakehouse, EFFECTIVENESS) == version
    (logged,) = [row for row in rows_of(lakehouse, "quality.runs") if row["run_id"] == outcome.run.run_id]
    assert (logged["status"], logged["rows_new"], logged["rows_unchanged"]) == ("succeeded", 0, 0)
    assert logged["window_start"] == logged["window_end"] == outcome.run.run_start


def test_what_touches_nothing_is_quarantined_and_followed(
    spark: SparkSession, incremental: tuple[Path, list[Row], Outcome]
) -> None:
    """Else its source's versions must be kept until something changes a row: in holidays that may take long."""
    lakehouse, lake = incremental[0], Lake(spark, LocalFolder(incremental[0]))
    rollup = teacher_prompt_effectiveness.JOB.rollup_of(Call(lakehouse=lakehouse, period="day"))
    version = version_of(lakehouse, EFFECTIVENESS)
    without_key = {"generated_at": datetime(2030, 1, 1, tzinfo=timezone.utc)}
    write_table(lakehouse, PROMPTS, [without_key], mode="append")
    outcome = run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=NOW, period="day")
    assert (outcome.window, version_of(lakehouse, EFFECTIVENESS)) == (None, version)
    (row,) = [row for row in rows_of(lakehouse, "quality.quarantine") if "2030-01-01" in row["row_json"]]
    assert (row["reason"], row["last_run_id"]) == ("missing_key", outcome.run.run_id)
    baseline = read_baseline(lake, rollup)
    assert baseline is not None
    assert baseline.watermark.versions[PROMPTS] == version_of(lakehouse, PROMPTS)


@pytest.mark.long
def test_what_a_run_over_a_window_published_and_the_sources_took_back_is_taken_back(
    spark: SparkSession, incremental: tuple[Path, list[Row], Outcome]
) -> None:
    """The prompt is on that day neither by the sources that the last incremental run read nor by those of now."""
    lakehouse, lake, day = (
        incremental[0],
        Lake(spark, LocalFolder(incremental[0])),
        datetime(2025, 12, 5, tzinfo=timezone.utc),
    )
    (late,) = [row for row in read_lake(lakehouse)[PROMPTS] if row["id"] == "late"]
    write_table(lakehouse, PROMPTS, [{**late, "id": "moves", "generated_at": day}], mode="append")
    run(spark, lakehouse, teacher_prompt_effectiveness.JOB, "2025-12-05", "2025-12-06", period="day", run_start=NOW)
    assert day in {row["calculation_period_start"] for row in rows_of(lakehouse, EFFECTIVENESS)}
    lake.register([PROMPTS])
    spark.sql(f"UPDATE {PROMPTS} SET generated_at = '{late['generated_at'].isoformat()}' WHERE id = 'moves'")
    run(spark, lakehouse, teacher_prompt_effectiveness.JOB, period="day", run_start=NOW)
    assert day not in {row["calculation_period_start"] for row in rows_of(lakehouse, EFFECTIVENESS)}


def test_each_period_length_has_its_own_watermark(
    spark: SparkSession, incremental: tuple[Path, list[Row], Outcome]
) -> None:
    """The first run by week covers all history, although the runs by day have followed the sources to their end."""
    lakehouse, _, _ = incremental
    days = rows_of(lakehouse, EFFECTIVENESS)
    run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=NOW, period="week")
    kept = {row["id"] for row in days}
    weeks = [row for row in rows_of(lakehouse, EFFECTIVENESS) if row["id"] not in kept]
    assert len(weeks) > 20
    assert sum(row["total_generated"] for row in weeks) == sum(row["total_generated"] for row in days)


@pytest.fixture(scope="module")
def purged(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome, list[Row], list[Row], Outcome]:
    """Sessions of five months, each with a prompt without a key, too.

    Then the first is purged, the second archived and its prompts purged, and the last grows.
    """
    lakehouse = tmp_path_factory.mktemp("purged")
    first_days = [datetime(2025, month, 1, 9, tzinfo=timezone.utc) for month in (1, 3, 5, 7, 9)]
    sessions = [{"id": f"s{n}", "school_id": "school-a"} for n in range(5)]
    prompts_of = [
        {"id": key, "session_id": f"s{n}", "generated_at": moment, "created_at": moment}
        for n, moment in enumerate(first_days)
        for key in (f"p{n}", None)
    ]
    stale = {**sessions[3], "created_at": first_days[0]}
    tables: Tables = {"sessions.transcriptions": [], "analytics.session_events": [], PROMPTS: prompts_of}
    tables["sessions.classroom_sessions"] = [*sessions, stale]
    write_lake(lakehouse, tables, with_feed=True)
    first = run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=NOW, period="day")
    before = rows_of(lakehouse, EFFECTIVENESS)
    for statement in (
        f"DELETE FROM {PROMPTS} WHERE session_id = 's0' OR id = 'p1'",
        "UPDATE sessions.classroom_sessions SET status = 'archived', updated_at = '2025-12-01' WHERE id = 's1'",
        "DELETE FROM sessions.classroom_sessions WHERE id = 's0' OR id = 's3' AND created_at IS NOT NULL",
    ):
        spark.sql(statement)
    new = {"id": "new", "session_id": "s4", "generated_at": first_days[4] + timedelta(days=1)}
    write_table(lakehouse, PROMPTS, [new], mode="append")
    with long_sources():
        later = NOW + timedelta(minutes=1)
        second = run(spark, lakehouse, teacher_prompt_effectiveness.JOB, run_start=later, period="day")
    return lakehouse, first, before, rows_of(lakehouse, EFFECTIVENESS), second


def test_a_purge_rewrites_nothing_that_is_published(
    purged: tuple[Path, Outcome, list[Row], list[Row], Outcome],
) -> None:
    _, _, before, after, second = purged
    assert second.changes[EFFECTIVENESS].gone == 0
    kept = {row["id"] for row in after}
    assert {row["id"] for row in before} < kept
    assert len(kept) == len(before) + 1


def test_rows_without_a_key_bring_no_session_along(
    purged: tuple[Path, Outcome, list[Row], list[Row], Outcome],
) -> None:
    assert purged[4].window == PeriodWindow.of([datetime(2025, 9, day, tzinfo=timezone.utc) for day in (1, 2)], "day")


def test_what_was_purged_is_resolved(purged: tuple[Path, Outcome, list[Row], list[Row], Outcome]) -> None:
    lakehouse, first, _, _, second = purged
    found = Counter(
        (row["source_table"], row["reason"], row["resolved_run_id"]) for row in rows_of(lakehouse, "quality.quarantine")
    )
    prompts_table, run_id = f"classwaves.{PROMPTS}", second.run.run_id
    assert found == {
        (prompts_table, "missing_key", None): 4,
        (prompts_table, "missing_key", run_id): 1,
        ("classwaves.sessions.classroom_sessions", "duplicate_key", run_id): 1,
    }
    assert first.run.run_id != run_id


def late_changes(spark: SparkSession, lakehouse: Path, tables: Tables) -> None:
    """Everything that can happen to a source between two runs, to a few of its rows."""
    good = common.usable(tables)
    sessions = [row["id"] for row in good["sessions.classroom_sessions"]]
    spoken, prompt = good["sessions.transcriptions"][0], good[PROMPTS][0]
    elsewhere = next(name for name in reversed(sessions) if name != spoken["session_id"])
    waited_for = {row["session_id"] for row in tables["analytics.session_events"]} - set(sessions) - {None}
    moment, late = good["sessions.transcriptions"][1]["start_time"], datetime(2025, 12, 24, tzinfo=timezone.utc)
    appended: Tables = {
        "sessions.classroom_sessions": [{"id": name, "school_id": "school-b"} for name in waited_for if name.strip()],
        "analytics.session_events": [
            {"id": "late-end", "session_id": sessions[2], "event_type": "ended", "event_time": moment},
            {"id": " ", "session_id": sessions[3], "event_type": "ended", "event_time": moment},
            {"id": "unheard-of", "session_id": sessions[3], "event_type": "paused", "event_time": moment},
        ],
        # A newer copy in another session, and one that is newer and broken.
        "sessions.transcriptions": [{**spoken, "session_id": elsewhere, "created_at": late}],
        PROMPTS: [
            {**prompt, "generated_at": None, "created_at": late, "updated_at": late},
            {"id": "late", "session_id": sessions[5], "generated_at": moment},
        ],
    }
    for table, rows in appended.items():
        write_table(lakehouse, table, rows, mode="append")
    copies = Counter(row["id"] for row in tables["analytics.session_events"] if (row["id"] or "").strip())
    copied = next(key for key, count in copies.items() if count > 1)
    oldest = min(
        (row for row in tables["analytics.session_events"] if row["id"] == copied and row["created_at"]),
        key=lambda row: row["created_at"],
    )
    lake = Lake(spark, LocalFolder(lakehouse))
    changed = ("sessions.student_groups", "sessions.participants", "users.teachers", "analytics.session_events")
    lake.register(changed)
    group, joined, teacher = (good[table][0]["id"] for table in changed[:3])
    for statement in (
        f"UPDATE sessions.student_groups SET collaboration_score = 1 WHERE id = '{group}'",
        f"UPDATE sessions.participants SET session_id = '{elsewhere}' WHERE id = '{joined}'",
        f"UPDATE users.teachers SET timezone = 'Asia/Tokyo' WHERE id = '{teacher}'",
        f"DELETE FROM analytics.session_events WHERE id = '{copied}' AND created_at = '{oldest['created_at']}'",
    ):
        spark.sql(statement)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_of_long_sources_what_is_near_makes_the_rows_of_all(
    spark: SparkSession, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, tables = CASES[name], messy_tables(8, sessions=80)
    write_lake(tmp_path, tables, with_feed=True)
    run(spark, tmp_path, case.job, run_start=NOW)
    late_changes(spark, tmp_path, tables)
    found: list[int] = []

    def rows_for_window(*arguments: Any) -> source_subset.SourceSubset | None:
        near = source_subset.rows_for_window(*arguments)
        assert near is not None
        found.append(near.rows[PROMPTS].count())
        return near

    monkeypatch.setattr(pipeline, "rows_for_window", rows_for_window)
    with long_sources():
        run(spark, tmp_path, case.job, run_start=NOW + timedelta(minutes=1))
    now = {table: rows for table, rows in read_lake(tmp_path).items() if table in tables}
    assert 0 < found[0] < len(now[PROMPTS])
    assert mismatches(case, tmp_path, now, but_for=("total_storage_gb",)) == []
    is_read = case.job.default_rollup.sources
    still_open = Counter(
        (row["source_table"].removeprefix("classwaves."), row["reason"])
        for row in rows_of(tmp_path, "quality.quarantine")
        if row["resolved_at"] is None
    )
    assert still_open == {
        (source, reason): count
        for source, reasons in common.rejected(now).items()
        if source in is_read
        for reason, count in reasons.items()
        if count
    }
