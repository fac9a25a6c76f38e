"""Sessions as the metrics see them: their span, their quality and the groups in them."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.columns import clamped, hours, mean_of, normalised
from transforms.metric_settings import MetricSettings


def _of_type(event_type: str) -> Column:
    return normalised(F.col("event_type")) == event_type


def landmarks(value: Column) -> dict[str, Column]:
    """By event type, the aggregate of a session's events that places it: the value of its earliest or latest one.

    `value` is the event's time, or a struct that begins with it.
    """
    return {
        "configured": F.min(F.when(_of_type("configured"), value)),
        "started": F.min(F.when(_of_type("started"), value)),
        "ended": F.max(F.when(_of_type("ended"), value)),
    }


def session_landmarks(events: DataFrame) -> DataFrame:
    """One row per session with events: its earliest `started` and `configured`, its latest `ended` event, and counts.

    `session_events` counts them all, `leader_ready_events` those of that type.
    """
    return events.groupBy("session_id").agg(
        *[moment.alias(f"{name}_at") for name, moment in landmarks(F.col("event_time")).items()],
        F.count("*").alias("session_events"),
        F.count_if(_of_type("leader_ready")).alias("leader_ready_events"),
    )


def session_keys(sessions: DataFrame) -> DataFrame:
    """One row per usable session: `session_id`, `school_id` and `teacher_id`."""
    return sessions.withColumnRenamed("id", "session_id").select("session_id", "school_id", "teacher_id")


def session_spans(sessions: DataFrame, events: DataFrame, settings: MetricSettings) -> DataFrame:
    """One row per usable session: `session_id`, what the metrics need of it, and its span.

    `start`: the earliest `started` event, else `actual_start`. `recorded_end`: the latest `ended` event, else
    `actual_end`, but no earlier than `start` and no later than `max_session_hours` after it. `end`: `recorded_end`,
    else `open_session_hours` after `start`. All three are null for a session without a start. `configured_at`: the
    earliest `configured` event. `session_events` and `leader_ready_events` count its events.
    """
    start = F.coalesce("started_at", "actual_start")
    latest_end = F.col("start") + hours(settings.max_session_hours)
    recorded_end = F.when(
        F.col("start").isNotNull(), clamped(F.coalesce("ended_at", "actual_end"), F.col("start"), latest_end)
    )
    return (
        sessions.withColumnRenamed("id", "session_id")
        .join(session_landmarks(events), "session_id", how="left")
        .withColumn("start", start)
        .withColumn("recorded_end", recorded_end)
        .withColumn("end", F.coalesce("recorded_end", F.col("start") + hours(settings.open_session_hours)))
        .select(
            "session_id",
            "school_id",
            "teacher_id",
            "engagement_score",
            "participation_rate",
            "actual_duration_minutes",
            "configured_at",
            "start",
            "recorded_end",
            "end",
            F.coalesce("session_events", F.lit(0)).alias("session_events"),
            F.coalesce("leader_ready_events", F.lit(0)).alias("leader_ready_events"),
        )
    )


def earliest_ready(events: DataFrame, value: Column) -> DataFrame:
    """One row per session and group that a `leader_ready` event of the session names: its earliest one's `ready`.

    `value` is the event's time, or a struct that begins with it.
    """
    return (
        events.where(_of_type("leader_ready") & F.col("group_id").isNotNull())
        .groupBy("session_id", "group_id")
        .agg(F.min(value).alias("ready"))
    )


def group_readiness(groups: DataFrame, events: DataFrame) -> DataFrame:
    """The usable groups (their id as `group_id`) with `ready_at`, null for a group that no leader reported ready."""
    ready = earliest_ready(events, F.col("event_time")).withColumnRenamed("ready", "ready_at")
    return groups.withColumnRenamed("id", "group_id").join(ready, ["session_id", "group_id"], how="left")


def group_totals(groups: DataFrame) -> DataFrame:
    """One row per session with groups, from `group_readiness`.

    `groups` counts them, `completed_groups` those with that `status`, `ready_ats` lists the times at which they were
    ready. `collaboration_sum` and `_count` are over their non-null `collaboration_score`, `argumentation_…` over
    `argumentation_quality`, `discussion_…` over the mean of `topical_cohesion` and `conceptual_density` of each.
    """
    collaboration = F.col("collaboration_score").cast("double")
    argumentation = F.col("argumentation_quality").cast("double")
    discussion = mean_of(F.col("topical_cohesion").cast("double"), F.col("conceptual_density").cast("double"))
    return groups.groupBy("session_id").agg(
        F.count("*").alias("groups"),
        F.count_if(normalised(F.col("status")) == "completed").alias("completed_groups"),
        F.collect_list("ready_at").alias("ready_ats"),
        F.sum(collaboration).alias("collaboration_sum"),
        F.count(collaboration).alias("collaboration_count"),
        F.sum(argumentation).alias("argumentation_sum"),
        F.count(argumentation).alias("argumentation_count"),
        F.sum(discussion).alias("discussion_sum"),
        F.count(discussion).alias("discussion_count"),
    )


def session_quality() -> Column:
    """`q`, score 0-100: the mean of the session's engagement, its participation and its groups' mean collaboration.

    Nulls are left out. Needs the columns of `group_totals` besides the session's own.
    """
    collaboration = F.when(F.col("collaboration_count") > 0, F.col("collaboration_sum") / F.col("collaboration_count"))
    return mean_of(F.col("engagement_score").cast("double"), F.col("participation_rate").cast("double"), collaboration)
