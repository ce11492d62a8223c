"""Epochs shown while cells run: in MLflow, where an export will put the run, or in TensorBoard.

What is shown live is a convenience. A server that goes away, or a full disk, costs the display and
one warning, never a cell; ``msa export mlflow`` completes what was left.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness._util.extras import load
from harness._util.redaction import redacted
from harness.errors import HarnessError, SpecError
from harness.home import Home
from harness.runs.cell import Job
from harness.runs.events import Began, CellEvent, Trained
from harness.runs.executors import Done
from harness.runs.store import RunStore
from harness.tracking.connection import connected, file_of, is_server, resolved, store_errors
from harness.tracking.describe import Tracker, epoch_values, metric_name
from harness.tracking.projection import Projection

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["KINDS", "Live", "showing"]

log = logging.getLogger(__name__)

KINDS = ("mlflow", "tensorboard")
"""Where epochs can be shown."""


class Live(Protocol):
    """Somebody who shows cells while they run."""

    def hear(self, job: Job, event: CellEvent) -> None:
        """Show what is said of a cell."""
        ...

    def end(self, done: Done) -> None:
        """Show how a cell ended; its run is committed by then."""
        ...


@contextlib.contextmanager
def showing(kind: str, home: Home, uri: str | None = None) -> Iterator[Live]:
    """Show cells while the block lasts.

    Args:
        kind: Of ``KINDS``.
        home: Whose runs. Events for TensorBoard go to ``home.tensorboard``.
        uri: Of MLflow, as ``export`` takes it; None: the database of the home.

    Raises:
        SpecError: For another kind, or an address that is none.
        StoreError: When MLflow cannot be reached, or somebody exports to the same place.
        MissingExtra: For MLflow or TensorBoard where it is not installed.
    """
    if kind == "tensorboard":
        events = _TensorBoard(home.tensorboard)
        try:
            yield _Tolerant(events, OSError)
        finally:
            events.close()
    elif kind == "mlflow":
        where, store = resolved(uri or f"sqlite:///{home.mlflow_db}"), RunStore(home.store)
        with connected(where, store.root / ".export.lock"):
            yield _Tolerant(_Mlflow(where, home, ours=uri is None), HarnessError, OSError)
    else:
        raise SpecError(f"--live takes {' or '.join(KINDS)}; found {kind!r}")


class _Tolerant:
    """Shows until something is refused, which it says once.

    Args:
        live: Who shows.
        refusals: What may be refused.
    """

    def __init__(self, live: Live, *refusals: type[Exception]) -> None:
        self._live, self._refusals, self._over = live, refusals, False

    def hear(self, job: Job, event: CellEvent) -> None:
        self._try(lambda: self._live.hear(job, event))

    def end(self, done: Done) -> None:
        self._try(lambda: self._live.end(done))

    def _try(self, show: Callable[[], None]) -> None:
        if self._over:
            return
        try:
            show()
        except self._refusals as error:
            self._over = True
            log.warning("nothing is shown live any more: %s", redacted(str(error)))


class _Mlflow:
    """In the experiment of the corpus, under the row, as the run that an export completes.

    Args:
        where: A resolved address.
        home: Whose runs.
        ours: Whether it is the database of the home.
    """

    def __init__(self, where: str, home: Home, *, ours: bool) -> None:
        self._where, self._store = where, RunStore(home.store)
        file = file_of(where)
        beside = None if file is None else file.with_name(f"{file.stem}-artifacts")
        root = home.mlflow_artifacts if ours else beside
        self._root = None if is_server(where) else root
        self._known: Projection | None = None
        self._open: dict[str, str] = {}

    def hear(self, job: Job, event: CellEvent) -> None:
        with store_errors(self._where):
            if isinstance(event, Began):
                self._open.pop(job.spec.key, None)
            elif isinstance(event, Trained):
                self._show(job, event)

    def _show(self, job: Job, event: Trained) -> None:
        spec = job.spec
        if spec.key not in self._open:
            item = Tracker(self._store).expect(spec, _encoder_of(job), int(1000 * time.time()))
            self._open[spec.key] = self._projection.open(item)
        found = epoch_values(asdict(event.epoch), spec.protocol)
        values = [(metric_name(n), float(v), step) for n, v, step in found if v is not None]
        self._projection.show(self._open[spec.key], values)

    def end(self, done: Done) -> None:
        key = done.job.spec.key
        with store_errors(self._where):
            if key in self._store:
                run = self._store.get(key)
                self._projection_of_all().add(run.spec.corpus, [run])
            elif key in self._open:
                self._projection.give_up(self._open[key], redacted(done.failure or "not sound"))
            self._open.pop(key, None)

    @property
    def _projection(self) -> Projection:
        """Made when something is to be shown: the plan says by then which row a run is of."""
        if self._known is None:
            self._known = self._projection_of_all()
        return self._known

    def _projection_of_all(self) -> Projection:
        return Projection(self._where, Tracker(self._store), artifacts=self._root, files=True)


def _encoder_of(job: Job) -> str | None:
    """What the record of the run will call its encoder."""
    if "encoder" not in job.spec.artifacts:
        return None
    from harness.text import find_encoder

    return find_encoder(job.names["encoder"], job.home.cache).name


class _TensorBoard:
    """A folder of events per cell: ``CORPUS/ROW/seed-N``.

    Args:
        root: Where the folders are.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writers: dict[str, SummaryWriter] = {}
        load("tensorboard")  # torch's writer needs it and says so at length

    def hear(self, job: Job, event: CellEvent) -> None:
        if not isinstance(event, Trained):
            return
        epoch, key = event.epoch, job.spec.key
        if key not in self._writers:
            self._writers[key] = self._writer(job, epoch.epoch)
        stage = "" if epoch.stage == "main" else f"{epoch.stage}/"
        for name, value, step in epoch_values(asdict(epoch), job.spec.protocol):
            if value is not None:
                self._writers[key].add_scalar(f"{stage}{name}", value, step)
        self._writers[key].add_scalar(f"{stage}epoch/lr", epoch.lr, epoch.epoch)
        self._writers[key].flush()

    def end(self, done: Done) -> None:
        writer = self._writers.pop(done.job.spec.key, None)
        if writer is not None:
            writer.close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, job: Job, epoch: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        row = metric_name(job.label or job.spec.system).replace("/", "_")
        folder = self._root / job.spec.corpus / row / f"seed-{job.spec.seed}"
        return SummaryWriter(str(folder), purge_step=epoch)  # a resumed cell repeats some epochs
