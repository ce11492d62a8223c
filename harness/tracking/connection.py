"""Reaching MLflow: addresses, passwords, its chatter, and one error for whatever it refuses.

The password of an address may come from the environment, as ``MSA_TRACKING_PASSWORD``; what MLflow
itself reads for servers (``MLFLOW_TRACKING_USERNAME``, ``_PASSWORD``, ``_TOKEN``) works as ever. No
message repeats a password or a token.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import filelock

from harness._util.extras import explained
from harness._util.redaction import keep_address, keep_secret, redacted
from harness.errors import MissingExtra, SpecError, StoreError
from harness.tracking.sqlite import check_database, write_ahead

__all__ = ["connected", "file_of", "is_server", "quiet_mlflow", "resolved", "store_errors"]

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines per run over HTTP
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default goes on for four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_LOUDEST = {"mlflow": "WARNING", "alembic": "WARNING", "urllib3": "ERROR"}
_DATABASES = ("postgresql", "mysql", "mssql")
_SERVERS = ("http", "https", *_DATABASES)
_SQLITE = "sqlite:///"
_PASSWORD = "MSA_TRACKING_PASSWORD"
_DRIVERS = {
    "MySQLdb": "mysqlclient",
    "psycopg2": "psycopg2-binary",
}
"""Driver of a database -> what to install where that is called otherwise."""


def resolved(uri: str) -> str:
    """The address as MLflow gets it: a file's path absolute, with the environment's password.

    Raises:
        SpecError: For one of another kind.
    """
    return _with_password(_absolute(uri))


def file_of(where: str) -> Path | None:
    """The file of an SQLite address, None for a server."""
    return Path(where.removeprefix(_SQLITE)) if where.startswith(_SQLITE) else None


def is_server(where: str) -> bool:
    """Whether a tracking server is meant, which keeps artifacts where it likes."""
    return urlsplit(where).scheme in ("http", "https")


@contextlib.contextmanager
def connected(where: str, lock: Path) -> Iterator[None]:
    """MLflow, quiet and quick, and nobody else who exports to the same place.

    Args:
        where: A resolved address.
        lock: Taken where a server is written to; beside the database it is one of its own.

    Raises:
        StoreError: When server or database cannot be reached or used, or another export is writing.
        MissingExtra: Where MLflow, or the driver of the database, is not installed.
    """
    with (
        _only_exporter(where, lock),
        _driver(where),
        quiet_mlflow(),
        store_errors(where),
        write_ahead(file_of(where)),
    ):
        yield


def _absolute(uri: str) -> str:
    """The URI with a file's path made absolute, as MLflow resolves it wherever it is used."""
    file = uri.removeprefix(_SQLITE)
    if uri.startswith(_SQLITE) and file:
        return _SQLITE + str(Path(file).absolute())
    if urlsplit(uri).scheme.partition("+")[0] in _SERVERS:
        return uri
    raise SpecError(
        f"cannot export to {redacted(uri)!r}",
        hint="give sqlite:///FILE, http://HOST:PORT or a database URI",
    )


def _with_password(uri: str) -> str:
    """The URI with the password of the environment, if it names a user and none of its own."""
    keep_address(uri)
    password = os.environ.get(_PASSWORD, "")
    scheme, mark, rest = uri.partition("://")
    user, at, host = rest.partition("@")
    if not (password and at) or set(user) & set(":/?#"):
        return uri
    filled = f"{scheme}{mark}{user}:{quote(password, safe='')}{at}{host}"
    keep_secret(password)
    keep_address(filled)
    return filled


@contextlib.contextmanager
def _only_exporter(where: str, elsewhere: Path) -> Iterator[None]:
    """Two exports at once would write runs twice, or wreck the database both are making."""
    file = file_of(where)
    path = elsewhere if file is None else file.with_name(f"{file.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreError(
            f"another export is writing to {redacted(where)}", hint="wait for it, then export again"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot export to {redacted(where)}: {error}") from error
    try:
        if file is not None:
            check_database(file)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def quiet_mlflow() -> Iterator[None]:
    """No telemetry, no chatter, no endless retries; what the user has set stays."""
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        import mlflow  # noqa: F401 - telemetry and log levels are set up by the import

        loggers = {name: logging.getLogger(name) for name in _LOUDEST}
        before = {name: logger.level for name, logger in loggers.items()}
        try:
            for name, logger in loggers.items():
                logger.setLevel(_LOUDEST[name])
            yield
        finally:
            for name, logger in loggers.items():
                logger.setLevel(before[name])
    finally:
        for name in added:
            del os.environ[name]


@contextlib.contextmanager
def _driver(where: str) -> Iterator[None]:
    """Turn the failed import of MLflow, or of a database's driver, into what to install."""
    kind = urlsplit(where).scheme.partition("+")[0]
    try:
        with explained():
            yield
    except ModuleNotFoundError as error:
        if error.name is None or kind not in _DATABASES:
            raise
        raise MissingExtra(
            f"a {kind} database needs the driver {error.name}, which is not installed",
            hint=f"pip install {_DRIVERS.get(error.name, error.name)}",
        ) from error


@contextlib.contextmanager
def store_errors(where: str) -> Iterator[None]:
    """What MLflow refuses inside the block becomes a store error.

    Args:
        where: A resolved address.

    Raises:
        StoreError: Then.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        reason = redacted(str(error).partition("\n")[0])
        raise StoreError(
            f"MLflow at {redacted(where)} refused: {reason}",
            hint="check that the server is up and the address is right; export continues"
            " where it stopped",
        ) from error
