"""Counter-based draws: what happens to a clip depends on the clip alone.

A draw is a hash of (dataset, split, clip id, modality, purpose, position, feature, seed). So it is
the same in any batch, order, trimming, worker process or system, and streams of different
modalities or purposes are independent. Only integers take part, and no product leaves 63 bits, so
that the bits are those of any processor; normal deviates are looked up in one table.

Shapes: B clips, T steps, D features.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from harness._util.seeds import derive

__all__ = ["ONE", "VERSION", "Draws", "clip_keys", "mix", "share", "threshold"]

VERSION = 1
"""Grows when the same clip begins to get other draws."""

ONE = 2**32
"""Draws are whole numbers below this."""

_LOW = ONE - 1  # the lower 32 bits
_TABLE_BITS = 16  # 65,536 normal deviates
_PUBLISHED_SEED = 1111
_PUBLISHED_TOKENS = 50


def mix(x: Tensor) -> Tensor:
    """A permutation of [0, 2^32) that spreads every bit over all; int64 in and out.

    Source: the form xor-shift, multiply, xor-shift, multiply, xor-shift of integer finalisers, with
    constants below 2^31 from C. Wellons' search for low bias (hash-prospector).
    """
    x = x ^ (x >> 16)  # a new tensor: the rest works in place
    x.mul_(0x21F0AAAD).bitwise_and_(_LOW)
    x.bitwise_xor_(x >> 15)
    x.mul_(0x735A2D97).bitwise_and_(_LOW)
    return x.bitwise_xor_(x >> 15)


def threshold(rates: Tensor) -> Tensor:
    """Rates in [0, 1] as numbers that a draw falls below with that probability."""
    return (rates.double() * ONE).round().long()


def share(draws: Tensor) -> Tensor:
    """Draws as float64 in [0, 1), exactly."""
    return draws.double() / ONE


def clip_keys(dataset: str, split: str, ids: Sequence[str]) -> Tensor:
    """(n, 2) int64, 64 bits for each clip in two halves."""
    keys = np.array([derive(0, "clip", dataset, split, clip) for clip in ids], dtype=np.int64)
    # Halves, for ``mix`` multiplies and may not leave 63 bits.
    return torch.from_numpy(np.stack([keys >> 32, keys & _LOW], axis=1))


class Draws:
    """The draws of B clips; each is made once, however many conditions look at it.

    Args:
        keys: (B, 2), rows of ``clip_keys``.
        seed: Of the corruption: fixed for evaluation, another one in every epoch of training.
        rows: (B,) positions of the clips in their split, and ``size``, the number of clips there:
            what the published draws of LNLN depend on.
        size: n.
    """

    def __init__(self, keys: Tensor, seed: int, *, rows: Tensor, size: int) -> None:
        self._keys, self._seed, self._rows, self._size = keys, seed, rows, size
        self._made: dict[tuple[object, ...], Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the draws are made."""
        return self._keys.device

    def __len__(self) -> int:
        return len(self._keys)

    def clips(self, modality: str, purpose: str) -> Tensor:
        """(B,) one draw per clip."""
        return self._once(lambda: self._of_clips(modality, purpose), modality, purpose)

    def steps(self, modality: str, purpose: str, length: int, padded: int = 0) -> Tensor:
        """(B, length) one draw per position.

        Args:
            modality: Whose positions.
            purpose: Independent for each; ``published``: as LNLN's code draws them, which depends
                on the padded length of the stream.
            length: T.
            padded: Steps of the longest clip that the corpus has room for.
        """
        if purpose == "published":
            table = _published_table(self._size, max(length, padded))
            return table[self._rows.cpu(), :length].to(self.device)
        return self._once(
            lambda: self._of_steps(modality, purpose, length), modality, purpose, length
        )

    def normals(self, modality: str, length: int, features: int) -> Tensor:
        """(B, length, features) float32, standard normal in 65,536 values of equal probability."""
        return self._once(
            lambda: self._normals(modality, length, features), modality, length, features
        )

    def _once(self, make: Callable[[], Tensor], *key: object) -> Tensor:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _of_clips(self, modality: str, purpose: str) -> Tensor:
        salt = derive(self._seed, "corruption", modality, purpose)
        high, low = self._keys.unbind(1)  # (B,) each
        # Key and salt go in 32 bits at a time, mixed after each.
        return mix(mix(mix(mix(high) ^ (salt >> 32)) ^ low) ^ (salt & _LOW))

    def _of_steps(self, modality: str, purpose: str, length: int) -> Tensor:
        clips = self.clips(modality, purpose).unsqueeze(1)  # (B, 1)
        return mix(clips ^ mix(self._count(length)))  # (B, T)

    def _normals(self, modality: str, length: int, features: int) -> Tensor:
        steps = self.steps(modality, "noise", length).unsqueeze(2)  # (B, T, 1)
        places = mix(steps ^ mix(self._count(features)))  # (B, T, D)
        return _normal_table(self.device)[places >> (32 - _TABLE_BITS)]  # (B, T, D)

    def _count(self, many: int) -> Tensor:
        """1 to ``many``: the hash of 0 is 0, which would single one position out."""
        return torch.arange(1, many + 1, device=self.device)


@functools.cache
def _normal_table(device: torch.device) -> Tensor:
    """Quantiles of the standard normal at the middles of 65,536 equal shares, unit variance."""
    count = 2**_TABLE_BITS
    quantiles = ndtri((np.arange(count) + 0.5) / count)
    return torch.from_numpy((quantiles / quantiles.std()).astype(np.float32)).to(device)


@functools.lru_cache(maxsize=4)
def _published_table(clips: int, steps: int) -> Tensor:
    """(n, T) what NumPy's legacy generator gives a whole split after every re-seeding."""
    uniform = np.random.RandomState(_PUBLISHED_SEED).uniform(size=(clips, steps))
    return torch.from_numpy((uniform * ONE).astype(np.int64))
