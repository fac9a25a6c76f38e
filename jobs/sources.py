"""The sources of a run: each pinned to one version, held to its contract, and judged row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame

from expectations.contract import Contract, contract_of
from jobs.errors import BrokenContractError
from jobs.lake import Lake
from jobs.rollup import REQUIRED_SOURCES
from transforms.usable_rows import RULES, SESSIONS, Dimension, Measure, classified, columns_read, findings, usable


@dataclass(frozen=True)
class Sources:
    """What a run reads: per source its usable rows, and all that was found wrong. `versions` has no absent source."""

    versions: Mapping[str, int]
    usable: Mapping[str, DataFrame]
    findings: DataFrame


def pin(lake: Lake, sources: tuple[str, ...]) -> dict[str, int]:
    """The version of every source that is there, fixed from here on.

    Raises `BrokenContractError` for a required source that is absent and for one that is not as its contract says.
    """
    present = [source for source in sources if lake.exists(source)]
    for source in sources:
        if source not in present and source in REQUIRED_SOURCES:
            raise BrokenContractError(f"The required table {source} is absent.")
    lake.attach(present)
    versions = {source: lake.version(source) for source in present}
    for source in present:
        lake.check(contract_of(source), exactly=False)
    return versions


def _measures(contract: Contract) -> tuple[Measure, ...]:
    return tuple(Measure(c.name, c.minimum, c.maximum) for c in contract.measures)


def _dimensions(contract: Contract) -> tuple[Dimension, ...]:
    return tuple(Dimension(c.name, c.domain) for c in contract.columns if c.domain)


def read(lake: Lake, sources: tuple[str, ...], versions: Mapping[str, int]) -> Sources:
    """The sources at their pinned versions, as plans: nothing is computed yet."""
    clean: dict[str, DataFrame] = {}
    found: list[DataFrame] = []
    for source in (SESSIONS, *[name for name in sources if name != SESSIONS]):
        contract = contract_of(source)
        raw = lake.read(source, versions[source]) if source in versions else lake.empty(contract.schema)
        rows = raw.select(*columns_read(source, contract.public_columns))
        sessions = clean[SESSIONS] if RULES[source].in_session else None
        judged = classified(source, rows, sessions)
        clean[source] = usable(judged, _measures(contract), _dimensions(contract))
        if source in versions:
            found.append(
                findings(source, judged, contract.public_columns, _measures(contract), _dimensions(contract))
            )
    return Sources(versions, clean, reduce(lambda a, b: a.unionByName(b), found))
