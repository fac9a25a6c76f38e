"""The trend of a teacher's score over four weeks."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession

from transforms.trend import with_improvement_trend

Scores = dict[int, float | None]
"""Score by the number of days before the last date; null for a date without one."""

LAST = date(2025, 9, 30)


def line(slope: float, days: range, start: float = 50.0) -> Scores:
    return {ago: start - slope * ago for ago in days}


CASES: dict[str, tuple[Scores, str]] = {
    "four dates are too few": (line(1.0, range(4)), "insufficient_data"),
    "five dates on a rising line": (line(1.0, range(5)), "improving"),
    "five dates on a falling line": (line(-1.0, range(5)), "declining"),
    "a slope that is hardly one is one on an exact line": (line(1e-6, range(28)), "improving"),
    "a slope under the rounding is none": (line(1e-10, range(28)), "stable"),
    "equal scores": (dict.fromkeys(range(10), 0.1 + 0.2), "stable"),
    "a wide scatter around a rise": ({0: 60.0, 1: 40.0, 2: 70.0, 3: 20.0, 4: 50.0}, "stable"),
    "a scatter too narrow to hide a rise": ({0: 60.0, 1: 57.0, 2: 56.0, 3: 52.0, 4: 50.0}, "improving"),
    "the date 27 days ago is the first that counts": (line(1.0, range(0, 28, 6)) | {27: 23.0}, "improving"),
    "the date 28 days ago does not count": ({0: 50.0, 7: 43.0, 14: 36.0, 21: 29.0, 28: 22.0}, "insufficient_data"),
    "nor does it pull the line": (line(1.0, range(5)) | {28: 99.0}, "improving"),
    "dates without a score are left out": (line(1.0, range(5)) | {7: None, 8: None}, "improving"),
    "a date without a score has a trend all the same": (line(1.0, range(1, 6)) | {0: None}, "improving"),
    "a date without a score is no fifth": (line(1.0, range(1, 5)) | {0: None}, "insufficient_data"),
}


@pytest.fixture(scope="module")
def trends(spark: SparkSession) -> dict[str, str]:
    """The last date's trend of each case, all of them teachers of one frame."""
    rows = [
        (name, LAST - timedelta(days=ago), score)
        for name, (scores, _) in CASES.items()
        for ago, score in scores.items()
    ]
    frame = spark.createDataFrame(rows, "teacher_id string, summary_date date, avg_session_score double")
    found = with_improvement_trend(frame).where(f"summary_date = DATE '{LAST}'").collect()
    assert len(found) == len(CASES)
    return {row["teacher_id"]: row["improvement_trend"] for row in found}


@pytest.mark.parametrize("name", CASES)
def test_the_trend_is_the_sign_of_the_slope_where_its_interval_excludes_zero(trends: dict[str, str], name: str) -> None:
    assert trends[name] == CASES[name][1]
