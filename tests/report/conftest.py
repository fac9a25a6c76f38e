"""Pages of made-up reports, each drawn once."""

from __future__ import annotations

import pytest

from jobs.report.page import page
from tests.report.made_up import MONTH, YEAR, report


@pytest.fixture(scope="session")
def page_of_a_month() -> str:
    return page(report(3, 2, MONTH))


@pytest.fixture(scope="session")
def page_of_a_year() -> str:
    return page(report(200, 15, YEAR))
