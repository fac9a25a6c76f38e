"""The command line `classwaves`: sample data, runs, backfills, maintenance, and a look at their results."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from jobs.commands.console import phases, print_json, print_table, progress
from jobs.commands.options import (
    CatalogOption,
    ChunkOption,
    JobArgument,
    JsonOption,
    LakehouseOption,
    RollupArgument,
    TableArgument,
)
from jobs.commands.workspace.commands import app as workspace
from jobs.errors import UsageError
from jobs.execution.job_run import run_job
from jobs.exit_status import exit_with
from jobs.job import Job
from jobs.job_options import lakehouse_folder, read_call
from jobs.logs import set_up_logs
from jobs.open_lake import ONE_PLACE, open_lake
from jobs.registry import contract_named, job_named

if TYPE_CHECKING:
    from jobs.backfill import Chunk

app = typer.Typer(
    name="classwaves",
    help="The rollups of the ClassWaves lakehouse: run and backfill them, maintain their tables, look at the results.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
)
app.add_typer(workspace, name="workspace")


@app.command()
def prepare() -> None:
    """Check Java and fetch the Delta jar, so that nothing else needs a network.

    Example: classwaves prepare
    """
    from jobs.spark_session import check_delta, open_session

    spark = open_session("classwaves prepare")
    check_delta(spark)
    spark.stop()


@app.command()
def sample(
    lakehouse: Annotated[
        Path,
        typer.Option(
            metavar="DIR", parser=lakehouse_folder, help="The folder to write; it is created if it is missing."
        ),
    ],
    sessions: Annotated[
        int | None, typer.Option(min=1, help="Number of sessions; without it a small pilot of 425.")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=36_500, help="Number of days that the sessions are spread over.")
    ] = 30,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal rows.")] = 7,
    overwrite: Annotated[bool, typer.Option(help="Replace the source tables that the folder already has.")] = False,
) -> None:
    """Write a sample lakehouse: invented schools, and a few rows of every kind that is rejected.

    Example: classwaves sample --lakehouse demo-lakehouse --sessions 1000
    """
    from expectations.contract import contract_of
    from jobs.lake import Lake
    from jobs.sample.lakehouse import BUSY_DENSITY, PILOT_DENSITY, PILOT_SESSIONS, sample_tables
    from jobs.sample.lakehouse_folder import folder_for_sample
    from jobs.spark_session import open_session

    place = folder_for_sample(lakehouse, overwrite=overwrite)
    spark = open_session("classwaves sample")
    lake = Lake(spark, place)
    density = PILOT_DENSITY if sessions is None else BUSY_DENSITY
    tables = sample_tables(spark, sessions=sessions or PILOT_SESSIONS, days=days, seed=seed, density=density)
    with phases() as phase:
        for name, rows in tables.items():
            phase(f"writing {name}")
            lake.overwrite_all(contract_of(name), rows)
    typer.echo(f"{len(tables)} tables written to {lakehouse}.", err=True)


def _job_given_first(name: str) -> Job[Any]:
    """The job of that name. Options before it cannot be read: which there are depends on the job."""
    if name.startswith("-"):
        raise UsageError(f"Name the job before its options: {name} stands where the job's name is expected.")
    return job_named(name)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    job: JobArgument,
) -> None:
    """Run a job once, with the options of its script.

    --lakehouse DIR or --catalog NAME says where; --start T and --end T (exclusive, ISO 8601, UTC) which window;
    --allow-empty lets the run empty a window that holds rows; --dry-run shows what would change and writes nothing;
    --period day, week or month is the length of teacher_prompt_effectiveness's periods.

    Example: classwaves run dashboard_metrics_hourly --lakehouse demo-lakehouse --start 2025-09-01 --end 2025-09-08
    """
    declared = _job_given_first(job)
    call = read_call(declared, context.args)
    with phases() as phase:
        sentence = run_job(declared, call, phase)
    typer.echo(sentence, err=True)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def backfill(
    context: typer.Context,
    job: JobArgument,
    chunk: ChunkOption = "7d",
    again: Annotated[bool, typer.Option("--again", help="Also run chunks that have already succeeded.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a job over a long window in chunks, with the options of its script; --start and --end must be given.

    A chunk that has succeeded with the current versions of the sources is skipped, so a backfill that stopped resumes
    where it was. It stops at the first chunk that fails. With --dry-run it shows what would change and publishes
    nothing.

    Example: classwaves backfill dashboard_metrics_hourly --lakehouse demo-lakehouse --start 2025-09-01 --end 2025-10-01
    """
    from datetime import datetime, timezone

    from jobs.backfill import backfill as run_chunks
    from jobs.backfill import chunks_of, read_chunk_length
    from jobs.settings import load_settings

    declared = _job_given_first(job)
    call, settings = read_call(declared, context.args, ("--chunk", "--again", "--json")), load_settings()
    calls = chunks_of(declared, call, read_chunk_length(chunk), datetime.now(timezone.utc))
    lake = open_lake(call.lakehouse, call.catalog, f"classwaves backfill {job}")
    table = declared.rollup_of(call).targets[0]
    chunks: list[Chunk] = []
    try:
        with progress(len(calls), f"backfill {job}") as (advance, phase):
            for done in run_chunks(declared, calls, lake, settings, again=again, phase=phase):
                chunks.append(done)
                advance()
    finally:  # wherever it stops, the completed chunks are shown
        _show_chunks(chunks, table, dry_run=call.dry_run, as_json=as_json)
    skipped = sum(chunk.outcome is None for chunk in chunks)
    typer.echo(f"{len(chunks)} chunks, {skipped} of them done before with these sources.", err=True)


def _show_chunks(chunks: list[Chunk], table: str, *, dry_run: bool, as_json: bool) -> None:
    """Prints each chunk of a backfill, and what it changed in the table."""
    from jobs.execution.run import Changes

    names = list(Changes().counts)
    counts = [chunk.outcome.changes[table].counts if chunk.outcome else None for chunk in chunks]
    if as_json:
        spans = [{"start": chunk.start.isoformat(), "end": chunk.end.isoformat()} for chunk in chunks]
        print_json(
            [
                {**span, "done_before": found is None, **(found or dict.fromkeys(names))}
                for span, found in zip(spans, counts, strict=True)
            ]
        )
        return
    cells: list[list[str | None]] = [
        [
            *(f"{moment:%Y-%m-%d %H:%M}" for moment in (chunk.start, chunk.end)),
            *(map(str, found.values()) if found else ("done before", None, None, None)),
        ]
        for chunk, found in zip(chunks, counts, strict=True)
    ]
    print_table(f"{table}{', dry run' if dry_run else ''}", ["start", "end", *names], cells)


@app.command()
def maintain(lakehouse: LakehouseOption = None, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Keep our tables small: delete old checks, compact rows into few files, delete files that nobody needs.

    Example: classwaves maintain --lakehouse demo-lakehouse
    """
    from datetime import datetime, timezone

    from jobs.maintenance import Maintained
    from jobs.maintenance import maintain as maintain_tables
    from jobs.settings import load_settings

    settings = load_settings()
    lake = open_lake(lakehouse, catalog, "classwaves maintain")
    maintained: list[Maintained] = []
    try:
        with phases() as phase:
            for done in maintain_tables(lake, settings, datetime.now(timezone.utc)):
                phase(done.table)
                maintained.append(done)
    finally:
        if as_json:
            print_json(list(map(asdict, maintained)))
        else:
            cells: list[list[str | None]] = [
                [one.table, str(one.files_before), str(one.files_after), str(one.bytes_after), ", ".join(one.not_done)]
                for one in maintained
            ]
            print_table("Maintained", ["table", "files before", "files after", "bytes after", "not done"], cells)


@app.command()
def show(
    table: TableArgument,
    lakehouse: LakehouseOption = None,
    catalog: CatalogOption = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many rows.")] = 10,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Which columns; by default the most informative ones.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest rows of a table; with --json all columns. Personal columns are never shown.

    Example: classwaves show analytics.dashboard_metrics_hourly --lakehouse demo-lakehouse --rows 5
    """
    from jobs.commands.show import as_objects, as_texts, chosen_columns, newest_rows

    contract = contract_named(table)
    chosen = chosen_columns(contract, columns, all_by_default=as_json)
    newest = newest_rows(open_lake(lakehouse, catalog, "classwaves", only_reads=True), contract, rows)
    if as_json:
        print_json(as_objects(newest, chosen))
        return
    print_table(f"{table}, newest first", chosen, as_texts(newest, chosen))
    if columns is None and len(chosen) < len(contract.public_columns):
        typer.echo(f"{len(contract.public_columns) - len(chosen)} more columns: name them with --columns.", err=True)


@app.command()
def quarantine(lakehouse: LakehouseOption = None, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show how many source rows were rejected and why: counts and dates, no content.

    Example: classwaves quarantine --lakehouse demo-lakehouse
    """
    from pyspark.sql import functions as F

    from jobs.commands.show import as_objects, as_texts
    from jobs.execution.quarantine import counts
    from transforms.catalog import QUARANTINE

    lake = open_lake(lakehouse, catalog, "classwaves", only_reads=True)
    lake.require(contract_named(QUARANTINE))
    found = counts(lake.latest(QUARANTINE)).orderBy("source", "reason")
    if as_json:
        print_json(as_objects(found, found.columns))
    else:
        seen = {name: F.date_format(name, "yyyy-MM-dd HH:mm") for name in ("first_seen_at", "last_seen_at")}
        cells = as_texts(found.withColumns(seen), found.columns)
        print_table("Rows that take part in no metric", found.columns, cells)


@app.command()
def add_columns(
    table: TableArgument,
    lakehouse: LakehouseOption = None,
    catalog: CatalogOption = None,
) -> None:
    """Add the contract's columns that one of our tables lacks: after a metric was added, before the next run.

    They are null in the table's existing rows until their window is run again.

    Example: classwaves add-columns analytics.dashboard_metrics_hourly --lakehouse demo-lakehouse
    """
    contract = contract_named(table)
    if contract.kind == "source":
        raise UsageError(f"The table {table} is a source: it is not ours to change.")
    lake = open_lake(lakehouse, catalog, "classwaves")
    if not lake.exists(table):
        raise UsageError(f"There is no table {table} yet: the first run creates it with all columns.")
    added = lake.add_columns(contract)
    typer.echo(f"{table}: {'added ' + ', '.join(added) if added else 'no column is missing'}.", err=True)


@app.command()
def doctor(lakehouse: LakehouseOption = None, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Check this machine, the settings and, if given, a lakehouse: what is wrong and how to fix it.

    Exit status 0: runs can go ahead, perhaps with warnings. 1: they would fail. 2: the configuration is wrong.

    Example: classwaves doctor --lakehouse demo-lakehouse
    """
    from jobs.commands.doctor import examined, exit_error

    if lakehouse is not None and catalog is not None:
        raise UsageError(ONE_PLACE)
    diagnoses = []
    console = Console()
    for diagnosis in examined(lakehouse, catalog):
        diagnoses.append(diagnosis)
        if not as_json:
            style = {"ok": "green", "warn": "yellow", "fail": "bold red"}[diagnosis.status]
            console.print(
                f"[{style}]{diagnosis.status:<4}[/]", f"{diagnosis.check:<10}", escape(diagnosis.found), soft_wrap=True
            )
            if diagnosis.remedy:
                console.print(" " * 15, escape(diagnosis.remedy), soft_wrap=True)
    if as_json:
        print_json([asdict(diagnosis) for diagnosis in diagnoses])
    if error := exit_error(diagnoses):
        raise error


@app.command()
def report(
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The file to write.")],
    lakehouse: LakehouseOption = None,
    catalog: CatalogOption = None,
    school: Annotated[str | None, typer.Option(metavar="ID", help="Only this school's hours and teachers.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First date; by default a year before the last.")
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="DATE", help="Last date, inclusive; by default the last that has an hour."),
    ] = None,
) -> None:
    """Write a page with the hours of schools, the weeks of teachers, the effectiveness of prompts and data health.

    It is a single file that opens without a network. Schools and teachers appear by their ids.

    Example: classwaves report --lakehouse demo-lakehouse --out demo-lakehouse/report.html
    """
    from datetime import datetime, timezone

    from jobs.report.file import check_file, write_page
    from jobs.windows import read_date

    begin, end = read_date(first, "--from"), read_date(last, "--to")
    check_file(out)
    from jobs.report.page import page
    from jobs.report.reader import Reader

    with phases() as phase:
        phase("start Spark")
        lake = open_lake(lakehouse, catalog, "classwaves report", only_reads=True)
        found = Reader(lake, datetime.now(timezone.utc), phase).report(begin, end, school)
        phase("draw the page")
        html = page(found)
    write_page(html, out)
    typer.echo(f"The report is in {out}: {len(html.encode()) / 1e6:.1f} MB.", err=True)


@app.command()
def explain(
    table: RollupArgument,
    key: Annotated[
        list[str],
        typer.Argument(metavar="KEY… [COLUMN]", help="The row's key in the contract's order, and a column of the row."),
    ],
    lakehouse: LakehouseOption = None,
    catalog: CatalogOption = None,
    show_all: Annotated[bool, typer.Option("--all", help="Every source row, not only the first of each list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a published number: its definition, its source rows, its run and commit, and what it was before.

    Without COLUMN the whole row: each value, and from how many rows of which source it was computed. Write - for a
    missing part of a key; a period's end may be its length: day, week (also -) or month. With --json every source row
    is listed.

    Example: classwaves explain dashboard_metrics_hourly school-000001 2025-09-01T13:00Z --lakehouse demo-lakehouse
    """
    from jobs.explain.explainer import explain as explain_row
    from jobs.explain.request import read_request
    from jobs.explain.text import as_json as json_of
    from jobs.explain.text import as_text
    from jobs.settings import load_settings

    request = read_request(table, key)
    settings = load_settings()
    lake = open_lake(lakehouse, catalog, "classwaves explain", only_reads=True)
    with phases() as phase:
        found = explain_row(lake, request.subject, request.tables, settings, phase)
    if as_json:
        typer.echo(json_of(found, request.column))
        return
    typer.echo("\n\n".join(as_text(each, request.column, show_all=show_all) for each in found))


def main() -> None:
    """The console script: ends with an exit status and a last line on stderr, as the jobs do."""
    set_up_logs()

    def work() -> str | None:
        try:
            status = app(standalone_mode=False)
        except Exception as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                typer.echo(str(error), err=True)
                raise UsageError("No command given: see the list above.") from error
            # What the parser refuses is the user's mistake; its base class belongs to the parser library.
            if hasattr(error, "format_message") and hasattr(error, "exit_code"):
                raise UsageError(error.format_message()) from error
            raise
        if status:  # the parser library's status for Ctrl-C
            raise KeyboardInterrupt
        return None

    exit_with(work)


if __name__ == "__main__":
    main()
