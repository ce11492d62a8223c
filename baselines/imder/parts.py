"""What IMDer is made of beside the diffusion: who is missing, refinement, fusion.

Shapes: B clips, D features of a stream, N steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from baselines._shared.transformer import CrossModalEncoder
from baselines.imder.score import shown

__all__ = ["NAMES", "RATES", "CrossModalReader", "Refiner", "dealt", "kept_streams"]

NAMES = ("text", "vision", "audio")

RATES: Mapping[float, tuple[float, float]] = {
    0.1: (0.1, 0.1),
    0.2: (0.2, 0.2),
    0.3: (0.3, 0.3),
    0.4: (0.5, 0.2),
    0.5: (0.7, 0.1),
    0.6: (0.9, 0.0),
    0.7: (1.0, 0.0),
}
"""Missing rate -> shares of what keeps one stream, and of what keeps two; the rest keeps all.

Source: IMDer code; on average a third as many streams are missing as each rate says of three.
"""

_BLOCKS = 20
_GATE = 16  # times as narrow as what it gates


def dealt(number: int, batches: int, rate: float) -> int:
    """How many streams a batch of an epoch keeps as released: first one, then two, then all.

    Args:
        number: Of the batch, from 0.
        batches: Of the epoch. Shares are of their number to the nearest ten; where that is 0, of
            the number itself (ours: the released code divides by zero).
        rate: One of ``RATES``.
    """
    whole = 10 * round(batches / 10) or batches
    one, two = (
        next(count for count in itertools.count() if count / whole >= share)
        for share in RATES[rate]
    )
    if number < one:
        return 1
    return 2 if number < one + two else len(NAMES)


def kept_streams(counts: Tensor) -> Tensor:
    """(B,) how many streams each clip keeps -> (B, 3) bool, True on those, drawn at random."""
    order = torch.rand(len(counts), len(NAMES), device=counts.device).argsort(1)
    return order < counts.unsqueeze(1)  # a random order is its own ranks, in distribution


class Gated(nn.Module):
    """x + g(m) r(x): two convolutions, each feature of them weighted by its mean over time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.gate = nn.Sequential(
            *(nn.Conv1d(width, width // _GATE, 1), nn.ReLU()),
            *(nn.Conv1d(width // _GATE, width, 1), nn.Sigmoid()),
        )

    def forward(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """(B, W, N), zero beyond true steps, and (B, N) which are -> (B, W, N), likewise."""
        change = shown(self.second(shown(self.first(values).relu(), mask)), mask)
        count = values.shape[2] if mask is None else mask.sum(1)[:, None, None]
        mean = change.sum(2, keepdim=True) / count  # (B, W, 1)
        refined: Tensor = values + change * self.gate(mean)
        return refined


class Refiner(nn.Module):
    """What a sample of a stream becomes: a residual chain of gated convolutions, twice as wide."""

    def __init__(self, size: int, blocks: int) -> None:
        super().__init__()
        wide = 2 * size
        self.enter = nn.Conv1d(size, wide, 1)
        self.blocks = nn.ModuleList(Gated(wide) for _ in range(blocks))
        self.join = nn.Conv1d(wide, wide, 3, padding=1)
        self.leave = nn.Conv1d(wide, size, 1)

    def forward(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """(B, D, N) and (B, N) bool, True on true steps; None: all -> (B, D, N), zero beyond."""
        start = state = shown(self.enter(values), mask)
        for block in self.blocks:
            state = block(state, mask)
        return shown(self.leave(start + self.join(state)), mask)


class CrossModalReader(nn.Module):
    """As MulT: m_s = memory_s([s reads a; s reads b]) at its last step, y = w (m + MLP(m)) + b.

    Args:
        size: D.
        encoder: (width, stream that is read) -> encoder of it.
        dropout: Within the MLP.
    """

    order = ("text", "audio", "vision")

    def __init__(
        self, size: int, encoder: Callable[[int, str], CrossModalEncoder], dropout: float
    ) -> None:
        super().__init__()
        self.readers = nn.ModuleDict(
            {
                f"{reader}_reads_{read}": encoder(size, read)
                for reader in self.order
                for read in self.order
                if read != reader
            }
        )
        self.memories = nn.ModuleDict({m: encoder(2 * size, "text") for m in self.order})
        joined = 2 * len(self.order) * size
        self.residual = nn.Sequential(
            *(nn.Linear(joined, joined), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(joined, joined),
        )
        self.head = nn.Linear(joined, 1)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None) -> Tensor:
        """(B, D, N) of each stream and (B, N) bool, True on true steps; None: all -> (B,)."""
        steps = {name: stream.mT for name, stream in streams.items()}
        fused = torch.cat([self._remember(name, steps, mask) for name in self.order], dim=1)
        prediction: Tensor = self.head(fused + self.residual(fused)).squeeze(1)
        return prediction

    def _remember(self, name: str, steps: Mapping[str, Tensor], mask: Tensor | None) -> Tensor:
        """(B, 2 D): the memory of one stream, which read the two others, after its last step."""
        seen = [
            self.readers[f"{name}_reads_{read}"](
                steps[name], steps[read], query_mask=mask, source_mask=mask
            )
            for read in self.order
            if read != name
        ]
        states: Tensor = self.memories[name](torch.cat(seen, dim=2), query_mask=mask)
        if mask is None:
            return states[:, -1]
        return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
