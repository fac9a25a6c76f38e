"""What is said of a name that there is not: which one may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from jobs.errors import UsageError


def nearest(name: str, names: Sequence[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """The names, at most so many, that are most like the name: `a or b`; empty where none is.

    `cutoff`, from 0 to 1, is how much alike they must be.
    """
    return " or ".join(difflib.get_close_matches(name, names, n=most, cutoff=cutoff))


def unknown_name_error(name: str, names: Sequence[str], what: str) -> UsageError:
    """The error for a name that is none of the names, with the one that may be meant."""
    near = nearest(name, names)
    hint = f"did you mean {near}?" if near else f"there are: {', '.join(names)}."
    return UsageError(f"There is no {what} {name}: {hint}")
