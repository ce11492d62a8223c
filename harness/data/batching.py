"""Mini-batches: resident tensors, gathered by row and trimmed to the longest clip present.

What decides the shape of a batch, the lengths of its clips, is known on the host: no step of
training waits for a device.

Shapes: B clips, T frames, D features, L tokens.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from harness.data.contents import unimodal_labels
from harness.data.corpus import STREAMS, Split
from harness.data.residency import has_room
from harness.errors import SpecError

__all__ = [
    "Batch",
    "BatchSource",
    "Rows",
    "Sequence",
    "Tokens",
    "balanced_order",
    "epoch_order",
]

_BERTS = frozenset({"bert", "roberta", "xlm-roberta"})
"""Kinds of encoders whose mask is (B, 1, L, L) where it is not left out."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """A padded feature stream.

    Args:
        values: (B, T, D) float32, zero from each clip's length on.
        lengths: (B,) int64, 1 to T.
        frames: Padded length in the corpus, T before trimming.
        on_host: The lengths again, on the host; None where only the device knows them.
    """

    values: Tensor
    lengths: Tensor
    frames: int
    on_host: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, True on frames that carry signal."""
        steps = torch.arange(self.values.shape[1], device=self.values.device)  # (T,)
        return steps < self.lengths.unsqueeze(1)

    def untrimmed(self) -> Tensor:
        """(B, frames, D): the padding restored, for layers whose weights depend on T."""
        missing = self.frames - self.values.shape[1]
        return torch.nn.functional.pad(self.values, (0, 0, 0, missing))

    @property
    def counts(self) -> Tensor:
        """The lengths, on the host; a device is asked where nothing else knows them."""
        if self.on_host is None or self.lengths.device.type == "cpu":
            return self.lengths.cpu()  # where lengths were replaced, these are
        return self.on_host

    def packed(self, values: Tensor | None = None) -> PackedSequence:
        """True frames alone, the longest clip first, as recurrent layers read them.

        Args:
            values: (B, T, D) of these clips, in place of the stream's own.
        """
        read = self.values if values is None else values
        counts, order = self.counts.sort(descending=True)
        if read.device.type != "cpu":  # sending it there would wait; clips of one length may swap
            order = self.lengths.argsort(descending=True)
        whole = pack_padded_sequence(read.index_select(0, order), counts, batch_first=True)
        return PackedSequence(whole.data, whole.batch_sizes, order)

    @staticmethod
    def unpacked(packed: PackedSequence, steps: int) -> Tensor:
        """(B, ``steps``, D) of the clips in their own order, zero beyond the frames of each."""
        longest_first = PackedSequence(packed.data, packed.batch_sizes)
        values, _ = pad_packed_sequence(longest_first, batch_first=True, total_length=steps)
        assert packed.unsorted_indices is not None
        return values.index_select(0, packed.unsorted_indices)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Encoder input, each (B, L) int64: ids, attention mask (1 = token), segment ids.

    ``on_host`` (B,) are the tokens of each clip, on the host; None where only the device knows.
    """

    ids: Tensor
    mask: Tensor
    segments: Tensor
    on_host: Tensor | None = None

    def attended(self, network: nn.Module) -> Tensor | None:
        """What the attention of a text encoder may see, as the encoder takes it.

        Encoders like BERT leave a mask out that hides nothing, and would ask the device for that.
        """
        config: Any = getattr(network, "config", None)
        asks = getattr(config, "model_type", "") in _BERTS and config._attn_implementation == "sdpa"
        if self.on_host is None or not asks or torch.compiler.is_compiling():
            return self.mask
        longest = self.mask.shape[1]
        counts = self.mask.sum(1) if self.mask.device.type == "cpu" else self.on_host
        if int(counts.min()) == longest:
            return None
        return self.mask.bool()[:, None, None].expand(-1, 1, longest, -1)  # (B, 1, L, L)

    def stream(self, values: Tensor) -> Sequence:
        """(B, T, D) as a stream that ends where the clip's tokens do, or where it ends itself."""
        frames = values.shape[1]
        known = None if self.on_host is None else self.on_host.clamp(max=frames)
        return Sequence(values, self.mask.sum(1).clamp(max=frames), frames, known)


@dataclass(frozen=True, eq=False)
class Rows:
    """Positions (B,) of a batch's clips within their split, on the host and where batches are."""

    here: Tensor
    there: Tensor

    def __len__(self) -> int:
        return len(self.here)


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
    """The resident tensors of one split, in the precision they are stored in.

    They lie where batches are wanted if there is room (``harness.data.residency``); else they stay
    on the host, and each batch is sent.

    Args:
        split: Clips to serve.
        inputs: Which feature streams the system reads.
        tokens: ``tokens`` or the name of an explanation -> (n, 3, L) int32 ids, mask, segments.
        clue_vectors: (n, K H) float32, or None.
        device: Where batches are wanted.
        padded: Whether batches keep the corpus's padding, so that all have one shape.
        resident: Whether the tensors lie there; None: if there is room.
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
        resident: bool | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self._padded = padded
        streams = {
            name: stream
            for name in STREAMS
            if name in inputs and (stream := split.stream(name)) is not None
        }
        coded = {
            name: torch.from_numpy(np.ascontiguousarray(whole))
            for name, whole in (tokens or {}).items()
        }
        self._lengths = {name: torch.from_numpy(s.lengths) for name, s in streams.items()}
        # Row 1 is the attention mask.
        self._counts = {name: whole[:, 1].sum(1) for name, whole in coded.items()}
        self._tables: dict[str, dict[str, Tensor]] = {
            "values": {name: torch.from_numpy(s.values) for name, s in streams.items()},
            "lengths": self._lengths,
            "tokens": coded,
            "vectors": {} if clue_vectors is None else {"all": torch.from_numpy(clue_vectors)},
            "labels": {
                name: torch.from_numpy(split.clips[name].to_numpy(dtype=np.float32, copy=True))
                for name in ("label", *unimodal_labels(split.corpus))
            },
            "domains": _domain_codes(split),
        }
        self.resident = self._fits(split) if resident is None else resident
        """Whether the clips lie where batches are wanted."""
        if self.resident:
            self._tables = {
                kind: {name: table.to(self.device) for name, table in tables.items()}
                for kind, tables in self._tables.items()
            }
        self._size = len(split)
        self._change: Callable[[Batch], Batch] | None = None
        self._changes: Callable[[int], Callable[[Batch], Batch]] | None = None

    def _fits(self, split: Split) -> bool:
        needed = sum(table.nbytes for kind in self._tables.values() for table in kind.values())
        return has_room(needed, self.device, f"{split.name} clips of {split.corpus.name}")

    def __len__(self) -> int:
        return self._size

    @property
    def labels(self) -> Tensor:
        """(n,) float32 labels of all clips."""
        return self._send(self._tables["labels"]["label"])

    @property
    def unimodal(self) -> Mapping[str, Tensor]:
        """(n,) float32 by name, see ``Batch.unimodal``."""
        labels = self._tables["labels"]
        return {name: self._send(v) for name, v in labels.items() if name != "label"}

    @property
    def domains(self) -> Tensor | None:
        """(n,) int64, see ``Batch.domains``."""
        codes = self._tables["domains"].get("domain")
        return None if codes is None else self._send(codes)

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

    def placed(self, order: Iterable[Tensor]) -> list[Rows]:
        """Rows of batches, on the host, sent to the device all at once."""
        batches = list(order)
        if not batches:
            return []
        there = self._send(torch.cat(batches)).split([len(rows) for rows in batches])
        return [Rows(*pair) for pair in zip(batches, there, strict=True)]

    def gather(self, rows: Tensor | Rows) -> Batch:
        """The clips at ``rows`` (B,), each stream trimmed to its longest clip unless ``padded``."""
        if isinstance(rows, Tensor):
            rows = Rows(rows.cpu(), self._send(rows))
        batch = self._gather(rows)
        return batch if self._change is None else self._change(batch)

    def _gather(self, rows: Rows) -> Batch:
        labels = self._all("labels", rows)
        coded = {name: self._coded(name, rows) for name in self._tables["tokens"]}
        transcript = coded.pop("tokens", None)
        return Batch(
            rows=rows.there,
            **{name: self._sequence(name, rows) for name in self._tables["values"]},
            present={},
            tokens=transcript,
            clues=coded,
            clue_vectors=self._all("vectors", rows).get("all"),
            labels=labels.pop("label"),
            unimodal=labels,
            domains=self._all("domains", rows).get("domain"),
        )

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All clips once, in storage order."""
        yield from map(self.gather, self.placed(torch.arange(self._size).split(batch_size)))

    def _sequence(self, name: str, rows: Rows) -> Sequence:
        values = self._tables["values"][name]
        frames = int(values.shape[1])
        chosen = self._lengths[name][rows.here]  # (B,)
        kept = frames if self._padded else int(chosen.max())
        trimmed = self._take(values[:, :kept], rows).float()  # (B, T, D)
        return Sequence(trimmed, self._take(self._tables["lengths"][name], rows), frames, chosen)

    def _coded(self, name: str, rows: Rows) -> Tokens:
        """Tokens, trimmed to the longest text unless ``padded``."""
        whole = self._tables["tokens"][name]  # (n, 3, L)
        counts = self._counts[name][rows.here]  # (B,)
        # A text without tokens keeps one position.
        longest = whole.shape[2] if self._padded else max(int(counts.max()), 1)
        ids, mask, segments = self._take(whole[:, :, :longest], rows).long().unbind(1)  # (B, L)
        return Tokens(ids, mask, segments, counts)

    def _all(self, kind: str, rows: Rows) -> dict[str, Tensor]:
        return {name: self._take(table, rows) for name, table in self._tables[kind].items()}

    def _take(self, table: Tensor, rows: Rows) -> Tensor:
        """(n, …) -> (B, …), where batches are wanted."""
        if self.resident:
            return table.index_select(0, rows.there)
        return self._send(table.index_select(0, rows.here))

    def _send(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda" and not tensor.is_cuda:
            tensor = tensor.pin_memory()  # from other memory the host would wait for the copy
        return tensor.to(self.device, non_blocking=True)


def _domain_codes(split: Split) -> dict[str, Tensor]:
    """(n,) positions of the clips' domains among all of the corpus, in alphabetical order."""
    if "domain" not in split.clips:
        return {}
    known = sorted(set(split.corpus.clips["domain"]))
    codes = np.searchsorted(known, split.clips["domain"].to_numpy(dtype=str))
    return {"domain": torch.from_numpy(codes)}


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
