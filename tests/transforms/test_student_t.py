"""Student's t against an independent bisection of its distribution."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.oracle import common
from transforms.student_t import student_t_95


def test_it_is_exact_to_1e_9_for_every_number_of_degrees(spark: SparkSession) -> None:
    numbers = [*range(1, 301), 500, 999, 1000, 4321, 10_000, 100_001]
    rows = spark.createDataFrame([(n,) for n in numbers], "degrees bigint")
    found = {
        row["degrees"]: row["t"] for row in rows.select("degrees", student_t_95(F.col("degrees")).alias("t")).collect()
    }
    assert {n: t for n, t in found.items() if abs(t - common.student_t_95(n)) > 1e-9} == {}
    assert len(found) == len(numbers)


def test_there_is_none_without_a_degree_of_freedom_and_few_for_a_million(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(-1,), (0,), (None,), (10**12,)], "degrees bigint")
    found = [row["t"] for row in rows.select(student_t_95(F.col("degrees")).alias("t")).collect()]
    assert found[:3] == [None, None, None]
    assert abs(found[3] - 1.959963984540054) < 1e-9
