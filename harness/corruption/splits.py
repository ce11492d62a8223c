"""A corrupted split as a split, for systems that read arrays and transcripts instead of batches.

The operators and draws are those of batches. A transcript's words are split at spaces, a Chinese
one's are its characters; word k stands where token k of a tokenizer of whole words would.

Shapes: n clips, B clips of a chunk, L words and both ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence as Many

import numpy as np
import torch

from harness.corruption.corrupter import Corrupter
from harness.corruption.draws import Draws
from harness.corruption.laws import damage_of
from harness.corruption.operators import Units, corrupt
from harness.data.batching import Batch, BatchSource, Tokens
from harness.data.corpus import STREAMS, Split, Stream
from harness.spec.conditions import Condition

__all__ = ["UNKNOWN_WORD", "split_under"]

UNKNOWN_WORD = "[UNK]"
_CHUNK = 256  # clips
_UNKNOWN, _ENDS = -1, 2


def split_under(
    split: Split, condition: Condition, corrupter: Corrupter, reads: frozenset[str]
) -> Split:
    """The clips as they are under a condition.

    Args:
        split: Clips as they are.
        condition: What happens to them.
        corrupter: Of the split.
        reads: Which of ``transcript``, ``text``, ``audio``, ``vision`` are wanted; the rest, labels
            and explanations among it, stays as it is.

    Returns:
        A split of a corpus that has these clips alone.
    """
    if condition.is_clean:
        return split
    corpus = split.corpus
    streams = {name: stream for name in STREAMS if (stream := split.stream(name)) is not None}
    clips = split.clips
    if "transcript" in reads:
        draws = corrupter.draws(torch.arange(len(split)))
        texts = _texts(split.texts, corpus.dataset.language, condition, draws)
        clips = clips.assign(text=texts)
    streams |= _streams(split, condition, corrupter, reads & set(streams))
    changed = dataclasses.replace(corpus, clips=clips, streams=streams, tokens=split.tokens)
    return Split(changed, split.name, slice(0, len(split)))


def _streams(
    split: Split, condition: Condition, corrupter: Corrupter, reads: frozenset[str]
) -> dict[str, Stream]:
    source = BatchSource(split, inputs=reads)
    found = {}
    for name in sorted(reads):
        whole = split.stream(name)
        assert whole is not None
        found[name] = Stream(np.zeros_like(whole.values), np.empty_like(whole.lengths))
    for batch in source.in_order(_CHUNK):
        hit = corrupter.under(condition, batch, corrupter.draws(batch.rows))
        for name, stream in found.items():
            _fill(stream, name, hit)
    return found


def _fill(stream: Stream, name: str, batch: Batch) -> None:
    rows, sequence = batch.rows.numpy(), getattr(batch, name)
    values = sequence.values.numpy()
    stream.values[rows, : values.shape[1]] = values
    stream.lengths[rows] = sequence.lengths.numpy()


def _texts(texts: Many[str], language: str, condition: Condition, draws: Draws) -> list[str]:
    """Transcripts whose words went through the operator of tokens, as numbers."""
    joint = "" if language == "zh" else " "
    words = [list(text) if language == "zh" else text.split() for text in texts]
    counts = torch.tensor([len(own) for own in words])
    places = torch.arange(int(counts.max()) + _ENDS)
    mask = (places < (counts + _ENDS).unsqueeze(1)).long()
    tokens = Tokens(places * mask, mask, torch.zeros_like(mask))  # word k is the number k
    batch = Batch(rows=torch.arange(len(texts)), tokens=tokens, labels=torch.zeros(len(texts)))
    units = Units(deviations={}, unknown=_UNKNOWN)
    hit = corrupt(batch, damage_of(condition, draws), draws, units).tokens
    assert hit is not None
    return [
        joint.join(_word(own, number) for number in row[1 : count - 1].tolist())
        for own, row, count in zip(words, hit.ids, hit.mask.sum(1).tolist(), strict=True)
    ]


def _word(words: list[str], number: int) -> str:
    return UNKNOWN_WORD if number == _UNKNOWN else words[number - 1]
