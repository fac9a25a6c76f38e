"""The folder to which a sample is written."""

from __future__ import annotations

from pathlib import Path

from jobs.errors import UsageError
from jobs.storage import LocalFolder


def folder_for_sample(lakehouse: Path, *, overwrite: bool) -> LocalFolder:
    """The folder as a lake's storage, created if it is missing.

    Raises `UsageError` if it cannot be created, or if it already holds tables and `overwrite` is not set.
    """
    try:
        lakehouse.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The lakehouse folder {lakehouse} cannot be created: {error.strerror}.") from error
    place = LocalFolder(lakehouse)
    taken = sorted(
        str(log_folder.parent.relative_to(place.folder)) for log_folder in place.folder.glob("*/*/_delta_log")
    )
    if taken and not overwrite:
        raise UsageError(
            f"The folder {lakehouse} already holds tables ({taken[0]}, …): give --overwrite to replace them."
        )
    return place
