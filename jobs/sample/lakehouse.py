"""A realistic sample of the lakehouse, as plain frames: the same seed gives the same rows, at any size.

Nothing is read, written or counted here; the rows come from `spark.range` and column expressions alone.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, SparkSession

from jobs.sample import classroom, insights, people
from jobs.sample.defects import with_defects
from jobs.sample.people import Scale
from jobs.sample.randomness import Dice
from transforms.catalog import (
    ANALYSIS_RESULTS,
    API_METRICS,
    GROUPS,
    INTERVENTIONS,
    PARTICIPANTS,
    PROMPTS,
    RECORDINGS,
    SESSION_ANALYTICS,
    SESSION_EVENTS,
    SESSIONS,
    SYSTEM_EVENTS,
    TEACHERS,
    TRANSCRIPTIONS,
)

PILOT_SESSIONS = 425
PILOT_DENSITY = 0.036
"""A pilot: of 425 planned sessions a third ran, and 15 were recorded with all that happened in them.

At 425 sessions this gives about the row counts that the data dictionary reports.
"""
BUSY_DENSITY = 1.0
"""Schools in full use. Per session about 60 transcriptions, 16 events, 9 participants, 8 prompts and 2 groups."""


def sample_tables(
    spark: SparkSession,
    *,
    sessions: int = PILOT_SESSIONS,
    days: int = 30,
    seed: int = 7,
    first_day: date = date(2025, 9, 1),
    density: float = PILOT_DENSITY,
) -> dict[str, DataFrame]:
    """The source tables by name (`sessions.classroom_sessions`), each with its contract's columns and types.

    `density`, from 0 to 1, sets the share of sessions that were recorded, and how much was said in them. Raises
    `ValueError` for less than one session or day, or a density out of range.
    """
    scale, dice = Scale(sessions, days, first_day, density), Dice(seed)
    return with_defects(tables_of(spark, classroom.session_frame(spark, scale, dice), scale, dice))


def tables_of(spark: SparkSession, session: DataFrame, scale: Scale, dice: Dice) -> dict[str, DataFrame]:
    """The source tables of these sessions (a `session_frame`), without defects."""
    group = classroom.group_frame(session, dice)
    seat = classroom.seat_frame(group, scale, dice)
    stay = classroom.stay_frame(seat, dice)
    return {
        "users.schools": people.schools(spark, scale, dice),
        TEACHERS: people.teachers(spark, scale, dice),
        "users.students": people.students(spark, scale, dice),
        SESSIONS: classroom.classroom_sessions(session, dice),
        PARTICIPANTS: classroom.participants(stay, dice),
        GROUPS: classroom.student_groups(group, dice),
        "sessions.student_group_members": classroom.student_group_members(seat),
        TRANSCRIPTIONS: classroom.transcriptions(session, scale, dice),
        SESSION_EVENTS: classroom.session_events(session, group, stay, dice),
        SESSION_ANALYTICS: insights.session_analytics(session, dice),
        PROMPTS: insights.teacher_guidance_metrics(session, dice),
        INTERVENTIONS: insights.intervention_suggestions(session, dice),
        ANALYSIS_RESULTS: insights.analysis_results(session, dice),
        API_METRICS: insights.api_metrics(session, dice),
        SYSTEM_EVENTS: insights.system_events(session, dice),
        RECORDINGS: classroom.recordings(group, dice),
    }  # fmt: skip
