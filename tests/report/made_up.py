"""Reports that are made up: what Spark would have added up, without Spark."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta, timezone
from typing import Any

from jobs.report.contents import EVERYONE, TRENDS, Report, Rows, Span
from transforms.teacher_prompt_effectiveness import DIMENSIONS

MADE_AT = datetime(2026, 7, 1, 6, 0, tzinfo=timezone.utc)
NOW = int(MADE_AT.timestamp() * 1000)
ACTIVITY = (
    "sessions_completed", "active_hours", "engagement", "participation", "errors", "error_rate", "most_people",
    "most_connections", "latency_ms", "prompts_generated", "prompts_used",
)  # fmt: skip
KINDS = ("clarity", "energy", "deepening", "unknown")
SOURCES = ("sessions.transcriptions", "analytics.session_events", "users.teachers")
JOBS = ("dashboard_metrics_hourly", "teacher_analytics_summary", "teacher_prompt_effectiveness.week")


def report(schools: int, teachers: int, span: Span, seed: int = 7) -> Report:
    """A report on that many schools with that many teachers each, busy in every week and every hour of the week."""
    chance = random.Random(seed)
    ids = [f"school-{number:06d}" for number in range(1, schools + 1)]
    scopes = [EVERYONE, *ids]
    days = 1 if span.grain == "day" else 7
    monday = span.first - timedelta(span.first.weekday())
    starts = _every(days, span.first if days == 1 else monday, span.last)
    mondays = _every(7, monday, span.last)

    def score() -> float | None:
        return None if chance.random() < 0.05 else chance.uniform(30, 95)

    def activity() -> tuple[Any, ...]:
        made = chance.randrange(200)
        return (
            chance.randrange(90), chance.randrange(60), score(), score(), chance.randrange(40), chance.uniform(0, 9),
            chance.randrange(400), chance.randrange(300), chance.uniform(20, 200), made, chance.randrange(made + 1),
        )  # fmt: skip

    def of_teacher(school: str, teacher: int, start: date) -> tuple[Any, ...]:
        shown = chance.randrange(40)
        return (
            school, f"teacher-{school[-6:]}-{teacher:03d}", start, chance.randrange(1, 15), score(), score(), shown,
            chance.randrange(shown + 1), chance.choice(TRENDS),
        )  # fmt: skip

    def week(scope: str, start: date) -> tuple[Any, ...]:
        trends = [chance.randrange(9) for _ in TRENDS]
        return (scope, start, sum(trends), score(), score(), chance.randrange(99), 50, chance.randrange(50), *trends)

    def prompt(n: int, *key: Any) -> tuple[Any, ...]:
        mean = chance.uniform(0.3, 0.9) if n else None
        bounds = (mean - 0.1, mean + 0.1) if mean and n >= 5 else (None, None)
        return (*key, n + 3, n, n // 2, n // 4, n, mean, *bounds, 70.0, 40.0, 12.5)

    prompt_columns = (
        "generated", "acknowledged", "used", "dismissed", "n", "mean", "lower", "upper", "acknowledged_rate",
        "used_rate", "dismissed_rate",
    )  # fmt: skip
    week_columns = ("sessions", "score", "engagement", "prompts_shown", "prompts_used")
    return Report(
        made_at=MADE_AT,
        span=span,
        school=None,
        period="week",
        totals=Rows(("scope", *ACTIVITY), [(scope, *activity()) for scope in scopes]),
        periods=Rows(
            ("scope", "start", *ACTIVITY), [(scope, start, *activity()) for scope in scopes for start in starts]
        ),
        profile=Rows(
            ("scope", "weekday", "hour", "sessions", "engagement"),
            [
                (scope, weekday, hour, chance.uniform(0.02, 8), score())
                for scope in scopes
                for weekday in range(7)
                for hour in range(24)
            ],
        ),
        teachers=Rows(("scope", "teachers"), [(EVERYONE, schools * teachers), *[(school, teachers) for school in ids]]),
        teacher_weeks=Rows(
            ("school_id", "teacher", "start", *week_columns, "trend"),
            [of_teacher(school, teacher, start) for school in ids for teacher in range(teachers) for start in mondays],
        ),
        weeks=Rows(
            ("scope", "start", "teachers", "score", "engagement", "sessions", *week_columns[3:], *TRENDS),
            [week(scope, start) for scope in scopes for start in mondays],
        ),
        prompts=Rows(
            ("dimension", "value", *prompt_columns),
            [prompt(n, name, kind) for name in DIMENSIONS for kind, n in zip(KINDS, (40, 12, 3, 0), strict=True)],
        ),
        prompt_periods=Rows(
            ("start", "end", *prompt_columns), [prompt(30, start, start + timedelta(7)) for start in mondays]
        ),
        freshness=Rows(
            ("source", "newest", "in_future", "written_at", "version", "version_read", "commits_behind"),
            [(source, NOW - 86_400_000 * age, 0, NOW - 3_600_000, 7, 6, 1) for age, source in enumerate(SOURCES, 1)],
        ),
        quarantined=Rows(
            ("source", "reason", "rejected", "resolved", "last_seen_at"),
            [(source, reason, 4, 1, NOW) for source in SOURCES for reason in ("missing_key", "duplicate_key")],
        ),
        verdicts=Rows(
            ("job", "run_id", "kind", "checked_at", "passed", "warnings", "refusals"),
            [(job, f"{job}-1", "expectation", NOW, 50, 1, 0) for job in JOBS],
        ),
        runs=Rows(
            (
                "run_start", "job", "status", "seconds", "rows_new", "rows_changed", "rows_gone", "rows_unchanged",
                "checks", "failed_checks", "message",
            ),
            [
                (NOW - 3_600_000, JOBS[0], "succeeded", 61.2, 10, 2, 0, 99, 51, 1, None),
                (NOW - 1_800_000, JOBS[1], "rejected", 33.0, None, None, None, None, 51, 1, "No </script>."),
            ],
        ),
    )  # fmt: skip


def _every(days: int, first: date, last: date) -> list[date]:
    return [first + timedelta(days * number) for number in range((last - first).days // days + 1)]


MONTH = Span(date(2026, 6, 1), date(2026, 6, 30))
YEAR = Span(date(2025, 7, 1), date(2026, 6, 30))
