"""Which of a table's commits made what it holds now, by its history alone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from jobs.commits import standing_commits

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("operations", "standing"),
    [
        pytest.param([], [], id="a table without commits"),
        pytest.param(["CREATE TABLE", "WRITE", "OPTIMIZE"], [2, 1, 0], id="all"),
        pytest.param(["CREATE TABLE", "WRITE", "WRITE", ("RESTORE", "1")], [3, 1, 0], id="without an undone one"),
        pytest.param(
            ["CREATE TABLE", "WRITE", "WRITE", ("RESTORE", "1"), "WRITE", ("RESTORE", "4")],
            [5, 4, 3, 1, 0],
            id="a restore of what came after another",
        ),
        pytest.param(
            ["CREATE TABLE", "WRITE", ("RESTORE", "0"), "WRITE", ("RESTORE", "1")],
            [4, 1, 0],
            id="a restore of what another had undone",
        ),
        pytest.param(["CREATE TABLE", "WRITE", ("RESTORE", None), "WRITE"], [3, 2], id="a restore to a timestamp"),
        pytest.param(["CREATE TABLE", "WRITE", "CLONE", "WRITE"], [3, 2], id="a clone in its place"),
        pytest.param(
            ["CREATE TABLE", "WRITE", "CREATE OR REPLACE TABLE AS SELECT", ("RESTORE", "1")],
            [3, 1, 0],
            id="a replacement that was undone",
        ),
    ],
)
def test_only_what_was_not_undone_stands(operations: list[str | tuple[str, str | None]], standing: list[int]) -> None:
    named = [each if isinstance(each, tuple) else (each, None) for each in operations]
    history = [
        {"version": version, "timestamp": AT, "operation": operation, "restored": restored, "userMetadata": None}
        for version, (operation, restored) in enumerate(named)
    ]
    assert [commit.version for commit in standing_commits(history)] == standing
