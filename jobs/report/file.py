"""The file to which a report's page is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from jobs.errors import UsageError


def check_file(out: Path) -> None:
    """Raises `UsageError` if `--out` is not a file in an existing folder."""
    if not out.absolute().parent.is_dir():
        raise UsageError(f"The folder {out.parent} of --out does not exist.")
    if out.is_dir():
        raise UsageError(f"The path {out} of --out is a folder: name a file in it.")


def write_page(html: str, out: Path) -> None:
    """Writes the page whole or not at all.

    Raises `UsageError` if the file cannot be written; `OSError` if the disk is full.
    """
    # Beside the file first, so that a full disk does not destroy the previous page.
    file = out.resolve()
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            half.write_text(html, encoding="utf-8")
            half.replace(file)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # not a mistake in the call: reported like any other full disk
        raise UsageError(f"The file {out} cannot be written: {error.strerror}.") from error
