"""The console script `classwaves`, as far as it runs without Spark: it says that Spark is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Runs the command line; ends with exit status 2 and one sentence if the package was installed without Spark."""
    if find_spec("pyspark") is None:
        sys.stderr.write("Spark is not installed: install the package with its extra, classwaves-analytics[local].\n")
        raise SystemExit(2)
    from jobs.commands.cli import main as command_line

    command_line()
