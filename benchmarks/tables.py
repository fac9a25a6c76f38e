"""The results of a benchmark as tables for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = {
    "phase": "",
    "seconds": "s",
    "busy_seconds": "s with a task",
    "jobs": "jobs",
    "stages": "stages",
    "tasks": "tasks",
    "cpu_ms": "CPU s",
    "files_read": "files read",
    "records_read": "rows read",
    "bytes_of_files_read": "MB of files",
    "shuffle_bytes_written": "MB shuffled",
    "spilled_disk_bytes": "MB spilled",
    "peak_execution_bytes": "MB of a task",
    "bytes_written": "MB written",
}


def text_of(results: Mapping[str, Any]) -> str:
    """The document: times first, then what each job did, phase by phase."""
    machine = results["machine"]
    lines = [
        "# Measured",
        "",
        f"By `make bench`, {machine['at']}: {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"Python {machine['python']}. A time is that of whole processes, the best of {results['repeats']}; "
        "results were equal before times counted. How to read it: [performance.md](performance.md).",
        "",
        *_table(
            ["job", "sessions", "rows", "job, s", "CPU s", "GB", "DuckDB, s", "ratio", "Spark SQL, s", "ratio",
             "rows per s and core"],
            [_times(case) for case in results["cases"] if case["times"]],
        ),
    ]  # fmt: skip
    for case in results["cases"]:
        lines += ["", f"## {_name(case)}", "", *_table([*COLUMNS.values()], _phases(case["profile"]))]
        if "new_hour" in case:
            share = case["new_hour"]["total"]["bytes_of_files_read"] / case["bytes_of_sources"]
            lines += [
                "",
                f"### One more hour: files of {share:.2f} times the sources' bytes are read",
                "",
                *_table([*COLUMNS.values()], _phases(case["new_hour"])),
            ]
    return "\n".join(lines) + "\n"


def _name(case: Mapping[str, Any]) -> str:
    lake = case["lakehouse"]
    title = f"{case['job']}, {lake['sessions']:,} sessions"
    return f"{title}, {lake['days']} days{', skewed' if lake['skew'] else ''}"


def _times(case: Mapping[str, Any]) -> list[str]:
    times = case["times"]
    own = times["job"]["seconds"]

    def beside(reference: str) -> list[str]:
        if reference not in times:
            return ["", ""]
        return [f"{times[reference]['seconds']:.1f}", f"{own / times[reference]['seconds']:.2f}"]

    return [
        f"`{case['job']}`",
        f"{case['lakehouse']['sessions']:,}",
        f"{case['rows_read']:,}",
        f"{own:.1f}",
        f"{times['job']['cpu_seconds']:.0f}",
        f"{times['job']['peak_bytes'] / 1e9:.1f}",
        *beside("DuckDB"),
        *beside("Spark SQL"),
        f"{case['rows_per_second_and_core']:,.0f}",
    ]


def _phases(profile: Mapping[str, Any]) -> list[list[str]]:
    rows = [*profile["phases"].items(), ("in all", profile["total"])]
    return [
        [name, *(_cell(column, figures[column]) for column in COLUMNS if column != "phase")] for name, figures in rows
    ]


def _cell(column: str, value: float) -> str:
    if column.endswith("seconds"):
        return f"{value:.1f}"
    if column == "cpu_ms":
        return f"{value / 1000:.1f}"
    return f"{value / 1e6:,.1f}" if "bytes" in column else f"{value:,}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
