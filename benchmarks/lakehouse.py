"""A large lakehouse to measure on: the sample's sessions at any number, with wide texts, stale copies and invalid rows.

    python -m benchmarks.lakehouse FOLDER --sessions 100000 [--days 90] [--skew] [--seed 7]

The same arguments give the same rows on any machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs.lake import Lake
from jobs.sample import classroom
from jobs.sample.defects import with_defects
from jobs.sample.lakehouse import BUSY_DENSITY, tables_of
from jobs.sample.people import Scale
from jobs.sample.randomness import Dice, key
from jobs.spark_session import open_session
from jobs.storage import LocalFolder
from transforms.catalog import PROMPTS, SESSION_EVENTS, TRANSCRIPTIONS
from transforms.source_rules import RULES

MARK = "_benchmark.json"
"""The file in a lakehouse of ours that says what it was made with: nothing is deleted in a folder without it."""
FIRST_DAY = date(2025, 9, 1)
ROWS_PER_FILE = 250_000
"""A lakehouse that was filled day by day has more than one file per large table, each of some days."""

BUSIEST_SCHOOL = 1
SHARE_OF_BUSIEST_SCHOOL = 0.5
SHARE_OF_BUSIEST_HOUR = 0.2
"""About a hundred times as much as in any other of the roughly 500 hours that have sessions."""

COPIES_PER_MILLE = 5
INVALID_OF_A_KIND_PER_10_000 = 5
BEGINNINGS = (
    "I think", "maybe", "so both sides say that", "the text tells why", "because", "could you check whether",
    "let us write down that", "we should ask if",
)  # fmt: skip
ENDINGS = (
    "the river was there first.", "the graph levels off.", "it fits better than the second answer.", "they agreed?",
    "nobody had seen it before.", "we try a smaller number.", "the table shows more.", "that is the one good reason.",
)  # fmt: skip
PHRASES_OF_A_TEXT = 3


def skewed(sessions: DataFrame, dice: Dice) -> DataFrame:
    """The sessions, half of them in one school and a fifth of them in one hour."""
    hour = F.lit(f"{FIRST_DAY.replace(day=10)} 14:00:00").cast("timestamp")
    moved_by = F.unix_micros(hour) + F.floor(dice.unit("second of the hour", "n") * 3_000) * 1_000_000
    moved_by = moved_by - F.unix_micros("scheduled")
    moved = F.when(dice.chance(SHARE_OF_BUSIEST_HOUR, "busiest hour", "n"), moved_by).otherwise(0)
    moments = ("scheduled", "start", "end", "configured")
    in_busiest = dice.chance(SHARE_OF_BUSIEST_SCHOOL, "busiest school", "n")
    return (
        sessions.withColumn("moved_by", moved)
        .withColumns({name: F.timestamp_micros(F.unix_micros(name) + F.col("moved_by")) for name in moments})
        .withColumn("school_n", F.when(in_busiest, BUSIEST_SCHOOL).otherwise(F.col("school_n")))
        .withColumn("school_id", key("school", "school_n"))
    )


def spoken_text() -> Column:
    """A few phrases by the row's `id`: as long as what is said in one go, and hardly ever the same."""
    phrases = F.array(*[F.lit(f"{beginning} {ending}") for beginning in BEGINNINGS for ending in ENDINGS])
    chosen = [F.pmod(F.xxhash64("id", F.lit(n)), F.lit(64)).cast("int") for n in range(PHRASES_OF_A_TEXT)]
    return F.concat_ws(" ", *[F.get(phrases, number) for number in chosen])


def with_wide_texts(table: str, rows: DataFrame) -> DataFrame:
    """The rows with texts as wide as real ones: no metric reads them, but a scan of all columns would."""
    if table == TRANSCRIPTIONS:
        return rows.withColumn("content", spoken_text())
    if table == PROMPTS:
        return rows.withColumn("prompt_context", spoken_text())
    return rows


def with_copies(table: str, rows: DataFrame) -> DataFrame:
    """The rows, and of one in two hundred also a copy: an older one without its measures where the table tells ages."""
    contract = contract_of(table)
    ages: list[str] = [name for name in ("created_at", "updated_at") if name in contract.column_names]
    has_copy = F.pmod(F.xxhash64("id", F.lit("copy")), F.lit(1000)) < COPIES_PER_MILLE
    copies = F.when(has_copy, F.array(F.lit(False), F.lit(True))).otherwise(F.array(F.lit(False)))
    is_older = F.col("is_copy") & F.coalesce(F.lit(None), *map(F.col, ages)).isNotNull()
    changed = {name: F.when(is_older, F.col(name) - F.expr("INTERVAL 1 HOUR")).otherwise(F.col(name)) for name in ages}
    changed |= {measure.name: F.when(~is_older, F.col(measure.name)) for measure in contract.measures}
    return rows.withColumn("is_copy", F.explode(copies)).withColumns(changed).select(*rows.columns)


def with_invalid_rows(table: str, rows: DataFrame) -> DataFrame:
    """The rows, a few in ten thousand of them broken in each way that the quarantine or the gate's counts know."""
    contract = contract_of(table)
    types = {column.name: column.type for column in contract.columns}
    broken = {"id": ["' '"]}
    if table in RULES and RULES[table].in_session:
        broken["session_id"] = ["'session-that-never-was'", "NULL"]
    if table in RULES and (time := RULES[table].placed_by):
        broken[time] = ["NULL"]
    if table == TRANSCRIPTIONS:
        broken["duration_seconds"] = ["-1"]
    if table == SESSION_EVENTS:
        broken |= {"event_type": ["'paused'"], "payload": ["'not JSON'", "'[]'"]}
    for measure in contract.measures:
        broken[measure.name] = ["double('NaN')" if types[measure.name] == "double" else "-1"]
    bucket, values = 0, {}
    for name, texts in broken.items():
        cases = []
        for text in texts:
            cases.append(f"WHEN {bucket} THEN CAST({text} AS {types[name]})")
            bucket += 1
        values[name] = F.expr(f"CASE defect {' '.join(cases)} ELSE {name} END")
    # From one number per row, so that each has one defect at most.
    defect = F.floor(F.pmod(F.xxhash64("id", F.lit("defect")), F.lit(10_000)) / INVALID_OF_A_KIND_PER_10_000)
    return rows.withColumn("defect", defect).withColumns(values).select(*rows.columns)


def benchmark_tables(
    spark: SparkSession, *, sessions: int, days: int = 30, skew: bool = False, seed: int = 7
) -> dict[str, DataFrame]:
    """The tables that jobs read, by name, each with its contract's columns and types."""
    scale, dice = Scale(sessions, days, FIRST_DAY, BUSY_DENSITY), Dice(seed)
    frame = classroom.session_frame(spark, scale, dice)
    tables = with_defects(tables_of(spark, skewed(frame, dice) if skew else frame, scale, dice))
    return {
        name: with_invalid_rows(name, with_copies(name, with_wide_texts(name, rows)))
        for name, rows in tables.items()
        if name in RULES
    }


def as_it_came(table: str, rows: DataFrame) -> DataFrame:
    """The rows in the order in which a platform that appends would have written them."""
    moments = [name for name in ("created_at", RULES[table].placed_by, "updated_at") if name in rows.columns]
    return rows.orderBy(F.coalesce(*moments), "id")


def write_lakehouse(spark: SparkSession, folder: Path, **arguments: int | bool) -> None:
    """Writes the tables into the folder, which must be new, empty or an earlier one of ours."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise SystemExit(f"{folder} is no lakehouse of a benchmark: choose another folder or delete it.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("null", encoding="utf-8")  # ours, also where this is not carried to the end
    spark.conf.set("spark.sql.files.maxRecordsPerFile", str(ROWS_PER_FILE))
    lake = Lake(spark, LocalFolder(folder))
    for name, rows in benchmark_tables(spark, **arguments).items():  # type: ignore[arg-type]
        lake.overwrite_all(contract_of(name), as_it_came(name, rows))
    (folder / MARK).write_text(json.dumps(arguments), encoding="utf-8")


def main() -> None:
    """Makes a lakehouse as the arguments say, unless the folder holds the same already."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lakehouse", description="Makes a lakehouse to measure on."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--skew", action="store_true", help="half of all in one school, a fifth in one hour")
    arguments = vars(parser.parse_args())
    folder = arguments.pop("folder")
    mark = folder / MARK
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == arguments:
        sys.stderr.write(f"{folder} is as wanted.\n")
        return
    write_lakehouse(open_session("classwaves benchmark lakehouse"), folder, **arguments)


if __name__ == "__main__":
    main()
