"""The numbers in the metrics' definitions that a deployment may change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricSettings:
    """Hours are whole hours, prices are US dollars."""

    max_session_hours: int = 24
    open_session_hours: int = 4
    transcription_usd_per_minute: float = 0.006
    analysis_usd_per_second: float = 0.00025
