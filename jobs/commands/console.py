"""What the command line shows while it works and at the end: phases, a progress bar, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.logs import log

if TYPE_CHECKING:
    from jobs.execution.run import Phase


@contextmanager
def phases() -> Iterator[Phase]:
    """Shows a run's current phase: a spinner on a terminal, log lines elsewhere. Yields what to call at each phase."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda name: log.info("phase", phase=name)
        return
    with console.status("starting") as status:
        yield lambda name: status.update(name)


@contextmanager
def progress(steps: int, title: str) -> Iterator[tuple[Callable[[], None], Phase]]:
    """A bar with the time left on a terminal, log lines elsewhere. Yields what to call after each step and phase."""
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        done = iter(range(1, steps + 1))
        yield (lambda: log.info("progress", done=next(done), of=steps)), lambda name: log.info("phase", phase=name)
        return
    with Progress(console=console) as bar:
        task = bar.add_task(title, total=steps)
        yield (lambda: bar.advance(task)), lambda name: bar.update(task, description=f"{title}: {name}")


def print_table(title: str, columns: list[str], rows: list[list[str | None]]) -> None:
    """Prints rows under the columns' names; None is an empty cell."""
    # Texts, because rich interprets brackets in plain strings, as in `[dev jane] classwaves hourly`, as markup.
    drawn = Table(title=Text(title), header_style="bold")
    for name in columns:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*[Text(value or "") for value in row])
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a file has no width to wrap at
    console.print(drawn)


def print_json(rows: list[dict[str, Any]]) -> None:
    """Prints one JSON array, for programs: nothing else may be written to stdout with it."""
    typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
