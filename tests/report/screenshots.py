"""Pictures of a report for the documents: `python -m tests.report.screenshots REPORT.html FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from tests.report.browser import started


class Shot(NamedTuple):
    """A picture: its name, the size of the window, the colours, and what part of the page is at its top."""

    name: str
    width: int
    height: int
    scheme: str
    part: str | None = None


SHOTS = (
    Shot("report-desktop", 1200, 1100, "light"),
    Shot("report-dark", 1200, 1000, "dark", "prompts"),
    Shot("report-phone", 390, 844, "light"),
)


def take(report: Path, folder: Path) -> None:
    """Takes all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with started() as browser:
        for shot in SHOTS:
            size = {"width": shot.width, "height": shot.height}
            page = browser.new_context(viewport=size, color_scheme=shot.scheme).new_page()  # type: ignore[arg-type]
            page.goto(report.absolute().as_uri())
            page.wait_for_selector("html[data-drawn]")
            if shot.part:
                page.evaluate("part => document.getElementById(part).scrollIntoView()", shot.part)
            page.screenshot(path=folder / f"{shot.name}.png")


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
