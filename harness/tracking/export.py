"""MLflow as a projection of the run store: written once per run, never read back.

One experiment per corpus, one parent run per row, one child per seed, found again by the tags
``row_key`` and ``run_key``, so exporting twice adds nothing. Metrics: ``test/…`` and ``valid/…`` of
the selected checkpoint, recomputed from stored predictions; ``epoch/…`` with steps; ``result/…``;
``cost/…``. Undefined values are left out and listed in the tag ``undefined``. Nothing is uploaded:
``run_key`` is the folder in the run store.

MLflow is imported by this module alone, and only while exporting: it takes longer to import than
most commands to run.

The password of an address may come from the environment, as ``MSA_TRACKING_PASSWORD``; what MLflow
itself reads for servers (``MLFLOW_TRACKING_USERNAME``, ``_PASSWORD``, ``_TOKEN``) works as ever. No
message repeats a password or a token.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import filelock

from harness._util.extras import explained
from harness._util.redaction import keep_address, keep_secret, redacted
from harness.errors import MissingExtra, SpecError, StoreError
from harness.runs.store import RunStore, StoredRun
from harness.tracking.describe import Tracked, Tracker, corpus_of
from harness.tracking.sqlite import check_database, write_ahead

__all__ = ["ExportReport", "export"]

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
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export did, in runs, and how long it took."""

    created: int
    present: int
    seconds: float


def export(store: RunStore, uri: str, *, suites: Sequence[str] | None = None) -> ExportReport:
    """Bring committed runs into MLflow; those already there are left alone.

    Args:
        store: Where runs are.
        uri: ``sqlite:///FILE``, ``http(s)://HOST``, or a database URI that MLflow takes; one with
            a user and no password gets that of ``MSA_TRACKING_PASSWORD``.
        suites: Only the runs of these suites; every committed run when None.

    Raises:
        SpecError: For a URI of another kind.
        StoreError: When server or database cannot be reached or used, another export is writing,
            or a stored run is damaged.
        MissingExtra: Where MLflow, or the driver of the database, is not installed.
    """
    began = time.perf_counter()
    where = _with_password(_absolute(uri))
    runs = _by_corpus(store, suites)
    with (
        _only_exporter(store, where),
        _driver(where),
        _quiet_mlflow(),
        _store_errors(where),
        write_ahead(_database(where)),
    ):
        projection = _Projection(where, Tracker(store))
        created = sum(projection.add(corpus, group) for corpus, group in runs.items())
    total = sum(map(len, runs.values()))
    seconds = time.perf_counter() - began
    return ExportReport(created=created, present=total - created, seconds=seconds)


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


def _database(where: str) -> Path | None:
    """The file that an absolute URI names, None for a server."""
    return Path(where.removeprefix(_SQLITE)) if where.startswith(_SQLITE) else None


def _by_corpus(store: RunStore, suites: Sequence[str] | None) -> dict[str, list[StoredRun]]:
    grouped: dict[str, list[StoredRun]] = {}
    for run in store if suites is None else _of_suites(store, suites):
        grouped.setdefault(corpus_of(run), []).append(run)
    return grouped


def _of_suites(store: RunStore, suites: Sequence[str]) -> Iterator[StoredRun]:
    keys = dict.fromkeys(cell.key for plan in map(store.plan, suites) for cell in plan.cells)
    return (store.get(key) for key in keys if key is not None and key in store)


@contextlib.contextmanager
def _only_exporter(store: RunStore, where: str) -> Iterator[None]:
    """Two exports at once would write runs twice, or wreck the database both are making."""
    file = _database(where)
    path = store.root / ".export.lock" if file is None else file.with_name(f"{file.name}.lock")
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
def _quiet_mlflow() -> Iterator[None]:
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
def _store_errors(where: str) -> Iterator[None]:
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


class _Projection:
    """The MLflow side: what is there, and how to add what is not."""

    def __init__(self, where: str, tracker: Tracker) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=where, registry_uri=where)
        self._tracker = tracker

    def add(self, corpus: str, runs: Iterable[StoredRun]) -> int:
        """Create what is missing and finish what a killed export left; returns how many runs."""
        experiment = self._experiment(corpus)
        rows, done, unfinished = self._present(experiment)
        created = 0
        for run in runs:
            if run.key in done:
                continue
            item = self._tracker.describe(run)
            if item.row_key not in rows:
                rows[item.row_key] = self._create_row(experiment, item)
            child = unfinished.get(run.key) or self._create(experiment, item, rows[item.row_key])
            self._fill(child, item)
            created += 1
        return created

    def _experiment(self, corpus: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(corpus)
        if found is None:
            try:
                return str(self._client.create_experiment(corpus, tags=_experiment_tags(corpus)))
            except MlflowException:  # somebody else's export may just have made it
                found = self._client.get_experiment_by_name(corpus)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _present(self, experiment: str) -> tuple[dict[str, str], set[str], dict[str, str]]:
        """Row key -> run id, run keys that are complete, run key -> id of those that are not."""
        rows: dict[str, str] = {}
        done: set[str] = set()
        unfinished: dict[str, str] = {}
        token = None
        while True:
            page = self._client.search_runs([experiment], max_results=_PAGE, page_token=token)
            for run in page:
                key = run.data.tags.get("run_key")
                if key is None:
                    rows[run.data.tags.get("row_key", "")] = run.info.run_id
                elif run.info.status == "FINISHED":
                    done.add(key)
                else:
                    unfinished[key] = run.info.run_id
            token = page.token
            if not token:
                return rows, done, unfinished

    def _create_row(self, experiment: str, item: Tracked) -> str:
        tags = {"mlflow.runName": item.row, "row_key": item.row_key, **item.row_tags}
        run = self._client.create_run(experiment, start_time=item.began, tags=tags)
        self._client.set_terminated(run.info.run_id, end_time=item.ended)
        return str(run.info.run_id)

    def _create(self, experiment: str, item: Tracked, parent: str) -> str:
        tags = {
            "mlflow.runName": item.name,
            "mlflow.parentRunId": parent,
            "run_key": item.run_key,
            **item.tags,
        }
        run = self._client.create_run(experiment, start_time=item.began, tags=tags)
        return str(run.info.run_id)

    def _fill(self, run_id: str, item: Tracked) -> None:
        from mlflow.entities import Metric, Param

        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, item.ended, step) for name, value, step in item.values],
            params=[Param(name, value) for name, value in item.params.items()],
        )
        self._client.set_terminated(run_id, end_time=item.ended)


def _experiment_tags(corpus: str) -> dict[str, str]:
    dataset, _, _ = corpus.partition("@")
    if not dataset.endswith("-twin"):
        return {}
    return {"mlflow.note.content": "SYNTHETIC TWIN: not a result on the dataset it imitates."}
