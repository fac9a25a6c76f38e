"""A row of the hourly rollup, and the source rows on which it depends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import dashboard_metrics_hourly
from jobs.explain.subject import Raw, is_between, of_sessions
from jobs.rollup import Rollup
from transforms.catalog import (
    GROUPS,
    INTERVENTIONS,
    PARTICIPANTS,
    PROMPTS,
    RECORDINGS,
    SESSION_ANALYTICS,
    SESSION_EVENTS,
    SESSIONS,
)
from transforms.columns import any_of, instant
from transforms.dashboard_metrics_hourly import MAX_STAY_HOURS, longest_reach_hours
from transforms.evidence.dashboard_metrics_hourly import DEFINING_COLUMN, evidence_of_hour
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings
from transforms.source_rules import RULES
from transforms.windows import HourWindow


@dataclass(frozen=True)
class HourOfSchool:
    """A row of the hourly rollup, identified by school and hour."""

    school_id: str
    metric_hour: datetime
    defining_column: str = DEFINING_COLUMN
    cumulative: Sequence[str] = ("total_storage_gb",)

    @property
    def rollup(self) -> Rollup[Any]:
        """The hourly rollup, which computes the row."""
        return dashboard_metrics_hourly.ROLLUP

    @property
    def key(self) -> Mapping[str, str | date]:
        """The row's key: `school_id` and `metric_hour`."""
        return {"school_id": self.school_id, "metric_hour": self.metric_hour}

    @property
    def window(self) -> HourWindow:
        """The window that consists of the row's one hour."""
        return HourWindow(self.metric_hour, self.metric_hour + timedelta(hours=1))

    def sessions(self, raw: Raw, settings: MetricSettings) -> DataFrame:
        """All sessions of the school; close are those with something recent enough for them to last into the hour."""
        since, end = self.metric_hour - timedelta(hours=longest_reach_hours(settings)), self.window.end
        own = raw(SESSIONS).where(F.col("school_id") == self.school_id)
        happened = (
            own.where(is_between("actual_start", since, end))
            .select(F.col("id").alias("session_id"))
            .unionByName(raw(SESSION_EVENTS).where(is_between("event_time", since, end)).select("session_id"))
            .unionByName(raw(PARTICIPANTS).where(is_between("join_time", since, end)).select("session_id"))
            .distinct()
            .withColumn("is_close", F.lit(True))
        )
        return (
            own.where(F.col("id").isNotNull())
            .select(F.col("id").alias("session_id"))
            .distinct()
            .join(happened, "session_id", how="left")
            .select("session_id", F.coalesce("is_close", F.lit(False)).alias("is_close"))
        )

    def candidate_rows(self, source: str, rows: DataFrame, sessions: DataFrame) -> DataFrame:
        """The school's rows whose times place them in the hour, and what the spans of close sessions need."""
        if source == SESSIONS:
            return rows.join(sessions.select(F.col("session_id").alias("id")), "id", how="left_semi")
        if source in (SESSION_EVENTS, GROUPS):
            return of_sessions(rows, sessions, only_close=True)
        start, end = self.window.start, self.window.end
        if source == RECORDINGS:
            return of_sessions(rows.where(F.col("created_at") < instant(end)), sessions)
        if source == PARTICIPANTS:
            return of_sessions(
                rows.where(is_between("join_time", start - timedelta(hours=MAX_STAY_HOURS), end)), sessions
            )
        times = {
            PROMPTS: ("generated_at", "used_at"),
            INTERVENTIONS: ("acted_at",),
            SESSION_ANALYTICS: ("computed_at", "failed_at"),
        }.get(source, (RULES[source].row_time,))
        near = rows.where(any_of(F.coalesce(is_between(moment, start, end), F.lit(False)) for moment in times))
        if "school_id" in rows.columns:
            own = near.where(F.col("school_id") == self.school_id)
            return own.unionByName(of_sessions(near, sessions)) if "session_id" in rows.columns else own
        return of_sessions(near, sessions)

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row of this school and hour: see `evidence_of`."""
        return evidence_of_hour(inputs.sessions, inputs.usable, self.school_id, self.window)

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected rows of the school or of its sessions that lie in the hour."""
        del usable
        is_own = F.coalesce(F.col("school_id") == self.school_id, F.lit(False)) | F.col("is_of_session")
        return rejected.where(is_own & self.window.contains(F.col("at")))
