"""`classwaves workspace runs` and `backfill`: runs in a workspace, how they go and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.workspace.conftest import BUNDLE, Call
from tests.workspace.server import RefusedError, Workspace

BACKFILL, HOURLY = 101, 102
AT = 1_764_000_000_000
LOGS = '{"event": "run"}\nanalytics.dashboard_metrics_hourly: nothing changed.\n'
REFUSED = "The gate refused 3 checks: reconciliation of total_errors."

Json = dict[str, Any]


def state(life_cycle: str, result: str | None = None, message: str = "") -> Json:
    return {"life_cycle_state": life_cycle, "state_message": message} | ({"result_state": result} if result else {})


SUCCESS, FAILED = state("TERMINATED", "SUCCESS"), state("TERMINATED", "FAILED", "Workload failed.")


def add_run(workspace: Workspace, run_id: int, job: int, ended: Json, tasks: list[Json], minutes: int = 2) -> None:
    start = AT + run_id * 3_600_000
    is_over = ended["life_cycle_state"] in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
    workspace.runs[run_id] = {
        "run_id": run_id,
        "job_id": job,
        "start_time": start,
        "end_time": start + minutes * 60_000 if is_over else 0,
        "state": ended,
        "run_page_url": f"{workspace.url}/?o=17#job/{job}/run/{run_id}",
        "tasks": tasks,
    }


def task(key: str, run_id: int, ended: Json, **more: Any) -> Json:
    return {"task_key": key, "run_id": run_id, "state": ended, "attempt_number": 0, **more}


def loop(run_id: int, ended: Json, done: int, total: int, failed: int = 0) -> Json:
    counts = {"completed_iterations": done, "failed_iterations": failed, "total_iterations": total}
    stats = {"task_run_stats": counts}
    inner = {"task_key": "chunk", "python_wheel_task": {"package_name": "p", "entry_point": "e"}}
    return task("chunks", run_id, ended, for_each_task={"inputs": "[]", "task": inner, "stats": stats})


def test_runs_of_all_jobs_are_shown_newest_first_with_their_messages(workspace: Workspace, call: Call) -> None:
    add_run(workspace, 1, HOURLY, SUCCESS, [task("hourly", 11, SUCCESS)], minutes=62)
    add_run(workspace, 2, BACKFILL, FAILED, [loop(22, FAILED, 5, 5, failed=2)])
    add_run(workspace, 3, HOURLY, FAILED, [task("hourly", 33, FAILED)])
    add_run(workspace, 4, HOURLY, state("RUNNING"), [task("hourly", 44, state("RUNNING"))])
    workspace.outputs[11] = {"logs": LOGS}
    workspace.runs[22] = {
        "run_id": 22,
        "state": FAILED,
        "iterations": [task("chunk", 23, SUCCESS), task("chunk", 24, FAILED), task("chunk", 25, FAILED)],
    }
    workspace.outputs[24] = {"logs": f"{LOGS}{REFUSED}\n", "error": "SystemExit: 3"}
    workspace.outputs[33] = {"error": "SystemExit: 4", "error_trace": "Traceback …"}
    answer = call("runs")
    assert answer.status == 0
    rows = [row for row in answer.rows if row[1]]
    assert [row[:2] + row[4:] for row in rows] == [
        ["classwaves hourly", "4", "running", ""],
        ["classwaves hourly", "3", "failed", "A table breaks its contract; no rollup was changed."],
        ["classwaves backfill", "2", "failed", f"2 of 5 chunks failed. {REFUSED}"],
        ["classwaves hourly", "1", "success", "analytics.dashboard_metrics_hourly: nothing changed."],
    ]
    assert [row[3] for row in rows[1:]] == ["2 min 00 s", "2 min 00 s", "1 h 02 min"]
    assert rows[3][2] == "2025-11-24 17:00"


def test_the_last_runs_of_one_job_come_from_as_many_pages_as_needed(workspace: Workspace, call: Call) -> None:
    for run_id in range(1, 12):
        add_run(workspace, run_id, HOURLY, SUCCESS, [])
    add_run(workspace, 50, BACKFILL, SUCCESS, [])
    workspace.page = 2
    answer = call("runs", "--job", "hourly", "--last", "5")
    assert [row[1] for row in answer.rows] == ["11", "10", "9", "8", "7"]
    listed = [query for _, path, query in workspace.requests if path == "/api/2.2/jobs/runs/list"]
    assert [query.get("page_token") for query in listed] == [None, "2", "4"]


SENTENCES = {
    "its own last line": ({"logs": f"{LOGS}{REFUSED}\n"}, REFUSED),
    "its own last line before the traceback": (
        {"logs": f"{REFUSED}\nTraceback (most recent call last):\n  File x\nSystemExit: 3\n", "error": "SystemExit: 3"},
        REFUSED,
    ),
    "what its status means": ({"error": "SystemExit: 3"}, "The gate refused the rows; no rollup was changed."),
    "an unknown status": ({"error": "SystemExit: 9"}, "The task ended with status 9."),
    "the error's first line": ({"error": "Library installation failed.\nMore."}, "Library installation failed."),
    "the platform's message, without any": ({}, "Workload failed."),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_message_is(workspace: Workspace, call: Call, name: str) -> None:
    output, message = SENTENCES[name]
    add_run(workspace, 1, HOURLY, FAILED, [task("hourly", 11, FAILED)])
    workspace.outputs[11] = output
    assert call("runs").rows[0][5] == message


def test_of_several_tasks_those_that_failed_are_told_as_they_were_tried_last(workspace: Workspace, call: Call) -> None:
    upstream = state("SKIPPED", "UPSTREAM_FAILED")
    tasks = [
        task("first", 11, FAILED),
        task("first", 12, SUCCESS) | {"attempt_number": 1},
        task("second", 13, FAILED),
        task("third", 14, FAILED),
        task("fourth", 15, upstream),
    ]
    add_run(workspace, 1, HOURLY, FAILED, tasks)
    workspace.outputs |= {11: {"error": "old"}, 13: {"error": "bad"}}
    assert call("runs").rows[0][5] == "second: bad third: Workload failed."


def test_runs_are_told_to_programs(workspace: Workspace, call: Call) -> None:
    add_run(workspace, 1, HOURLY, SUCCESS, [task("hourly", 11, SUCCESS)], minutes=62)
    (answered,) = json.loads(call("runs", "--job", "hourly", "--json").out)
    assert (answered["run_id"], answered["start"], answered["duration"]) == (1, "2025-11-24T17:00:00+00:00", 3720.0)


def test_a_job_that_the_bundle_does_not_declare_is_a_wrong_call(workspace: Workspace, call: Call) -> None:
    answer = call("runs", "--job", "hourli")
    assert answer.status == 2
    assert answer.sentence == "There is no job in the bundle named hourli: did you mean hourly?"


def test_without_a_deployed_job_runs_says_what_to_do(workspace: Workspace, call: Call) -> None:
    workspace.jobs = {}
    answer = call("runs")
    assert answer.status == 1
    assert answer.sentence.endswith("deploy the bundle, or see --target.")


WINDOW = ("--start", "2025-09-01", "--end", "2025-09-25")


def starting(workspace: Workspace, ends: Json, rounds: list[Json] | None = None) -> None:
    """Lets the workspace start a run that does two more chunks whenever it is looked at, then ends so."""

    def start(body: Json) -> int:
        total = len(json.loads(body["job_parameters"]["chunks"]))
        add_run(workspace, 7, body["job_id"], state("PENDING"), [loop(70, state("PENDING"), 0, total)])
        workspace.runs[70] = {"run_id": 70, "state": ends, "iterations": rounds or []}
        return 7

    def look(run: Json) -> None:
        if run["run_id"] != 7:
            return
        counts = run["tasks"][0]["for_each_task"]["stats"]["task_run_stats"]
        if run["state"]["life_cycle_state"] == "PENDING":
            run["state"] = state("RUNNING")
            counts["completed_iterations"] = 2
        elif run["state"]["life_cycle_state"] == "RUNNING":
            run["state"] = run["tasks"][0]["state"] = ends
            counts["completed_iterations"] = counts["total_iterations"]
            counts["failed_iterations"] = len([round_ for round_ in rounds or [] if round_["state"] is FAILED])

    workspace.start, workspace.after_each_look = start, look


def test_a_backfill_starts_the_deployed_job_and_follows_it_to_its_end(workspace: Workspace, call: Call) -> None:
    starting(workspace, SUCCESS)
    answer = call("backfill", "dashboard_metrics_hourly", *WINDOW)
    assert answer.status == 0
    (body,) = workspace.started
    assert body["job_id"] == BACKFILL
    assert body["idempotency_token"]
    assert body["job_parameters"]["rollup"] == "dashboard_metrics_hourly"
    assert json.loads(body["job_parameters"]["chunks"]) == [
        {"start": "2025-09-01", "end": "2025-09-08"},
        {"start": "2025-09-08", "end": "2025-09-15"},
        {"start": "2025-09-15", "end": "2025-09-22"},
        {"start": "2025-09-22", "end": "2025-09-25"},
    ]
    assert "period" not in body["job_parameters"]
    answered = [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]
    assert [line["phase"] for line in answered if line["event"] == "phase"] == ["pending", "running", "success"]
    assert [line["done"] for line in answered if line["event"] == "progress"] == [1, 2, 3, 4]
    url = workspace.runs[7]["run_page_url"]
    assert answer.sentence == f"The backfill of dashboard_metrics_hourly is done: 4 chunks, see {url}"


def test_a_start_whose_answer_asks_to_wait_is_sent_again_with_the_same_token(workspace: Workspace, call: Call) -> None:
    starting(workspace, SUCCESS)
    busy = RefusedError(429, "RESOURCE_EXHAUSTED", "Later.", {"Retry-After": "0"})
    workspace.refusals = [("/api/2.2/jobs/run-now", busy)]
    assert call("backfill", "dashboard_metrics_hourly", *WINDOW).status == 0
    assert len(workspace.started) == 1
    assert workspace.paths("POST").count("/api/2.2/jobs/run-now") == 2
    first, second = (body["idempotency_token"] for body in workspace.bodies)
    assert first == second


def test_a_backfill_of_hours_and_of_a_period_says_so(workspace: Workspace, call: Call) -> None:
    starting(workspace, SUCCESS)
    call("backfill", "dashboard_metrics_hourly", "--start", "2025-09-01T06:30", "--end", "2025-09-02", "--chunk", "12h")
    call("backfill", "teacher_prompt_effectiveness", *WINDOW, "--period", "month")
    chunks = [json.loads(body["job_parameters"]["chunks"]) for body in workspace.started]
    assert chunks[0] == [
        {"start": "2025-09-01T06:00", "end": "2025-09-01T18:00"},
        {"start": "2025-09-01T18:00", "end": "2025-09-02"},
    ]
    assert len(chunks[1]) == 1
    assert workspace.started[1]["job_parameters"]["period"] == "month"


def test_a_backfill_that_fails_says_which_sentence_its_chunk_ended_with(workspace: Workspace, call: Call) -> None:
    starting(workspace, FAILED, [task("chunk", 71, SUCCESS), task("chunk", 72, FAILED)])
    workspace.outputs[72] = {"logs": f"{LOGS}{REFUSED}\n", "error": "SystemExit: 3"}
    answer = call("backfill", "dashboard_metrics_hourly", *WINDOW)
    assert answer.status == 1
    assert answer.sentence == (
        f"The backfill of dashboard_metrics_hourly failed: 1 of 4 chunks failed. {REFUSED} "
        f"See {workspace.runs[7]['run_page_url']}"
    )


@pytest.mark.parametrize("end", [("INTERNAL_ERROR", "FAILED"), ("SKIPPED", None), ("TERMINATED", "CANCELED")])
def test_a_backfill_that_the_platform_ends_says_why(
    workspace: Workspace, call: Call, end: tuple[str, str | None]
) -> None:
    starting(workspace, state(*end, "The cluster is lost."))
    workspace.runs[70] = {"run_id": 70}
    answer = call("backfill", "dashboard_metrics_hourly", *WINDOW)
    assert answer.status == 1
    assert "The cluster is lost. See http://" in answer.sentence


WRONG_CALLS = {
    "a rollup that is none": (["hourly", *WINDOW], "There is no job hourly"),
    "a chunk that is none": (["dashboard_metrics_hourly", *WINDOW, "--chunk", "7"], "--chunk must be"),
    "no end": (["dashboard_metrics_hourly", "--start", "2025-09-01"], "--end"),
    "an end before the start": (
        ["dashboard_metrics_hourly", "--start", "2025-09-02", "--end", "2025-09-01"],
        "--end (2025-09-01T00:00Z) must be after",
    ),
    "more chunks than a job takes": (
        ["dashboard_metrics_hourly", "--start", "2024-09-01", "--end", "2025-09-01", "--chunk", "1d"],
        "365 chunks are more than a job takes: give a longer --chunk.",
    ),
    "a period for a rollup without": (
        ["dashboard_metrics_hourly", *WINDOW, "--period", "week"],
        "dashboard_metrics_hourly takes no --period.",
    ),
    "a period that is none": (
        ["teacher_prompt_effectiveness", *WINDOW, "--period", "year"],
        "Argument --period: invalid choice: 'year' (choose from ",
    ),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_backfill_is_refused_before_anything_is_asked(workspace: Workspace, call: Call, name: str) -> None:
    arguments, answered = WRONG_CALLS[name]
    answer = call("backfill", *arguments)
    assert answer.status == 2
    assert answered in answer.sentence
    assert workspace.requests == []


def test_a_deployed_job_of_an_older_bundle_is_not_started(workspace: Workspace, call: Call) -> None:
    workspace.jobs[BACKFILL]["settings"]["parameters"].pop(0)
    answer = call("backfill", "dashboard_metrics_hourly", *WINDOW)
    assert answer.status == 1
    assert answer.sentence == ("The deployed job classwaves backfill has no parameter rollup: redeploy the bundle.")
    assert workspace.started == []


def test_a_denied_start_is_one_sentence(workspace: Workspace, call: Call) -> None:
    denied = RefusedError(403, "PERMISSION_DENIED", "User lacks CAN_MANAGE_RUN on job 101")
    workspace.refusals = [("/api/2.2/jobs/run-now", denied)]
    answer = call("backfill", "dashboard_metrics_hourly", *WINDOW)
    assert (answer.status, answer.sentence) == (
        1,
        "The workspace denies permission: User lacks CAN_MANAGE_RUN on job 101.",
    )


def test_a_login_that_ends_before_the_run_does_says_where_the_run_is(workspace: Workspace, call: Call) -> None:
    starting(workspace, SUCCESS)
    expired = RefusedError(401, "UNAUTHENTICATED", "Token is expired")
    workspace.refusals = [("/api/2.2/jobs/runs/get", expired)]
    answer = call("backfill", "dashboard_metrics_hourly", *WINDOW)
    assert (answer.status, answer.sentence) == (
        1,
        "The workspace no longer reports on the run, which may go on: "
        f"{workspace.url}/jobs/{BACKFILL}/runs/7: Token is expired.",
    )


def test_ctrl_c_leaves_the_run_alone_and_says_where_it_is(workspace: Workspace) -> None:
    starting(workspace, SUCCESS)
    workspace.after_each_look = lambda run: None  # it stays pending
    arguments = ["workspace", "backfill", "dashboard_metrics_hourly", *WINDOW, "--bundle", str(BUNDLE)]
    command = [sys.executable, "-c", "from jobs.commands.cli import main; main()", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while "/api/2.2/jobs/runs/get" not in workspace.paths("GET") and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, answered = process.communicate(timeout=30)
    assert process.returncode == 1
    assert answered.strip().splitlines()[-1] == (
        f"The run in the workspace goes on but is no longer followed here: {workspace.url}/jobs/{BACKFILL}/runs/7"
    )
    assert workspace.paths("POST") == ["/api/2.2/jobs/run-now"]
