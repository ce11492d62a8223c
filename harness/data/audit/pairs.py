"""Do two corpora share clips, and do they say the same of them?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.data.audit.annotations import annotation_signs
from harness.data.audit.check import Check, Verdict, none_of, such_as
from harness.data.corpus import Corpus
from harness.data.identifiers import skeleton

__all__ = ["pair_checks"]

_SAME_LABEL = 1e-6


def pair_checks(first: Corpus, second: Corpus) -> Iterator[Check]:
    """Clips of two real corpora under ids that a person reads as one."""
    one, other = (_by_appearance(corpus) for corpus in (first, second))
    shared = one.merge(other, on="seen", suffixes=("_a", "_b"))
    if first.dataset.name == second.dataset.name:
        yield from _same_dataset(first, second, shared)
    elif first.dataset.name in second.dataset.contains:
        yield _containment(first, second, shared)
    elif second.dataset.name in first.dataset.contains:
        yield _containment(second, first, shared)
    else:
        yield none_of(
            first,
            f"clips shared with {second.name}",
            len(shared),
            "fail",
            f"by id, of {len(first.clips)} here and {len(second.clips)} there;"
            f" {_agreement(shared)[0]} with the same label",
        )


def _by_appearance(corpus: Corpus) -> pd.DataFrame:
    """One row per id that looks different, under what it looks like."""
    columns = corpus.clips[["id", "split", "text", "label"]]
    seen = columns["id"].map(skeleton)
    signs = annotation_signs(corpus.clips)
    return columns.assign(seen=seen, sign=signs).drop_duplicates("seen")


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
    yield from _same_annotations(first, second, shared)


def _same_annotations(first: Corpus, second: Corpus, shared: pd.DataFrame) -> Iterator[Check]:
    """Words of one clip in two files of its dataset, such as an aligned and an unaligned one."""
    both = shared[shared["sign_a"].notna() & shared["sign_b"].notna()]
    if both.empty:
        return
    apart = both["id_a"][both["sign_a"] != both["sign_b"]]
    shown = f"of {len(both)} clips with a word in both: {such_as(apart)}"
    yield none_of(first, f"annotations other than in {second.name}", len(apart), "warn", shown)


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
