"""`classwaves workspace apply`: the SQL that tells the catalog what the contracts say."""

from __future__ import annotations

import pytest
from databricks.sdk.service.catalog import TableInfo

from expectations.contract import contract_of, own_contracts, read_contract
from jobs.commands.workspace.tables import differences, statements
from tests.workspace.conftest import Call, table_of
from tests.workspace.server import Workspace

CONTRACT = r"""
table: users.visits
kind: rollup
description: >-
  What a pupil's visits
  amount to \ in all.
grain: one row per pupil
key: [pupil]
clustering: [pupil]
columns:
  - {name: pupil, type: string, description: Who it is., personal: true}
  - {name: stay, type: int, description: How long it's been., unit: minutes}
  - {name: note, type: string, description: Anything else.}
"""


def test_a_bare_table_gets_comments_property_and_tags() -> None:
    contract = read_contract(CONTRACT, "users.visits")
    bare = TableInfo.from_dict({"columns": [{"name": c.name, "type_text": c.type} for c in contract.columns]})
    table = "`my-catalog`.`users`.`visits`"
    assert statements(contract, "my-catalog", bare) == [
        rf"COMMENT ON TABLE {table} IS 'What a pupil\'s visits amount to \\ in all.'",
        f"COMMENT ON COLUMN {table}.`pupil` IS 'Who it is.'",
        rf"COMMENT ON COLUMN {table}.`stay` IS 'How long it\'s been.'",
        f"COMMENT ON COLUMN {table}.`note` IS 'Anything else.'",
        f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
        f"ALTER TABLE {table} SET TAGS ('classwaves_kind' = 'rollup')",
        f"ALTER TABLE {table} ALTER COLUMN `pupil` SET TAGS ('classwaves_personal' = 'true')",
        f"ALTER TABLE {table} ALTER COLUMN `stay` SET TAGS ('classwaves_unit' = 'minutes')",
    ]


def test_a_table_as_its_contract_says_gets_its_tags_only() -> None:
    for contract in own_contracts():
        table = TableInfo.from_dict(table_of(contract))
        assert differences(contract, table) == []
        found = statements(contract, "classwaves", table)
        assert found
        assert all(" SET TAGS (" in statement for statement in found)


def test_a_column_that_the_table_lacks_gets_nothing() -> None:
    contract = read_contract(CONTRACT, "users.visits")
    found = statements(contract, "c", TableInfo.from_dict({"columns": [{"name": "note", "type_text": "string"}]}))
    of_columns = [statement for statement in found if "COLUMN" in statement]
    assert of_columns == ["COMMENT ON COLUMN `c`.`users`.`visits`.`note` IS 'Anything else.'"]


@pytest.fixture
def bare(workspace: Workspace) -> Workspace:
    """The workspace, where a table has no comments."""
    table = workspace.tables["classwaves.quality.runs"]
    table.pop("comment")
    table["columns"] = [{k: v for k, v in column.items() if k != "comment"} for column in table["columns"]]
    return workspace


def test_without_yes_the_statements_are_shown_and_nothing_is_sent(bare: Workspace, call: Call) -> None:
    answer = call("apply", "--catalog", "classwaves", "--warehouse", "w1")
    lines = answer.out.splitlines()
    assert answer.status == 0
    assert answer.sentence == f"{len(lines)} statements, none was run: give --yes to run them."
    assert sum(line.startswith("COMMENT ON") for line in lines) == 1 + len(contract_of("quality.runs").columns)
    assert all(line.endswith(";") for line in lines)
    assert bare.paths("POST") == []


def test_with_yes_each_statement_that_was_shown_is_sent_once(bare: Workspace, call: Call) -> None:
    shown = [line[:-1] for line in call("apply").out.splitlines()]
    answer = call("apply", "--warehouse", "w1", "--yes")
    assert answer.status == 0
    assert answer.sentence == f"{len(shown)} statements were run on classwaves."
    assert [body["statement"] for body in bare.statements] == shown
    assert {body["warehouse_id"] for body in bare.statements} == {"w1"}
    assert "/api/2.0/sql/statements/1" in bare.paths("GET"), "the first is pending and must be asked for again"


def test_tables_that_are_not_there_are_left_out(workspace: Workspace, call: Call) -> None:
    del workspace.tables["classwaves.quality.quarantine"]
    answer = call("apply")
    assert "quarantine" not in answer.out
    assert "quality.quarantine" in answer.err


def test_yes_needs_a_warehouse(workspace: Workspace, call: Call) -> None:
    answer = call("apply", "--yes")
    assert answer.status == 2
    assert "--warehouse" in answer.sentence
    assert workspace.requests == []


def test_a_statement_that_fails_ends_the_command_with_its_reason(bare: Workspace, call: Call) -> None:
    bare.failing_statement = "COMMENT ON COLUMN"
    answer = call("apply", "--warehouse", "w1", "--yes")
    assert answer.status == 1
    assert answer.sentence.startswith("A statement failed, those before it were run: COMMENT ON COLUMN `classwaves`.")
    assert answer.sentence.endswith("[INSUFFICIENT_PERMISSIONS] User may not do that.")
    assert bare.statements[-1]["statement"].startswith("COMMENT ON COLUMN")
    assert sum("COMMENT ON COLUMN" in body["statement"] for body in bare.statements) == 1
