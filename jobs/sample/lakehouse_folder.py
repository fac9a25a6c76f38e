"""The folder that a sample is written to."""

from __future__ import annotations

from pathlib import Path

from jobs.errors import UsageError
from jobs.storage import LocalFolder


def folder_for_sample(lakehouse: Path, *, overwrite: bool) -> LocalFolder:
    """The folder, made where it is missing.

    Raises `UsageError` where it cannot be, and where it holds tables already, unless they are to be replaced.
    """
    try:
        lakehouse.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The lakehouse folder {lakehouse} cannot be made: {error.strerror}.") from error
    place = LocalFolder(lakehouse)
    taken = sorted(
        str(log_folder.parent.relative_to(place.folder)) for log_folder in place.folder.glob("*/*/_delta_log")
    )
    if taken and not overwrite:
        raise UsageError(
            f"The folder {lakehouse} holds tables already ({taken[0]}, …): give --overwrite to replace them."
        )
    return place
