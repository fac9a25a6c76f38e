"""The daily summary: one row per teacher and date in the teacher's time zone, for both of its tables.

What belongs to a session is aggregated per session first; then sessions and prompts are each aggregated by teacher and
date, and combined. Peer comparison and trend are computed from the finished rows.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.catalog import (
    GROUPS,
    INTERVENTIONS,
    PROMPTS,
    SESSION_EVENTS,
    SESSIONS,
    TEACHERS,
    TRANSCRIPTIONS,
    full_name,
)
from transforms.columns import mean, not_negative, percentage, seconds_between
from transforms.combine import as_count, one_row_per_key
from transforms.inputs import RollupInputs
from transforms.local_dates import UTC, known_zone, local_date
from transforms.prompts import of_their_teachers, response_time
from transforms.sessions import group_readiness, group_totals, session_quality
from transforms.trend import TREND_DAYS, with_improvement_trend
from transforms.windows import DateWindow

KEY = ("teacher_id", "summary_date")
CALCULATION_METHOD = "daily_rollup"
MIN_PEERS = 5
"""With fewer peers a comparison would say more about single colleagues than about the teacher."""

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
"""The columns of which `data_quality_score` is the share that is not null."""

_COUNTS = (
    "total_sessions",
    "total_session_duration_minutes",
    "total_prompts_shown",
    "total_prompts_used",
    "total_prompts_dismissed",
    "total_interventions",
    "total_alerts_generated",
    "total_leader_ready_events",
)


def teacher_profiles(teachers: DataFrame) -> DataFrame:
    """One row per usable teacher: `teacher_id`, the teacher's own school and time zone."""
    return teachers.select(
        F.col("id").alias("teacher_id"),
        F.col("school_id").alias("teacher_school_id"),
        known_zone(F.col("timezone")).alias("zone"),
    )


def at_local_date(facts: DataFrame, moment: str, profiles: DataFrame, window: DateWindow) -> DataFrame:
    """The facts that have a teacher and whose moment is on one of the window's dates, with that `summary_date`.

    UTC is used for a teacher without a profile.
    """
    zone = F.coalesce("zone", F.lit(UTC))
    return (
        facts.where(F.col("teacher_id").isNotNull() & window.may_contain(F.col(moment)))
        .join(profiles, "teacher_id", how="left")
        .withColumn("summary_date", local_date(F.col(moment), zone))
        .where(window.contains(F.col("summary_date")))
    )


def final_transcriptions(transcriptions: DataFrame) -> DataFrame:
    """One row per session with final transcriptions: how many."""
    return transcriptions.where("is_final").groupBy("session_id").agg(F.count("*").alias("final_transcriptions"))


def suggestion_totals(suggestions: DataFrame) -> DataFrame:
    """One row per session with suggested interventions: how many, how many acted upon, and after how many seconds."""
    acted = F.col("acted_upon")
    seconds = F.when(acted, not_negative(seconds_between(F.col("created_at"), F.col("acted_at"))))
    return suggestions.groupBy("session_id").agg(
        F.count("*").alias("suggestions"),
        F.count_if(acted).alias("interventions"),
        F.sum(seconds).alias("reaction_sum"),
        F.count(seconds).alias("reaction_count"),
    )


def _minutes_in_session() -> Column:
    """`actual_duration_minutes`, else the whole minutes from `start` to `recorded_end`, else 0."""
    recorded = F.floor(seconds_between(F.col("start"), F.col("recorded_end")) / 60)
    return F.coalesce(F.col("actual_duration_minutes").cast("bigint"), recorded, F.lit(0))


def _minutes_to_readiness() -> Column:
    """Minutes from the session's configuration, else its start, to each group's readiness, summed over its groups."""
    begin = F.unix_micros(F.coalesce("configured_at", "start"))
    minutes = F.transform("ready_ats", lambda ready: F.greatest(F.unix_micros(ready) - begin, F.lit(0)) / 60e6)
    return F.aggregate(minutes, F.lit(0.0), lambda total, each: total + each)


def sessions_by_date(sessions: DataFrame) -> DataFrame:
    """One row per teacher and date: totals and means of the sessions and all that happened in them.

    Needs `at_local_date` of the sessions with their `group_totals`, `final_transcriptions` and `suggestion_totals`.
    """

    def mean_of_all(total: str, count: str) -> Column:
        return F.try_divide(F.sum(total), F.sum(count))

    return (
        sessions.withColumn("quality", session_quality())
        .withColumn("readiness_sum", _minutes_to_readiness())
        .withColumn("readiness_count", F.when(F.col("ready_ats").isNotNull(), F.size("ready_ats")))
        .groupBy(*KEY)
        .agg(
            F.max("teacher_school_id").alias("teacher_school_id"),
            F.min("school_id").alias("session_school_id"),
            F.count("*").alias("total_sessions"),
            mean(F.col("quality")).alias("avg_session_score"),
            mean(F.col("participation_rate")).alias("avg_participation_rate"),
            mean(F.col("engagement_score")).alias("avg_engagement_score"),
            F.sum(_minutes_in_session()).alias("total_session_duration_minutes"),
            mean_of_all("collaboration_sum", "collaboration_count").alias("avg_collaboration_score"),
            mean_of_all("argumentation_sum", "argumentation_count").alias("avg_critical_thinking_score"),
            mean_of_all("discussion_sum", "discussion_count").alias("avg_discussion_quality_score"),
            mean_of_all("readiness_sum", "readiness_count").alias("avg_group_readiness_time"),
            mean_of_all("reaction_sum", "reaction_count").alias("avg_alert_response_time"),
            F.sum("groups").alias("groups"),
            percentage(F.sum("completed_groups"), F.sum("groups")).alias("avg_group_completion_rate"),
            F.sum("interventions").alias("total_interventions"),
            F.sum("suggestions").alias("total_alerts_generated"),
            F.sum("session_events").alias("session_events"),
            F.sum("leader_ready_events").alias("total_leader_ready_events"),
            F.sum("final_transcriptions").alias("final_transcriptions"),
        )
    )


def prompts_by_date(prompts: DataFrame) -> DataFrame:
    """One row per teacher and date: counts and means of the prompts. Needs `at_local_date` of the prompts."""
    return prompts.groupBy(*KEY).agg(
        F.max("teacher_school_id").alias("teacher_school_id"),
        F.count("*").alias("total_prompts_shown"),
        F.count("used_at").alias("total_prompts_used"),
        F.count("dismissed_at").alias("total_prompts_dismissed"),
        mean(response_time()).alias("avg_prompt_response_time"),
        mean(F.col("effectiveness_score")).alias("avg_effectiveness_score"),
    )


def source_tables() -> Column:
    """The JSON array of the tables that contributed at least one usable row."""
    given = {
        PROMPTS: "total_prompts_shown",
        SESSION_EVENTS: "session_events",
        SESSIONS: "total_sessions",
        GROUPS: "groups",
        TRANSCRIPTIONS: "final_transcriptions",
    }
    names = [F.when(F.col(count) > 0, full_name(table)) for table, count in sorted(given.items())]
    return F.to_json(F.array_compact(F.array(*names)))


def with_peer_comparison(rows: DataFrame) -> DataFrame:
    """The rows with `vs_peer_average` and `vs_school_average`; they must hold all teachers of each date.

    The mean of the others is computed from the sum of all minus one's own, which takes no self-join.
    """
    score = F.col("avg_session_score")

    def less_others(*same: str) -> Column:
        all_of = Window.partitionBy(*same)
        others = F.count(score).over(all_of) - 1
        mean_of_others = (F.sum(score).over(all_of) - score) / others
        return F.when(others >= MIN_PEERS, score - mean_of_others)

    of_school = F.when(F.col("school_id").isNotNull(), less_others("summary_date", "school_id"))
    return rows.withColumns({"vs_peer_average": less_others("summary_date"), "vs_school_average": of_school})


def teacher_analytics_summary(inputs: RollupInputs, window: DateWindow) -> DataFrame:
    """The rows of the window's dates, with the columns of both tables but `id` and audit columns.

    The sessions' spans already reflect the settings; a date need not be over before the run starts.
    """
    spans, usable = inputs.sessions, inputs.usable
    with_past = window.with_days_before(TREND_DAYS - 1)
    profiles = teacher_profiles(usable[TEACHERS])
    groups = group_readiness(usable[GROUPS], usable[SESSION_EVENTS])
    sessions = at_local_date(spans.where(F.col("start").isNotNull()), "start", profiles, with_past)
    for totals in (
        group_totals(groups),
        final_transcriptions(usable[TRANSCRIPTIONS]),
        suggestion_totals(usable[INTERVENTIONS]),
    ):
        sessions = sessions.join(totals, "session_id", how="left")
    prompts = of_their_teachers(usable[PROMPTS], spans)
    parts = [
        sessions_by_date(sessions),
        prompts_by_date(at_local_date(prompts, "generated_at", profiles, window)),
    ]
    rows = (
        one_row_per_key(parts, KEY)
        .withColumn("school_id", F.coalesce("teacher_school_id", "session_school_id"))
        .withColumn("source_tables", source_tables())
        .withColumns({name: as_count(name) for name in _COUNTS})
    )
    data_points = F.col("total_sessions") + F.col("total_prompts_shown")
    present = F.size(F.array_compact(F.array(*AVERAGES)))
    return (
        with_peer_comparison(with_improvement_trend(rows).where(window.contains(F.col("summary_date"))))
        .withColumns(
            {
                "prompt_usage_rate": percentage(F.col("total_prompts_used"), F.col("total_prompts_shown")),
                "avg_intervention_rate": F.try_divide("total_interventions", "total_sessions"),
                "confidence_score": data_points / (data_points + 10),
                "data_quality_score": present / len(AVERAGES),
                "data_points_included": data_points + F.coalesce("final_transcriptions", F.lit(0)),
                "calculation_method": F.lit(CALCULATION_METHOD),
            }
        )
        .select(
            *KEY,
            "school_id",
            *_COUNTS,
            *AVERAGES,
            "prompt_usage_rate",
            "avg_intervention_rate",
            "avg_alert_response_time",
            "avg_group_completion_rate",
            "avg_group_readiness_time",
            "vs_peer_average",
            "vs_school_average",
            "improvement_trend",
            "confidence_score",
            "data_quality_score",
            as_count("data_points_included"),
            "calculation_method",
            "source_tables",
        )
    )
