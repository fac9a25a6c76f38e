"""The hourly rollup: one row per school and hour, for schools and hours with at least one fact.

Each `…_by_hour` function computes the columns of one kind of fact, one row per school and hour; its `facts` column
counts the facts in the row. `dashboard_metrics_hourly` combines them.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

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
    SYSTEM_EVENTS,
    TRANSCRIPTIONS,
)
from transforms.columns import clamped, hour_of, hours, instant, mean, normalised, percentage, weighted_mean
from transforms.combine import as_count, one_row_per_key
from transforms.inputs import RollupInputs
from transforms.metric_settings import MetricSettings
from transforms.sessions import group_readiness, group_totals, session_quality
from transforms.windows import HourWindow

KEY = ("school_id", "metric_hour")
CALCULATION_METHOD = "hourly_rollup"
ERRORS = ("error", "critical")
"""Severities of system events that count as errors."""
ALERTS = ("warning", *ERRORS)
"""Severities that count as alerts."""
MAX_STAY_HOURS = 24
"""A participant's stay ends after this many hours at the latest: fixed by the metric, not a setting."""


def longest_reach_hours(settings: MetricSettings) -> int:
    """For how many hours a session or a stay can count after it began."""
    return max(settings.max_session_hours, settings.open_session_hours, MAX_STAY_HOURS)


def in_schools(facts: DataFrame, spans: DataFrame) -> DataFrame:
    """The facts with the `school_id` of their session; those without a school are left out."""
    schools = spans.where(F.col("school_id").isNotNull()).select("session_id", "school_id")
    return facts.join(schools, "session_id", how="inner")


def at_hour(facts: DataFrame, moment: str, window: HourWindow) -> DataFrame:
    """The facts whose moment is in the window, with the `metric_hour` that holds it."""
    return facts.where(window.contains(F.col(moment))).withColumn("metric_hour", hour_of(F.col(moment)))


def sessions_by_hour(spans: DataFrame, groups: DataFrame, window: HourWindow) -> DataFrame:
    """Totals and means of the sessions active or completed in the hour, and of the active sessions' groups."""
    totals = group_totals(groups)
    active_hours = F.coalesce(window.overlapped_hours(F.col("start"), F.col("end")), F.array().cast("array<timestamp>"))
    completed_hour = F.when(window.contains(F.col("recorded_end")), hour_of(F.col("recorded_end")))
    hours_touched = F.array_union("active_hours", F.array_compact(F.array("completed_hour")))
    is_active = F.array_contains("active_hours", F.col("metric_hour"))

    def of_active(value: Column) -> Column:
        return F.when(F.col("is_active"), value)

    ready = F.size(F.filter("ready_ats", lambda ready_at: ready_at < F.col("metric_hour") + hours(1)))
    return (
        spans.where(F.col("start").isNotNull() & F.col("school_id").isNotNull())
        .join(totals, "session_id", how="left")
        .withColumn("quality", session_quality())
        .withColumn("active_hours", active_hours)
        .withColumn("completed_hour", completed_hour)
        .withColumn("metric_hour", F.explode(hours_touched))
        .withColumn("is_active", is_active)
        .groupBy(*KEY)
        .agg(
            F.count(of_active(F.lit(1))).alias("sessions_active"),
            F.count_if(F.col("completed_hour") == F.col("metric_hour")).alias("sessions_completed"),
            F.size(F.collect_set(of_active(F.col("teacher_id")))).alias("teachers_active"),
            F.sum(of_active(F.col("groups"))).alias("total_groups"),
            F.sum(of_active(F.when(F.col("ready_ats").isNotNull(), ready))).alias("ready_groups"),
            mean(of_active(F.col("quality"))).alias("avg_session_quality"),
            mean(of_active(F.col("engagement_score"))).alias("avg_engagement_score"),
            mean(of_active(F.col("participation_rate"))).alias("avg_participation_rate"),
            F.try_divide(
                F.sum(of_active(F.col("collaboration_sum"))), F.sum(of_active(F.col("collaboration_count")))
            ).alias("avg_collaboration_score"),
            F.count("*").alias("facts"),
        )
    )


def stay_end() -> Column:
    """When a participant left: `leave_time`, else the session's `end`, else `join_time`; `MAX_STAY_HOURS` at most."""
    join_time = F.col("join_time")
    return clamped(F.coalesce("leave_time", "end", "join_time"), join_time, join_time + hours(MAX_STAY_HOURS))


def participant_intervals(participants: DataFrame, spans: DataFrame) -> DataFrame:
    """One row per usable participant of a school: `school_id`, `person`, `connection_quality` and its interval.

    `[present_from, present_until)`: from `join_time` to `stay_end`.
    """
    sessions = spans.where(F.col("school_id").isNotNull()).select("session_id", "school_id", "end")
    return participants.join(sessions, "session_id", how="inner").select(
        "school_id",
        "person",
        "connection_quality",
        F.col("join_time").alias("present_from"),
        stay_end().alias("present_until"),
    )


def connection_stability() -> Column:
    """The last quality that a participant reported as a score: excellent 100, good 75, fair 50, poor 25, else null."""
    quality = normalised(F.col("connection_quality"))
    return (
        F.when(quality == "excellent", 100.0)
        .when(quality == "good", 75.0)
        .when(quality == "fair", 50.0)
        .when(quality == "poor", 25.0)
    )


def _present(intervals: DataFrame, window: HourWindow) -> DataFrame:
    """One row per participant and hour of the window that its interval overlaps."""
    overlapped = window.overlapped_hours(F.col("present_from"), F.col("present_until"))
    return intervals.withColumn("metric_hour", F.explode(overlapped))


def students_by_hour(intervals: DataFrame, window: HourWindow) -> DataFrame:
    """Participants present in the hour: how many persons, and the mean quality of their connections."""
    return (
        _present(intervals, window)
        .groupBy(*KEY)
        .agg(
            # Not by a set: with more than 128 hours Spark would sort the rows before collecting sets.
            F.count_distinct("person").alias("students_active"),
            mean(connection_stability()).alias("avg_connection_stability"),
            F.count("*").alias("facts"),
        )
    )


def connections_by_hour(intervals: DataFrame, window: HourWindow) -> DataFrame:
    """The peak of connections at one instant of the hour.

    Every connection marks its arrival (+1) and its departure (-1) within the hour; the peak is the greatest running
    sum. Departures sort before arrivals at the same instant because intervals are half-open. The marks hold nothing
    else because this is the largest sort of the rollup.
    """
    hour_end = F.col("metric_hour") + hours(1)
    connections = F.when(F.col("present_until") > F.col("present_from"), 1).otherwise(0)
    arrival = F.struct(F.greatest("present_from", "metric_hour").alias("moment"), connections.alias("change"))
    departure = F.struct(F.least(F.col("present_until"), hour_end).alias("moment"), (-connections).alias("change"))
    until_now = Window.partitionBy(*KEY).orderBy("moment", "change").rowsBetween(Window.unboundedPreceding, 0)
    return (
        _present(intervals, window)
        .select(*KEY, F.explode(F.array(arrival, departure)).alias("mark"))
        .select(*KEY, "mark.*")
        .withColumn("connected", F.sum("change").over(until_now))
        .groupBy(*KEY)
        .agg(F.max("connected").alias("websocket_connections"))
    )


def session_events_by_hour(events: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """Session events of the hour and the latency that they report."""
    return (
        at_hour(in_schools(events, spans), "event_time", window)
        .groupBy(*KEY)
        .agg(mean(F.col("latency_ms")).alias("avg_latency_ms"), F.count("*").alias("facts"))
    )


def transcriptions_by_hour(transcriptions: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """Final transcriptions that start in the hour: minutes, and the recogniser's confidence weighted by duration."""
    final = transcriptions.where(F.col("is_final"))
    confidence = F.col("confidence_score").cast("double")
    return (
        at_hour(in_schools(final, spans), "start_time", window)
        .groupBy(*KEY)
        .agg(
            (100 * weighted_mean(confidence, F.col("seconds"))).alias("avg_audio_quality"),
            (F.sum("seconds") / 60).alias("total_transcription_minutes"),
            F.count("*").alias("facts"),
        )
    )


def prompts_by_hour(prompts: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """Prompts generated and prompts used in the hour; a prompt that was both counts as one fact."""
    generated_hour, used_hour = hour_of(F.col("generated_at")), hour_of(F.col("used_at"))
    return (
        in_schools(prompts, spans)
        .withColumn("metric_hour", F.explode(F.array_distinct(F.array_compact(F.array(generated_hour, used_hour)))))
        .where(window.contains(F.col("metric_hour")))
        .groupBy(*KEY)
        .agg(
            F.count_if(generated_hour == F.col("metric_hour")).alias("total_prompts_generated"),
            F.count_if(used_hour == F.col("metric_hour")).alias("total_prompts_used"),
            F.count("*").alias("facts"),
        )
    )


def interventions_by_hour(interventions: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """Suggestions that a teacher acted upon in the hour."""
    acted = in_schools(interventions.where(F.col("acted_upon")), spans)
    return (
        at_hour(acted, "acted_at", window)
        .groupBy(*KEY)
        .agg(F.count("*").alias("total_interventions"), F.count("*").alias("facts"))
    )


def system_events_by_hour(system_events: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """System events of the hour by severity; an event belongs to its own school, else to its session's."""
    schools = spans.select("session_id", F.col("school_id").alias("session_school_id"))
    severity = normalised(F.col("severity"))
    placed = (
        system_events.join(schools, "session_id", how="left")
        .withColumn("school_id", F.coalesce("school_id", "session_school_id"))
        .where(F.col("school_id").isNotNull())
    )
    return (
        at_hour(placed, "created_at", window)
        .groupBy(*KEY)
        .agg(
            F.count_if(severity.isin(*ERRORS)).alias("total_errors"),
            F.count_if(severity.isin(*ALERTS)).alias("total_alerts"),
            F.count("*").alias("facts"),
        )
    )


def api_requests_by_hour(api_metrics: DataFrame, window: HourWindow) -> DataFrame:
    """API requests of the hour: response time, and the share of server errors among those with a status code."""
    failed = F.count_if(F.col("status_code") >= 500)
    return (
        at_hour(api_metrics.where(F.col("school_id").isNotNull()), "timestamp", window)
        .groupBy(*KEY)
        .agg(
            mean(F.col("response_time_ms")).alias("avg_response_time"),
            percentage(failed, F.count("status_code")).alias("error_rate"),
            F.count("*").alias("facts"),
        )
    )


def analysis_results_by_hour(results: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """AI analyses of the hour: how many, and their mean processing time in ms (`processing_ms` is its sum)."""
    return (
        at_hour(in_schools(results, spans), "analysis_timestamp", window)
        .groupBy(*KEY)
        .agg(
            F.count("*").alias("ai_analyses_completed"),
            mean(F.col("processing_time_ms")).alias("avg_ai_processing_time"),
            F.sum(F.col("processing_time_ms").cast("double")).alias("processing_ms"),
            F.count("*").alias("facts"),
        )
    )


def analysis_end() -> Column:
    """When a session's analysis was completed or failed; null in any other state."""
    status = normalised(F.col("status"))
    return F.when(status == "completed", F.col("computed_at")).when(status == "failed", F.col("failed_at"))


def session_analyses_by_hour(analyses: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """Session analyses that completed or failed in the hour, and the share that completed."""
    status = normalised(F.col("status"))
    return (
        at_hour(in_schools(analyses.withColumn("ended_at", analysis_end()), spans), "ended_at", window)
        .groupBy(*KEY)
        .agg(
            percentage(F.count_if(status == "completed"), F.count("*")).alias("ai_analysis_success_rate"),
            F.count("*").alias("facts"),
        )
    )


def bytes_stored_by_hour(recordings: DataFrame, spans: DataFrame, window: HourWindow) -> DataFrame:
    """Bytes recorded in each hour; all from before the window count in the hour before it. A stock, so no `facts`."""
    before = instant(window.start - timedelta(hours=1))
    return (
        in_schools(recordings, spans)
        .where(F.col("created_at") < instant(window.end))
        .withColumn("metric_hour", F.greatest(hour_of(F.col("created_at")), before))
        .groupBy(*KEY)
        .agg(F.sum(F.col("file_size_bytes").cast("double")).alias("bytes_stored"))
    )


_COUNTS = (
    "sessions_active",
    "sessions_completed",
    "teachers_active",
    "students_active",
    "total_groups",
    "ready_groups",
    "total_errors",
    "websocket_connections",
    "total_prompts_generated",
    "total_prompts_used",
    "total_interventions",
    "total_alerts",
    "ai_analyses_completed",
)
_AVERAGES_AND_RATES = (
    "avg_session_quality",
    "avg_engagement_score",
    "avg_participation_rate",
    "avg_collaboration_score",
    "avg_audio_quality",
    "avg_connection_stability",
    "avg_response_time",
    "avg_latency_ms",
    "error_rate",
    "avg_ai_processing_time",
    "ai_analysis_success_rate",
)


def assembled_rows(parts: list[DataFrame], window: HourWindow, settings: MetricSettings) -> DataFrame:
    """One row per school and hour of the window with at least one fact, from at most one row of each part."""
    so_far = Window.partitionBy("school_id").orderBy("metric_hour").rowsBetween(Window.unboundedPreceding, 0)
    minutes = F.coalesce("total_transcription_minutes", F.lit(0.0))
    analysis_seconds = F.coalesce("processing_ms", F.lit(0.0)) / 1000
    cost = (
        F.col("total_transcription_minutes") * settings.transcription_usd_per_minute
        + analysis_seconds * settings.analysis_usd_per_second
    )
    return (
        one_row_per_key(parts, KEY, summed=("facts",))
        .withColumnRenamed("facts", "data_sources_count")
        .withColumn("total_storage_gb", F.coalesce(F.sum("bytes_stored").over(so_far), F.lit(0.0)) / 1e9)
        .where((F.col("data_sources_count") > 0) & window.contains(F.col("metric_hour")))
        .withColumn("total_transcription_minutes", minutes)
        .withColumn("estimated_compute_cost", cost)
        .select(
            *KEY,
            *map(as_count, _COUNTS),
            *_AVERAGES_AND_RATES,
            "total_transcription_minutes",
            "total_storage_gb",
            "estimated_compute_cost",
            as_count("data_sources_count"),
            F.lit(CALCULATION_METHOD).alias("calculation_method"),
        )
    )


def dashboard_metrics_hourly(inputs: RollupInputs, window: HourWindow) -> DataFrame:
    """The rows of the window's hours that began before the run's start: every column but `id` and audit columns."""
    spans, usable, begun = inputs.sessions, inputs.usable, window.until(inputs.run_start)
    events = usable[SESSION_EVENTS]
    groups = group_readiness(usable[GROUPS], events)
    intervals = participant_intervals(usable[PARTICIPANTS], spans)
    parts = [
        sessions_by_hour(spans, groups, begun),
        students_by_hour(intervals, begun),
        connections_by_hour(intervals, begun),
        session_events_by_hour(events, spans, begun),
        transcriptions_by_hour(usable[TRANSCRIPTIONS], spans, begun),
        prompts_by_hour(usable[PROMPTS], spans, begun),
        interventions_by_hour(usable[INTERVENTIONS], spans, begun),
        system_events_by_hour(usable[SYSTEM_EVENTS], spans, begun),
        api_requests_by_hour(usable[API_METRICS], begun),
        analysis_results_by_hour(usable[ANALYSIS_RESULTS], spans, begun),
        session_analyses_by_hour(usable[SESSION_ANALYTICS], spans, begun),
        bytes_stored_by_hour(usable[RECORDINGS], spans, begun),
    ]
    return assembled_rows(parts, begun, inputs.settings)
