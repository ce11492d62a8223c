"""Streams brought to a fixed number of steps."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool1d

from harness.data.batching import Sequence, Tokens
from text_model.inputs import first_frames, pooled_frames, resized_tokens


def ragged(lengths, frames):
    torch.manual_seed(0)
    lengths = torch.tensor(lengths)
    values = torch.randn(len(lengths), frames, 3)
    values[torch.arange(frames) >= lengths.unsqueeze(1)] = 0
    return Sequence(values, lengths, frames)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_pooling_is_torchs_adaptive_pooling_of_the_true_frames(steps):
    sequence = ragged([1, 6, 7, 8, 49, 50, 51, 99, 375], 375)
    pooled = pooled_frames(sequence, steps)
    assert pooled.values.shape == (9, steps, 3)
    for values, mask, own, length in zip(
        *pooled, sequence.values, sequence.lengths.tolist(), strict=True
    ):
        count = min(length, steps)
        expected = adaptive_avg_pool1d(own[:length].T, count).T
        torch.testing.assert_close(values[:count], expected)
        assert (values[count:] == 0).all()
        assert mask.tolist() == [step < count for step in range(steps)]


def test_a_short_clip_is_not_changed():
    sequence = ragged([3, 5], 9)
    torch.testing.assert_close(pooled_frames(sequence, 6).values, sequence.values[:, :6])


@pytest.mark.parametrize("frames", [4, 6, 9])
def test_first_frames_are_cut_or_padded(frames):
    sequence = ragged([2, 4], frames)
    stream = first_frames(sequence, 6)
    kept = min(frames, 6)
    assert torch.equal(stream.values[:, :kept], sequence.values[:, :kept])
    assert (stream.values[:, kept:] == 0).all()
    assert stream.mask.sum(1).tolist() == [2, 4]


@pytest.mark.parametrize(
    ("silent", "start"),
    [((), 0), ((0, 1), 2), ((1,), 0), ((0, 1, 2, 3, 4), 3)],
    ids=["speech", "late", "pause", "too late for six frames"],
)
def test_silence_at_the_start_is_skipped_while_enough_frames_are_left(silent, start):
    sequence = ragged([9, 8], 9)
    sequence.values[0, list(silent)] = 0
    stream = first_frames(sequence, 6)
    assert torch.equal(stream.values[0], sequence.values[0, start : start + 6])
    assert torch.equal(stream.values[1], sequence.values[1, :6]) and stream.mask.all()


def test_streams_of_the_wanted_length_keep_their_silence():
    sequence = ragged([6], 6)
    sequence.values[0, :3] = 0
    assert torch.equal(first_frames(sequence, 6).values, sequence.values)


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_tokens_are_cut_or_padded(steps):
    tokens = Tokens(torch.tensor([[5, 6, 7]]), torch.tensor([[1, 1, 1]]), torch.tensor([[0, 0, 1]]))
    fitted = resized_tokens(tokens, steps)
    assert fitted.ids.tolist() == [[5, 6, 7, 0, 0][:steps]]
    assert fitted.mask.tolist() == [[1, 1, 1, 0, 0][:steps]]
    assert fitted.segments.tolist() == [[0, 0, 1, 0, 0][:steps]]
