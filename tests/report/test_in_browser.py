"""The page in a real browser: drawn, quiet, usable by keyboard, on a phone, in the dark and on paper."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import NO_BROWSER, chromium, started, violations

CHARTS = 15
Open = Callable[..., Any]

pytestmark = pytest.mark.skipif(bool(os.environ.get(NO_BROWSER)), reason=f"{NO_BROWSER} is set")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if chromium() is None:
        pytest.fail(f"There is no Chromium: call `make browser`, or set {NO_BROWSER}=1 to do without these tests.")
    with started() as browser:
        yield browser


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """`opened(html, …)`: a page that is drawn. Whatever it complains of or asks for fails the test."""
    messages: list[str] = []
    contexts = []

    def open_page(html: str, width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: messages.append(request.url) if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [line for line in messages if not line.startswith(("data:", "blob:"))] == []


def marks(page: Any, chart: str) -> int:
    """How many shapes that stand for data a chart has."""
    counted: int = page.locator(f"#{chart} svg .mark-rect path, #{chart} svg .mark-symbol path").count()
    return counted


def table_of(page: Any, chart: str) -> list[list[str]]:
    """The rows of a chart's table, opened by keyboard."""
    details = page.locator(f"#figure-{chart} details")
    if not details.evaluate("e => e.open"):
        details.locator("summary").focus()
        page.keyboard.press("Enter")
    page.wait_for_selector(f"#figure-{chart} table")
    rows: list[list[str]] = page.eval_on_selector_all(
        f"#figure-{chart} tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return rows


def test_every_chart_is_drawn(opened, page_of_a_month):
    page = opened(page_of_a_month)
    assert page.locator(".chart svg").count() == CHARTS
    charts = page.eval_on_selector_all(".chart", "all => all.map(one => one.id)")
    assert {chart: marks(page, chart) > 0 for chart in charts} == dict.fromkeys(charts, True)


def test_intervals_stand_where_n_is_at_least_5(opened, page_of_a_month):
    page = opened(page_of_a_month)
    texts = page.locator("#effect svg text").all_text_contents()
    assert {"clarity (n = 40)", "energy (n = 12)", "deepening (n = 3)"} <= {" ".join(text.split()) for text in texts}
    assert page.locator("#effect svg .mark-rule.role-mark line").count() == 2
    rows = {row[0]: row for row in table_of(page, "effect")}
    assert rows["deepening"][4:6] == ["–", "–"]
    assert "–" not in rows["clarity"]


def test_a_school_and_a_teacher_are_chosen_by_keyboard(opened, page_of_a_month):
    page = opened(page_of_a_month)
    before, label = page.inner_text("#figures"), page.get_attribute("#sessions", "aria-label")
    sessions = table_of(page, "sessions")
    scores = table_of(page, "scores")
    page.focus("#school")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.getElementById('said').textContent.includes('school-000001')")
    assert page.inner_text("#figures") != before
    assert page.get_attribute("#sessions", "aria-label") != label
    assert table_of(page, "sessions") != sessions
    of_school = table_of(page, "scores")
    assert of_school != scores
    page.focus("#teacher")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.getElementById('said').textContent.includes('teacher-000001-000')")
    assert table_of(page, "scores") != of_school
    assert "school-000001" in page.inner_text("#scope")


def test_kinds_of_prompt_are_chosen(opened, page_of_a_month):
    page = opened(page_of_a_month)
    before = page.get_attribute("#effect", "aria-label")
    page.select_option("#kind", "priority_level")
    page.wait_for_function("document.getElementById('said').textContent.includes('priority level')")
    assert page.get_attribute("#effect", "aria-label") != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, page_of_a_month, scheme):
    page = opened(page_of_a_month, scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    page.wait_for_function(f"document.querySelectorAll('details table').length === {CHARTS}")
    assert violations(page) == []


CONTRASTS = """
() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = light("--surface");
  const names = ["--ink", "--muted", "--blue", "--orange", "--green", "--red", "--grey"];
  return Object.fromEntries(names.map((name) => {
    const [low, high] = [light(name), under].sort((a, b) => a - b);
    return [name, (high + 0.05) / (low + 0.05)];
  }));
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_have_the_contrast_that_wcag_asks_for(opened, page_of_a_month, scheme):
    """axe does not look into pictures: 4.5 for their texts, 3 for their marks."""
    page = opened(page_of_a_month, scheme=scheme)
    contrasts = page.evaluate(CONTRASTS)
    assert min(contrasts["--ink"], contrasts["--muted"]) >= 4.5
    assert min(contrasts.values()) >= 3


def test_charts_are_dark_in_the_dark_and_light_on_paper(opened, page_of_a_month):
    page = opened(page_of_a_month, scheme="dark")
    text = page.locator("#sessions svg text").first
    colour = "e => getComputedStyle(e).fill"
    dark = text.evaluate(colour)
    page.emulate_media(media="print")
    assert text.evaluate(colour) != dark
    assert page.locator("#picks").is_hidden()
    # Charts that were drawn for a screen shrink to the sheet.
    page.set_viewport_size({"width": 700, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_the_page_without_scrolling_sideways(opened, page_of_a_month, width):
    page = opened(page_of_a_month, width=width, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.eval_on_selector_all(
        ".chart svg text, .chart svg path",
        "(all, width) => all.filter(one => one.getBoundingClientRect().right > width).map(one => one.textContent)",
        width,
    )
    assert beyond == []


def test_a_year_of_200_schools_is_drawn(opened, page_of_a_year):
    page = opened(page_of_a_year)
    assert page.locator(".chart svg").count() == CHARTS
