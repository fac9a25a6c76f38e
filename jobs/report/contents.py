"""What the report's page shows, as plain values.

Schools and teachers appear by their ids, pupils only as counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from transforms.windows import PeriodLength

EVERYONE = ""
"""The scope of all schools, and the teacher that stands for all teachers of a scope: no id is empty."""
LONGEST_BY_DAY = 100
"""Days that a chart can show one by one: longer ranges are shown by week."""
MOST_TEACHERS = 3_000
"""How many teachers' weeks the driver collects and the page holds: a year of them is well under 5 MB."""
TRENDS = ("improving", "stable", "declining", "insufficient_data")

Grain = Literal["day", "week"]


@dataclass(frozen=True)
class Rows:
    """A small table: the names of its columns, and its rows as plain values. Instants are milliseconds since 1970."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Span:
    """The dates of a report, the last one included, in UTC."""

    first: date
    last: date

    @property
    def grain(self) -> Grain:
        """The time that one bar of a chart covers: a day or, for long reports, a week."""
        return "day" if (self.last - self.first).days < LONGEST_BY_DAY else "week"

    def dates_of_weekdays(self) -> list[int]:
        """How many Mondays, Tuesdays and so on the dates include, beginning with Monday."""
        weeks, rest = divmod((self.last - self.first).days + 1, 7)
        begin = self.first.weekday()
        return [weeks + ((weekday - begin) % 7 < rest) for weekday in range(7)]


@dataclass(frozen=True)
class Report:
    """All that the page shows; this is what one row of each table stands for.

    `totals`, `teachers`: a scope. `periods`: a scope and a day or week, as `span.grain` says. `profile`: a scope,
    weekday and hour. `weeks`: a scope and week. `teacher_weeks`: a school, teacher and week, for the `MOST_TEACHERS`
    busiest teachers. For all schools, whichever is chosen: `prompts`: a dimension and value. `prompt_periods`: a period
    of length `period`. `freshness`: a source. `quarantined`: a source and reason. `verdicts`: a job and kind of check.
    `runs`: a run.
    """

    made_at: datetime
    span: Span
    school: str | None
    period: PeriodLength
    totals: Rows
    periods: Rows
    profile: Rows
    teachers: Rows
    teacher_weeks: Rows
    weeks: Rows
    prompts: Rows
    prompt_periods: Rows
    freshness: Rows
    quarantined: Rows
    verdicts: Rows
    runs: Rows
