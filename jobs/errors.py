"""The errors that a user can fix, each with its exit status and one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

EXIT_STATUSES: Mapping[int, str] = {
    2: "The call or the configuration is wrong.",
    3: "The gate refused the rows; no rollup was changed.",
    4: "A table breaks its contract; no rollup was changed.",
}
"""What each exit status means; 0 is success, 1 all else."""


class JobError(Exception):
    """A failure with a sentence for the user: exit status 1 unless a subclass says otherwise."""

    exit_status: ClassVar[int] = 1


class UsageError(JobError):
    """The call or the configuration is wrong: exit status 2."""

    exit_status = 2


class GateRefusedError(JobError):
    """The gate refused the staged rows; no rollup was changed: exit status 3."""

    exit_status = 3


class BrokenContractError(JobError):
    """A table is absent, unreadable, or not as its contract says; nothing is half-written: exit status 4."""

    exit_status = 4
