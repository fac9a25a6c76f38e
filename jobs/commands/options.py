"""Options and arguments shared by several commands of `classwaves`: one meaning, one help, one completion each.

Those that a command passes on to a job are in `jobs.job_options`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.job_options import lakehouse_folder
from jobs.registry import JOBS


def complete_job(incomplete: str) -> list[str]:
    """The jobs whose names begin with the text, for the shell's completion."""
    return [name for name in JOBS if name.startswith(incomplete)]


def complete_table(incomplete: str) -> list[str]:
    """The tables whose names begin with the text, for the shell's completion."""
    from expectations.contract import contract_names

    return [name for name in contract_names() if name.startswith(incomplete)]


def complete_rollup(incomplete: str) -> list[str]:
    """The jobs' and their tables' names that begin with the text, for the shell's completion."""
    from expectations.contract import own_contracts

    tables = [contract.table for contract in own_contracts() if contract.kind == "rollup"]
    return [name for name in (*JOBS, *tables) if name.startswith(incomplete)]


JobArgument = Annotated[str, typer.Argument(help=f"One of: {', '.join(JOBS)}.", autocompletion=complete_job)]
TableArgument = Annotated[
    str,
    typer.Argument(
        help="A table by its two-part name: analytics.dashboard_metrics_hourly.", autocompletion=complete_table
    ),
]
RollupArgument = Annotated[
    str,
    typer.Argument(
        metavar="ROLLUP",
        help=f"A rollup, {', '.join(JOBS)}, or one of its tables.",
        autocompletion=complete_rollup,
    ),
]
LakehouseOption = Annotated[
    Path | None, typer.Option(metavar="DIR", parser=lakehouse_folder, help="The folder of a local lakehouse.")
]
CatalogOption = Annotated[str | None, typer.Option(metavar="NAME", help="A catalog instead of a folder.")]
ChunkOption = Annotated[str, typer.Option(metavar="LENGTH", help="Length of a chunk: 12h, 7d, 2w.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Give the answer as JSON, on stdout.")]
