"""Every command of docs/operations.md, in its order, on one lakehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT
from tests.documents import LAKEHOUSE, carry_out, commands, make_lakehouse
from tests.lakehouses import EFFECTIVENESS, rows_of, version_of


@pytest.mark.long
def test_every_command_of_the_document_does_what_it_says(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    make_lakehouse()
    lines = commands("operations.md")
    assert len(lines) > 12
    outputs: dict[str, str] = {}
    published: list[dict[str, Any]] = []
    for kind, line in lines:
        carry_out(spark, kind, line, monkeypatch)
        outputs[line] = "".join(capsys.readouterr())
        if "RESTORE" in line:
            assert rows_of(LAKEHOUSE, EFFECTIVENESS) == published
        if not published:
            published = rows_of(LAKEHOUSE, EFFECTIVENESS)
            assert len(published) > 10
    (rehearsed,) = (text for line, text in outputs.items() if line.startswith("classwaves run") and "--dry-run" in line)
    assert "nothing would change" in rehearsed
    skipped, again = (
        outputs[line] for line in outputs if line.startswith("classwaves backfill") and "--dry" not in line
    )
    assert (skipped.count("done before"), "2 chunks, 0 of them" in skipped, "1 chunks, 0 of them" in again) == (
        1,
        True,
        True,
    )
    assert "succeeded" in outputs["classwaves show quality.runs --lakehouse demo-lakehouse"]
    assert EFFECTIVENESS in outputs["classwaves maintain --lakehouse demo-lakehouse"]
    assert rows_of(LAKEHOUSE, EFFECTIVENESS) == published
    assert version_of(LAKEHOUSE, EFFECTIVENESS) > 1
