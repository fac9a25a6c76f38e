"""Every command of docs/operations.md, in its order, on one lakehouse."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import cli
from tests.conftest import ROOT
from tests.delta_io import write_lake
from tests.lakehouses import PROMPTS, rows_of, version_of
from tests.messy import messy_tables
from tests.processes import own_environment

LAKEHOUSE = Path("demo-lakehouse")


def commands() -> list[tuple[str, str]]:
    """The kind (`sh` or `sql`) and the text of each line of the document's blocks."""
    blocks = re.findall(r"^```(sh|sql)\n(.*?)^```", (ROOT / "docs" / "operations.md").read_text(), re.S | re.M)
    return [(kind, line) for kind, block in blocks for line in block.splitlines()]


def carry_out(spark: SparkSession, kind: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "sql":
        spark.sql(line).collect()
    elif line.startswith("classwaves "):
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        cli.main()
    else:
        subprocess.run(["bash", "-c", line], env=own_environment(), check=True, capture_output=True)


def test_every_command_of_the_document_does_what_it_says(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    needed = ("ai_insights.teacher_guidance_metrics", "sessions.classroom_sessions")
    write_lake(LAKEHOUSE, {table: rows for table, rows in messy_tables(3, sessions=40).items() if table in needed})
    lines = commands()
    assert len(lines) > 12
    told: dict[str, str] = {}
    published: list[dict[str, object]] = []
    for kind, line in lines:
        carry_out(spark, kind, line, monkeypatch)
        told[line] = "".join(capsys.readouterr())
        if "RESTORE" in line:
            assert rows_of(LAKEHOUSE, PROMPTS) == published
        if not published:
            published = rows_of(LAKEHOUSE, PROMPTS)
            assert len(published) > 10
    (rehearsed,) = (text for line, text in told.items() if line.startswith("classwaves run") and "--dry-run" in line)
    assert "nothing would change" in rehearsed
    skipped, again = (told[line] for line in told if line.startswith("classwaves backfill") and "--dry" not in line)
    assert (skipped.count("done before"), "2 chunks, 0 of them" in skipped, "1 chunks, 0 of them" in again) == (
        1,
        True,
        True,
    )
    assert "succeeded" in told["classwaves show quality.runs --lakehouse demo-lakehouse"]
    assert PROMPTS in told["classwaves maintain --lakehouse demo-lakehouse"]
    assert rows_of(LAKEHOUSE, PROMPTS) == published
    assert version_of(LAKEHOUSE, PROMPTS) > 1
