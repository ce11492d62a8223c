"""What the figures of LNLN and ConFEDE have in place of random draws.

Shapes: n clips, T steps of a stream, B clips of a batch.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from baselines._shared.bert import audio_vision, tokens_of
from baselines._shared.missing import without_frames, without_tokens
from harness.testing.formula import rehearsed_clips

DRAWN = 6  # clips for each clip of ConFEDE


def holes(layout, count, seed=7):
    """LNLN's kept steps by stream, (n, T) bool, and a rate for each clip, (n,).

    The rates are drawn by themselves: they are labels of the loss, not the share of the holes.
    """
    clips, rng = rehearsed_clips(layout, count, seed), np.random.default_rng(5)
    rates = rng.random(count).astype(np.float32)
    kept = {}
    for name, values in clips.streams.items():
        steps = np.arange(values.shape[1])
        chance = rng.random((count, len(steps)))
        kept[name] = (chance > 0.4) & (steps < clips.lengths[name][:, np.newaxis])
    kept["text"][:, 0] = True
    kept["text"][np.arange(count), clips.lengths["text"] - 1] = True
    return kept, rates


def damaged(layout, count):
    """A function in place of ``baselines.lnln.damaged``."""
    kept, rates = holes(layout, count)
    steps = {name: torch.from_numpy(values) for name, values in kept.items()}

    def damage(batch, params):
        tokens, (audio, vision) = tokens_of(batch), audio_vision(batch)

        def rest(name, length):
            return steps[name][batch.rows, :length]

        return dataclasses.replace(
            batch,
            tokens=without_tokens(tokens, rest("text", tokens.ids.shape[1]), params.unknown_token),
            audio=without_frames(audio, rest("audio", audio.values.shape[1])),
            vision=without_frames(vision, rest("vision", vision.values.shape[1])),
        ), torch.from_numpy(rates)[batch.rows]

    return damage


def drawn(count):
    """A method in place of ``ConFEDE._draw``: (B,) -> (B, 6)."""

    def draw(network, rows):
        return (7 * rows.unsqueeze(1) + 3 * torch.arange(DRAWN) + 1) % count

    return draw
