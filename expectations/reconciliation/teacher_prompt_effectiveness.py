"""What the rows of prompt effectiveness must add up to, straight from the usable prompts."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.reconciliation.totals import totals_of
from transforms.catalog import PROMPTS
from transforms.inputs import RollupInputs
from transforms.windows import PeriodWindow

STAGED_TOTALS: Mapping[str, str] = {
    "total_generated": "sum(total_generated)",
    "total_acknowledged": "sum(total_acknowledged)",
    "total_used": "sum(total_used)",
    "total_dismissed": "sum(total_dismissed)",
    "data_points": "sum(data_points)",
}
"""Each total's name and the SQL over the staged rows that computes it."""


def source_totals(inputs: RollupInputs, window: PeriodWindow) -> DataFrame:
    """One row per total: `name` and `total` over the prompts of the window's periods."""
    prompts = inputs.usable[PROMPTS]
    return totals_of(
        prompts.where(window.contains(F.col("generated_at"))),
        {
            "total_generated": F.count("*"),
            "total_acknowledged": F.count("acknowledged_at"),
            "total_used": F.count("used_at"),
            "total_dismissed": F.count("dismissed_at"),
            "data_points": F.count("effectiveness_score"),
        },
    )
