"""Full names of tables: what they begin with, whatever catalog or folder holds the tables."""

from __future__ import annotations

CATALOG = "classwaves"
"""The catalog's own name."""


def full_name(table: str) -> str:
    """`classwaves.<schema>.<table>` of a two-part name."""
    return f"{CATALOG}.{table}"
