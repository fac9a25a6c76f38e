"""The direction of a teacher's score: a least-squares line and the interval of its slope."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.student_t import student_t_95

TREND_DAYS = 28
"""Over how many dates, the row's own included, the line is fitted."""
MIN_DATES = 5
"""With fewer scored dates there is no trend."""
_DECIMALS = 9
"""To how many decimals the interval's bounds are rounded: for scores without a slope they are not exactly 0."""


def _sum_over(points: str, term: Callable[[Column], Column]) -> Column:
    return F.aggregate(points, F.lit(0.0), lambda total, point: total + term(point))


def with_improvement_trend(rows: DataFrame) -> DataFrame:
    """The rows (one per `teacher_id` and `summary_date`) with `improvement_trend` of their `avg_session_score`.

    The line is fitted to the scored dates among the `TREND_DAYS` that end with the row's. `improving` or `declining`
    if the two-sided 95 % interval of its slope (Student t, k - 2 degrees of freedom) excludes 0, else `stable`;
    `insufficient_data` with fewer than `MIN_DATES` scored dates. The rows must reach back `TREND_DAYS` - 1 dates.

    Sums are over deviations from the means, not raw squares: an exact line has an interval of zero width, which a
    difference of large sums would miss.
    """
    day = F.unix_date("summary_date")
    until_then = Window.partitionBy("teacher_id").orderBy(day).rangeBetween(1 - TREND_DAYS, Window.currentRow)
    is_scored = F.col("avg_session_score").isNotNull()
    point = F.when(is_scored, F.struct(day.cast("double").alias("x"), F.col("avg_session_score").alias("y")))
    mean_x, mean_y, slope = F.col("trend_mean_x"), F.col("trend_mean_y"), F.col("trend_slope")
    margin = student_t_95(F.col("trend_k") - 2) * F.sqrt(
        F.try_divide(F.col("trend_residual"), (F.col("trend_k") - 2) * F.col("trend_spread"))
    )
    trend = (
        F.when(F.col("trend_k") < MIN_DATES, "insufficient_data")
        .when(F.round(slope - margin, _DECIMALS) > 0, "improving")
        .when(F.round(slope + margin, _DECIMALS) < 0, "declining")
        .otherwise("stable")
    )
    return (
        rows.withColumn("trend_points", F.collect_list(point).over(until_then))
        .withColumn("trend_k", F.size("trend_points"))
        .withColumns(
            {
                "trend_mean_x": F.try_divide(_sum_over("trend_points", lambda p: p.x), F.col("trend_k")),
                "trend_mean_y": F.try_divide(_sum_over("trend_points", lambda p: p.y), F.col("trend_k")),
            }
        )
        .withColumns(
            {
                "trend_spread": _sum_over("trend_points", lambda p: (p.x - mean_x) * (p.x - mean_x)),
                "trend_product": _sum_over("trend_points", lambda p: (p.x - mean_x) * (p.y - mean_y)),
            }
        )
        .withColumn("trend_slope", F.try_divide("trend_product", "trend_spread"))
        .withColumn(
            "trend_residual",
            _sum_over("trend_points", lambda p: F.pow(p.y - mean_y - slope * (p.x - mean_x), 2)),
        )
        .withColumn("improvement_trend", trend)
        .select(*rows.columns, "improvement_trend")
    )
