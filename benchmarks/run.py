"""Runs the jobs beside their references and says how long each took: `make bench`.

    python -m benchmarks.run --sizes 1000 100000 --jobs dashboard_metrics_hourly

Of each size and job: first the results are compared, with Spark's event log on; only then times count, each the best of
several whole processes, the job and its references in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks import plots, tables
from benchmarks.comparison import differences
from benchmarks.event_log import CONF, read_event_log, read_phases
from benchmarks.lakehouse import MARK
from benchmarks.processes import ROOT, Taken, module, run, spark_submit
from benchmarks.references import spark_reference
from jobs.registry import JOBS, job_named
from transforms.catalog import LEDGER

SIZES = (1_000, 10_000, 100_000)
JOB = "job"
DUCKDB = "DuckDB"
SPARK = "Spark SQL"


@dataclass(frozen=True)
class Case:
    """A job over a lakehouse: one row of the table."""

    job: str
    lakehouse: Path
    work: Path

    def command(self, contender: str) -> list[str]:
        """The process of the job, or of a reference to it."""
        if contender == JOB:
            return spark_submit(f"jobs/{self.job}.py", "--lakehouse", str(self.lakehouse))
        arguments = (self.job, str(self.lakehouse), str(self.out(contender)))
        if contender == DUCKDB:
            return module("benchmarks.references.duckdb_reference", *arguments)
        return spark_submit("benchmarks/references/spark_reference.py", *arguments)

    def out(self, contender: str) -> Path:
        """Where a reference writes: a file, or a folder of them."""
        return self.work / f"{self.job}.{contender.replace(' ', '_').lower()}.parquet"

    def log(self, name: str) -> Path:
        """Where the output of a process goes."""
        return self.work / f"{self.job}.{name.replace(' ', '_').lower()}.log"

    @property
    def contenders(self) -> tuple[str, ...]:
        """The job and the references that it has."""
        return (JOB, DUCKDB, SPARK) if self.job in spark_reference.JOBS else (JOB, DUCKDB)


def make_lakehouse(work: Path, sessions: int, days: int, skew: bool, seed: int) -> Path:
    """A lakehouse of that size; one that was made before is taken again."""
    folder = work / f"{sessions}_sessions_{days}_days{'_skewed' if skew else ''}_seed_{seed}"
    arguments = [str(folder), "--sessions", str(sessions), "--days", str(days), "--seed", str(seed)]
    run(module("benchmarks.lakehouse", *arguments, *(["--skew"] if skew else [])), work / "lakehouse.log")
    return folder


def forget_runs(lakehouse: Path) -> None:
    """Deletes all that jobs wrote to a lakehouse of ours, so that each run is the first."""
    if not (lakehouse / MARK).is_file():
        raise SystemExit(f"{lakehouse} is no lakehouse of a benchmark.")
    targets = [table for name in JOBS for table in targets_of(name)]
    for table in (*targets, LEDGER):
        shutil.rmtree(lakehouse.joinpath(*table.split(".")), ignore_errors=True)
    for folder in ("quality", "_data_docs"):
        shutil.rmtree(lakehouse / folder, ignore_errors=True)


def targets_of(job: str) -> tuple[str, ...]:
    """The tables that a job publishes."""
    targets: tuple[str, ...] = job_named(job).default_rollup.targets
    return targets


def size_of_sources(job: str, lakehouse: Path) -> tuple[int, int]:
    """How many rows and bytes the job's sources have, by their logs."""
    tables = [lakehouse.joinpath(*name.split(".")) for name in job_named(job).default_rollup.sources]
    added = [DeltaTable(str(table)).get_add_actions(flatten=True) for table in tables]
    rows, size = (sum(sum(a[name].to_pylist()) for a in added) for name in ("num_records", "size_bytes"))
    return rows, size


def profiled(case: Case) -> dict[str, Any]:
    """Runs the job with Spark's event log, and returns what that says."""
    phases, events = case.work / "phases.jsonl", case.work / "events"
    shutil.rmtree(events, ignore_errors=True)
    events.mkdir()
    logged = {**CONF, "spark.eventLog.dir": events.as_uri()}
    process = spark_submit(
        "benchmarks/profile_job.py", str(phases), case.job, "--lakehouse", str(case.lakehouse), conf=logged
    )
    taken = run(process, case.log("profiled"))
    return read_event_log(events, [("start-up", taken.begun), *read_phases(phases)], taken.ended).as_json()


def verify(case: Case) -> None:
    """Runs the references, and raises `SystemExit` where what the job has published differs."""
    found = []
    for reference in case.contenders[1:]:
        run(case.command(reference), case.log(reference))
        out = case.out(reference)
        files = out / "*.parquet" if out.is_dir() else out
        found += [
            f"{reference}: {difference}"
            for table in targets_of(case.job)
            for difference in differences(case.lakehouse, table, files)
        ]
    if found:
        raise SystemExit("The results differ:\n" + "\n".join(found))


def with_new_hour(case: Case) -> dict[str, Any]:
    """Appends an hour to the sources, and returns what the run does that follows them; checks what it publishes."""
    run(module("benchmarks.new_hour", str(case.lakehouse)), case.log("new_hour"))
    figures = profiled(case)
    verify(case)
    return figures


def timed(case: Case, repeats: int) -> dict[str, Taken]:
    """The quickest process of each, all of them in turn, so that a busy minute of the machine hits all alike."""
    best: dict[str, Taken] = {}
    for _ in range(repeats):
        for contender in case.contenders:
            if contender == JOB:
                forget_runs(case.lakehouse)
            taken = run(case.command(contender), case.log(contender))
            if contender not in best or taken.seconds < best[contender].seconds:
                best[contender] = taken
    return best


def measure(case: Case, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures of one job over one lakehouse."""
    say(f"{case.job} over {case.lakehouse.name}: comparing results")
    forget_runs(case.lakehouse)
    figures = profiled(case)
    verify(case)
    say(f"{case.job} over {case.lakehouse.name}: results are equal, timing")
    best = timed(case, repeats)
    (rows, size), cores = size_of_sources(case.job, case.lakehouse), len(os.sched_getaffinity(0))
    seconds = best[JOB].seconds if best else None
    return {
        "job": case.job,
        "lakehouse": json.loads((case.lakehouse / MARK).read_text(encoding="utf-8")),
        "rows_read": rows,
        "bytes_of_sources": size,
        "rows_per_second_and_core": rows / seconds / cores if seconds else None,
        "times": {name: asdict(taken) for name, taken in best.items()},
        "profile": figures,
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "at": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def main() -> None:
    """Measures as the arguments say, and writes the results and the tables made from them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measures the jobs.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="SESSIONS")
    parser.add_argument("--jobs", nargs="+", default=JOBS, choices=JOBS, metavar="JOB")
    parser.add_argument(
        "--repeats", type=int, default=3, help="processes of which the quickest counts; 0 only compares"
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--skew", action="store_true")
    parser.add_argument(
        "--new-hour",
        action="store_true",
        help="append an hour after the last job, and run it over what is new",
    )
    parser.add_argument("--work", type=Path, default=ROOT / "benchmark-lakehouses", help="where lakehouses are kept")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.json")
    parser.add_argument("--table", type=Path, default=ROOT / "docs" / "performance-table.md")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "images" / "performance.svg")
    given = parser.parse_args()
    work = given.work.absolute()
    work.mkdir(parents=True, exist_ok=True)

    def say(text: str) -> None:
        sys.stderr.write(f"{datetime.now():%H:%M:%S} {text}\n")  # noqa: DTZ005

    results: dict[str, Any] = {"machine": machine(), "repeats": given.repeats, "cases": []}
    for size in given.sizes:
        say(f"a lakehouse of {size} sessions")
        lakehouse = make_lakehouse(work, size, given.days, given.skew, given.seed)
        for job in given.jobs:
            case = Case(job, lakehouse, work)
            results["cases"].append(measure(case, given.repeats, say))
            if given.new_hour and job == given.jobs[-1]:
                say(f"{job}: one more hour")
                results["cases"][-1]["new_hour"] = with_new_hour(case)
            given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        forget_runs(lakehouse)
    text = tables.text_of(results)
    given.table.write_text(text, encoding="utf-8")
    plots.write_plot(results, given.plot)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
