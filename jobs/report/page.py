"""The report's page: one HTML file that holds its charts, its data and the script that draws them.

Charts are declared with Altair and compiled to Vega here, so that the page carries Vega's runtime alone. Their colours
are names of the page's style sheet (`var(--…)`): light, dark and print differ in the style sheet, and nothing is drawn
again. The data of each scope are a part of their own, compressed, and unpacked when the scope is chosen.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import altair as alt
import vl_convert
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from expectations.contract import SUM, contract_of
from jobs.report.figures import DAYS, EVERYONE, HOURS, PROMPTS, TRENDS, Report, Rows
from transforms.teacher_prompt_effectiveness import DIMENSIONS

INK, MUTED, LINE, SURFACE = "var(--ink)", "var(--muted)", "var(--line)", "var(--surface)"
BLUE, ORANGE, GREEN, RED, GREY = "var(--blue)", "var(--orange)", "var(--green)", "var(--red)", "var(--grey)"
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])

_IS_NARROW = "containerSize()[0] < 420"
_WITHOUT_SCHEMA = f"{_IS_NARROW} ? replace(datum.label, regexp('^.*[.]'), '') : datum.label"
"""On a phone a table goes by its own name, so that there is room for the bars."""

_STYLE: Mapping[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": LINE,
        "domainColor": MUTED,
        "tickColor": MUTED,
        "labelLimit": {"expr": f"{_IS_NARROW} ? 150 : 260"},
        "labelPadding": 6,
    },
    "axisX": {"grid": False, "labelFlush": True, "labelOverlap": "greedy"},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "symbolStrokeWidth": 2,
        "symbolSize": 90,
        "columns": {"expr": f"containerSize()[0] < 300 ? 1 : {_IS_NARROW} ? 2 : 4"},
        "offset": 8,
    },
    "text": {"color": INK, "fontSize": 12},
    "line": {"strokeWidth": 2},
    "point": {"size": 36, "filled": True},
    "aria": False,
}
"""What all charts look like. Vega's own labels are off: each chart has one label, and a table."""

Drawing = alt.Chart | alt.LayerChart


@dataclass(frozen=True)
class Field:
    """A column of a chart's table: its name in the rows, its heading, and how its values are written."""

    name: str
    heading: str
    kind: str = "count"


@dataclass(frozen=True)
class Chart:
    """A chart of the page: `rows` names what it draws, `note` says how to read it, `said` the field that sums it up."""

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
    """A part of the page under a heading of its own."""

    name: str
    title: str
    text: str
    charts: tuple[Chart, ...]
    picks: tuple[str, ...] = ()


def _rows() -> alt.Chart:
    return alt.Chart(alt.NamedData("rows"))


def _wide(chart: Drawing, height: int | alt.Step) -> Drawing:
    """As wide as the page lets it be."""
    return chart.properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )


def _dates(title: str, padding: int = 0) -> alt.X:
    axis = alt.Axis(title=title, format="%-d %b", labelOverlap="greedy", tickCount=6)
    return alt.X("start:T", scale=alt.Scale(type="utc", padding=padding), axis=axis)


def _amount(field: str, title: str) -> alt.Y:
    axis = alt.Axis(title=title, tickCount=4, labelExpr="datum.value % 1 ? '' : datum.label")
    return alt.Y(f"{field}:Q", axis=axis, scale=alt.Scale(zero=True, nice=True))


def _case(values: Mapping[str, str]) -> str:
    """A Vega expression: what each folded column, by its name, is replaced with."""
    return " : ".join(f"datum.key == '{key}' ? {value}" for key, value in values.items()) + " : null"


def _colours(names: Sequence[str], colours: Sequence[str]) -> alt.Color:
    return alt.Color("what:N", scale=alt.Scale(domain=list(names), range=list(colours)), sort=list(names))


Series = Mapping[str, tuple[str, str]]
"""What is drawn of a chart's columns: the label and the colour of each."""


def _colours_of(series: Series) -> alt.Color:
    return _colours([label for label, _ in series.values()], [colour for _, colour in series.values()])


def _folded(series: Series) -> alt.Chart:
    """A row per column of the series: `what` it is, its `amount`, and its `rank` among them."""
    labels = _case({field: f"'{label}'" for field, (label, _) in series.items()})
    rank = _case({field: str(number) for number, field in enumerate(series)})
    return _rows().transform_fold(list(series), as_=["key", "amount"]).transform_calculate(what=labels, rank=rank)


def _bars(field: str, title: str, colour: str, when: str) -> Drawing:
    """One bar per day or week, from its first instant to its last."""
    bars = _rows().mark_rect(color=colour, stroke=SURFACE, strokeWidth=1)
    encoded = bars.encode(
        x=_dates(when), x2="end:T", y=_amount(field, title), y2=alt.Y2Datum(0), tooltip=_tip("start", field)
    )
    return _wide(encoded, 180)


def _tip(*names: str) -> list[alt.Tooltip]:
    def of(name: str) -> alt.Tooltip:
        if name == "start":
            return alt.Tooltip("start:T", title="from", format="%Y-%m-%d")
        if name in _TEXTS:
            return alt.Tooltip(f"{name}:N", title=name)
        return alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=",.3~f")

    return [of(name) for name in names]


_TEXTS = frozenset({"what", "value", "job", "status", "source", "reason", "day"})


def _lines(series: Series, title: str, when: str) -> Drawing:
    """Scores from 0 to 100 over time: each its own colour and its own dashes."""
    names = [label for label, _ in series.values()]
    labels = _case({field: f"'{name}'" for field, (name, _) in series.items()})
    lines = (
        _rows()
        .transform_fold(list(series), as_=["key", "amount"])
        .transform_filter("isValid(datum.amount)")
        .transform_calculate(what=labels)
        .mark_line(point=True)
        .encode(
            x=_dates(when, padding=6),
            y=alt.Y("amount:Q", axis=alt.Axis(title=title, tickCount=5), scale=alt.Scale(domain=[0, 100])),
            color=_colours_of(series),
            strokeDash=alt.StrokeDash("what:N", sort=names, scale=alt.Scale(domain=names, range=[[1, 0], [5, 3]])),
            tooltip=_tip("start", "what", "amount"),
        )
    )
    return _wide(lines, 200)


def _measure(field: str, title: str, when: str) -> Drawing:
    """A metric over time, whatever it measures."""
    line = (
        _rows()
        .transform_filter(f"isValid(datum['{field}'])")
        .mark_line(point=alt.OverlayMarkDef(color=BLUE), color=BLUE)
        .encode(
            x=_dates(when, padding=6),
            y=alt.Y(f"{field}:Q", axis=alt.Axis(title=title, tickCount=4), scale=alt.Scale(zero=True, nice=True)),
            tooltip=_tip("start", field),
        )
    )
    return _wide(line, 180)


def _stack(series: Series, title: str) -> Drawing:
    """Bars over time whose parts add up."""
    bars = (
        _folded(series)
        .transform_stack(stack="amount", groupby=["start"], sort=[alt.SortField("rank")], as_=["low", "high"])
        .mark_rect(stroke=SURFACE, strokeWidth=1)
        .encode(
            x=_dates("Week that begins"),
            x2="end:T",
            y=_amount("low", title),
            y2="high:Q",
            color=_colours_of(series),
            tooltip=_tip("start", "what", "amount"),
        )
    )
    return _wide(bars, 180)


def _week_of_hours() -> Drawing:
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    cells = (
        _rows()
        .mark_rect(color=BLUE, stroke=SURFACE, strokeWidth=1)
        .encode(
            x=alt.X(
                "hour:O",
                scale=alt.Scale(domain=list(range(24))),
                axis=alt.Axis(title="Hour of the day (UTC)", labelAngle=0, values=[0, 3, 6, 9, 12, 15, 18, 21]),
            ),
            y=alt.Y("day:O", scale=alt.Scale(domain=days), axis=alt.Axis(title=None)),
            opacity=alt.Opacity(
                "sessions:Q",
                scale=alt.Scale(range=[0.1, 1], zero=True),
                legend=alt.Legend(
                    title="Sessions going on, mean",
                    titleColor=INK,
                    titleFontWeight="normal",
                    symbolType="square",
                    symbolFillColor=BLUE,
                    symbolStrokeWidth=0,
                    symbolSize=160,
                    tickCount=3,
                    columns=5,
                ),
            ),
            tooltip=_tip("day", "hour", "sessions"),
        )
    )
    return _wide(cells, alt.Step(22))


def _intervals() -> Drawing:
    """A mean per kind of prompt with its interval and its n; the interval is left out where n is too small for one."""
    y = alt.Y("label:N", sort=None, axis=alt.Axis(title=None))
    title = "Mean effectiveness (score)"
    axis, scale = alt.Axis(title=title, tickCount=5, grid=True), alt.Scale(zero=False, nice=True, padding=12)
    base = _rows().transform_filter("isValid(datum.mean)")
    bounded = base.transform_filter("isValid(datum.lower)")
    lower, upper, mean = (
        alt.X(f"{name}:Q", title=title, axis=axis, scale=scale) for name in ("lower", "upper", "mean")
    )
    rule = bounded.mark_rule(color=BLUE, strokeWidth=2).encode(x=lower, x2="upper:Q", y=y)
    ends = [bounded.mark_tick(color=BLUE, thickness=2, size=10).encode(x=bound, y=y) for bound in (lower, upper)]
    dot = base.mark_point(color=BLUE, size=70, opacity=1).encode(
        x=mean, y=y, tooltip=_tip("value", "mean", "lower", "upper", "n")
    )
    return _wide(alt.LayerChart(layer=[rule, *ends, dot]), alt.Step(28))


def _shares() -> Drawing:
    names = {"acknowledged": "seen", "used": "followed", "dismissed": "waved away"}
    labels = _case({f"{key}_rate": f"'{name}'" for key, name in names.items()})
    dots = (
        _rows()
        .transform_fold([f"{name}_rate" for name in names], as_=["key", "share"])
        .transform_calculate(what=labels)
        .mark_point(size=80, opacity=1)
        .encode(
            x=alt.X(
                "share:Q",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(title="Share of the prompts (percent)", tickCount=5, grid=True),
            ),
            y=alt.Y("counted:N", sort=None, axis=alt.Axis(title=None, grid=True, offset=8)),
            color=_colours(list(names.values()), [GREY, BLUE, ORANGE]),
            shape=alt.Shape(
                "what:N",
                sort=list(names.values()),
                scale=alt.Scale(domain=list(names.values()), range=["circle", "diamond", "triangle-up"]),
            ),
            tooltip=_tip("value", "what", "share"),
        )
    )
    return _wide(dots, alt.Step(28))


def _intervals_over_time() -> Drawing:
    title = "Mean effectiveness (score)"
    base = _rows().transform_filter("isValid(datum.mean)").encode(x=_dates("Period that begins (UTC)", padding=14))
    axis, scale = alt.Axis(title=title, tickCount=5), alt.Scale(zero=False, nice=True)
    bounded = base.transform_filter("isValid(datum.lower)")
    lower, upper, mean = (
        alt.Y(f"{name}:Q", title=title, axis=axis, scale=scale) for name in ("lower", "upper", "mean")
    )
    rule = bounded.mark_rule(color=BLUE, strokeWidth=2).encode(y=lower, y2="upper:Q")
    ends = [
        bounded.mark_tick(color=BLUE, thickness=2, size=8, orient="horizontal").encode(y=bound)
        for bound in (lower, upper)
    ]
    dot = base.mark_point(color=BLUE, size=60, opacity=1).encode(
        y=mean, tooltip=_tip("start", "mean", "lower", "upper", "n")
    )
    return _wide(alt.LayerChart(layer=[rule, *ends, dot]), 200)


def _ranked(field: str, name: str, title: str, colour: str) -> Drawing:
    """Bars with their numbers, the longest first."""
    y = alt.Y(f"{name}:N", sort=None, axis=alt.Axis(title=None, labelExpr=_WITHOUT_SCHEMA))
    x = alt.X(f"{field}:Q", scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(title=title, tickCount=4, grid=True))
    bars = _rows().mark_bar(color=colour, height={"band": 0.62}).encode(x=x, y=y, tooltip=_tip(name, field))
    text = _rows().mark_text(align="left", dx=5).encode(x=x, y=y, text=alt.Text(f"{field}:Q", format=",.1~f"))
    return _wide(alt.LayerChart(layer=[bars, text]), alt.Step(26))


def _verdicts() -> Drawing:
    series = {"passed": ("passed", GREEN), "warnings": ("warned", ORANGE), "refusals": ("refused", RED)}
    bars = (
        _folded(series)
        .mark_bar(height={"band": 0.62}, stroke=SURFACE, strokeWidth=1)
        .encode(
            x=alt.X("sum(amount):Q", axis=alt.Axis(title="Checks of the latest run", tickCount=4, grid=True)),
            y=alt.Y("job:N", axis=alt.Axis(title=None)),
            color=_colours_of(series),
            order="rank:Q",
        )
    )
    return _wide(bars, alt.Step(30))


def _runs() -> Drawing:
    names = ["succeeded", "rejected", "failed"]
    dots = (
        _rows()
        .mark_point(size=80, opacity=1)
        .encode(
            x=alt.X(
                "run_start:T",
                scale=alt.Scale(type="utc", padding=14),
                axis=alt.Axis(
                    title="Start of the run (UTC)", format="%-d %b %H:%M", tickCount=4, labelOverlap="greedy"
                ),
            ),
            y=alt.Y("job:N", axis=alt.Axis(title=None, grid=True)),
            color=alt.Color("status:N", scale=alt.Scale(domain=names, range=[GREEN, ORANGE, RED])),
            shape=alt.Shape("status:N", scale=alt.Scale(domain=names, range=["circle", "triangle-up", "cross"])),
            tooltip=_tip("job", "status", "seconds"),
        )
    )
    return _wide(dots, alt.Step(30))


def _reported(table: str, rows: str, start: Field, when: str) -> tuple[Chart, ...]:
    """A chart for each metric that the table's contract puts into the report."""
    charts = []
    for column in contract_of(table).reported:
        title = column.name.replace("_", " ").capitalize()
        kind = "percent" if column.unit == "percent" else "count" if column.report == SUM else "score"
        amount = f"{title} ({column.unit})" if column.unit else title
        drawing = _measure(column.name, amount, when)
        fields = (start, Field(column.name, title, kind))
        charts.append(Chart(f"own_{column.name}", title, column.description, rows, column.name, fields, drawing))
    return tuple(charts)


def sections(report: Report) -> tuple[Section, ...]:
    """What the page shows below its key figures."""
    per = report.span.grain
    when = "Date (UTC)" if per == "day" else "Week that begins (UTC)"
    start = Field("start", "Date" if per == "day" else "Week from", "date")
    week = Field("start", "Week from", "date")
    kinds = (
        Field("value", "Kind", "text"), Field("generated", "Prompts"), Field("n", "Scored (n)"),
        Field("mean", "Mean effectiveness", "score"), Field("lower", "95 % from", "score"),
        Field("upper", "95 % to", "score"),
    )  # fmt: skip
    shares = tuple(
        Field(f"{name}_rate", heading, "percent")
        for name, heading in (("acknowledged", "Seen"), ("used", "Followed"), ("dismissed", "Waved away"))
    )
    hours = Section(
        "hours",
        "School hours",
        f"What happened in the classrooms, per {per}, in UTC.",
        (
            Chart(
                "sessions", f"Sessions completed per {per}",
                "A session counts where it ended.", "periods", "sessions_completed",
                (start, Field("sessions_completed", "Sessions completed"),
                 Field("active_hours", "Hours with a session"),
                 Field("prompts_generated", "Prompts"), Field("prompts_used", "Prompts followed")),
                _bars("sessions_completed", "Sessions completed", BLUE, when),
            ),
            Chart(
                "engagement", "Engagement and participation",
                "Means over hours, each counted as often as it had sessions.", "periods", "engagement",
                (start, Field("engagement", "Engagement, 0–100", "number"),
                 Field("participation", "Participation, %", "percent")),
                _lines({"engagement": ("engagement (score)", BLUE), "participation": ("participation (%)", ORANGE)},
                       "Score or percent (0–100)", when),
            ),
            Chart(
                "profile", "The usual week",
                "Mean number of sessions that are going on in an hour. Blank: none.", "profile", "sessions",
                (Field("day", "Day", "text"), Field("hour", "Hour", "hour"),
                 Field("sessions", "Sessions, mean", "score"),
                 Field("engagement", "Engagement, 0–100", "number")),
                _week_of_hours(), is_wide=True,
            ),
            Chart(
                "errors", f"System errors per {per}",
                "Errors that the platform reported. The table has the share of requests that failed.",
                "periods", "errors",
                (start, Field("errors", "Errors"), Field("error_rate", "Requests failed, mean of hours", "percent")),
                _bars("errors", "Errors", RED, when),
            ),
            Chart(
                "connections", "Busiest hour",
                "Most people connected at one instant, in any one school.", "periods", "most_connections",
                (start, Field("most_connections", "Connected at once"), Field("most_people", "People in the hour"),
                 Field("latency_ms", "Latency, ms, mean of hours", "number")),
                _bars("most_connections", "People connected at once", GREEN, when),
            ),
            *_reported(HOURS, "periods", start, when),
        ),
    )  # fmt: skip
    teachers = Section(
        "teachers",
        "Teachers' weeks",
        "Weeks begin on Monday, on each teacher's own clock; the first and the last may be cut short. Choose a school "
        "and a teacher above to see one teacher's weeks.",
        (
            Chart(
                "scores", "Scores", "Means over sessions.", "weeks", "score",
                (week, Field("sessions", "Sessions"), Field("score", "Session score, 0–100", "number"),
                 Field("engagement", "Engagement, 0–100", "number")),
                _lines({"score": ("session score", BLUE), "engagement": ("engagement", ORANGE)}, "Score (0–100)",
                       "Week that begins"),
                is_wide=True,
            ),
            Chart(
                "trend", "Trend of the session score",
                "How many teachers improve or decline over the four weeks up to their last day of the week. Not told: "
                "fewer than five days with a score.", "weeks", "improving",
                (week, *[Field(trend, label) for trend, label in zip(
                    TRENDS, ("Improving", "Stable", "Declining", "Not told"), strict=True)]),
                _stack({"improving": ("improving", GREEN), "stable": ("stable", BLUE), "declining": ("declining", RED),
                        "insufficient_data": ("not told", GREY)}, "Teachers"),
            ),
            Chart(
                "prompts_used", "Prompts shown to teachers", "Followed, or not.", "weeks", "prompts_shown",
                (week, Field("prompts_shown", "Prompts shown"), Field("prompts_used", "Followed"),
                 Field("prompts_left", "Not followed")),
                _stack({"prompts_used": ("followed", BLUE), "prompts_left": ("not followed", GREY)}, "Prompts"),
            ),
            *_reported(DAYS, "weeks", week, "Week that begins"),
        ),
    )  # fmt: skip
    effect = Section(
        "prompts",
        "Prompt effectiveness",
        f"All schools together, {'days' if report.period == 'day' else f'{report.period}s'} in UTC that touch the "
        "dates of the report. The intervals are descriptive only: prompts of one teacher are not independent. Under 5 "
        "scored prompts there is no interval.",
        (
            Chart("effect", "Effectiveness by kind", "Dot: mean. Bar: 95 % Student t interval. n: scored prompts.",
                  "prompts", "mean", kinds, _intervals()),
            Chart("shares", "What teachers did with them",
                  "A prompt can be seen and followed or waved away. n: all prompts.",
                  "prompts", "used_rate", (kinds[0], kinds[1], *shares), _shares()),
            Chart("effect_over_time", "Effectiveness over time",
                  f"Per {report.period}. Bar: 95 % interval. The axis does not begin at 0.", "prompt_periods", "mean",
                  (Field("start", "From", "date"), *kinds[1:], *shares), _intervals_over_time(), is_wide=True),
            *_reported(PROMPTS, "prompt_periods", Field("start", "From", "date"), "Period that begins (UTC)"),
        ),
        picks=DIMENSIONS,
    )  # fmt: skip
    health = Section(
        "health",
        "Data health",
        "Of the whole lake, whatever school is chosen.",
        (
            Chart("freshness", "Age of the newest row of each source", "When the report was made.", "freshness", "age",
                  (Field("source", "Source", "text"), Field("newest", "Newest row", "instant"),
                   Field("age", "Age, days", "number"), Field("written_at", "Last written", "instant"),
                   Field("commits_behind", "Commits not read yet"), Field("in_future", "Rows in the future")),
                  _ranked("age", "source", "Age (days)", BLUE)),
            Chart("quarantined", "Rejected source rows by reason", "Rows that take part in no metric at present.",
                  "quarantined", "rejected",
                  (Field("source", "Source", "text"), Field("reason", "Reason", "text"),
                   Field("rejected", "Rejected"), Field("resolved", "Resolved"),
                   Field("last_seen_at", "Last met", "instant")),
                  _by_reason()),
            Chart("verdicts", "The gate's verdict on each job's latest run",
                  "A refusal stops the write, a warning does not.", "verdicts", "passed",
                  (Field("job", "Job", "text"), Field("kind", "Kind of check", "text"),
                   Field("checked_at", "Checked", "instant"), Field("passed", "Passed"),
                   Field("warnings", "Warned"), Field("refusals", "Refused")),
                  _verdicts()),
            Chart("runs", "Latest runs", "", "runs", "seconds",
                  (Field("run_start", "Start", "instant"), Field("job", "Job", "text"),
                   Field("status", "Status", "text"), Field("seconds", "Seconds", "number"),
                   Field("rows_new", "New"), Field("rows_changed", "Changed"),
                   Field("rows_gone", "Gone"), Field("checks", "Checks"), Field("failed_checks", "Failed"),
                   Field("message", "Message", "text")),
                  _runs()),
        ),
    )  # fmt: skip
    return hours, teachers, effect, health


def _by_reason() -> Drawing:
    y = alt.Y("reason:N", sort="-x", axis=alt.Axis(title=None))
    base = _rows().transform_aggregate(rejected="sum(rejected)", groupby=["reason"])
    x = alt.X("rejected:Q", axis=alt.Axis(title="Rejected rows", tickCount=4, grid=True, tickMinStep=1))
    bars = base.mark_bar(color=ORANGE, height={"band": 0.62}).encode(x=x, y=y, tooltip=_tip("reason", "rejected"))
    text = base.mark_text(align="left", dx=5).encode(x=x, y=y, text="rejected:Q")
    return _wide(alt.LayerChart(layer=[bars, text]), alt.Step(26))


@cache
def vega_script() -> str:
    """Vega's runtime and what embeds it, to be put into a page. Bundling takes seconds."""
    script: str = vl_convert.javascript_bundle(snippet="window.vegaEmbed=vegaEmbed;", vl_version=_VEGA_LITE)
    if "</script" in script.lower():
        raise AssertionError("Vega's runtime would end the script that holds it")
    return script


def compiled(chart: Drawing) -> dict[str, Any]:
    """The Vega of a chart, in the page's colours."""
    drawing = chart.to_dict(validate=False)
    drawing["config"] = _STYLE
    vega: dict[str, Any] = vl_convert.vegalite_to_vega(drawing, vl_version=_VEGA_LITE)
    vega.pop("$schema")  # the page names no address
    return vega


def _value(value: Any) -> Any:
    """A value as the page holds it: a score with three decimals tells as much as one with fifteen."""
    if isinstance(value, float):
        return round(value, 3) if abs(value) < 10 else round(value, 1)
    return value.isoformat() if isinstance(value, date) else value


def _by_column(rows: Rows, selected: Sequence[tuple[Any, ...]], without: int = 0) -> dict[str, list[Any]]:
    """Rows as one list per column, which takes a third of the space; the first columns left out."""
    return {
        name: [_value(row[index]) for row in selected] for index, name in enumerate(rows.columns) if index >= without
    }


def _grouped(rows: Rows) -> dict[Any, list[tuple[Any, ...]]]:
    groups: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows.rows:
        groups[row[0]].append(row)
    return groups


def _json(value: object) -> str:
    """JSON that may stand within a script of a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _packed(value: object) -> str:
    """JSON, compressed: a page cannot hold bytes, but letters that stand for them. The same rows give the same text."""
    return base64.b64encode(gzip.compress(_json(value).encode(), 9, mtime=0)).decode()


def parts(report: Report) -> dict[str, dict[str, Any]]:
    """What the page holds of each scope, by the scope's name."""
    by_scope = {
        name: _grouped(rows)
        for name, rows in {
            "totals": report.totals,
            "periods": report.periods,
            "profile": report.profile,
            "weeks": report.weeks,
            "teacher_weeks": report.teacher_weeks,
        }.items()
    }
    teachers: dict[str | None, set[str]] = defaultdict(set)
    for school, teacher, *_ in report.teacher_weeks.rows:
        teachers[EVERYONE].add(teacher)
        teachers[school].add(teacher)
    scopes = sorted({scope for name, groups in by_scope.items() if name != "teacher_weeks" for scope in groups})
    return {
        scope: {
            "teachers": len(teachers[scope]),
            **{
                name: _by_column(getattr(report, name), groups.get(scope, []), without=1)
                for name, groups in by_scope.items()
            },
        }
        for scope in scopes
    }


def page(report: Report) -> str:
    """The page, whole: it asks for nothing else when it is opened."""
    shown = sections(report)
    of_scopes = parts(report)
    first = report.school if report.school is not None else EVERYONE
    shared = {
        name: _by_column(rows, rows.rows)
        for name, rows in {
            "prompts": report.prompts,
            "prompt_periods": report.prompt_periods,
            "freshness": report.freshness,
            "quarantined": report.quarantined,
            "verdicts": report.verdicts,
            "runs": report.runs,
        }.items()
    }
    charts = [
        {
            "name": chart.name,
            "title": chart.title,
            "rows": chart.rows,
            "said": chart.said,
            "fields": [[field.name, field.heading, field.kind] for field in chart.fields],
            "vega": compiled(chart.drawing),
        }
        for section in shown
        for chart in section.charts
    ]
    data = {
        "madeAt": int(report.made_at.timestamp() * 1000),
        "grain": report.span.grain,
        "first": first,
        "charts": charts,
        "shared": _packed(shared),
        "parts": {scope: _packed(part) for scope, part in of_scopes.items()},
    }
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        sections=shown,
        schools=[scope for scope in of_scopes if scope != EVERYONE],
        everyone=EVERYONE,
        style=Markup(_file("page.css")),
        script=Markup(_file("page.js")),
        vega=Markup(vega_script()),
        data=Markup(_json(data)),
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
