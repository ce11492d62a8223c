"""The training loop against its bare steps, and trimmed batches against padded ones."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness import data
from harness.batching import Batch, BatchSource, Sequence, epoch_order
from harness.benchmarks.measure import Row, Scale, alternate, cpu
from harness.data.corpus import Corpus
from harness.home import Home
from harness.protocols import protocols
from harness.specs import Scalar
from harness.system import System, Task, TrainingParams, systems
from harness.training import Loop, loop_of

__all__ = ["loop_overhead", "trimming"]

_SMALL_TFN: Mapping[str, Scalar] = {
    **{"text_hidden": 32, "audio_hidden": 8, "vision_hidden": 8},
    **{"text_out": 8, "fusion_size": 16},
}
_SHARE_OF_OVERHEAD = 1.03


def loop_overhead(folder: Path, scale: Scale) -> list[Row]:
    """An epoch of the training loop against forward, loss, backward and step on ready batches."""
    corpus = data.load(f"mosi-twin@compact{scale.share}", Home(folder))
    return [
        _overhead(corpus, "lf_dnn", {}, "LF-DNN as published for MOSI", scale),
        _overhead(corpus, "tfn", _SMALL_TFN, "a small TFN, 4 ms a step", scale),
    ]


def trimming(folder: Path, scale: Scale) -> list[Row]:
    """Batches cut to their longest clip against batches padded as stored."""
    corpus = data.load(f"mosi-twin@unaligned-50{scale.share}", Home(folder))
    trimmed, padded = _loop(corpus, "lf_dnn", {}), _loop(corpus, "lf_dnn", {})
    padded.sources["train"] = _Padded(corpus.split("train"), inputs=systems["lf_dnn"].inputs)
    lstm = torch.nn.LSTM(corpus.streams["text"].dim, 128, batch_first=True)
    epochs = alternate(
        cpu(lambda: trimmed.train_epoch(1)),
        cpu(lambda: padded.train_epoch(1)),
        cpu(lambda: _read_text(lstm, trimmed.sources["train"])),
        cpu(lambda: _read_text(lstm, padded.sources["train"])),
        repeats=2 * scale.repeats,
    )
    reference = "the same on batches padded as stored"
    shapes = "50 x 768, 375 x 5, 500 x 20"
    return [
        Row(
            what="Training epoch of LF-DNN on trimmed batches",
            reference=reference,
            ours=epochs[0],
            theirs=epochs[1],
            note=f"MOSI's unaligned shapes, {shapes}; its LSTM skips padding by itself, so what is"
            " left to save is copying",
        ),
        Row(
            what="Text through an LSTM that skips nothing, on trimmed batches",
            reference=reference,
            ours=epochs[2],
            theirs=epochs[3],
            note="32 clips a batch, forward only",
        ),
    ]


@torch.inference_mode()
def _read_text(lstm: torch.nn.LSTM, source: BatchSource) -> None:
    for batch in source.in_order(32):
        assert batch.text is not None
        lstm(batch.text.values)


def _overhead(
    corpus: Corpus, system: str, changes: Mapping[str, Scalar], title: str, scale: Scale
) -> Row:
    loop = _loop(corpus, system, changes)
    bare = _BareSteps(loop)
    ours, theirs = alternate(
        cpu(lambda: loop.train_epoch(1)), cpu(bare.epoch), repeats=8 * scale.repeats
    )
    return Row(
        what=f"Training epoch, {title}",
        reference="forward, loss, backward, step in plain PyTorch on batches gathered before",
        ours=ours,
        theirs=theirs,
        target=_SHARE_OF_OVERHEAD,
        note="batches of the compact twin",
    )


class _BareSteps:
    """What a loop does, without the loop: no order, gathering, schedule, clipping or bookkeeping.

    Args:
        loop: Whose network (a copy), optimiser settings and first epoch's batches to use.
    """

    def __init__(self, loop: Loop) -> None:
        params, source = loop.params, loop.sources["train"]
        self.network = copy.deepcopy(loop.network)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=params.lr, weight_decay=params.weight_decay, fused=True
        )
        order = epoch_order(len(source), params.batch_size, np.random.default_rng(0))
        self.batches: list[Batch] = [source.gather(rows) for rows in order]

    def epoch(self) -> None:
        """One step per batch."""
        self.network.train()
        for batch in self.batches:
            self.optimizer.zero_grad()
            prediction = self.network(batch).prediction
            torch.nn.functional.l1_loss(prediction, batch.labels).backward()
            self.optimizer.step()


class _Padded(BatchSource):
    """Batches that keep the corpus's padding."""

    def _sequence(self, name: str, rows: Tensor) -> Sequence:
        values, lengths = self._streams[name]
        return Sequence(values.index_select(0, rows), lengths[rows], int(values.shape[1]))


def _loop(corpus: Corpus, name: str, changes: Mapping[str, Scalar]) -> Loop:
    """A training loop about to begin its first epoch."""
    system: System = systems[name]
    params = system.resolve(corpus.dataset.name, changes)
    assert isinstance(params, TrainingParams)
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=dataclasses.replace(protocols["in_domain"], max_epochs=1000),
        seed=1111,
        device=torch.device("cpu"),
        encoder=None,
        cache=Path(),
    )
    return loop_of(system, task, params)
