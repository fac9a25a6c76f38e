"""What the daily summary's rows must add up to, straight from the usable rows."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.reconciliation.totals import session_ends, totals_of
from transforms.catalog import INTERVENTIONS, PROMPTS, SESSION_EVENTS, SESSIONS, TEACHERS, TRANSCRIPTIONS
from transforms.columns import normalised
from transforms.combine import union_all
from transforms.inputs import RollupInputs
from transforms.local_dates import known_zone, local_date
from transforms.windows import DateWindow

STAGED_TOTALS: Mapping[str, str] = {
    "total_sessions": "sum(total_sessions)",
    "total_prompts_shown": "sum(total_prompts_shown)",
    "total_prompts_used": "sum(total_prompts_used)",
    "total_prompts_dismissed": "sum(total_prompts_dismissed)",
    "total_alerts_generated": "sum(total_alerts_generated)",
    "total_interventions": "sum(total_interventions)",
    "total_leader_ready_events": "sum(total_leader_ready_events)",
    "final_transcriptions": "sum(data_points_included - total_sessions - total_prompts_shown)",
}
"""Each total's name and the SQL over the staged rows that computes it."""


def source_totals(inputs: RollupInputs, window: DateWindow) -> DataFrame:
    """One row per total: `name` and `total` over the sessions and prompts of the window's dates that have a teacher."""
    usable, settings = inputs.usable, inputs.settings
    sessions, events = usable[SESSIONS], usable[SESSION_EVENTS]
    zones = usable[TEACHERS].groupBy(F.col("id").alias("teacher_id")).agg(known_zone(F.max("timezone")).alias("zone"))

    def in_window(rows: DataFrame, moment: Column) -> DataFrame:
        day = local_date(moment, F.coalesce("zone", F.lit("UTC")))
        zoned = rows.where(F.col("teacher_id").isNotNull()).join(zones, "teacher_id", how="left")
        return zoned.where(window.contains(day))

    spans = session_ends(sessions, events, settings.max_session_hours, settings.open_session_hours)
    of_dates = in_window(spans, F.timestamp_micros("start"))
    in_dates = of_dates.select("session_id")
    teachers = sessions.groupBy(F.col("id").alias("session_id")).agg(F.max("teacher_id").alias("session_teacher_id"))
    prompts = (
        usable[PROMPTS]
        .join(teachers, "session_id", how="left")
        .withColumn("teacher_id", F.coalesce("teacher_id", "session_teacher_id"))
    )
    suggestions = usable[INTERVENTIONS].join(in_dates, "session_id", how="left_semi")
    ready = events.where(normalised(F.col("event_type")) == "leader_ready")
    final = usable[TRANSCRIPTIONS].where(F.col("is_final"))
    totals = [
        totals_of(of_dates, {"total_sessions": F.count("*")}),
        totals_of(
            in_window(prompts, F.col("generated_at")),
            {
                "total_prompts_shown": F.count("*"),
                "total_prompts_used": F.count("used_at"),
                "total_prompts_dismissed": F.count("dismissed_at"),
            },
        ),
        totals_of(
            suggestions,
            {"total_alerts_generated": F.count("*"), "total_interventions": F.count_if(F.col("acted_upon"))},
        ),
        totals_of(ready.join(in_dates, "session_id", how="left_semi"), {"total_leader_ready_events": F.count("*")}),
        totals_of(final.join(in_dates, "session_id", how="left_semi"), {"final_transcriptions": F.count("*")}),
    ]
    return union_all(totals)
