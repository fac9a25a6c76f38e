"""Reports runs to a lineage service: OpenLineage events of their start and end, sent to an address or into a file.

It is off unless a setting turns it on, and never fails a run: if an event cannot be sent, the log has one warning.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from expectations.contract import Contract, contract_of, own_contracts
from jobs.errors import JobError
from jobs.execution.publish import SupersededError
from jobs.logs import log
from jobs.rollup import span_of
from jobs.settings import Settings
from transforms.catalog import CATALOG, RUNS

if TYPE_CHECKING:
    from expectations.gate import Check
    from jobs.execution.pipeline import Progress

PRODUCER = "urn:classwaves:analytics"
TIMEOUT = 5.0
"""Seconds within which a receiver must answer: a run does not wait longer."""

Emit = Callable[[Any], None]


class _Tells(Protocol):
    """An execution of a run, as far as lineage observes it."""

    @property
    def progress(self) -> Progress[Any]:
        """What is known of the run so far."""


@contextmanager
def lineage_events(execution: _Tells, settings: Settings, *, may_retry: bool = False) -> Iterator[None]:
    """Reports the run that is carried out within: START, then COMPLETE, or FAIL with the error's sentence.

    An attempt that another run has superseded ends with ABORT if another attempt follows, as a run of its own.

    A dry run writes nothing, so nothing is reported.
    """
    progress = execution.progress
    if progress.dry_run or not (settings.openlineage_url or settings.openlineage_file):
        yield
        return
    messenger = _Messenger(settings)
    messenger.tell(progress, "START")
    try:
        yield
    except Exception as error:
        state = "ABORT" if may_retry and isinstance(error, SupersededError) else "FAIL"
        messenger.tell(execution.progress, state, str(error) if isinstance(error, JobError) else type(error).__name__)
        raise
    messenger.tell(execution.progress, "COMPLETE")


class _Messenger:
    """Sends events until one cannot be sent; then warns once and sends no more."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._emit: list[Emit] | None = None
        self._is_silent = False

    def tell(self, progress: Progress[Any], state: str, message: str | None = None) -> None:
        if self._is_silent:
            return
        try:
            if self._emit is None:
                self._emit = _receivers(self._settings)
            event = event_of(progress, state, message)
            for emit in self._emit:
                emit(event)
        except Exception as error:
            self._is_silent = True
            is_missing = isinstance(error, ModuleNotFoundError)
            reason = "install the extra lineage: openlineage-python" if is_missing else type(error).__name__
            log.warning("lineage could not be sent, the run continues", reason=reason)


def _receivers(settings: Settings) -> list[Emit]:
    from openlineage.client.serde import Serde

    receivers: list[Emit] = []
    if settings.openlineage_file:
        file = settings.openlineage_file

        def write(event: Any) -> None:
            # One write per line: runs that end at the same time do not interleave theirs.
            line = (Serde.to_json(event) + "\n").encode()
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)

        receivers.append(write)
    if settings.openlineage_url:
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        # Not retried: the default would delay the run by half a minute if the receiver is down.
        transport = HttpTransport(HttpConfig(url=settings.openlineage_url, timeout=TIMEOUT, retry={"total": 0}))
        receivers.append(transport.emit)
    return receivers


def event_of(progress: Progress[Any], state: str, message: str | None = None) -> Any:
    """The OpenLineage event of a run: who, when, what it reads at which version, what it writes from which columns."""
    from openlineage.client import event_v2 as ol
    from openlineage.client import facet_v2 as facets

    names = _Names(progress)
    run_facets: dict[str, Any] = {
        # The run's own name, as in `quality.runs` and the commits, because OpenLineage requires a UUID.
        "externalQuery": facets.external_query_run.ExternalQueryRunFacet(progress.run.run_id, RUNS),
        "processing_engine": facets.processing_engine_run.ProcessingEngineRunFacet(
            version=progress.lake.spark.version, name="spark"
        ),
    }
    if progress.outcome and progress.outcome.window:
        start, end = (moment.isoformat() for moment in span_of(progress.outcome.window))
        run_facets["nominalTime"] = facets.nominal_time_run.NominalTimeRunFacet(start, end)
    if message:
        run_facets["errorMessage"] = facets.error_message_run.ErrorMessageRunFacet(message, "PYTHON")
    return ol.RunEvent(
        eventTime=datetime.now(timezone.utc).isoformat(),
        producer=PRODUCER,
        run=ol.Run(runId=str(run_uuid(progress.run.run_id)), facets=run_facets),
        job=ol.Job(
            namespace=CATALOG,
            name=progress.run.job_name,
            facets={"jobType": facets.job_type_job.JobTypeJobFacet("BATCH", "SPARK", jobType="JOB")},
        ),
        eventType=ol.RunState(state),
        inputs=[_input(names, table, progress.source_versions) for table in progress.rollup.sources],
        outputs=[_output(names, table, progress) for table in progress.rollup.targets],
    )


def run_uuid(run_id: str) -> uuid.UUID:
    """The UUID that OpenLineage requires for a run: always the same for the same run."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{PRODUCER}:{run_id}")


class _Names:
    """Names the run's tables for lineage: those in a folder by path, those in a catalog by name."""

    def __init__(self, progress: Progress[Any]) -> None:
        self._storage = progress.lake.storage
        self._catalog = ""
        if self._storage.location("a.b") is None:
            self._catalog = progress.lake.spark.catalog.currentCatalog()

    def of(self, table: str) -> tuple[str, str]:
        """Namespace and name of a table."""
        location = self._storage.location(table)
        return ("file", location) if location else (CATALOG, f"{self._catalog}.{table}")


def _schema(contract: Contract) -> Any:
    from openlineage.client.facet_v2 import schema_dataset

    return schema_dataset.SchemaDatasetFacet(
        fields=[
            schema_dataset.SchemaDatasetFacetFields(name=c.name, type=c.type, description=c.description)
            for c in contract.columns
        ]
    )


def _input(names: _Names, table: str, versions: Mapping[str, int]) -> Any:
    from openlineage.client import event_v2 as ol
    from openlineage.client.facet_v2 import dataset_version_dataset

    found: dict[str, Any] = {"schema": _schema(contract_of(table))}
    if table in versions:
        found["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(versions[table]))
    namespace, name = names.of(table)
    return ol.InputDataset(namespace=namespace, name=name, facets=found)


def _output(names: _Names, table: str, progress: Progress[Any]) -> Any:
    from openlineage.client import event_v2 as ol
    from openlineage.client.facet_v2 import (
        column_lineage_dataset,
        data_quality_assertions_dataset,
        output_statistics_output_dataset,
    )

    contract = contract_of(table)
    lineage = column_lineage_dataset
    fields = {}
    for column in contract.columns:
        read = source_columns_of(table, column.name)
        inputs = [
            lineage.InputField(*names.of(source), field, [lineage.Transformation("DIRECT", "TRANSFORMATION")])
            for source, fields_of_source in read.items()
            for field in fields_of_source
        ]
        if inputs:
            fields[column.name] = lineage.Fields(inputs, transformationDescription=column.definition)
    facets: dict[str, Any] = {
        "schema": _schema(contract),
        "columnLineage": lineage.ColumnLineageDatasetFacet(fields=fields),
    }
    if progress.verdict.checks:
        own = [check for check in progress.verdict.checks if _is_about(check, contract)]
        facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions=[
                data_quality_assertions_dataset.Assertion(
                    check.name,
                    check.success,
                    column=check.subject if check.subject in contract.column_names else None,
                    severity="error" if check.severity == "critical" else "warn",
                    expected=check.expected or None,
                    actual=None if check.observed is None else f"{check.observed:g}",
                )
                for check in own
            ]
        )
    counted = {}
    if progress.outcome:
        rows = progress.outcome.changes[table].rows
        counted["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    namespace, name = names.of(table)
    return ol.OutputDataset(namespace=namespace, name=name, facets=facets, outputFacets=counted)


def _is_about(check: Check, contract: Contract) -> bool:
    """Whether a check applies to this one of a rollup's tables: they may differ in their columns."""
    columns = contract.column_names
    return check.subject in columns or check.kind != "expectation" or check.subject not in _columns_of_rollups()


@cache
def _columns_of_rollups() -> frozenset[str]:
    rollups = (contract for contract in own_contracts() if contract.kind == "rollup")
    return frozenset(name for contract in rollups for name in contract.column_names)


@cache
def source_columns_of(table: str, column: str) -> Mapping[str, tuple[str, ...]]:
    """The source columns that a column of a rollup is computed from, as its contract's definition names them.

    A definition that builds on other columns of the table (`total_used`) reads what these read. A source of which no
    column is named is only counted, so it is read by its `id`.
    """
    contract = contract_of(table)
    sources = contract.column(column).sources
    named = _named(contract, column, seen=frozenset())
    found = {}
    for source in sources:
        own = [name for name in contract_of(source).column_names if name in named]
        found[source] = tuple(own) if own else ("id",)
    return found


def _named(contract: Contract, column: str, seen: frozenset[str]) -> frozenset[str]:
    declared = contract.column(column)
    of_sources = {name for source in declared.sources for name in contract_of(source).column_names}
    named = set(re.findall(r"`([a-z_]+)`", declared.definition or ""))
    own = (named & set(contract.column_names)) - of_sources - seen - {column}
    further = (_named(contract, name, seen | {column}) for name in own)
    return frozenset(named & of_sources).union(*further)
