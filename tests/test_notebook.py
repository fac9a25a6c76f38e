"""The quick start: a notebook for Jupyter and for Databricks, and plain Python."""

from __future__ import annotations

from typing import Any

import jupytext
import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT

NOTEBOOK = ROOT / "notebooks" / "quick_start.py"


@pytest.mark.long
def test_the_quick_start_does_what_it_says(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "quick_start"}
    exec(compile(NOTEBOOK.read_text(encoding="utf-8"), NOTEBOOK.name, "exec"), names)
    assert names["outcome"].changes[names["table"]].new > 10
    assert names["again"].window is None
    output = capsys.readouterr().out
    assert "0 of them failed" in output
    assert "nothing changed" in output


def test_jupyter_and_databricks_see_the_same_cells() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert text.startswith("# Databricks notebook source\n")
    first, *cells = jupytext.reads(text, fmt="py:percent").cells
    assert first.source == "# Databricks notebook source"
    assert [cell.cell_type for cell in cells] == ["markdown", "code"] * (len(cells) // 2)
    assert not any("COMMAND" in cell.source for cell in cells if cell.cell_type == "markdown")
    assert len(text.split("\n# COMMAND ----------\n")) == len(cells) // 2
