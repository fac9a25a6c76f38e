"""OpenLineage events of real runs, to a receiver on this machine and into a file."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.contract import contract_names, contract_of
from expectations.gate import Check, Verdict
from jobs import logs, teacher_prompt_effectiveness
from jobs.errors import GateRefusedError
from jobs.execution.job_run import run_with_retries
from jobs.execution.lineage import lineage_events, run_uuid, source_columns_of
from jobs.execution.pipeline import Progress
from jobs.execution.run import Run
from jobs.job import Call
from jobs.lake import Lake
from jobs.settings import Settings
from jobs.storage import LocalFolder
from tests.delta_io import write_lake
from tests.lakehouses import EFFECTIVENESS, rows_of, version_of
from tests.messy_lakehouse import messy_tables
from transforms.catalog import PROMPTS

SESSIONS = "sessions.classroom_sessions"


class Receiver(HTTPServer):
    """Keeps what is posted to it, and answers with its `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.requests: list[tuple[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lineage")
    tables = messy_tables(5, sessions=20)
    write_lake(folder, {name: tables[name] for name in (SESSIONS, PROMPTS)})
    return folder


class Stub:
    """A run that something is told of, without one."""

    def __init__(self, progress: Progress[Any]) -> None:
        self.progress = progress


@pytest.fixture
def stub(spark: SparkSession, lakehouse: Path) -> Stub:
    rollup = teacher_prompt_effectiveness.rollup_by("week")
    run = Run.begin(rollup.job_name)
    return Stub(Progress(rollup, Lake(spark, LocalFolder(lakehouse)), run, False, {SESSIONS: 0}, Verdict(()), None))


def test_a_run_tells_of_its_start_and_its_end(
    spark: SparkSession, lakehouse: Path, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    settings = Settings(openlineage_url=receiver.url, openlineage_file=file)
    job = teacher_prompt_effectiveness.JOB
    call = Call(lakehouse=lakehouse, period="week")
    this = Run.begin(job.rollup_of(call).job_name)
    outcome = run_with_retries(job, call, Lake(spark, LocalFolder(lakehouse)), this, settings)
    events = [event for _, event in receiver.requests]
    assert {path for path, _ in receiver.requests} == {"/api/v1/lineage"}
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == events
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"]
    assert {event["run"]["runId"] for event in events} == {str(run_uuid(outcome.run.run_id))}
    assert {(event["job"]["namespace"], event["job"]["name"]) for event in events} == {
        ("classwaves", "teacher_prompt_effectiveness.week")
    }
    end = events[-1]
    assert end["run"]["facets"]["externalQuery"]["externalQueryId"] == rows_of(lakehouse, "quality.runs")[0]["run_id"]
    inputs = {dataset["name"]: dataset for dataset in end["inputs"]}
    assert set(inputs) == {
        str(lakehouse / "sessions" / "classroom_sessions"),
        str(lakehouse / PROMPTS.replace(".", "/")),
    }
    prompts = inputs[str(lakehouse / PROMPTS.replace(".", "/"))]
    assert prompts["namespace"] == "file"
    assert prompts["facets"]["version"]["datasetVersion"] == str(version_of(lakehouse, PROMPTS))
    (output,) = end["outputs"]
    assert [f["name"] for f in output["facets"]["schema"]["fields"]] == list(contract_of(EFFECTIVENESS).column_names)
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == len(rows_of(lakehouse, EFFECTIVENESS))
    checks = output["facets"]["dataQualityAssertions"]["assertions"]
    assert len(checks) > 40
    assert {
        "assertion": "expect_column_values_to_not_be_null",
        "success": True,
        "column": "usage_rate",
        "severity": "error",
    }.items() <= next(c for c in checks if c.get("column") == "usage_rate").items()
    fields = output["facets"]["columnLineage"]["fields"]
    assert ("used_at", prompts["name"]) in {(i["field"], i["name"]) for i in fields["usage_rate"]["inputFields"]}


@pytest.mark.parametrize("dry_run", [True, False])
def test_without_a_setting_and_in_a_dry_run_nothing_is_told(dry_run: bool, stub: Stub, receiver: Receiver) -> None:
    stub.progress = replace(stub.progress, dry_run=dry_run)
    with lineage_events(stub, Settings(openlineage_url=receiver.url if dry_run else None)):
        pass
    assert receiver.requests == []


def test_a_refused_run_tells_why(stub: Stub, receiver: Receiver) -> None:
    check = Check("expectation", "expect_something", "usage_rate", "critical", False, 3.0)

    def refused() -> None:
        with lineage_events(stub, Settings(openlineage_url=receiver.url)):
            stub.progress = replace(stub.progress, verdict=Verdict((check,)))
            raise GateRefusedError("The gate refused the rows.")

    with pytest.raises(GateRefusedError):
        refused()
    event = receiver.requests[-1][1]
    assert event["eventType"] == "FAIL"
    assert event["run"]["facets"]["errorMessage"]["message"] == "The gate refused the rows."
    (result,) = event["outputs"][0]["facets"]["dataQualityAssertions"]["assertions"]
    assert (result["assertion"], result["success"], result["actual"]) == ("expect_something", False, "3")


def test_of_an_error_that_is_not_ours_only_the_kind_is_told(stub: Stub, receiver: Receiver) -> None:
    with pytest.raises(RuntimeError), lineage_events(stub, Settings(openlineage_url=receiver.url)):
        raise RuntimeError("a row: Ada, 11")
    assert receiver.requests[-1][1]["run"]["facets"]["errorMessage"]["message"] == "RuntimeError"


@pytest.mark.parametrize("trouble", ["an error", "nobody there", "a file that cannot be", "no package"])
def test_what_cannot_be_told_is_one_warning_and_the_run_goes_on(
    trouble: str, stub: Stub, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(logs.log, "warning", lambda event, **result: warned.append(f"{event}: {result['reason']}"))
    settings = Settings(openlineage_url=receiver.url)
    if trouble == "an error":
        receiver.status = 503
    elif trouble == "nobody there":
        settings = Settings(openlineage_url="http://127.0.0.1:9")
    elif trouble == "a file that cannot be":
        settings = Settings(openlineage_file=tmp_path / "nowhere" / "events")
    else:
        monkeypatch.setitem(sys.modules, "openlineage.client.serde", None)
    with lineage_events(stub, settings):
        warned.append("the run")
    assert len(warned) == 2
    assert warned[0].startswith("lineage could not be sent, the run continues")
    assert ("install the extra lineage" in warned[0]) == (trouble == "no package")


def test_every_column_that_has_sources_is_made_from_columns_of_theirs() -> None:
    for contract in (contract_of(name) for name in contract_names() if contract_of(name).kind == "rollup"):
        for column in contract.columns:
            read = source_columns_of(contract.table, column.name)
            assert set(read) == set(column.sources)
            assert all(set(names) <= set(contract_of(source).column_names) for source, names in read.items())
    assert source_columns_of(EFFECTIVENESS, "usage_rate")[PROMPTS] == ("generated_at", "used_at")
