"""The tasks of the bundle, as the platform starts them: entry points of the wheel, in an environment of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.connect.conftest import client
from tests.lakehouses import DAILY, EFFECTIVENESS, HOURLY
from tests.processes import build_wheel

pytestmark = pytest.mark.long

GIVEN = {"catalog": "spark_catalog", "start": "2025-10-27", "end": "2025-11-03"}
"""What a caller of the job gives instead of a parameter's default, and what the loop of the backfill gives."""


def tasks() -> list[tuple[str, str, list[str]]]:
    """Of each task its key, its entry point, and the arguments that it is called with."""
    found = []
    for file in sorted((ROOT / "resources").glob("*.job.yml")):
        for job in yaml.safe_load(file.read_text())["resources"]["jobs"].values():
            defaults = {p["name"]: p["default"] for p in job.get("parameters", [])} | GIVEN
            defaults["chunks"] = '[{"start": "2025-10-27", "end": "2025-11-03"}]'
            for task in job["tasks"]:
                one = task.get("for_each_task", {}).get("task", task)
                wheel = one["python_wheel_task"]
                named = {name: filled(value, defaults) for name, value in wheel.get("named_parameters", {}).items()}
                listed = [filled(value, defaults) for value in wheel.get("parameters", [])]
                arguments = [*listed, *(f"--{name}={value}" for name, value in named.items())]
                found.append((one["task_key"], wheel["entry_point"], arguments))
    return found


def filled(value: str, parameters: dict[str, Any]) -> str:
    by_name = re.sub(r"\{\{(?:job\.parameters|input)\.(\w+)\}\}", lambda found: str(parameters[found[1]]), value)
    return by_name.replace("${var.catalog}", GIVEN["catalog"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, what it declares, and what the platform brings."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(folder)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    wanted = [f"{wheel}[local]", "pyspark[connect]"]
    subprocess.run([str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted], check=True)
    return folder / "venv" / "bin"


def test_every_task_runs_with_its_own_parameters_and_refuses_others(server: tuple[int, Path], installed: Path) -> None:
    port, warehouse = server
    called = tasks()
    assert len(called) >= 7
    for key, entry_point, arguments in called:
        done = client(port, *arguments, program=installed / entry_point)
        assert done.returncode == 0, f"{key}: {done.stderr[-2000:]}"
    for table in (HOURLY, DAILY, EFFECTIVENESS):
        schema, name = table.split(".")
        assert list((warehouse / f"{schema}.db" / name).glob("*.parquet")) != []
    for key, entry_point, arguments in called:
        refused = client(port, *arguments, "--colour=blue", program=installed / entry_point)
        assert (refused.returncode, "colour" in refused.stderr.strip().splitlines()[-1]) == (2, True), key
