"""Is a corpus what it claims to be? Every claim is one check with a verdict.

Checks compare with the dataset as published (counts, signs, source videos, label scale), with the
corpus contract (finite values, zero padding, unique ids) and, between corpora, look for clips that
occur twice. Twins imitate a dataset at their own scale and trials are a part of one, so official
counts do not bind them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.audit.agreement import agreement_checks
from harness.data.audit.annotations import annotation_checks
from harness.data.audit.check import Check, Verdict, none_of, such_as
from harness.data.audit.pairs import pair_checks
from harness.data.audit.streams import stream_checks
from harness.data.audit.texts import text_checks
from harness.data.audit.times import time_checks
from harness.data.corpus import LABELS, Corpus
from harness.data.datasets import SPLITS
from harness.data.identifiers import look_alikes, skeleton
from harness.data.leak_gate import leak_gate_of
from harness.data.trials import is_trial

__all__ = ["Check", "Verdict", "audit"]

_SAME_LABEL = 1e-6


def audit(corpora: Sequence[Corpus]) -> list[Check]:
    """Check each corpus, then each pair of real ones for shared clips.

    Reads every stored stream once, in blocks.
    """
    checks = [check for corpus in corpora for check in _corpus_checks(corpus)]
    real = [one for one in corpora if not (one.is_twin or is_trial(one.name))]
    for first, second in itertools.combinations(real, 2):
        checks += pair_checks(first, second)
    return checks


def _corpus_checks(corpus: Corpus) -> Iterator[Check]:
    if not (corpus.is_twin or is_trial(corpus.name)):
        yield from _official_counts(corpus)
    yield from _unique_ids(corpus)
    yield from _label_scale(corpus)
    yield from annotation_checks(corpus)
    yield from text_checks(corpus)
    yield from agreement_checks(corpus)
    yield _sources(corpus)
    if {"start", "stop"} & set(corpus.clips.columns):
        yield from time_checks(corpus)
    yield _modalities(corpus)
    yield from _explanations(corpus)
    for name, stream in corpus.streams.items():
        yield from stream_checks(corpus, name, stream)


def _explanations(corpus: Corpus) -> Iterator[Check]:
    """Whether explanations know the label, as was measured when they were joined."""
    if "explanations" not in corpus.manifest:
        return
    gate = leak_gate_of(corpus.manifest)
    unknown = gate is None or bool(gate.why_not)
    yield Check(
        corpus=corpus.name,
        name="explanations that know the label",
        verdict="note" if unknown else "fail" if gate is not None and gate.leaks else "ok",
        expected="predict it no better than transcripts",
        found="not measured" if gate is None else gate.figures,
        detail="" if gate is None else gate.warning,
    )


def _official_counts(corpus: Corpus) -> Iterator[Check]:
    official = corpus.dataset.splits
    resplit = _resplit(corpus)
    verdict: Verdict = "warn" if resplit else "fail"
    detail = "all clips, in another split: never compare with the official one" if resplit else ""
    own = detail or f"not the official split: {corpus.differs_from_official}"
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
                detail="" if expected == found else own if name == "clips" else detail,
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


def _unique_ids(corpus: Corpus) -> Iterator[Check]:
    """Ids as a person reads them: full-width digits and other dashes make no second clip."""
    ids = corpus.clips["id"]
    repeated = ids[ids.map(skeleton).duplicated()]
    yield none_of(corpus, "repeated ids", len(repeated), "fail", f"such as {such_as(repeated)}")
    alike = look_alikes(corpus.clips["video"].unique())
    shown = such_as(f"{one!a} and {other!a}" for one, other in alike)
    yield none_of(corpus, "videos that look like another", len(alike), "warn", shown)


def _label_scale(corpus: Corpus) -> Iterator[Check]:
    low, high, grid = corpus.dataset.low, corpus.dataset.high, corpus.dataset.grid
    for column in (name for name in LABELS if name in corpus.clips):
        labels = corpus.clips[column].to_numpy(dtype=np.float64)
        if column != "label":  # clips without a uni-modal label are a fact of some files
            labels = labels[~np.isnan(labels)]
        outside = int((~((labels >= low) & (labels <= high))).sum())
        yield none_of(
            corpus, f"{column} out of range", outside, "fail", f"the scale is {low:g} to {high:g}"
        )
        if grid is None:
            continue
        steps = labels / grid
        off = np.abs(steps - np.round(steps)) > _SAME_LABEL
        few = off.mean() <= 0.001 if off.size else True
        values = ", ".join(f"{value:g}" for value in np.unique(labels[off])[:5])
        yield none_of(
            corpus,
            f"{column} off the grid",
            int(off.sum()),
            "note" if few else "fail",
            f"the step is {grid:g}; found {values}",
        )


def _sources(corpus: Corpus) -> Check:
    """Test videos that also have clips in train: the model has met the speaker and the scene."""
    videos = {name: set(part.clips["video"].map(skeleton)) for name, part in corpus.splits.items()}
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
    return none_of(corpus, "videos in two splits", sum(shared.values()), verdict, detail)


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
