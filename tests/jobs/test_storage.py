"""Where tables are: what a folder and a catalog have in their own ways."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from pyspark.sql import SparkSession

from expectations.contract import contract_of
from jobs.errors import UsageError
from jobs.lake import Lake
from jobs.storage import Catalog, LocalFolder, create_schema, location_clause

TABLE = "quality.runs"


@pytest.mark.parametrize("left", [(), (".00000000000000000000.json.0a1b.tmp",)])
def test_a_table_is_created_after_a_process_was_killed_creating_it(
    spark: SparkSession, tmp_path: Path, left: tuple[str, ...]
) -> None:
    log = tmp_path.joinpath(*TABLE.split("."), "_delta_log")
    log.mkdir(parents=True)
    for name in left:
        (log / name).write_text("{", encoding="utf-8")
    lake = Lake(spark, LocalFolder(tmp_path))
    lake.create_missing(contract_of(TABLE))
    assert lake.version(TABLE) == 0


def test_a_folder_with_data_and_no_commit_is_left_as_it_is(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*TABLE.split("."))
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "part-0.parquet").write_bytes(b"somebody's data")
    with pytest.raises(Exception, match="DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"):
        Lake(spark, LocalFolder(tmp_path)).create_missing(contract_of(TABLE))
    assert sorted(path.name for path in folder.iterdir()) == ["_delta_log", "part-0.parquet"]


def test_who_waits_for_a_lock_says_so(tmp_path: Path) -> None:
    place, waiting, done = LocalFolder(tmp_path), threading.Event(), threading.Event()

    def tell(*_: object) -> MutableMapping[str, Any]:
        waiting.set()
        raise structlog.DropEvent

    def write() -> None:
        with place.lock(TABLE):
            done.set()

    before = structlog.get_config()
    structlog.configure(processors=[tell])
    try:
        writer = threading.Thread(target=write)
        with place.lock(TABLE):
            writer.start()
            assert waiting.wait(60)
            assert not done.is_set()
        writer.join()
        assert done.is_set()
    finally:
        structlog.configure(**before)


def test_rows_whose_file_is_gone_are_not_readable(spark: SparkSession, tmp_path: Path) -> None:
    """Also in a column that may not be null, whose values nobody has to read to count them."""
    lake, table = Lake(spark, LocalFolder(tmp_path)), "analytics.marks"
    lake.register([table])
    create_schema(spark, lake.storage, table)
    spark.sql(f"CREATE TABLE {table} (id BIGINT NOT NULL) USING delta{location_clause(lake.storage, table)}")
    spark.range(3).writeTo(table).append()
    assert lake.readable(table, 1, ["id"]) is not None
    for path in tmp_path.joinpath(*table.split(".")).glob("*.parquet"):
        path.unlink()
    assert lake.readable(table, 1, ["id"]) is None


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("users.students", "There is no table users.students: it is a source, which ClassWaves writes."),
        (TABLE, f"There is no table {TABLE} yet: run a job that writes it first."),
    ],
)
def test_a_table_that_is_looked_at_before_it_exists(
    spark: SparkSession, tmp_path: Path, table: str, sentence: str
) -> None:
    with pytest.raises(UsageError) as told:
        Lake(spark, LocalFolder(tmp_path)).require(contract_of(table))
    assert str(told.value) == sentence


def test_a_feed_is_read_whatever_further_columns_the_table_has(spark: SparkSession, tmp_path: Path) -> None:
    lake, table = Lake(spark, LocalFolder(tmp_path)), "analytics.tagged"
    lake.register([table])
    create_schema(spark, lake.storage, table)
    spark.sql(
        f"CREATE TABLE {table} (tags MAP<STRING, STRING>, id STRING) USING delta{location_clause(lake.storage, table)} "
        "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    spark.sql(f"INSERT INTO {table} VALUES (map('a', 'b'), 'one')")
    found = lake.changes(table, 1, 1)
    assert found is not None
    assert ([row["id"] for row in found[0].collect()], found[1]) == (["one"], False)


@pytest.fixture
def other_catalog(spark: SparkSession) -> Iterator[str]:
    """A second catalog of the session, which is empty; its name needs quotes."""
    name = "class-waves"
    settings = {
        "": "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog",
        ".url": f"jdbc:derby:memory:{uuid.uuid4().hex};create=true",
        ".driver": "org.apache.derby.jdbc.EmbeddedDriver",
    }
    for key, value in settings.items():
        spark.conf.set(f"spark.sql.catalog.{name}{key}", value)
    yield name
    spark.catalog.setCurrentCatalog("spark_catalog")
    for key in settings:
        spark.conf.unset(f"spark.sql.catalog.{name}{key}")


def test_a_catalog_has_its_own_tables_only(spark: SparkSession, tmp_path: Path, other_catalog: str) -> None:
    """Spark looks for a name of two parts in its own catalog first."""
    Lake(spark, LocalFolder(tmp_path)).create_missing(contract_of(TABLE))
    catalog = Catalog(spark, "spark_catalog")
    assert (catalog.exists(TABLE), catalog.tables_like("quality", "run")) == (True, [TABLE])
    other = Catalog(spark, other_catalog)
    assert (other.exists(TABLE), other.tables_like("quality", "run")) == (False, [])
