"""What is told to a Unity Catalog says what the contracts say, and grants nothing beyond."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from expectations.contract import contract_names, contract_of
from jobs.registry import JOBS, job_named
from jobs.statements import quoted_name
from jobs.unity_sql import STATEMENTS, Names, column_masks, comments, grants, main, row_filters, tags, targets
from tests.conftest import ROOT

NAMES = Names("ours", "runner", "operators", "analysts", "support", "staff", "school-")
_TABLE = re.compile(r"`ours`\.`(\w+)`\.`(\w+)`")


def sources() -> set[str]:
    """The tables that the jobs' rollups read."""
    jobs = map(job_named, JOBS)
    return {source for job in jobs for source in job.default_rollup.sources}


def tables_of(statements: list[str]) -> set[str]:
    return {".".join(found) for statement in statements for found in _TABLE.findall(statement)}


def granted(principal: str, kind: str = "ON TABLE") -> dict[str, str]:
    """The tables that the principal is granted, with the privileges."""
    mine = [one for one in grants(NAMES) if kind in one and one.endswith(f"TO `{principal}`")]
    return {next(iter(tables_of([one]))): one.removeprefix("GRANT ").split(f" {kind}")[0] for one in mine}


def test_a_reader_who_has_seen_enough_is_no_failure() -> None:
    command = [sys.executable, "-m", "jobs.unity_sql", "comments", "--catalog", "ours"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, b"")


def test_the_service_principal_reads_sources_and_writes_what_is_ours() -> None:
    privileges = granted("runner")
    written = {table for table, given in privileges.items() if given == "SELECT, MODIFY"}
    assert written == {name for name in contract_names() if contract_of(name).kind != "source"}
    assert {table for table, given in privileges.items() if given == "SELECT"} == set(sources())


def test_who_must_tell_a_table_that_may_not_be_read_from_an_absent_one_may_browse() -> None:
    may_browse = [one for one in grants(NAMES) if one.startswith("GRANT BROWSE ON CATALOG `ours` TO ")]
    assert [one.rsplit(" ", 1)[1] for one in may_browse] == ["`operators`", "`runner`"]


def test_what_a_deploy_or_a_run_has_yet_to_make_comes_last() -> None:
    # `quality` itself, and the tables of ours in any schema: an editor stops at the first statement that fails.
    ours = {quoted_name(name) for name in contract_names() if contract_of(name).kind != "source"}
    is_late = ["`quality`" in one or any(f".{name} " in one for name in ours) for one in grants(NAMES)]
    assert is_late == sorted(is_late)
    assert not is_late[0]
    assert is_late[-1]


def test_analysts_read_targets_and_verdicts_and_no_source() -> None:
    privileges = granted("analysts")
    assert set(privileges.values()) == {"SELECT"}
    assert set(targets()) < set(privileges)
    assert not [table for table in privileges if contract_of(table).kind == "source" or table == "quality.quarantine"]


@pytest.mark.parametrize("what", STATEMENTS)
def test_only_tables_with_a_contract_are_named(what: str) -> None:
    named = tables_of([re.sub(r"VIEW \S+", "", one) for one in STATEMENTS[what](NAMES)])
    assert named <= set(contract_names())


def test_each_column_of_ours_has_its_comment() -> None:
    statements = set(comments(NAMES))
    assert len(statements) == len(list(comments(NAMES)))
    for name in contract_names():
        contract = contract_of(name)
        if contract.kind != "source":
            schema, table = name.split(".")
            for column in contract.column_names:
                start = f"COMMENT ON COLUMN `ours`.`{schema}`.`{table}`.`{column}` IS '"
                assert [one for one in statements if one.startswith(start)]


def test_each_personal_column_has_its_tag_and_its_mask() -> None:
    tagged, masked = list(tags(NAMES)), list(column_masks(NAMES))
    for name in sources():
        schema, table = name.split(".")
        for column in contract_of(name).columns:
            is_tagged = (
                f"ALTER TABLE `ours`.`{schema}`.`{table}` ALTER COLUMN `{column.name}` SET TAGS ('classwaves_personal'"
            )
            assert bool([one for one in tagged if one.startswith(is_tagged)]) == column.personal
            if column.personal:
                view = next(one for one in masked if f"`{schema}_{table}_masked` COMMENT" in one)
                assert (
                    f"CASE WHEN is_account_group_member('operators') THEN `{column.name}` END AS `{column.name}`"
                    in view
                )
                assert len(re.findall(f"`{column.name}`", view)) == 2


def test_the_staff_of_a_school_see_their_own_school() -> None:
    views = [one for one in row_filters(NAMES) if one.startswith("CREATE")]
    assert len(views) == 2
    for view in views:
        assert view.endswith(
            "WHERE is_account_group_member(concat('school-', `school_id`)) OR is_account_group_member('operators')"
        )


def test_no_table_gets_a_filter_or_a_mask_which_would_bar_the_runs() -> None:
    statements = [one for what in STATEMENTS.values() for one in what(NAMES)]
    assert not [one for one in statements if re.search(r"SET (ROW FILTER|MASK)", one)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["grants"], "The following arguments are required: --catalog."),
        (["grant", "--catalog", "c"], "Argument what: invalid choice: 'grant' (choose from "),
        (
            ["grants", "--catalog", "c", "--analyst", "a"],
            "Unrecognized arguments: --analyst a. Did you mean --analysts?",
        ),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_why_on_the_last_line(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err.startswith(sentence)


def test_names_and_texts_cannot_end_what_they_stand_in(capsys: pytest.CaptureFixture[str]) -> None:
    main(["row-filters", "--catalog", "a`b", "--operators", "it's"])
    written = capsys.readouterr().out
    assert "`a``b`.`quality`" in written
    assert "is_account_group_member('it\\'s');" in written
