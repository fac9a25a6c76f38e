"""The console script `classwaves`, as far as it runs without Spark: it says that Spark is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; ends with exit status 2 and one sentence if the package was installed without Spark."""
    try:
        from jobs.cli import main as command_line
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("pyspark", "delta"):
            raise
        sys.stderr.write("Spark is not installed: install the package with its extra, classwaves-analytics[local].\n")
        raise SystemExit(2) from None
    command_line()
