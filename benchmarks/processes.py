"""Whole processes, as a user starts them, and what each of them took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
_OF_THIS_PROCESS = ("PYSPARK_", "SPARK_", "CLASSWAVES_")


@dataclass(frozen=True)
class Taken:
    """What a process and all that it started took; `peak_bytes` is the memory of the largest one of them."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    begun: float
    ended: float


def spark_submit(script: str, *arguments: str, conf: Mapping[str, str] | None = None) -> list[str]:
    """The call of a script as the README has it."""
    further = [part for name, value in (conf or {}).items() for part in ("--conf", f"{name}={value}")]
    return [
        str(BIN / "spark-submit"), "--properties-file", str(ROOT / "conf" / "spark.properties"), *further,
        str(ROOT / script), *arguments,
    ]  # fmt: skip


def module(name: str, *arguments: str) -> list[str]:
    """The call of a Python module."""
    return [sys.executable, "-m", name, *arguments]


def run(command: Sequence[str], log: Path) -> Taken:
    """Runs a process to its end, with its output in the file; raises `SystemExit` where it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_PROCESS)}
    environment = {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}"}
    with log.open("w", encoding="utf-8") as output:
        begun, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - clock
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: see {log}")
    return Taken(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, begun, time.time())
