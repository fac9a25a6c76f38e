"""The pages of the documentation: what they tell to do is done, what they link to is there, the site is built."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.commands.page import commands_page
from jobs.registry import JOBS
from tests.conftest import ROOT
from tests.documents import LAKEHOUSE, carry_out, commands, make_lakehouse, shown, wrong_with
from tests.lakehouses import EFFECTIVENESS, rows_of

DOCS = ROOT / "docs"
ELSEWHERE = {"operations.md": "test_operations.py", "how-to/add-a-metric.md": "test_add_a_metric.py"}
"""Pages that have a test of their own."""
PAGES = (
    "index.md",
    "how-to/add-a-check.md",
    "how-to/add-a-rollup.md",
    "how-to/investigate-a-refused-run.md",
    "how-to/follow-lineage.md",
)


def all_pages() -> list[str]:
    return sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_every_command_and_snippet_of_the_pages_works(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by somebody who reads one page after another and keeps the lakehouse."""
    monkeypatch.chdir(tmp_path)
    make_lakehouse()
    output: list[tuple[str, str, str]] = []
    for page in PAGES:
        for kind, line in commands(page):
            carry_out(spark, kind, line, monkeypatch)
            output.append((page, line, "".join(capsys.readouterr())))
    first, again = (text for page, line, text in output if page == "index.md" and line.startswith("classwaves run"))
    assert f"{len(rows_of(LAKEHOUSE, EFFECTIVENESS))} rows new" in first
    assert "nothing changed" in again
    assert len(Path("events.jsonl").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name
)
def test_a_command_that_a_page_only_shows_is_one_that_there_is(page: Path) -> None:
    assert {line: output for line in shown(page) if (output := wrong_with(line))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "make tea",
        "classwaves brew",
        "classwaves workspace brew",
        "classwaves backfill dashboard_metrics_hourly --agian",
        "databricks bundle run -t dev weekly",
        "databricks bundle run -t dev backfill --params rolup=x",
        "databricks bundle deploy -t test",
        "python -m jobs.tea",
    ],
)
def test_a_command_that_there_is_not_is_found(line: str) -> None:
    assert wrong_with(line)


def test_every_page_with_commands_has_a_test() -> None:
    with_commands = {page for page in all_pages() if commands(page)}
    assert with_commands <= {*PAGES, *ELSEWHERE}
    assert all((ROOT / "tests" / name).is_file() for name in ELSEWHERE.values())


@pytest.mark.parametrize("page", all_pages())
def test_what_a_page_links_to_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (DOCS / page).parent.joinpath(target).exists(), target


def test_the_site_names_every_page() -> None:
    def named(entries: object) -> Iterator[str]:
        if isinstance(entries, str):
            yield entries
        elif isinstance(entries, dict | list):
            for entry in entries.values() if isinstance(entries, dict) else entries:
                yield from named(entry)

    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(named(site["nav"])) == all_pages()


def test_the_committed_page_of_commands_is_the_generated_one() -> None:
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == commands_page()


def test_the_reference_names_modules_that_there_are() -> None:
    for page in ("jobs", "transforms", "expectations"):
        for module in re.findall(r"^::: (\S+)", (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8"), re.M):
            assert importlib.util.find_spec(module), module


def test_the_site_refers_to_every_module_that_others_use() -> None:
    """But for the jobs themselves and what makes sample data and pages: they are called, not used."""
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    named = set(re.findall(r"^::: (\S+)", text, re.M))
    there = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for package in ("jobs", "transforms", "expectations")
        for file in (ROOT / package).rglob("*.py")
        if file.name != "__init__.py"
    }
    called = {f"jobs.{name}" for name in (*JOBS, "commands.cli", "commands.page")}
    assert {name for name in there - named - called if not name.startswith("jobs.sample.")} == set()


def test_the_site_is_built_without_a_warning_and_asks_nobody_when_it_is_read(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(all_pages())
    for page in pages:
        loaded = re.findall(
            r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)"', page.read_text(encoding="utf-8")
        )
        assert loaded == [], page
