"""What can be explained: the rows of each rollup, by their keys, and the source rows on which they depend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contract import contract_of
from jobs import dashboard_metrics_hourly, teacher_analytics_summary
from jobs.errors import UsageError
from jobs.rollup import Rollup
from jobs.teacher_prompt_effectiveness import rollup_by
from jobs.windows import read_instant
from transforms.catalog import (
    GROUPS,
    INTERVENTIONS,
    PARTICIPANTS,
    PROMPTS,
    RECORDINGS,
    SESSION_ANALYTICS,
    SESSION_EVENTS,
    SESSIONS,
    TEACHERS,
)
from transforms.columns import any_of, blank_to_null, instant, normalised
from transforms.combine import union_all
from transforms.dashboard_metrics_hourly import MAX_STAY_HOURS, longest_reach_hours
from transforms.evidence.days import FACTS as FACTS_OF_DAYS
from transforms.evidence.days import evidence_of_day
from transforms.evidence.hours import FACTS as FACTS_OF_HOURS
from transforms.evidence.hours import evidence_of_hour
from transforms.evidence.prompts import evidence_of_period
from transforms.inputs import RollupInputs, Usable
from transforms.metric_settings import MetricSettings
from transforms.source_rules import RULES
from transforms.teacher_analytics_summary import at_local_date, teacher_profiles
from transforms.teacher_prompt_effectiveness import DIMENSIONS
from transforms.trend import TREND_DAYS
from transforms.windows import (
    PERIOD_LENGTHS,
    DateWindow,
    HourWindow,
    PeriodLength,
    PeriodWindow,
    floor_hour,
    floor_period,
)

MISSING = ("-", "null")
"""How a missing part of a key is written."""

Raw = Callable[[str], DataFrame]
"""Returns the unclassified rows of a source, by the source's name."""


class Subject(Protocol):
    """One row of a rollup, and what it can depend on."""

    @property
    def rollup(self) -> Rollup[Any]:
        """The rollup that computes the row."""

    @property
    def key(self) -> Mapping[str, str | date]:
        """The row's key, in the contract's order."""

    @property
    def window(self) -> Any:
        """The one hour, date or period of the row."""

    @property
    def facts(self) -> str:
        """The column whose source rows make the row exist."""

    @property
    def cumulative(self) -> Sequence[str]:
        """The columns whose source rows alone do not make a row exist."""

    def sessions(self, raw: Raw, settings: MetricSettings) -> DataFrame:
        """One row per session that can take part: `session_id`; `is_close`: its own rows can take part, too."""

    def candidate_rows(self, source: str, rows: DataFrame, sessions: DataFrame) -> DataFrame:
        """The rows of a source that can take part in the row's values."""

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row's values: see `evidence_of`."""

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected rows (`school_id`, `teacher_id`, `at`, `is_of_session`, …) that would belong near the row."""


def _of(rows: DataFrame, sessions: DataFrame, *, only_close: bool = False) -> DataFrame:
    chosen = sessions.where("is_close") if only_close else sessions
    return rows.join(chosen.select("session_id"), "session_id", how="left_semi")


def _between(moment: str, start: datetime, end: datetime) -> Column:
    return (F.col(moment) >= instant(start)) & (F.col(moment) < instant(end))


@dataclass(frozen=True)
class HourOfSchool:
    """A row of the hourly rollup, identified by school and hour."""

    school_id: str
    metric_hour: datetime
    facts: str = FACTS_OF_HOURS
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
            own.where(_between("actual_start", since, end))
            .select(F.col("id").alias("session_id"))
            .unionByName(raw(SESSION_EVENTS).where(_between("event_time", since, end)).select("session_id"))
            .unionByName(raw(PARTICIPANTS).where(_between("join_time", since, end)).select("session_id"))
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
            return _of(rows, sessions, only_close=True)
        start, end = self.window.start, self.window.end
        if source == RECORDINGS:
            return _of(rows.where(F.col("created_at") < instant(end)), sessions)
        if source == PARTICIPANTS:
            return _of(rows.where(_between("join_time", start - timedelta(hours=MAX_STAY_HOURS), end)), sessions)
        times = {
            PROMPTS: ("generated_at", "used_at"),
            INTERVENTIONS: ("acted_at",),
            SESSION_ANALYTICS: ("computed_at", "failed_at"),
        }.get(source, (RULES[source].row_time,))
        near = rows.where(any_of(F.coalesce(_between(moment, start, end), F.lit(False)) for moment in times))
        if "school_id" in rows.columns:
            own = near.where(F.col("school_id") == self.school_id)
            return own.unionByName(_of(near, sessions)) if "session_id" in rows.columns else own
        return _of(near, sessions)

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row of this school and hour: see `evidence_of`."""
        return evidence_of_hour(inputs.sessions, inputs.usable, self.school_id, self.window)

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected rows of the school or of its sessions that lie in the hour."""
        del usable
        is_own = F.coalesce(F.col("school_id") == self.school_id, F.lit(False)) | F.col("is_of_session")
        return rejected.where(is_own & self.window.contains(F.col("at")))


@dataclass(frozen=True)
class DayOfTeacher:
    """A row of the daily summary, identified by teacher and local date."""

    teacher_id: str
    summary_date: date
    facts: str = FACTS_OF_DAYS
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
            return near.where(own).unionByName(_of(near, sessions, only_close=True))
        return _of(rows, sessions, only_close=source not in (SESSION_EVENTS, GROUPS))

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row of this teacher and date: see `evidence_of`."""
        return evidence_of_day(inputs.sessions, inputs.usable, self.teacher_id, self.window)

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected rows of the teacher or of the teacher's sessions that lie on the date."""
        is_own = F.coalesce(F.col("teacher_id") == self.teacher_id, F.lit(False)) | F.col("is_of_session")
        own = rejected.where(is_own).withColumn("teacher_id", F.lit(self.teacher_id))
        placed = at_local_date(own, "at", teacher_profiles(usable[TEACHERS]), self.window)
        return placed.select(*rejected.columns)


@dataclass(frozen=True)
class PeriodOfPrompts:
    """A row of prompt effectiveness, identified by its four dimensions and its period."""

    dimensions: Mapping[str, str]
    window: PeriodWindow
    facts: str = "total_generated"
    cumulative: Sequence[str] = ()

    @property
    def rollup(self) -> Rollup[Any]:
        """The rollup of the period's length, which computes the row."""
        return rollup_by(self.window.length)

    @property
    def key(self) -> Mapping[str, str | date]:
        """The row's key: the four dimensions, and the start and end of the period."""
        return {
            **{name: self.dimensions[name] for name in DIMENSIONS},
            "calculation_period_start": self.window.start,
            "calculation_period_end": self.window.end,
        }

    def sessions(self, raw: Raw, settings: MetricSettings) -> DataFrame:
        """The sessions of the period's prompts with these dimensions; all are close."""
        del settings
        prompts = raw(PROMPTS)
        near = prompts.where(self.window.contains(F.col("generated_at"))).where(self._is_alike())
        return (
            near.where(F.col("session_id").isNotNull()).select("session_id", F.lit(True).alias("is_close")).distinct()
        )

    def _is_alike(self) -> Column:
        """Whether a row's dimensions can be these: `unknown` stands for any missing or foreign value."""
        alike = F.lit(True)
        for name, value in self.dimensions.items():
            if value != "unknown":
                alike = alike & F.coalesce(normalised(blank_to_null(F.col(name))) == value, F.lit(False))
        return alike

    def candidate_rows(self, source: str, rows: DataFrame, sessions: DataFrame) -> DataFrame:
        """The prompts of these dimensions in the period, or the sessions among `sessions`."""
        if source == SESSIONS:
            return rows.join(sessions.select(F.col("session_id").alias("id")), "id", how="left_semi")
        return rows.where(self.window.contains(F.col("generated_at"))).where(self._is_alike())

    def evidence(self, inputs: RollupInputs) -> DataFrame:
        """The source rows that took part in the row of these dimensions and period: see `evidence_of`."""
        return evidence_of_period(inputs.usable, self.dimensions, self.window)

    def nearby(self, rejected: DataFrame, usable: Usable) -> DataFrame:
        """The rejected prompts of these dimensions in the period."""
        del usable
        prompts = rejected.where((F.col("source") == PROMPTS) & self.window.contains(F.col("at")))
        return prompts.where(self._is_alike())


NAMES: Mapping[str, tuple[str, ...]] = {
    rollup.name: rollup.targets
    for rollup in (dashboard_metrics_hourly.ROLLUP, teacher_analytics_summary.ROLLUP, rollup_by("week"))
}
"""The tables of each rollup by the rollup's name, the canonical one first."""


def subject_of(name: str, parts: Sequence[str]) -> Subject:
    """The row of that rollup with this key; raises `UsageError` for parts that do not make a key."""
    key = contract_of(NAMES[name][0]).key
    if len(parts) != len(key):
        raise UsageError(f"The key of {name} is {' '.join(key)}: {len(parts)} of its {len(key)} parts were given.")
    given = dict(zip(key, parts, strict=True))
    if name == "teacher_prompt_effectiveness":
        return _prompts(given)
    for part in key:
        if given[part] in MISSING:
            raise UsageError(f"{part} is never missing in {name}: it cannot be {given[part]!r}.")
    if name == "dashboard_metrics_hourly":
        return HourOfSchool(given["school_id"], floor_hour(read_instant(given["metric_hour"], "metric_hour")))
    return DayOfTeacher(given["teacher_id"], read_instant(given["summary_date"], "summary_date").date())


def _prompts(given: Mapping[str, str]) -> Subject:
    """A missing dimension is `unknown`; instead of the period's end its length may be given."""
    start = read_instant(given["calculation_period_start"], "calculation_period_start")
    end_or_length = given["calculation_period_end"]
    end_or_length = "week" if end_or_length in MISSING else end_or_length
    if end_or_length in PERIOD_LENGTHS:
        lengths: tuple[PeriodLength, ...] = (end_or_length,)
        end = None
    else:
        lengths, end = PERIOD_LENGTHS, read_instant(end_or_length, "calculation_period_end")
    for length in lengths:
        window = PeriodWindow.of([start], length)
        if floor_period(start, length) == start and end in (None, window.end):
            dimensions = {name: "unknown" if given[name] in MISSING else given[name] for name in DIMENSIONS}
            return PeriodOfPrompts(dimensions, window)
    raise UsageError(
        f"From {given['calculation_period_start']} to {given['calculation_period_end']} is no day, week or month: "
        "give the first instant of a period, and its end or day, week or month."
    )
