"""What went wrong outside of this program, told in one sentence: disks that are full, files that are gone."""

from __future__ import annotations

import re

from expectations.contract import contract_names
from jobs.errors import JobError

_KNOWN = (
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "There is no room left to write{where}: nothing of the run is half-written; make room and run it again.",
    ),
    (
        r"Permission denied|AccessControlException|INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|not authorized",
        "Permission was denied{where}: grant it and run again.",
    ),
    (
        r"FAILED_READ_FILE|FileNotFoundException|DELTA_FILE_NOT_FOUND|PATH_NOT_FOUND|DELTA_CHANGE_DATA_FILE|"
        r"DELTA_TRUNCATED_TRANSACTION|is not a Parquet file|Could not read footer",
        "A file{where} cannot be read: it is damaged, or was deleted (VACUUM) while the run needed it; restore the "
        "table or run again over its latest version.",
    ),
)


class OutsideError(JobError):
    """Something that the machine or the platform did: exit status 1, and nothing half-written."""


def explained(error: Exception) -> Exception:
    """The error as an `OutsideError` with one sentence, where its cause is a known one; else the error itself."""
    if isinstance(error, JobError):
        return error
    told = str(error)
    for pattern, sentence in _KNOWN:
        if re.search(pattern, told):
            return OutsideError(sentence.format(where=_where(told)))
    return error


def _where(told: str) -> str:
    for table in contract_names():
        schema, name = table.split(".")
        if re.search(rf"[/.`]{schema}[/.`]+{name}\b", told):
            return f" of {table}"
    return ""


def reason_of(error: Exception) -> str:
    """The first line of an error that says what went wrong, short enough for one sentence."""
    lines = [line.strip(" \t:") for line in str(error).splitlines()]
    telling = (line for line in lines if line and not line.startswith("An error occurred while calling"))
    return next(telling, type(error).__name__)[:200]
