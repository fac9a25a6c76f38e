"""The wheel of a deployment: its version, its entry points, and the files that are not Python."""

from __future__ import annotations

import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.processes import build_wheel
from tests.resources.bundle import project


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    return zipfile.ZipFile(build_wheel(folder, CLASSWAVES_COMMIT="g0123456789ab"))


def _metadata(wheel: zipfile.ZipFile, name: str) -> str:
    found = [path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")]
    return wheel.read(found[0]).decode()


def test_the_version_carries_the_commit(wheel: zipfile.ZipFile) -> None:
    assert Path(str(wheel.filename)).name == "classwaves_analytics-0.1.0+g0123456789ab-py3-none-any.whl"


def test_the_wheel_brings_no_spark_unless_asked_for(wheel: zipfile.ZipFile) -> None:
    required = Parser().parsestr(_metadata(wheel, "METADATA")).get_all("Requires-Dist") or []
    always = [text for text in required if "extra ==" not in text]
    assert always
    assert not [text for text in always if text.startswith(("pyspark", "delta-spark"))]
    assert "pyspark==4.1.1; extra == 'local'" in required


def test_the_wheel_has_the_entry_points_and_their_modules(wheel: zipfile.ZipFile) -> None:
    entry_points = ConfigParser()
    entry_points.read_string(_metadata(wheel, "entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == project()["scripts"]
    for target in project()["scripts"].values():
        assert f"{target.split(':')[0].replace('.', '/')}.py" in wheel.namelist()


def test_the_wheel_has_the_contracts_and_the_local_settings(wheel: zipfile.ZipFile) -> None:
    contracts = {path.relative_to(ROOT).as_posix() for path in (ROOT / "expectations" / "contracts").rglob("*.yaml")}
    assert contracts
    assert contracts <= set(wheel.namelist())
    assert wheel.read("jobs/spark.properties") == (ROOT / "conf" / "spark.properties").read_bytes()
