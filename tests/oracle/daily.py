"""The daily teacher summaries by the metric definitions: one row per teacher and local date."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from . import common
from .common import Row, Session, Tables, mean, measure, percentage, word

TABLE = "analytics.teacher_analytics_summary"
TREND_DAYS = 28
MIN_PEERS = 5
MIN_TREND_DATES = 5

# The eight averages whose presence is the quality of a row's data.
AVERAGES = (
    "avg_session_score",
    "avg_participation_rate",
    "avg_engagement_score",
    "avg_prompt_response_time",
    "avg_effectiveness_score",
    "avg_collaboration_score",
    "avg_critical_thinking_score",
    "avg_discussion_quality_score",
)


@dataclass
class Day:
    """What belongs to one teacher and local date."""

    sessions: list[Session] = field(default_factory=list)
    prompts: list[Row] = field(default_factory=list)


@cache
def zone(name: str | None) -> tzinfo:
    """A teacher's time zone: a name of the IANA database with a slash, exact in case; else UTC."""
    return ZoneInfo(name) if name is not None and "/" in name and name in available_timezones() else timezone.utc


def rows(
    tables: Tables,
    start_date: date,
    end_date: date,
    max_session_hours: float = 24,
    open_session_hours: float = 4,
) -> list[Row]:
    """The rows of the dates in [start_date, end_date), with the columns of both tables."""
    good = common.usable(tables)
    sessions = common.sessions(good, max_session_hours, open_session_hours)
    teachers = {row["id"]: row for row in good[common.TEACHERS]}
    final = _by_session(row for row in good[common.TRANSCRIPTIONS] if row.get("is_final"))
    interventions = _by_session(good[common.INTERVENTIONS])

    made = [
        _metrics(teacher, day, facts, teachers.get(teacher, {}), final, interventions)
        for (teacher, day), facts in sorted(_facts(good, sessions, teachers).items(), key=lambda item: item[0])
    ]
    scores = {
        (row["teacher_id"], row["summary_date"]): row["avg_session_score"]
        for row in made
        if row["avg_session_score"] is not None
    }
    by_date: dict[date, list[Row]] = defaultdict(list)
    for row in made:
        by_date[row["summary_date"]].append(row)
    return [
        {
            **row,
            **_comparison(row, by_date[row["summary_date"]]),
            "improvement_trend": _trend(row["teacher_id"], row["summary_date"], scores),
        }
        for row in made
        if start_date <= row["summary_date"] < end_date
    ]


def _by_session(facts: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in facts:
        found[row["session_id"]].append(row)
    return found


def _facts(good: Tables, sessions: dict[str, Session], teachers: dict[str, Row]) -> dict[tuple[str, date], Day]:
    """Every session and prompt under its teacher and local date; those without either are left out."""
    days: dict[tuple[str, date], Day] = defaultdict(Day)

    def local_date(teacher: str, instant: datetime) -> date:
        return instant.astimezone(zone(teachers.get(teacher, {}).get("timezone"))).date()

    for session in sessions.values():
        if session.teacher is not None and session.start is not None:
            days[session.teacher, local_date(session.teacher, session.start)].sessions.append(session)
    for prompt in good[common.PROMPTS]:
        teacher = common.reference(prompt, "teacher_id") or sessions[prompt["session_id"]].teacher
        if teacher is not None:
            days[teacher, local_date(teacher, prompt["generated_at"])].prompts.append(prompt)
    return days


def _metrics(
    teacher: str,
    day: date,
    facts: Day,
    teacher_row: Row,
    final_transcriptions: dict[str, list[Row]],
    suggestions: dict[str, list[Row]],
) -> Row:
    """The columns that the teacher's own day decides."""
    sessions, prompts = facts.sessions, facts.prompts
    groups = [group for session in sessions for group in session.groups]
    events = [event for session in sessions for event in session.events]
    final = [row for session in sessions for row in final_transcriptions.get(session.id, [])]
    alerts = [row for session in sessions for row in suggestions.get(session.id, [])]
    interventions = [row for row in alerts if row.get("acted_upon")]
    used = [row for row in prompts if row.get("used_at") is not None]
    schools = sorted(session.school for session in sessions if session.school is not None)
    gave = {
        "ai_insights.teacher_guidance_metrics": prompts,
        "analytics.session_events": events,
        "sessions.classroom_sessions": sessions,
        "sessions.student_groups": groups,
        "sessions.transcriptions": final,
    }
    data_points = len(sessions) + len(prompts)
    row: Row = {
        "id": common.identity(TABLE, teacher, day),
        "teacher_id": teacher,
        "school_id": common.reference(teacher_row, "school_id") or (schools[0] if schools else None),
        "summary_date": day,
        "total_sessions": len(sessions),
        "avg_session_score": mean(session.quality for session in sessions),
        "avg_participation_rate": mean(session.participation for session in sessions),
        "avg_engagement_score": mean(session.engagement for session in sessions),
        "total_session_duration_minutes": sum(map(_minutes, sessions)),
        "total_prompts_shown": len(prompts),
        "total_prompts_used": len(used),
        "total_prompts_dismissed": sum(row.get("dismissed_at") is not None for row in prompts),
        "prompt_usage_rate": percentage(len(used), len(prompts)),
        "avg_prompt_response_time": mean(map(common.response_time, prompts)),
        "avg_effectiveness_score": mean(measure(row, "effectiveness_score") for row in prompts),
        "avg_collaboration_score": mean(measure(group, "collaboration_score") for group in groups),
        "avg_critical_thinking_score": mean(measure(group, "argumentation_quality") for group in groups),
        "avg_discussion_quality_score": mean(map(_discussion_quality, groups)),
        "confidence_score": data_points / (data_points + 10),
        "calculation_method": "daily_rollup",
        "source_tables": sorted(f"classwaves.{table}" for table, given in gave.items() if given),
        "total_interventions": len(interventions),
        "avg_intervention_rate": len(interventions) / len(sessions) if sessions else None,
        "total_alerts_generated": len(alerts),
        "avg_alert_response_time": mean(map(_alert_response_time, interventions)),
        "avg_group_completion_rate": percentage(
            sum(word(group, "status") == "completed" for group in groups), len(groups)
        ),
        "total_leader_ready_events": sum(word(event, "event_type") == "leader_ready" for event in events),
        "avg_group_readiness_time": mean(time for session in sessions for time in _readiness_times(session)),
        "data_points_included": data_points + len(final),
    }
    row["data_quality_score"] = sum(row[name] is not None for name in AVERAGES) / len(AVERAGES)
    return row


def _minutes(session: Session) -> int:
    """actual_duration_minutes, else the whole minutes from the start to the recorded end, else 0."""
    recorded = measure(session.row, "actual_duration_minutes")
    if recorded is not None:
        return int(recorded)
    if session.start is None or session.recorded_end is None:
        return 0
    return (session.recorded_end - session.start) // timedelta(minutes=1)


def _discussion_quality(group: Row) -> float | None:
    return mean([measure(group, "topical_cohesion"), measure(group, "conceptual_density")])


def _alert_response_time(intervention: Row) -> float | None:
    """The seconds from the suggestion to the action; null where one is missing or it would be negative."""
    if intervention.get("acted_at") is None:
        return None
    result = common.seconds(intervention["created_at"], intervention["acted_at"])
    return result if result >= 0 else None


def _readiness_times(session: Session) -> list[float]:
    """Minutes from the configuration (else the start) to readiness, of the session's groups that were ready."""
    ready = session.readiness()
    begin = min(session.times("configured"), default=session.start)
    assert begin is not None, "a session of a date has a start"
    return [
        max(common.seconds(begin, ready[group["id"]]) / 60, 0.0) for group in session.groups if group["id"] in ready
    ]


def _comparison(row: Row, of_date: list[Row]) -> Row:
    """The score less the mean of the other teachers' of that date; of all, and of those of the same school."""
    score = row["avg_session_score"]
    others = [
        other
        for other in of_date
        if other["teacher_id"] != row["teacher_id"] and other["avg_session_score"] is not None
    ]
    school = row["school_id"]
    colleagues = [other for other in others if school is not None and other["school_id"] == school]

    def less_mean(peers: list[Row]) -> float | None:
        average = mean(peer["avg_session_score"] for peer in peers)
        return None if score is None or average is None or len(peers) < MIN_PEERS else score - average

    return {"vs_peer_average": less_mean(others), "vs_school_average": less_mean(colleagues)}


def _trend(teacher: str, day: date, scores: dict[tuple[str, date], float]) -> str:
    """Whether the 95 % interval of the slope over the scored dates of four weeks excludes 0."""
    days_ago = range(TREND_DAYS)
    points = [(-ago, scores.get((teacher, day - timedelta(days=ago)))) for ago in days_ago]
    known = [(float(x), y) for x, y in points if y is not None]
    k = len(known)
    if k < MIN_TREND_DATES:
        return "insufficient_data"
    mean_x = math.fsum(x for x, _ in known) / k
    mean_y = math.fsum(y for _, y in known) / k
    spread = math.fsum((x - mean_x) ** 2 for x, _ in known)
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in known) / spread
    residual = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in known)
    half_width = common.student_t_95(k - 2) * math.sqrt(residual / (k - 2) / spread)
    if round(slope - half_width, 9) > 0:
        return "improving"
    if round(slope + half_width, 9) < 0:
        return "declining"
    return "stable"
