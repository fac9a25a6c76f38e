"""The effectiveness of prompts by the metric definitions: one row per category, subject, phase, priority and period."""

import math
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone

from . import common
from .common import Row, Tables, mean, measure, percentage

TABLE = "ai_insights.teacher_prompt_effectiveness"
DIMENSIONS = ("prompt_category", "subject_area", "session_phase", "priority_level")
MIN_INTERVAL = 5


def rows(tables: Tables, start_date: date, end_date: date, period: str = "week") -> list[Row]:
    """The rows of the periods ('day', 'week' or 'month') that [start_date, end_date) touches."""
    cells: dict[tuple[date, tuple[str, ...]], list[Row]] = defaultdict(list)
    for prompt in common.usable(tables)[common.PROMPTS]:
        first = period_start(prompt["generated_at"].astimezone(timezone.utc).date(), period)
        cells[first, tuple(common.dimension(prompt, name) or "unknown" for name in DIMENSIONS)].append(prompt)
    return [
        _metrics(dimensions, first, period_end(first, period), prompts)
        for (first, dimensions), prompts in sorted(cells.items(), key=lambda item: item[0])
        if first < end_date and period_end(first, period) > start_date
    ]


def period_start(day: date, period: str) -> date:
    """The first day of the period that holds a day."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    return {"day": day, "month": day.replace(day=1)}[period]


def period_end(first: date, period: str) -> date:
    """The first day after the period."""
    if period == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days={"day": 1, "week": 7}[period])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def _metrics(dimensions: tuple[str, ...], first: date, after: date, prompts: list[Row]) -> Row:
    start, end = _midnight(first), _midnight(after)
    generated = len(prompts)
    acknowledged, used, dismissed = (
        sum(prompt.get(time) is not None for prompt in prompts)
        for time in ("acknowledged_at", "used_at", "dismissed_at")
    )
    measured = [measure(prompt, "effectiveness_score") for prompt in prompts]
    scores = [score for score in measured if score is not None]
    deviation = _deviation(scores)
    lower, upper = _interval(scores, deviation)
    return {
        "id": common.identity(TABLE, *dimensions, start, end),
        **dict(zip(DIMENSIONS, dimensions, strict=True)),
        "total_generated": generated,
        "total_acknowledged": acknowledged,
        "total_used": used,
        "total_dismissed": dismissed,
        "acknowledgment_rate": percentage(acknowledged, generated),
        "usage_rate": percentage(used, generated),
        "dismissal_rate": percentage(dismissed, generated),
        "avg_effectiveness_score": mean(scores),
        "avg_feedback_rating": mean(measure(prompt, "feedback_rating") for prompt in prompts),
        "avg_response_time_seconds": mean(map(common.response_time, prompts)),
        "avg_learning_impact": mean(measure(prompt, "learning_outcome_improvement") for prompt in prompts),
        "std_dev_effectiveness": deviation,
        "confidence_interval_lower": lower,
        "confidence_interval_upper": upper,
        "data_points": len(scores),
        "calculation_period_start": start,
        "calculation_period_end": end,
    }


def _deviation(scores: list[float]) -> float | None:
    """The sample standard deviation; null under two scores."""
    average = mean(scores)
    if average is None or len(scores) < 2:
        return None
    return math.sqrt(math.fsum((score - average) ** 2 for score in scores) / (len(scores) - 1))


def _interval(scores: list[float], deviation: float | None) -> tuple[float | None, float | None]:
    """The two-sided 95 % Student-t interval of the mean; null under five scores."""
    average = mean(scores)
    n = len(scores)
    if average is None or deviation is None or n < MIN_INTERVAL:
        return None, None
    half_width = common.student_t_95(n - 1) * deviation / math.sqrt(n)
    return average - half_width, average + half_width
