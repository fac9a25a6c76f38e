"""Histories at random: sources change in every way between runs, and each run leaves the rows that the oracle makes."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake import Lake
from jobs.storage import LocalFolder
from tests.delta_io import Row, Tables, load_schemas, read_lake, write_lake, write_table
from tests.jobs.test_incremental_runs import CASES, NOW, mismatches
from tests.lakehouses import long_sources, run
from tests.messy_lakehouse import SCHOOLS, messy_tables
from transforms.catalog import SESSIONS, TEACHERS
from transforms.source_rules import RULES

ROUNDS = 4
STAMPS = ("updated_at", "created_at")
OLDEST = datetime(1900, 1, 1, tzinfo=timezone.utc)


def has_key(row: Row) -> bool:
    return bool((row["id"] or "").strip())


def sources_in(lakehouse: Path) -> Tables:
    return {table: rows for table, rows in read_lake(lakehouse).items() if table in RULES}


class Changes:
    """Changes of a lakehouse's sources at random; each has stamps of its own, so that no copies tie."""

    def __init__(self, spark: SparkSession, lakehouse: Path, dice: random.Random) -> None:
        self.spark, self.lakehouse, self.dice = spark, lakehouse, dice
        self.schemas, self.stamp = load_schemas(), datetime(2025, 12, 24, tzinfo=timezone.utc)

    def make(self, tables: Tables) -> str:
        """Makes one change of the lakehouse that holds these tables, and says which."""
        table = self.dice.choice(sorted(tables))
        row = self.dice.choice([row for row in tables[table] if has_key(row)])
        sessions = [session["id"] for session in tables[SESSIONS] if has_key(session)]
        kinds: dict[str, Callable[[], object]] = {
            "new": lambda: self.append(table, {**row, "id": self.new_key()}),
            "newer copy": lambda: self.append(table, self.of_another_school(row)),
            "older copy": lambda: self.append(table, self.of_another_school(row), is_newer=False),
            "moved in time": lambda: self.append(table, self.moved(row)),
            "moved to a session": lambda: self.append(table, self.in_session(row, [*sessions, "gone", " "])),
            "without a key": lambda: self.append(table, {**row, "id": self.dice.choice([None, " "])}),
            "without a time": lambda: self.append(table, {**row, **dict.fromkeys([RULES[table].placed_by or "id"])}),
            "updated": lambda: self.update(table, row["id"], sessions),
            "oldest copy deleted": lambda: self.delete_oldest(table, [r for r in tables[table] if has_key(r)]),
        }
        kind = self.dice.choice(sorted(kinds))
        kinds[kind]()
        return f"{table}: {kind}"

    def new_key(self) -> str:
        return f"new-{self.dice.getrandbits(40)}"

    def columns_of(self, table: str) -> set[str]:
        return {column[0] for column in self.schemas[table]}

    def stamps_of(self, table: str) -> list[str]:
        return [name for name in STAMPS if name in self.columns_of(table)]

    def append(self, table: str, row: Row, *, is_newer: bool = True) -> None:
        self.stamp += timedelta(microseconds=1)
        stamp = self.stamp if is_newer else self.stamp - timedelta(days=500)
        if not self.stamps_of(table) and has_key(row):  # nothing would tell which copy is newer
            row = {**row, "id": self.new_key()}
        write_table(self.lakehouse, table, [{**row, **dict.fromkeys(self.stamps_of(table), stamp)}], mode="append")

    def of_another_school(self, row: Row) -> Row:
        return {**row, **({"school_id": self.dice.choice([*SCHOOLS, None])} if "school_id" in row else {})}

    def in_session(self, row: Row, sessions: list[str]) -> Row:
        return {**row, **({"session_id": self.dice.choice(sessions)} if "session_id" in row else {})}

    def moved(self, row: Row) -> Row:
        by = self.dice.choice([timedelta(hours=1), timedelta(days=-3), timedelta(microseconds=1), timedelta(days=11)])
        return {name: value + by if isinstance(value, datetime) else value for name, value in row.items()}

    def update(self, table: str, key: str, sessions: list[str]) -> None:
        values = {
            SESSIONS: ["actual_end = actual_end + INTERVAL 3 HOURS", "actual_start = NULL", "teacher_id = 'teacher-3'"],
            TEACHERS: ["timezone = 'Asia/Tokyo'", "school_id = 'school-c'", "school_id = NULL"],
        }.get(table, [f"session_id = '{name}'" for name in sessions])
        if "session_id" in self.columns_of(table) or table in (SESSIONS, TEACHERS):
            self.change(table, f"UPDATE {table} SET {self.dice.choice(values)} WHERE id = '{key}'")

    def delete_oldest(self, table: str, rows: list[Row]) -> None:
        """A copy that is older than another of its key: what counts is as before."""
        names = self.stamps_of(table)
        ages: dict[str, set[tuple[datetime, ...]]] = {}
        for row in rows:
            ages.setdefault(row["id"], set()).add(tuple(row[name] or OLDEST for name in names))
        if copied := sorted(key for key, found in ages.items() if len(found) > 1):
            key = self.dice.choice(copied)
            stamps = zip(names, min(ages[key]), strict=True)
            same = [f"coalesce({n}, '{OLDEST.isoformat()}') = '{stamp.isoformat()}'" for n, stamp in stamps]
            self.change(table, f"DELETE FROM {table} WHERE id = '{key}' AND {' AND '.join(same)}")

    def change(self, table: str, statement: str) -> None:
        Lake(self.spark, LocalFolder(self.lakehouse)).register([table])
        self.spark.sql(statement)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_each_run_leaves_what_the_oracle_makes(spark: SparkSession, tmp_path: Path, name: str, seed: int) -> None:
    dice, case, first = random.Random(seed), CASES[name], messy_tables(seed, sessions=60)
    write_lake(tmp_path, first, with_feed=seed != 2)  # whose runs compare versions instead
    run(spark, tmp_path, case.job, run_start=NOW)
    assert mismatches(case, tmp_path, first) == []
    changes, now = Changes(spark, tmp_path, dice), sources_in(tmp_path)
    for number in range(ROUNDS):
        made = [changes.make(now) for _ in range(dice.choice([1, 3, 6]))]
        if dice.random() < 0.5:  # what a run over a window publishes may be taken back before the next one
            run(spark, tmp_path, case.job, "2025-01-01", "2026-01-01", run_start=NOW + timedelta(seconds=30 + number))
            made += ["a run over a window", *[changes.make(sources_in(tmp_path)) for _ in range(3)]]
        with long_sources():
            run(spark, tmp_path, case.job, run_start=NOW + timedelta(minutes=1 + number))
        now = sources_in(tmp_path)
        # The storage of later hours is not restated where a recording comes late.
        assert (made, mismatches(case, tmp_path, now, but_for=("total_storage_gb",))) == (made, [])
