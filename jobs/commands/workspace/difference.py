"""What `classwaves workspace check` finds: a difference between what is declared and what is deployed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A difference from what is declared: the table, column or job; what differs; as declared, if at all; as found."""

    place: str
    what: str
    declared: str | None
    found: str
