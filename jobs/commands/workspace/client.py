"""The client of a workspace, and what its errors mean to a user."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import Error as NoConfigurationError
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.errors.base import DatabricksError

from jobs.errors import JobError, UsageError
from jobs.network import answers

FIRST_CONTACT_SECONDS = 30
"""For how long the workspace is asked about itself: Databricks' own client would ask for minutes."""


@contextmanager
def connected(profile: str | None) -> Iterator[WorkspaceClient]:
    """A client of the workspace; errors of the workspace become a `JobError` with one sentence."""
    client = _client(profile)
    try:
        _log_in(client)
        yield client
    except Unauthenticated as error:
        raise UsageError(f"The workspace does not accept the credentials: {first_line_of(error)}") from error
    except PermissionDenied as error:
        raise JobError(f"The workspace denies permission: {first_line_of(error)}") from error
    except NotFound as error:
        raise JobError(f"The workspace cannot find what was requested: {first_line_of(error)}") from error
    except DatabricksError as error:
        raise JobError(f"The workspace refused: {first_line_of(error)}") from error
    except OSError as error:  # the client's network errors and timeouts
        raise _silent(client.config.host) from error


def _client(profile: str | None) -> WorkspaceClient:
    try:
        _check_answers(Config(profile=profile, retry_timeout_seconds=FIRST_CONTACT_SECONDS).host or "")
        return WorkspaceClient(profile=profile, product="classwaves", product_version=version("classwaves-analytics"))
    except NoConfigurationError as error:  # not quoted: it contains the line, which may contain a token
        raise UsageError("The client's configuration file (~/.databrickscfg) cannot be read.") from error
    except ValueError as error:
        hint = "set DATABRICKS_HOST and log in with `databricks auth login`, or name a profile with --profile"
        reason = str(error).split(" Config: ")[0].rstrip(".")
        raise UsageError(f"Cannot log in to a workspace ({reason}): {hint}.") from error


def _silent(host: str) -> JobError:
    return JobError(f"The workspace {host} does not answer: try again.")


def _check_answers(host: str) -> None:
    """Raises `UsageError` for what is no address, and `JobError` if nobody answers there."""
    address = urlsplit(host)
    if not address.hostname or any(map(str.isspace, host)):
        raise UsageError(f"The workspace's address is wrong: {host}.")
    if not answers(address.hostname, address.port or (80 if address.scheme == "http" else 443)):
        raise _silent(host)


def _log_in(client: WorkspaceClient) -> None:
    """Gets a token now if there is none yet; raises `UsageError` if it is denied, as for a wrong secret."""
    try:
        client.config.authenticate()
    except ValueError as error:
        raise UsageError(f"The workspace does not accept the credentials: {first_line_of(error)}") from error


def first_line_of(error: Exception) -> str:
    """The error's first line, without what the client adds about its configuration."""
    text = str(error).split(" Config: ")[0].strip()
    return f"{text.splitlines()[0].rstrip('.')}." if text else f"{type(error).__name__}."
