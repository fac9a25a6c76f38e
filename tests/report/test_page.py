"""The page without a browser: whole, small, and without anything that it must not hold."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from expectations.contract import Contract, contract_names, contract_of
from jobs.report.page import page
from jobs.report.reader import TABLES
from tests.report.made_up import MONTH, report
from tests.report.pages import Page, addresses_in, names_in

MOST_BYTES = 5_000_000


def test_every_element_is_closed_and_every_id_stands_once(page_of_a_month):
    read = Page(page_of_a_month)
    assert read.complaints == []
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_fetched(page_of_a_month):
    assert addresses_in(page_of_a_month) == []
    policy = next(a["content"] for a in Page(page_of_a_month).all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in (policy or "")
    held = Page(page_of_a_month).texts["data"]
    assert "http" not in held


def test_a_year_of_200_schools_is_under_5_megabytes(page_of_a_year):
    assert len(page_of_a_year.encode()) < MOST_BYTES


def test_vega_is_there_once(page_of_a_month):
    assert len(re.findall(r"window\.vegaEmbed\s*=", page_of_a_month)) == 1


def test_no_column_is_personal(page_of_a_month):
    personal = {c.name for table in contract_names() for c in contract_of(table).columns if c.personal}
    assert "email" in personal
    data = Page(page_of_a_month).data
    held = names_in({"shared": data["shared"], "parts": data["parts"]})
    assert "engagement" in held
    # A reason why a row was rejected and a message of a run share their names with columns that are personal elsewhere.
    public = {name for table in TABLES for name in contract_of(table).public_columns}
    assert held & personal - public == set()


def test_headings_are_in_order_and_landmarks_are_there(page_of_a_month):
    read = Page(page_of_a_month)
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert [len(read.all(tag)) for tag in ("header", "main", "footer", "title", "nav")] == [1] * 5
    assert read.all("html")[0]["lang"] == "en"


def test_every_chart_has_a_label_and_a_table(page_of_a_month):
    read = Page(page_of_a_month)
    charts = [attributes for attributes in read.all("div") if attributes.get("role") == "img"]
    assert len(charts) == len(read.all("details")) == len(read.data["charts"]) >= 15
    assert all(chart["aria-label"] for chart in charts)


def test_a_metric_that_its_contract_puts_into_the_report_has_a_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    def telling(table: str) -> Contract:
        contract = contract_of(table)
        columns = [
            c.model_copy(update={"report": "total_generated" if c.name == "usage_rate" else None})
            for c in contract.columns
        ]
        return contract.model_copy(update={"columns": tuple(columns)})

    monkeypatch.setattr("jobs.report.sections.contract_of", telling)
    read = Page(page(report(1, 1, MONTH)))
    (chart,) = (chart for chart in read.data["charts"] if chart["said"] == "usage_rate")
    assert (chart["name"], chart["title"], chart["rows"]) == ("own_usage_rate", "Usage rate", "prompt_periods")
    assert chart["fields"] == [["start", "From", "date"], ["usage_rate", "Usage rate", "percent"]]
    (drawn,) = (attributes for attributes in read.all("div") if attributes.get("id") == chart["name"])
    assert drawn["aria-label"] == "Usage rate"


def test_what_became_of_prompts_is_told_in_the_words_of_their_columns(page_of_a_month):
    charts = {chart["name"]: chart for chart in Page(page_of_a_month).data["charts"]}
    headings = {name: dict(field[:2] for field in charts[name]["fields"]) for name in ("shares", "effect_over_time")}
    words = {"acknowledged_rate": "Acknowledged", "used_rate": "Used", "dismissed_rate": "Dismissed"}
    assert all(words.items() <= told.items() for told in headings.values())
    assert re.search("waved|followed", page_of_a_month) is None


def test_every_select_has_a_label(page_of_a_month):
    read = Page(page_of_a_month)
    assert {label["for"] for label in read.all("label")} == {select["id"] for select in read.all("select")}


def test_what_a_row_says_cannot_end_a_script_or_make_an_element(page_of_a_month):
    assert "No </script>." not in page_of_a_month
    made_up = report(1, 1, MONTH)
    name = "<img src=x onerror=alert(1)>"
    bad = replace(made_up.periods, rows=[(name, *row[1:]) for row in made_up.periods.rows])
    read = Page(page(replace(made_up, periods=bad)))
    assert read.all("img") == []
    assert name in read.data["parts"]


def test_a_page_that_cannot_hold_all_teachers_says_so_and_counts_them(page_of_a_month):
    assert "can be chosen" not in page_of_a_month
    made_up = report(1, 1, MONTH)
    html = page(replace(made_up, teachers=replace(made_up.teachers, rows=[("", 12_000), ("school-000001", 9)])))
    assert "Of the 12,000 teachers only the 3,000 with the most sessions can be chosen" in html
    assert {scope: part["teachers"] for scope, part in Page(html).data["parts"].items()} == {
        "": 12_000,
        "school-000001": 9,
    }


def test_the_same_report_gives_the_same_page(page_of_a_month):
    assert page(report(3, 2, MONTH)) == page_of_a_month


def test_a_page_of_one_school_offers_no_other(page_of_a_month):
    assert '<option value="">All schools' in page_of_a_month
    made_up = report(1, 1, MONTH)
    own = {
        name: replace(rows, rows=[row for row in rows.rows if row[0] == "school-000001"])
        for name in ("totals", "periods", "profile", "weeks", "teachers")
        for rows in [getattr(made_up, name)]
    }
    html = page(replace(made_up, school="school-000001", **own))
    assert '<option value="">All schools' not in html
    assert set(Page(html).data["parts"]) == {"school-000001"}


@pytest.mark.parametrize("what", ["shared", "parts"])
def test_numbers_are_rounded(page_of_a_month, what):
    assert re.search(r"\d\.\d{4,}", str(Page(page_of_a_month).data[what])) is None
