"""All three jobs over a Spark Connect server, on the tables that a catalog manages: as close to serverless as here.

The server is a process of its own, and so is each job: neither has a JVM, and the tables have names but no folder.
"""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.connect.conftest import client
from tests.delta_io import load_schemas, read_lake, read_table, write_table
from tests.example import EXAMPLE
from tests.lakehouses import TARGETS, unlike
from tests.oracle.rollups import wanted

WINDOW = ("2025-10-27", "2025-11-03")


@pytest.mark.parametrize(
    "job",
    [
        "teacher_prompt_effectiveness",
        pytest.param("dashboard_metrics_hourly", marks=pytest.mark.long),
        pytest.param("teacher_analytics_summary", marks=pytest.mark.long),
    ],
)
def test_a_job_runs_over_connect_on_managed_tables(server: tuple[int, Path], job: str) -> None:
    port, warehouse = server
    done = client(port, f"jobs/{job}.py", "--catalog", "spark_catalog", "--start", WINDOW[0], "--end", WINDOW[1])
    last_line = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, " rows new, 0 changed, 0 gone" in last_line) == (0, True), done.stderr[-3000:]
    first, end = map(date.fromisoformat, WINDOW)
    rows_wanted = wanted(job, read_lake(EXAMPLE / "lake"), first, end)
    assert len(rows_wanted) > 20
    for table in TARGETS[job]:
        schema, name = table.split(".")
        assert unlike(table, read_table(warehouse / f"{schema}.db" / name), rows_wanted) == []
    # No lock, no page of checks, no staging table: what is in the warehouse are schemas and tables.
    assert all(re.fullmatch(r"\w+\.db", path.name) for path in warehouse.iterdir())
    assert {path.name for path in (warehouse / "quality.db").iterdir()} == {"quarantine", "runs", "validation_results"}


def test_one_folder_after_another_is_opened_in_one_server(server: tuple[int, Path], tmp_path: Path) -> None:
    """Its sessions share one catalog, in which a table's name may still mean the folder of the session before."""
    port, _ = server
    table, managed = "analytics.group_metrics", "users.schools"
    for name in "ab":
        write_table(tmp_path / name, table, [{"id": name}], load_schemas())
    for name in "aba":
        shown = client(port, "-m", "jobs.commands.cli", "show", table, "--json", "--lakehouse", str(tmp_path / name))
        assert [row["id"] for row in json.loads(shown.stdout)] == [name], shown.stderr[-3000:]
    write_table(tmp_path / "a", managed, [{"id": "a"}], load_schemas())
    shown = client(port, "-m", "jobs.commands.cli", "show", managed, "--json", "--lakehouse", str(tmp_path / "a"))
    assert (shown.returncode, shown.stderr.strip().splitlines()[-1]) == (
        4,
        f"The table {managed} cannot be read: the session's catalog has another table of that name.",
    )


def test_nothing_on_a_runs_path_is_denied_to_serverless_compute() -> None:
    """No RDD, no JVM, no cache, no table by its path: what of it there is belongs to a local folder or spark-submit."""
    denied = r"sparkContext|SparkContext|_jvm|\.rdd\b|\.persist\(|\.cache\(|forPath|FROM delta\.`|\.save\("
    found = {
        path.name
        for package in ("jobs", "transforms", "expectations")
        for path in (ROOT / package).rglob("*.py")
        if re.search(denied, path.read_text(encoding="utf-8"))
    }
    assert found == {"spark_session.py", "logs.py"}  # guarded: only under spark-submit and where the session is local
