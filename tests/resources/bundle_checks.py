"""What is wrong with a bundle that `databricks bundle validate --strict` takes for right: one sentence for each.

The CLI asks whether fields are there and have the right type. It does not ask whether what they say can be run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Any
from zoneinfo import available_timezones

import typer
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from expectations.contract import contract_names
from jobs.backfill_chunk import read_chunk_call
from jobs.commands import cli
from jobs.errors import UsageError
from jobs.job_options import read_call
from jobs.registry import job_named
from tests.conftest import ROOT
from tests.resources.bundle import MAIN, Bundle, project
from tests.resources.sql_names import outputs, wrong_names

BROUGHT = frozenset(
    # What the documentation of environment version 5 names, and what these need themselves.
    [
        "cryptography",
        "numpy",
        "pandas",
        "protobuf",
        "pyarrow",
        "python-dateutil",
        "pytz",
        "requests",
        "six",
        "google-auth",
        "packaging",
        "pyasn1",
        "pyasn1-modules",
        "pygments",
        "urllib3",
    ]
)
"""Packages that the serverless environment brings: not pinned by us, lest what the platform built on them breaks."""

SERVERLESS = {"python_version": "3.12", "python_full_version": "3.12.3", "sys_platform": "linux"}

_NUMBERS = (
    "max_retries",
    "min_retry_interval_millis",
    "timeout_seconds",
    "max_concurrent_runs",
    "concurrency",
    "value",
)
_REFERENCE = re.compile(r"\{\{([\w.]+)\}\}")


def sentences(bundle: Bundle) -> list[str]:
    """All that is wrong with the bundle."""
    found = [*_includes(bundle), *_variables(bundle)]
    if not found:
        found = [*_jobs(bundle), *_environment(bundle), *_schemas(bundle), *_dashboards(bundle), *_alerts(bundle)]
    return list(dict.fromkeys(found))


def _includes(bundle: Bundle) -> Iterator[str]:
    included = bundle.main.get("include", [])
    for name in included:
        if name not in bundle.files:
            yield f"{MAIN} includes {name}, which is not there."
    for name in sorted(set(bundle.files) - {MAIN, *included}):
        yield f"{MAIN} does not include {name}."


def _variables(bundle: Bundle) -> Iterator[str]:
    declared = set(bundle.main["variables"])
    used = {name: {r[4:] for r in bundle.references(name) if r.startswith("var.")} for name in bundle.files}
    for name, variables in used.items():
        for variable in sorted(variables - declared):
            yield f"{name} uses the variable {variable}, which {MAIN} does not declare."
    for variable in sorted(declared - set().union(*used.values())):
        yield f"{MAIN} declares the variable {variable}, which nothing uses."
    for target in bundle.targets:
        for variable in sorted(set(bundle.main["targets"][target].get("variables", {})) - declared):
            yield f"The target {target} sets the variable {variable}, which {MAIN} does not declare."


def _jobs(bundle: Bundle) -> Iterator[str]:
    for target in bundle.targets:
        for name, job in bundle.resources("jobs", target).items():
            yield from _job(name, job)


def _job(name: str, job: dict[str, Any]) -> Iterator[str]:
    schedule = job.get("schedule")
    if schedule:
        yield from _clock(f"job {name}", schedule["quartz_cron_expression"], schedule["timezone_id"])
    yield from _numbers(f"The job {name}", job)
    if job.get("max_concurrent_runs") != 1 or not job.get("queue", {}).get("enabled"):
        yield f"The job {name} must have one run at a time, the others in a queue."
    parameters = {one["name"]: one["default"] for one in job.get("parameters", [])}
    environments = {one["environment_key"] for one in job.get("environments", [])}
    keys = [task["task_key"] for task in job["tasks"]]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"The job {name} has several tasks {key}."
    for task in job["tasks"]:
        for other in task.get("depends_on", []):
            if other["task_key"] not in keys:
                yield f"The task {task['task_key']} waits for {other['task_key']}, which the job {name} does not have."
        inner = task.get("for_each_task", {}).get("task")
        if inner:
            loop = task["for_each_task"]
            yield from _dangling(
                f"The loop {task['task_key']}", [loop["inputs"]], {f"job.parameters.{p}" for p in parameters}
            )
        yield from _task(inner or task, parameters, environments, is_in_loop=bool(inner))


def _task(
    task: dict[str, Any], parameters: dict[str, str], environments: set[str], *, is_in_loop: bool
) -> Iterator[str]:
    where = f"The task {task['task_key']}"
    if task.get("environment_key") not in environments:
        yield f"{where} runs in the environment {task.get('environment_key')}, which its job does not have."
    if task.get("max_retries") != 0 or task.get("disable_auto_optimization") is not True:
        yield f"{where} would be tried again after its gate was refused."
    wheel = task["python_wheel_task"]
    if wheel["package_name"] != project()["name"]:
        yield f"{where} is of the package {wheel['package_name']}: the wheel is {project()['name']}."
    entry = wheel["entry_point"]
    if entry not in project()["scripts"]:
        yield f"{where} calls {entry}, which is no entry point of the wheel."
        return
    known = {f"job.parameters.{name}" for name in parameters} | ({"input.start", "input.end"} if is_in_loop else set())
    named = wheel.get("named_parameters", {})
    dangling = list(_dangling(where, [*named.values(), *wheel.get("parameters", [])], known))
    if dangling:
        yield from dangling
        return
    for name, value in named.items():
        if name in parameters and value != f"{{{{job.parameters.{name}}}}}":
            yield f"{where} sets {name}, which the job's parameter of that name replaces."
    # What Databricks sends to a task with named parameters: its own, and all of the job's over them.
    sent = {**named, **parameters} if named else {}
    inputs = {"input.start": "2025-09-01", "input.end": "2025-09-08"}
    values = {**{f"job.parameters.{key}": value for key, value in parameters.items()}, **inputs}
    filled = {key: _REFERENCE.sub(lambda found: values[found[1]], value) for key, value in sent.items()}
    yield from _refused(where, entry, filled, wheel.get("parameters", []))


def _dangling(where: str, values: list[str], known: set[str]) -> Iterator[str]:
    for reference in sorted({found for value in values for found in _REFERENCE.findall(value)} - known):
        yield f"{where} refers to {reference}, which there is not."


def _refused(where: str, entry: str, named: dict[str, str], positional: list[str]) -> Iterator[str]:
    """What the entry point's own parser says of the parameters: first of each name, then of the whole call."""

    def said(arguments: list[str]) -> str | None:
        try:
            if entry == "classwaves":
                command = typer.main.get_command(cli.app).commands[arguments[0]]  # type: ignore[attr-defined]
                command.make_context(arguments[0], arguments[1:])
            elif entry == "backfill_chunk":
                read_chunk_call(arguments)
            else:
                read_call(job_named(entry), arguments)
        except UsageError as error:
            return str(error)
        except KeyError as error:
            return f"There is no command {error.args[0]}."
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            if hasattr(error, "option_name"):
                return f"Unrecognized arguments: {error.option_name}="
            return str(error.format_message())
        return None

    refusal = said([*positional, *(f"--{name}={value}" for name, value in named.items())])
    if refusal is None:
        return
    unknown = re.findall(r"--(\w+)=", refusal) if refusal.startswith("Unrecognized arguments") else []
    for name in unknown:
        yield f"{where} gets the parameter {name}, which {entry} does not know."
    if not unknown:
        yield f"{where} is refused by {entry}: {refusal}"


def _numbers(where: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key in _NUMBERS and isinstance(one, int) and one < 0:
                yield f"{where} has a negative {key}."
            yield from _numbers(where, one)
    elif isinstance(value, list):
        for one in value:
            yield from _numbers(where, one)


_NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of the week": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 1, 7),
    ("year", 1970, 2199),
)


def _clock(what: str, cron: str, zone: str) -> Iterator[str]:
    """What Quartz would refuse of an expression: fields, ranges, and a day given twice or not at all."""
    if zone not in available_timezones():
        yield f"The {what} runs in the time zone {zone}, which there is not."
    given = cron.split()
    if len(given) not in (6, 7):
        yield f"The {what} has {len(given)} fields in its cron expression, instead of 6 or 7."
        return
    if [given[3], given[5]].count("?") != 1:
        yield f"The {what} must have a ? for one of its two kinds of days."
    for (field, low, high), text in zip(_FIELDS, given, strict=False):
        for part in text.split(","):
            if not _fits(part, low, high, _NAMES.get(field, []), is_day=field.startswith("day")):
                yield f"The {what} has no {field} {part}."


def _fits(part: str, low: int, high: int, names: list[str], *, is_day: bool) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if span == "*" or (is_day and span in ("?", "L")):
        return True
    ends = [str(names.index(end) + low) if end in names else end for end in span.split("-")]
    return len(ends) <= 2 and all(end.isdecimal() and low <= int(end) <= high for end in ends)


@cache
def _locked() -> dict[str, str]:
    """The versions that requirements.lock has for the Python of serverless compute."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        pin = re.match(r"([\w.-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+))?", line)
        if pin and (pin[3] is None or Marker(pin[3].strip()).evaluate(SERVERLESS)):
            found[canonicalize_name(pin[1])] = pin[2]
    return found


@cache
def expected_pins() -> dict[str, str]:
    """What the wheel needs, and what that needs, as the lock has it; without what the environment brings."""
    waiting, found = [Requirement(text) for text in project()["dependencies"]], dict[str, str]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in BROUGHT or name in found:
            continue
        found[name] = _locked()[name]
        for text in metadata.requires(name) or []:
            further = Requirement(text)
            extras = {"", *requirement.extras}
            if further.marker is None or any(further.marker.evaluate({**SERVERLESS, "extra": e}) for e in extras):
                waiting.append(further)
    return found


def _environment(bundle: Bundle) -> Iterator[str]:
    dependencies = bundle.variable("environment", "prod")["dependencies"]
    if "../dist/*.whl" not in dependencies:
        yield "The environment does not have the wheel."
    pins = dict(one.split("==", 1) for one in dependencies if "==" in one)
    for name, version in sorted(expected_pins().items()):
        if name not in pins:
            yield f"The environment lacks {name}=={version}, which the wheel needs."
        elif pins[name] != version:
            yield f"The environment has {name}=={pins[name]}, requirements.lock {version}."
    for name in sorted(set(pins) - set(expected_pins())):
        yield f"The environment has {name}, which the wheel does not need or the platform brings."


def _schemas(bundle: Bundle) -> Iterator[str]:
    known = {table.split(".")[0] for table in contract_names()}
    for target in bundle.targets:
        is_production = bundle.main["targets"][target]["mode"] == "production"
        for name, schema in bundle.resources("schemas", target).items():
            if schema.get("name") not in known:
                yield f"The schema {schema.get('name', name)} is in no contract."
            if is_production and not schema.get("lifecycle", {}).get("prevent_destroy"):
                yield f"The schema {name} could be destroyed by a deployment to production."


def _dashboards(bundle: Bundle) -> Iterator[str]:
    for name, dashboard in bundle.resources("dashboards").items():
        if not (bundle.folder / dashboard["file_path"]).is_file():
            yield f"The dashboard {name} is in {dashboard['file_path']}, which is not there."
            continue
        drawn = bundle.dashboard(dashboard["file_path"])
        queries = {one["name"]: "".join(one["queryLines"]) for one in drawn["datasets"]}
        for dataset, query in queries.items():
            for wrong in wrong_names(query):
                yield f"The dataset {dataset} reads {wrong}, which no contract of its tables has."
        for widget in (placed["widget"] for page in drawn["pages"] for placed in page["layout"]):
            yield from _widget(widget, queries)


def _widget(widget: dict[str, Any], queries: dict[str, str]) -> Iterator[str]:
    fields: set[str] = set()
    for one in widget["queries"]:
        dataset = one["query"]["datasetName"]
        if dataset not in queries:
            yield f"The widget {widget['name']} shows the dataset {dataset}, which the dashboard does not have."
            return
        fields |= {field["name"] for field in one["query"]["fields"]}
        for missing in sorted(fields - outputs(queries[dataset])):
            yield f"The widget {widget['name']} shows {missing}, which the dataset {dataset} does not give."
    drawn = set(re.findall(r"'fieldName': '(\w+)'", str(widget["spec"])))
    for missing in sorted(drawn - fields):
        yield f"The widget {widget['name']} draws {missing}, which it does not ask for."


def _alerts(bundle: Bundle) -> Iterator[str]:
    for name, alert in bundle.resources("alerts").items():
        query = alert["query_text"]
        for wrong in wrong_names(query):
            yield f"The alert {name} reads {wrong}, which no contract of its tables has."
        column = alert["evaluation"]["source"]["name"]
        if column not in outputs(query):
            yield f"The alert {name} looks at {column}, which its query does not give."
        schedule = alert["schedule"]
        yield from _clock(f"alert {name}", schedule["quartz_cron_schedule"], schedule["timezone_id"])
