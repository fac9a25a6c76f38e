"""Full names of tables, which do not depend on the catalog or folder that holds them."""

from __future__ import annotations

CATALOG = "classwaves"
"""The first part of every full name."""


def full_name(table: str) -> str:
    """`classwaves.<schema>.<table>` for a two-part name."""
    return f"{CATALOG}.{table}"
