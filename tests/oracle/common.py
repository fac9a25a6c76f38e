"""The common rules of the metric definitions: usable rows, ranges, spans, overlap, identity, payloads, quality."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]

HOUR = timedelta(hours=1)

SESSIONS = "sessions.classroom_sessions"
PARTICIPANTS = "sessions.participants"
GROUPS = "sessions.student_groups"
TRANSCRIPTIONS = "sessions.transcriptions"
EVENTS = "analytics.session_events"
ANALYTICS = "analytics.session_analytics"
PROMPTS = "ai_insights.teacher_guidance_metrics"
INTERVENTIONS = "ai_insights.intervention_suggestions"
ANALYSES = "ai_insights.analysis_results"
API = "operational.api_metrics"
SYSTEM = "operational.system_events"
RECORDINGS = "audio.recordings"
TEACHERS = "users.teachers"

# Every source of a metric; those with a session come after the sessions.
SOURCES = (
    SESSIONS,
    PARTICIPANTS,
    GROUPS,
    TRANSCRIPTIONS,
    EVENTS,
    ANALYTICS,
    PROMPTS,
    INTERVENTIONS,
    ANALYSES,
    RECORDINGS,
    API,
    SYSTEM,
    TEACHERS,
)

# The sources whose rows must belong to a usable session.
WITH_SESSION = {
    PARTICIPANTS,
    GROUPS,
    TRANSCRIPTIONS,
    EVENTS,
    ANALYTICS,
    PROMPTS,
    INTERVENTIONS,
    ANALYSES,
    RECORDINGS,
}

# The time that places a row, of the sources in which it may not be null.
PLACING_TIME = {
    EVENTS: "event_time",
    TRANSCRIPTIONS: "start_time",
    PROMPTS: "generated_at",
    PARTICIPANTS: "join_time",
    INTERVENTIONS: "created_at",
    SYSTEM: "created_at",
    API: "timestamp",
    ANALYSES: "analysis_timestamp",
}

EVENT_TYPES = {"configured", "started", "leader_ready", "member_join", "member_leave", "ended"}

# Inclusive ranges of the measures; a measure must be finite, too.
RANGES: dict[str, tuple[float, float]] = {
    "confidence_score": (0, 1),
    "feedback_rating": (1, 5),
    "response_time_seconds": (0, math.inf),
    "response_time_ms": (0, math.inf),
    "processing_time_ms": (0, math.inf),
    "actual_duration_minutes": (0, math.inf),
    "file_size_bytes": (0, math.inf),
    "engagement_score": (0, 100),
    "participation_rate": (0, 100),
    "collaboration_score": (0, 100),
    "argumentation_quality": (0, 100),
    "topical_cohesion": (0, 100),
    "conceptual_density": (0, 100),
    "effectiveness_score": (-math.inf, math.inf),
    "learning_outcome_improvement": (-math.inf, math.inf),
}

DOMAINS = {
    "prompt_category": {
        "facilitation",
        "deepening",
        "redirection",
        "collaboration",
        "assessment",
        "energy",
        "clarity",
    },
    "priority_level": {"high", "medium", "low"},
    "session_phase": {"opening", "development", "synthesis", "closure"},
    "subject_area": {"math", "science", "literature", "history", "general"},
}


# --- values of a row ---------------------------------------------------------------------------------------------


def reference(row: Row, column: str) -> str | None:
    """A key or a reference: exact and untrimmed, but null when it is nothing but white space."""
    text = row.get(column)
    return text if text is not None and text.strip() else None


def word(row: Row, column: str) -> str | None:
    """A text of a domain: trimmed of white space and in lower case; null when blank."""
    text = row.get(column)
    return (text.strip().lower() or None) if text is not None else None


def dimension(row: Row, column: str) -> str | None:
    """A dimension of a prompt: null when it is outside its domain."""
    text = word(row, column)
    return text if text in DOMAINS[column] else None


def measure(row: Row, column: str) -> float | None:
    """A measure: null when it is not finite or outside its range."""
    value = row.get(column)
    if value is None or not math.isfinite(value):
        return None
    low, high = RANGES[column]
    return float(value) if low <= value <= high else None


def payload(row: Row) -> dict[str, Any]:
    """The payload's JSON object; empty when it is null, does not parse or is no object."""
    text = row.get("payload")
    try:
        value = json.loads(text, parse_constant=_no_constant) if text is not None else {}
    except ValueError:
        value = {}
    return value if isinstance(value, dict) else {}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def group_named(event: Row) -> str | None:
    """The groupId of the payload, if it is a string that is not blank."""
    value = payload(event).get("groupId")
    return value if isinstance(value, str) and value.strip() else None


def latency(event: Row) -> float | None:
    """The latencyMs of the payload, if it is a finite JSON number that is not negative."""
    value = payload(event).get("latencyMs")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def seconds(start: datetime, end: datetime) -> float:
    """The (signed) seconds between two instants."""
    return (end - start) / timedelta(seconds=1)


def duration(transcription: Row) -> float | None:
    """The duration of a transcription: duration_seconds, else end_time - start_time."""
    value = transcription.get("duration_seconds")
    if value is not None:
        return float(value)
    start, end = transcription.get("start_time"), transcription.get("end_time")
    return None if start is None or end is None else seconds(start, end)


def response_time(prompt: Row) -> float | None:
    """The response time of a prompt in seconds: as recorded, else from generation to the first reaction."""
    recorded = measure(prompt, "response_time_seconds")
    if recorded is not None:
        return recorded
    reactions = [t for t in map(prompt.get, ("acknowledged_at", "used_at", "dismissed_at")) if t is not None]
    if not reactions:
        return None
    result = seconds(prompt["generated_at"], min(reactions))
    return result if result >= 0 else None


# --- aggregates --------------------------------------------------------------------------------------------------


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not null; null over nothing."""
    numbers = [value for value in values if value is not None]
    return math.fsum(numbers) / len(numbers) if numbers else None


def total(values: Iterable[float | None]) -> float:
    """The sum of the values that are not null; 0 over nothing."""
    return math.fsum(value for value in values if value is not None)


def percentage(part: int, whole: int) -> float | None:
    """A rate from 0 to 100; null over nothing."""
    return 100 * part / whole if whole else None


@cache
def student_t_95(degrees: int) -> float:
    """The t that bounds, with -t, 95 % of Student's distribution; by bisection, good to 1e-12 relative."""
    low, high = 0.0, 13.0  # t of one degree of freedom is 12.706…, and it falls with the degrees
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        low, high = (middle, high) if _student_between(middle, degrees) < 0.95 else (low, middle)


def _student_between(t: float, degrees: int) -> float:
    """The share of Student's distribution in [-t, t]: a finite sum for a whole number of degrees of freedom."""
    sine = t / math.hypot(t, math.sqrt(degrees))
    cosine = math.sqrt(degrees) / math.hypot(t, math.sqrt(degrees))
    odd = degrees % 2
    term = cosine if odd else 1.0
    terms = [term] if degrees > 1 else []
    for k in range(2 + odd, degrees - 1, 2):
        term *= cosine**2 * (k - 1) / k
        terms.append(term)
    return 2 / math.pi * (math.atan2(sine, cosine) + sine * math.fsum(terms)) if odd else sine * math.fsum(terms)


# --- time and identity -------------------------------------------------------------------------------------------


def hour_of(instant: datetime) -> datetime:
    """The beginning of the hour that holds the instant."""
    return instant.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def overlaps(a: datetime, b: datetime, hour: datetime) -> bool:
    """Whether [a, b) overlaps the hour; an empty interval does where it lies in the hour."""
    return a < hour + HOUR and (b > hour or (b == a and a >= hour))


def hours_overlapped(a: datetime, b: datetime) -> list[datetime]:
    """The hours that [a, b) overlaps."""
    hours = []
    hour = hour_of(a)
    while overlaps(a, b, hour):
        hours.append(hour)
        hour += HOUR
    return hours


def identity(table: str, *key: str | datetime | date) -> str:
    """The id of a row of a target: a hash of the table's full name and of the values of its key."""

    def text(value: str | datetime | date) -> str:
        if isinstance(value, datetime):
            return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return value.isoformat() if isinstance(value, date) else value

    return hashlib.sha256("|".join([f"classwaves.{table}", *map(text, key)]).encode()).hexdigest()


# --- usable rows -------------------------------------------------------------------------------------------------


def usable(tables: Tables) -> Tables:
    """The usable rows of every source."""
    return _judge(tables)[0]


def rejected(tables: Tables) -> dict[str, Counter[str]]:
    """How many rows of each source are unusable, by the first reason that fits."""
    return _judge(tables)[1]


def _judge(tables: Tables) -> tuple[Tables, dict[str, Counter[str]]]:
    good: Tables = {}
    bad: dict[str, Counter[str]] = {source: Counter() for source in SOURCES}
    session_ids: set[str] = set()
    for source in SOURCES:
        rows = tables.get(source, [])
        newest = _newest(rows)
        good[source] = []
        for row in rows:
            reason = _reason(source, row, newest, session_ids)
            if reason is None:
                good[source].append(row)
            else:
                bad[source][reason] += 1
        if source == SESSIONS:
            session_ids = {row["id"] for row in good[source]}
    return good, bad


def _newest(rows: list[Row]) -> dict[str, int]:
    """The identity (in memory) of the newest row of each id: the latest updated_at, then the latest created_at."""
    earliest = datetime.min.replace(tzinfo=timezone.utc)
    copies: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        key = reference(row, "id")
        if key is not None:
            copies[key].append(row)

    def age(row: Row) -> tuple[datetime, datetime, str]:
        return row.get("updated_at") or earliest, row.get("created_at") or earliest, repr(sorted(row.items()))

    return {key: id(max(group, key=age)) for key, group in copies.items()}


def _reason(source: str, row: Row, newest: dict[str, int], session_ids: set[str]) -> str | None:
    key = reference(row, "id")
    if key is None:
        return "missing_key"
    if newest[key] != id(row):
        return "duplicate_key"
    if source in PLACING_TIME and row.get(PLACING_TIME[source]) is None:
        return "missing_time"
    if source == EVENTS and word(row, "event_type") not in EVENT_TYPES:
        return "unknown_event_type"
    if source in WITH_SESSION and reference(row, "session_id") not in session_ids:
        return "orphan_session"
    if source == TRANSCRIPTIONS:
        length = duration(row)
        if length is None or length < 0:
            return "negative_duration"
    return None


# --- sessions ----------------------------------------------------------------------------------------------------


@dataclass
class Session:
    """A usable session with its span, its groups, its events and its scores."""

    id: str
    row: Row
    school: str | None
    teacher: str | None
    groups: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    start: datetime | None = None
    recorded_end: datetime | None = None
    end: datetime | None = None

    @property
    def engagement(self) -> float | None:
        return measure(self.row, "engagement_score")

    @property
    def participation(self) -> float | None:
        return measure(self.row, "participation_rate")

    @property
    def collaboration(self) -> float | None:
        """The mean collaboration_score of the session's groups."""
        return mean(measure(group, "collaboration_score") for group in self.groups)

    @property
    def quality(self) -> float | None:
        """q: the mean of those of engagement, participation and collaboration that are not null."""
        return mean([self.engagement, self.participation, self.collaboration])

    def times(self, event_type: str) -> list[datetime]:
        """The times of the session's events of a type."""
        return [event["event_time"] for event in self.events if word(event, "event_type") == event_type]

    def readiness(self) -> dict[str, datetime]:
        """The earliest leader_ready event of every group that such an event of the session names."""
        first: dict[str, datetime] = {}
        for event in self.events:
            group = group_named(event)
            if word(event, "event_type") == "leader_ready" and group is not None:
                first[group] = min(event["event_time"], first.get(group, event["event_time"]))
        return first


def sessions(good: Tables, max_session_hours: float = 24, open_session_hours: float = 4) -> dict[str, Session]:
    """The usable sessions by id, with their spans."""
    found = {
        row["id"]: Session(row["id"], row, reference(row, "school_id"), reference(row, "teacher_id"))
        for row in good[SESSIONS]
    }
    for group in good[GROUPS]:
        found[group["session_id"]].groups.append(group)
    for event in good[EVENTS]:
        found[event["session_id"]].events.append(event)
    for session in found.values():
        session.start = min(session.times("started"), default=session.row.get("actual_start"))
        if session.start is None:
            continue
        recorded = max(session.times("ended"), default=session.row.get("actual_end"))
        if recorded is not None:
            latest = session.start + timedelta(hours=max_session_hours)
            session.recorded_end = min(max(recorded, session.start), latest)
        session.end = session.recorded_end or session.start + timedelta(hours=open_session_hours)
    return found


def interval(participant: Row, session: Session) -> tuple[datetime, datetime]:
    """The interval of a participant: from its joining to its leaving, at most a day later."""
    join: datetime = participant["join_time"]
    end: datetime = participant.get("leave_time") or session.end or join
    return join, min(max(end, join), join + timedelta(hours=24))


def person(participant: Row) -> tuple[str, str]:
    """Who a participant is: a student, an anonymous visitor or itself; the three kinds never equal each other."""
    for column in ("student_id", "anonymous_id", "id"):
        value = reference(participant, column)
        if value is not None:
            return column, value
    raise AssertionError("a usable participant has an id")
