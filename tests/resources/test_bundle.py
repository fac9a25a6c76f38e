"""The bundle's files can be run as they are, and what is broken in a copy of them is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.alerts import Alert
from databricks.bundles.dashboards import Dashboard
from databricks.bundles.jobs import Job
from databricks.bundles.schemas import Schema

from tests.resources.bundle import RESOURCES, Bundle
from tests.resources.bundle_checks import sentences

MODELS: dict[str, Any] = {"jobs": Job, "schemas": Schema, "dashboards": Dashboard, "alerts": Alert}


def test_the_bundle_is_in_order() -> None:
    assert sentences(Bundle.read()) == []


@pytest.mark.parametrize("target", Bundle.read().targets)
@pytest.mark.parametrize("kind", MODELS)
def test_databricks_own_models_read_each_resource(kind: str, target: str) -> None:
    resources = Bundle.read().resources(kind, target)
    assert resources
    for resource in resources.values():
        MODELS[kind].from_dict(resource)


def test_nothing_runs_by_the_clock_in_dev_and_everything_in_prod() -> None:
    for target, status in {"dev": "PAUSED", "staging": "UNPAUSED", "prod": "UNPAUSED"}.items():
        bundle = Bundle.read()
        clocks = [*bundle.resources("jobs", target).values(), *bundle.resources("alerts", target).values()]
        assert {one["schedule"]["pause_status"] for one in clocks if "schedule" in one} == {status}


BROKEN: list[dict[str, str]] = yaml.safe_load(Path(__file__).with_name("broken.yaml").read_text("utf-8"))


@pytest.mark.parametrize("broken", BROKEN, ids=[broken["sentence"] for broken in BROKEN])
def test_what_is_broken_is_told(broken: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(RESOURCES, tmp_path, dirs_exist_ok=True)
    file = tmp_path / broken["file"]
    text = file.read_text("utf-8")
    assert broken["old"] in text
    file.write_text(text.replace(broken["old"], broken["new"], 1), "utf-8")
    assert sentences(Bundle.read(tmp_path)) == [broken["sentence"]]
