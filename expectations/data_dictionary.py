"""The data dictionary: what the contracts say about our own tables, as one page."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from expectations.contract import SUM, Column, Contract, contract_names, contract_of

_INTRODUCTION = """# Data dictionary

Generated from the contracts in `expectations/contracts/` by `make dictionary`: change those, not this page.

Times are UTC. Averages and rates over nothing are null, counts and sums are 0. Every column is nullable in the catalog;
if a column is never null, the gate enforces it."""


def _text(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _range(column: Column) -> str:
    if column.domain:
        return ", ".join(column.domain)
    low = "" if column.minimum is None else f"{column.minimum:g}"
    high = "" if column.maximum is None else f"{column.maximum:g}"
    if low and high:
        return f"{low} to {high}"
    if low:
        return f"at least {low}"
    return "finite" if column.finite else ""


def _report(column: Column) -> str:
    if not column.report:
        return ""
    return "its sum" if column.report == SUM else f"its mean, weighted by `{column.report}`"


def _heading(contract: Contract) -> list[str]:
    return [f"## {contract.table}", "", _text(contract.description)]


def _derived(contract: Contract, canonical: Contract | None) -> str:
    """A section with one entry per derived column. Columns shared with the canonical table are only named."""
    shared = {column.name: column for column in canonical.columns} if canonical else {}
    lines = [*_heading(contract), "", f"*{contract.grain[0].upper()}{contract.grain[1:]}.*"]
    lines += ["", f"Key: {', '.join(f'`{name}`' for name in contract.key)}."]
    same = [column.name for column in contract.columns if shared.get(column.name) == column]
    if same and canonical:
        lines += ["", f"As in `{canonical.table}`: {', '.join(f'`{name}`' for name in same)}."]
    for column in contract.columns:
        if column.name in same:
            continue
        lines += ["", f"### {column.name}", "", _text(column.description)]
        if column.definition:
            lines += ["", _text(column.definition)]
        facts = {
            "type": f"`{column.type}`" + (f", {column.unit}" if column.unit else ""),
            "values": _range(column),
            "null": "never" if column.not_null else _text(column.null_when or ""),
            "report": _report(column),
            "proxy": _text(column.proxy or ""),
            "sources": ", ".join(f"`{source}`" for source in column.sources),
        }
        lines += [""] + [f"- {name}: {value}" for name, value in facts.items() if value]
    return "\n".join(lines)


def _kept(contract: Contract) -> str:
    """A section for one of our tables that holds no metrics: its columns as a table."""
    rows = [f"| `{c.name}` | `{c.type}` | {_text(c.description)} |" for c in contract.columns]
    return "\n".join([*_heading(contract), "", "| column | type | meaning |", "|---|---|---|", *rows])


def _canonical_of(contract: Contract, rollups: Iterable[Contract]) -> Contract | None:
    """For a table of `users`, which pages read: the table of the same name in another schema, which jobs compute."""
    schema, name = contract.table.split(".")
    twins = [other for other in rollups if other.table.split(".")[1] == name and other.table != contract.table]
    return twins[0] if schema == "users" and twins else None


def data_dictionary() -> str:
    """The page in Markdown: each derived column with its definition, unit, range, null rule and sources."""
    contracts = [contract_of(name) for name in contract_names()]
    rollups = [contract for contract in contracts if contract.kind == "rollup"]
    kept = [contract for contract in contracts if contract.kind == "quality"]
    sections = [_derived(contract, _canonical_of(contract, rollups)) for contract in rollups]
    return "\n\n".join([_INTRODUCTION, *sections, *map(_kept, kept)]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
