"""Lakehouse folders as lists of dicts, and back, by delta-rs: an engine that is not the one under test."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Schemas = Mapping[str, Sequence[Sequence[str]]]  # the columns of a table: [name, type], …

DATA_DICTIONARY = Path(__file__).parent / "fixtures" / "data_dictionary.json"

_SIMPLE = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def load_schemas(path: Path = DATA_DICTIONARY) -> Schemas:
    """The columns of every table, from the data dictionary among the fixtures."""
    loaded: Schemas = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a column's type as the data dictionary writes it."""
    text = name.strip()
    if text in _SIMPLE:
        return _SIMPLE[text]
    if numbers := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", text):
        return pa.decimal128(int(numbers[1]), int(numbers[2]))
    if outer := re.fullmatch(r"(array|map|struct)<(.*)>", text):
        parts = _split(outer[2])
        if outer[1] == "array":
            return pa.list_(arrow_type(outer[2]))
        if outer[1] == "map":
            return pa.map_(arrow_type(parts[0]), arrow_type(parts[1]))
        return pa.struct([(part.split(":", 1)[0].strip(), arrow_type(part.split(":", 1)[1])) for part in parts])
    raise ValueError(f"unknown type {name!r}")


def _split(text: str) -> list[str]:
    """The parts between the commas that are outside of every bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def arrow_schema(columns: Sequence[Sequence[str]]) -> pa.Schema:
    """The Arrow schema of a table; a column that is listed twice is one column."""
    unique = {column[0]: column[1] for column in reversed(columns)}
    return pa.schema([(name, arrow_type(unique[name])) for name in dict.fromkeys(column[0] for column in columns)])


def write_table(
    folder: str | Path,
    table: str,
    rows: Sequence[Row],
    schemas: Schemas | None = None,
    mode: Literal["overwrite", "append"] = "overwrite",
    *,
    with_feed: bool = False,
) -> None:
    """Writes one table ('schema.name') under a lakehouse folder; missing keys are null, unknown ones an error.

    `with_feed`: a new table has its Change Data Feed on, as the catalog has it.
    """
    schema = arrow_schema((load_schemas() if schemas is None else schemas)[table])
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise ValueError(f"{table} has no columns {sorted(unknown)}")
    columns = [pa.array([row.get(column.name) for row in rows], type=column.type) for column in schema]
    path = Path(folder).joinpath(*table.split("."))
    path.parent.mkdir(parents=True, exist_ok=True)
    properties = {"delta.enableChangeDataFeed": "true"} if with_feed else None
    write_deltalake(str(path), pa.Table.from_arrays(columns, schema=schema), mode=mode, configuration=properties)


def write_lake(
    folder: str | Path, tables: Mapping[str, Sequence[Row]], schemas: Schemas | None = None, *, with_feed: bool = False
) -> None:
    """Writes every table under a lakehouse folder, with all its columns, replacing what is there."""
    known = load_schemas() if schemas is None else schemas
    for table, rows in tables.items():
        write_table(folder, table, rows, known, with_feed=with_feed)


def read_table(path: str | Path, version: int | None = None) -> list[Row]:
    """The rows of one Delta table, with UTC datetimes."""
    rows: list[Row] = DeltaTable(str(path), version=version).to_pyarrow_table().to_pylist()
    return [{name: _utc(value) for name, value in row.items()} for row in rows]


def read_lake(folder: str | Path) -> Tables:
    """The rows of every Delta table under a lakehouse folder, by 'schema.name'."""
    logs = sorted(Path(folder).glob("*/*/_delta_log"))
    return {f"{log.parent.parent.name}.{log.parent.name}": read_table(log.parent) for log in logs}


def _utc(value: Any) -> Any:
    return value.astimezone(timezone.utc) if isinstance(value, datetime) and value.tzinfo is not None else value
