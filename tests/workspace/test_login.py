"""A login that is refused: by a server that gives no token, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.workspace.conftest import Call


class RefusingHandler(BaseHTTPRequestHandler):
    """Says where tokens are to be had, and gives none."""

    def _answer(self, status: int, output: dict[str, str]) -> None:
        body = json.dumps(output).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        names = {"oidc_endpoint": "oidc", "authorization_endpoint": "oidc/authorize", "token_endpoint": "oidc/token"}
        self._answer(200, {"host_type": "workspace"} | {name: f"{here}/{path}" for name, path in names.items()})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(401, {"error": "invalid_client", "error_description": "Client authentication failed"})

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def refusing() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), RefusingHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_wrong_secret_is_a_wrong_configuration(
    no_login: None, refusing: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOST": refusing, "CLIENT_ID": "x", "CLIENT_SECRET": "hush"}.items():
        monkeypatch.setenv(f"DATABRICKS_{name}", value)
    answer = call("check")
    assert (answer.status, answer.sentence) == (
        2,
        "The workspace does not accept the credentials: invalid_client: Client authentication failed.",
    )
    assert "hush" not in answer.err
    assert "Traceback" not in answer.err


def test_an_address_that_is_none_is_a_wrong_configuration(
    no_login: None, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "not a host")
    monkeypatch.setenv("DATABRICKS_TOKEN", "x")
    answer = call("check")
    assert (answer.status, answer.sentence) == (2, "The workspace's address is wrong: https://not a host.")
