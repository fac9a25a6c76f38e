"""A workspace that is as contracts and bundle say, and the command line called on it."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from expectations.contract import Contract, own_contracts, source_contracts
from jobs.commands import cli
from tests.conftest import ROOT
from tests.workspace.server import Workspace, serving

BUNDLE = Path(__file__).parent / "bundle"
OWN_BUNDLE = ROOT / "resources"


def table_of(contract: Contract, catalog: str = "classwaves") -> dict[str, Any]:
    """The table as the catalog describes it after the contract's DDL."""
    schema, name = contract.table.split(".")
    clustering = ",".join(f'["{column}"]' for column in contract.clustering)
    properties = {"delta.enableChangeDataFeed": "true", "delta.lastCommitTimestamp": "1764000000000"}
    return {
        "catalog_name": catalog,
        "schema_name": schema,
        "name": name,
        "full_name": f"{catalog}.{contract.table}",
        "table_type": "MANAGED",
        "comment": contract.description,
        "columns": [
            {"name": c.name, "type_text": c.type, "position": i, "nullable": True, "comment": c.description}
            for i, c in enumerate(contract.columns)
        ],
        "properties": properties | ({"clusteringColumns": f"[{clustering}]"} if clustering else {}),
    }


def bundle_jobs(folder: Path) -> dict[str, dict[str, Any]]:
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.job.yml"))]
    return {key: job for text in texts for key, job in yaml.safe_load(text)["resources"]["jobs"].items()}


def deployed_jobs(folder: Path = BUNDLE) -> dict[int, dict[str, Any]]:
    """The bundle's jobs as a workspace has them, their variables resolved."""

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [resolved(inner) for inner in value]
        known = {"${var.schedules}": "UNPAUSED", "${bundle.target}": "prod", "${var.environment}": {"client": "5"}}
        return known.get(value, value.replace("${var.catalog}", "classwaves")) if isinstance(value, str) else value

    return {
        101 + index: {
            "job_id": 101 + index,
            "creator_user_name": "jane@example.org",
            "settings": resolved(copy.deepcopy(job)) | {"format": "MULTI_TASK"},
        }
        for index, job in enumerate(bundle_jobs(folder).values())
    }


@pytest.fixture
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which the SDK finds nothing to log in with."""
    for name in list(os.environ):
        if name.startswith(("DATABRICKS_", "ARM_", "GOOGLE_", "AZURE_", "ACTIONS_ID_TOKEN")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def workspace(no_login: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace, served, with all that contracts and bundle declare."""
    tables = {f"classwaves.{c.table}": table_of(c) for c in [*own_contracts(), *source_contracts()]}
    state = Workspace(tables=tables, jobs=deployed_jobs())
    with serving(state) as url:
        monkeypatch.setenv("DATABRICKS_HOST", url)
        monkeypatch.setenv("DATABRICKS_TOKEN", "x")
        yield state


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on stderr."""
        return self.err.strip().splitlines()[-1]

    @property
    def rows(self) -> list[list[str]]:
        """The rows of the printed table, without its head."""
        lines = [line.strip("│") for line in self.out.splitlines() if line.startswith("│")]
        return [[cell.strip() for cell in line.split("│")] for line in lines]


Call = Callable[..., Answer]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`call("check", …)`: the command line `classwaves workspace check …`, on the tests' bundle."""

    # The SDK waits longer from one look at a run to the next.
    sleep = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: sleep(min(seconds, 0.05)))

    def called(*arguments: str, bundle: Path | None = BUNDLE) -> Answer:
        options = ["--bundle", str(bundle)] if bundle and arguments[0] != "apply" else []
        monkeypatch.setattr("sys.argv", ["classwaves", "workspace", *arguments, *options])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        output = capsys.readouterr()
        return Answer(status, output.out, output.err)

    return called
