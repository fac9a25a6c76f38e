"""Suggestions for an unknown name: which one may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from jobs.errors import UsageError


def nearest(name: str, names: Sequence[str], *, limit: int = 1, cutoff: float = 0.6) -> str:
    """At most `limit` of the names that are similar to the name, as `a or b`; empty if none is.

    `cutoff`, from 0 to 1, is how similar they must be.
    """
    return " or ".join(difflib.get_close_matches(name, names, n=limit, cutoff=cutoff))


def unknown_name_error(name: str, names: Sequence[str], what: str) -> UsageError:
    """The error for a name that is not among the names, with the one that may be meant."""
    near = nearest(name, names)
    hint = f"did you mean {near}?" if near else f"there are: {', '.join(names)}."
    return UsageError(f"There is no {what} {name}: {hint}")
