"""Is a stored stream sound, and what did its reader have to do to it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.data.audit.check import Check, Verdict, none_of, such_as
from harness.data.corpus import Corpus, Stream

__all__ = ["stream_checks"]

_BLOCK = 32 << 20  # bytes of float32 looked at together
_RECORDED = {
    "moved_clips": ("clips moved", "padded in front in the source, now at the end"),
    "cut_clips": ("clips cut", "signal past the stated length in the source, now 0"),
    "cut_frames": ("frames cut", "past the stated length in the source, now 0"),
    "extended_clips": ("clips extended", "stated shorter in the source than their signal"),
    "truncated_clips": ("clips truncated", "stated longer in the source than its arrays"),
    "silent_starts": ("clips with silent starts", "frames of 0 before the signal, kept"),
    "empty_clips": ("clips empty in the source", "all frames 0 as read"),
}


def stream_checks(corpus: Corpus, name: str, stream: Stream) -> Iterator[Check]:
    """What a stored stream holds, and what its reader did to it.

    Reads the stream once, in blocks.
    """
    nonfinite, beyond, silent, unused = _scan(stream)
    yield none_of(corpus, f"{name} NaN or infinite", nonfinite, "fail", "in the stored stream")
    yield none_of(corpus, f"{name} signal in padding", beyond, "fail", "frames past the length")
    outside = int(((stream.lengths < 1) | (stream.lengths > stream.frames)).sum())
    yield none_of(
        corpus, f"{name} lengths out of range", outside, "fail", f"1 to {stream.frames} frames"
    )
    share = silent / max(len(stream.lengths), 1)
    grave: Verdict = "fail" if share == 1 else "warn" if share > 0.05 else "note"
    detail = f"{share:.1%} of clips; median length {np.median(stream.lengths):g} frames"
    yield none_of(corpus, f"{name} clips without signal", silent, grave, detail)
    unused = [] if share == 1 else unused  # said above
    said = f"of {stream.dim}, in every frame: {such_as(f'column {k}' for k in unused)}"
    yield none_of(corpus, f"{name} features that are all 0", len(unused), "note", said)
    yield from _reader_checks(corpus, name)


def _reader_checks(corpus: Corpus, name: str) -> Iterator[Check]:
    """What the reader changed, as its manifest says."""
    streams = corpus.manifest.get("streams")
    record = streams.get(name) if isinstance(streams, Mapping) else None
    record = record if isinstance(record, Mapping) else {}
    cleaned = _total(record.get("nonfinite"))
    yield none_of(
        corpus, f"{name} values cleaned", cleaned, "note", "NaN or infinite in the source, now 0"
    )
    for key, (what, detail) in _RECORDED.items():
        yield none_of(corpus, f"{name} {what}", _total(record.get(key)), "note", detail)


def _total(record: Json) -> int:
    """A count, or the sum of the counts in a record of counts."""
    if isinstance(record, Mapping):
        return sum(_total(part) for part in record.values())
    return record if isinstance(record, int) else 0


def _scan(stream: Stream) -> tuple[int, int, int, list[int]]:
    """Values not finite, frames with signal past the length, clips and features without signal."""
    used = np.zeros(stream.dim, bool)
    step = max(1, _BLOCK // max(1, 4 * stream.frames * stream.dim))
    nonfinite = beyond = silent = 0
    for start in range(0, len(stream.values), step):
        part = stream[start : start + step]
        nonfinite += int(part.values.size - np.isfinite(part.values).sum())
        occupied: NDArray[np.bool_] = np.any(part.values, axis=2)  # (n, T)
        padding = np.arange(stream.frames) >= part.lengths[:, None]
        beyond += int((occupied & padding).sum())
        silent += int((~occupied.any(axis=1)).sum())
        used |= np.any(part.values, axis=(0, 1))
    return nonfinite, beyond, silent, np.flatnonzero(~used).tolist()
