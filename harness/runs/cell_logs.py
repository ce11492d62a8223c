"""One text file per cell: what was said while it ran, attempt after attempt. For people only.

The driver writes it as it hears things, so that it tells of a cell whose worker was killed too. A
disk that refuses costs the log, not the run.
"""

from __future__ import annotations

import contextlib
import datetime
import logging

from harness._util.printed import duration
from harness._util.redaction import redacted
from harness.runs.cell import Job
from harness.runs.events import Began, Broke, CellEvent, Said, Trained
from harness.runs.executors import Done
from harness.runs.store import RunStore

__all__ = ["CellLogs", "figures_of", "place_of"]

log = logging.getLogger(__name__)

_LARGEST = 4 * 2**20  # bytes; a cell that is tried for ever fills no disk


class CellLogs:
    """The logs of the cells of a driver.

    Args:
        store: Where they go.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._broke: dict[str, str] = {}

    def add(self, job: Job, event: CellEvent) -> None:
        """Write down what was said of a cell; warn on here of what the harness warned of there."""
        match event:
            case Broke(traceback=text):
                self._broke[job.spec.key] = text
            case Began(worker=worker, device=device):
                self._write(job, f"begun: {job.title}; {worker}, {device}; run {job.spec.key}")
            case Trained():
                rest = f"lr {event.epoch.lr:.3g}, {duration(event.epoch.seconds)}"
                self._write(job, f"{place_of(event)}, {figures_of(job, event)}, {rest}")
            case Said(level=level, source=source, text=text):
                self._write(job, f"{logging.getLevelName(level).lower()}: {source}: {text}")
                if level >= logging.WARNING and source != "py.warnings":
                    log.log(level, "%s: %s", job.title, text)

    def end(self, done: Done, reason: str) -> None:
        """Write down how a cell ended, and where it broke."""
        job = done.job
        text = f"failed: {redacted(reason)}"
        if done.record is not None and not reason:
            result, cost = done.record.manifest.result, done.record.manifest.cost
            text = f"done: fitted in {duration(cost.fit_seconds)}"
            if result.selected_epoch is not None:
                text += f", {result.epochs} epochs, the weights of epoch {result.selected_epoch}"
        broke = self._broke.pop(job.spec.key, None)
        self._write(job, text if broke is None else f"{text}\n{broke}")

    def traceback_of(self, job: Job) -> str | None:
        """Where a cell broke, until it has ended."""
        return self._broke.get(job.spec.key)

    def _write(self, job: Job, text: str) -> None:
        path = self._store.log_file(job.spec.key)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                if file.tell() < _LARGEST:
                    file.write(f"{now} {text}\n")


def place_of(event: Trained) -> str:
    """Which epoch it is, of how many."""
    stage = "" if event.epoch.stage == "main" else f"stage {event.epoch.stage}, "
    return f"{stage}epoch {event.epoch.epoch} of {event.of}"


def figures_of(job: Job, event: Trained) -> str:
    """How an epoch went: the loss of training, and what it is chosen by on validation clips."""
    epoch, protocol = event.epoch, job.spec.protocol
    watched = "valid" if protocol.rules else f"valid {protocol.selection_metric}"
    value = "undefined" if epoch.valid is None else f"{epoch.valid:.4g}"
    return f"loss {epoch.train_loss:.4g}, {watched} {value}"
