"""`classwaves workspace check`: what differs between a workspace and what we declare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expectations.contract import contract_of
from tests.workspace.conftest import OWN_BUNDLE, Call, deployed_jobs
from tests.workspace.server import RefusedError, Workspace

HOURLY = "analytics.dashboard_metrics_hourly"
DAILY = "analytics.teacher_analytics_summary"
SESSIONS = "sessions.classroom_sessions"
TABLES_ALIKE = "The tables differ from their contracts nowhere"
ALIKE = f"{TABLES_ALIKE}, the jobs from the bundle nowhere."

Json = dict[str, Any]


def column(table: Json, name: str) -> Json:
    found: Json = next(column for column in table["columns"] if column["name"] == name)
    return found


def test_a_workspace_as_contracts_and_bundle_say_has_no_differences(workspace: Workspace, call: Call) -> None:
    answer = call("check", "--catalog", "classwaves")
    assert (answer.status, answer.out) == (0, "")
    assert answer.sentence == ALIKE


def test_tables_that_may_only_be_browsed_are_compared(workspace: Workspace, call: Call) -> None:
    workspace.browse_only = set(workspace.tables)
    assert call("check", "--catalog", "classwaves").sentence == ALIKE


def test_the_projects_own_bundle_as_it_is_deployed_has_no_differences(workspace: Workspace, call: Call) -> None:
    workspace.jobs = deployed_jobs(OWN_BUNDLE)
    assert len(workspace.jobs) == 4
    assert call("check", bundle=OWN_BUNDLE).sentence == ALIKE
    next(iter(workspace.jobs.values()))["settings"]["timeout_seconds"] = 1
    assert call("check", bundle=OWN_BUNDLE).sentence == f"{TABLES_ALIKE}, the jobs from the bundle in 1 place."


TABLE_CHANGES: dict[str, tuple[str, Callable[[Json], object], list[str]]] = {
    "a column is gone": (
        HOURLY,
        lambda table: table["columns"].remove(column(table, "error_rate")),
        [f"{HOURLY}.error_rate", "column", "present", "absent"],
    ),
    "a column is foreign": (
        HOURLY,
        lambda table: table["columns"].append({"name": "note", "type_text": "string"}),
        [f"{HOURLY}.note", "column", "absent", "present"],
    ),
    "a column has another type": (
        HOURLY,
        lambda table: column(table, "total_errors").update(type_text="bigint"),
        [f"{HOURLY}.total_errors", "type", "int", "bigint"],
    ),
    "a column may not be null": (
        HOURLY,
        lambda table: column(table, "error_rate").update(nullable=False),
        [f"{HOURLY}.error_rate", "nullability", "nullable", "not null"],
    ),
    "a column has another comment": (
        HOURLY,
        lambda table: column(table, "school_id").update(comment="School."),
        [f"{HOURLY}.school_id", "comment", "School to which the row's facts belong.", "School."],
    ),
    "a table has no comment": (
        "quality.runs",
        lambda table: table.pop("comment"),
        ["quality.runs", "comment", " ".join(contract_of("quality.runs").description.split()), ""],
    ),
    "a table is clustered by another column": (
        DAILY,
        lambda table: table["properties"].update(clusteringColumns='[["teacher_id"],["summary_date"]]'),
        [DAILY, "clustering", "summary_date", "teacher_id, summary_date"],
    ),
    "a table is not clustered": (
        DAILY,
        lambda table: table["properties"].pop("clusteringColumns"),
        [DAILY, "clustering", "summary_date", ""],
    ),
    "a table has no feed": (
        DAILY,
        lambda table: table["properties"].pop("delta.enableChangeDataFeed"),
        [DAILY, "delta.enableChangeDataFeed", "true", ""],
    ),
    "a source has another type": (
        SESSIONS,
        lambda table: column(table, "actual_start").update(type_text="string"),
        [f"{SESSIONS}.actual_start", "type", "timestamp", "string"],
    ),
    "a source lacks a column": (
        SESSIONS,
        lambda table: table["columns"].remove(column(table, "actual_start")),
        [f"{SESSIONS}.actual_start", "column", "present", "absent"],
    ),
}


@pytest.mark.parametrize("name", TABLE_CHANGES)
def test_each_difference_of_a_table_is_told_and_is_exit_status_4(workspace: Workspace, call: Call, name: str) -> None:
    table, change, row = TABLE_CHANGES[name]
    change(workspace.tables[f"classwaves.{table}"])
    answer = call("check")
    assert answer.status == 4
    assert answer.sentence == "The tables differ from their contracts in 1 place, the jobs from the bundle nowhere."
    output = answer.rows
    assert ["".join(row[i] for row in output).replace(" ", "") for i in range(4)] == [c.replace(" ", "") for c in row]


def test_what_a_source_has_beyond_its_contract_is_let_be(workspace: Workspace, call: Call) -> None:
    table = workspace.tables[f"classwaves.{SESSIONS}"]
    table["columns"].append({"name": "note", "type_text": "string"})
    table["comment"], table["properties"] = "Theirs.", {}
    column(table, "actual_start").update(comment="Theirs.", nullable=False)
    assert call("check").status == 0


def test_absent_tables_are_told_unless_they_are_sources_that_count_as_empty(workspace: Workspace, call: Call) -> None:
    for table in ("quality.quarantine", SESSIONS, "operational.api_metrics", "operational.system_events"):
        del workspace.tables[f"classwaves.{table}"]
    answer = call("check")
    assert answer.status == 4
    assert [row[:2] for row in answer.rows] == [["quality.quarantine", "table"], [SESSIONS, "table"]]
    assert "operational.api_metrics" in answer.err


def test_tables_are_listed_page_by_page(workspace: Workspace, call: Call) -> None:
    workspace.page = 1
    assert call("check").status == 0
    tokens = [
        query["page_token"] for _, path, query in workspace.requests if "page_token" in query and "tables" in path
    ]
    assert "1" in tokens


def test_a_type_is_the_same_however_the_catalog_writes_it(workspace: Workspace, call: Call) -> None:
    for table in workspace.tables.values():
        for there in table["columns"]:
            there["type_text"] = {"bigint": "LONG", "int": "integer"}.get(
                there["type_text"], there["type_text"].replace(",", ", ")
            )
    assert call("check").status == 0


JOB_CHANGES: dict[str, tuple[Callable[[Json], object], list[str]]] = {
    "schedule": (
        lambda job: job["schedule"].update(quartz_cron_expression="0 0 * * * ?"),
        ["schedule.quartz_cron_expression", "0 5 * * * ?", "0 0 * * * ?"],
    ),
    "no schedule": (lambda job: job.pop("schedule"), ["schedule.quartz_cron_expression", "0 5 * * * ?", "absent"]),
    "concurrency": (lambda job: job.update(max_concurrent_runs=2), ["max_concurrent_runs", "1", "2"]),
    "queue": (lambda job: job.update(queue={"enabled": False}), ["queue.enabled", "true", "false"]),
    "timeout": (lambda job: job.pop("timeout_seconds"), ["timeout_seconds", "10800", "absent"]),
    "parameter": (lambda job: job["parameters"][1].update(default="x"), ["parameters.start.default", "", "x"]),
    "lost parameter": (lambda job: job["parameters"].pop(), ["parameters.start", "present", "absent"]),
    "foreign task": (
        lambda job: job["tasks"].append({"task_key": "extra"}),
        ["tasks.extra", "absent", "present"],
    ),
    "entry point": (
        lambda job: job["tasks"][0]["python_wheel_task"].update(entry_point="old"),
        ["tasks.dashboard_metrics_hourly.python_wheel_task.entry_point", "dashboard_metrics_hourly", "old"],
    ),
}


@pytest.mark.parametrize("name", JOB_CHANGES)
def test_each_difference_of_a_job_is_told(workspace: Workspace, call: Call, name: str) -> None:
    change, row = JOB_CHANGES[name]
    hourly = next(job["settings"] for job in workspace.jobs.values() if job["settings"]["name"] == "classwaves hourly")
    change(hourly)
    answer = call("check")
    assert answer.status == 0
    assert ["classwaves hourly", *row] in answer.rows
    assert answer.sentence.startswith(f"{TABLES_ALIKE}, the jobs from the bundle in ")


def test_a_zero_that_the_workspace_does_not_tell_is_no_difference(workspace: Workspace, call: Call) -> None:
    del workspace.jobs[102]["settings"]["tasks"][0]["max_retries"]
    assert call("check").sentence == ALIKE


def test_a_loop_is_compared_to_its_inner_task_and_a_foreign_schedule_is_told(workspace: Workspace, call: Call) -> None:
    settings = workspace.jobs[101]["settings"]
    assert settings["name"] == "classwaves backfill"
    settings["tasks"][0]["for_each_task"]["task"]["python_wheel_task"]["entry_point"] = "old"
    settings["schedule"] = {"quartz_cron_expression": "0 0 * * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
    output = [row[1:] for row in call("check").rows]
    assert ["tasks.chunks.for_each_task.task.python_wheel_task.entry_point", "backfill_chunk", "old"] in output
    assert ["schedule", "absent", "present"] in output


def test_a_paused_schedule_is_listed_and_is_no_difference(workspace: Workspace, call: Call) -> None:
    workspace.jobs[102]["settings"]["schedule"]["pause_status"] = "PAUSED"
    answer = call("check")
    assert answer.rows == [["classwaves hourly", "schedule", "", "paused"]]
    assert answer.sentence == ALIKE


def test_differences_are_told_to_programs(workspace: Workspace, call: Call) -> None:
    name = next(iter(workspace.tables))
    del workspace.tables[name]
    output = json.loads(call("check", "--json").out)
    place = name.removeprefix("classwaves.")
    assert output == [{"place": place, "what": "table", "declared": "present", "found": "absent"}]


def test_a_job_that_is_not_there_is_told(workspace: Workspace, call: Call) -> None:
    del workspace.jobs[102]
    assert call("check").rows == [["classwaves hourly", "job", "present", "absent"]]


def test_a_developers_own_jobs_are_found_behind_other_jobs(workspace: Workspace, call: Call) -> None:
    theirs = {
        number: {"job_id": number, "settings": {"name": f"job {number}", "tasks": [{"task_key": "x"}]}}
        for number in range(1, 9)
    }
    mine = dict(workspace.jobs)
    johns = {
        number + 100: job | {"job_id": number + 100, "creator_user_name": "john@example.org"}
        for number, job in mine.items()
    }
    for who, jobs in (("jane", mine), ("john", johns)):
        for job in jobs.values():
            job["settings"] = job["settings"] | {"name": f"[dev {who}] {job['settings']['name']}"}
    workspace.jobs = theirs | mine | johns
    assert call("check").sentence == ALIKE
    assert "3" in [query.get("page_token") for _, path, query in workspace.requests if path == "/api/2.2/jobs/list"]
    workspace.user = "joan@example.org"
    answer = call("check")
    assert answer.status == 2
    assert answer.sentence.startswith("The workspace has 2 jobs classwaves backfill (101, 201): say which")


def test_a_target_chooses_among_jobs_of_one_name(workspace: Workspace, call: Call) -> None:
    for number, job in list(workspace.jobs.items()):
        staged = job["settings"] | {"tags": {"target": "staging"}, "max_concurrent_runs": 2}
        workspace.jobs[number + 100] = job | {"job_id": number + 100, "settings": staged}
    assert call("check").status == 2
    assert call("check", "--target", "prod").sentence == ALIKE
    assert call("check", "--target", "staging").sentence == f"{TABLES_ALIKE}, the jobs from the bundle in 2 places."


@pytest.mark.parametrize(("status", "code"), [(429, "RESOURCE_EXHAUSTED"), (503, "TEMPORARILY_UNAVAILABLE")])
def test_a_workspace_that_asks_to_wait_is_asked_again(workspace: Workspace, call: Call, status: int, code: str) -> None:
    path = "/api/2.1/unity-catalog/tables"
    workspace.refusals = [(path, RefusedError(status, code, "Later.", {"Retry-After": "0"}))] * 2
    assert call("check").status == 0
    assert workspace.refusals == []


def test_what_the_workspace_denies_is_one_sentence(workspace: Workspace, call: Call) -> None:
    denied = RefusedError(403, "PERMISSION_DENIED", "User does not have USE SCHEMA on Schema 'classwaves.quality'.")
    workspace.refusals = [("/api/2.1/unity-catalog/tables", denied)]
    answer = call("check")
    assert answer.status == 1
    assert answer.sentence == (
        "The workspace denies permission: User does not have USE SCHEMA on Schema 'classwaves.quality'."
    )
    assert "Traceback" not in answer.err


def test_a_catalog_that_is_not_there_is_a_wrong_call(workspace: Workspace, call: Call) -> None:
    answer = call("check", "--catalog", "claswaves")
    assert answer.status == 2
    assert answer.sentence == "The workspace has no catalog claswaves, or does not let us see it."


def test_a_token_that_is_not_accepted_is_a_wrong_configuration(
    workspace: Workspace, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "expired")
    answer = call("check")
    assert answer.status == 2
    assert answer.sentence.startswith("The workspace does not accept the credentials: Credential was not sent")
    assert "Config" not in answer.sentence


@pytest.mark.parametrize("arguments", [["check"], ["apply"], ["runs"]])
def test_without_a_login_every_command_says_how_to_get_one(no_login: None, call: Call, arguments: list[str]) -> None:
    answer = call(*arguments)
    assert answer.status == 2
    assert answer.sentence.startswith("Cannot log in to a workspace (")
    assert "--profile" in answer.sentence
    assert "Traceback" not in answer.err


def test_a_configuration_file_that_is_none_is_told_without_its_lines(no_login: None, call: Call) -> None:
    (Path.home() / ".databrickscfg").write_text("token = secret\n", encoding="utf-8")
    answer = call("check")
    assert answer.status == 2
    assert answer.sentence == "The client's configuration file (~/.databrickscfg) cannot be read."
    assert "secret" not in answer.err


def test_a_profile_is_passed_on(workspace: Workspace, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_HOST")
    monkeypatch.delenv("DATABRICKS_TOKEN")
    file = Path.home() / ".databrickscfg"
    file.write_text(f"[ours]\nhost = {workspace.url}\ntoken = x\n", encoding="utf-8")
    assert call("check", "--profile", "ours").status == 0
    answer = call("check", "--profile", "theirs")
    assert answer.status == 2
    assert "theirs" in answer.sentence


def test_a_bundle_that_is_not_there_or_broken_is_a_wrong_call(workspace: Workspace, call: Call, tmp_path: Path) -> None:
    assert call("check", bundle=tmp_path / "gone").sentence.startswith("The bundle's folder ")
    assert "declares a job" in call("check", bundle=tmp_path).sentence
    (tmp_path / "a.yml").write_text("resources: {jobs: [{name: hourly}]}", encoding="utf-8")
    assert (
        call("check", bundle=tmp_path).sentence
        == f"The jobs in the bundle's file {tmp_path / 'a.yml'} are not a mapping."
    )
    (tmp_path / "a.yml").write_text("resources: [", encoding="utf-8")
    answer = call("check", bundle=tmp_path)
    assert answer.status == 2
    assert f"{tmp_path / 'a.yml'} cannot be read" in answer.sentence
