"""Processes that tests start: what they get of this one's environment, and the wheel that some of them run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

BIN = Path(sys.executable).parent
QUICK_TO_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a JVM that starts and plans much and computes little: it compiles badly, but at once, and leaves cores alone."""

_OF_THIS_PROCESS = ("PYSPARK_", "SPARK_", "COV_")


def own_environment(**further: str) -> dict[str, str]:
    """This process's environment without what is only about its own Spark and coverage, Python's programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_PROCESS)}
    return {**kept, "JDK_JAVA_OPTIONS": QUICK_TO_START, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", **further}


def build_wheel(folder: Path, **environment: str) -> Path:
    """Builds the project's wheel into the folder."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    (wheel,) = folder.glob("*.whl")
    return wheel
