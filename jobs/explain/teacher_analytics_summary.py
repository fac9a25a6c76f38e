"""A row of the daily summary, and the source rows on which it depends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import teacher_analytics_summary
from jobs.explain.subject import Raw, of_sessions
from jobs.rollup import Rollup
from transforms.catalog import (
    GROUPS,
    PROMPTS,
    SESSION_EVENTS,
    SESSIONS,
    TEACHERS,
)
from transforms.combine import union_all
from transforms.evidence.teacher_analytics_summary import DEFINING_COLUMN, evidence_of_day
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings
from transforms.teacher_analytics_summary import at_local_date, teacher_profiles
from transforms.trend import TREND_DAYS
from transforms.windows import DateWindow


@dataclass(frozen=True)
class DayOfTeacher:
    """A row of the daily summary, identified by teacher and local date."""

    teacher_id: str
    summary_date: date
    defining_column: str = DEFINING_COLUMN
    cumulative: Sequence[str] = ()

    @property
    def rollup(self) -> Rollup[Any]:
        """The daily summary, which computes the row."""
        return teacher_analytics_summary.ROLLUP

    @property
    def key(self) -> Mapping[str, str | date]:
        """The row's key: `teacher_id` and `summary_date`, a local date."""
        return {"teacher_id": self.teacher_id, "summary_date": self.summary_date}

    @property
    def window(self) -> DateWindow:
        """The window that consists of the row's one date."""
        return DateWindow(self.summary_date, self.summary_date + timedelta(days=1))

    def sessions(self, raw: Raw, settings: MetricSettings) -> DataFrame:
        """All sessions that can be on the date, and the teacher's that can be on the 28; close are the teacher's."""
        del settings
        day, month = self.window, self.window.with_days_before(TREND_DAYS - 1)
        own = F.coalesce(F.col("teacher_id") == self.teacher_id, F.lit(False))
        rows, events, prompts = raw(SESSIONS), raw(SESSION_EVENTS), raw(PROMPTS)
        own_sessions = rows.where(own).select(F.col("id").alias("session_id")).distinct()
        found = [
            rows.where(day.may_contain(F.col("actual_start"))).select(F.col("id").alias("session_id")),
            rows.where(own & month.may_contain(F.col("actual_start"))).select(F.col("id").alias("session_id")),
            events.where(day.may_contain(F.col("event_time"))).select("session_id"),
            events.where(month.may_contain(F.col("event_time")))
            .join(own_sessions, "session_id", how="left_semi")
            .select("session_id"),
            prompts.where(own & day.may_contain(F.col("generated_at"))).select("session_id"),
            prompts.where(day.may_contain(F.col("generated_at")))
            .join(own_sessions, "session_id", how="left_semi")
            .select("session_id"),
        ]
        return (
            union_all(found)
            .where(F.col("session_id").isNotNull())
            .distinct()
            .join(own_sessions.withColumn("is_close", F.lit(True)), "session_id", how="left")
            .select("session_id", F.coalesce("is_close", F.lit(False)).alias("is_close"))
        )

    def candidate_rows(self, source: str, rows: DataFrame, sessions: DataFrame) -> DataFrame:
        """What scores and starts of all sessions need; of everything else only what belongs to the teacher."""
        if source == SESSIONS:
            return rows.join(sessions.select(F.col("session_id").alias("id")), "id", how="left_semi")
        if source == TEACHERS:
            return rows
        if source == PROMPTS:
            own = F.coalesce(F.col("teacher_id") == self.teacher_id, F.lit(False))
            near = rows.where(self.window.may_contain(F.col("generated_at")))
            return near.where(own).unionByName(of_sessions(near, sessions, only_close=True))
        return of_sessions(rows, sessions, only_close=source not in (SESSION_EVENTS, GROUPS))

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row of this teacher and date: see `evidence_of`."""
        return evidence_of_day(inputs.sessions, inputs.usable, self.teacher_id, self.window)

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected rows of the teacher or of the teacher's sessions that lie on the date."""
        is_own = F.coalesce(F.col("teacher_id") == self.teacher_id, F.lit(False)) | F.col("is_of_session")
        own = rejected.where(is_own).withColumn("teacher_id", F.lit(self.teacher_id))
        placed = at_local_date(own, "at", teacher_profiles(usable[TEACHERS]), self.window)
        return placed.select(*rejected.columns)
