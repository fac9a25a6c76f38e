"""What a rollup is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame

from transforms.metric_settings import MetricSettings

Usable = Mapping[str, DataFrame]
"""Each source's usable rows by the source's name."""


@dataclass(frozen=True)
class RollupInputs:
    """What a rollup's rows of any window, and the totals that they must add up to, are computed from.

    `sessions`: one row per usable session, identified by `session_id`, with its span (`session_spans`) if the session
    events are among the rollup's sources. `usable`: one row per usable row of each of these sources, with its
    `metric_columns`. `run_start`: hours that have not begun by then have no rows. `settings`: those of the metrics.
    """

    sessions: DataFrame
    usable: Usable
    run_start: datetime
    settings: MetricSettings
