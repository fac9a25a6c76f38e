"""Deliberately messy but plausible lakehouses, the same for the same seed.

Whatever the definitions leave to chance is left out: copies of a row that tie in their stamps are equal, no JSON object
names a member twice, no two rows without a key are equal.
"""

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]

FIRST = datetime(2025, 10, 10, tzinfo=timezone.utc)
DAYS = 41  # the last instant of a session's start is before 2025-11-20
MICRO = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

BLANKS = ["", " ", "\t", "\u00a0", " \t\u00a0\n", "\u3000"]
SCHOOLS = ["school-a", "school-b", "school-c", "School-A"]

# (zone, school) of the teachers; most are of one school, so that some dates have more than five peers in it.
TEACHERS: list[tuple[str | None, str | None]] = [
    ("Europe/London", "school-a"),
    ("America/New_York", "school-a"),
    ("Pacific/Apia", "school-a"),
    ("Pacific/Kiritimati", "school-a"),
    ("Pacific/Honolulu", "school-a"),
    ("Asia/Kolkata", "school-a"),
    ("Australia/Lord_Howe", "school-a"),
    ("America/St_Johns", "school-a"),
    (None, "school-b"),
    ("\u00a0 ", "school-a"),
    ("Mars/Base", "school-a"),
    ("EST", "school-a"),
    ("europe/london", None),
    ("US/Eastern", " "),
    ("UTC+05:30", "school-c"),
    ("America/New_York\n", "school-c"),
    ("Etc/GMT+12", "school-c"),
]
STRANGERS = ["teacher-gone", "teacher-0 "]  # not in users.teachers

# Midnights of teachers' zones around their clock changes, and the changes themselves, with the teacher's number.
EDGES = [
    (datetime(2025, 10, 25, 23, tzinfo=timezone.utc), 0),  # London's 26 October begins, in summer time
    (datetime(2025, 10, 26, 1, tzinfo=timezone.utc), 0),  # London's change
    (datetime(2025, 10, 26, 23, 30, tzinfo=timezone.utc), 0),  # a date that summer time would end already
    (datetime(2025, 10, 27, 0, tzinfo=timezone.utc), 0),  # London's 27 October begins
    (datetime(2025, 10, 27, 0, tzinfo=timezone.utc), 12),  # the same for 'europe/london', which means UTC
    (datetime(2025, 11, 2, 4, tzinfo=timezone.utc), 1),  # New York's 2 November begins, in summer time
    (datetime(2025, 11, 2, 6, tzinfo=timezone.utc), 13),  # New York's change
    (datetime(2025, 11, 3, 4, 30, tzinfo=timezone.utc), 1),  # a date that summer time would end already
    (datetime(2025, 11, 3, 5, tzinfo=timezone.utc), 13),  # New York's 3 November begins
    (datetime(2025, 11, 2, 2, 30, tzinfo=timezone.utc), 7),  # St John's 2 November begins, in summer time
    (datetime(2025, 11, 3, 3, 30, tzinfo=timezone.utc), 7),  # St John's 3 November begins
    (datetime(2025, 10, 31, 13, tzinfo=timezone.utc), 6),  # Lord Howe's November begins
    (datetime(2025, 10, 31, 11, tzinfo=timezone.utc), 2),  # Apia's November begins
    (datetime(2025, 10, 31, 10, tzinfo=timezone.utc), 3),  # Kiritimati's November begins
    (datetime(2025, 10, 31, 10, tzinfo=timezone.utc), 4),  # Honolulu's 31 October begins
    (datetime(2025, 10, 31, 18, 30, tzinfo=timezone.utc), 5),  # Kolkata's November begins
]


def messy_tables(seed: int, sessions: int = 200) -> Tables:
    """Every source of the rollups, as lists of dicts; a key that is missing is null."""
    return _Maker(seed).make(sessions)


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tables: Tables = {}
        self.count = 0

    # --- chances -------------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, *values: Any) -> Any:
        return self.random.choice(values)

    def between(self, low: float, high: float) -> timedelta:
        """A duration of low to high seconds; to the microsecond or to the second."""
        seconds = self.random.uniform(low, high)
        return timedelta(seconds=seconds if self.chance(0.5) else round(seconds))

    def key(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}-{self.random.getrandbits(32):08x}"

    def blank(self) -> str | None:
        return None if self.chance(0.4) else self.random.choice(BLANKS)

    def near_hour(self, instant: datetime) -> datetime:
        """An hour's boundary, or a microsecond or so beside it."""
        hour = instant.replace(minute=0, second=0, microsecond=0)
        return hour + self.random.choice([-1, 0, 0, 0, 1]) * MICRO

    def shaken(self, instant: datetime, probability: float = 0.1) -> datetime:
        return self.near_hour(instant) if self.chance(probability) else instant

    def shouted(self, text: str) -> str:
        """A word of a domain, mostly as it should be."""
        if self.chance(0.8):
            return text
        return str(
            self.pick(
                text.upper(), f" {text}", f"{text.title()}\t", f"{text}\n", f"\u00a0{text}\n", f"  {text.upper()}  "
            )
        )

    def score(self, low: int = 0, high: int = 100) -> Decimal | None:
        """A score as decimal(5,2): sometimes null, out of range or on its bounds."""
        if self.chance(0.1):
            return None
        if self.chance(0.1):
            return Decimal(self.pick("-0.01", "-5.00", "100.01", "999.99", "0.00", "100.00"))
        return Decimal(self.random.randint(low * 100, high * 100)) / 100

    def whole(self, high: int) -> int | None:
        """A number of milliseconds: sometimes null, negative, 0 or the greatest."""
        odd = [None, None, None, -1, -1, -2147483648, 0, 0, 2147483647]
        return self.random.choice(odd) if self.chance(0.3) else self.random.randint(1, high)

    # --- the whole -----------------------------------------------------------------------------------------------

    def make(self, sessions: int) -> Tables:
        self.make_users()
        self.tables["sessions.classroom_sessions"] = []
        for name in ("participants", "student_groups", "transcriptions"):
            self.tables[f"sessions.{name}"] = []
        for name in ("session_events", "session_analytics"):
            self.tables[f"analytics.{name}"] = []
        for name in ("teacher_guidance_metrics", "intervention_suggestions", "analysis_results"):
            self.tables[f"ai_insights.{name}"] = []
        self.tables["audio.recordings"] = []
        starts = self.starts(sessions)
        for number, (start, teacher, steady) in enumerate(starts):
            self.make_session(number, start, teacher, steady)
        self.make_api_metrics(sessions * 2)
        self.make_system_events(sessions * 2)
        self.make_rejects()
        for rows in self.tables.values():
            self.random.shuffle(rows)
        return self.tables

    def make_users(self) -> None:
        made = FIRST - 100 * DAY
        self.tables["users.schools"] = [
            {"id": school, "name": f"The {school}", "created_at": made, "updated_at": made} for school in SCHOOLS[:3]
        ]
        teachers = [
            {
                "id": f"teacher-{number}",
                "name": f"Teacher {number}",
                "email": f"t{number}@example.org",
                "school_id": school,
                "timezone": zone,
                "created_at": made,
                "updated_at": None if number % 5 == 0 else made,
            }
            for number, (zone, school) in enumerate(TEACHERS)
        ]
        older = {"created_at": made - DAY, "updated_at": None}
        teachers.append({**teachers[0], "timezone": "Asia/Tokyo", "school_id": "school-b", **older})
        teachers.append({**teachers[1], "timezone": "Asia/Tokyo", "school_id": "school-b", "updated_at": made - DAY})
        teachers.append({**teachers[2], "timezone": "Asia/Tokyo", "created_at": made + DAY, "updated_at": None})
        teachers.append({**teachers[3], "id": None, "timezone": "Asia/Tokyo"})
        teachers.append({**teachers[4], "id": "\u00a0", "timezone": "Asia/Tokyo"})
        self.tables["users.teachers"] = teachers

    def starts(self, sessions: int) -> list[tuple[datetime, str | None, bool]]:
        """When sessions start, whose they are, and whether their scores are steady (for the trends)."""
        found: list[tuple[datetime, str | None, bool]] = []
        # Busy days: every teacher has a scored session at the same instant, so at most two dates are concerned.
        busy = sorted(self.random.sample(range(3, DAYS - 3), 8))
        for day in busy[: max(1, sessions * 6 // 10 // len(TEACHERS))]:
            for number in range(len(TEACHERS)):
                found.append((FIRST + day * DAY + 15 * HOUR + self.between(0, 3600), f"teacher-{number}", True))
        if sessions >= 150:  # many teachers without a school on one date: no colleagues of each other
            for number in range(8):
                found.append((FIRST + busy[0] * DAY + 15 * HOUR + self.between(0, 3600), f"stranger-{number}", True))
        for edge, number in self.random.sample(EDGES, min(len(EDGES), sessions // 10)):
            found.append((edge + self.random.choice([-1, 0, 0, 1]) * MICRO, f"teacher-{number}", False))
        while len(found) < sessions:
            start = FIRST + self.between(0, DAYS * 86400 - 1)
            # Seldom those whose busy days make a trend, so that it stays one.
            teacher = self.pick(*(f"teacher-{n}" for n in range(len(TEACHERS)) if n % 8 > 4), *STRANGERS, None, " \t")
            if self.chance(0.3):
                teacher = self.pick(*(f"teacher-{n}" for n in range(len(TEACHERS))))
            found.append((self.shaken(start, 0.2), teacher, False))
        return found[:sessions]

    # --- sessions and what belongs to them -----------------------------------------------------------------------

    def make_session(self, number: int, start: datetime, teacher: str | None, steady: bool) -> None:
        session_id = f"session-{number}"
        if number % 40 == 39:
            session_id = f"session-{number - 1} "  # another session than the one before
        school = dict(zip((f"teacher-{n}" for n in range(len(TEACHERS))), (s for _, s in TEACHERS), strict=True)).get(
            teacher or ""
        )
        if self.chance(0.15):
            school = self.random.choice([*SCHOOLS, None, *BLANKS])
        shape = (
            "plain"
            if steady
            else self.random.choices(
                ["plain", "open", "unstarted", "reversed", "long", "exactly_long", "empty", "hourly"],
                [60, 8, 5, 5, 5, 2, 5, 10],
            )[0]
        )
        if shape == "hourly":
            start = start.replace(minute=0, second=0, microsecond=0)
        length = {
            "reversed": -self.between(1, 7200),
            "long": DAY + self.between(0, 200000),
            "exactly_long": DAY,
            "empty": timedelta(0),
            "hourly": self.random.randint(1, 3) * HOUR,
        }.get(shape, self.between(60, 3 * 3600))
        end = self.shaken(start + length, 0.05)
        row: Row = {
            "id": session_id,
            "title": f"Lesson {number}",
            "status": self.pick("completed", "active", "scheduled", "ended"),
            "scheduled_start": start,
            "actual_start": start,
            "actual_end": None if shape == "open" else end,
            "actual_duration_minutes": self.pick(None, None, None, 0, -1, self.random.randint(1, 180)),
            "teacher_id": teacher,
            "school_id": school,
            "created_at": start - DAY,
            "updated_at": None if self.chance(0.1) else end,
            "engagement_score": self.score(),
            "participation_rate": self.score(),
            "subject": self.pick("math", "science", "history"),
        }
        if steady:
            self.set_trend(row, start, int((teacher or "").split("-")[1]))
        if shape == "unstarted":
            row["actual_start"] = None
        self.add_session_events(row, start, end, shape)
        self.tables["sessions.classroom_sessions"].append(row)
        self.add_copies("sessions.classroom_sessions", row, 0.08, self.spoil_session)
        groups = self.add_groups(row, plain=steady)
        self.add_participants(row, start, end, groups)
        self.add_leaders(row, start, end, groups)
        self.add_transcriptions(row, start, end, groups)
        self.add_prompts(row, start)
        self.add_interventions(row, start)
        self.add_analyses(row, start)
        self.add_recordings(row, start)

    def set_trend(self, row: Row, start: datetime, teacher: int) -> None:
        """Scores of a busy day: rising, falling, level, exactly level, exactly linear or by chance."""
        day = (start - FIRST).days
        noise = Decimal(self.random.randint(-300, 300)) / 100
        value = {
            0: Decimal(30) + day + noise,
            1: Decimal(80) - day + noise,
            2: Decimal("60.10"),  # the mean of two scores that differ: level but for the rounding of doubles
            3: Decimal(20) + day,
            4: Decimal("90.70") - day * Decimal("0.10"),
            5: Decimal(50) + noise,
            6: Decimal(40) + day * Decimal("0.30") + noise * 3,
        }.get(teacher % 8)
        if value is not None:
            row["engagement_score"] = row["participation_rate"] = value
        if teacher % 8 == 2:
            row["engagement_score"] += noise
            row["participation_rate"] -= noise

    def spoil_session(self, row: Row) -> Row:
        """A copy with other values, which must not be used (or must)."""
        return {
            **row,
            "school_id": self.random.choice([*SCHOOLS, None]),
            "engagement_score": self.score(),
            "actual_start": row["actual_start"] and row["actual_start"] + 5 * HOUR,
        }

    def add_copies(self, table: str, row: Row, probability: float, change: Callable[[Row], Row]) -> None:
        """Copies of a row with changed values, older or newer or without a stamp; none ties with another."""
        if not self.chance(probability):
            return
        stamped = table in (
            "sessions.classroom_sessions",
            "sessions.participants",
            "sessions.student_groups",
            "analytics.session_analytics",
            "ai_insights.teacher_guidance_metrics",
        )
        created = row.get("created_at") or FIRST
        stamps: list[Row]
        if stamped:
            updated = row.get("updated_at") or created
            stamps = [
                {"updated_at": updated + HOUR, "created_at": created - 9 * DAY},
                {"updated_at": updated - HOUR, "created_at": created + 9 * DAY},
                {"updated_at": updated + MICRO, "created_at": None},
                {"updated_at": None, "created_at": created + DAY},
                {"updated_at": None, "created_at": None},
                {"updated_at": row.get("updated_at"), "created_at": created + 2 * MICRO},
            ]
        else:
            stamps = [{"created_at": created + HOUR}, {"created_at": created - HOUR}, {"created_at": None}]
            if row.get("created_at") is None:
                stamps.pop()
        for stamp in self.random.sample(stamps, self.pick(1, 1, 1, 2)):
            self.tables[table].append({**change(row), "id": row["id"], **stamp})
        if self.chance(0.2):
            self.tables[table].append(dict(row))  # an equal copy

    def event(self, session: Row, event_type: str, time: datetime | None, payload: str | None = None) -> Row:
        return {
            "id": self.key("event"),
            "session_id": session["id"],
            "teacher_id": session["teacher_id"],
            "event_type": self.shouted(event_type),
            "event_time": time,
            "payload": payload,
            "created_at": time,
        }

    def add_session_events(self, row: Row, start: datetime, end: datetime, shape: str) -> None:
        events = []
        if self.chance(0.6):
            configured = start - self.between(-600, 1800)
            events.append(self.event(row, "configured", configured, self.payload()))
            if self.chance(0.2):
                events.append(self.event(row, "configured", configured + HOUR, self.payload()))
        if shape != "unstarted" and self.chance(0.5):
            # The events are what counts; the session's own times may be off or null then.
            events.append(self.event(row, "started", start, self.payload()))
            if self.chance(0.2):
                events.append(self.event(row, "started", start + self.between(1, 900), self.payload()))
            row["actual_start"] = self.pick(start, start + 20 * MINUTE, start - 20 * MINUTE, None)
        if shape != "open" and self.chance(0.5):
            events.append(self.event(row, "ended", end, self.payload()))
            if self.chance(0.2):
                events.append(self.event(row, "ended", end - self.between(1, 900), self.payload()))
            row["actual_end"] = self.pick(end, end + 2 * HOUR, end - 2 * HOUR, None)
        for _ in range(self.random.randint(0, 4)):
            kind = self.pick("member_join", "member_leave")
            events.append(self.event(row, kind, self.shaken(start + self.between(0, 5400)), self.payload()))
        for event in events:
            self.tables["analytics.session_events"].append(event)
            self.add_copies("analytics.session_events", event, 0.04, self.spoil_event)

    def spoil_event(self, row: Row) -> Row:
        kind = self.random.randrange(4)
        time = row["event_time"]
        if kind == 0:
            return {**row, "event_time": None}  # if it is the newest, the event is lost
        if kind == 1:
            return {**row, "event_type": "exploded"}
        return {**row, "event_time": time and time + self.between(-7200, 7200), "payload": self.payload()}

    def payload(self, group: str | None = None) -> str | None:
        """A payload that may name a group, of every kind that a careless writer makes."""
        if group is None and self.chance(0.35):
            return self.random.choice(
                [
                    None,
                    "",
                    "null",
                    "[]",
                    '[{"latencyMs": 5}]',
                    '"latencyMs"',
                    "7",
                    "true",
                    "{",
                    '{"latencyMs": 5',
                    '{"latencyMs": 5} trailing',
                    '{"latencyMs": 5}{"latencyMs": 6}',
                    '{"latencyMs": NaN}',
                    '{"latencyMs": Infinity}',
                    '{"latencyMs": -Infinity}',
                    "{'latencyMs': 5}",
                    "{latencyMs: 5}",
                    '{"latencyMs": 5,}',
                    '{"latencyMs": 05}',
                    '{"latencyMs": +5}',
                    '{"latencyMs": .5}',
                    '{"latencyMs": 5.}',
                    '/* c */ {"latencyMs": 5}',
                    '{"latencyMs": 5} // c',
                    '{"note": "a\tb", "latencyMs": 5}',
                    '{"note": "\\x", "latencyMs": 5}',
                    "   ",
                    '\u00a0{"latencyMs": 5}',
                ]
            )
        number: str = self.random.choice(
            [
                str(self.random.randint(0, 900)),
                repr(self.random.uniform(0, 900)),
                repr(self.random.uniform(0, 900)),
                "0",
                "0.0",
                "-0.0",
                "-1",
                "-0.5",
                "1e3",
                "1.5E+2",
                "2e-3",
                "1e400",
                "-1e400",
                self.pick("250", "250.5", "123456789012345678901234567890"),
                '"250"',
                '"NaN"',
                "true",
                "false",
                "null",
                "NaN",
                "Infinity",
                "[5]",
                '{"latencyMs": 5}',
            ]
        )
        members = []
        if self.chance(0.7):
            members.append(f'"latencyMs": {number}')
        if group is not None:
            members.append(f'"groupId": "{group}"')
        elif self.chance(0.3):
            members.append('"groupId": ' + self.pick("7", "true", '""', '" "', '"\u00a0"', "null", '"gone"', '["g"]'))
        if self.chance(0.3):
            members.append('"member": {"groupId": "nested", "latencyMs": 99999, "tags": ["a", {"b": null}]}')
        if self.chance(0.1):
            members.append('"groupid": "case", "LatencyMs": 77777')
        if self.chance(0.1):
            members.append('"text": "sch\\u00f6n \\"quoted\\" \\ud83d\\ude00 ü"')
        self.random.shuffle(members)
        space = self.pick("", "", " ", "\n", "\t\r\n ")
        return f"{space}{{{', '.join(members)}}}{space}"

    def add_groups(self, session: Row, plain: bool) -> list[str]:
        table = "sessions.student_groups"
        ids = []
        # On busy days many sessions have no groups: their score is the mean of their two own scores.
        exact = session["teacher_id"] in ("teacher-2", "teacher-3", "teacher-10", "teacher-11")
        amount = 0 if plain and (exact or self.chance(0.6)) else self.random.randint(0, 4)
        for number in range(amount):
            row: Row = {
                "id": self.key("group"),
                "session_id": session["id"],
                "name": f"Group {number}",
                "group_number": number,
                "status": self.random.choice(
                    [None, " ", self.shouted("completed"), self.shouted("completed"), "active", "complete"]
                ),
                "collaboration_score": self.score(),
                "argumentation_quality": self.score(),
                "topical_cohesion": self.score(),
                "conceptual_density": self.score(),
                "is_ready": self.pick(True, False, None),
                "created_at": session["created_at"],
                "updated_at": self.pick(None, session["created_at"] + HOUR),
            }
            ids.append(row["id"])
            self.tables[table].append(row)
            self.add_copies(table, row, 0.06, self.spoil_group)
        return ids

    def spoil_group(self, row: Row) -> Row:
        session = row["session_id"] if self.chance(0.5) else self.pick("session-0", "session-1", "gone")
        return {**row, "session_id": session, "collaboration_score": self.score(), "status": "completed"}

    def add_leaders(self, session: Row, start: datetime, end: datetime, groups: list[str]) -> None:
        table = "analytics.session_events"
        for group in groups:
            for _ in range(self.pick(0, 1, 1, 2)):
                time = self.shaken(start + self.between(-1200, 4000), 0.2)
                name = group if self.chance(0.9) else f"{group} "
                if self.chance(0.1):
                    name = "\\u0067" + group[1:]  # the same text, escaped
                event = self.event(session, "leader_ready", time, self.payload(name))
                self.tables[table].append(event)
                self.add_copies(table, event, 0.05, self.spoil_event)
        if groups and self.chance(0.1):  # named by an event of another session: not ready
            other = {**session, "id": f"session-{self.random.randrange(20)}"}
            self.tables[table].append(self.event(other, "leader_ready", start, self.payload(groups[0])))
        if self.chance(0.2):
            self.tables[table].append(self.event(session, "leader_ready", end, self.payload()))

    def add_participants(self, session: Row, start: datetime, end: datetime, groups: list[str]) -> None:
        table = "sessions.participants"
        for _ in range(self.random.randint(0, 7)):
            join = self.shaken(start + self.between(-300, 2400), 0.15)
            leave = self.random.choice(
                [
                    None,
                    None,
                    join + self.between(1, 5400),
                    join + self.between(1, 5400),
                    self.near_hour(join + self.between(1, 5400)),
                    join,
                    join + MICRO,
                    join - self.between(1, 3600),
                    join + self.between(80000, 200000) if self.chance(0.3) else end,
                ]
            )
            number = self.random.randint(0, 25)
            student, anonymous = self.random.choice(
                [
                    (f"student-{number}", None),
                    (f"student-{number}", f"anon-{number}"),
                    (f"student-{number} ", None),
                    (None, f"anon-{number}"),
                    (" ", f"student-{number}"),
                    ("", f"anon-{number}"),
                    (None, "\u00a0"),
                    (None, None),
                ]
            )
            row: Row = {
                "id": self.key("participant"),
                "session_id": session["id"],
                "group_id": self.random.choice(groups) if groups else None,
                "student_id": student,
                "anonymous_id": anonymous,
                "display_name": f"Pupil {number}",
                "join_time": join,
                "leave_time": leave,
                "connection_quality": self.random.choice(
                    [
                        None,
                        "",
                        "unknown",
                        *map(self.shouted, ("excellent", "good", "fair", "poor", "excellent", "good")),
                    ]
                ),
                "created_at": join,
                "updated_at": self.pick(None, leave, join),
            }
            self.tables[table].append(row)
            self.add_copies(table, row, 0.04, self.spoil_participant)
            if self.chance(0.08):  # the same person once more, at the same time
                again = {**row, "id": self.key("participant"), "connection_quality": "poor"}
                if student is None and anonymous is not None and self.chance(0.3):
                    again["anonymous_id"], again["student_id"] = None, anonymous  # … or another of the same name
                self.tables[table].append(again)

    def spoil_participant(self, row: Row) -> Row:
        if self.chance(0.3):
            return {**row, "join_time": None}
        return {**row, "join_time": row["join_time"] - 2 * HOUR, "student_id": "student-copy"}

    def add_transcriptions(self, session: Row, start: datetime, end: datetime, groups: list[str]) -> None:
        table = "sessions.transcriptions"
        for _ in range(self.random.randint(0, 8)):
            begin = self.shaken(start + self.between(-60, max((end - start).total_seconds(), 0) + 3600), 0.1)
            length = self.between(0, 90)
            seconds: Decimal | None = Decimal(round(length.total_seconds() * 1000)) / 1000
            stop: datetime | None = begin + length
            kind = self.random.randrange(14)
            if kind < 3:
                seconds = None  # computed
            elif kind == 3:
                seconds, stop = None, None  # negative_duration
            elif kind == 4:
                seconds, stop = None, begin - MICRO  # negative_duration
            elif kind == 5:
                seconds = Decimal("-0.001")  # negative_duration, whatever the times say
            elif kind == 6:
                stop = self.pick(None, begin - MINUTE)  # the recorded duration counts
            elif kind == 7:
                seconds, stop = self.pick((Decimal("0.000"), stop), (None, begin))
            row: Row = {
                "id": self.key("transcription"),
                "session_id": session["id"],
                "group_id": self.random.choice(groups) if groups else None,
                "speaker_name": "Somebody",
                "content": "some words",
                "language_code": "en",
                "start_time": begin,
                "end_time": stop,
                "duration_seconds": seconds,
                "confidence_score": self.random.choice(
                    [
                        None,
                        Decimal("-0.0001"),
                        Decimal("1.0001"),
                        Decimal("0.0000"),
                        Decimal("1.0000"),
                        *(Decimal(self.random.randint(0, 10000)) / 10000 for _ in range(6)),
                    ]
                ),
                "is_final": self.pick(True, True, True, True, False, None),
                "created_at": begin,
            }
            self.tables[table].append(row)
            self.add_copies(table, row, 0.06, self.spoil_transcription)

    def spoil_transcription(self, row: Row) -> Row:
        change: Row = self.pick(
            {"start_time": None},
            {"duration_seconds": Decimal("-1.000")},
            {"is_final": False},
            {"duration_seconds": Decimal("12.345"), "confidence_score": Decimal("0.5000")},
        )
        return {**row, **change}

    def add_prompts(self, session: Row, start: datetime) -> None:
        table = "ai_insights.teacher_guidance_metrics"
        for _ in range(self.random.randint(0, 5)):
            generated = self.shaken(start + self.between(0, 7200), 0.1)
            reacted = [generated + self.between(0, 1200) if self.chance(0.5) else None for _ in range(3)]
            if self.chance(0.08):
                reacted[1] = generated - self.between(1, 600)  # used before it was generated
            if self.chance(0.08):
                reacted[1] = generated + self.between(3600, 100000)  # used in another hour
            if self.chance(0.03):
                reacted[self.random.randrange(3)] = generated
            if self.chance(0.7):  # a few cells with many prompts
                category, subject, phase, priority = self.random.choice(
                    [("clarity", "math", "opening", "high"), ("energy", "science", "closure", "low")]
                )
            else:
                category = self.pick("facilitation", "deepening", "redirection", "collaboration", "assessment")
                subject = self.pick("literature", "history", "general")
                phase, priority = self.pick("development", "synthesis"), "medium"
            row: Row = {
                "id": self.key("prompt"),
                "session_id": session["id"],
                "teacher_id": self.random.choices(
                    [session["teacher_id"], None, self.blank(), "teacher-5", "teacher-gone"], [75, 10, 5, 5, 5]
                )[0],
                "prompt_id": self.key("p"),
                "prompt_category": self.word_or(category, "gossip", "clarity!"),
                "priority_level": self.word_or(priority, "urgent", "1"),
                "session_phase": self.word_or(phase, "lunch", "unknown"),
                "subject_area": self.word_or(subject, "maths", "physics"),
                "generated_at": generated,
                "acknowledged_at": reacted[0],
                "used_at": reacted[1],
                "dismissed_at": reacted[2],
                "feedback_rating": self.pick(None, None, 0, 6, -3, 1, 2, 3, 4, 5),
                "effectiveness_score": self.random.choice(
                    [None, float("nan"), float("inf"), -float("inf"), -0.5, 2.5]
                    if self.chance(0.25)
                    else [self.random.random()]
                ),
                "learning_outcome_improvement": self.random.choice(
                    [None, float("nan"), float("inf"), 0.0] if self.chance(0.3) else [self.random.uniform(-1, 1)]
                ),
                "response_time_seconds": self.random.choice([None, None, None, -1, 0, self.random.randint(1, 900)]),
                "created_at": generated,
                "updated_at": self.pick(None, generated, generated + HOUR),
            }
            self.tables[table].append(row)
            self.add_copies(table, row, 0.05, self.spoil_prompt)

    def word_or(self, good: str, *wrong: str) -> str | None:
        if self.chance(0.95):
            return self.shouted(good)
        return self.random.choice([None, self.random.choice(BLANKS), *wrong])

    def spoil_prompt(self, row: Row) -> Row:
        change: Row = self.pick(
            {"generated_at": None},
            {"session_id": "gone"},
            {"effectiveness_score": 0.123, "used_at": None, "prompt_category": "energy"},
            {"generated_at": row["generated_at"] + 3 * HOUR, "teacher_id": "teacher-6"},
        )
        return {**row, **change}

    def add_interventions(self, session: Row, start: datetime) -> None:
        table = "ai_insights.intervention_suggestions"
        for _ in range(self.random.randint(0, 2)):
            made = self.shaken(start + self.between(0, 5400), 0.1)
            row: Row = {
                "id": self.key("intervention"),
                "session_id": session["id"],
                "teacher_id": session["teacher_id"],
                "urgency": "high",
                "status": "open",
                "acted_upon": self.pick(True, True, True, False, None),
                "acted_at": self.pick(None, made + self.between(0, 4000), made - self.between(1, 60), made),
                "created_at": made,
            }
            self.tables[table].append(row)
            self.add_copies(table, row, 0.05, lambda copy: {**copy, "acted_upon": True, "acted_at": copy["created_at"]})

    def add_analyses(self, session: Row, start: datetime) -> None:
        for _ in range(self.random.randint(0, 2)):
            time = self.shaken(start + self.between(0, 9000), 0.1)
            row: Row = {
                "id": self.key("analysis"),
                "session_id": session["id"],
                "analysis_type": "tier1",
                "analysis_timestamp": time,
                "processing_time_ms": self.whole(90000),
                "confidence_score": Decimal("0.5000"),
                "created_at": time,
            }
            self.tables["ai_insights.analysis_results"].append(row)
            self.add_copies("ai_insights.analysis_results", row, 0.05, lambda copy: {**copy, "processing_time_ms": 7})
        for _ in range(self.random.randint(0, 2)):
            time = self.shaken(start + self.between(0, 9000), 0.1)
            status = self.random.choice([None, "", "running", *map(self.shouted, ("completed", "completed", "failed"))])
            row = {
                "id": self.key("computation"),
                "session_id": session["id"],
                "analysis_type": "summary",
                "status": status,
                "computed_at": self.pick(time, time, None),
                "failed_at": self.pick(time + HOUR, time, None),
                "processing_time_ms": self.random.randint(0, 9000),
                "created_at": time,
                "updated_at": self.pick(None, time),
            }
            self.tables["analytics.session_analytics"].append(row)
            self.add_copies("analytics.session_analytics", row, 0.05, lambda copy: {**copy, "status": "failed"})

    def add_recordings(self, session: Row, start: datetime) -> None:
        if not self.chance(0.4):
            return
        made = self.pick(start, self.near_hour(start), start - 400 * DAY, start - 30 * DAY, None)
        row: Row = {
            "id": self.key("recording"),
            "session_id": session["id"],
            "file_path": "/recordings/x",
            "file_size_bytes": self.pick(None, -1, 0, self.random.randint(1, 10**10), self.random.randint(1, 10**8)),
            "created_at": made,
        }
        self.tables["audio.recordings"].append(row)
        self.add_copies("audio.recordings", row, 0.1, lambda copy: {**copy, "file_size_bytes": 10**9})

    # --- operations ----------------------------------------------------------------------------------------------

    def anytime(self) -> datetime:
        return self.shaken(FIRST + self.between(0, DAYS * 86400 - 1), 0.1)

    def any_school(self) -> str | None:
        return self.blank() if self.chance(0.2) else str(self.random.choice(SCHOOLS))

    def make_api_metrics(self, amount: int) -> None:
        rows: list[Row] = []
        for _ in range(amount):
            row: Row = {
                "id": self.key("request"),
                "endpoint": "/api/x",
                "method": "GET",
                "response_time_ms": self.whole(5000),
                "status_code": self.pick(None, 200, 200, 404, 499, 500, 503, 599),
                "school_id": self.any_school(),
                "ip_address": "10.0.0.1",
                "timestamp": self.anytime(),
            }
            rows.append(row)
            if self.chance(0.03):
                rows.append(dict(row))  # nothing tells which copy is newer: they are equal
        self.tables["operational.api_metrics"] = rows

    def make_system_events(self, amount: int) -> None:
        self.tables["operational.system_events"] = []
        for _ in range(amount):
            school = self.any_school() if self.chance(0.6) else None
            session = self.random.choice([None, " ", "gone", f"session-{self.random.randrange(max(1, amount // 2))}"])
            row: Row = {
                "id": self.key("system"),
                "event_type": "x",
                "severity": self.random.choice(
                    [None, "", "info", *map(self.shouted, ("warning", "error", "critical")), "errors"]
                ),
                "component": "c",
                "message": "something",
                "school_id": school,
                "session_id": session,
                "created_at": self.anytime(),
            }
            table = "operational.system_events"
            self.tables[table].append(row)
            # A copy that is not earlier decides; without a created_at it is the oldest.
            self.add_copies(table, row, 0.04, lambda copy: {**copy, "severity": "critical", "school_id": "school-b"})

    # --- rows that must be rejected ------------------------------------------------------------------------------

    def make_rejects(self) -> None:
        """For every source: rows without a key, with a blank one, of no session, and without their time."""
        placing = {
            "analytics.session_events": "event_time",
            "sessions.transcriptions": "start_time",
            "ai_insights.teacher_guidance_metrics": "generated_at",
            "sessions.participants": "join_time",
            "ai_insights.intervention_suggestions": "created_at",
            "operational.system_events": "created_at",
            "operational.api_metrics": "timestamp",
            "ai_insights.analysis_results": "analysis_timestamp",
        }
        for table in [name for name in self.tables if not name.startswith("users.")]:
            rows = self.tables[table]
            if not rows:
                continue
            samples: list[Row] = []
            for index, key in enumerate([None, *BLANKS]):
                row = {**self.random.choice(rows), "id": key}
                self.tell_apart(table, row, index)
                samples.append(row)
            if "session_id" in rows[0]:
                known = [row for row in rows if (row.get("session_id") or "").strip()]
                for reference in [None, "\u00a0", "gone", f"{self.random.choice(known)['session_id']}\t"]:
                    samples.append({**self.random.choice(rows), "id": self.key("orphan"), "session_id": reference})
            if table in placing:
                samples.append({**self.random.choice(rows), "id": self.key("timeless"), placing[table]: None})
            if table == "analytics.session_events":
                for event_type in [None, " ", "exploded", "start", "leader-ready"]:
                    row = {**self.random.choice(rows), "id": self.key("odd"), "event_type": event_type}
                    samples.append(row)
            rows.extend(samples)
        self.add_late_sessions()

    def tell_apart(self, table: str, row: Row, number: int) -> None:
        """Makes rows without a key unequal, by a column that no metric uses."""
        column = {
            "sessions.classroom_sessions": "title",
            "sessions.participants": "browser_info",
            "sessions.student_groups": "name",
            "sessions.transcriptions": "language_code",
            "analytics.session_events": "teacher_id",
            "analytics.session_analytics": "version",
            "ai_insights.teacher_guidance_metrics": "prompt_id",
            "ai_insights.intervention_suggestions": "urgency",
            "ai_insights.analysis_results": "model_version",
            "audio.recordings": "codec",
            "operational.api_metrics": "endpoint",
            "operational.system_events": "component",
        }[table]
        row[column] = f"keyless-{number}"

    def add_late_sessions(self) -> None:
        """Two of one id whose newest copy has another school and start: all its facts move with it."""
        rows = self.tables["sessions.classroom_sessions"]
        sample = next(row for row in rows if row["id"] and row["id"].strip() and row.get("actual_start"))
        first = {**sample, "id": "session-moved", "school_id": "school-b", "teacher_id": "teacher-8"}
        start = FIRST + 20 * DAY + 9 * HOUR
        stamps: Row = {"created_at": start, "updated_at": start, "actual_start": start, "actual_end": start + HOUR}
        moved = {**stamps, "updated_at": start + DAY, "actual_start": start + DAY, "actual_end": start + DAY + HOUR}
        rows.append({**first, **stamps})
        rows.append({**first, **moved, "school_id": "school-c"})
        for index, school in enumerate(["school-c", "\t", "school-b", "school-c"]):  # the least school counts
            at = {name: value and value + index * HOUR for name, value in stamps.items()}
            rows.append(
                {**sample, **at, "id": f"session-many-{index}", "school_id": school, "teacher_id": "teacher-many"}
            )
        session = {**first, **moved}
        self.tables["analytics.session_events"].append(self.event(session, "configured", start + DAY, "{}"))


def span(tables: Tables) -> tuple[date, date]:
    """Dates that hold every session of the tables, the second exclusive, with a margin for the time zones."""
    instants = [row["scheduled_start"] for row in tables["sessions.classroom_sessions"] if row.get("scheduled_start")]
    return min(instants).date() - timedelta(days=2), max(instants).date() + timedelta(days=5)
