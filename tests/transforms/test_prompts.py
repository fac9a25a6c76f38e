"""What two rollups ask of a prompt."""

from __future__ import annotations

from tests.conftest import Table
from tests.transforms.assertions import assert_values
from transforms.prompts import response_time


def test_the_response_time_is_recorded_else_that_of_the_first_reaction(table: Table) -> None:
    cases = table("""
        response_time_seconds int | generated_at timestamp | acknowledged_at timestamp | used_at timestamp     | dismissed_at timestamp | expected double
        7    | 2025-09-01 09:00:00 | 2025-09-01 09:00:30 | null                | null                | 7.0
        0    | 2025-09-01 09:00:00 | 2025-09-01 09:00:30 | null                | null                | 0.0
        null | 2025-09-01 09:00:00 | 2025-09-01 09:00:30 | 2025-09-01 09:00:20 | 2025-09-01 09:00:40 | 20.0
        null | 2025-09-01 09:00:00 | null                | null                | 2025-09-01 09:01:00.5 | 60.5
        null | 2025-09-01 09:00:00 | 2025-09-01 08:59:59 | 2025-09-01 09:00:20 | null                | null
        null | 2025-09-01 09:00:00 | 2025-09-01 09:00:00 | null                | null                | 0.0
        null | 2025-09-01 09:00:00 | null                | null                | null                | null
    """)  # noqa: E501
    assert_values(cases, response_time())
