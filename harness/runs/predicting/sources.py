"""Where weights are: in the run store, in an exported folder, in a file that authors released."""

from __future__ import annotations

from pathlib import Path

import torch

from harness import data
from harness.errors import DataError, SpecError
from harness.home import Home
from harness.runs.replay import find_run
from harness.runs.store import RunStore
from harness.runs.weights.keeping import facts_of
from harness.runs.weights.restoring import CONFIG, Checkpoint, Restored, by_design, restore
from harness.system import Dims, System, TrainingParams, systems
from harness.text import find_encoder
from harness.training import prepared, set_precision

__all__ = ["find_weights"]

_RELEASED = (".pth", ".pt", ".ckpt", ".bin")


def find_weights(
    source: str | Path,
    home: Home,
    *,
    on: str | Path,
    system: str | None = None,
    encoder: str | None = None,
    device: str = "cpu",
) -> Restored:
    """The network that ``source`` names, with its weights.

    Args:
        source: A stored run (the first digits of its key, or ``SUITE:ROW:CORPUS:SEED``), or a
            folder that ``msa weights`` exported, or a file that authors released.
        home: Where runs, encoders and caches are.
        on: The corpus that released weights are built for: such a file names no sizes.
        system: What released weights are of; may be left out where one system alone has such.
        encoder: Where its text encoder is, when its name alone does not say.
        device: ``cpu`` or ``cuda`` / ``cuda:1``.

    Raises:
        SpecError: For a name that is none, or a network that cannot be built here.
        DataError: For files that are no weights, are damaged, or were changed.
        StoreError: For a run that is not stored, is damaged or keeps no weights.
    """
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() not in _RELEASED:
            raise DataError(
                f"weights are a stored run, a folder of msa weights or a released file"
                f" ({', '.join(_RELEASED)}); found the file {path.name}",
                hint="msa weights RUN --to FOLDER writes such a folder",
            )
        return _released(path, str(on), home, system, encoder, device)
    if system is not None:
        raise SpecError("--system goes with a released file: other weights say what they are of")
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise DataError(
                f"{path} has no {CONFIG}: expected a folder of weights",
                hint="msa weights RUN --to FOLDER writes one",
            )
        checkpoint = Checkpoint.of_folder(path)
    else:
        checkpoint = Checkpoint.of_run(find_run(RunStore(home.store), str(source)))
    return restore(checkpoint, home.cache, encoder=encoder, device=device)


def _released(
    path: Path, on: str, home: Home, name: str | None, encoder: str | None, device: str
) -> Restored:
    """The network of a released file, built for the corpus that it is to predict."""
    system = _with_layout(name)
    assert system.released is not None
    if "@" not in on or Path(on).exists():
        raise DataError(
            f"{path.name} names no sizes: released weights are applied to a corpus; found {on}",
            hint="--on DATASET@FEATURE-SET",
        )
    corpus = data.load(on, home)
    changes = {} if encoder is None else {"encoder": encoder}
    params = system.resolve(corpus.dataset.name, changes)
    assert isinstance(params, TrainingParams)
    found = find_encoder(params.encoder, home.cache) if params.encoder else None
    with torch.random.fork_rng():
        network = system.released(path, Dims.of(corpus, found), params)
    set_precision(params.precision, device)
    return Restored(
        name=path.name,
        system=system,
        params=params,
        network=prepared(network.to(torch.device(device)).eval(), params),
        encoder=found,
        model=facts_of(system, params, {}, corpus, found),
        seed=0,
        device=torch.device(device),
        notices=tuple(by_design(system, params)),
    )


def _with_layout(name: str | None) -> System:
    """The system whose released weights are meant."""
    known = [one for one in systems if systems[one].released is not None]
    if name is not None and systems[name].released is None:
        raise SpecError(
            f"system {name} has no layout of released weights (known: {', '.join(known) or 'none'})"
        )
    if name is None and len(known) != 1:
        raise SpecError(
            "say which system the released weights are of",
            hint=" or ".join(f"--system {one}" for one in known) or "no system has such a layout",
        )
    return systems[name or known[0]]
