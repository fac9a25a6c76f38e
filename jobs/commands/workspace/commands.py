"""The commands `classwaves workspace`: what is deployed in a Databricks workspace, compared with what we declare.

What imports Databricks' client, which takes a second, is imported by the commands that need it.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.console import phases, print_json, print_table, progress
from jobs.commands.options import ChunkOption, JobArgument, JsonOption
from jobs.commands.workspace.difference import Difference
from jobs.errors import BrokenContractError, JobError, UsageError
from jobs.job import DEFAULT_CATALOG
from jobs.job_options import read_call
from jobs.logs import log
from jobs.registry import job_named
from jobs.suggestions import unknown_name_error

app = typer.Typer(
    help="A Databricks workspace: check it against contracts and bundle, look at runs, start a backfill there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A profile of ~/.databrickscfg, as in Databricks' own tools.")
]
DeployedCatalogOption = Annotated[str, typer.Option(metavar="NAME", help="The catalog that holds the tables.")]
BundleOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of the bundle's YAML files; by default resources.")
]
TargetOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The bundle's target, if a workspace has several.")
]


@app.command()
def check(
    catalog: DeployedCatalogOption = DEFAULT_CATALOG,
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
    _check_client()
    from expectations.contract import own_contracts, source_contracts
    from jobs.commands.workspace.bundle import read_bundle
    from jobs.commands.workspace.catalog import deployed_tables
    from jobs.commands.workspace.client import connected
    from jobs.commands.workspace.deployed_jobs import find_jobs, is_paused, job_differences
    from jobs.commands.workspace.tables import differences

    declared = read_bundle(bundle).values()
    contracts = [*own_contracts(), *source_contracts()]
    of_tables: list[Difference] = []
    of_jobs: list[Difference] = []
    with phases() as phase, connected(profile) as client:
        phase(f"ask for the tables of {catalog}")
        tables = deployed_tables(client, catalog, contracts)
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
    catalog: DeployedCatalogOption = DEFAULT_CATALOG,
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
    _check_client()
    from expectations.contract import own_contracts
    from jobs.commands.workspace.catalog import deployed_tables, run_statement
    from jobs.commands.workspace.client import connected
    from jobs.commands.workspace.tables import statements

    if yes and not warehouse:
        raise UsageError("Give --warehouse: with --yes the statements need a SQL warehouse to run on.")
    contracts = own_contracts()
    with connected(profile) as client:
        tables = deployed_tables(client, catalog, contracts)
        found: list[str] = []
        for contract in contracts:
            if contract.table in tables:
                found += statements(contract, catalog, tables[contract.table])
            else:
                log.warning("the table does not exist yet: a run of its job creates it", table=contract.table)
        if yes and warehouse:
            with progress(len(found), "apply") as (advance, _):
                for statement in found:
                    run_statement(client, warehouse, statement)
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
    _check_client()
    from jobs.commands.workspace.bundle import read_bundle
    from jobs.commands.workspace.client import connected
    from jobs.commands.workspace.deployed_jobs import find_jobs
    from jobs.commands.workspace.runs import last_runs

    declared = read_bundle(bundle)
    if job is not None and job not in declared:
        raise unknown_name_error(job, tuple(declared), "job in the bundle named")
    names = [declared[key]["name"] for key in ([job] if job else declared)]
    with connected(profile) as client:
        jobs = find_jobs(client, names, target)
        if not jobs:
            raise JobError(f"The workspace has no job {' or '.join(names)}: deploy the bundle, or see --target.")
        found = last_runs(client, jobs, last)
    if as_json:
        spans = [{"start": run.start.isoformat(), "duration": run.duration.total_seconds()} for run in found]
        print_json([asdict(run) | span for run, span in zip(found, spans, strict=True)])
        return
    rows: list[list[str | None]] = [
        [run.job, str(run.run_id), f"{run.start:%Y-%m-%d %H:%M}", _length(run.duration), run.state, run.message]
        for run in found
    ]
    print_table("Runs, newest first", ["job", "run", "start", "duration", "state", "message"], rows)


@app.command()
def backfill(
    job: JobArgument,
    start: Annotated[str, typer.Option(metavar="T", help="First instant or date of the window, ISO 8601, UTC.")],
    end: Annotated[str, typer.Option(metavar="T", help="End of the window, exclusive.")],
    chunk: ChunkOption = "7d",
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
    _check_client()
    from jobs.backfill import chunks_of, read_chunk_length
    from jobs.commands.workspace.backfill import BACKFILL, follow, job_parameters
    from jobs.commands.workspace.bundle import read_bundle
    from jobs.commands.workspace.client import connected
    from jobs.commands.workspace.deployed_jobs import check_parameters, find_jobs
    from jobs.commands.workspace.runs import closing_message, ended_well

    declared = job_named(job)
    if period and not declared.periods:
        raise UsageError(f"{job} takes no --period.")
    periods = [f"--period={period}"] if period else []
    call = read_call(declared, [f"--start={start}", f"--end={end}", *periods])
    calls = chunks_of(declared, call, read_chunk_length(chunk), datetime.now(timezone.utc))
    parameters = job_parameters(job, calls, period)
    bundle_jobs = read_bundle(bundle)
    if BACKFILL not in bundle_jobs:
        raise UsageError(f"The bundle declares no job {BACKFILL}: name the bundle's folder with --bundle.")
    name = bundle_jobs[BACKFILL]["name"]
    with connected(profile) as client:
        deployed = find_jobs(client, [name], target).get(name)
        if deployed is None or deployed.job_id is None:
            raise JobError(f"The workspace has no job {name}: deploy the bundle, or see --target.")
        check_parameters(name, deployed, parameters)
        run = follow(client, deployed.job_id, parameters, len(calls), f"backfill {job}")
        url = run.run_page_url or ""
        if not ended_well(run):
            reason = closing_message(client, run) or "The platform does not say why."
            raise JobError(f"The backfill of {job} failed: {reason} See {url}")
    typer.echo(f"The backfill of {job} is done: {len(calls)} chunks, see {url}", err=True)


def _places(found: list[Difference]) -> str:
    return f"in {len(found)} place{'s' if len(found) > 1 else ''}" if found else "nowhere"


def _length(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def _check_client() -> None:
    """Raises `UsageError` if Databricks' client is not installed."""
    if find_spec("databricks") is None or find_spec("databricks.sdk") is None:
        raise UsageError(
            "Databricks' client is not installed: install the package with its extra, classwaves-analytics[workspace]."
        )
