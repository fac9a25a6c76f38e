"""The lake that a call names, opened in a Spark session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import UsageError
from jobs.job import DEFAULT_CATALOG

if TYPE_CHECKING:
    from jobs.lake import Lake

ONE_PLACE = "Give --lakehouse or --catalog, not both."


def open_lake(lakehouse: Path | None, catalog: str | None, application: str, *, only_reads: bool = False) -> Lake:
    """The lake that a call names, in a Spark session; raises `UsageError` if it does not exist or two are named."""
    from jobs.lake import Lake
    from jobs.spark_session import check_delta, open_session
    from jobs.storage import Catalog, LocalFolder

    if lakehouse is not None and catalog is not None:
        raise UsageError(ONE_PLACE)
    folder = LocalFolder(lakehouse, only_reads=only_reads) if lakehouse is not None else None
    spark = open_session(application)
    check_delta(spark)
    return Lake(spark, folder or Catalog(spark, catalog or DEFAULT_CATALOG))
