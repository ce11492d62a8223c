"""Sizes and batches for tests of systems that read tokens, audio and vision."""

from __future__ import annotations

from pathlib import Path

import torch

from harness.data.batching import Batch, Sequence, Tokens
from harness.data.datasets import datasets
from harness.system.network import Dims
from harness.text import Blueprint, Encoder
from harness.training import total_loss

FEATURES = {"sims": "unaligned-39"}
FRAMES = {"audio": (9, 5), "vision": (7, 4)}


def parameters(system, dataset, *, features="", **changes):
    """Number of parameters at the sizes of the public files, without memory behind them."""
    known = datasets[dataset]
    shapes = known.shapes[features or FEATURES.get(dataset, "unaligned-50")]
    blueprint = Blueprint.bert_base(known.language)
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high, encoder=blueprint)
        network = system.build(dims, system.resolve(dataset, changes))
    return sum(p.numel() for p in network.parameters())


def dims_of(encoder, high=3.0):
    """Sizes of the clips below, with the encoder in a folder."""
    return Dims(**FRAMES, low=-high, high=high, encoder=Encoder("tiny", Path(encoder)))


def build(system, encoder, small, **changes):
    """A small network for the clips below."""
    torch.manual_seed(0)
    return system.build(dims_of(encoder), system.resolve("mosi", small(system, **changes)))


def stream(lengths, features, frames):
    """Noise of these lengths, zero beyond them."""
    values = torch.randn(len(lengths), max(lengths), features)
    count = torch.tensor(lengths)
    values[torch.arange(max(lengths)) >= count.unsqueeze(1)] = 0
    return Sequence(values, count, frames)


def tokens(lengths):
    """Random words between [CLS] and [SEP], zero beyond them."""
    ids = torch.randint(5, 12, (len(lengths), max(lengths)))
    count = torch.tensor(lengths).unsqueeze(1)
    places = torch.arange(max(lengths))
    ids = torch.where(places == 0, 2, torch.where(places == count - 1, 3, ids))
    mask = (places < count).long()
    return Tokens(ids * mask, mask, torch.zeros_like(mask))


def a_batch(words=(4, 6, 3), audio=(5, 9, 2), vision=(7, 1, 3)):
    """Clips of these numbers of tokens, audio and vision frames."""
    count = len(words)
    return Batch(
        rows=torch.arange(count),
        tokens=tokens(words),
        audio=stream(audio, FRAMES["audio"][1], FRAMES["audio"][0]),
        vision=stream(vision, FRAMES["vision"][1], FRAMES["vision"][0]),
        labels=torch.linspace(-1.5, 2.0, count),
    )


def idle_weights(network, batch):
    """Names of trained weights that no gradient reached in several attempts."""
    idle = {name for name, p in network.named_parameters() if p.requires_grad}
    for _ in range(4):  # dropout may silence a unit once
        network.zero_grad()
        total_loss(network(batch), batch, network.params).backward()
        idle -= {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    return idle
