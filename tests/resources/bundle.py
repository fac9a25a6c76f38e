"""The bundle as the CLI puts it together: files, includes, variables of a target."""

from __future__ import annotations

import copy
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RESOURCES = ROOT / "resources"
MAIN = "databricks.yml"

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


@dataclass(frozen=True)
class Bundle:
    """The files of a bundle by name, and the folder that they are in."""

    folder: Path
    files: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path = RESOURCES) -> Bundle:
        """All YAML files of the folder, whether they are included or not."""
        return cls(
            folder, {file.name: yaml.safe_load(file.read_text("utf-8")) for file in sorted(folder.glob("*.yml"))}
        )

    @property
    def main(self) -> dict[str, Any]:
        """`databricks.yml`."""
        return self.files[MAIN]

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets."""
        return tuple(self.main["targets"])

    def references(self, name: str) -> set[str]:
        """What a file refers to: `var.catalog` for `${var.catalog}`."""
        return set(_REFERENCE.findall(json.dumps(self.files[name])))

    def resources(self, kind: str, target: str = "prod") -> dict[str, dict[str, Any]]:
        """The resources of a kind as a target has them, with its variables put in."""
        found: dict[str, dict[str, Any]] = {}
        for name in self.main.get("include", []):
            found.update(copy.deepcopy(self.files.get(name, {}).get("resources", {}).get(kind, {})))
        for name, further in self.main["targets"][target].get("resources", {}).get(kind, {}).items():
            found.setdefault(name, {}).update(copy.deepcopy(further))
        return {name: self._resolved(one, target) for name, one in found.items()}

    def dashboard(self, file_path: str) -> dict[str, Any]:
        """A dashboard's file."""
        loaded: dict[str, Any] = json.loads((self.folder / file_path).read_text("utf-8"))
        return loaded

    def variable(self, name: str, target: str) -> Any:
        """The value of a variable; its own name where only a call gives it one."""
        given = self.main["targets"][target].get("variables", {})
        return given.get(name, self.main["variables"].get(name, {}).get("default", f"<{name}>"))

    def _resolved(self, value: Any, target: str) -> Any:
        if isinstance(value, dict):
            return {key: self._resolved(one, target) for key, one in value.items()}
        if isinstance(value, list):
            return [self._resolved(one, target) for one in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(r"\$\{var\.(\w+)\}", value)
        if whole:
            return self._resolved(self.variable(whole[1], target), target)
        return re.sub(
            r"\$\{(?:var\.)?([\w.]+)\}",
            lambda found: str(self.variable(found[1], target)) if found[0].startswith("${var.") else f"<{found[1]}>",
            value,
        )
