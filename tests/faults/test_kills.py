"""Runs that are killed: the target is as before or as after, never between, and the next run makes all good.

`make test-long` kills more than thirty runs, at every phase of the three jobs and at random moments; the short form
kills one before it publishes.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.registry import job_named
from tests.delta_io import write_lake, write_table
from tests.faults.process import start
from tests.lakehouses import DAILY, DAILY_OF_USERS, EFFECTIVENESS, TARGETS, rows_of, run, unlike, version_of
from tests.messy_lakehouse import messy_tables
from tests.oracle.rollups import wanted
from transforms.catalog import PROMPTS

Rows = list[dict[str, Any]]

WINDOW = ("2025-10-27", "2025-11-10")
COMMON = ("pin", "read", "quarantine", "transform", "gate")
PHASES = [
    (job, phase) for job, tables in TARGETS.items() for phase in (*COMMON, *(f"publish {t}" for t in tables), "record")
]
RANDOM_KILLS = 12
COUNTS: Counter[str] = Counter()
COUNTED = ("kills", "torn", "as before", "as after", "differences after the next run")


@dataclass(frozen=True)
class Scene:
    """A lakehouse whose sources have changed since it was published, what stands in it, and what a run must make."""

    name: str
    lakehouse: Path
    before: dict[str, Rows]
    after: Rows

    def copied(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.lakehouse, folder))


def published(lakehouse: Path, table: str) -> Rows:
    return rows_of(lakehouse, table) if version_of(lakehouse, table) >= 0 else []


def scene_of(spark: SparkSession, name: str, folder: Path, *, is_published: bool) -> Scene:
    job, tables, (first, end) = job_named(name), TARGETS[name], map(date.fromisoformat, WINDOW)
    sources = messy_tables(9, sessions=60)
    write_lake(folder, sources)
    if is_published:
        run(spark, folder, job, *WINDOW)
        sources[PROMPTS] = [row | {"used_at": None} for row in sources[PROMPTS]]
        write_table(folder, PROMPTS, sources[PROMPTS])
    before = {table: published(folder, table) for table in tables}
    after = wanted(name, sources, first, end)
    assert all(unlike(table, before[table], after) for table in tables)
    return Scene(name, folder, before, after)


@pytest.fixture(scope="module")
def scenes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """A published scene of each job."""
    return {name: scene_of(spark, name, tmp_path_factory.mktemp(name) / "lake", is_published=True) for name in TARGETS}


def killed_at(name: str, lakehouse: Path, phase: str) -> None:
    process = start(name, lakehouse, WINDOW, phase)
    assert process.wait() == -signal.SIGKILL


def killed_after(name: str, lakehouse: Path, phase: str, seconds: float) -> None:
    """Killed from outside so many seconds after it came to the phase, or at its end where that is earlier."""
    process = start(name, lakehouse, WINDOW)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == phase:
            break
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check(spark: SparkSession, scene: Scene, lakehouse: Path) -> None:
    """No table is torn, and after another run nothing is left of the kill."""
    job, tables = job_named(scene.name), TARGETS[scene.name]
    COUNTS["kills"] += 1
    for table in tables:
        rows = published(lakehouse, table)
        is_before, is_after = rows == scene.before[table], not unlike(table, rows, scene.after)
        COUNTS["as before" if is_before else "as after" if is_after else "torn"] += 1
        assert is_before or is_after
    run(spark, lakehouse, job, *WINDOW)
    left = [mismatch for table in tables for mismatch in unlike(table, rows_of(lakehouse, table), scene.after)]
    COUNTS["differences after the next run"] += len(left)
    assert left == []
    assert {row["status"] for row in rows_of(lakehouse, "users.analytics_job_metadata")} == {"succeeded"}
    assert list((lakehouse / "quality").glob("staging_*")) == []


@pytest.fixture(scope="module", autouse=True)
def _told_counts(pytestconfig: pytest.Config) -> Iterator[None]:
    """Prints what came of the kills, whatever is captured."""
    yield
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\nKilled runs: {', '.join(f'{what}: {COUNTS[what]}' for what in COUNTED)}")


def test_a_run_that_is_killed_before_it_publishes(spark: SparkSession, tmp_path: Path) -> None:
    scene = scene_of(spark, "teacher_prompt_effectiveness", tmp_path / "lake", is_published=False)
    killed_at(scene.name, scene.lakehouse, f"publish {EFFECTIVENESS}")
    assert version_of(scene.lakehouse, "quality.quarantine") > 0
    check(spark, scene, scene.lakehouse)


@pytest.mark.long
@pytest.mark.parametrize("phase", ["read", "gate", f"publish {EFFECTIVENESS}"])
def test_a_run_whose_spark_is_killed_says_so(spark: SparkSession, tmp_path: Path, phase: str) -> None:
    scene = scene_of(spark, "teacher_prompt_effectiveness", tmp_path / "lake", is_published=False)
    log = tmp_path / "run.log"
    assert start(scene.name, scene.lakehouse, WINDOW, phase, "spark", log=log).wait() == 1
    assert log.read_text(encoding="utf-8").strip().splitlines()[-1].startswith("Spark has ended, ")
    check(spark, scene, scene.lakehouse)


@pytest.mark.long
def test_a_run_that_is_killed_between_its_two_tables(spark: SparkSession, tmp_path: Path) -> None:
    scene = scene_of(spark, "teacher_analytics_summary", tmp_path / "lake", is_published=False)
    killed_at(scene.name, scene.lakehouse, f"publish {DAILY_OF_USERS}")
    assert (version_of(scene.lakehouse, DAILY), version_of(scene.lakehouse, DAILY_OF_USERS)) == (1, 0)
    check(spark, scene, scene.lakehouse)


@pytest.mark.long
@pytest.mark.parametrize(("name", "phase"), PHASES)
def test_a_run_that_is_killed_at_a_phase(
    spark: SparkSession, scenes: dict[str, Scene], tmp_path: Path, name: str, phase: str
) -> None:
    lakehouse = scenes[name].copied(tmp_path / "lake")
    killed_at(name, lakehouse, phase)
    check(spark, scenes[name], lakehouse)


@pytest.mark.long
@pytest.mark.parametrize("number", range(RANDOM_KILLS))
def test_a_run_that_is_killed_at_a_random_moment(
    spark: SparkSession, scenes: dict[str, Scene], tmp_path: Path, number: int
) -> None:
    dice, name = random.Random(number), list(TARGETS)[number % 3]
    lakehouse = scenes[name].copied(tmp_path / "lake")
    late = [f"publish {table}" for table in TARGETS[name]]
    killed_after(name, lakehouse, dice.choice(["gate", "transform", *late]), dice.uniform(0, 4))
    check(spark, scenes[name], lakehouse)
