"""Where weights are: in the run store, in an exported folder, in a file that authors released."""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError
from harness.home import Home
from harness.runs.replay import find_run
from harness.runs.store import RunStore
from harness.runs.weights.restoring import CONFIG, Checkpoint, Restored, restore

__all__ = ["find_weights"]


def find_weights(
    source: str | Path, home: Home, *, encoder: str | None = None, device: str = "cpu"
) -> Restored:
    """The network that ``source`` names, with its weights.

    Args:
        source: A stored run (the first digits of its key, or ``SUITE:ROW:CORPUS:SEED``), or a
            folder that ``msa weights`` exported.
        home: Where runs, encoders and caches are.
        encoder: Where its text encoder is, when its name alone does not say.
        device: ``cpu`` or ``cuda`` / ``cuda:1``.

    Raises:
        SpecError: For a name that is none, or a network that cannot be built here.
        DataError: For files that are no weights, are damaged, or were changed.
        StoreError: For a run that is not stored, is damaged or keeps no weights.
    """
    path = Path(source)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise DataError(
                f"{path} has no {CONFIG}: expected a folder of weights",
                hint="msa weights RUN --to FOLDER writes one",
            )
        checkpoint = Checkpoint.of_folder(path)
    elif path.is_file():
        raise DataError(
            f"weights are a stored run or a folder of msa weights; found the file {path.name}",
            hint="msa weights RUN --to FOLDER writes such a folder",
        )
    else:
        checkpoint = Checkpoint.of_run(find_run(RunStore(home.store), str(source)))
    return restore(checkpoint, home.cache, encoder=encoder, device=device)
