"""Several processes that run one job over one lakehouse at the same time: the tables are those of one run."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.delta_io import Tables, write_lake
from tests.faults.process import start
from tests.lakehouses import TARGETS, rows_of, unlike
from tests.messy_lakehouse import messy_tables
from tests.oracle.rollups import wanted

WINDOWS = [
    ("2025-10-20", "2025-10-27"),
    ("2025-10-27", "2025-11-03"),
    ("2025-11-03", "2025-11-10"),
    ("2025-11-10", "2025-11-17"),
]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return messy_tables(10, sessions=60)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        pytest.param("teacher_prompt_effectiveness", WINDOWS[1:2] * 2, id="two-same", marks=LONG),
        pytest.param("teacher_prompt_effectiveness", WINDOWS, id="four-neighbours", marks=LONG),
        pytest.param("dashboard_metrics_hourly", WINDOWS[1:2] * 2, id="hourly-two-same", marks=LONG),
        pytest.param("dashboard_metrics_hourly", WINDOWS[1:2] * 4, id="hourly-four-same", marks=LONG),
        pytest.param("dashboard_metrics_hourly", WINDOWS, id="hourly-four-neighbours", marks=LONG),
        pytest.param("teacher_analytics_summary", WINDOWS[:2], id="daily-two-neighbours", marks=LONG),
    ],
)
def test_runs_at_the_same_time_make_the_tables_of_one_run(
    tmp_path: Path, tables: Tables, name: str, windows: list[tuple[str, str]]
) -> None:
    lakehouse = tmp_path / "lake"
    write_lake(lakehouse, tables)
    racing = [start(name, lakehouse, window) for window in windows]
    ended = [(process.communicate()[0], process.returncode) for process in racing]
    logs = "\n".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.log"))
    assert [status for _, status in ended] == [0] * len(windows), logs[-4000:]
    first, end = date.fromisoformat(min(windows)[0]), date.fromisoformat(max(windows)[1])
    for table in TARGETS[name]:
        assert unlike(table, rows_of(lakehouse, table), wanted(name, tables, first, end)) == []
    ledger = rows_of(lakehouse, "users.analytics_job_metadata")
    assert {row["status"] for row in ledger} == {"succeeded"}
    assert len(ledger) == len(set(windows))
    assert list((lakehouse / "quality").glob("staging_*")) == []
    shutil.rmtree(lakehouse)
