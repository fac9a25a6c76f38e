"""The job `teacher_prompt_effectiveness`: one row per category, subject, phase, priority and period."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from pyspark.sql import Column

from expectations.reconciliation.teacher_prompt_effectiveness import STAGED_TOTALS, source_totals
from expectations.suites import AtMost
from jobs.execution.job_run import main_of
from jobs.job import Job
from jobs.rollup import Rollup
from jobs.windows import period_length, period_window
from transforms.catalog import PROMPT_EFFECTIVENESS, PROMPTS, SESSIONS
from transforms.metric_settings import MetricSettings
from transforms.teacher_prompt_effectiveness import teacher_prompt_effectiveness
from transforms.windows import PERIOD_LENGTHS, PeriodLength, PeriodWindow


def _may_affect(moment: Column, window: PeriodWindow, _settings: MetricSettings) -> Column:
    """Whether the moment is in one of the periods: no prompt counts outside the period of its time."""
    return window.contains(moment)


def rollup_by(length: PeriodLength) -> Rollup[PeriodWindow]:
    """The rollup of one period length. The table holds the rows of all lengths; each rollup replaces its own."""

    def window_covering(starts: Collection[datetime], _since: datetime, _run_start: datetime) -> PeriodWindow | None:
        return PeriodWindow.of(starts, length) if starts else None

    return Rollup(
        job_name=f"teacher_prompt_effectiveness.{length}",
        targets=(PROMPT_EFFECTIVENESS,),
        sources=(SESSIONS, PROMPTS),
        rows=teacher_prompt_effectiveness,
        window_column="calculation_period_start",
        among=f"calculation_period_end = calculation_period_start + INTERVAL 1 {length.upper()}",
        source_totals=source_totals,
        staged_totals=STAGED_TOTALS,
        window_covering=window_covering,
        may_affect=_may_affect,
        ordered=(
            AtMost("total_acknowledged", "total_generated"),
            AtMost("total_used", "total_generated"),
            AtMost("total_dismissed", "total_generated"),
            AtMost("data_points", "total_generated"),
            AtMost("confidence_interval_lower", "avg_effectiveness_score"),
            AtMost("avg_effectiveness_score", "confidence_interval_upper"),
            AtMost("confidence_interval_lower", "confidence_interval_upper"),
        ),
    )


JOB: Job[PeriodWindow] = Job(
    "teacher_prompt_effectiveness", lambda call: rollup_by(period_length(call)), period_window, PERIOD_LENGTHS
)

main = main_of(JOB)

if __name__ == "__main__":
    main()
