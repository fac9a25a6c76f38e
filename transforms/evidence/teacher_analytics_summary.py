"""The source rows that one row of the daily summary was computed from."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.catalog import GROUPS, INTERVENTIONS, PROMPTS, SESSION_EVENTS, SESSIONS, TEACHERS, TRANSCRIPTIONS
from transforms.columns import normalised, seconds_between
from transforms.evidence.parts import PLACES, Labels, PlacedBy, columns_of, evidence_of, part, ready_events
from transforms.prompts import of_their_teachers, response_time
from transforms.sessions import group_readiness, group_totals, session_quality
from transforms.teacher_analytics_summary import KEY, at_local_date, teacher_profiles
from transforms.trend import TREND_DAYS
from transforms.windows import DateWindow

DEFINING_COLUMN = "confidence_score"
"""The column whose source rows make a row exist: they are also the evidence for the row's key."""

_OF_SESSIONS_AND_PROMPTS = (
    DEFINING_COLUMN,
    "data_points_included",
    "data_quality_score",
    "source_tables",
    "school_id",
    "improvement_trend",
)


def evidence_of_day(spans: DataFrame, usable: Mapping[str, DataFrame], teacher: str, window: DateWindow) -> DataFrame:
    """The evidence for this teacher's row of the window's one date: see `evidence_of`.

    `usable` also has the rows' `id` and their `row_time`.
    """
    profiles = teacher_profiles(usable[TEACHERS])
    sessions = _sessions(spans, usable, profiles, teacher, window)
    own = sessions.where("is_own").select("session_id", "teacher_id")

    def inside(source: str) -> DataFrame:
        return usable[source].join(own, "session_id", how="inner")

    parts = [
        *_of_sessions(sessions),
        _of_groups(sessions, usable),
        *_of_prompts(spans, usable[PROMPTS], profiles, teacher, window),
        _inside(
            TRANSCRIPTIONS,
            inside(TRANSCRIPTIONS).where("is_final"),
            {"data_points_included": True, "source_tables": True},
        ),
        _inside(INTERVENTIONS, inside(INTERVENTIONS), _suggested()),
        _inside(
            SESSION_EVENTS,
            inside(SESSION_EVENTS),
            {
                "source_tables": True,
                "total_leader_ready_events": normalised(F.col("event_type")) == "leader_ready",
            },
        ),
    ]
    return evidence_of(parts, usable, by_start=_OF_SESSIONS_AND_PROMPTS)


def _inside(source: str, rows: DataFrame, labels: Labels) -> DataFrame:
    """Rows of the day's sessions; a session belongs to the day on which it starts."""
    columns = columns_of(labels)
    return part(source, rows, columns, PlacedBy(start=columns), has_teacher=True)


def _suggested() -> Labels:
    acted = F.coalesce(F.col("acted_upon"), F.lit(False))
    is_timed = F.coalesce(seconds_between(F.col("created_at"), F.col("acted_at")) >= 0, F.lit(False))
    return {
        "total_alerts_generated": True,
        "total_interventions": acted,
        "avg_intervention_rate": acted,
        "avg_alert_response_time": acted & is_timed,
    }


def _sessions(
    spans: DataFrame, usable: Mapping[str, DataFrame], profiles: DataFrame, teacher: str, window: DateWindow
) -> DataFrame:
    """The teacher's sessions of the 28 dates, and everybody's on the date.

    `is_own`: the teacher's own on the date; `of_teacher`; `on_date`; `has_score`; `of_school`: whether the school
    comparison uses it.
    """
    with_past = window.with_days_before(TREND_DAYS - 1)
    groups = group_readiness(usable[GROUPS], usable[SESSION_EVENTS])
    starts = usable[SESSIONS].select(F.col("id").alias("session_id"), "actual_start")
    of_teacher, on_date = F.col("teacher_id") == teacher, window.contains(F.col("summary_date"))
    school_of_row = F.coalesce("teacher_school_id", F.min("school_id").over(Window.partitionBy(*KEY)))
    own_school = F.max(F.when(F.col("is_own"), F.col("school_of_row"))).over(Window.partitionBy("summary_date"))
    # A teacher without a school gets that of the sessions, scored or not.
    gives = F.col("has_score") | F.col("teacher_school_id").isNull()
    of_school = F.col("on_date") & gives & F.coalesce(F.col("school_of_row") == own_school, F.lit(False))
    return (
        at_local_date(spans.where(F.col("start").isNotNull()), "start", profiles, with_past)
        .where(of_teacher | on_date)
        .join(group_totals(groups), "session_id", how="left")
        .join(starts, "session_id", how="inner")
        .withColumns({"of_teacher": of_teacher, "on_date": on_date, "is_own": of_teacher & on_date})
        .withColumn("has_score", session_quality().isNotNull())
        .withColumn("school_of_row", school_of_row)
        .withColumn("of_school", of_school | (F.col("is_own") & F.col("has_score")))
        .withColumn("id", F.col("session_id"))
    )


def _own(condition: Column | None = None) -> Column:
    return F.col("is_own") if condition is None else F.col("is_own") & condition


def _of_sessions(sessions: DataFrame) -> list[DataFrame]:
    has_score = F.col("has_score")
    own = _own()
    columns = columns_of(
        {
            "total_sessions": own,
            "total_session_duration_minutes": own,
            DEFINING_COLUMN: own,
            "data_points_included": own,
            "avg_intervention_rate": own,
            "source_tables": own,
            "school_id": own,
            "avg_session_score": _own(has_score),
            "data_quality_score": _own(has_score),
            "avg_engagement_score": _own(F.col("engagement_score").isNotNull()),
            "avg_participation_rate": _own(F.col("participation_rate").isNotNull()),
            "improvement_trend": F.col("of_teacher") & has_score,
            "vs_peer_average": F.col("on_date") & has_score,
            "vs_school_average": F.col("of_school"),
        }
    )
    is_measured = _own(F.col("actual_duration_minutes").isNull())
    row_only = columns_of({"improvement_trend": _own(~has_score)})
    return [
        part(
            SESSIONS,
            sessions,
            columns,
            PlacedBy(start=columns, end=columns_of({"total_session_duration_minutes": is_measured})),
            has_teacher=True,
        ),
        # The row has a trend even if nothing on its date is scored.
        part(SESSIONS, sessions, row_only, PlacedBy(start=row_only), has_teacher=True, role=PLACES),
    ]


def _of_groups(sessions: DataFrame, usable: Mapping[str, DataFrame]) -> DataFrame:
    places = sessions.select("session_id", "teacher_id", "is_own", "of_teacher", "on_date", "of_school")
    groups = (
        usable[GROUPS]
        .join(places, "session_id", how="inner")
        .join(ready_events(usable[SESSION_EVENTS]), ["session_id", "id"], how="left")
    )
    collaborates, argues = F.col("collaboration_score").isNotNull(), F.col("argumentation_quality").isNotNull()
    discusses = F.col("topical_cohesion").isNotNull() | F.col("conceptual_density").isNotNull()
    is_ready = F.col("ready_event").isNotNull()
    columns = columns_of(
        {
            "source_tables": _own(),
            "avg_group_completion_rate": _own(),
            "avg_collaboration_score": _own(collaborates),
            "avg_critical_thinking_score": _own(argues),
            "avg_discussion_quality_score": _own(discusses),
            "data_quality_score": _own(collaborates | argues | discusses),
            "avg_session_score": _own(collaborates),
            "avg_group_readiness_time": _own(is_ready),
            "improvement_trend": F.col("of_teacher") & collaborates,
            "vs_peer_average": F.col("on_date") & collaborates,
            "vs_school_average": F.col("of_school") & collaborates,
        }
    )
    ready = columns_of({"avg_group_readiness_time": _own(is_ready)})
    return part(
        GROUPS,
        groups,
        columns,
        PlacedBy(start=columns, configured=ready, ready=ready),
        has_teacher=True,
    )


def _of_prompts(
    spans: DataFrame, prompts: DataFrame, profiles: DataFrame, teacher: str, window: DateWindow
) -> list[DataFrame]:
    own = at_local_date(
        of_their_teachers(prompts, spans).where(F.col("teacher_id") == teacher),
        "generated_at",
        profiles,
        window,
    )
    is_timed, has_score = response_time().isNotNull(), F.col("effectiveness_score").isNotNull()
    columns = columns_of(
        {
            "total_prompts_shown": True,
            "total_prompts_used": F.col("used_at").isNotNull(),
            "total_prompts_dismissed": F.col("dismissed_at").isNotNull(),
            "prompt_usage_rate": True,
            "avg_prompt_response_time": is_timed,
            "avg_effectiveness_score": has_score,
            "data_quality_score": is_timed | has_score,
            DEFINING_COLUMN: True,
            "data_points_included": True,
            "source_tables": True,
            "school_id": True,
        }
    )
    return [
        part(PROMPTS, own, columns, has_teacher=True),
        part(PROMPTS, own, columns_of({"improvement_trend": True}), has_teacher=True, role=PLACES),
    ]
