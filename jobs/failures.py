"""Failures outside this program, explained in one sentence: disks that are full, files that are gone."""

from __future__ import annotations

import re

from expectations.contract import BrokenContractFileError, contract_names
from jobs.errors import JobError, UsageError

_DENIED = (
    r"Permission denied|AccessControlException|INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|not authorized|"
    r"Mkdirs failed to create|Read-only file system"
)
_NO_ROOM = r"No space left on device|Disk quota exceeded|File too large"
_NO_MEMORY = r"OutOfMemoryError|Java heap space|GC overhead limit exceeded"
_NO_ANSWER = (
    r"Access ?Denied|[Ss]tatus [Cc]ode:? (403|5\d\d)|ExpiredToken|SlowDown|(Read|[Cc]onnect(ion)?) timed out|"
    r"SocketTimeoutException|Connection (reset|refused)|UnknownHost|Input/output error|Stale file handle|"
    r"No locks available"
)
_NOT_NOW = rf"{_NO_ROOM}|{_DENIED}|{_NO_MEMORY}|{_NO_ANSWER}|Forbidden|timed out|TimeoutException"
"""Also what does not say what failed to answer: an overloaded machine has timeouts of its own."""
_GONE = (
    r"FAILED_READ_FILE\.(DBR_)?FILE_NOT_EXIST|FAILED_READ_FILE\.CANNOT_READ_FILE_FOOTER|FileNotFoundException|"
    r"PATH_NOT_FOUND|NoSuchKey|Could not read footer|is not a Parquet file|UNRESOLVED_COLUMN|"
    r"Cannot time travel Delta table|"
    r"\[DELTA_(MISSING_CHANGE_DATA|CHANGE_DATA_F\w+|CHANGE_TABLE_FEED_DISABLED|FILE_NOT_FOUND\w*|VERSION_NOT_FOUND|"
    r"INVALID_CDC_RANGE|LOG_FILE_NOT_FOUND\w*|TRUNCATED_TRANSACTION_LOG|NO_COMMITS_FOUND|NO_RECREATABLE_HISTORY_FOUND|"
    r"VERSIONS_NOT_CONTIGUOUS|STATE_RECOVER_ERROR|REMOVE_FILE_CDC_MISSING\w+|UNSUPPORTED_TIME_TRAVEL_BEYOND\w+)"
)
_UNREADABLE = (
    r"FAILED_READ_FILE|FileNotFoundException|DELTA_FILE_NOT_FOUND|PATH_NOT_FOUND|DELTA_CHANGE_DATA_FILE|"
    r"DELTA_TRUNCATED_TRANSACTION|DELTA_VERSION_NOT_FOUND|DELTA_TABLE_NOT_FOUND|is not a Parquet file|"
    r"Could not read footer"
)
_KNOWN = (
    (
        _NO_ROOM,
        " ",
        "There is no room left to write{table}: each table is as before the run or as after it; make room and run it "
        "again.",
    ),
    (
        _DENIED,
        " for ",
        "Permission was denied{table}: grant it and run again.",
    ),
    (
        _NO_MEMORY,
        "",
        "Spark ran out of memory: give it more (spark.driver.memory in conf/spark.properties), "
        "or run a shorter window.",
    ),
    (
        _NO_ANSWER,
        " for ",
        "Storage did not answer, or denied access{table}: run again once it does.",
    ),
    (
        _UNREADABLE,
        " of ",
        "A file{table} cannot be read: it is damaged, or was deleted (VACUUM) while the run needed it; restore the "
        "table or run again over its latest version.",
    ),
)
_SPARK_HAS_ENDED = (
    "Spark has ended, most likely killed for lack of memory: give it less than the machine has (spark.driver.memory in "
    "conf/spark.properties), or run a shorter window."
)


class OutsideError(JobError):
    """A failure of the machine or the platform: exit status 1, and each table is as before the run or as after it."""


def explained(error: Exception) -> Exception:
    """The error as one with a sentence if its cause is a known one; else the error itself."""
    if isinstance(error, JobError):
        return error
    if isinstance(error, BrokenContractFileError):
        return UsageError(f"{error}.")
    if has_lost_spark(error):
        return OutsideError(_SPARK_HAS_ENDED)
    text = _without_stack_trace(error)
    for pattern, before_table, sentence in _KNOWN:
        if re.search(pattern, text):
            table = _table_in(text)
            return OutsideError(sentence.format(table=f"{before_table}{table}" if table else ""))
    return error


def has_lost_spark(error: Exception) -> bool:
    """Whether the local Spark's JVM has ended: what it reports itself has a Java error or a trace with it."""
    # By name: a client of Spark Connect does not need py4j.
    name = f"{type(error).__module__}.{type(error).__name__}"
    return (
        isinstance(error, ConnectionRefusedError | ConnectionResetError)
        or name == "py4j.protocol.Py4JNetworkError"
        or (name == "py4j.protocol.Py4JError" and "Trace:" not in str(error))
    )


def says_gone(error: Exception) -> bool:
    """Whether the error says that what was asked for does not exist, or no longer does: retrying would not help.

    False if permission is denied, a machine was lost, storage does not answer, or anything else that can be fixed.
    """
    return re.search(_GONE, _without_stack_trace(error)) is not None and not is_mendable(error)


def is_mendable(error: Exception) -> bool:
    """Whether the machine or the platform failed: nothing is wrong with what was asked for."""
    return has_lost_spark(error) or re.search(_NOT_NOW, _without_stack_trace(error)) is not None


def _without_stack_trace(error: Exception) -> str:
    return "\n".join(line for line in str(error).splitlines() if not line.lstrip().startswith("at "))


def _table_in(text: str) -> str | None:
    for table in contract_names():
        schema, name = table.split(".")
        if re.search(rf"[/.`]{schema}[/.`]+{name}\b", text):
            return table
    return None


def reason_of(error: Exception) -> str:
    """The first line of the error that says what went wrong, cut to 200 characters to fit a sentence."""
    lines = [line.strip(" \t:") for line in str(error).splitlines()]
    telling = (line for line in lines if line and not line.startswith("An error occurred while calling"))
    return next(telling, type(error).__name__)[:200]
