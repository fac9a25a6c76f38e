"""One Spark session for the whole test run, and frames written as tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import spark_session

ROOT = Path(__file__).resolve().parent.parent

Table = Callable[[str], DataFrame]


def combined_properties(file: Path) -> Path:
    """Writes what conf/spark.properties says, but for what tests/spark.properties says otherwise, to the file."""
    parts = (spark_session.properties_file(), ROOT / "tests" / "spark.properties")
    file.write_text("\n".join(Path(part).read_text(encoding="utf-8") for part in parts), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session that conf/spark.properties describes, but for what tests/spark.properties says otherwise."""
    combined = combined_properties(tmp_path_factory.mktemp("conf") / "spark.properties")
    os.environ["TZ"] = "America/New_York"  # a driver's own zone must never show in a result
    time.tzset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_session, "properties_file", lambda: combined)
        session = spark_session.open_session("tests")
    yield session
    session.stop()


def read_table(spark: SparkSession, text: str) -> DataFrame:
    """A frame from a text: the first line names and types the columns, each further line is a row.

    Cells are divided by `|`. `null` is null, `''` is the empty text, and a text keeps white space within quotes.
    """
    lines = [line for line in (line.strip() for line in text.strip().splitlines()) if line]
    header, body = lines[0], lines[1:]
    fields = [cell.split(maxsplit=1) for cell in header.split("|")]
    names = [name for name, _ in fields]

    def value(cell: str) -> str | None:
        text = cell.strip()
        if text == "null":
            return None
        return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == "'" else text

    rows = [tuple(value(cell) for cell in line.split("|")) for line in body]
    for row in rows:
        assert len(row) == len(names), f"a row of {len(row)} cells under {len(names)} columns: {row}"
    # Arrow, because it makes a local relation: small plans over it run without a job.
    columns = {name: pa.array([row[index] for row in rows], pa.string()) for index, name in enumerate(names)}
    texts = spark.createDataFrame(pa.table(columns))
    typed = []
    for name, type_ in fields:
        kind = type_.strip()
        text_column = F.col(name)
        typed.append(
            (F.from_json(text_column, kind) if kind.startswith("array") else text_column.cast(kind)).alias(name)
        )
    return texts.select(*typed)


@pytest.fixture
def table(spark: SparkSession) -> Table:
    """`table(text)`: see `read_table`."""
    return lambda text: read_table(spark, text)
