"""The errors that a user can fix, each with its exit status and one clear sentence."""

from __future__ import annotations

from typing import ClassVar


class JobError(Exception):
    """A failure with a sentence for the user: exit status 1 unless a subclass says otherwise."""

    exit_code: ClassVar[int] = 1


class UsageError(JobError):
    """The call or the configuration is wrong: exit status 2."""

    exit_code = 2


class GateRefusedError(JobError):
    """The gate refused the staged rows; nothing was written: exit status 3."""

    exit_code = 3


class BrokenContractError(JobError):
    """A table is absent, unreadable, or not as its contract says; nothing is half-written: exit status 4."""

    exit_code = 4
