"""What a job publishes, computed by Spark alone: one statement by hand, without gate, staging and quarantine.

spark-submit --properties-file conf/spark.properties benchmarks/references/spark_reference.py JOB LAKEHOUSE OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession

TEXTS = Path(__file__).parent / "spark"
JOBS = ("dashboard_metrics_hourly",)
"""Those that have a statement."""

_WHITE_SPACE = (
    r"\\t\\n\\u000b\\f\\r\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
)
_FUNCTIONS = {
    "known(name STRING)": f"CASE WHEN name RLIKE '[^{_WHITE_SPACE}]' THEN name END",
    "word(name STRING)": f"lower(regexp_replace(name, '^[{_WHITE_SPACE}]+|[{_WHITE_SPACE}]+$', ''))",
}


def compute(spark: SparkSession, job: str, lakehouse: Path, out: Path) -> None:
    """Writes the rows to Parquet files in a folder."""
    for log in lakehouse.glob("*/*/_delta_log"):
        schema, table = log.parts[-3:-1]
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        spark.sql(f"CREATE TABLE IF NOT EXISTS {schema}.{table} USING delta LOCATION '{log.parent}'")
    for signature, body in _FUNCTIONS.items():
        spark.sql(f"CREATE OR REPLACE TEMPORARY FUNCTION {signature} RETURN {body}")
    spark.sql((TEXTS / f"{job}.sql").read_text(encoding="utf-8")).write.mode("overwrite").parquet(str(out))


if __name__ == "__main__":
    session = SparkSession.builder.appName("classwaves reference").getOrCreate()
    compute(session, sys.argv[1], Path(sys.argv[2]).absolute(), Path(sys.argv[3]).absolute())
