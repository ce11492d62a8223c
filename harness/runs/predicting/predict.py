"""Kept weights applied to clips: found, checked to fit, predicted as the run predicted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from harness._util.seeds import derive
from harness.data.corpus import Split
from harness.errors import RunFailed
from harness.home import Home
from harness.runs.predicting.clips import Clips, find_clips
from harness.runs.predicting.recordings import HeardBy
from harness.runs.predicting.sources import find_weights
from harness.runs.predicting.writing import need_format, write
from harness.runs.running import refuse_absent
from harness.runs.weights.restoring import Restored
from harness.training import predict as predict_batches

__all__ = ["Predicted", "predict"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """Predictions of some clips.

    Args:
        table: Columns ``id``, ``split`` where the clips are of a corpus, and ``pred`` (float64, on
            the label scale of ``dataset``), in the order of the clips.
        system: Registered name of what predicted.
        dataset: Whose labels it was trained on.
        weights: What the weights are called: a run, a folder, a file.
        on: What the clips are called.
        encoder: Name of the text encoder; None without one.
        notices: What a reader must know, one sentence each.
    """

    table: pd.DataFrame
    system: str
    dataset: str
    weights: str
    on: str
    encoder: str | None
    notices: tuple[str, ...]


def predict(
    source: str | Path,
    on: str | Path,
    *,
    to: Path | None = None,
    split: str = "test",
    system: str | None = None,
    encoder: str | None = None,
    space_encoder: str | None = None,
    whisper: str | None = None,
    openface: Path | None = None,
    workers: int = 1,
    device: str = "cpu",
    home: Home | None = None,
) -> Predicted:
    """Apply trained weights to clips.

    On the corpus that it was trained on, a network predicts what its run stored, bit for bit: clips
    go through it in batches of 256 in their order, on one thread, whatever the machine has.

    Args:
        source: A stored run (the first digits of its key, or ``SUITE:ROW:CORPUS:SEED``), or a
            folder that ``msa weights`` exported, or a file that a paper's authors released (.pth),
            which is applied to corpora alone.
        on: A corpus (``dataset@feature-set``); a table of clips (CSV, Parquet, JSON lines: ``id``
            and ``text``); a pickle of features in MMSA's layout, labels not needed; or a folder of
            recordings, whose features are made by ``msa extract``.
        to: File to write the predictions to, .csv, .parquet or .jsonl; None writes none.
        split: Of a corpus: ``train``, ``valid``, ``test`` or ``all``.
        system: What released weights are of; may be left out where one system alone has such.
        encoder: Where the text encoder is, when its name alone does not say.
        space_encoder: The same of the encoder that makes the text stream of recordings.
        whisper: faster-whisper weights that transcribe recordings; None where ``manifest.csv`` has
            a column ``text``.
        openface: Folder of OpenFace tables, for recordings.
        workers: Processes that extract features of recordings; predictions never depend on it.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        home: Where runs, corpora and caches live; ``Home.default()`` when None.

    Raises:
        SpecError: For names that are unknown or ambiguous, or options that do not go together.
        DataError: For files that cannot be read, weights that are damaged or were changed, another
            text encoder, and clips without what the network reads, or in another feature set or
            other sizes.
        StoreError: For a run that is not stored, is damaged or keeps no weights; when the disk
            refuses.
        RunFailed: When predictions are not finite, or nothing can be extracted.
        MissingExtra: When a package is not installed that the work needs.
    """
    home = home or Home.default()
    if to is not None:
        need_format(to)
    refuse_absent(device)
    with _one_thread():
        restored = find_weights(source, home, on=on, system=system, encoder=encoder, device=device)
        how = HeardBy(
            whisper=whisper, openface=openface, space_encoder=space_encoder, workers=workers
        )
        clips = find_clips(on, restored, home, split=split, how=how)
        table = _table(restored, clips, home)
    if to is not None:
        write(to, table)
    return Predicted(
        table=table,
        system=restored.system.name,
        dataset=restored.model.dataset,
        weights=restored.name,
        on=clips.name,
        encoder=None if restored.encoder is None else restored.encoder.name,
        notices=(*restored.notices, *clips.notices),
    )


def _table(restored: Restored, clips: Clips, home: Home) -> pd.DataFrame:
    parts = []
    for name in clips.splits:
        split = clips.corpus.split(name)
        told = {"split": name} if clips.labelled else {}
        values = _predictions(restored, split, home.cache)
        parts.append(pd.DataFrame({"id": split.ids, **told, "pred": values}))
    return pd.concat(parts, ignore_index=True)


def _predictions(restored: Restored, split: Split, cache: Path) -> NDArray[np.float64]:
    """(n,) of a split; those that depend on the pass are drawn from the run's seed."""
    source = restored.source(split, cache)
    with torch.random.fork_rng():
        torch.manual_seed(derive(restored.seed, "predict"))
        values = predict_batches(restored.network, source).astype(np.float64)
    broken = int((~np.isfinite(values)).sum())
    if broken:
        raise RunFailed(
            f"{restored.name} gives {broken} of {len(values)} clips no finite prediction"
        )
    return values


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """As workers compute: small models run faster so, and bits do not depend on cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
