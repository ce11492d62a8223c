"""Is a corpus what it claims to be? Every claim is one check with a verdict.

Checks compare with the dataset as published (counts, signs, source videos, label scale), with the
corpus contract (finite values, zero padding, unique ids) and, between corpora, look for clips that
occur twice. Twins imitate a dataset at their own scale, so official counts do not bind them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.corpus import LABELS, Corpus, Stream
from harness.data.datasets import SPLITS

__all__ = ["Check", "Verdict", "audit"]

Verdict = Literal["ok", "note", "warn", "fail"]
"""``note``: known and harmless when stated; ``warn``: look at it; ``fail``: do not use as it is."""

_BLOCK = 32 << 20  # bytes of float32 looked at together
_SAME_LABEL = 1e-6


@dataclass(frozen=True, kw_only=True)
class Check:
    """One claim about one corpus."""

    corpus: str
    name: str
    verdict: Verdict
    expected: str | int
    found: str | int
    detail: str = ""


def audit(corpora: Sequence[Corpus]) -> list[Check]:
    """Check each corpus, then each pair of real ones for shared clips.

    Reads every stored stream once, in blocks.
    """
    checks = [check for corpus in corpora for check in _corpus_checks(corpus)]
    real = [corpus for corpus in corpora if not corpus.is_twin]
    for first, second in itertools.combinations(real, 2):
        checks += _pair_checks(first, second)
    return checks


def _corpus_checks(corpus: Corpus) -> Iterator[Check]:
    if not corpus.is_twin:
        yield from _official_counts(corpus)
    yield _unique_ids(corpus)
    yield from _label_scale(corpus)
    yield _texts(corpus)
    yield _sources(corpus)
    if {"start", "stop"} <= set(corpus.clips.columns):
        yield _durations(corpus)
    yield _modalities(corpus)
    for name, stream in corpus.streams.items():
        yield from _stream_checks(corpus, name, stream)


def _official_counts(corpus: Corpus) -> Iterator[Check]:
    official = corpus.dataset.splits
    resplit = _resplit(corpus)
    verdict: Verdict = "warn" if resplit else "fail"
    detail = "all clips, in another split: never compare with the official one" if resplit else ""
    for split, counts in official.items():
        part = corpus.split(split)
        signs = f"{counts.negative}/{counts.zero}/{counts.positive}"
        claims: dict[str, tuple[str | int, str | int]] = {
            "clips": (counts.clips, len(part)),
            "signs": (signs, _signs(part.labels)),
            "videos": (counts.videos, int(part.clips["video"].nunique())),
        }
        for name, (expected, found) in claims.items():
            yield Check(
                corpus=corpus.name,
                name=f"{name} {split}",
                verdict="ok" if expected == found else verdict,
                expected=expected,
                found=found,
                detail="" if expected == found else detail,
            )


def _resplit(corpus: Corpus) -> bool:
    """Whether these are all clips of the dataset, in splits of other sizes."""
    official = corpus.dataset.splits.values()
    totals = [sum(c.negative for c in official), sum(c.zero for c in official)]
    totals.append(sum(c.positive for c in official))
    complete = _signs(corpus.clips["label"].to_numpy()) == "/".join(map(str, totals))
    sizes = [len(part) for part in corpus.splits.values()]
    return complete and sizes != [counts.clips for counts in official]


def _signs(labels: NDArray[np.float64]) -> str:
    return f"{(labels < 0).sum()}/{(labels == 0).sum()}/{(labels > 0).sum()}"


def _none_of(corpus: Corpus, name: str, found: int, otherwise: Verdict, detail: str = "") -> Check:
    """A check that expects to find nothing."""
    return Check(
        corpus=corpus.name,
        name=name,
        verdict=otherwise if found else "ok",
        expected=0,
        found=found,
        detail=detail if found else "",
    )


def _unique_ids(corpus: Corpus) -> Check:
    repeated = corpus.clips["id"][corpus.clips["id"].duplicated()]
    return _none_of(
        corpus, "repeated ids", len(repeated), "fail", f"such as {', '.join(repeated[:3])}"
    )


def _label_scale(corpus: Corpus) -> Iterator[Check]:
    low, high, grid = corpus.dataset.low, corpus.dataset.high, corpus.dataset.grid
    for column in (name for name in LABELS if name in corpus.clips):
        labels = corpus.clips[column].to_numpy(dtype=np.float64)
        if column != "label":  # clips without a uni-modal label are a fact of some files
            labels = labels[~np.isnan(labels)]
        outside = int((~((labels >= low) & (labels <= high))).sum())
        yield _none_of(
            corpus, f"{column} out of range", outside, "fail", f"the scale is {low:g} to {high:g}"
        )
        if grid is None:
            continue
        steps = labels / grid
        off = np.abs(steps - np.round(steps)) > _SAME_LABEL
        few = off.mean() <= 0.001 if off.size else True
        values = ", ".join(f"{value:g}" for value in np.unique(labels[off])[:5])
        yield _none_of(
            corpus,
            f"{column} off the grid",
            int(off.sum()),
            "note" if few else "fail",
            f"the step is {grid:g}; found {values}",
        )


def _texts(corpus: Corpus) -> Check:
    texts = corpus.clips["text"]
    empty = corpus.clips["id"][texts.isna() | (texts.str.strip() == "")]
    detail = f"such as {', '.join(empty[:3])}"
    return _none_of(
        corpus, "empty texts", len(empty), "fail" if len(empty) == len(texts) else "warn", detail
    )


def _durations(corpus: Corpus) -> Check:
    clips = corpus.clips
    empty = clips["id"][(clips["stop"] <= clips["start"]).to_numpy()]
    detail = f"stop is not after start: {', '.join(empty[:3])}"
    return _none_of(corpus, "clips of no duration", len(empty), "note", detail)


def _sources(corpus: Corpus) -> Check:
    """Test videos that also have clips in train: the model has met the speaker and the scene."""
    videos = {name: set(part.clips["video"]) for name, part in corpus.splits.items()}
    shared = {
        f"{first} and {second}": len(videos[first] & videos[second])
        for first, second in itertools.combinations(SPLITS, 2)
    }
    detail = (
        f"{len(videos['test'] & videos['train'])} of {len(videos['test'])} test videos are in train"
        if shared["train and test"]
        else "; ".join(f"{count} in {pair}" for pair, count in shared.items() if count)
    )
    verdict: Verdict = "note" if corpus.dataset.splits_share_videos else "fail"
    return _none_of(corpus, "videos in two splits", sum(shared.values()), verdict, detail)


def _modalities(corpus: Corpus) -> Check:
    found = [f"{name} {s.frames}x{s.dim}" for name, s in corpus.streams.items()]
    if corpus.tokens is not None:
        found.append(f"tokens {corpus.tokens.shape[2]}")
    published = corpus.dataset.shapes.get(corpus.feature_set, {})
    lacking = [name for name in published if name not in corpus.streams]
    return Check(
        corpus=corpus.name,
        name="modalities",
        verdict="fail" if lacking and not corpus.is_twin else "ok",
        expected=", ".join(f"{name} {t}x{d}" for name, (t, d) in published.items()) or "any",
        found=", ".join(found) or "transcripts and labels",
        detail=f"lacks {', '.join(lacking)}" if lacking else "",
    )


def _stream_checks(corpus: Corpus, name: str, stream: Stream) -> Iterator[Check]:
    nonfinite, beyond, silent = _scan(stream)
    yield _none_of(corpus, f"{name} NaN or infinite", nonfinite, "fail", "in the stored stream")
    yield _none_of(corpus, f"{name} signal in padding", beyond, "fail", "frames past the length")
    outside = int(((stream.lengths < 1) | (stream.lengths > stream.frames)).sum())
    yield _none_of(
        corpus, f"{name} lengths out of range", outside, "fail", f"1 to {stream.frames} frames"
    )
    share = silent / max(len(stream.lengths), 1)
    grave: Verdict = "fail" if share == 1 else "warn" if share > 0.05 else "note"
    detail = f"{share:.1%} of clips; median length {np.median(stream.lengths):g} frames"
    yield _none_of(corpus, f"{name} clips without signal", silent, grave, detail)
    cleaned = _cleaned(corpus, name)
    yield _none_of(
        corpus, f"{name} values cleaned", cleaned, "note", "NaN or infinite in the source, now 0"
    )


def _scan(stream: Stream) -> tuple[int, int, int]:
    """Values that are not finite, frames with signal past the length, clips without signal."""
    step = max(1, _BLOCK // max(1, 4 * stream.frames * stream.dim))
    nonfinite = beyond = silent = 0
    for start in range(0, len(stream.values), step):
        part = stream[start : start + step]
        nonfinite += int(part.values.size - np.isfinite(part.values).sum())
        occupied: NDArray[np.bool_] = np.any(part.values, axis=2)  # (n, T)
        padding = np.arange(stream.frames) >= part.lengths[:, None]
        beyond += int((occupied & padding).sum())
        silent += int((~occupied.any(axis=1)).sum())
    return nonfinite, beyond, silent


def _cleaned(corpus: Corpus, name: str) -> int:
    """Values that the reader replaced, as its manifest says."""
    record: object = corpus.manifest.get("streams")
    for key in (name, "nonfinite"):
        record = record.get(key) if isinstance(record, dict) else None
    splits = record.values() if isinstance(record, dict) else ()
    return sum(sum(counts.values()) for counts in splits)


def _pair_checks(first: Corpus, second: Corpus) -> Iterator[Check]:
    columns = ["id", "split", "text", "label"]
    shared = first.clips[columns].merge(second.clips[columns], on="id", suffixes=("_a", "_b"))
    if first.dataset.name == second.dataset.name:
        yield from _same_dataset(first, second, shared)
    elif first.dataset.name in second.dataset.contains:
        yield _containment(first, second, shared)
    elif second.dataset.name in first.dataset.contains:
        yield _containment(second, first, shared)
    else:
        yield _none_of(first, f"clips shared with {second.name}", len(shared), "fail", "by id")


def _agreement(shared: pd.DataFrame) -> tuple[int, int]:
    """Clips with equal label and with equal split."""
    labels = np.abs(shared["label_a"] - shared["label_b"]) <= _SAME_LABEL
    return int(labels.sum()), int((shared["split_a"] == shared["split_b"]).sum())


def _same_dataset(first: Corpus, second: Corpus, shared: pd.DataFrame) -> Iterator[Check]:
    labels, splits = _agreement(shared)
    claims: dict[str, tuple[int, int, Verdict]] = {
        "clips": (max(len(first.clips), len(second.clips)), len(shared), "warn"),
        "labels": (len(shared), labels, "fail"),
        "split": (len(shared), splits, "warn"),
    }
    test_a, test_b = shared["split_a"] == "test", shared["split_b"] == "test"
    detail = {
        "split": f"{(test_b & ~test_a).sum()} of its test clips are in train or valid here,"
        f" {(test_a & ~test_b).sum()} of the test clips here are in train or valid there"
    }
    for name, (expected, found, otherwise) in claims.items():
        yield Check(
            corpus=first.name,
            name=f"same {name} as {second.name}",
            verdict="ok" if expected == found else otherwise,
            expected=expected,
            found=found,
            detail="" if expected == found else detail.get(name, ""),
        )


def _containment(part: Corpus, whole: Corpus, shared: pd.DataFrame) -> Check:
    """A dataset inside another one: declared, so a note, as long as it is complete and equal."""
    labels, splits = _agreement(shared)
    n = len(part.clips)
    test = len(whole.split("test"))
    both = int(((shared["split_a"] == "test") & (shared["split_b"] == "test")).sum())
    edited = int((shared["text_a"] != shared["text_b"]).sum())
    return Check(
        corpus=whole.name,
        name=f"contains {part.name}",
        verdict="note" if len(shared) == labels == splits == n else "fail",
        expected=f"{n} clips, {n} equal labels, {n} equal splits",
        found=f"{len(shared)} clips, {labels} equal labels, {splits} equal splits",
        detail=(
            f"not independent evidence: {both / max(test, 1):.1%} of its test clips are test clips"
            f" there; {edited} texts differ"
        ),
    )
