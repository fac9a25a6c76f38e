"""An explanation as text for a terminal, and as JSON: of source rows it shows keys and times, never more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from jobs.explain.explanation import Change, Explanation, Listed, Rejected, text_of
from transforms.evidence.parts import COUNTS, PLACES
from transforms.table_diff import AUDIT_COLUMNS

SHOWN = 20
"""How many rows of a list are shown unless all are asked for."""


def as_text(explanation: Explanation, column: str | None, *, show_all: bool = False) -> str:
    """The explanation of one column or, without one, of the whole row, as text."""
    lines = list(_row(explanation) if column is None else _column(explanation, column, show_all=show_all))
    rejected = explanation.rejected_for(column)
    lines += ["", f"Rejected nearby: {len(rejected) or 'nothing'}"]
    lines += _shown([_rejected(row) for row in rejected], show_all=show_all)
    lines += [f"! {note}" for note in explanation.notes]
    return "\n".join(lines)


def _title(explanation: Explanation) -> str:
    key = " ".join(text_of(value) for value in explanation.subject.key.values())
    return f"{explanation.contract.table} {key}"


def _row(explanation: Explanation) -> Iterator[str]:
    yield _title(explanation)
    names = explanation.contract.public_columns
    width = max(map(len, names))
    for name in names:
        yield f"  {name:<{width}}  {text_of(explanation.values[name])}{_sources(explanation, name)}"
    yield ""
    yield "Written by"
    yield from (f"  {_change(change)}" for change in explanation.changes)
    yield ""
    yield _reproduced(explanation, None)


def _sources(explanation: Explanation, column: str) -> str:
    """How many rows of which source count for the column."""
    counts = Counter(row.source for row in explanation.listed_for(column) if row.role == COUNTS)
    inside = ", ".join(f"{count} of {source}" for source, count in sorted(counts.items()))
    return f"  <- {inside}" if inside else ""


def _column(explanation: Explanation, name: str, *, show_all: bool) -> Iterator[str]:
    column, values = explanation.contract.column(name), explanation.values
    yield f"{_title(explanation)}: {name} = {text_of(values[name])}"
    yield ""
    yield f"{column.definition or column.description}"
    yield f"  unit: {column.unit or 'none'}"
    yield f"  null: {column.null_when or 'never'}"
    if column.proxy:
        yield f"  a proxy: {column.proxy}"
    if name in AUDIT_COLUMNS:
        yield "  not from a source row: it is the start of a run"
    listed = explanation.listed_for(name)
    for role, title in ((COUNTS, "Counted"), (PLACES, "What places these rows")):
        rows = [row for row in listed if row.role == role]
        if not rows and role != COUNTS:
            continue
        inside = ", ".join(f"{count} of {source}" for source, count in sorted(Counter(r.source for r in rows).items()))
        yield ""
        yield f"{title}: {inside or 'no row'}"
        yield from _shown([_listed(row) for row in rows], show_all=show_all)
    changes = explanation.changes_of(name)
    yield ""
    yield "Last changed by"
    yield f"  {_change(changes[0])}"
    commit = changes[0].commit
    if commit and commit.provenance:
        versions = commit.provenance.source_versions
        read = ", ".join(
            f"{source} {versions[source]}" for source in sorted({row.source for row in listed} & versions.keys())
        )
        yield f"  which read the sources at versions: {read or 'none of these rows'}"
    if changes[1:]:
        yield ""
        yield "Before that"
        yield from (f"  {text_of(change.values[name])}  {_change(change)}" for change in changes[1:])
    yield ""
    yield _reproduced(explanation, name)


def _reproduced(explanation: Explanation, column: str | None) -> str:
    row = explanation.made.row
    if column in AUDIT_COLUMNS:
        return "Its commit says so."
    if column is None:
        if explanation.differing:
            return f"NOT reproduced from the sources: {', '.join(explanation.differing)}."
        return "Reproduced: the sources, read again, give every value."
    if column in explanation.differing:
        return f"NOT reproduced: the sources, read again, give {text_of(row[column]) if row is not None else 'no row'}."
    return f"Reproduced: the sources, read again, give {text_of(row[column]) if row is not None else 'no row'}."


def _change(change: Change) -> str:
    commit = change.commit
    if commit is None or commit.provenance is None:
        return f"a run that started at {text_of(change.run_start)}"
    return f"run {commit.provenance.run_id}, commit {commit.version}, started at {text_of(change.run_start)}"


def _listed(row: Listed) -> str:
    return f"{row.source} {row.id} {text_of(row.at)}"


def _rejected(row: Rejected) -> str:
    since = f", resolved at {text_of(row.resolved_at)}" if row.resolved_at else ""
    return f"{row.source} {row.row_key or 'without an id'} {text_of(row.at)} {row.reason}{since}"


def _shown(rows: Sequence[str], *, show_all: bool) -> list[str]:
    shown = rows if show_all else rows[:SHOWN]
    more = [f"  … {len(rows) - len(shown)} more: --all shows them"] if len(shown) < len(rows) else []
    return [*(f"  {row}" for row in shown), *more]


def as_json(explanations: Sequence[Explanation], column: str | None) -> str:
    """The explanations as a JSON array, each with all of its source rows."""
    return json.dumps([_object(explanation, column) for explanation in explanations], indent=2, ensure_ascii=False)


def _object(explanation: Explanation, column: str | None) -> dict[str, object]:
    names = explanation.contract.public_columns if column is None else (column,)
    return {
        "table": explanation.contract.table,
        "key": {name: text_of(value) for name, value in explanation.subject.key.items()},
        "columns": {name: _column_object(explanation, name) for name in names},
        "rejected": [
            {
                "source": row.source,
                "id": row.row_key,
                "at": text_of(row.at) if row.at else None,
                "reason": row.reason,
                "resolved_at": text_of(row.resolved_at) if row.resolved_at else None,
            }
            for row in explanation.rejected_for(column)
        ],
        "notes": list(explanation.notes),
    }


def _column_object(explanation: Explanation, name: str) -> dict[str, object]:
    column, row = explanation.contract.column(name), explanation.made.row
    return {
        "value": _plain(explanation.values[name]),
        "definition": column.definition or column.description,
        "unit": column.unit,
        "null_when": column.null_when,
        "is_reproduced": None if name in AUDIT_COLUMNS else name not in explanation.differing,
        "recomputed": None if name in AUDIT_COLUMNS or row is None else _plain(row[name]),
        "rows": [
            {"source": r.source, "id": r.id, "at": text_of(r.at) if r.at else None, "role": r.role}
            for r in explanation.listed_for(name)
        ],
        "changes": [
            {
                "value": _plain(change.values[name]),
                "run_start": text_of(change.run_start),
                "version": change.commit.version if change.commit else None,
                **{
                    part: getattr(change.commit.provenance, part, None) if change.commit else None
                    for part in ("run_id", "window", "source_versions")
                },
            }
            for change in explanation.changes_of(name)
        ],
    }


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else text_of(value)
