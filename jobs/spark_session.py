"""The Spark session of a run: the platform's own, or a local one set up by `conf/spark.properties`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pyspark
from pyspark.errors import PySparkValueError
from pyspark.sql import SparkSession

from jobs.errors import UsageError
from jobs.network import answers

MINIMUM_JAVA = 17
CONNECT_PORT = 15002
"""The port of a Spark Connect server whose address names none."""
_PROPERTIES = "spark.properties"


def properties_file() -> Path:
    """The file of local Spark settings: in the checkout's `conf`, or beside the jobs of an installed wheel.

    Raises `UsageError` if neither exists.
    """
    here = Path(__file__).resolve().parent
    for candidate in (here.parent / "conf" / _PROPERTIES, here / _PROPERTIES):
        if candidate.is_file():
            return candidate
    raise UsageError(f"The file conf/{_PROPERTIES} is missing: run from a checkout or reinstall the package.")


def java_major_version() -> int | None:
    """The major version of the Java that Spark would start; None if there is no Java."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        return None
    try:
        output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:  # it is there but cannot be executed, such as one of another architecture
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(version[1]) if version else None


def _check_java() -> None:
    version = java_major_version()
    if version is None:
        raise UsageError(f"Java was not found: install Java {MINIMUM_JAVA} or set JAVA_HOME to it.")
    if version < MINIMUM_JAVA:
        raise UsageError(f"Java {version} is too old for Spark: install Java {MINIMUM_JAVA} or set JAVA_HOME to it.")


def check_spark_home() -> None:
    """Raises `UsageError` if `SPARK_HOME` names no Spark, or another release than the package's."""
    home = os.environ.get("SPARK_HOME")
    if not home:
        return
    if not Path(home, "bin", "spark-submit").is_file():
        raise UsageError(f"SPARK_HOME names no Spark: {home}. Unset it: the package brings its own.")
    release = ".".join(pyspark.__version__.split(".")[:3])  # a vendor's build may add to it
    if not list(Path(home, "jars").glob(f"spark-core_*-{release}*.jar")):
        raise UsageError(f"SPARK_HOME is not Spark {release}: {home}. Unset it: the package brings its own.")


def _check_server() -> None:
    """Raises `UsageError` if nobody answers at the address in `SPARK_REMOTE`: Spark's client would try for minutes."""
    try:
        address = urlsplit(os.environ["SPARK_REMOTE"])
        host, port = address.hostname, address.port or CONNECT_PORT
    except ValueError:
        return  # the client says what is wrong with it
    if address.scheme == "sc" and host is not None and not answers(host, port):
        raise UsageError("No Spark Connect server answers at the address in SPARK_REMOTE.")


def is_started_by_spark() -> bool:
    """Whether a JVM (spark-submit), a cluster or a Spark Connect server is already running."""
    return is_remote() or any(name in os.environ for name in ("PYSPARK_GATEWAY_PORT", "DATABRICKS_RUNTIME_VERSION"))


def is_remote() -> bool:
    """Whether the session is one of a Spark Connect server."""
    return "SPARK_REMOTE" in os.environ


def open_session(application: str) -> SparkSession:
    """The session of this process, whose SQL is in UTC; the process keeps its own zone.

    Raises `UsageError` if Java is missing or too old, if Spark cannot start (no network and no cached Delta jar), or if
    `SPARK_HOME` or `SPARK_REMOTE` is wrong.
    """
    session = SparkSession.getActiveSession()
    if session is None:
        if not is_started_by_spark():
            _check_java()
            check_spark_home()
            os.environ["PYSPARK_SUBMIT_ARGS"] = f'--properties-file "{properties_file()}" pyspark-shell'
        if is_remote():
            _check_server()
        try:
            session = SparkSession.builder.appName(application).getOrCreate()
        except Exception as error:
            if is_remote() and isinstance(error, PySparkValueError):
                raise UsageError("SPARK_REMOTE is not the address of a Spark Connect server.") from error
            if "JAVA_GATEWAY_EXITED" not in str(error):
                raise
            raise UsageError(
                "Spark could not start: most likely the Delta jar that conf/spark.properties names is neither cached "
                "nor available from Maven Central; run `classwaves prepare` once with a network."
            ) from error
    session.conf.set("spark.sql.session.timeZone", "UTC")
    with suppress(Exception):  # a platform on which this cannot be set refuses a payload that repeats a member name
        session.conf.set("spark.sql.variant.allowDuplicateKeys", "true")
    return session


def check_delta(spark: SparkSession) -> None:
    """Raises `UsageError` if the session lacks Delta, as after `spark-submit` without it."""
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return  # it has Delta, and serverless compute may refuse to return a setting, default or not
    extensions = spark.conf.get("spark.sql.extensions", "") or ""
    if "Delta" not in extensions:
        if not is_remote():
            spark.sparkContext.setLogLevel("OFF")  # what Spark logs when it stops would follow the last line
        raise UsageError(
            "This Spark session has no Delta: call spark-submit with --properties-file conf/spark.properties."
        )
