"""A Spark Connect server in a process of its own, whose catalog manages the tables of the example."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import ROOT, combined_properties
from tests.example import EXAMPLE
from tests.processes import BIN, own_environment

MANAGE = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
for log in sorted(Path(sys.argv[1]).glob("*/*/_delta_log")):
    schema, table = log.parent.parent.name, log.parent.name
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    spark.read.format("delta").load(str(log.parent)).writeTo(f"{schema}.{table}").using("delta").create()
"""
"""Makes a managed table of each Delta table of a folder."""


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def client(port: int, *command: str, program: Path = Path(sys.executable)) -> subprocess.CompletedProcess[str]:
    """Runs Python, or another program, with the server as its Spark."""
    environment = own_environment(SPARK_REMOTE=f"sc://127.0.0.1:{port}")
    return subprocess.run(
        [str(program), *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a server, and the folder of the tables that its catalog manages: those of the example."""
    folder = tmp_path_factory.mktemp("connect")
    port, warehouse = free_port(), folder / "warehouse"
    properties = combined_properties(folder / "spark.properties")
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.sql.warehouse.dir": str(warehouse),
    }
    command = [str(BIN / "spark-submit"), "--properties-file", str(properties)]
    command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    with (folder / "server.log").open("w") as log_file:
        process = subprocess.Popen(command, cwd=folder, env=own_environment(), stdout=log_file, stderr=log_file)
    try:
        for _ in range(600):
            with closing(socket.socket()) as knock:
                if process.poll() is not None or knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        made = client(port, "-c", MANAGE, str(EXAMPLE / "lake"))
        assert made.returncode == 0, f"{made.stderr[-2000:]} {(folder / 'server.log').read_text()[-2000:]}"
        yield port, warehouse
    finally:
        process.terminate()
        process.wait()
