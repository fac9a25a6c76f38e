"""What Spark's event log says a run did: figures that, unlike seconds, are the same whatever else the machine does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]

CONF = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.rolling.enabled": "false",
    "spark.eventLog.compress": "false",
}
OF_SCANS = {"number of files read": "files_read", "size of files read": "bytes_of_files_read"}
"""Metrics of scans, and what they are here. A task's own count of bytes misses what is read from a local folder."""


@dataclass
class Figures:
    """Of a run, a phase or a stage.

    `busy_seconds`: how long at least one task ran; in the rest the driver plans, commits or waits.
    `bytes_of_files_read` are whole files, whatever columns of them are read. `peak_execution_bytes`: the most that one
    task held.
    """

    seconds: float = 0.0
    busy_seconds: float = 0.0
    jobs: int = 0
    stages: int = 0
    tasks: int = 0
    cpu_ms: int = 0
    files_read: int = 0
    bytes_of_files_read: int = 0
    records_read: int = 0
    shuffle_bytes_written: int = 0
    spilled_disk_bytes: int = 0
    peak_execution_bytes: int = 0
    bytes_written: int = 0

    def add_task(self, metrics: Event) -> None:
        """Takes a task's metrics in."""
        self.tasks += 1
        self.cpu_ms += metrics["Executor CPU Time"] // 1_000_000
        self.records_read += metrics["Input Metrics"]["Records Read"]
        self.shuffle_bytes_written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
        self.spilled_disk_bytes += metrics["Disk Bytes Spilled"]
        self.peak_execution_bytes = max(self.peak_execution_bytes, metrics["Peak Execution Memory"])
        self.bytes_written += metrics["Output Metrics"]["Bytes Written"]


@dataclass
class Stage:
    """A stage that ran: when it was submitted (seconds of the clock), how long it took, what it is part of."""

    number: int
    name: str
    submitted: float
    seconds: float
    figures: Figures = field(default_factory=Figures)
    phase: str = ""


@dataclass
class Run:
    """A run's figures in all, by phase in the order of the phases, and its stages."""

    total: Figures
    phases: dict[str, Figures]
    stages: list[Stage]

    def as_json(self) -> dict[str, Any]:
        """The run as JSON has it, with the ten longest stages."""
        longest = sorted(self.stages, key=lambda stage: -stage.seconds)[:10]
        return {
            "total": asdict(self.total),
            "phases": {name: asdict(figures) for name, figures in self.phases.items()},
            "longest_stages": [asdict(stage) for stage in longest],
        }


def read_phases(file: Path) -> list[tuple[str, float]]:
    """Name and beginning of each phase, as `profiled` wrote them."""
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [(line["phase"], line["at"]) for line in lines]


def read_event_log(folder: Path, phases: Sequence[tuple[str, float]], ended: float) -> Run:
    """The run of the one event log in the folder; `ended`: when its process did, in seconds of the clock.

    A stage belongs to the phase in which it was submitted. A phase that comes several times is added up.
    """
    names = dict.fromkeys(name for name, _ in phases)
    run = Run(Figures(), {name: Figures() for name in names}, [])
    for (name, begin), (_, end) in zip(phases, [*phases[1:], ("", ended)], strict=True):
        run.phases[name].seconds += end - begin
    run.total.seconds = ended - phases[0][1]

    def phase_at(seconds: float) -> str:
        return next((name for name, begin in reversed(phases) if begin <= seconds), phases[0][0])

    def count(at: float, name: str, number: int) -> None:
        for figures in (run.total, run.phases[phase_at(at)]):
            setattr(figures, name, getattr(figures, name) + number)

    stages: dict[int, Stage] = {}
    scanned: dict[int, tuple[float, str]] = {}
    ran: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    begun: dict[int, float] = {}
    for event in _events(folder):
        kind = event["Event"].rpartition(".")[2]
        if kind == "SparkListenerJobStart":
            count(event["Submission Time"] / 1000, "jobs", 1)
        elif kind == "SparkListenerStageSubmitted":
            info = event["Stage Info"]
            at = info.get("Submission Time", 0) / 1000
            stages[info["Stage ID"]] = Stage(info["Stage ID"], info["Stage Name"], at, 0.0, phase=phase_at(at))
        elif kind == "SparkListenerStageCompleted":
            info = event["Stage Info"]
            stage = stages[info["Stage ID"]]
            stage.seconds = (info["Completion Time"] - info["Submission Time"]) / 1000
            count(stage.submitted, "stages", 1)
        elif kind == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            stage = stages[event["Stage ID"]]
            for figures in (run.total, run.phases[stage.phase], stage.figures):
                figures.add_task(event["Task Metrics"])
            info = event["Task Info"]
            ran[stage.phase].append((info["Launch Time"] / 1000, info["Finish Time"] / 1000))
        elif kind == "SparkListenerSQLExecutionStart":
            begun[event["executionId"]] = event["time"] / 1000
            scanned |= _scans(event["sparkPlanInfo"], begun[event["executionId"]])
        elif kind == "SparkListenerSQLAdaptiveExecutionUpdate":
            scanned |= _scans(event["sparkPlanInfo"], begun.get(event["executionId"], 0.0))
        elif kind == "SparkListenerDriverAccumUpdates":
            for number, value in event["accumUpdates"]:
                if number in scanned:
                    count(*scanned[number], value)
    for name, intervals in ran.items():
        run.phases[name].busy_seconds = _covered(intervals)
    run.total.busy_seconds = _covered([interval for intervals in ran.values() for interval in intervals])
    run.stages = sorted(stages.values(), key=lambda stage: stage.submitted)
    return run


def _events(folder: Path) -> Iterator[Event]:
    (log,) = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _scans(plan: Event, at: float) -> dict[int, tuple[float, str]]:
    """The accumulators of the metrics of scans in a plan and below: when it began, and what they count."""
    found = {m["accumulatorId"]: (at, OF_SCANS[m["name"]]) for m in plan["metrics"] if m["name"] in OF_SCANS}
    for child in plan["children"]:
        found |= _scans(child, at)
    return found


def _covered(intervals: Sequence[tuple[float, float]]) -> float:
    """The length of what the intervals cover together."""
    total, until = 0.0, 0.0
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
