"""What the report's page shows below its key figures: sections, their charts and the charts' tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from expectations.contract import SUM, Column, contract_of
from jobs.report import charts
from jobs.report.charts import BLUE, GREEN, GREY, ORANGE, RED, Drawing
from jobs.report.contents import MOST_TEACHERS, Grain, Report
from transforms.catalog import DASHBOARD_METRICS, PROMPT_EFFECTIVENESS, TEACHER_SUMMARY_OF_USERS
from transforms.teacher_prompt_effectiveness import DIMENSIONS
from transforms.windows import PeriodLength

ValueKind = Literal["count", "number", "percent", "score", "hour", "date", "instant", "text"]
"""How a value is written in a table and in a chart's label: see `WRITTEN` in the page's script."""


@dataclass(frozen=True)
class Field:
    """A column of a chart's table: its name in the rows, its heading, and how its values are written."""

    name: str
    heading: str
    kind: ValueKind = "count"


@dataclass(frozen=True)
class Chart:
    """A chart of the page: `rows` names its data, `note` says how to read it, `said` is the field that sums it up."""

    name: str
    title: str
    note: str
    rows: str
    said: str
    fields: tuple[Field, ...]
    drawing: Drawing
    is_wide: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page with its own heading."""

    name: str
    title: str
    text: str
    charts: tuple[Chart, ...]
    picks: tuple[str, ...] = ()


_WEEK = Field("start", "Week from", "date")


def _reported(table: str, rows: str, start: Field, when: str) -> tuple[Chart, ...]:
    """A chart for each metric that the table's contract puts into the report."""

    def chart(column: Column) -> Chart:
        title = column.name.replace("_", " ").capitalize()
        kind: ValueKind = "percent" if column.unit == "percent" else "count" if column.report == SUM else "score"
        drawing = charts.metric_line(column.name, f"{title} ({column.unit})" if column.unit else title, when)
        fields = (start, Field(column.name, title, kind))
        return Chart(f"own_{column.name}", title, column.description, rows, column.name, fields, drawing)

    return tuple(map(chart, contract_of(table).reported))


def _school_hours(per: Grain) -> Section:
    """`per`: the time that one row of `periods` covers."""
    when = "Date (UTC)" if per == "day" else "Week that begins (UTC)"
    start = Field("start", "Date", "date") if per == "day" else _WEEK
    scores = {"engagement": ("engagement (score)", BLUE), "participation": ("participation (%)", ORANGE)}
    return Section(
        "hours",
        "School hours",
        f"What happened in the classrooms, per {per}, in UTC.",
        (
            Chart(
                "sessions", f"Sessions completed per {per}",
                "A session counts at the time of its end.", "periods", "sessions_completed",
                (start, Field("sessions_completed", "Sessions completed"),
                 Field("active_hours", "Hours with a session"),
                 Field("prompts_generated", "Prompts"), Field("prompts_used", "Prompts used")),
                charts.bars("sessions_completed", "Sessions completed", BLUE, when),
            ),
            Chart(
                "engagement", "Engagement and participation",
                "Means over hours, each counted as often as it had sessions.", "periods", "engagement",
                (start, Field("engagement", "Engagement, 0–100", "number"),
                 Field("participation", "Participation, %", "percent")),
                charts.score_lines(scores, "Score or percent (0–100)", when),
            ),
            Chart(
                "profile", "The usual week",
                "Mean number of sessions that are active in an hour. Blank: none.", "profile", "sessions",
                (Field("day", "Day", "text"), Field("hour", "Hour", "hour"),
                 Field("sessions", "Sessions, mean", "score"),
                 Field("engagement", "Engagement, 0–100", "number")),
                charts.usual_week(), is_wide=True,
            ),
            Chart(
                "errors", f"System errors per {per}",
                "Errors that the platform reported. The table has the share of requests that failed.",
                "periods", "errors",
                (start, Field("errors", "Errors"), Field("error_rate", "Requests failed, mean of hours", "percent")),
                charts.bars("errors", "Errors", RED, when),
            ),
            Chart(
                "connections", "Busiest hour",
                "Most people connected at one instant, in any one school.", "periods", "most_connections",
                (start, Field("most_connections", "Connected at once"), Field("most_people", "People in the hour"),
                 Field("latency_ms", "Latency, ms, mean of hours", "number")),
                charts.bars("most_connections", "People connected at once", GREEN, when),
            ),
            *_reported(DASHBOARD_METRICS, "periods", start, when),
        ),
    )  # fmt: skip


def _teacher_weeks(teachers: int) -> Section:
    """`teachers`: how many there are, of whom the page may hold only the busiest."""
    busiest = (
        f" Of the {teachers:,} teachers only the {MOST_TEACHERS:,} with the most sessions can be chosen: a report on "
        "one school (--school) has all of its own."
    )
    scores = {"score": ("session score", BLUE), "engagement": ("engagement", ORANGE)}
    trends = {
        "improving": ("improving", GREEN),
        "stable": ("stable", BLUE),
        "declining": ("declining", RED),
        "insufficient_data": ("insufficient data", GREY),
    }
    prompts = {"prompts_used": ("used", BLUE), "prompts_unused": ("not used", GREY)}
    return Section(
        "teachers",
        "Teachers' weeks",
        "Weeks begin on Monday, in each teacher's time zone; the first and the last may be cut short. Choose a school "
        "and a teacher above to see one teacher's weeks." + (busiest if teachers > MOST_TEACHERS else ""),
        (
            Chart(
                "scores", "Scores", "Means over sessions.", "weeks", "score",
                (_WEEK, Field("sessions", "Sessions"), Field("score", "Session score, 0–100", "number"),
                 Field("engagement", "Engagement, 0–100", "number")),
                charts.score_lines(scores, "Score (0–100)", "Week that begins"), is_wide=True,
            ),
            Chart(
                "trend", "Trend of the session score",
                "How many teachers improve or decline over the four weeks up to their last day of the week. "
                "Insufficient data: fewer than five days with a score.", "weeks", "improving",
                (_WEEK, *[Field(trend, label.capitalize()) for trend, (label, _) in trends.items()]),
                charts.stacked_bars(trends, "Teachers"),
            ),
            Chart(
                "prompts_used", "Prompts shown to teachers", "Used, or not.", "weeks", "prompts_shown",
                (_WEEK, Field("prompts_shown", "Prompts shown"),
                 *[Field(name, label.capitalize()) for name, (label, _) in prompts.items()]),
                charts.stacked_bars(prompts, "Prompts"),
            ),
            *_reported(TEACHER_SUMMARY_OF_USERS, "weeks", _WEEK, "Week that begins"),
        ),
    )  # fmt: skip


def _prompt_effectiveness(period: PeriodLength) -> Section:
    """`period`: the time that one row of `prompt_periods` covers."""
    start = Field("start", "From", "date")
    value = Field("value", "Kind", "text")
    generated = Field("generated", "Prompts")
    scores = (
        Field("n", "Scored (n)"), Field("mean", "Mean effectiveness", "score"), Field("lower", "95 % from", "score"),
        Field("upper", "95 % to", "score"),
    )  # fmt: skip
    shares = {
        "acknowledged_rate": ("acknowledged", GREY),
        "used_rate": ("used", BLUE),
        "dismissed_rate": ("dismissed", ORANGE),
    }
    share_fields = [Field(name, label.capitalize(), "percent") for name, (label, _) in shares.items()]
    return Section(
        "prompts",
        "Prompt effectiveness",
        f"All schools together, {period}s in UTC that overlap the dates of the report. The intervals are descriptive "
        "only: prompts of one teacher are not independent. With fewer than 5 scored prompts there is no interval.",
        (
            Chart("effect", "Effectiveness by kind", "Dot: mean. Bar: 95 % Student t interval. n: scored prompts.",
                  "prompts", "mean", (value, generated, *scores), charts.intervals_by_kind()),
            Chart("shares", "What teachers did with them",
                  "A prompt can be acknowledged, and used or dismissed. n: all prompts.",
                  "prompts", "used_rate", (value, generated, *share_fields), charts.shares_by_kind(shares)),
            Chart("effect_over_time", "Effectiveness over time",
                  f"Per {period}. Bar: 95 % interval. The axis does not begin at 0.", "prompt_periods", "mean",
                  (start, generated, *scores, *share_fields), charts.intervals_over_time(), is_wide=True),
            *_reported(PROMPT_EFFECTIVENESS, "prompt_periods", start, "Period that begins (UTC)"),
        ),
        picks=DIMENSIONS,
    )  # fmt: skip


def _data_health() -> Section:
    return Section(
        "health",
        "Data health",
        "Of the whole lake, whatever school is chosen.",
        (
            Chart("freshness", "Age of the newest row of each source", "When the report was made.", "freshness", "age",
                  (Field("source", "Source", "text"), Field("newest", "Newest row", "instant"),
                   Field("age", "Age, days", "number"), Field("written_at", "Last written", "instant"),
                   Field("commits_behind", "Commits not read yet"), Field("in_future", "Rows in the future")),
                  charts.ages_of_sources()),
            Chart("quarantined", "Rejected source rows by reason", "Rows that currently count in no metric.",
                  "quarantined", "rejected",
                  (Field("source", "Source", "text"), Field("reason", "Reason", "text"),
                   Field("rejected", "Rejected"), Field("resolved", "Resolved"),
                   Field("last_seen_at", "Last seen", "instant")),
                  charts.rejections_by_reason()),
            Chart("verdicts", "The gate's verdict on each job's latest run",
                  "A refusal stops the write, a warning does not.", "verdicts", "passed",
                  (Field("job", "Job", "text"), Field("kind", "Kind of check", "text"),
                   Field("checked_at", "Checked", "instant"), Field("passed", "Passed"),
                   Field("warnings", "Warned"), Field("refusals", "Refused")),
                  charts.verdicts_by_job()),
            Chart("runs", "Latest runs", "", "runs", "seconds",
                  (Field("run_start", "Start", "instant"), Field("job", "Job", "text"),
                   Field("status", "Status", "text"), Field("seconds", "Seconds", "number"),
                   Field("rows_new", "New"), Field("rows_changed", "Changed"),
                   Field("rows_gone", "Gone"), Field("checks", "Checks"), Field("failed_checks", "Failed"),
                   Field("message", "Message", "text")),
                  charts.runs_by_job()),
        ),
    )  # fmt: skip


def sections(report: Report) -> tuple[Section, ...]:
    """The page's sections, in the order in which they are shown."""
    return (
        _school_hours(report.span.grain),
        _teacher_weeks(max((count for _, count in report.teachers.rows), default=0)),
        _prompt_effectiveness(report.period),
        _data_health(),
    )
