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
from harness.params import TokenParams
from harness.protocols import protocols
from harness.specs import Scalar
from harness.synthetic_encoder import TWIN_ENCODER
from harness.system import System, Task, TrainingParams, systems
from harness.text import Encoder, find_encoder
from harness.training import Loop, loop_of

__all__ = ["loop_overhead", "trimming"]

_SMALL_TFN: Mapping[str, Scalar] = {
    **{"text_hidden": 32, "audio_hidden": 8, "vision_hidden": 8},
    **{"text_out": 8, "fusion_size": 16},
}
_SHARE_OF_OVERHEAD = 1.03
_NOTHING_KEPT = Path()
"""Cache of systems that read no text."""
_ON_A_FEW_CLIPS = ("ef_lstm", "lmf", "mult", "misa", "self_mm", "almt", "text")
_REPEATS, _FEWER_REPEATS = 8, 2
"""Epochs of either kind per repeat of the scale: they are short, and their times scatter."""


def loop_overhead(folder: Path, scale: Scale) -> list[Row]:
    """An epoch of the training loop against forward, loss, backward and step on ready batches."""
    home = Home(folder)
    shares = (scale.share, scale.share or "-x12")
    whole, few = (data.load(f"mosi-twin@compact{share}", home) for share in shares)
    encoder = find_encoder(TWIN_ENCODER, home.cache)
    rows = [
        _overhead(whole, "lf_dnn", {}, "LF-DNN as published for MOSI", scale.repeats * _REPEATS),
        _overhead(whole, "tfn", _SMALL_TFN, "a small TFN, 4 ms a step", scale.repeats * _REPEATS),
    ]
    for name in _ON_A_FEW_CLIPS[: scale.looped]:
        repeats = scale.repeats * _FEWER_REPEATS
        title = f"{systems[name].card.title} as published for MOSI"
        rows.append(_overhead(few, name, {}, title, repeats, encoder, home.cache))
    return rows


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
    corpus: Corpus,
    system: str,
    changes: Mapping[str, Scalar],
    title: str,
    repeats: int,
    encoder: Encoder | None = None,
    cache: Path = _NOTHING_KEPT,
) -> Row:
    loop = _loop(corpus, system, changes, encoder, cache)
    bare = _BareSteps(loop)
    ours, theirs = alternate(cpu(lambda: loop.train_epoch(1)), cpu(bare.epoch), repeats=repeats)
    read = f", read by {encoder.name}" if encoder and "tokens" in systems[system].inputs else ""
    return Row(
        what=f"Training epoch, {title}",
        reference="forward, loss, backward, step in plain PyTorch on batches gathered before",
        ours=ours,
        theirs=theirs,
        target=_SHARE_OF_OVERHEAD,
        note=f"{len(corpus.split('train')):,} clips of the compact twin{read}",
    )


class _BareSteps:
    """What a loop does, without the loop: no order, gathering, schedule or bookkeeping.

    Args:
        loop: Whose network (a copy), optimiser settings and first epoch's batches to use.
    """

    def __init__(self, loop: Loop) -> None:
        params, source = loop.params, loop.sources["train"]
        (only,) = loop.stage.passes
        assert only.loss is None  # the network's own
        self.params = params
        self.network = copy.deepcopy(loop.network)
        kind = torch.optim.AdamW if params.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            self.network.parameter_groups(params),
            lr=params.lr,
            weight_decay=params.weight_decay,
            fused=True,
        )
        order = epoch_order(len(source), params.batch_size, np.random.default_rng(0))
        batches: list[Batch] = [source.gather(rows) for rows in order]
        each = params.accumulate
        assert not params.drops_tail  # a step's clips then weigh the same
        self.steps = [batches[start : start + each] for start in range(0, len(batches), each)]

    def epoch(self) -> None:
        """Every batch once; a step may take several."""
        network, params = self.network.train(), self.params
        for batches in self.steps:
            self.optimizer.zero_grad()
            clips = sum(map(len, batches))
            for batch in batches:
                self._backward(batch, len(batch) / clips)
            if params.clip_value:
                torch.nn.utils.clip_grad_value_(network.parameters(), params.clip_value)
            if params.clip_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), params.clip_norm)
            self.optimizer.step()

    def _backward(self, batch: Batch, share: float) -> None:
        functional = torch.nn.functional
        measure = functional.l1_loss if self.params.loss == "l1" else functional.mse_loss
        output = self.network(batch)
        losses = dict(output.losses)
        if "task" not in losses:
            losses["task"] = measure(output.prediction, batch.labels)
        (sum(losses.values(), start=torch.zeros(())) * share).backward()
        with torch.no_grad():
            self.network.after_step(batch, output)


class _Padded(BatchSource):
    """Batches that keep the corpus's padding."""

    def _sequence(self, name: str, rows: Tensor) -> Sequence:
        values, lengths = self._streams[name]
        return Sequence(values.index_select(0, rows), lengths[rows], int(values.shape[1]))


def _loop(
    corpus: Corpus,
    name: str,
    changes: Mapping[str, Scalar],
    encoder: Encoder | None = None,
    cache: Path = _NOTHING_KEPT,
) -> Loop:
    """A training loop about to begin its first epoch."""
    system: System = systems[name]
    if issubclass(system.params, TokenParams):
        changes = {"encoder": TWIN_ENCODER, **changes}
    params = system.resolve(corpus.dataset.name, changes)
    assert isinstance(params, TrainingParams)
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=dataclasses.replace(protocols["in_domain"], max_epochs=1000),
        seed=1111,
        device=torch.device("cpu"),
        encoder=encoder,
        cache=cache,
    )
    return loop_of(system, task, params)
