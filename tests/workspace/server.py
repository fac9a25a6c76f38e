"""A Databricks workspace in a thread: the part of its HTTP interface that our commands use, over a state in Python."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Json = dict[str, Any]


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


def not_found(what: str) -> RefusedError:
    return RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"{what} does not exist.")


@dataclass
class Workspace:
    """What the workspace holds. `refusals` are raised by the next requests whose path begins so, one each."""

    catalogs: set[str] = field(default_factory=lambda: {"classwaves"})
    tables: dict[str, Json] = field(default_factory=dict)
    browse_only: set[str] = field(default_factory=set)
    jobs: dict[int, Json] = field(default_factory=dict)
    runs: dict[int, Json] = field(default_factory=dict)
    outputs: dict[int, Json] = field(default_factory=dict)
    after_each_look: Callable[[Json], None] = lambda run: None
    started: list[Json] = field(default_factory=list)
    start: Callable[[Json], int] = lambda body: 0
    statements: list[Json] = field(default_factory=list)
    failing_statement: str | None = None
    page: int = 3
    user: str = "jane@example.org"
    refusals: list[tuple[str, RefusedError]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)
    url: str = ""
    lock: Any = field(default_factory=Lock)

    def paths(self, method: str) -> list[str]:
        return [path for used, path, _ in self.requests if used == method]

    def answer(self, method: str, path: str, query: dict[str, str], body: Json) -> Json:
        self.requests.append((method, path, query))
        if body:
            self.bodies.append(body)
        for index, (prefix, refusal) in enumerate(self.refusals):
            if path.startswith(prefix):
                del self.refusals[index]
                raise refusal
        for used, pattern, handle in _ROUTES:
            matched = re.fullmatch(pattern, path)
            if used == method and matched:
                return handle(self, query | matched.groupdict(), body)
        raise RefusedError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")

    def visible_tables(self, query: dict[str, str]) -> set[str]:
        """Those that the user may read and, if these are asked for, those that the user may only browse."""
        return self.tables.keys() - (set() if query.get("include_browse") == "true" else self.browse_only)

    def paged(self, key: str, rows: list[Json], query: dict[str, str]) -> Json:
        start = int(query.get("page_token") or 0)
        more = start + self.page < len(rows)
        return {key: rows[start : start + self.page]} | ({"next_page_token": str(start + self.page)} if more else {})


def _catalog(state: Workspace, query: dict[str, str], body: Json) -> Json:
    if query["name"] not in state.catalogs:
        raise RefusedError(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{query['name']}' does not exist.")
    return {"name": query["name"]}


def _tables(state: Workspace, query: dict[str, str], body: Json) -> Json:
    prefix = f"{query['catalog_name']}.{query['schema_name']}."
    found = [state.tables[name] for name in sorted(state.visible_tables(query)) if name.startswith(prefix)]
    if not found:
        raise RefusedError(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{prefix[:-1]}' does not exist.")
    leave_out = [key for key, option in (("columns", "omit_columns"), ("properties", "omit_properties"))]
    assert query.get("omit_columns") == query.get("omit_properties") == "true"
    return state.paged("tables", [{k: v for k, v in table.items() if k not in leave_out} for table in found], query)


def _table(state: Workspace, query: dict[str, str], body: Json) -> Json:
    if query["name"] not in state.visible_tables(query):
        raise not_found(f"Table '{query['name']}'")
    return state.tables[query["name"]]


def _jobs(state: Workspace, query: dict[str, str], body: Json) -> Json:
    wanted = query.get("name")
    found = [job for job in state.jobs.values() if wanted is None or job["settings"]["name"].lower() == wanted.lower()]
    if query.get("expand_tasks") != "true":
        found = [job | {"settings": {k: v for k, v in job["settings"].items() if k != "tasks"}} for job in found]
    return state.paged("jobs", found, query)


def _job(state: Workspace, query: dict[str, str], body: Json) -> Json:
    return state.jobs[int(query["job_id"])]


def _runs(state: Workspace, query: dict[str, str], body: Json) -> Json:
    runs = sorted(state.runs.values(), key=lambda run: -run.get("start_time", 0))
    of_job = [run for run in runs if run.get("job_id") == int(query["job_id"])]
    return state.paged("runs", of_job, query)


def _run(state: Workspace, query: dict[str, str], body: Json) -> Json:
    run = state.runs.get(int(query["run_id"]))
    if run is None:
        raise not_found(f"Run {query['run_id']}")
    copied: Json = json.loads(json.dumps(run))
    state.after_each_look(run)
    return copied


def _output(state: Workspace, query: dict[str, str], body: Json) -> Json:
    output = state.outputs.get(int(query["run_id"]))
    if output is None:
        raise RefusedError(400, "INVALID_PARAMETER_VALUE", "Retrieving the output of this task is not supported.")
    return output


def _start(state: Workspace, query: dict[str, str], body: Json) -> Json:
    state.started.append(body)
    return {"run_id": state.start(body)}


def _statement(state: Workspace, query: dict[str, str], body: Json) -> Json:
    state.statements.append(body)
    number = len(state.statements)
    if state.failing_statement and state.failing_statement in body["statement"]:
        status: Json = {"state": "FAILED", "error": {"message": "[INSUFFICIENT_PERMISSIONS] User may not do that."}}
    else:
        status = {"state": "PENDING" if number == 1 else "SUCCEEDED"}
    return {"statement_id": str(number), "status": status}


def _statement_again(state: Workspace, query: dict[str, str], body: Json) -> Json:
    return {"statement_id": query["id"], "status": {"state": "SUCCEEDED"}}


Handler = Callable[[Workspace, dict[str, str], Json], Json]
_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/.well-known/databricks-config", lambda state, query, body: {"workspace_id": "17"}),
    ("GET", "/api/2.0/preview/scim/v2/Me", lambda state, query, body: {"userName": state.user}),
    ("GET", r"/api/2.1/unity-catalog/catalogs/(?P<name>[^/]+)", _catalog),
    ("GET", "/api/2.1/unity-catalog/tables", _tables),
    ("GET", r"/api/2.1/unity-catalog/tables/(?P<name>[^/]+)", _table),
    ("GET", "/api/2.2/jobs/list", _jobs),
    ("GET", "/api/2.2/jobs/get", _job),
    ("GET", "/api/2.2/jobs/runs/list", _runs),
    ("GET", "/api/2.2/jobs/runs/get", _run),
    ("GET", "/api/2.2/jobs/runs/get-output", _output),
    ("POST", "/api/2.2/jobs/run-now", _start),
    ("POST", "/api/2.0/sql/statements", _statement),
    ("GET", r"/api/2.0/sql/statements/(?P<id>\d+)", _statement_again),
]


@contextmanager
def serving(state: Workspace) -> Iterator[str]:
    """The address of the workspace, while it is served."""

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A head and a body in two packets would make each answer wait for the client's delayed acknowledgement.
        wbufsize = -1

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            headers: dict[str, str] = {}
            try:
                if not parts.path.startswith("/.well-known") and self.headers.get("Authorization") != "Bearer x":
                    raise RefusedError(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type.")
                with state.lock:
                    answer = state.answer(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), body)
                status = 200
            except RefusedError as refusal:
                status, headers = refusal.status, refusal.headers
                answer = {"error_code": refusal.code, "message": str(refusal)}
            content = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
