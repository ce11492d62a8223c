"""The training loop against its bare steps, and trimmed batches against padded ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from harness import data
from harness.benchmarks.loops import BareSteps, ready_loop
from harness.benchmarks.measure import BenchmarkRow, Scale, alternate, cpu
from harness.data.batching import BatchSource
from harness.data.corpus import Corpus
from harness.home import Home
from harness.spec import Scalar
from harness.system import systems
from harness.text import Encoder, find_encoder
from harness.text.synthetic import TWIN_ENCODER

__all__ = ["ON_A_FEW_CLIPS", "loop_overhead", "trimming"]

_SMALL_TFN: Mapping[str, Scalar] = {
    **{"text_hidden": 32, "audio_hidden": 8, "vision_hidden": 8},
    **{"text_out": 8, "fusion_size": 16},
}
_SHARE_OF_OVERHEAD = 1.03
ON_A_FEW_CLIPS = ("ef_lstm", "lmf", "mult", "misa", "self_mm", "almt", "text")
_REPEATS, _FEWER_REPEATS = 8, 2
"""Epochs of either kind per repeat of the scale: they are short, and their times scatter."""


def loop_overhead(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """An epoch of the training loop against forward, loss, backward and step on ready batches."""
    home = Home(folder)
    shares = (scale.share, scale.share or "-x12")
    whole, few = (data.load(f"mosi-twin@compact{share}", home) for share in shares)
    encoder = find_encoder(TWIN_ENCODER, home.cache)
    rows = [
        _overhead(whole, "lf_dnn", {}, "LF-DNN as published for MOSI", scale.repeats * _REPEATS),
        _overhead(whole, "tfn", _SMALL_TFN, "a small TFN, 4 ms a step", scale.repeats * _REPEATS),
    ]
    for name in ON_A_FEW_CLIPS[: scale.looped]:
        repeats = scale.repeats * _FEWER_REPEATS
        title = f"{systems[name].card.title} as published for MOSI"
        rows.append(_overhead(few, name, {}, title, repeats, encoder, home.cache))
    return rows


def trimming(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Batches cut to their longest clip against batches padded as stored."""
    corpus = data.load(f"mosi-twin@unaligned-50{scale.share}", Home(folder))
    trimmed, padded = (ready_loop(corpus, "lf_dnn", {}) for _ in range(2))
    padded.sources["train"] = BatchSource(
        corpus.split("train"), inputs=systems["lf_dnn"].inputs, padded=True
    )
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
        BenchmarkRow(
            what="Training epoch of LF-DNN on trimmed batches",
            reference=reference,
            ours=epochs[0],
            theirs=epochs[1],
            note=f"MOSI's unaligned shapes, {shapes}; its LSTM skips padding by itself, so what is"
            " left to save is copying",
        ),
        BenchmarkRow(
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
    cache: Path | None = None,
) -> BenchmarkRow:
    if encoder is not None and "tokens" in systems[system].inputs:
        changes = {"encoder": TWIN_ENCODER, **changes}
    loop = ready_loop(corpus, system, changes, encoder=encoder, cache=cache)
    bare = BareSteps(loop)
    ours, theirs = alternate(cpu(lambda: loop.train_epoch(1)), cpu(bare.epoch), repeats=repeats)
    read = f", read by {encoder.name}" if encoder and "tokens" in systems[system].inputs else ""
    return BenchmarkRow(
        what=f"Training epoch, {title}",
        reference="forward, loss, backward, step in plain PyTorch on batches gathered before",
        ours=ours,
        theirs=theirs,
        target=_SHARE_OF_OVERHEAD,
        note=f"{len(corpus.split('train')):,} clips of the compact twin{read}",
    )
