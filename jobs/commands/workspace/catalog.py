"""The catalog of a workspace: the tables that it holds, and SQL that runs on it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import TableInfo
from databricks.sdk.service.sql import StatementState

from expectations.contract import Contract
from jobs.errors import JobError, UsageError
from jobs.logs import log

_LARGEST_PAGE = 50


def deployed_tables(client: WorkspaceClient, catalog: str, contracts: Sequence[Contract]) -> dict[str, TableInfo]:
    """The catalog's tables with one of these contracts, by two-part name; raises `UsageError` for a missing catalog."""
    try:
        client.catalogs.get(catalog)
    except NotFound as error:
        raise UsageError(f"The workspace has no catalog {catalog}, or does not let us see it.") from error
    there: set[str] = set()
    for schema in sorted({contract.table.split(".")[0] for contract in contracts}):
        try:
            listed = client.tables.list(
                catalog,
                schema,
                include_browse=True,  # also what we may not read
                max_results=_LARGEST_PAGE,
                omit_columns=True,
                omit_properties=True,
            )
            there.update(f"{schema}.{table.name}" for table in listed)
        except NotFound:
            log.info("the schema does not exist", schema=schema)
    wanted = [contract.table for contract in contracts if contract.table in there]
    return {
        table: client.tables.get(f"{catalog}.{table}", include_browse=True, include_delta_metadata=True)
        for table in wanted
    }


def run_statement(client: WorkspaceClient, warehouse: str, statement: str) -> None:
    """Runs one statement to its end; raises `JobError` with the statement if it fails."""
    answer = client.statement_execution.execute_statement(statement, warehouse, wait_timeout="30s")
    while answer.status and answer.status.state in (StatementState.PENDING, StatementState.RUNNING):
        time.sleep(1)
        answer = client.statement_execution.get_statement(answer.statement_id or "")
    state = answer.status.state if answer.status else None
    if state is not StatementState.SUCCEEDED:
        error = answer.status.error if answer.status else None
        reason = (error.message if error else None) or (state.value.lower() if state else "no state")
        raise JobError(f"A statement failed, those before it were run: {statement}: {reason}")
