"""What corrupts the clips of one split, batch by batch, where the batch is.

Shapes: n clips of the split, B clips of a batch, D features.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.corruption.draws import Draws, clip_keys
from harness.corruption.laws import LawDraws, damage_of
from harness.corruption.operators import Damage, Units, corrupt
from harness.data.batching import Batch, BatchSource
from harness.data.corpus import Corpus, Split
from harness.spec.conditions import SEED, Condition
from harness.spec.laws import laws
from harness.text import Encoder

__all__ = ["Corrupter", "deviations", "unknown_token"]

_CHUNK = 256  # clips read at once


class Corrupter:
    """The corruption of one split.

    Args:
        split: Whose clips; noise has the deviations of its corpus's training clips as unit.
        encoder: Whose token for unknown words replaces words; None without tokens.
        device: Where batches are.
    """

    def __init__(
        self, split: Split, encoder: Encoder | None = None, device: torch.device | None = None
    ) -> None:
        corpus = split.corpus
        self._device = device or torch.device("cpu")
        self._keys = clip_keys(corpus.dataset.name, split.name, split.ids).to(self._device)
        self._units = Units(
            deviations={
                name: torch.from_numpy(deviations(corpus, name)).to(self._device)
                for name in ("audio", "vision")
                if name in corpus.streams
            },
            unknown=0 if encoder is None else unknown_token(encoder),
        )
        self._raw = Units(
            deviations={name: torch.ones_like(d) for name, d in self._units.deviations.items()},
            unknown=0,
            spare_ends=False,
        )

    def draws(self, rows: Tensor, seed: int = SEED) -> Draws:
        """The draws of the clips at ``rows`` (B,), for all conditions to share."""
        keys = self._keys[rows.to(self._device)]
        return Draws(keys, seed, rows=rows, size=len(self._keys))

    def under(self, condition: Condition, batch: Batch, draws: Draws) -> Batch:
        """A batch of the split as it is under a condition."""
        if condition.is_clean:
            return batch
        return corrupt(batch, damage_of(condition, draws), draws, self._units)

    def varying(self, source: BatchSource, law: str) -> BatchSource:
        """Clips that each epoch sees after another drawing of a law, or under a condition.

        Args:
            source: Clips of the split.
            law: A name that ``harness.spec.conditions.check_training`` accepts.
        """
        return source if law == "none" else source.varying(lambda seed: self._change(law, seed))

    def fixed(self, source: BatchSource, law: str) -> BatchSource:
        """The same, in the one drawing that every system and epoch sees."""
        return source if law == "none" else source.through(self._change(law, SEED))

    def _change(self, law: str, seed: int) -> Callable[[Batch], Batch]:
        if law not in laws:
            condition = Condition.parse(law)
            return self._changed(lambda draws: damage_of(condition, draws), seed, self._units)
        found = laws[law]
        damage = found.damage
        if damage is None:
            return lambda batch: batch
        seed = SEED if found.static else seed
        units = self._raw if found.raw else self._units
        return self._changed(lambda draws: damage(LawDraws(draws)), seed, units)

    def _changed(
        self, damage: Callable[[Draws], Damage], seed: int, units: Units
    ) -> Callable[[Batch], Batch]:
        def change(batch: Batch) -> Batch:
            draws = self.draws(batch.rows, seed)
            return corrupt(batch, damage(draws), draws, units)

        return change


@functools.lru_cache(maxsize=8)
def deviations(corpus: Corpus, name: str) -> NDArray[np.float32]:
    """(D,) float32 standard deviation of each feature over the true frames of training clips."""
    stream = corpus.split("train").stream(name)
    assert stream is not None
    frames = int(stream.lengths.sum())
    totals = np.zeros((2, stream.dim))
    for start in range(0, len(stream.lengths), _CHUNK):
        values = stream.values[start : start + _CHUNK].astype(np.float64)  # zero beyond lengths
        totals += values.sum(axis=(0, 1)), np.square(values).sum(axis=(0, 1))
    mean, square = totals / frames
    found: NDArray[np.float32] = np.sqrt((square - mean**2).clip(min=0.0)).astype(np.float32)
    return found


@functools.cache
def unknown_token(encoder: Encoder) -> int:
    """The id that an encoder's tokenizer gives to words it does not know.

    It is 100 in both BERT-base vocabularies. Tokenizers without such a token (of bytes) use their
    padding, as the code of QA-MoE (ACL 2026) does.
    """
    tokenizer = encoder.tokenizer()
    unknown = tokenizer.unk_token_id
    return int(unknown if unknown is not None else tokenizer.pad_token_id or 0)
