"""docs/how-to/add-a-metric.md, carried out as it stands on a copy of the code: computed, gated, in table and report."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.conftest import ROOT, combined_properties
from tests.delta_io import load_schemas, write_table
from tests.documents import LAKEHOUSE, Block, blocks, commands, make_lakehouse
from tests.lakehouses import DAILY_OF_USERS, EFFECTIVENESS, HOURLY, rows_of
from tests.processes import own_environment
from tests.report.pages import Page

PAGE = "how-to/add-a-metric.md"
METRIC = "reaction_rate"
DAYS = ((10, 1), (11, 30))
COPIED = ("conf", "docs", "expectations", "jobs", "tests", "transforms", "pyproject.toml")

# One process and one JVM for all commands of the page, with what makes small runs quick.
CARRY_OUT = """
import shlex, subprocess, sys
import pytest
from jobs import spark_session
from jobs.commands import cli

for line in sys.stdin.read().splitlines():
    words = shlex.split(line)
    if words[:3] == ["python", "-m", "pytest"]:
        assert pytest.main([*words[3:], "-p", "no:cacheprovider"]) == 0, line
    elif words[0] == "make" or line.startswith("export PATH="):
        pass  # what they make is there
    elif words[0] == "classwaves":
        spark_session.properties_file = lambda: "PROPERTIES"
        sys.argv = words
        cli.main()
    else:
        subprocess.run(["bash", "-c", line], check=True)
"""


def apply(block: Block, folder: Path) -> None:
    """Makes the edit that a block tells: an entry at the end of a contract, a change of lines, a file of its own."""
    assert block.title
    file = folder / block.title
    if block.kind == "diff":
        lines = block.text.splitlines()
        old = "\n".join(line[1:] for line in lines if line[0] in " -")
        new = "\n".join(line[1:] for line in lines if line[0] in " +")
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{block.title} is not as the page has it"
        file.write_text(text.replace(old, new), encoding="utf-8")
    elif file.exists():
        file.write_text(file.read_text(encoding="utf-8") + block.text, encoding="utf-8")
    else:
        file.write_text(block.text, encoding="utf-8")


def as_it_stands(block: Block) -> Block:
    """A contract's entries are indented, which the block's text has lost."""
    if block.kind != "yaml":
        return block
    return Block(block.kind, block.title, "".join(f"  {line}\n" for line in block.text.splitlines()))


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A copy of the code with all edits of the page."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    edits = [block for block in blocks(PAGE) if block.title]
    assert [block.kind for block in edits] == ["yaml", "diff", "diff", "python"]
    for block in edits:
        apply(as_it_stands(block), tmp_path)
    return tmp_path


def test_the_edits_fit_the_code(edited: Path) -> None:
    titles = [block.title for block in blocks(PAGE) if block.title]
    assert all(METRIC in (edited / title).read_text(encoding="utf-8") for title in titles)


@pytest.mark.long
def test_one_entry_one_expression_and_one_test_make_a_metric(
    tmp_path: Path, edited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(edited)
    make_lakehouse()
    # What `make demo` has made: the table as it was before the metric, and what else the report reads.
    hours = [{"school_id": "north", "metric_hour": datetime(2025, *day, tzinfo=timezone.utc)} for day in DAYS]
    for table, given in {EFFECTIVENESS: [], HOURLY: hours, DAILY_OF_USERS: []}.items():
        write_table(LAKEHOUSE, table, given, load_schemas())

    properties = combined_properties(tmp_path / "spark.properties")
    done = subprocess.run(
        [sys.executable, "-c", CARRY_OUT.replace("PROPERTIES", str(properties))],
        input="\n".join(line for _, line in commands(PAGE)),
        cwd=tmp_path,
        env=own_environment(PYTHONPATH=str(tmp_path), COLUMNS="200"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert METRIC in done.stdout

    rows = rows_of(LAKEHOUSE, EFFECTIVENESS)
    assert len(rows) > 10
    for row in rows:
        most = max(row["total_acknowledged"], row["total_used"], row["total_dismissed"])
        all_of_them = row["total_acknowledged"] + row["total_used"] + row["total_dismissed"]
        reacted = row[METRIC] * row["total_generated"] / 100
        assert most - 1e-9 <= reacted <= min(all_of_them, row["total_generated"]) + 1e-9
    checks = [check for check in rows_of(LAKEHOUSE, "quality.validation_results") if check["subject"] == METRIC]
    assert {check["check_name"] for check in checks} == {
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_between",
    }
    assert all(check["success"] for check in checks)

    data = Page((tmp_path / LAKEHOUSE / "report.html").read_text(encoding="utf-8")).data
    (chart,) = (chart for chart in data["charts"] if chart["said"] == METRIC)
    assert chart["title"] == "Reaction rate"
    periods = data["shared"]["prompt_periods"]
    by_start: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for row in rows:
        by_start[f"{row['calculation_period_start']:%Y-%m-%d}"].append((row[METRIC], row["total_generated"]))
    assert len(periods[METRIC]) > 2
    for start, shown in zip(periods["start"], periods[METRIC], strict=True):
        reacted = sum(share * generated for share, generated in by_start[start])
        assert shown == pytest.approx(reacted / sum(n for _, n in by_start[start]), abs=0.051), start
    assert f"### {METRIC}" in (tmp_path / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
