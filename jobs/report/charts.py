"""The report's charts: how each is drawn, declared with Altair and compiled to Vega.

A chart draws the data set `rows`, which the page's script fills. Its colours are variables of the page's style sheet
(`var(--…)`): light, dark and print differ only in the style sheet, and nothing is redrawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import altair as alt
import vl_convert

INK, MUTED, LINE, SURFACE = "var(--ink)", "var(--muted)", "var(--line)", "var(--surface)"
BLUE, ORANGE, GREEN, RED, GREY = "var(--blue)", "var(--orange)", "var(--green)", "var(--red)", "var(--grey)"
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])

_IS_NARROW = "containerSize()[0] < 420"
_WITHOUT_SCHEMA = f"{_IS_NARROW} ? replace(datum.label, regexp('^.*[.]'), '') : datum.label"
"""On a phone a table is shown without its schema, so that there is room for the bars."""

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
"""The style of all charts. Vega's own ARIA labels are off: each chart has one label, and a table."""

Drawing = alt.Chart | alt.LayerChart


def _rows() -> alt.Chart:
    return alt.Chart(alt.NamedData("rows"))


def _sized(chart: Drawing, height: int | alt.Step) -> Drawing:
    """The chart as wide as the page allows, and this high: in pixels, or in pixels per category."""
    return chart.properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )


def _dates(title: str, padding: int = 0) -> alt.X:
    axis = alt.Axis(title=title, format="%-d %b", labelOverlap="greedy", tickCount=6)
    return alt.X("start:T", scale=alt.Scale(type="utc", padding=padding), axis=axis)


def _count(field: str, title: str) -> alt.Y:
    """Labels at whole numbers only: there is no half of a session."""
    axis = alt.Axis(title=title, tickCount=4, labelExpr="datum.value % 1 ? '' : datum.label")
    return alt.Y(f"{field}:Q", axis=axis, scale=alt.Scale(zero=True, nice=True))


_TEXT_FIELDS = frozenset({"what", "value", "job", "status", "source", "reason", "day"})


def _tooltip(*fields: str) -> list[alt.Tooltip]:
    def of(field: str) -> alt.Tooltip:
        if field == "start":
            return alt.Tooltip("start:T", title="from", format="%Y-%m-%d")
        if field in _TEXT_FIELDS:
            return alt.Tooltip(f"{field}:N", title=field)
        return alt.Tooltip(f"{field}:Q", title=field.replace("_", " "), format=",.3~f")

    return [of(field) for field in fields]


Series = Mapping[str, tuple[str, str]]
"""The columns that a chart draws, with the label and the colour of each."""


def _labels(series: Series) -> list[str]:
    return [label for label, _ in series.values()]


def _colours(series: Series) -> alt.Color:
    labels = _labels(series)
    return alt.Color("what:N", scale=alt.Scale(domain=labels, range=[c for _, c in series.values()]), sort=labels)


def _case(values: Mapping[str, str]) -> str:
    """A Vega expression: what each folded column, by its name, is replaced with."""
    return " : ".join(f"datum.key == '{key}' ? {value}" for key, value in values.items()) + " : null"


def _folded(series: Series) -> alt.Chart:
    """A row per column of the series: `what` it is, its `amount`, and its `rank` among them."""
    labels = _case({field: f"'{label}'" for field, (label, _) in series.items()})
    rank = _case({field: str(number) for number, field in enumerate(series)})
    return _rows().transform_fold(list(series), as_=["key", "amount"]).transform_calculate(what=labels, rank=rank)


def bars(field: str, title: str, colour: str, when: str) -> Drawing:
    """One bar per day or week, which spans it from start to end; `when` is the title of the time axis."""
    bar = _rows().mark_rect(color=colour, stroke=SURFACE, strokeWidth=1)
    encoded = bar.encode(
        x=_dates(when), x2="end:T", y=_count(field, title), y2=alt.Y2Datum(0), tooltip=_tooltip("start", field)
    )
    return _sized(encoded, 180)


def stacked_bars(series: Series, title: str) -> Drawing:
    """One bar per week, in which the series are stacked."""
    stacks = (
        _folded(series)
        .transform_stack(stack="amount", groupby=["start"], sort=[alt.SortField("rank")], as_=["low", "high"])
        .mark_rect(stroke=SURFACE, strokeWidth=1)
        .encode(
            x=_dates("Week that begins"),
            x2="end:T",
            y=_count("low", title),
            y2="high:Q",
            color=_colours(series),
            tooltip=_tooltip("start", "what", "amount"),
        )
    )
    return _sized(stacks, 180)


def score_lines(series: Series, title: str, when: str) -> Drawing:
    """Two scores from 0 to 100 over time, each with its own colour and dashes."""
    labels = _labels(series)
    lines = (
        _folded(series)
        .transform_filter("isValid(datum.amount)")
        .mark_line(point=True)
        .encode(
            x=_dates(when, padding=6),
            y=alt.Y("amount:Q", axis=alt.Axis(title=title, tickCount=5), scale=alt.Scale(domain=[0, 100])),
            color=_colours(series),
            strokeDash=alt.StrokeDash("what:N", sort=labels, scale=alt.Scale(domain=labels, range=[[1, 0], [5, 3]])),
            tooltip=_tooltip("start", "what", "amount"),
        )
    )
    return _sized(lines, 200)


def metric_line(field: str, title: str, when: str) -> Drawing:
    """A metric over time, in any unit; points without a value are left out."""
    line = (
        _rows()
        .transform_filter(f"isValid(datum['{field}'])")
        .mark_line(point=alt.OverlayMarkDef(color=BLUE), color=BLUE)
        .encode(
            x=_dates(when, padding=6),
            y=alt.Y(f"{field}:Q", axis=alt.Axis(title=title, tickCount=4), scale=alt.Scale(zero=True, nice=True)),
            tooltip=_tooltip("start", field),
        )
    )
    return _sized(line, 180)


def usual_week() -> Drawing:
    """A cell per weekday and hour: the more sessions are active, the darker."""
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
            tooltip=_tooltip("day", "hour", "sessions"),
        )
    )
    return _sized(cells, alt.Step(22))


def _intervals(along: alt.X | alt.Y, named_by: str, height: int | alt.Step) -> Drawing:
    """A mean at each value of `along`, with its interval, which is left out if n is too small for one."""
    is_upright = isinstance(along, alt.X)
    score, upper_end = (alt.Y, alt.Y2) if is_upright else (alt.X, alt.X2)
    title = "Mean effectiveness (score)"
    axis, scale = alt.Axis(title=title, tickCount=5, grid=True), alt.Scale(zero=False, nice=True, padding=12)
    lower, upper, mean = (
        score(f"{name}:Q", title=title, axis=axis, scale=scale) for name in ("lower", "upper", "mean")
    )
    means = _rows().transform_filter("isValid(datum.mean)").encode(along)
    bounded = means.transform_filter("isValid(datum.lower)")
    rule = bounded.mark_rule(color=BLUE, strokeWidth=2).encode(lower, upper_end("upper:Q"))
    tick = bounded.mark_tick(color=BLUE, thickness=2, size=10, orient="horizontal" if is_upright else "vertical")
    ends = [tick.encode(bound) for bound in (lower, upper)]
    dot = means.mark_point(color=BLUE, size=70, opacity=1).encode(
        mean, tooltip=_tooltip(named_by, "mean", "lower", "upper", "n")
    )
    return _sized(alt.LayerChart(layer=[rule, *ends, dot]), height)


def intervals_by_kind() -> Drawing:
    """The mean effectiveness of each kind of prompt, with its interval and its n."""
    return _intervals(alt.Y("label:N", sort=None, axis=alt.Axis(title=None)), "value", alt.Step(28))


def intervals_over_time() -> Drawing:
    """The mean effectiveness of the prompts of each period, with its interval."""
    return _intervals(_dates("Period that begins (UTC)", padding=14), "start", 200)


def shares_by_kind(series: Series) -> Drawing:
    """Three shares of the prompts of each kind, in percent, each with its own colour and shape."""
    labels = _labels(series)
    dots = (
        _folded(series)
        .mark_point(size=80, opacity=1)
        .encode(
            x=alt.X(
                "amount:Q",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(title="Share of the prompts (percent)", tickCount=5, grid=True),
            ),
            y=alt.Y("counted:N", sort=None, axis=alt.Axis(title=None, grid=True, offset=8)),
            color=_colours(series),
            shape=alt.Shape(
                "what:N", sort=labels, scale=alt.Scale(domain=labels, range=["circle", "diamond", "triangle-up"])
            ),
            tooltip=_tooltip("value", "what", "amount"),
        )
    )
    return _sized(dots, alt.Step(28))


def ages_of_sources() -> Drawing:
    """One bar per source with its age in days, in the order of the rows."""
    y = alt.Y("source:N", sort=None, axis=alt.Axis(title=None, labelExpr=_WITHOUT_SCHEMA))
    axis = alt.Axis(title="Age (days)", tickCount=4, grid=True)
    x = alt.X("age:Q", scale=alt.Scale(zero=True, nice=True), axis=axis)
    bar = _rows().mark_bar(color=BLUE, height={"band": 0.62}).encode(x=x, y=y, tooltip=_tooltip("source", "age"))
    text = _rows().mark_text(align="left", dx=5).encode(x=x, y=y, text=alt.Text("age:Q", format=",.1~f"))
    return _sized(alt.LayerChart(layer=[bar, text]), alt.Step(26))


def rejections_by_reason() -> Drawing:
    """One bar per reason with its number of rejected rows, the longest first."""
    y = alt.Y("reason:N", sort="-x", axis=alt.Axis(title=None))
    base = _rows().transform_aggregate(rejected="sum(rejected)", groupby=["reason"])
    x = alt.X("rejected:Q", axis=alt.Axis(title="Rejected rows", tickCount=4, grid=True, tickMinStep=1))
    bar = base.mark_bar(color=ORANGE, height={"band": 0.62}).encode(x=x, y=y, tooltip=_tooltip("reason", "rejected"))
    text = base.mark_text(align="left", dx=5).encode(x=x, y=y, text="rejected:Q")
    return _sized(alt.LayerChart(layer=[bar, text]), alt.Step(26))


def verdicts_by_job() -> Drawing:
    """How many checks of each job passed, warned and refused."""
    series = {"passed": ("passed", GREEN), "warnings": ("warned", ORANGE), "refusals": ("refused", RED)}
    stacks = (
        _folded(series)
        .mark_bar(height={"band": 0.62}, stroke=SURFACE, strokeWidth=1)
        .encode(
            x=alt.X("sum(amount):Q", axis=alt.Axis(title="Checks of the latest run", tickCount=4, grid=True)),
            y=alt.Y("job:N", axis=alt.Axis(title=None)),
            color=_colours(series),
            order="rank:Q",
        )
    )
    return _sized(stacks, alt.Step(30))


def runs_by_job() -> Drawing:
    """One point per run: when each job ran and how it ended."""
    statuses = ["succeeded", "rejected", "failed"]
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
            color=alt.Color("status:N", scale=alt.Scale(domain=statuses, range=[GREEN, ORANGE, RED])),
            shape=alt.Shape("status:N", scale=alt.Scale(domain=statuses, range=["circle", "triangle-up", "cross"])),
            tooltip=_tooltip("job", "status", "seconds"),
        )
    )
    return _sized(dots, alt.Step(30))


@cache
def vega_script() -> str:
    """Vega's runtime and its embedding code, to be put into a page. Bundling takes seconds, so it is cached."""
    script: str = vl_convert.javascript_bundle(snippet="window.vegaEmbed=vegaEmbed;", vl_version=_VEGA_LITE)
    if "</script" in script.lower():
        raise AssertionError("Vega's runtime would end the script that holds it")
    return script


def compiled(drawing: Drawing) -> dict[str, Any]:
    """The drawing as a Vega specification in the page's style, so that the page needs only Vega's runtime."""
    declared = drawing.to_dict(validate=False)
    declared["config"] = _STYLE
    vega: dict[str, Any] = vl_convert.vegalite_to_vega(declared, vl_version=_VEGA_LITE)
    vega.pop("$schema")  # the page contains no address
    return vega
