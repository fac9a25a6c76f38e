"""The sources at the versions to which a run is pinned, each checked against its contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame

from expectations.contract import contract_of
from jobs.errors import BrokenContractError
from jobs.lake import Lake
from jobs.provenance import Snapshot
from transforms.source_rules import columns_read

LARGE = 8_000_000
"""Bytes above which it pays to search for rows before reading them, and to stage a source in its own table.

The search is for duplicated keys and, in an incremental run, for the rows near its window.
"""


def pin(lake: Lake, sources: tuple[str, ...], run_start: datetime) -> Snapshot:
    """The current version of every existing source, to which the run that began at `run_start` is pinned.

    Raises `BrokenContractError` for a required source that is absent and for one that is not as its contract says.
    """
    present = [source for source in sources if lake.exists(source)]
    for source in sources:
        if source not in present and contract_of(source).required:
            raise BrokenContractError(f"The required table {source} is absent.")
    lake.register(present)
    versions = {source: lake.version(source) for source in present}
    for source in present:
        lake.check(contract_of(source), exactly=False)
    return Snapshot(versions, run_start, lake.commit_ids(versions))


def is_large(size: int) -> bool:
    """Whether sources of this many bytes exceed `LARGE`."""
    return size > LARGE


@dataclass(frozen=True)
class PinnedSources:
    """The sources that exist, each as of one version."""

    lake: Lake
    versions: Mapping[str, int]

    @classmethod
    def latest(cls, lake: Lake, sources: Collection[str]) -> PinnedSources:
        """Those of these sources that exist, as of their latest versions."""
        return cls(lake, {source: lake.version(source) for source in sources if lake.exists(source)})

    def among(self, sources: Collection[str]) -> PinnedSources:
        """Those of these sources that exist."""
        return PinnedSources(self.lake, {name: self.versions[name] for name in sources if name in self.versions})

    def rows(self, source: str) -> DataFrame:
        """The source's rows with all of its columns."""
        return self.lake.read(source, self.versions[source])

    def raw_rows(self, source: str) -> DataFrame:
        """The source's rows in the columns that a run reads; no rows for a source that does not exist."""
        contract = contract_of(source)
        raw = self.rows(source) if source in self.versions else self.lake.empty(contract.spark_schema)
        return raw.select(*columns_read(source, contract.public_columns))

    def sizes(self) -> dict[str, int]:
        """The approximate size of each source in bytes."""
        return {source: self.lake.bytes_of(source, version) for source, version in self.versions.items()}

    def are_large(self) -> bool:
        """Whether the sources together exceed `LARGE`."""
        return is_large(sum(self.sizes().values()))
