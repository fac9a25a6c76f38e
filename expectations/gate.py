"""The gate: staged rows pass all of their suites, or no rollup is changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
    from great_expectations.core.batch import Batch
    from pyspark.sql import DataFrame

ROW_KEY = "key_of_the_row"
"""The column that identifies a failed row: in UTC, whatever the driver's zone, and without the failing value."""

_NOT_SHOWN = "(not shown: it may quote rows)"

Severity = Literal["critical", "warning", "info"]
CheckKind = Literal["expectation", "reconciliation", "drift", "emptiness", "source_measure", "quarantine"]


@dataclass(frozen=True)
class Check:
    """One check of a run's rows and its result. `detail` holds keys, never content."""

    kind: CheckKind
    name: str
    subject: str
    severity: Severity
    success: bool
    observed: float | None = None
    expected: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run's rows: all `checks`, and Great Expectations' `results`, from which pages are rendered.

    `errors`: what the expectations that raised said, which may quote rows.
    """

    checks: tuple[Check, ...]
    results: tuple[ExpectationSuiteValidationResult, ...] = ()
    errors: tuple[str, ...] = field(default=(), repr=False)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The critical checks that failed."""
        return tuple(check for check in self.checks if not check.success and check.severity == "critical")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks of severity `warning` that failed."""
        return tuple(check for check in self.checks if not check.success and check.severity == "warning")

    @property
    def refused(self) -> bool:
        """Whether the rows must not be written: a critical check failed, or nothing was checked at all."""
        return not self.checks or bool(self.failures)


def relative_differences(staged: Mapping[str, float], source: Mapping[str, float]) -> dict[str, float | None]:
    """Per total, (staged - source) over the greatest of both absolute values and 1; None if one is missing."""
    return {
        name: (staged[name] - source[name]) / max(1.0, abs(staged[name]), abs(source[name]))
        if staged.get(name) is not None and source.get(name) is not None
        else None
        for name in {**source, **staged}
    }


def preload() -> None:
    """Imports Great Expectations, which takes seconds: a run does this while Spark reads and Python is idle."""
    import_module("great_expectations.expectations")


def _context() -> Any:
    import great_expectations as gx

    # It logs what an expectation raised, which may quote rows.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def _subject(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs.get("column", "rows"))


def _expected(kwargs: Mapping[str, Any]) -> str:
    limits = ("min_value", "max_value", "strict_max", "value_set")
    return ", ".join(f"{name}={kwargs[name]}" for name in limits if kwargs.get(name) is not None)


def _declared_severity(configuration: Any) -> Severity:
    severity: Severity = getattr(configuration.severity, "value", "critical")
    return severity


def _kind(configuration: Any, kind: CheckKind) -> CheckKind:
    """The kind of a check in a suite of this kind; the two checks of the row count differ in severity."""
    if configuration.type == "expect_table_row_count_to_be_between":
        return "drift" if _declared_severity(configuration) == "warning" else "emptiness"
    return kind


def _told(found: Mapping[str, Any]) -> str:
    """The keys of the first rows that failed. The single row of totals has no key, only a number."""
    rows = found.get("partial_unexpected_index_list") or []
    return "; ".join(row[ROW_KEY] for row in rows[:5] if isinstance(row, dict))


def _has_raised(result: Any) -> bool:
    # If a metric of several raised, there is one entry per metric instead.
    return bool((result.exception_info or {}).get("raised_exception", True))


def _errors_taken_out(result: ExpectationSuiteValidationResult) -> tuple[str, ...]:
    """Returns what the expectations that raised said, and removes it from the result: pages would show it."""
    errors = []
    for raised in filter(_has_raised, result.results):
        info = raised.exception_info or {}
        entries = info.values() if "raised_exception" not in info else (info,)
        errors += [str(entry["exception_message"] if isinstance(entry, Mapping) else entry) for entry in entries]
        raised.exception_info = {"raised_exception": True, "exception_message": _NOT_SHOWN, "exception_traceback": ""}
    return tuple(dict.fromkeys(errors))


def _checked(result: Any, kind: CheckKind) -> Check:
    configuration = result.expectation_config
    kwargs = configuration.kwargs
    raised = _has_raised(result)
    # An expectation that raised gives no answer: the rows are refused, whatever its declared severity.
    severity: Severity = "critical" if raised else _declared_severity(configuration)
    found = result.result or {}
    observed = found.get("unexpected_count", found.get("observed_value"))
    return Check(
        kind=_kind(configuration, kind),
        name=configuration.type,
        subject=_subject(kwargs),
        severity=severity,
        success=bool(result.success),
        observed=float(observed) if isinstance(observed, int | float) else None,
        expected=_expected(kwargs),
        detail="the expectation raised" if raised else _told(found),
    )


def _identity(configuration: Any) -> str:
    kwargs = {name: str(value) for name, value in configuration.kwargs.items() if name != "batch_id"}
    return f"{configuration.type} {sorted(kwargs.items())}"


def _keyed(rows: DataFrame, key: Sequence[str]) -> DataFrame:
    from pyspark.sql import functions as F

    # Formatted by Spark: a timestamp that is collected as such comes back in the driver's zone.
    values = [F.coalesce(F.col(name).cast("string"), F.lit("null")) for name in key]
    return rows.withColumn(ROW_KEY, F.concat_ws(" | ", *values))


class _Validated(NamedTuple):
    result: ExpectationSuiteValidationResult
    errors: tuple[str, ...]


def _validated(batch: Batch, suite: ExpectationSuite, key: Sequence[str]) -> _Validated:
    """The suite's results: pass or fail for all, with counts and keys for what failed; what raised is apart.

    Details cost two to four times the Spark jobs, so they are computed for failures only.
    """
    from great_expectations.core import ExpectationSuite

    result = batch.validate(suite, result_format="BOOLEAN_ONLY")
    errors = _errors_taken_out(result)
    failed = {_identity(r.expectation_config) for r in result.results if not r.success and not _has_raised(r)}
    if failed:
        again = [e for e in suite.expectations if _identity(e.configuration) in failed]
        details = batch.validate(
            ExpectationSuite(name=f"{suite.name} in detail", expectations=again),
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": 5,
                "unexpected_index_column_names": list(key),
            },
        )
        errors += _errors_taken_out(details)
        detailed = {_identity(r.expectation_config): r for r in details.results}
        result.results = [detailed.get(_identity(r.expectation_config), r) for r in result.results]
    return _Validated(result, errors)


def _answers(result: ExpectationSuiteValidationResult, suite: ExpectationSuite, kind: CheckKind) -> tuple[Check, ...]:
    answered = {_identity(r.expectation_config) for r in result.results}
    missing = tuple(
        Check(_kind(asked, kind), asked.type, _subject(asked.kwargs), "critical", False, detail="no result")
        for asked in (expectation.configuration for expectation in suite.expectations)
        if _identity(asked) not in answered
    )
    return (*(_checked(r, kind) for r in result.results), *missing)


def judge(
    rows: DataFrame,
    suite: ExpectationSuite,
    key: Sequence[str],
    differences: Mapping[str, float | None],
    reconciliation: ExpectationSuite,
) -> Verdict:
    """Great Expectations' verdict on staged rows and on the differences of their totals from the sources'.

    `key` names the columns that identify failed rows.
    """
    import pandas as pd

    context = _context()
    staged = context.data_sources.add_spark("staged", persist=False).add_dataframe_asset("rows")
    batch = staged.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": _keyed(rows, key)})
    totals = context.data_sources.add_pandas("totals").add_dataframe_asset("differences")
    frame = pd.DataFrame([dict(differences)], dtype=float)
    one_row = totals.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    of_rows = _validated(batch, suite, [ROW_KEY])
    of_totals = _validated(one_row, reconciliation, [])
    checks = (
        *_answers(of_rows.result, suite, "expectation"),
        *_answers(of_totals.result, reconciliation, "reconciliation"),
    )
    return Verdict(checks, (of_rows.result, of_totals.result), of_rows.errors + of_totals.errors)


def write_data_docs(verdict: Verdict, folder: Path) -> Path:
    """Writes one static page per suite into the folder and returns the first of them."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for result in verdict.results:
        page = folder / f"{result.suite_name}.html"
        rendered = ValidationResultsPageRenderer().render(result)
        page.write_text(DefaultJinjaPageView().render(rendered), encoding="utf-8")
        pages.append(page)
    return pages[0]
