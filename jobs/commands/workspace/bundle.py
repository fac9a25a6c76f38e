"""The jobs that the bundle declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from jobs.errors import UsageError

Declared = dict[str, Any]
"""A job as the bundle's YAML declares it."""


def read_bundle(given: Path | None) -> dict[str, Declared]:
    """The jobs that the YAML files of a folder declare, by their key; raises `UsageError` if there are none.

    The folder is the given one, else `resources` of this checkout.
    """
    folder = given or Path(__file__).resolve().parents[3] / "resources"
    if not folder.is_dir():
        raise UsageError(f"The bundle's folder {folder} does not exist: name it with --bundle.")
    jobs: dict[str, Declared] = {}
    for file in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"The bundle's file {file} cannot be read: {error}.") from error
        resources = content.get("resources") if isinstance(content, dict) else None
        found = resources.get("jobs") if isinstance(resources, dict) else None
        if not isinstance(found, dict | None):
            raise UsageError(f"The jobs in the bundle's file {file} are not a mapping.")
        for key, job in (found or {}).items():
            if not isinstance(job, dict):
                raise UsageError(f"The job {key} in the bundle's file {file} is not a mapping.")
            jobs[key] = {"name": key, **job}
    if not jobs:
        raise UsageError(f"No YAML file in {folder} declares a job: name the bundle's folder with --bundle.")
    return jobs
