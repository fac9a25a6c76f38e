"""The page that is generated from the contracts."""

from __future__ import annotations

from expectations.contract import contract_names, contract_of
from expectations.data_dictionary import data_dictionary
from tests.conftest import ROOT


def test_the_committed_page_is_the_generated_one() -> None:
    assert (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8") == data_dictionary()


def test_every_derived_column_has_its_definition_unit_sources_and_null_rule_on_the_page() -> None:
    page = data_dictionary()
    entries = {
        (section.split("\n", 1)[0], entry.split("\n", 1)[0]): entry
        for section in page.split("\n## ")[1:]
        for entry in section.split("\n### ")[1:]
    }
    for name in contract_names():
        contract = contract_of(name)
        if contract.kind != "rollup":
            continue
        canonical = f"analytics.{name.split('.')[1]}" if name.startswith("users.") else name
        for column in contract.columns:
            entry = entries.get((name, column.name)) or entries[canonical, column.name]
            said = " ".join((column.definition or "").split()).replace("|", "\\|")
            assert said
            assert said in entry, (name, column.name)
            assert f"- null: {'never' if column.not_null else column.null_when}" in entry
            assert all(f"`{source}`" in entry for source in column.sources)
            assert column.unit is None or f"`{column.type}`, {column.unit}" in entry
