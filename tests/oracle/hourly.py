"""The hourly dashboard metrics by the metric definitions: one row per school and hour."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from . import common
from .common import HOUR, Row, Session, Tables, mean, measure, percentage, total, word

TABLE = "analytics.dashboard_metrics_hourly"
STABILITY = {"excellent": 100, "good": 75, "fair": 50, "poor": 25}


@dataclass
class Facts:
    """What belongs to one school and hour."""

    active: list[Session] = field(default_factory=list)
    completed: list[Session] = field(default_factory=list)
    present: list[tuple[Row, datetime, datetime]] = field(default_factory=list)  # a participant with its interval
    events: list[Row] = field(default_factory=list)
    transcriptions: list[Row] = field(default_factory=list)  # the final ones
    generated: list[Row] = field(default_factory=list)
    used: list[Row] = field(default_factory=list)
    interventions: list[Row] = field(default_factory=list)
    system_events: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    analyses: list[Row] = field(default_factory=list)
    session_analyses_completed: list[Row] = field(default_factory=list)
    session_analyses_failed: list[Row] = field(default_factory=list)


def rows(
    tables: Tables,
    start: datetime,
    end: datetime,
    run_start: datetime,
    max_session_hours: float = 24,
    open_session_hours: float = 4,
    transcription_cost_per_minute: float = 0.006,
    compute_cost_per_second: float = 0.00025,
) -> list[Row]:
    """The rows of the hours that begin in [start, end), widened to whole hours, and before the run's start."""
    good = common.usable(tables)
    sessions = common.sessions(good, max_session_hours, open_session_hours)
    recordings = [
        (sessions[row["session_id"]].school, row["created_at"], measure(row, "file_size_bytes"))
        for row in good[common.RECORDINGS]
        if row.get("created_at") is not None
    ]
    result = []
    for (school, hour), facts in sorted(_facts(good, sessions).items(), key=lambda item: item[0]):
        if common.hour_of(start) <= hour < end and hour < run_start:
            stored = [size for owner, created, size in recordings if owner == school and created < hour + HOUR]
            result.append(
                {
                    "id": common.identity(TABLE, school, hour),
                    "school_id": school,
                    "metric_hour": hour,
                    **_metrics(hour, facts, transcription_cost_per_minute, compute_cost_per_second),
                    "total_storage_gb": total(stored) / 1e9,
                    "calculation_method": "hourly_rollup",
                }
            )
    return result


def _facts(good: Tables, sessions: dict[str, Session]) -> dict[tuple[str, datetime], Facts]:
    """Every fact under its school and hour, or hours; facts without a school or a time are left out."""
    by_hour: dict[tuple[str | None, datetime], Facts] = defaultdict(Facts)

    def at(row: Row, time: str) -> Facts:
        """Where a fact of a session goes by one of its times; nowhere without that time."""
        instant = row.get(time)
        if instant is None:
            return Facts()
        return by_hour[sessions[row["session_id"]].school, common.hour_of(instant)]

    for session in sessions.values():
        if session.start is not None and session.end is not None:
            for hour in common.hours_overlapped(session.start, session.end):
                by_hour[session.school, hour].active.append(session)
        if session.recorded_end is not None:
            by_hour[session.school, common.hour_of(session.recorded_end)].completed.append(session)
    for row in good[common.PARTICIPANTS]:
        session = sessions[row["session_id"]]
        join, leave = common.interval(row, session)
        for hour in common.hours_overlapped(join, leave):
            by_hour[session.school, hour].present.append((row, join, leave))
    for row in good[common.EVENTS]:
        at(row, "event_time").events.append(row)
    for row in good[common.TRANSCRIPTIONS]:
        if row.get("is_final"):
            at(row, "start_time").transcriptions.append(row)
    for row in good[common.PROMPTS]:
        at(row, "generated_at").generated.append(row)
        at(row, "used_at").used.append(row)
    for row in good[common.INTERVENTIONS]:
        if row.get("acted_upon"):
            at(row, "acted_at").interventions.append(row)
    for row in good[common.ANALYSES]:
        at(row, "analysis_timestamp").analyses.append(row)
    for row in good[common.ANALYTICS]:
        if word(row, "status") == "completed":
            at(row, "computed_at").session_analyses_completed.append(row)
        if word(row, "status") == "failed":
            at(row, "failed_at").session_analyses_failed.append(row)
    for row in good[common.API]:
        by_hour[common.reference(row, "school_id"), common.hour_of(row["timestamp"])].requests.append(row)
    for row in good[common.SYSTEM]:
        of_session = sessions.get(row.get("session_id") or "")
        school = common.reference(row, "school_id") or (of_session.school if of_session else None)
        by_hour[school, common.hour_of(row["created_at"])].system_events.append(row)
    return {(school, hour): facts for (school, hour), facts in by_hour.items() if school is not None}


def _metrics(hour: datetime, facts: Facts, cost_per_minute: float, cost_per_second: float) -> Row:
    active = facts.active
    groups = [group for session in active for group in session.groups]
    minutes = total(common.duration(row) for row in facts.transcriptions) / 60
    processing = [measure(row, "processing_time_ms") for row in facts.analyses]
    completed, failed = len(facts.session_analyses_completed), len(facts.session_analyses_failed)
    severities = [word(row, "severity") for row in facts.system_events]
    codes = [row["status_code"] for row in facts.requests if row.get("status_code") is not None]
    return {
        "sessions_active": len(active),
        "sessions_completed": len(facts.completed),
        "teachers_active": len({session.teacher for session in active} - {None}),
        "students_active": len({common.person(row) for row, _, _ in facts.present}),
        "total_groups": len(groups),
        "ready_groups": sum(_ready_groups(session, hour) for session in active),
        "avg_session_quality": mean(session.quality for session in active),
        "avg_engagement_score": mean(session.engagement for session in active),
        "avg_participation_rate": mean(session.participation for session in active),
        "avg_collaboration_score": mean(measure(group, "collaboration_score") for group in groups),
        "avg_audio_quality": _audio_quality(facts.transcriptions),
        "avg_connection_stability": mean(
            STABILITY.get(word(row, "connection_quality") or "") for row, _, _ in facts.present
        ),
        "total_errors": sum(severity in ("error", "critical") for severity in severities),
        "total_alerts": sum(severity in ("warning", "error", "critical") for severity in severities),
        "avg_response_time": mean(measure(row, "response_time_ms") for row in facts.requests),
        "error_rate": percentage(sum(code >= 500 for code in codes), len(codes)),
        "websocket_connections": _peak(hour, [(join, leave) for _, join, leave in facts.present]),
        "avg_latency_ms": mean(map(common.latency, facts.events)),
        "total_prompts_generated": len(facts.generated),
        "total_prompts_used": len(facts.used),
        "total_interventions": len(facts.interventions),
        "ai_analyses_completed": len(facts.analyses),
        "avg_ai_processing_time": mean(processing),
        "ai_analysis_success_rate": percentage(completed, completed + failed),
        "total_transcription_minutes": minutes,
        "estimated_compute_cost": minutes * cost_per_minute + total(processing) / 1000 * cost_per_second,
        "data_sources_count": len({session.id for session in active + facts.completed})
        + len(facts.present)
        + len(facts.events)
        + len(facts.transcriptions)
        + len({row["id"] for row in facts.generated + facts.used})
        + len(facts.interventions)
        + len(facts.system_events)
        + len(facts.requests)
        + len(facts.analyses)
        + completed
        + failed,
    }


def _ready_groups(session: Session, hour: datetime) -> int:
    """The session's groups that a leader_ready event of it names at any time before the hour's end."""
    ready = session.readiness()
    return sum(group["id"] in ready and ready[group["id"]] < hour + HOUR for group in session.groups)


def _audio_quality(transcriptions: list[Row]) -> float | None:
    """100 x the mean confidence, weighted by duration; null where the weights sum to 0."""
    pairs = [(measure(row, "confidence_score"), common.duration(row) or 0.0) for row in transcriptions]
    known = [(confidence, weight) for confidence, weight in pairs if confidence is not None]
    weights = total(weight for _, weight in known)
    return 100 * total(confidence * weight for confidence, weight in known) / weights if weights else None


def _peak(hour: datetime, intervals: list[tuple[datetime, datetime]]) -> int:
    """The greatest number of intervals that hold one instant of the hour; one begins at any greatest number."""
    instants = {max(join, hour) for join, _ in intervals}
    return max((sum(join <= instant < leave for join, leave in intervals) for instant in instants), default=0)
