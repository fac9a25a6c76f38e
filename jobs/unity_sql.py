"""SQL that gives a Unity Catalog what the contracts say: grants, comments, tags, and views with restricted access.

It only writes text, one statement per line, for someone with the privileges to run it:
`python -m jobs.unity_sql grants --catalog classwaves`.

Row filters and column masks are views here. Set on a table, they would block the runs, which read their sources and
targets as of a version: a table with a filter or a mask has no time travel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from expectations.contract import contract_names, contract_of, own_contracts, source_contracts
from jobs.exit_status import run_main
from jobs.job_options import Parser
from jobs.statements import column_comment, column_tags, literal, quoted, quoted_name, table_comment, table_tag
from transforms.catalog import QUALITY_SCHEMA, QUARANTINE


@dataclass(frozen=True)
class Names:
    """The catalog and the principals: the service principal runs the jobs, operators look after them."""

    catalog: str
    service_principal: str = "classwaves-jobs"
    operators: str = "classwaves-operators"
    analysts: str = "classwaves-analysts"
    support: str = "classwaves-support"
    school_staff: str = "classwaves-school-staff"
    school_group_prefix: str = "classwaves-school-"


def targets() -> tuple[str, ...]:
    """The tables that analysts read and the jobs write."""
    return tuple(name for name in contract_names() if contract_of(name).kind == "rollup")


def grants(names: Names) -> Iterator[str]:
    """The grants: the service principal reads sources and writes our tables; analysts read only targets and verdicts.

    An editor stops at the first statement that fails: grants on what a first deploy or run has yet to create come last.
    """
    yield from (statement for statement, _ in sorted(_grants(names), key=lambda grant: grant[1]))


def _grants(names: Names) -> Iterator[tuple[str, bool]]:
    """Each grant, and whether it is on something that our deploy or run creates."""
    own, catalog = [contract.table for contract in own_contracts()], quoted(names.catalog)
    for_analysts = sorted({*targets(), *own} - {QUARANTINE})
    reads = {
        names.service_principal: [*(contract.table for contract in source_contracts()), *own],
        names.operators: own,
        names.analysts: for_analysts,
    }
    runner = quoted(names.service_principal)
    yield f"GRANT CREATE SCHEMA ON CATALOG {catalog} TO {runner}", False
    # BROWSE shows that a table exists, but not its rows: `classwaves workspace check` needs that, and a run that may
    # not read an optional source fails instead of taking it for absent.
    for principal in (names.operators, names.service_principal):
        yield f"GRANT BROWSE ON CATALOG {catalog} TO {quoted(principal)}", False
    for principal, tables in reads.items():
        who = quoted(principal)
        yield f"GRANT USE CATALOG ON CATALOG {catalog} TO {who}", False
        for schema in sorted({table.split(".")[0] for table in tables}):
            yield f"GRANT USE SCHEMA ON SCHEMA {catalog}.{quoted_name(schema)} TO {who}", schema == QUALITY_SCHEMA
    for schema in sorted({table.split(".")[0] for table in own}):
        yield f"GRANT CREATE TABLE ON SCHEMA {catalog}.{quoted_name(schema)} TO {runner}", schema == QUALITY_SCHEMA
    for principal, tables in reads.items():
        for table in dict.fromkeys(tables):
            writes = principal == names.service_principal and table in own
            privileges = "SELECT, MODIFY" if writes else "SELECT"
            yield f"GRANT {privileges} ON TABLE {catalog}.{quoted_name(table)} TO {quoted(principal)}", table in own


def comments(names: Names) -> Iterator[str]:
    """The comments of our tables and of their columns."""
    for contract in own_contracts():
        table = quoted_name(f"{names.catalog}.{contract.table}")
        yield table_comment(table, contract)
        yield from (column_comment(table, column) for column in contract.columns)


def tags(names: Names) -> Iterator[str]:
    """The tags of each table that the jobs read or write: its kind, its columns' units, and which are personal."""
    for contract in [*own_contracts(), *source_contracts()]:
        table = quoted_name(f"{names.catalog}.{contract.table}")
        yield table_tag(table, contract)
        for column in contract.columns:
            yield from column_tags(table, column)


def row_filters(names: Names) -> Iterator[str]:
    """Views of the targets in which a school's staff see only its rows: their group is the prefix plus its id."""
    yield from _may_enter(names, names.school_staff)
    for table in targets():
        contract = contract_of(table)
        if "school_id" not in contract.column_names or not table.startswith("users."):
            continue
        view = f"{quoted(names.catalog)}.{quoted(QUALITY_SCHEMA)}.{quoted_name(table.split('.')[1] + '_of_my_school')}"
        columns = ", ".join(map(quoted_name, contract.column_names))
        comment = literal(f"The rows of {table} of the caller's schools.")
        yield (
            f"CREATE OR REPLACE VIEW {view} COMMENT {comment} "
            f"AS SELECT {columns} FROM {quoted(names.catalog)}.{quoted_name(table)} "
            f"WHERE is_account_group_member(concat({literal(names.school_group_prefix)}, `school_id`)) "
            f"OR is_account_group_member({literal(names.operators)})"
        )
        yield f"GRANT SELECT ON VIEW {view} TO {quoted(names.school_staff)}"


def column_masks(names: Names) -> Iterator[str]:
    """Views of the sources for support, in which personal columns are null for all but operators."""
    yield from _may_enter(names, names.support)
    for contract in source_contracts():
        if all(not column.personal for column in contract.columns):
            continue
        name = quoted_name(f"{contract.table.replace('.', '_')}_masked")
        view = f"{quoted(names.catalog)}.{quoted(QUALITY_SCHEMA)}.{name}"
        is_operator = f"is_account_group_member({literal(names.operators)})"
        columns = [
            f"CASE WHEN {is_operator} THEN {quoted_name(c.name)} END AS {quoted_name(c.name)}"
            if c.personal
            else quoted_name(c.name)
            for c in contract.columns
        ]
        comment = literal(f"{contract.table} with personal values for operators only.")
        yield (
            f"CREATE OR REPLACE VIEW {view} COMMENT {comment} "
            f"AS SELECT {', '.join(columns)} FROM {quoted(names.catalog)}.{quoted_name(contract.table)}"
        )
        for reader in (names.support, names.operators):
            yield f"GRANT SELECT ON VIEW {view} TO {quoted(reader)}"


def _may_enter(names: Names, principal: str) -> Iterator[str]:
    yield f"GRANT USE CATALOG ON CATALOG {quoted(names.catalog)} TO {quoted(principal)}"
    yield f"GRANT USE SCHEMA ON SCHEMA {quoted(names.catalog)}.{quoted(QUALITY_SCHEMA)} TO {quoted(principal)}"


STATEMENTS: dict[str, Callable[[Names], Iterator[str]]] = {
    "grants": grants,
    "comments": comments,
    "tags": tags,
    "row-filters": row_filters,
    "column-masks": column_masks,
}


def asked_for(arguments: Sequence[str]) -> Iterator[str]:
    """The statements that the arguments ask for; raises `UsageError` for wrong arguments."""
    parser = Parser(prog="python -m jobs.unity_sql", allow_abbrev=False, description=__doc__)
    parser.add_argument("what", choices=list(STATEMENTS))
    parser.add_argument("--catalog", required=True, metavar="NAME", help="the catalog")
    defaults = Names("")
    for option in ("service_principal", "operators", "analysts", "support", "school_staff", "school_group_prefix"):
        parser.add_argument(
            f"--{option.replace('_', '-')}", default=getattr(defaults, option), metavar="NAME", help="(%(default)s)"
        )
    given = vars(parser.parse_args(arguments))
    return STATEMENTS[given.pop("what")](Names(**given))


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the statements that the arguments ask for to stdout."""
    run_main(lambda given: sys.stdout.writelines(f"{statement};\n" for statement in asked_for(given)), arguments)


if __name__ == "__main__":
    main()
