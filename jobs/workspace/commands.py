"""The commands `classwaves workspace`: what is deployed in a Databricks workspace, compared with what we declare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from jobs.command_options import JobArgument, JsonOption
from jobs.console import phases, print_json, print_table, progress
from jobs.errors import BrokenContractError, JobError, UsageError
from jobs.job import DEFAULT_CATALOG, Call, Job
from jobs.logs import log
from jobs.registry import job_named
from jobs.rollup import W
from jobs.suggestions import unknown_name_error

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.catalog import TableInfo
    from databricks.sdk.service.jobs import Run

    from expectations.contract import Contract
    from jobs.workspace.tables import Difference

BACKFILL = "backfill"
"""The key of the backfill job in the bundle."""

_LONGEST_BACKFILL = timedelta(days=7)
_LARGEST_PAGE = 50

app = typer.Typer(
    help="A Databricks workspace: check it against contracts and bundle, look at runs, start a backfill there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A profile of ~/.databrickscfg, as in Databricks' own tools.")
]
CatalogOption = Annotated[str, typer.Option(metavar="NAME", help="The catalog that holds the tables.")]
BundleOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of the bundle's YAML files; by default resources.")
]
TargetOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The bundle's target, if a workspace has several.")
]


@app.command()
def check(
    catalog: CatalogOption = DEFAULT_CATALOG,
    bundle: BundleOption = None,
    target: TargetOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the deployed tables with the contracts, and the deployed jobs with the bundle.

    Exit status 4 means that a table differs from its contract. Differences in jobs are listed, too; a paused schedule
    is listed but does not count as a difference.

    Example: classwaves workspace check --catalog classwaves --target prod
    """
    from expectations.contract import own_contracts, source_contracts
    from jobs.workspace.runs import find_jobs, is_paused, job_differences, read_bundle
    from jobs.workspace.tables import Difference, differences

    declared = read_bundle(_bundle_folder(bundle)).values()
    contracts = [*own_contracts(), *source_contracts()]
    of_tables: list[Difference] = []
    of_jobs: list[Difference] = []
    with phases() as phase, _asked(profile) as client:
        phase(f"ask for the tables of {catalog}")
        tables = _tables(client, catalog, contracts)
        for contract in contracts:
            if contract.table not in tables and not differences(contract, None):
                log.info("a source is absent and counts as empty", table=contract.table)
            of_tables += differences(contract, tables.get(contract.table))
        phase("ask for the jobs")
        deployed = find_jobs(client, [job["name"] for job in declared], target, with_tasks=True)
        for job in declared:
            of_jobs += job_differences(job, deployed.get(job["name"]))
    paused = [Difference(name, "schedule", None, "paused") for name, job in deployed.items() if is_paused(job)]
    found = [asdict(difference) for difference in [*of_tables, *of_jobs, *paused]]
    if as_json:
        print_json(found)
    elif found:
        cells: list[list[str | None]] = [list(row.values()) for row in found]
        print_table(f"Catalog {catalog}", ["table or job", "what", "declared", "deployed"], cells)
    sentence = (
        f"The tables differ from their contracts {_places(of_tables)}, the jobs from the bundle {_places(of_jobs)}."
    )
    if of_tables:
        raise BrokenContractError(sentence)
    typer.echo(sentence, err=True)


@app.command()
def apply(
    catalog: CatalogOption = DEFAULT_CATALOG,
    warehouse: Annotated[
        str | None, typer.Option(metavar="ID", help="The SQL warehouse that runs the statements.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Run the statements; without it they are only shown.")] = False,
    profile: ProfileOption = None,
) -> None:
    """Give our deployed tables the comments, tags and properties of their contracts, by SQL.

    Without --yes the statements are shown and nothing is changed. Columns, types and clustering are never changed.

    Example: classwaves workspace apply --catalog classwaves --warehouse 1234567890abcdef --yes
    """
    from expectations.contract import own_contracts
    from jobs.workspace.tables import statements

    if yes and not warehouse:
        raise UsageError("Give --warehouse: with --yes the statements need a SQL warehouse to run on.")
    contracts = own_contracts()
    with _asked(profile) as client:
        tables = _tables(client, catalog, contracts)
        found: list[str] = []
        for contract in contracts:
            if contract.table in tables:
                found += statements(contract, catalog, tables[contract.table])
            else:
                log.warning("the table does not exist yet: a run of its job creates it", table=contract.table)
        if yes and warehouse:
            with progress(len(found), "apply") as (advance, _):
                for statement in found:
                    _run_statement(client, warehouse, statement)
                    advance()
    if yes:
        typer.echo(f"{len(found)} statements were run on {catalog}.", err=True)
        return
    typer.echo("".join(f"{statement};\n" for statement in found), nl=False)
    typer.echo(f"{len(found)} statements, none was run: give --yes to run them.", err=True)


@app.command()
def runs(
    job: Annotated[str | None, typer.Option(metavar="NAME", help="One of the bundle's jobs; by default all.")] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many runs.")] = 10,
    bundle: BundleOption = None,
    target: TargetOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last runs of our jobs and how they ended, newest first.

    Example: classwaves workspace runs --job hourly --last 24
    """
    from jobs.workspace.runs import find_jobs, last_runs, read_bundle

    declared = read_bundle(_bundle_folder(bundle))
    if job is not None and job not in declared:
        raise unknown_name_error(job, tuple(declared), "job in the bundle named")
    names = [declared[key]["name"] for key in ([job] if job else declared)]
    with _asked(profile) as client:
        jobs = find_jobs(client, names, target)
        if not jobs:
            raise JobError(f"The workspace has no job {' or '.join(names)}: deploy the bundle, or see --target.")
        found = last_runs(client, jobs, last)
    if as_json:
        spans = [{"start": run.start.isoformat(), "duration": run.duration.total_seconds()} for run in found]
        print_json([asdict(run) | span for run, span in zip(found, spans, strict=True)])
        return
    rows: list[list[str | None]] = [
        [run.job, str(run.run_id), f"{run.start:%Y-%m-%d %H:%M}", _length(run.duration), run.state, run.verdict]
        for run in found
    ]
    print_table("Runs, newest first", ["job", "run", "start", "duration", "state", "verdict"], rows)


@app.command()
def backfill(
    job: JobArgument,
    start: Annotated[str, typer.Option(metavar="T", help="First instant or date of the window, ISO 8601, UTC.")],
    end: Annotated[str, typer.Option(metavar="T", help="End of the window, exclusive.")],
    chunk: Annotated[str, typer.Option(metavar="LENGTH", help="Length of a chunk: 12h, 7d, 2w.")] = "7d",
    period: Annotated[
        str | None, typer.Option(help="day, week or month: the length of teacher_prompt_effectiveness's periods.")
    ] = None,
    bundle: BundleOption = None,
    target: TargetOption = None,
    profile: ProfileOption = None,
) -> None:
    """Run a rollup over a long window in chunks, in the workspace, and follow it there.

    Ctrl-C only stops following it; the run in the workspace goes on.

    Example: classwaves workspace backfill dashboard_metrics_hourly --start 2025-09-01 --end 2026-07-01
    """
    from jobs.backfill import chunks_of, read_chunk_length
    from jobs.workspace.runs import check_parameters, closing_message, ended_well, find_jobs, read_bundle

    declared = job_named(job)
    call = _call_over(declared, start, end, period)
    calls = chunks_of(declared, call, read_chunk_length(chunk), datetime.now(timezone.utc))
    chunks = [{"start": _compact(call.start), "end": _compact(call.end)} for call in calls]
    parameters = {"rollup": job, "chunks": json.dumps(chunks), **({"period": period} if period else {})}
    bundle_jobs = read_bundle(_bundle_folder(bundle))
    if BACKFILL not in bundle_jobs:
        raise UsageError(f"The bundle declares no job {BACKFILL}: name the bundle's folder with --bundle.")
    name = bundle_jobs[BACKFILL]["name"]
    with _asked(profile) as client:
        deployed = find_jobs(client, [name], target).get(name)
        if deployed is None or deployed.job_id is None:
            raise JobError(f"The workspace has no job {name}: deploy the bundle, or see --target.")
        check_parameters(name, deployed, parameters)
        run = _followed(client, deployed.job_id, parameters, len(chunks), f"backfill {job}")
        url = run.run_page_url or ""
        if not ended_well(run):
            reason = closing_message(client, run) or "The platform does not say why."
            raise JobError(f"The backfill of {job} failed: {reason} See {url}")
    typer.echo(f"The backfill of {job} is done: {len(chunks)} chunks, see {url}", err=True)


def _call_over(job: Job[W], start: str, end: str, period: str | None) -> Call:
    """The job's call over a window; raises `UsageError` for a period that the job does not have."""
    call = replace(job.default_call(), start=start or None, end=end or None)
    if not period:
        return call
    if not job.periods:
        raise UsageError(f"{job.name} takes no --period.")
    if period not in job.periods:
        raise UsageError(f"--period must be one of {', '.join(job.periods)}: {period!r}.")
    return replace(call, period=period)


def _followed(client: WorkspaceClient, job_id: int, parameters: dict[str, str], steps: int, title: str) -> Run:
    """Starts the job, follows its run and returns it once it has ended; raises `JobError` if it cannot be followed."""
    from databricks.sdk.errors import OperationFailed
    from databricks.sdk.errors.base import DatabricksError

    from jobs.workspace.runs import chunks_done, state_of

    # The token prevents a request that is repeated, because its answer was lost, from starting a second run.
    waiter = client.jobs.run_now(job_id, job_parameters=parameters, idempotency_token=str(uuid4()))
    run_id = waiter.run_id
    url = f"{client.config.host}/jobs/{job_id}/runs/{run_id}"
    log.info("started", run_id=run_id, url=url)
    state, done = "", 0
    try:
        with progress(steps, title) as (advance, phase):

            def look(run: Run) -> None:
                nonlocal state, done
                if state != state_of(run):
                    state = state_of(run)
                    phase(state)
                now_done = min(chunks_done(run), steps)
                for _ in range(now_done - done):
                    advance()
                done = max(done, now_done)

            try:
                run = waiter.result(timeout=_LONGEST_BACKFILL, callback=look)
            except OperationFailed:  # the platform's own failure, which the run records as well
                run = client.jobs.get_run(run_id)
            look(run)
    except KeyboardInterrupt as interrupt:
        raise JobError(f"The run in the workspace goes on but is no longer followed here: {url}") from interrupt
    except TimeoutError as error:
        raise JobError(f"The workspace has not reported the end of the run, which may go on: {url}") from error
    except DatabricksError as error:  # a login that has expired, say
        raise JobError(f"The workspace no longer reports on the run, which may go on: {url}: {_told(error)}") from error
    run.run_page_url = run.run_page_url or url
    return run


@contextmanager
def _asked(profile: str | None) -> Iterator[WorkspaceClient]:
    """A client of the workspace; errors of the workspace become a `JobError` with one sentence."""
    from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
    from databricks.sdk.errors.base import DatabricksError

    client = _client(profile)
    try:
        _log_in(client)
        yield client
    except Unauthenticated as error:
        raise UsageError(f"The workspace does not accept the credentials: {_told(error)}") from error
    except PermissionDenied as error:
        raise JobError(f"The workspace denies permission: {_told(error)}") from error
    except NotFound as error:
        raise JobError(f"The workspace cannot find what was requested: {_told(error)}") from error
    except DatabricksError as error:
        raise JobError(f"The workspace refused: {_told(error)}") from error
    except OSError as error:  # the client's network errors and timeouts
        raise JobError(f"The workspace {client.config.host} does not answer: try again.") from error


def _client(profile: str | None) -> WorkspaceClient:
    from configparser import Error as NoConfigurationError
    from importlib.metadata import version

    from databricks.sdk import WorkspaceClient

    try:
        return WorkspaceClient(profile=profile, product="classwaves", product_version=version("classwaves-analytics"))
    except NoConfigurationError as error:  # not quoted: it contains the line, which may contain a token
        raise UsageError("The client's configuration file (~/.databrickscfg) cannot be read.") from error
    except ValueError as error:
        hint = "set DATABRICKS_HOST and log in with `databricks auth login`, or name a profile with --profile"
        reason = str(error).split(" Config: ")[0].rstrip(".")
        raise UsageError(f"Cannot log in to a workspace ({reason}): {hint}.") from error


def _log_in(client: WorkspaceClient) -> None:
    """Gets a token now if there is none yet; raises `UsageError` if it is denied, as for a wrong secret."""
    try:
        client.config.authenticate()
    except ValueError as error:
        raise UsageError(f"The workspace does not accept the credentials: {_told(error)}") from error


def _told(error: Exception) -> str:
    """The error's first line, without what the client adds about its configuration."""
    text = str(error).split(" Config: ")[0].strip()
    return f"{text.splitlines()[0].rstrip('.')}." if text else f"{type(error).__name__}."


def _tables(client: WorkspaceClient, catalog: str, contracts: list[Contract]) -> dict[str, TableInfo]:
    """The catalog's tables with one of these contracts, by two-part name; raises `UsageError` for a missing catalog."""
    from databricks.sdk.errors import NotFound

    try:
        client.catalogs.get(catalog)
    except NotFound as error:
        raise UsageError(f"The workspace has no catalog {catalog}, or does not let us see it.") from error
    there: set[str] = set()
    for schema in sorted({contract.table.split(".")[0] for contract in contracts}):
        try:
            listed = client.tables.list(
                catalog, schema, max_results=_LARGEST_PAGE, omit_columns=True, omit_properties=True
            )
            there.update(f"{schema}.{table.name}" for table in listed)
        except NotFound:
            log.info("the schema does not exist", schema=schema)
    wanted = [contract.table for contract in contracts if contract.table in there]
    return {table: client.tables.get(f"{catalog}.{table}", include_delta_metadata=True) for table in wanted}


def _run_statement(client: WorkspaceClient, warehouse: str, statement: str) -> None:
    """Runs one statement to its end; raises `JobError` with the statement if it fails."""
    import time

    from databricks.sdk.service.sql import StatementState

    answer = client.statement_execution.execute_statement(statement, warehouse, wait_timeout="30s")
    while answer.status and answer.status.state in (StatementState.PENDING, StatementState.RUNNING):
        time.sleep(1)
        answer = client.statement_execution.get_statement(answer.statement_id or "")
    state = answer.status.state if answer.status else None
    if state is not StatementState.SUCCEEDED:
        error = answer.status.error if answer.status else None
        reason = (error.message if error else None) or (state.value.lower() if state else "no state")
        raise JobError(f"A statement failed, those before it were run: {statement}: {reason}")


def _bundle_folder(given: Path | None) -> Path:
    """The given folder, else `resources` of this checkout."""
    return given or Path(__file__).resolve().parents[2] / "resources"


def _compact(instant: str | None) -> str:
    """An instant in UTC in the shortest form that `--start` accepts: a platform limits the length of a parameter."""
    moment = datetime.fromisoformat(instant or "")
    utc = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    return utc.isoformat()[:10] if utc.time() == datetime.min.time() else utc.strftime("%Y-%m-%dT%H:%M")


def _places(found: list[Difference]) -> str:
    return f"in {len(found)} place{'s' if len(found) > 1 else ''}" if found else "nowhere"


def _length(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
