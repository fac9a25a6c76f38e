"""What is listed for a value is what it was made of: no row less gives it, and for counts none more."""

from __future__ import annotations

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import dashboard_metrics_hourly, teacher_analytics_summary, teacher_prompt_effectiveness
from jobs.commands import cli
from jobs.explain.explanation import Explanation, Listed, same
from tests.delta_io import write_lake, write_table
from tests.explain.published import DAYS, HOURS, PERIODS, RUN_START, Oracle, Published, spark_row, value_of
from tests.lakehouses import HOURLY, rows_of, run, version_of
from tests.messy_lakehouse import messy_tables
from transforms.evidence.parts import COUNTS
from transforms.table_diff import AUDIT_COLUMNS

COUNTED = {
    HOURS: (
        "sessions_active",
        "sessions_completed",
        "total_groups",
        "ready_groups",
        "total_errors",
        "total_alerts",
        "total_prompts_generated",
        "total_prompts_used",
        "total_interventions",
        "ai_analyses_completed",
        "data_sources_count",
    ),
    DAYS: (
        "total_sessions",
        "total_prompts_shown",
        "total_prompts_used",
        "total_prompts_dismissed",
        "total_interventions",
        "total_alerts_generated",
        "total_leader_ready_events",
        "data_points_included",
    ),
    PERIODS: ("total_generated", "total_acknowledged", "total_used", "total_dismissed", "data_points"),
}
"""Columns of which each counting row counts one."""


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("explain") / "lake"
    tables = messy_tables(3, 140)  # of a seed whose rows the gate lets pass
    write_lake(folder, tables)
    for job in (dashboard_metrics_hourly.JOB, teacher_analytics_summary.JOB, teacher_prompt_effectiveness.JOB):
        run(spark, folder, job, run_start=RUN_START)
    return Published(folder, tables)


def unlike(explanation: Explanation, oracle: Oracle) -> list[str]:
    """The columns whose listed rows do not give what is published."""
    found = []
    for column in explanation.contract.column_names:
        if column in AUDIT_COLUMNS:
            continue
        row = oracle.row(explanation.listed_for(column))
        if row is not None and column not in row:
            continue  # a metric beyond the dictionary, which the oracle does not know, has its own test
        again = value_of(explanation, column, row)
        if not same(explanation.values[column], again):
            found.append(f"{explanation.subject.key} {column}: {again!r} is not {explanation.values[column]!r}")
    return found


def needless(explanation: Explanation, oracle: Oracle, columns: tuple[str, ...]) -> list[str]:
    """Rows that count for one of these columns without changing it."""
    found = []
    for column in columns:
        if column not in explanation.contract.column_names:
            continue
        listed = explanation.listed_for(column)
        counting = [row for row in listed if row.role == COUNTS]
        if len(counting) != explanation.values[column]:
            found.append(f"{explanation.subject.key} {column}: {len(counting)} rows, not {explanation.values[column]}")
        for gone in counting[:2]:
            rest: list[Listed] = [row for row in listed if (row.source, row.id) != (gone.source, gone.id)]
            if same(value_of(explanation, column, oracle.row(rest)), explanation.values[column]):
                found.append(f"{explanation.subject.key} {column}: it is the same without {gone.source} {gone.id}")
    return found


def check(spark: SparkSession, published: Published, name: str, seed: int, number: int) -> None:
    subjects = published.subjects(name)
    mismatches: list[str] = []
    for subject in random.Random(seed).sample(subjects, min(number, len(subjects))):
        oracle = Oracle(published.tables, subject)
        for explanation in published.explained(spark, name, subject):
            mismatches += explanation.notes
            mismatches += unlike(explanation, oracle) + needless(explanation, oracle, COUNTED[name])
    assert mismatches == [], "\n".join(mismatches[:30])


@pytest.mark.parametrize("name", [HOURS, DAYS, PERIODS])
def test_listed_rows_give_every_column(spark: SparkSession, published: Published, name: str) -> None:
    check(spark, published, name, 1, 1)


@pytest.mark.long
@pytest.mark.parametrize("name", [HOURS, DAYS, PERIODS])
def test_listed_rows_give_every_column_of_many_rows(spark: SparkSession, published: Published, name: str) -> None:
    check(spark, published, name, 2, 40)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        pytest.param(HOURS, ("data_sources_count", "avg_session_quality"), marks=pytest.mark.long),
        pytest.param(DAYS, ("vs_peer_average",), marks=pytest.mark.long),
        (PERIODS, ("avg_effectiveness_score",)),
    ],
)
def test_the_rollup_itself_makes_the_value_of_the_listed_rows(
    spark: SparkSession, published: Published, name: str, columns: tuple[str, ...]
) -> None:
    subject = random.Random(4).choice(published.subjects(name, having=columns[0]))
    compared = 0
    for explanation in published.explained(spark, name, subject):
        for column in columns:
            if column in explanation.contract.column_names and (listed := explanation.listed_for(column)):
                row = spark_row(spark, published.folder, subject, listed)
                assert same(value_of(explanation, column, row), explanation.values[column])
                compared += 1
    assert compared > 0


def called(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr("sys.argv", ["classwaves", "explain", *arguments])
    cli.main()
    return capsys.readouterr().out


def test_a_changed_number_is_told_with_its_past(
    spark: SparkSession, published: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Last of those that need the lakehouse as it was: it adds source rows. A copy of it would cost half a minute."""
    folder = published.folder
    rows = [row for row in rows_of(folder, HOURLY) if row["school_id"] == "school-a"]
    before = max(rows, key=lambda row: row["metric_hour"])
    school, hour = "school-a", before["metric_hour"]
    key = [school, f"{hour:%Y-%m-%dT%H:%MZ}"]
    event = {"school_id": school, "severity": "error", "message": "Private words", "user_id": "student-7"}
    events = [
        {"id": "event-late", "created_at": hour + timedelta(minutes=5), **event},
        {"id": "event-copy", "created_at": hour, "event_type": "older", **event},
        {"id": "event-copy", "created_at": hour + timedelta(minutes=1), **event},
    ]
    write_table(folder, "operational.system_events", events, mode="append")
    later = RUN_START + timedelta(hours=1)
    end = hour + timedelta(hours=1)
    outcome = run(spark, folder, dashboard_metrics_hourly.JOB, str(hour), str(end), run_start=later)
    place = ["--lakehouse", str(folder)]
    text = called(["dashboard_metrics_hourly", *key, "total_errors", *place], monkeypatch, capsys)
    after = before["total_errors"] + 2
    assert f"total_errors = {after}" in text
    assert "severity error or critical" in text
    assert "unit: count" in text
    assert f"run {outcome.run.run_id}, commit {version_of(folder, HOURLY)}" in text
    assert "operational.system_events event-late" in text
    assert f"Before that\n  {before['total_errors']}  run dashboard_metrics_hourly-20260101T123000Z" in text
    assert f"Reproduced: the sources, read again, give {after}." in text
    assert "operational.system_events event-copy" in text.split("Rejected nearby: ")[1]
    assert "!" not in text

    answer = json.loads(called(["dashboard_metrics_hourly", *key, "--json", *place], monkeypatch, capsys))
    assert [table["table"] for table in answer] == [HOURLY, "users.dashboard_metrics_hourly"]
    assert answer[0]["columns"]["total_errors"]["value"] == after
    assert [change["value"] for change in answer[0]["columns"]["total_errors"]["changes"]] == [
        after,
        before["total_errors"],
    ]
    for secret in ("Private words", "student-", "anon-", "some words", "Pupil", "example.org"):
        assert secret not in json.dumps(answer) + text


@pytest.mark.long
def test_a_source_that_is_no_longer_there_is_told(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(published.folder, tmp_path / "lake"))
    shutil.rmtree(folder / "operational" / "system_events")
    row = max((row for row in rows_of(folder, HOURLY) if row["total_errors"]), key=lambda row: row["total_errors"])
    key = [row["school_id"], f"{row['metric_hour']:%Y-%m-%dT%H:%MZ}"]
    text = called([HOURLY, *key, "total_errors", "--lakehouse", str(folder)], monkeypatch, capsys)
    assert "! The sources as that run read them are no longer there: what follows is what they give now." in text
    assert "! NOT REPRODUCED: " in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["dashboard_metric_hourly", "school-a", "2025-11-01"],
            "There is no rollup or table of one named ",
        ),
        ([HOURLY, "school-a", "2025-11-01", "total_eror"], "There is no column of analytics.dashboard_metrics_hourly"),
        ([HOURLY, "school-a"], "The key of dashboard_metrics_hourly is school_id metric_hour: 1 of its 2 parts"),
        ([HOURLY, "school-a", "noon"], "metric_hour is not an ISO 8601 date or time: 'noon'."),
        ([HOURLY, "-", "2025-11-01"], "school_id is never missing in dashboard_metrics_hourly"),
        ([PERIODS, "-", "-", "-", "-", "2025-11-04", "week"], "From 2025-11-04 to week is no day, week or month"),
        (
            [HOURLY, "school-z", "1999-01-01T00:20Z"],
            f"{HOURLY} has no row school-z 1999-01-01T00:00:00Z; the nearest are: ",
        ),
    ],
)
def test_a_wrong_key_ends_with_2_and_suggests(
    published: Published,
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["classwaves", "explain", *arguments, "--lakehouse", str(published.folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(sentence)
