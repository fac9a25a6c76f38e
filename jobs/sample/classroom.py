"""The sessions of the sample lakehouse, and who and what was in them.

Frames hold the numbers and moments from which the tables are built: `session_frame` (one row per session),
`group_frame` (per group of a session), `seat_frame` (per seat of a group), `stay_frame` (per stay of a pupil: a dropped
connection splits one into two). Each multiplies the rows of the one before: nothing is joined or shuffled.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.sample.people import SUBJECTS, Scale, given_name, school_number, school_zone
from jobs.sample.randomness import Dice, after, key, numbered, score, shaped
from transforms.catalog import GROUPS, PARTICIPANTS, RECORDINGS, SESSION_EVENTS, SESSIONS, TRANSCRIPTIONS
from transforms.combine import union_all

SENTENCES = (
    "I think the second answer fits better.",
    "Can you say why you believe that?",
    "The graph goes up and then it levels off.",
    "Let us write that down before we forget.",
    "I agree, and there is one more reason.",
    "What does the text say about the river?",
    "We should try it with a smaller number first.",
    "Maybe we can split the work in three parts.",
    "That is a good point, I had not seen it.",
    "So both sides wanted the same thing?",
    "Read the question out loud once more, please.",
    "I am not sure, could we check the table?",
)
FIRST_SESSION = 1
"""Recorded whatever the density, so that even the smallest sample has a row of everything."""


def session_frame(spark: SparkSession, scale: Scale, dice: Dice) -> DataFrame:
    """One row per session: its people, its times, and what became of it.

    `recorded` sessions have everything: pupils, events, speech, prompts. Others `ran` without that, like a teacher's
    try-outs: only their own row says when. The rest were planned and never began. The density sets the share of the
    first kind; they are spread evenly, so that the volume hardly varies with the seed.
    """
    share = 0.94 * scale.density
    evenly = F.lit(share) * (F.col("n") - FIRST_SESSION)
    regular = dice.whole(1, scale.regulars, "regular teacher", "n")
    anyone = dice.whole(1, scale.teachers, "teacher", "n")
    return (
        spark.range(FIRST_SESSION, FIRST_SESSION + scale.sessions)
        .select(F.col("id").alias("n"), key("session", "id").alias("session_id"))
        .withColumn("teacher_n", F.when(dice.chance(0.5, "regular", "n"), regular).otherwise(anyone))
        .withColumn("recorded", (evenly - F.floor(evenly) < share) | (F.col("n") == FIRST_SESSION))
        .withColumn("ran", F.col("recorded") | dice.chance(0.28, "ran", "n"))
        .withColumn("school_n", school_number(scale))
        .withColumn("day", dice.whole(*scale.working_days, "day", "n"))
        .withColumns(_moments(scale, dice))
        .withColumn("start", after("scheduled", dice.whole(-60, 360, "punctuality", "n")))
        .withColumn("length", F.col("minutes") * 60 - dice.whole(0, 420, "brevity", "n"))
        .withColumn("end", after("start", F.col("length")))
        .withColumns(_session_values(scale, dice))
    )


def _moments(scale: Scale, dice: Dice) -> dict[str, Column]:
    """The planned start and length: on working days, nearly always within local school hours."""
    weeks = F.floor(F.col("day") / 5)
    days = F.lit(scale.monday.toordinal() - 719163) + weeks * 7 + F.col("day") % 5  # 719163: the ordinal of 1970-01-01
    in_school = dice.whole(8 * 12, 15 * 12, "time of day", "n")
    in_the_evening = dice.whole(17 * 12, 20 * 12, "time of day", "n")
    five_minutes = F.when(dice.chance(0.96, "in school", "n"), in_school).otherwise(in_the_evening)
    local = F.timestamp_seconds(days * 86400 + five_minutes * 300)
    return {
        "scheduled": F.to_utc_timestamp(local, school_zone()),
        "minutes": dice.one_of((40, 45, 45, 50, 60, 60, 90), "planned minutes", "n"),
    }


def _session_values(scale: Scale, dice: Dice) -> dict[str, Column]:
    first, last = scale.working_days
    progress = (F.col("day") - first) / F.lit(float(max(1, last - first)))
    # Teachers differ, and over the sample some improve and some decline, so that there are trends to find.
    habit = dice.between(50, 80, "level of the teacher", "teacher_n")
    trend = dice.between(-20, 30, "trend of the teacher", "teacher_n") * progress
    level = habit + trend + dice.between(-6, 6, "level of the session", "n")
    few, more = dice.one_of((1, 1, 1, 2, 2, 2, 3), "few groups", "n"), dice.whole(1, 3, "groups", "n")
    return {
        "level": F.when(F.col("ran"), level),
        "groups": F.when(F.col("recorded"), more).otherwise(few),
        "subject": dice.one_of(SUBJECTS, "subject", "n"),
        "teacher_id": key("teacher", "teacher_n"),
        "school_id": key("school", "school_n"),
        "configured": after("start", -dice.whole(300, 1200, "configured", "n")),
    }


def group_frame(sessions: DataFrame, dice: Dice) -> DataFrame:
    """One row per group of a session: sessions that were only planned have small or empty groups."""
    seats = F.when(F.col("recorded"), dice.whole(3, 6, "seats", "n", "g")).otherwise(
        dice.one_of((0, 1, 1, 1, 2, 3), "few seats", "n", "g")
    )
    ready = F.col("recorded") & dice.chance(0.92, "ready", "n", "g")
    return numbered(sessions, "g", F.col("groups")).withColumns({
        "group_id": key("group", "n", "g"),
        "seats": seats,
        "ready": F.when(ready, after("start", dice.whole(-240, 60, "ready at", "n", "g"))),
    })  # fmt: skip


def _seat_values(scale: Scale, dice: Dice) -> dict[str, Column]:
    """Who sits on the seat of the columns `n`, `g` and `seat`: a student, or occasionally a guest or an unknown."""
    # At most six seats per group, from a first pupil that differs by session: nobody sits twice in one session.
    pupil = (dice.whole(0, scale.pupils_per_school - 1, "first pupil", "n") + (F.col("g") - 1) * 6 + F.col("seat")) % (
        scale.pupils_per_school
    )
    return {
        "student_n": (F.col("school_n") - 1) * scale.pupils_per_school + pupil + 1,
        "kind": dice.one_of(("student",) * 90 + ("guest",) * 9 + ("unknown",), "visitor", "n", "g", "seat"),
    }


def _student_id() -> Column:
    return F.when(F.col("kind") == "student", key("student", "student_n"))


def seat_frame(groups: DataFrame, scale: Scale, dice: Dice) -> DataFrame:
    """One row per seat of a group, with who sits on it."""
    return numbered(groups, "seat", F.col("seats")).withColumns(_seat_values(scale, dice))


def stay_frame(seats: DataFrame, dice: Dice) -> DataFrame:
    """One row per stay in a recorded session; a pupil whose connection dropped has two."""
    seat = ("n", "g", "seat")
    dropped = dice.chance(0.08, "dropped", *seat)
    dropped_at = after("start", F.col("length") * dice.between(0.3, 0.6, "dropped at", *seat))
    early = after("start", F.col("length") * dice.between(0.65, 0.95, "left at", *seat))
    leaves_early = dice.chance(0.2, "leaves early", *seat)
    unnoticed = dice.chance(0.2, "unnoticed", *seat)
    first_of_two = (F.col("stay") == 1) & F.col("dropped")
    return (
        numbered(seats.filter("recorded").withColumn("dropped", dropped), "stay", F.when(dropped, 2).otherwise(1))
        .withColumn("dropped_at", dropped_at)
        .withColumn("participant_id", key("participant", *seat, "stay"))
        .withColumn("left_early", F.when(first_of_two, F.col("dropped_at")).when(leaves_early, early))
        .withColumn("left", F.coalesce("left_early", F.when(~unnoticed, F.col("end"))))
        .withColumn("joined", after("start", dice.whole(-180, 120, "joined", *seat)))
        .withColumn("back", after("dropped_at", dice.whole(20, 180, "back", *seat)))
        .withColumn("joined", F.when(F.col("stay") == 1, F.col("joined")).otherwise(F.col("back")))
    )


def classroom_sessions(sessions: DataFrame, dice: Dice) -> DataFrame:
    """`sessions.classroom_sessions`: one row per session."""
    ran, known = F.col("ran"), ~dice.chance(0.05, "score known", "n")
    created = after("scheduled", -dice.whole(3600, 72 * 3600, "planned ahead", "n"))
    topic = F.initcap("subject")
    never_began = dice.one_of(("created", "scheduled", "scheduled", "cancelled"), "never began", "n")
    return shaped(sessions, SESSIONS, {
        "id": F.col("session_id"),
        "title": F.concat(topic, F.lit(" discussion "), F.col("n")),
        "status": F.when(ran, "ended").otherwise(never_began),
        "scheduled_start": F.col("scheduled"),
        "actual_start": F.when(ran, F.col("start")),
        "actual_end": F.when(ran, F.col("end")),
        "planned_duration_minutes": F.col("minutes"),
        # Null in one session of ten, where it has to be computed from start and end.
        "actual_duration_minutes": F.when(ran & dice.chance(0.9, "duration", "n"), F.floor(F.col("length") / 60)),
        "max_students": F.lit(30),
        "target_group_size": F.lit(4),
        "auto_group_enabled": dice.chance(0.5, "auto groups", "n"),
        "teacher_id": F.col("teacher_id"),
        "school_id": F.col("school_id"),
        "recording_enabled": F.col("recorded"),
        "transcription_enabled": F.col("recorded"),
        "ai_analysis_enabled": F.col("recorded"),
        "ferpa_compliant": F.lit(True),
        "coppa_compliant": F.lit(True),
        "recording_consent_obtained": F.col("recorded"),
        "data_retention_date": after("scheduled", F.lit(1095 * 86_400)),
        "total_groups": F.col("groups"),
        "created_at": created,
        "updated_at": F.when(ran, F.col("end")).otherwise(created),
        "access_code": F.upper(F.hex(F.col("n") + 0xA00000)),
        "end_reason": F.when(ran, "teacher_ended"),
        "engagement_score": F.when(known, score(F.col("level") + dice.between(-5, 5, "engagement", "n"))),
        "participation_rate": F.when(known, score(F.col("level") + dice.between(-10, 15, "participation", "n"))),
        "goal": F.concat(F.lit("Talk about "), F.lower(topic)),
        "subject": F.when(dice.chance(0.95, "subject known", "n"), F.col("subject")),
    })  # fmt: skip


def student_groups(groups: DataFrame, dice: Dice) -> DataFrame:
    """`sessions.student_groups`: one row per group of a session; scored if the session ran."""

    def measured(name: str) -> Column:
        present = F.col("ran") & dice.chance(0.92, f"{name} known", "n", "g")
        return F.when(present, score(F.col("level") + dice.between(-15, 15, name, "n", "g")))

    ran = F.col("ran")
    set_up = after("scheduled", F.lit(-1800))
    finished = F.when(dice.chance(0.88, "group completed", "n", "g"), "completed").otherwise("active")
    return shaped(groups, GROUPS, {
        "id": F.col("group_id"),
        "session_id": F.col("session_id"),
        "name": F.concat(F.lit("Group "), F.col("g")),
        "group_number": F.col("g"),
        "status": F.when(ran, finished).otherwise("created"),
        "max_size": F.lit(6),
        "current_size": F.col("seats"),
        "auto_managed": F.lit(False),
        "start_time": F.when(ran, F.col("start")),
        "end_time": F.when(ran, F.col("end")),
        "collaboration_score": measured("collaboration"),
        "topic_focus_score": measured("topic focus"),
        "created_at": set_up,
        "updated_at": F.when(ran, F.col("end")).otherwise(set_up),
        "is_ready": F.col("ready").isNotNull(),
        "topical_cohesion": measured("cohesion"),
        "argumentation_quality": measured("argumentation"),
        "conceptual_density": measured("conceptual density"),
    })  # fmt: skip


def student_group_members(seats: DataFrame) -> DataFrame:
    """`sessions.student_group_members`: one row per student of a group; guests are not on the list."""
    return shaped(seats.filter(F.col("kind") == "student"), "sessions.student_group_members", {
        "id": key("member", "n", "g", "seat"),
        "session_id": F.col("session_id"),
        "group_id": F.col("group_id"),
        "student_id": _student_id(),
        "created_at": after("scheduled", F.lit(-1800)),
    })  # fmt: skip


def participants(stays: DataFrame, dice: Dice) -> DataFrame:
    """`sessions.participants`: one row per stay of a person in a recorded session."""
    stay = ("n", "g", "seat", "stay")
    usual = dice.one_of(("excellent",) * 5 + ("good",) * 4 + ("fair", "unknown"), "connection", *stay)
    quality = F.when(F.col("dropped") & (F.col("stay") == 1), "poor").otherwise(usual)
    guest = F.when(F.col("kind") == "guest", key("guest", "n", "g", "seat"))
    pupil = F.when(F.col("kind") == "student", given_name(dice, "student", "student_n"))
    return shaped(stays, PARTICIPANTS, {
        "id": F.col("participant_id"),
        "session_id": F.col("session_id"),
        "group_id": F.col("group_id"),
        "student_id": _student_id(),
        "anonymous_id": guest,
        "display_name": F.coalesce(pupil, F.lit("Guest")),
        "join_time": F.col("joined"),
        "leave_time": F.col("left"),
        "is_active": F.lit(False),
        "device_type": dice.one_of(("laptop", "laptop", "tablet", "phone"), "device", *stay),
        "connection_quality": quality,
        "can_speak": F.lit(True),
        "can_hear": F.lit(True),
        "is_muted": F.lit(False),
        "total_speaking_time_seconds": dice.whole(0, 300, "speaking time", *stay),
        "message_count": dice.whole(0, 8, "messages", *stay),
        "interaction_count": dice.whole(0, 20, "interactions", *stay),
        "created_at": F.col("joined"),
        "updated_at": F.coalesce("left", "end"),
    })  # fmt: skip


def transcriptions(sessions: DataFrame, scale: Scale, dice: Dice) -> DataFrame:
    """`sessions.transcriptions`: one row per utterance of a recorded session, in the order spoken.

    The amount of speech grows with the density: in a pilot's few recorded sessions pupils say about a third as much.
    """
    mean = 64 * (0.34 + 0.66 * scale.density)
    line = ("n", "line")
    share_of_session = (F.col("line") - 1 + dice.unit("pause", *line)) / F.col("lines")
    lines = dice.whole(int(mean * 0.6), int(mean * 1.4), "lines", "n")
    spoken = (
        numbered(sessions.filter("recorded").withColumn("lines", lines), "line", F.col("lines"))
        .withColumn("g", F.col("line") % F.col("groups") + 1)
        # Every group of a recorded session has at least three seats.
        .withColumn("seat", dice.whole(1, 3, "speaker", *line))
        .withColumns(_seat_values(scale, dice))
        .withColumn("by_teacher", dice.chance(0.05, "teacher speaks", *line))
        .withColumn("seconds", F.round(dice.between(1.2, 14, "utterance", *line), 3))
        .withColumn("spoken_at", after("start", share_of_session * (F.col("length") - 15)))
        .withColumn("ended_at", after("spoken_at", F.col("seconds")))
    )
    pupil = F.when(F.col("kind") == "student", given_name(dice, "student", "student_n"))
    return shaped(spoken, TRANSCRIPTIONS, {
        "id": key("transcription", *line),
        "session_id": F.col("session_id"),
        "group_id": key("group", "n", "g"),
        "speaker_id": F.when(F.col("by_teacher"), F.col("teacher_id")).otherwise(
            F.concat(key("participant", "n", "g", "seat"), F.lit("-1"))
        ),
        "speaker_type": F.when(F.col("by_teacher"), "teacher").otherwise("student"),
        "speaker_name": F.when(F.col("by_teacher"), "Teacher").otherwise(F.coalesce(pupil, F.lit("Guest"))),
        "content": dice.one_of(SENTENCES, "sentence", *line),
        "language_code": F.lit("en"),
        "start_time": F.col("spoken_at"),
        "end_time": F.col("ended_at"),
        "duration_seconds": F.when(dice.chance(0.95, "duration known", *line), F.col("seconds")),
        "confidence_score": F.round(0.99 - F.pow(dice.unit("confidence", *line), F.lit(2.0)) * 0.35, 4),
        "is_final": dice.chance(0.92, "final", *line),
        "sentiment": dice.one_of(("positive", "neutral", "neutral"), "sentiment", *line),
        "academic_vocabulary_detected": dice.chance(0.3, "vocabulary", *line),
        "created_at": after("ended_at", dice.between(0.2, 4, "recogniser", *line)),
    })  # fmt: skip


def session_events(sessions: DataFrame, groups: DataFrame, stays: DataFrame, dice: Dice) -> DataFrame:
    """`analytics.session_events`: one row per event of a recorded session's life."""
    recorded = sessions.filter("recorded")
    life = _events(recorded, (), {"configured": "configured", "started": "start", "ended": "end"})
    ready = _events(groups, ("g",), {"leader_ready": "ready"})
    moves = _events(stays, ("g", "seat", "stay"), {"member_join": "joined", "member_leave": "left_early"})
    events = union_all((life, ready, moves))
    numbers = (f"coalesce({number}, 0)" for number in ("g", "seat", "stay"))
    delay = dice.unit("latency", "n", *numbers, "hash(event_type)")
    payload = F.struct(
        F.col("group_id").alias("groupId"),
        F.col("participant_id").alias("memberId"),
        # Not every client measures it.
        F.when(F.col("delay") < 0.9, F.round(20 + F.pow("delay", F.lit(2.0)) * 400, 1)).alias("latencyMs"),
    )
    return shaped(events.withColumn("delay", delay), SESSION_EVENTS, {
        "id": F.col("id"),
        "session_id": F.col("session_id"),
        "teacher_id": F.col("teacher_id"),
        "event_type": F.col("event_type"),
        "event_time": F.col("event_time"),
        "payload": F.to_json(payload),
        "created_at": after("event_time", F.col("delay") * 2),
    })  # fmt: skip


def _events(frame: DataFrame, numbers: tuple[str, ...], moments: dict[str, str]) -> DataFrame:
    """One row per row of the frame and kind of event whose moment is not null; `moments` names their columns."""
    happened = F.array(*(F.struct(F.lit(kind).alias("kind"), F.col(at).alias("at")) for kind, at in moments.items()))
    known = {"g": ["g", "group_id"], "stay": ["seat", "stay", "participant_id"]}
    return (
        frame.withColumn("event", F.explode(happened))
        .filter("event.at IS NOT NULL")
        .select(
            "n",
            "session_id",
            "teacher_id",
            F.concat(key("event", "n", *numbers), F.lit("-"), F.col("event.kind")).alias("id"),
            F.col("event.kind").alias("event_type"),
            F.col("event.at").alias("event_time"),
            *(column for number, columns in known.items() if number in numbers for column in columns),
        )
    )


def recordings(groups: DataFrame, dice: Dice) -> DataFrame:
    """`audio.recordings`: one row per taped group of a recorded session; the first group always is."""
    taped = groups.filter(F.col("recorded") & ((F.col("g") == 1) | dice.chance(0.5, "taped", "n", "g")))
    return shaped(taped, RECORDINGS, {
        "id": key("recording", "n", "g"),
        "session_id": F.col("session_id"),
        "group_id": F.col("group_id"),
        "file_path": F.concat(F.lit("recordings/"), key("session", "n"), F.lit("/"), F.col("g"), F.lit(".webm")),
        "file_size_bytes": F.col("length") * dice.whole(5_500, 6_500, "bytes per second", "n", "g"),
        "duration_seconds": F.col("length"),
        "format": F.lit("webm"),
        "sample_rate": F.lit(48_000),
        "channels": F.lit(1),
        "codec": F.lit("opus"),
        "is_processed": F.lit(True),
        "transcription_status": F.lit("completed"),
        "processing_attempts": F.lit(1),
        "created_at": after("end", F.lit(60)),
        "processed_at": after("end", F.lit(240)),
    })  # fmt: skip
