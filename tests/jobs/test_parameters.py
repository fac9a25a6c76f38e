"""Job parameters of a platform arrive as `--name=value`, empty where nobody set them."""

from __future__ import annotations

from typing import Any

import pytest

from jobs import dashboard_metrics_hourly, teacher_prompt_effectiveness
from jobs.backfill_chunk import main, read_chunk_call
from jobs.errors import UsageError
from jobs.job import Call, Job
from jobs.job_options import read_call

HOURLY, PROMPTS = dashboard_metrics_hourly.JOB, teacher_prompt_effectiveness.JOB
CHUNKS = '--chunks=[{"start": "2025-09-01", "end": "2025-09-08"}, {"start": "2025-09-08", "end": "2025-09-15"}]'
SECOND = ["--start=2025-09-08", "--end=2025-09-15"]


@pytest.mark.parametrize(
    ("job", "arguments", "call"),
    [
        (HOURLY, ["--catalog=", "--start=", "--end="], Call()),
        (HOURLY, ["--allow_empty=false", "--dry_run="], Call()),
        (
            HOURLY,
            ["--allow_empty=true", "--dry_run=True"],
            Call(allow_empty=True, dry_run=True),
        ),
        (HOURLY, ["--allow-empty", "--catalog=c"], Call(catalog="c", allow_empty=True)),
        (HOURLY, ["--catalog=a", "--catalog=a", "--end=2025-01-01"], Call(catalog="a", end="2025-01-01")),
        (PROMPTS, ["--period="], Call(period="week")),
        (PROMPTS, ["--period=day", "--start="], Call(period="day")),
    ],
)
def test_an_empty_parameter_is_not_given(job: Job[Any], arguments: list[str], call: Call) -> None:
    assert read_call(job, arguments) == call


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--allow_empty=yes"], "Argument --allow-empty/--allow_empty: true or false is expected: 'yes'."),
        (["--period="], "Unrecognized arguments: --period=. See dashboard_metrics_hourly --help."),
        (["--colour="], "Unrecognized arguments: --colour=. See dashboard_metrics_hourly --help."),
    ],
)
def test_what_a_job_does_not_know_is_refused(arguments: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_call(HOURLY, arguments)
    assert str(refused.value) == sentence


def test_a_chunk_is_a_call_of_the_rollup_that_is_named() -> None:
    common = ["--catalog=c", "--period=", "--allow_empty=false", "--dry_run=false", CHUNKS]
    assert read_chunk_call(["--rollup=dashboard_metrics_hourly", *common, *SECOND]) == (
        HOURLY,
        Call(catalog="c", start="2025-09-08", end="2025-09-15"),
    )
    assert read_chunk_call(["--rollup=teacher_prompt_effectiveness", *SECOND, "--period=month"])[1].period == "month"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rollup"], "Argument --rollup: expected one argument."),
        (SECOND, "--rollup must be one of dashboard_metrics_hourly, teacher_analytics_summary,"),
        (["--rollup=dashboard_metrics_hourly", "--period=day", *SECOND], "Unrecognized arguments: --period=day."),
        (["--rollup=dashboard_metrics_hourly", "--start=2025-09-08"], "A chunk needs --start and --end."),
        (["--rollup=dashboard_metrics_hourly", "--chunks=[1]", *SECOND], "--chunks must be JSON such as"),
        (["--rollup=dashboard_metrics_hourly", CHUNKS, *SECOND[:1], "--end=2025-10-01"], "The chunk 2025-09-08 to"),
    ],
)
def test_a_wrong_chunk_ends_with_2(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(sentence)
