"""One more hour in a benchmark's lakehouse: the busiest hour of its first day again, after all others.

    python -m benchmarks.new_hour FOLDER

Its sessions come with all rows that belong to them, under keys of their own; the folder is then no
longer what it was made as.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from benchmarks.lakehouse import FIRST_DAY, MARK
from jobs.lake import Lake
from jobs.spark_session import open_session
from jobs.storage import LocalFolder
from transforms.catalog import SESSIONS
from transforms.columns import hour_of
from transforms.source_rules import RULES

KEYS = ("id", "session_id", "group_id")


def moved(rows: DataFrame, days: int) -> DataFrame:
    """The rows so many days later, under new keys."""
    later = {
        field.name: F.col(field.name) + F.make_dt_interval(days=F.lit(days))
        for field in rows.schema
        if isinstance(field.dataType, TimestampType)
    }
    return rows.withColumns(later | {name: F.concat(F.lit("new-"), name) for name in KEYS if name in rows.columns})


def append_hour(lake: Lake, tables: list[str], days: int) -> None:
    """Appends to these tables the sessions that started in the busiest hour of the first day, so many days later."""
    lake.register(tables)
    sessions = lake.latest(SESSIONS)
    of_first_day = sessions.where(F.to_date("actual_start") == F.lit(FIRST_DAY))
    hours = of_first_day.groupBy(hour_of(F.col("actual_start")).alias("hour")).count()
    (busiest,) = hours.orderBy(F.desc("count"), "hour").limit(1).select(F.unix_seconds("hour").alias("hour")).collect()
    is_in_hour = F.unix_seconds(hour_of(F.col("actual_start"))) == busiest["hour"]
    of_hour = sessions.where(is_in_hour).select("id").distinct()
    for table in tables:
        rows = lake.latest(table)
        key = "id" if table == SESSIONS else "session_id"
        if key in rows.columns:
            lake.append(table, moved(rows.join(of_hour.withColumnRenamed("id", key), key, how="left_semi"), days))


def main() -> None:
    """Appends the hour to the folder of the first argument."""
    folder = Path(sys.argv[1])
    mark = folder / MARK
    days = json.loads(mark.read_text(encoding="utf-8"))["days"]
    mark.write_text("null", encoding="utf-8")
    lake = Lake(open_session("classwaves benchmark hour"), LocalFolder(folder))
    append_hour(lake, [table for table in RULES if lake.exists(table)], days)


if __name__ == "__main__":
    main()
