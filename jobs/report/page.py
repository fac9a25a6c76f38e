"""The report's page: one HTML file that holds its charts, its data and the script that draws them.

The data of each scope are a separate part, compressed, and unpacked when the scope is chosen.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from jobs.report.charts import compiled, vega_script
from jobs.report.contents import EVERYONE, Report, Rows
from jobs.report.sections import Section, sections


def _value(value: Any) -> Any:
    """A value as the page holds it, rounded: three decimals of a score are as informative as fifteen."""
    if isinstance(value, float):
        return round(value, 3) if abs(value) < 10 else round(value, 1)
    return value.isoformat() if isinstance(value, date) else value


def _by_column(rows: Rows, selected: Sequence[tuple[Any, ...]], without: int = 0) -> dict[str, list[Any]]:
    """Rows as one list per column, which takes a third of the space, without the first `without` columns."""
    return {
        name: [_value(row[index]) for row in selected] for index, name in enumerate(rows.columns) if index >= without
    }


def _grouped(rows: Rows) -> dict[Any, list[tuple[Any, ...]]]:
    groups: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows.rows:
        groups[row[0]].append(row)
    return groups


def _json(value: object) -> str:
    """JSON that is safe inside a page's script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _packed(value: object) -> str:
    """JSON, compressed and in Base64, as a page cannot hold bytes. The same rows give the same text."""
    return base64.b64encode(gzip.compress(_json(value).encode(), 9, mtime=0)).decode()


def _parts(report: Report) -> dict[str, dict[str, Any]]:
    """What the page holds for each scope, by the scope's name."""
    tables = {
        "totals": report.totals,
        "periods": report.periods,
        "profile": report.profile,
        "weeks": report.weeks,
        "teacher_weeks": report.teacher_weeks,
    }
    by_scope = {name: _grouped(rows) for name, rows in tables.items()}
    teachers = dict(report.teachers.rows)
    scopes = sorted({scope for name, groups in by_scope.items() if name != "teacher_weeks" for scope in groups})
    return {
        scope: {
            "teachers": teachers.get(scope, 0),
            **{name: _by_column(rows, by_scope[name].get(scope, []), without=1) for name, rows in tables.items()},
        }
        for scope in scopes
    }


def _shared(report: Report) -> dict[str, dict[str, list[Any]]]:
    """What the page holds once, because it is the same in every scope."""
    tables = {
        "prompts": report.prompts,
        "prompt_periods": report.prompt_periods,
        "freshness": report.freshness,
        "quarantined": report.quarantined,
        "verdicts": report.verdicts,
        "runs": report.runs,
    }
    return {name: _by_column(rows, rows.rows) for name, rows in tables.items()}


def _charts(shown: Sequence[Section]) -> list[dict[str, Any]]:
    """What the page's script needs to know about each chart."""
    return [
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


def page(report: Report) -> str:
    """The complete page as HTML: it loads nothing else when it is opened."""
    shown = sections(report)
    parts = _parts(report)
    data = {
        "madeAt": int(report.made_at.timestamp() * 1000),
        "grain": report.span.grain,
        "first": report.school if report.school is not None else EVERYONE,
        "charts": _charts(shown),
        "shared": _packed(_shared(report)),
        "parts": {scope: _packed(part) for scope, part in parts.items()},
    }
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        sections=shown,
        schools=[scope for scope in parts if scope != EVERYONE],
        everyone=EVERYONE,
        style=Markup(_file("page.css")),
        script=Markup(_file("page.js")),
        vega=Markup(vega_script()),
        data=Markup(_json(data)),
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
