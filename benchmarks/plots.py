"""The results of a benchmark as a picture: where the seconds of each job go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

GROUPS = ("start", "pin", "look", "read", "quarantine", "transform", "gate", "publish", "record", "stop")
"""Phases of a run by their first words, in their order; `look` is for what is new."""


def group_of(phase: str) -> str:
    """The group that a phase belongs to: its first word."""
    return re.split(r"\W", phase, maxsplit=1)[0]


def shares(results: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Per case and group of phases: the seconds in which at least one task ran, and the others."""
    for case in results["cases"]:
        label = f"{case['job']}, {case['lakehouse']['sessions']:,} sessions"
        for phase, figures in case["profile"]["phases"].items():
            common = {"case": label, "group": group_of(phase)}
            busy = figures["busy_seconds"]
            yield {**common, "seconds": busy, "kind": "with a task"}
            yield {**common, "seconds": max(0.0, figures["seconds"] - busy), "kind": "driver alone"}


def write_plot(results: Mapping[str, Any], file: Path) -> None:
    """Writes the picture as SVG: per job a bar for each group of phases, tasks and driver told apart."""
    chart = (
        alt.Chart(alt.InlineData(values=list(shares(results))))
        .mark_bar()
        .encode(
            x=alt.X("sum(seconds):Q", title="seconds"),
            y=alt.Y("group:N", sort=list(GROUPS), title=None),
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=["with a task", "driver alone"], range=["#2a6f97", "#e9a23b"]),
            ),
            row=alt.Row("case:N", title=None, header=alt.Header(labelAngle=0, labelAnchor="start", labelOrient="top")),
        )
        .properties(width=480, height=alt.Step(16))
        .configure(background="white")
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(vl_convert.vegalite_to_svg(chart.to_dict()) + "\n", encoding="utf-8")
