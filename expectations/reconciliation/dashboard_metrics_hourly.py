"""What the hourly rollup's rows must add up to, straight from the usable rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.reconciliation.totals import HOUR_IN_MICROS, session_ends, totals_of
from transforms.catalog import (
    ANALYSIS_RESULTS,
    INTERVENTIONS,
    PROMPTS,
    SESSION_EVENTS,
    SESSIONS,
    SYSTEM_EVENTS,
    TRANSCRIPTIONS,
)
from transforms.columns import normalised
from transforms.combine import union_all
from transforms.inputs import RollupInputs
from transforms.windows import HourWindow

STAGED_TOTALS: Mapping[str, str] = {
    "sessions_active": "sum(sessions_active)",
    "sessions_completed": "sum(sessions_completed)",
    "total_prompts_generated": "sum(total_prompts_generated)",
    "total_prompts_used": "sum(total_prompts_used)",
    "total_interventions": "sum(total_interventions)",
    "total_alerts": "sum(total_alerts)",
    "total_errors": "sum(total_errors)",
    "ai_analyses_completed": "sum(ai_analyses_completed)",
    "total_transcription_minutes": "sum(total_transcription_minutes)",
}
"""Each total's name and the SQL over the staged rows that computes it."""


def _number_of(moment: datetime) -> int:
    """The hour that holds the moment, counted from 1970."""
    return int(moment.timestamp()) // 3600


def _hours_overlapped(window: HourWindow) -> Column:
    """How many of the window's hours a session's span overlaps, by arithmetic."""
    first_of_window, end_of_window = _number_of(window.start), _number_of(window.end)
    first = F.floor(F.col("start") / HOUR_IN_MICROS)
    last = F.when(F.col("end") > F.col("start"), F.floor((F.col("end") - 1) / HOUR_IN_MICROS)).otherwise(first)
    if window.selected is not None:
        hours = F.array(*[F.lit(_number_of(hour)) for hour in window.selected if hour < window.end])
        return F.size(F.filter(hours, lambda hour: (hour >= first) & (hour <= last)))
    return F.greatest(F.lit(0), F.least(last, F.lit(end_of_window - 1)) - F.greatest(first, F.lit(first_of_window)) + 1)


def source_totals(inputs: RollupInputs, window: HourWindow) -> DataFrame:
    """One row per total: `name` and `total` over the facts with a school in the window's hours that have begun."""
    usable, settings, begun = inputs.usable, inputs.settings, window.until(inputs.run_start)
    sessions = usable[SESSIONS]
    in_school = sessions.where(F.col("school_id").isNotNull()).select(F.col("id").alias("session_id"))
    spans = session_ends(
        sessions, usable[SESSION_EVENTS], settings.max_session_hours, settings.open_session_hours
    ).where(F.col("school_id").isNotNull())
    first, last = (int(moment.timestamp() * 1_000_000) for moment in (begun.start, begun.end))

    def of_schools(source: str) -> DataFrame:
        return usable[source].join(in_school, "session_id", how="left_semi")

    selected = None if begun.selected is None else [_number_of(hour) for hour in begun.selected]

    def in_window(moment: Column) -> Column:
        is_between = moment.between(first, last - 1)
        return is_between if selected is None else is_between & F.floor(moment / HOUR_IN_MICROS).isin(selected)

    def count_at(moment: str) -> Column:
        return F.count_if(in_window(F.unix_micros(F.col(moment))))

    transcriptions = of_schools(TRANSCRIPTIONS).where(F.col("is_final") & in_window(F.unix_micros("start_time")))
    acted = of_schools(INTERVENTIONS).where(F.col("acted_upon"))
    events = usable[SYSTEM_EVENTS]
    placed = events.where(F.col("school_id").isNotNull()).unionByName(
        events.where(F.col("school_id").isNull()).join(in_school, "session_id", how="left_semi")
    )
    severity = normalised(F.col("severity"))
    at_created = in_window(F.unix_micros("created_at"))
    totals = [
        totals_of(
            spans,
            {
                "sessions_active": F.sum(_hours_overlapped(begun)),
                "sessions_completed": F.count_if(in_window(F.col("recorded_end"))),
            },
        ),
        totals_of(
            of_schools(PROMPTS),
            {"total_prompts_generated": count_at("generated_at"), "total_prompts_used": count_at("used_at")},
        ),
        totals_of(acted, {"total_interventions": count_at("acted_at")}),
        totals_of(
            placed,
            {
                "total_alerts": F.count_if(at_created & severity.isin("warning", "error", "critical")),
                "total_errors": F.count_if(at_created & severity.isin("error", "critical")),
            },
        ),
        totals_of(of_schools(ANALYSIS_RESULTS), {"ai_analyses_completed": count_at("analysis_timestamp")}),
        totals_of(transcriptions, {"total_transcription_minutes": F.sum("seconds") / 60}),
    ]
    return union_all(totals)
