"""Keeping a training that may be interrupted: one file, replaced whole, forgotten at the end.

An interrupted run that is taken up again ends in the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness._util.sealed import read_sealed, seal_file
from harness._util.tensors import load_tensors

__all__ = ["TrainingCheckpoint", "kept_epoch"]

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two saves: small models finish sooner and write nothing."""


class TrainingCheckpoint:
    """The file of one run.

    Args:
        path: Where; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._saved = time.monotonic()

    def save(self, state: Callable[[], dict[str, Any]]) -> None:
        """Replace the file by ``state()`` and torch's generators, if the last save is old enough.

        A disk that refuses costs the possibility to resume, not the run.
        """
        if self._path is None or time.monotonic() - self._saved < EVERY:
            return
        temporary = self._path.with_name(f".new-{self._path.name}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({**state(), "generators": _generators()}, temporary)
            seal_file(temporary, self._path.name)
            temporary.replace(self._path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
            temporary.unlink(missing_ok=True)
            log.warning("cannot keep the training for a resume: %s", error)
        self._saved = time.monotonic()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The kept state, its generators set again; None when there is none that is sound.

        A damaged one is removed: the training starts again, and keeps its own.
        """
        if self._path is None or not self._path.is_file():
            return None
        try:
            kept = load_tensors(io.BytesIO(read_sealed(self._path)), device)
            if not isinstance(kept, dict):
                raise ValueError(f"it should hold a table, found a {type(kept).__name__}")
            generators = kept.pop("generators")
        except (OSError, ValueError, KeyError) as error:
            log.warning(
                "the kept training %s is damaged: %s; starting again", self._path.name, error
            )
            with contextlib.suppress(OSError):
                self._path.unlink()
            return None
        torch.set_rng_state(generators["cpu"].cpu())
        log.info("taken up after epoch %s of stage %s", kept.get("epoch"), kept.get("stage"))
        if generators["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([item.cpu() for item in generators["cuda"]])
        return kept

    def forget(self) -> None:
        """The run is complete."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def kept_epoch(path: Path) -> int | None:
    """The epoch of its stage after which a kept training goes on; None where none is kept.

    Tensors are not read, so nor is a damaged one found out.

    Args:
        path: As ``TrainingCheckpoint`` has it.
    """
    if not path.is_file():
        return None
    try:
        kept = load_tensors(path, mapped=True)
    except (OSError, ValueError):  # the training starts again
        return None
    found = kept.get("epoch") if isinstance(kept, dict) else None
    return found if isinstance(found, int) else None


def _generators() -> dict[str, Any]:
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if on_gpu else [],
    }
