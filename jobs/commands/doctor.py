"""Finds what would make a run fail: the machine, the settings, the contracts, the lakehouse and its clock."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from expectations.contract import contract_names, contract_of, own_contracts, source_contracts
from jobs import spark_session
from jobs.errors import BrokenContractError, JobError, UsageError
from jobs.settings import PREFIX, Settings, environment_variable, load_settings

if TYPE_CHECKING:
    from jobs.lake import Lake

PYTHONS = ((3, 10), (3, 13))
"""The first Python version that we run on, and the first that we do not."""
TRIED_JAVA = 17
GB = 10**9
LITTLE_DISK, TOO_LITTLE_DISK = 5 * GB, 1 * GB
CLOCK_TOLERANCE = timedelta(minutes=5)
REMEDY_UNKNOWN = "Correct that, then run this command again."

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Diagnosis:
    """What one check found and, if it is a problem, how to fix it (`remedy`).

    `is_configuration`: what fails is the call or the configuration, not the machine or the data.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""
    is_configuration: bool = False


def exit_error(diagnoses: Sequence[Diagnosis]) -> JobError | None:
    """The error that ends the command if a check failed, else None; a `UsageError` if it is the configuration."""
    failed = [diagnosis for diagnosis in diagnoses if diagnosis.status == "fail"]
    if not failed:
        return None
    names = ", ".join(dict.fromkeys(diagnosis.check for diagnosis in failed))
    kind = UsageError if any(diagnosis.is_configuration for diagnosis in failed) else JobError
    return kind(f"A run would fail: see {names} above.")


def examined(lakehouse: Path | None = None, catalog: str | None = None) -> Iterator[Diagnosis]:
    """Yields all diagnoses, check by check. Spark starts only if a lakehouse or a catalog is given."""
    diagnoses = []
    for check in (python, java, jar, memory, lambda: disk(lakehouse), settings, contracts):
        diagnosis = check()
        diagnoses.append(diagnosis)
        yield diagnosis
    if lakehouse is None and catalog is None:
        return
    if any(diagnosis.status == "fail" for diagnosis in diagnoses if diagnosis.check in ("python", "java", "contracts")):
        yield Diagnosis("lakehouse", "warn", "not examined", "Fix what failed above, then run this command again.")
        return
    yield from of_the_lake(lakehouse, catalog)


def python() -> Diagnosis:
    """Whether this Python version is one that we run on."""
    found = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        return Diagnosis("python", "ok", found)
    return Diagnosis("python", "fail", found, "Install Python 3.10 to 3.12 and create .venv with it.", True)


def java() -> Diagnosis:
    """Whether the Java that Spark would start is one that it runs on."""
    if spark_session.is_started_by_spark():
        return Diagnosis("java", "ok", "the platform's own")
    try:
        spark_session.check_spark_home()
    except UsageError as error:
        return Diagnosis("java", "fail", str(error), "Unset SPARK_HOME, then run this command again.", True)
    version, needed = spark_session.java_major_version(), f"Java {spark_session.MINIMUM_JAVA}"
    if version is None:
        return Diagnosis("java", "fail", "no Java", f"Install {needed}, or set JAVA_HOME to it.", True)
    if version < spark_session.MINIMUM_JAVA:
        remedy = f"Spark needs {needed}: install it, or set JAVA_HOME to it."
        return Diagnosis("java", "fail", f"Java {version}", remedy, True)
    if version != TRIED_JAVA:
        return Diagnosis("java", "warn", f"Java {version}", f"We test with Java {TRIED_JAVA}: prefer it.")
    return Diagnosis("java", "ok", f"Java {version}")


def _property(name: str) -> str | None:
    text = spark_session.properties_file().read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}\s+(\S+)", text, re.MULTILINE)
    return found[1] if found else None


def jar() -> Diagnosis:
    """Whether the Delta jar that conf/spark.properties names is cached: Spark fetches it at its first start."""
    if spark_session.is_started_by_spark():
        return Diagnosis("jar", "ok", "the platform's own")
    package = _property("spark.jars.packages") or ""
    name = "_".join(package.split(":")[:2]) + f"-{package.split(':')[-1]}.jar"
    given = _property("spark.jars.ivy")
    folders = [Path(given)] if given else sorted(Path.home().glob(".ivy2*"))
    if any((folder / "jars" / name).is_file() for folder in folders):
        return Diagnosis("jar", "ok", f"{name} is cached")
    return Diagnosis("jar", "warn", f"{name} is not cached", "Run `classwaves prepare` once with a network.")


def _bytes(text: str) -> int:
    number, unit = int(text.lower().rstrip("bkmgt")), text.lower().removesuffix("b")[-1:]
    return number << {"k": 10, "m": 20, "g": 30, "t": 40}.get(unit, 0)


def memory_of_machine() -> tuple[int, int]:
    """Bytes of memory that processes may use here, and bytes that are free; a container's limit applies."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = os.sysconf("SC_PHYS_PAGES") * page
    free = os.sysconf("SC_AVPHYS_PAGES") * page if "SC_AVPHYS_PAGES" in os.sysconf_names else total
    about = Path("/proc/meminfo")
    if about.is_file() and (match := re.search(r"MemAvailable:\s+(\d+) kB", about.read_text(encoding="ascii"))):
        free = int(match[1]) * 1024  # includes caches that can be freed, which the system call does not count
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdecimal():
        total = min(total, int(text))
    return total, min(free, total)


def memory() -> Diagnosis:
    """Whether Spark's driver has the memory that conf/spark.properties gives it."""
    if spark_session.is_started_by_spark():
        return Diagnosis("memory", "ok", "the platform's own")
    asked = _property("spark.driver.memory") or "1g"
    try:
        needed = _bytes(asked)
    except ValueError:
        remedy = "Give a whole number with a unit, such as 4g, in conf/spark.properties."
        return Diagnosis("memory", "fail", f"spark.driver.memory is {asked}", remedy, True)
    total, free = memory_of_machine()
    found = f"{free / GB:.1f} of {total / GB:.1f} GB are free, Spark takes up to {needed / GB:.1f}"
    remedy = "Give the machine more memory, or lower spark.driver.memory in conf/spark.properties."
    if total < needed:
        return Diagnosis("memory", "fail", found, remedy, True)
    return (
        Diagnosis("memory", "warn", found, "Stop other programs on this machine.")
        if free < needed
        else Diagnosis("memory", "ok", found)
    )


def disk(lakehouse: Path | None = None) -> Diagnosis:
    """Whether there is room for the lakehouse and for Spark's temporary files."""
    folders = [Path(os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0]).absolute()]
    if lakehouse is not None and lakehouse.is_dir():
        folders.append(lakehouse)
    # Spark makes its folder if it is absent.
    existing = [next(part for part in (folder, *folder.parents) if part.is_dir()) for folder in folders]
    free, folder = min((shutil.disk_usage(folder).free, folder) for folder in existing)
    found = f"{free / GB:.1f} GB are free in {folder}"
    if free < TOO_LITTLE_DISK:
        return Diagnosis("disk", "fail", found, "Make room: `classwaves maintain` deletes files that nobody needs.")
    if free < LITTLE_DISK:
        return Diagnosis("disk", "warn", found, "Make room before a long backfill.")
    return Diagnosis("disk", "ok", found)


def settings() -> Diagnosis:
    """Whether every setting can be read; an unknown name is most likely mistyped."""
    try:
        loaded = load_settings()
    except UsageError as error:
        return Diagnosis(
            "settings", "fail", str(error), "Correct the environment variable, see docs/commands.md.", True
        )
    known = set(map(environment_variable, Settings.model_fields))
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known)
    if unknown:
        return Diagnosis(
            "settings", "warn", f"{', '.join(unknown)} is not a setting", "See docs/commands.md for their names."
        )
    if (loaded.openlineage_url or loaded.openlineage_file) and find_spec("openlineage") is None:
        return Diagnosis("settings", "warn", "openlineage-python is not installed", "Install the extra `lineage`.")
    changed = [name for name in Settings.model_fields if getattr(loaded, name) != Settings.model_fields[name].default]
    return Diagnosis("settings", "ok", f"changed: {', '.join(changed)}" if changed else "all at their defaults")


def contracts() -> Diagnosis:
    """Whether every contract file can be read."""
    names = contract_names()
    for name in names:
        try:
            contract_of(name)
        except ValueError as error:
            message = " ".join(str(error).split())
            return Diagnosis(
                "contracts", "fail", message, f"Fix expectations/contracts/{name.replace('.', '/')}.yaml.", True
            )
    return Diagnosis("contracts", "ok", f"{len(names)} contracts can be read")


def of_the_lake(lakehouse: Path | None, catalog: str | None) -> Iterator[Diagnosis]:
    """Yields what a run would find: the place, its sources, our own tables in it, and when they were last written."""
    from jobs.open_lake import open_lake

    place = str(lakehouse) if lakehouse is not None else f"catalog {catalog}"
    name = "lakehouse" if lakehouse is not None else "catalog"
    try:
        lake = open_lake(lakehouse, catalog, "classwaves doctor")
    except UsageError as error:
        yield Diagnosis(name, "fail", str(error), "Correct what it names, then run this command again.", True)
        return
    yield Diagnosis(name, "ok", f"{place} can be reached")
    yield from _sources(lake)
    yield from _own_tables(lake)
    yield clock(lake)


def _sources(lake: Lake) -> Iterator[Diagnosis]:
    from jobs.registry import JOBS, job_named

    jobs_of: dict[str, list[str]] = {}
    for job in map(job_named, JOBS):
        for source in job.default_rollup.sources:
            jobs_of.setdefault(source, []).append(job.name)
    there, unseen = _looked_for(lake, "sources", sorted(jobs_of))
    unlike = _unlike_contracts(lake, "sources", there, exactly=False)
    yield from (*unseen.values(), *unlike)
    for source, readers in sorted(jobs_of.items()):
        if source in there or source in unseen:
            continue
        if contract_of(source).required:
            remedy = f"Without it {' and '.join(readers)} cannot run: restore or rename it."
            yield Diagnosis("sources", "fail", f"The required table {source} is absent.", remedy)
        else:
            yield Diagnosis("sources", "warn", f"{source} is absent", "It counts as empty: is that intended?")
    yield Diagnosis("sources", "ok", f"{len(there) - len(unlike)} tables match their contracts")


def _own_tables(lake: Lake) -> Iterator[Diagnosis]:
    there, unseen = _looked_for(lake, "targets", [contract.table for contract in own_contracts()])
    unlike = _unlike_contracts(lake, "targets", there, exactly=True)
    yield from (*unseen.values(), *unlike)
    yield Diagnosis("targets", "ok", f"{len(there) - len(unlike)} tables match their contracts")


def _looked_for(lake: Lake, check: str, tables: Sequence[str]) -> tuple[list[str], dict[str, Diagnosis]]:
    """The tables that exist, and by table what is wrong where that cannot be seen."""
    there, unseen = [], {}
    for table in tables:
        try:
            if lake.exists(table):
                there.append(table)
        except JobError as error:
            unseen[table] = Diagnosis(check, "fail", str(error), REMEDY_UNKNOWN)
    return there, unseen


def _unlike_contracts(lake: Lake, check: str, tables: Sequence[str], *, exactly: bool) -> list[Diagnosis]:
    found = (_as_its_contract_says(lake, check, table, exactly=exactly) for table in tables)
    return [diagnosis for diagnosis in found if diagnosis is not None]


def _as_its_contract_says(lake: Lake, check: str, table: str, *, exactly: bool) -> Diagnosis | None:
    try:
        lake.register([table])
        lake.check(contract_of(table), exactly=exactly)
    except JobError as error:
        remedy = "Change the source or its contract."
        if not isinstance(error, BrokenContractError):
            remedy = REMEDY_UNKNOWN
        elif exactly:
            remedy = f"`classwaves add-columns {table}` adds absent columns; those not in the contract are not ours."
        return Diagnosis(check, "fail", str(error), remedy)
    return None


def clock(lake: Lake, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> Diagnosis:
    """Whether a table was written later than now: then a clock is wrong, this machine's or the writer's."""
    contracts = [*own_contracts(), *(source for source in source_contracts() if source.required)]
    tables, _ = _looked_for(lake, "clock", sorted(contract.table for contract in contracts))
    latest = datetime.min.replace(tzinfo=timezone.utc)
    last = ""
    for table in tables:
        try:
            lake.register([table])
            at = lake.commits(table, 1)[0].at
        except Exception:
            continue  # reported by the checks above
        if at > latest:
            latest, last = at, table
    if latest > now() + CLOCK_TOLERANCE:
        found = f"{last} was written at {latest:%Y-%m-%d %H:%M}, which is in the future"
        return Diagnosis("clock", "warn", found, "Correct this machine's clock, or the writer's.")
    return Diagnosis("clock", "ok", f"it is {now():%Y-%m-%d %H:%M} UTC, later than all commits")
