"""Weights on their way from a worker to the store: a file, or its bytes where no disk is shared."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness._util import canonical
from harness.runs.weights.card import CARD, TENSORS, WeightsCard

__all__ = ["KeptWeights"]


@dataclass(frozen=True, eq=False, kw_only=True)
class KeptWeights:
    """Weights that a worker kept.

    Args:
        card: What they are.
        file: Where the worker wrote them; who takes them moves the file.
        content: (n,) uint8, the bytes of the file, where it lies on another machine.
    """

    card: WeightsCard
    file: Path
    content: NDArray[np.uint8] | None = None

    def packed(self) -> KeptWeights:
        """The same with the bytes of the file in its place, for a driver on another machine.

        An array crosses without being copied into a message.
        """
        content = np.fromfile(self.file, dtype=np.uint8)
        self.discard()
        return replace(self, content=content)

    def put_into(self, folder: Path) -> None:
        """Become the files of a run's folder.

        Raises:
            OSError: When the disk refuses.
        """
        if self.content is None:
            shutil.move(self.file, folder / TENSORS)
        else:
            self.content.tofile(folder / TENSORS)
        (folder / CARD).write_text(canonical.dumps(self.card.json(), indent=1), "utf-8")

    def discard(self) -> None:
        """Take away what the worker wrote and nobody moved."""
        with contextlib.suppress(OSError):  # swept with what killed workers leave
            self.file.unlink(missing_ok=True)
