"""The contracts: the data dictionary's tables and columns, and what the models refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations import contract
from expectations.contract import (
    BrokenContractFileError,
    Column,
    Contract,
    UnknownTableError,
    contract_names,
    contract_of,
    read_contract,
)
from tests.conftest import ROOT

DICTIONARY: dict[str, list[list[str]]] = json.loads(
    (ROOT / "tests" / "fixtures" / "data_dictionary.json").read_text(encoding="utf-8")
)
HOURLY = "dashboard_metrics_hourly"
DAILY = "teacher_analytics_summary"
ROLLUPS = (
    f"analytics.{HOURLY}",
    f"users.{HOURLY}",
    f"analytics.{DAILY}",
    f"users.{DAILY}",
    "ai_insights.teacher_prompt_effectiveness",
)
OF_QUALITY = ("quality.quarantine", "quality.runs", "quality.validation_results")
NOT_FROM_SOURCES = {
    "id",
    "metric_hour",
    "calculation_period_start",
    "calculation_period_end",
    "calculation_method",
    "calculated_at",
    "last_calculated",
    "created_at",
    "updated_at",
    "last_updated",
}
"""The columns of the rollups that a run makes from its window and its clock."""

SMALL = """
table: quality.small
kind: quality
description: A table.
grain: one row per id
key: [id]
columns:
  - {name: id, type: string, description: Identifier.}
  - {name: count, type: int, description: Number., minimum: 0}
"""


def of_the_dictionary(table: str, columns: list[list[str]]) -> list[list[str]]:
    """The columns but for metrics that a rollup has beyond the dictionary, after its columns or in between."""
    given = {name for name, _ in DICTIONARY[table]}
    is_rollup = contract_of(table).kind == "rollup"
    return [column for column in columns if not is_rollup or column[0] in given]


@pytest.mark.parametrize("table", sorted(DICTIONARY))
def test_a_table_of_the_dictionary_has_its_names_order_and_types(table: str) -> None:
    assert of_the_dictionary(table, [[c.name, c.type] for c in contract_of(table).columns]) == DICTIONARY[table]


def test_the_only_tables_beyond_the_dictionary_are_ours() -> None:
    assert len(DICTIONARY) == 46
    assert set(contract_names()) - set(DICTIONARY) == set(OF_QUALITY)
    assert list(contract_names()) == sorted(contract_names())


def test_the_rollups_are_these_five() -> None:
    assert {name for name in contract_names() if contract_of(name).kind == "rollup"} == set(ROLLUPS)


@pytest.mark.parametrize("table", ROLLUPS)
def test_every_column_of_a_rollup_says_how_it_is_made_and_when_it_is_null(table: str) -> None:
    columns = contract_of(table).columns
    assert [column.name for column in columns if not column.definition] == []
    assert {column.name for column in columns if not column.sources} <= NOT_FROM_SOURCES
    assert [column.name for column in columns if column.not_null == bool(column.null_when)] == []


@pytest.mark.parametrize("table", ROLLUPS)
def test_what_a_rollup_is_made_from_has_a_contract(table: str) -> None:
    sources = {source for column in contract_of(table).columns for source in column.sources}
    assert sources
    assert {source for source in sources if contract_of(source).kind != "source"} == set()


@pytest.mark.parametrize("table", ROLLUPS)
def test_no_column_of_a_rollup_is_personal(table: str) -> None:
    assert contract_of(table).public_columns == contract_of(table).column_names


@pytest.mark.parametrize("table", ROLLUPS)
def test_the_key_of_a_rollup_is_never_null(table: str) -> None:
    read = contract_of(table)
    assert read.key
    assert [name for name in ("id", *read.key) if not read.column(name).not_null] == []


@pytest.mark.parametrize("name", [HOURLY, DAILY])
def test_columns_that_two_schemas_share_are_the_same(name: str) -> None:
    one, other = contract_of(f"analytics.{name}"), contract_of(f"users.{name}")
    shared = [column for column in one.column_names if column in other.column_names]
    assert one.key == other.key
    assert len(shared) >= 20
    assert [column for column in shared if one.column(column) != other.column(column)] == []


@pytest.mark.parametrize("table", OF_QUALITY)
def test_the_key_of_a_table_of_ours_is_never_null(table: str) -> None:
    read = contract_of(table)
    assert read.key
    assert [name for name in read.key if not read.column(name).not_null] == []


def test_the_checks_of_one_run_have_different_keys() -> None:
    """A column has one check of its rows and one of its total by the same name: the kind tells them apart."""
    assert contract_of("quality.validation_results").key == ("run_id", "check_kind", "check_name", "subject")


@pytest.mark.parametrize(
    ("table", "personal"),
    [
        ("sessions.transcriptions", {"content", "speaker_id", "speaker_name"}),
        ("sessions.participants", {"student_id", "anonymous_id", "display_name"}),
        ("users.students", {"id", "email", "given_name", "family_name"}),
        ("ai_insights.teacher_guidance_metrics", {"prompt_message", "feedback_text"}),
        ("operational.system_events", {"message", "error_details", "user_id"}),
    ],
)
def test_texts_and_identifiers_of_people_are_personal(table: str, personal: set[str]) -> None:
    assert personal & set(contract_of(table).public_columns) == set()


def test_a_contract_answers_by_name() -> None:
    small = read_contract(SMALL, "quality.small")
    assert small.full_name == "classwaves.quality.small"
    assert small.column("count") == Column(name="count", type="int", description="Number.", minimum=0)
    assert [column.name for column in small.measures] == ["count"]
    assert small.reported == ()
    summed = read_contract(SMALL.replace("minimum: 0", "report: sum"), "quality.small")
    assert summed.reported == (summed.column("count"),)
    with pytest.raises(KeyError, match=r"quality\.small has no column size"):
        small.column("size")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("minimum: 0", "minimun: 0", "minimun"),
        ("grain:", "colour: red\ngrain:", "colour"),
        ("name: count", "name: id", "quality.small lists a column twice"),
        ("key: [id]", "key: [id, day]", "quality.small has no column day"),
        ("key: [id]", "clustering: [day]", "quality.small has no column day"),
        ("minimum: 0", "report: day", "quality.small has no column day"),
        ("kind: quality", "kind: view", "kind"),
        ("quality.small", "classwaves.quality.small", "table"),
        ("grain: one row per id", "", "grain"),
        ("columns:", "columns: [", "expected"),
    ],
)
def test_a_broken_contract_file_says_what_is_wrong(before: str, after: str, message: str) -> None:
    assert before in SMALL
    with pytest.raises(BrokenContractFileError) as caught:
        read_contract(SMALL.replace(before, after), "quality.small")
    assert str(caught.value).startswith("The contract quality.small cannot be read: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["analytics.nothing", "nothing", "contracts.analytics.session_events"])
def test_a_table_without_a_contract_is_unknown(name: str) -> None:
    with pytest.raises(UnknownTableError, match=name):
        contract_of(name)


def test_a_contract_in_the_wrong_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "contracts" / "quality"
    folder.mkdir(parents=True)
    (folder / "large.yaml").write_text(SMALL, encoding="utf-8")
    for name in (".large.yaml.swp", ".hidden.yaml", ".DS_Store", "notes.md"):  # of editors and systems
        (folder / name).touch()
    monkeypatch.setattr(contract, "files", lambda package: tmp_path)
    assert contract_names() == ("quality.large",)
    with pytest.raises(BrokenContractFileError, match=r"file of quality\.large describes quality\.small"):
        contract_of("quality.large")


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("table", [*ROLLUPS, "admin.districts"])
def test_the_schema_is_the_dictionarys_and_nullable(table: str) -> None:
    schema = contract_of(table).spark_schema
    columns = [[field.name, field.dataType.simpleString()] for field in schema]
    assert of_the_dictionary(table, columns) == DICTIONARY[table]
    assert all(field.nullable for field in schema)


def test_the_statement_makes_the_table_with_its_comments_and_its_change_feed(
    spark: SparkSession, tmp_path: Path
) -> None:
    comments = [
        "It's a \"quoted\" 'word', with `ticks`",
        "a \\ backslash, one at the end \\",
        "two\nlines; -- no comment, and naïve 日本",
    ]
    awkward = Contract(
        table="contract_test.awkward",
        kind="quality",
        description='The school\'s \\ "table"',
        grain="one row per id",
        key=("id",),
        clustering=("id", "day"),
        columns=tuple(
            Column(name=name, type=type_, description=comment)
            for (name, type_), comment in zip(
                [("id", "string"), ("day", "date"), ("order", "decimal(5,2)")], comments, strict=True
            )
        ),
    )
    folder = tmp_path / "the teacher's"
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS contract_test LOCATION '{tmp_path / 'schema'}'")
    try:
        for _ in range(2):  # the second time, it is there
            spark.sql(awkward.create_statement(str(folder)))
        made = spark.table(awkward.table).schema
        detail = spark.sql(f"DESCRIBE DETAIL {awkward.table}").collect()[0]
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {awkward.table}")
        spark.sql("DROP SCHEMA IF EXISTS contract_test")
    assert [(field.name, field.dataType) for field in made] == [
        (field.name, field.dataType) for field in awkward.spark_schema
    ]
    assert [field.metadata["comment"] for field in made] == comments
    assert all(field.nullable for field in made)
    assert detail["description"] == awkward.description
    assert detail["properties"]["delta.enableChangeDataFeed"] == "true"
    assert detail["clusteringColumns"] == ["id", "day"]
    assert (folder / "_delta_log").is_dir()


def test_a_table_without_a_location_is_left_to_the_catalog() -> None:
    statement = contract_of("quality.quarantine").create_statement()
    assert "LOCATION" not in statement
    assert "CLUSTER BY" not in statement
