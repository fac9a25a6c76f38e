"""What went wrong outside of this program, told in one sentence: disks that are full, files that are gone."""

from __future__ import annotations

import re

from expectations.contract import contract_names
from jobs.errors import JobError

_DENIED = r"Permission denied|AccessControlException|INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|not authorized"
_UNREADABLE = (
    r"FAILED_READ_FILE|FileNotFoundException|DELTA_FILE_NOT_FOUND|PATH_NOT_FOUND|DELTA_CHANGE_DATA_FILE|"
    r"DELTA_TRUNCATED_TRANSACTION|is not a Parquet file|Could not read footer"
)
_KNOWN = (
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "There is no room left to write{where}: nothing of the run is half-written; make room and run it again.",
    ),
    (
        _DENIED,
        "Permission was denied{where}: grant it and run again.",
    ),
    (
        _UNREADABLE,
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


def says_gone(error: Exception) -> bool:
    """Whether the error says that what was asked for is not there, or not any more: to ask again would not help.

    It does not where permission is denied, a machine was lost, or anything else that may be mended.
    """
    told = str(error)
    return not re.search(_DENIED, told) and bool(re.search(rf"{_UNREADABLE}|\[?DELTA_[A-Z_]+|UNRESOLVED_COLUMN", told))


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
