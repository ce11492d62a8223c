"""Mini-batches: resident tensors, gathered by row and trimmed to the longest clip present.

Shapes: B clips, T frames, D features, L tokens.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.contents import unimodal_labels
from harness.data.corpus import STREAMS, Split
from harness.errors import SpecError

__all__ = ["Batch", "BatchSource", "Sequence", "Tokens", "balanced_order", "epoch_order"]


@dataclass(frozen=True, eq=False)
class Sequence:
    """A padded feature stream.

    Args:
        values: (B, T, D) float32, zero from each clip's length on.
        lengths: (B,) int64, 1 to T.
        frames: Padded length in the corpus, T before trimming.
    """

    values: Tensor
    lengths: Tensor
    frames: int

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, True on frames that carry signal."""
        steps = torch.arange(self.values.shape[1], device=self.values.device)  # (T,)
        return steps < self.lengths.unsqueeze(1)

    def untrimmed(self) -> Tensor:
        """(B, frames, D): the padding restored, for layers whose weights depend on T."""
        missing = self.frames - self.values.shape[1]
        return torch.nn.functional.pad(self.values, (0, 0, 0, missing))


@dataclass(frozen=True, eq=False)
class Tokens:
    """Encoder input, each (B, L) int64: ids, attention mask (1 = token), segment ids."""

    ids: Tensor
    mask: Tensor
    segments: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """B clips.

    Args:
        rows: (B,) int64, positions of the clips within their split.
        text, audio, vision: Feature streams; None where the corpus lacks one.
        tokens: Encoder input; None unless the system asked for it.
        clues: Encoder input of ``audio_clue``, ``visual_clue``, ``summary``, those asked for.
        clue_vectors: (B, K H) frozen sentence vectors of the K explanations, if asked for.
        labels: (B,) float32.
        unimodal: ``label_T``, ``label_A``, ``label_V`` -> (B,) float32, those that training clips
            of the corpus have; NaN where a clip has none.
        domains: (B,) int64, the domain each clip comes from, where the corpus names several.
        present: ``text``, ``audio``, ``vision`` -> (B,) bool, whether corruption left anything of
            it; empty where nothing was corrupted.
    """

    rows: Tensor
    text: Sequence | None = None
    audio: Sequence | None = None
    vision: Sequence | None = None
    tokens: Tokens | None = None
    clues: Mapping[str, Tokens] = field(default_factory=dict)
    clue_vectors: Tensor | None = None
    labels: Tensor
    unimodal: Mapping[str, Tensor] = field(default_factory=dict)
    domains: Tensor | None = None
    present: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


class BatchSource:
    """The resident tensors of one split.

    Args:
        split: Clips to serve.
        inputs: Which feature streams the system reads.
        tokens: ``tokens`` or the name of an explanation -> (n, 3, L) int32 ids, mask, segments.
        clue_vectors: (n, K H) float32, or None.
        device: Where batches are wanted.
        padded: Whether batches keep the corpus's padding, so that all have one shape.
    """

    def __init__(
        self,
        split: Split,
        *,
        inputs: frozenset[str],
        tokens: Mapping[str, NDArray[np.int32]] | None = None,
        clue_vectors: NDArray[np.float32] | None = None,
        device: torch.device | None = None,
        padded: bool = False,
    ) -> None:
        self._device = device or torch.device("cpu")
        self._padded = padded
        self._streams = {
            name: (torch.from_numpy(stream.values), torch.from_numpy(stream.lengths))
            for name in STREAMS
            if name in inputs and (stream := split.stream(name)) is not None
        }
        self._tokens = {
            name: torch.from_numpy(np.ascontiguousarray(coded))
            for name, coded in (tokens or {}).items()
        }
        self._vectors = None if clue_vectors is None else torch.from_numpy(clue_vectors)
        self._labels = {
            name: torch.from_numpy(split.clips[name].to_numpy(dtype=np.float32, copy=True))
            for name in ("label", *unimodal_labels(split.corpus))
        }
        self._domains = _domain_codes(split)
        self._size = len(split)
        self._change: Callable[[Batch], Batch] | None = None
        self._changes: Callable[[int], Callable[[Batch], Batch]] | None = None

    def __len__(self) -> int:
        return self._size

    @property
    def labels(self) -> Tensor:
        """(n,) float32 labels of all clips."""
        return self._move(self._labels["label"])

    @property
    def unimodal(self) -> Mapping[str, Tensor]:
        """(n,) float32 by name, see ``Batch.unimodal``."""
        return {name: self._move(v) for name, v in self._labels.items() if name != "label"}

    @property
    def domains(self) -> Tensor | None:
        """(n,) int64, see ``Batch.domains``."""
        return None if self._domains is None else self._move(self._domains)

    def through(self, change: Callable[[Batch], Batch]) -> BatchSource:
        """The same clips, every batch changed on its way out."""
        changed = copy.copy(self)
        changed._change = change
        return changed

    def varying(self, changes: Callable[[int], Callable[[Batch], Batch]]) -> BatchSource:
        """The same clips, which ``at`` changes in another way for every seed."""
        changed = copy.copy(self)
        changed._changes = changes
        return changed

    def at(self, seed: int) -> BatchSource:
        """The clips as the epoch with this seed sees them: as they are, unless they vary."""
        return self if self._changes is None else self.through(self._changes(seed))

    def gather(self, rows: Tensor) -> Batch:
        """The clips at ``rows`` (B,), each stream trimmed to its longest clip unless ``padded``."""
        batch = self._gather(rows)
        return batch if self._change is None else self._change(batch)

    def _gather(self, rows: Tensor) -> Batch:
        rows = rows.cpu()  # where the resident tensors are
        labels = {name: self._move(values[rows]) for name, values in self._labels.items()}
        coded = {name: self._coded(whole[rows]) for name, whole in self._tokens.items()}
        transcript = coded.pop("tokens", None)
        return Batch(
            rows=self._move(rows),
            **{name: self._sequence(name, rows) for name in self._streams},
            present={},
            tokens=transcript,
            clues=coded,
            clue_vectors=None if self._vectors is None else self._move(self._vectors[rows]),
            labels=labels.pop("label"),
            unimodal=labels,
            domains=None if self._domains is None else self._move(self._domains[rows]),
        )

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All clips once, in storage order."""
        for rows in torch.arange(self._size).split(batch_size):
            yield self.gather(rows)

    def _sequence(self, name: str, rows: Tensor) -> Sequence:
        values, lengths = self._streams[name]
        chosen = lengths[rows]  # (B,)
        kept = int(values.shape[1]) if self._padded else int(chosen.max())
        trimmed = values[:, :kept].index_select(0, rows)  # (B, T, D)
        return Sequence(self._move(trimmed), self._move(chosen), int(values.shape[1]))

    def _coded(self, chosen: Tensor) -> Tokens:
        """(B, 3, L) -> tokens, trimmed to the longest text unless ``padded``."""
        # Row 1 is the attention mask; a text without tokens keeps one position.
        longest = chosen.shape[2] if self._padded else max(int(chosen[:, 1].sum(1).max()), 1)
        ids, mask, segments = self._move(chosen[:, :, :longest].long()).unbind(1)  # (B, L) each
        return Tokens(ids, mask, segments)

    def _move(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)


def _domain_codes(split: Split) -> Tensor | None:
    """(n,) positions of the clips' domains among all of the corpus, in alphabetical order."""
    if "domain" not in split.clips:
        return None
    known = sorted(set(split.corpus.clips["domain"]))
    return torch.from_numpy(np.searchsorted(known, split.clips["domain"].to_numpy(dtype=str)))


def epoch_order(size: int, batch_size: int, generator: np.random.Generator) -> list[Tensor]:
    """Rows of one epoch's batches in random order.

    A last batch of one clip joins the batch before it: batch normalisation has no statistics for a
    single clip, and dropping it would lose data.
    """
    batches = list(torch.from_numpy(generator.permutation(size)).split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def balanced_order(
    domains: Tensor, batch_size: int, generator: np.random.Generator
) -> list[Tensor]:
    """Rows of one epoch's batches, each with equally many clips of every domain.

    An epoch has as many batches as ``epoch_order`` has; within a domain clips come in random
    order, and all of them once more in another order when they are used up.

    Args:
        domains: (n,) int64, of D domains.
        batch_size: Clips of a batch, rounded down to a multiple of D.
        generator: Draws the orders.

    Raises:
        SpecError: When a batch has no room for one clip of each domain.
    """
    kinds = domains.cpu().unique()
    each = batch_size // len(kinds)
    if not each:
        raise SpecError(
            f"batches of {batch_size} clips cannot hold one of each of {len(kinds)} domains",
            hint="raise batch_size",
        )
    count = math.ceil(len(domains) / batch_size)
    drawn = [_drawn(domains.cpu() == kind, count * each, generator) for kind in kinds]
    # A batch is one row: ``each`` clips of every domain, side by side.
    batches = np.concatenate([rows.reshape(count, each) for rows in drawn], axis=1)
    return list(torch.from_numpy(batches))


def _drawn(members: Tensor, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(count,) rows of members, each as often as any other or once more."""
    rows = members.nonzero().squeeze(1).numpy()
    rounds = math.ceil(count / len(rows))
    return np.concatenate([generator.permutation(rows) for _ in range(rounds)])[:count]
