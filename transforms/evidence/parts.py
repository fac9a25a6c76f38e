"""Which source rows a value was computed from: per column of one row, the rows that count and those that place them.

A rollup's evidence is a union of parts, one per kind of fact; each part says for which columns a row counts. What
places these rows is found here for all parts: the session, the events that begin and end it, the teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.catalog import SESSION_EVENTS, SESSIONS, TEACHERS
from transforms.combine import union_all
from transforms.sessions import earliest_ready, landmarks
from transforms.source_rules import RULES

COUNTS, PLACES = "counts", "places"
"""A row's role for a value: it is in the count, sum or mean, or it determines where another row belongs."""

Labels = Mapping[str, "Column | Literal[True]"]


def no_columns() -> Column:
    """An empty array of columns' names."""
    return F.array().cast("array<string>")


def columns_of(labels: Labels) -> Column:
    """The names of the columns whose condition holds, as an array."""
    whens = [F.lit(name) if condition is True else F.when(condition, F.lit(name)) for name, condition in labels.items()]
    return F.array_compact(F.array(*whens)).cast("array<string>")


@dataclass(frozen=True)
class PlacedBy:
    """What places rows besides their session: an array of columns each, for which it matters.

    `start`, `end`, `configured`: when the row's session began, ended, was configured. `ready`: which event reported the
    row's group ready; the rows then have it in `ready_event` (see `ready_events`).
    """

    start: Column | None = None
    end: Column | None = None
    configured: Column | None = None
    ready: Column | None = None

    def select(self) -> list[Column]:
        """The columns of a part that hold this: `start_for`, `end_for`, `configured_for`, `ready_for` and `ready`."""
        event = F.lit(None) if self.ready is None else F.col("ready_event")
        marks = {
            "start_for": self.start,
            "end_for": self.end,
            "configured_for": self.configured,
            "ready_for": self.ready,
        }
        return [
            *((no_columns() if columns is None else columns).alias(name) for name, columns in marks.items()),
            event.cast("struct<at: timestamp, id: string>").alias("ready"),
        ]


def part(
    source: str,
    rows: DataFrame,
    columns: Column,
    placed_by: PlacedBy = PlacedBy(),
    *,
    has_session: bool = True,
    has_teacher: bool = False,
    role: str = COUNTS,
) -> DataFrame:
    """The rows (with `id`, and `session_id` and `teacher_id` if they have them) as evidence for these columns."""
    return rows.select(
        F.lit(source).alias("source"),
        F.col("id"),
        F.col(RULES[source].row_time).alias("at"),
        F.lit(role).alias("role"),
        (F.col("session_id") if has_session else F.lit(None).cast("string")).alias("session_id"),
        (F.col("teacher_id") if has_teacher else F.lit(None).cast("string")).alias("teacher_id"),
        columns.alias("columns"),
        *placed_by.select(),
    ).where(F.size("columns") > 0)


def _event() -> Column:
    return F.struct(F.col("event_time").alias("at"), F.col("id"))


def landmark_events(events: DataFrame) -> DataFrame:
    """One row per session: its earliest `started` and `configured` event and its latest `ended` one, time and id."""
    found = [event.alias(name) for name, event in landmarks(_event()).items()]
    return events.groupBy("session_id").agg(*found)


def ready_events(events: DataFrame) -> DataFrame:
    """One row per session and group (`id`): the earliest event that reported the group ready (`ready_event`)."""
    return earliest_ready(events, _event()).withColumnsRenamed({"group_id": "id", "ready": "ready_event"})


def evidence_of(
    parts: list[DataFrame], usable: Mapping[str, DataFrame], by_start: Sequence[str] = (), by_end: Sequence[str] = ()
) -> DataFrame:
    """One row per source row and role: `source`, `id`, `at`, `role` and the `columns` for which it has that role.

    Included with the parts' own rows are their sessions, the sessions' landmark events, and their teachers. `by_start`
    and `by_end` are columns for which both sessions and what is in them count: a session that only places another row
    must bring its landmarks along, or it would count where it does not.
    """
    sessions = usable[SESSIONS].select(F.col("id").alias("session_id"), F.col("actual_start").alias("session_at"))
    rows = union_all(parts).join(sessions, "session_id", how="left")
    if SESSION_EVENTS in usable:
        rows = rows.join(landmark_events(usable[SESSION_EVENTS]), "session_id", how="left")

    def widened(name: str, always: Sequence[str]) -> Column:
        if not always:
            return F.col(name)
        return F.array_union(name, F.array_intersect("columns", F.array(*map(F.lit, always))))

    def row(source: Column, key: Column, at: Column, role: Column, columns: Column) -> Column:
        return F.struct(
            source.alias("source"), key.alias("id"), at.alias("at"), role.alias("role"), columns.alias("columns")
        )

    places, events = F.lit(PLACES), F.lit(SESSION_EVENTS)
    found = [
        row(F.col("source"), F.col("id"), F.col("at"), F.col("role"), F.col("columns")),
        row(F.lit(SESSIONS), F.col("session_id"), F.col("session_at"), places, F.col("columns")),
    ]
    if SESSION_EVENTS in usable:
        found += [
            row(events, F.col("started.id"), F.col("started.at"), places, widened("start_for", by_start)),
            row(events, F.col("ended.id"), F.col("ended.at"), places, widened("end_for", by_end)),
            row(events, F.col("configured.id"), F.col("configured.at"), places, F.col("configured_for")),
            row(events, F.col("ready.id"), F.col("ready.at"), places, F.col("ready_for")),
        ]
    if TEACHERS in usable:
        teachers = usable[TEACHERS].select(
            F.col("id").alias("teacher_id"), F.col("id").alias("known_teacher"), F.col("updated_at").alias("teacher_at")
        )
        rows = rows.join(teachers, "teacher_id", how="left")
        found.append(row(F.lit(TEACHERS), F.col("known_teacher"), F.col("teacher_at"), places, F.col("columns")))
    return (
        rows.select(F.explode(F.array(*found)).alias("found"))
        .select("found.*")
        .where(F.col("id").isNotNull() & (F.size("columns") > 0))
        .groupBy("source", "id", "role")
        .agg(F.min("at").alias("at"), F.array_distinct(F.flatten(F.collect_list("columns"))).alias("columns"))
    )
