"""Which clips: hardest for all rows, parting two of them, or labelled against what all rows say.

A pure function of stored predictions and labels. Transcripts and slices, where anybody has them,
are handed in and change no number.

Shapes: M rows, S runs, N test clips.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from harness._util.canonical import Json
from harness.data.slicing import Slice
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError
from harness.metrics import Values
from harness.runs.store import RunStore
from harness.stats import items
from leaderboards.model import CorpusFacts, Grid, Row, gather

__all__ = [
    "ABOUT",
    "LEVEL",
    "About",
    "Clip",
    "ClipFacts",
    "CorpusClips",
    "Pair",
    "certainty",
    "hardest",
    "outliers",
    "parting",
    "study_clips",
]

LEVEL = 0.05
"""False discoveries among the clips that part two rows, at most."""

About: TypeAlias = Literal["rows", "seeds", "nothing"]
ABOUT: Mapping[About, str] = {
    "rows": "for new systems like these, each trained anew",
    "seeds": "for new seeds of the only row",
    "nothing": "none: one run of one row does not tell how much another one differs",
}
"""What the intervals of errors are about, in words."""


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """What is known of the test clips of a corpus at hand.

    Args:
        texts: Clip -> transcript.
        slices: Declared parts of the test split.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Error of row A less that of row B on one clip: negative where A is closer to the label.

    Args:
        difference: Of the means over runs.
        low: Lower end of the 95 % interval for new seeds of both; NaN where one run says nothing.
        high: Upper end of it.
        p: Of no difference; NaN where there is no interval, or where no seed changes either row.
        q: The same, corrected over all clips (Benjamini and Hochberg).
    """

    difference: float
    low: float
    high: float
    p: float
    q: float

    @property
    def certain(self) -> bool:
        """Whether it is more than seeds would make it; true where no seed takes part."""
        if math.isnan(self.p):
            return self.low == self.high == self.difference != 0.0
        return self.q < LEVEL


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One test clip.

    Args:
        id: Its id.
        video: Its source video.
        label: Its label.
        preds: Mean prediction of each row.
        error: Mean over rows of the mean absolute error of their runs.
        low: Lower end of its 95 % interval; NaN where there is none.
        high: Upper end of it.
        least: Error of the row that does best.
        discrimination: How much more a row errs here where it errs by one more elsewhere; NaN below
            three rows.
        discrimination_low: Lower end of its 95 % interval.
        discrimination_high: Upper end of it.
        against: Whether every run of every row is on the other side of zero than the label.
        pair: The two rows that were asked for.
        text: Transcript; None where it is not at hand.
        parts: Slicing -> part of it that the clip is in.
    """

    id: str
    video: str
    label: float
    preds: tuple[float, ...]
    error: float
    low: float
    high: float
    least: float
    discrimination: float
    discrimination_low: float
    discrimination_high: float
    against: bool
    pair: Pair | None = None
    text: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> float:
        """Mean prediction, rows counting alike."""
        return math.fsum(self.preds) / len(self.preds)

    def record(self, rows: Sequence[str]) -> dict[str, Json]:
        """As JSON, numbers unrounded; ``rows`` are the labels of ``preds``."""
        pair = self.pair
        return {
            "id": self.id,
            "video": self.video,
            "label": self.label,
            "answer": self.answer,
            "preds": dict(zip(rows, self.preds, strict=True)),
            "error": self.error,
            "low": _or_none(self.low),
            "high": _or_none(self.high),
            "least": self.least,
            "discrimination": _or_none(self.discrimination),
            "discrimination_low": _or_none(self.discrimination_low),
            "discrimination_high": _or_none(self.discrimination_high),
            "against": self.against,
            "difference": None if pair is None else pair.difference,
            "difference_low": None if pair is None else _or_none(pair.low),
            "difference_high": None if pair is None else _or_none(pair.high),
            "p": None if pair is None else _or_none(pair.p),
            "q": None if pair is None else _or_none(pair.q),
            "text": self.text,
            "slices": dict(self.parts),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class CorpusClips:
    """The test clips of one corpus as its rows see them.

    Args:
        corpus: Where.
        rows: Those that count.
        left_out: Label of each other row -> why it does not.
        clips: In the order of the split; none without a row.
        about: What the intervals of errors are about.
        reliability: How alike rows order the clips by difficulty; NaN below two.
        between: Labels of the rows A and B.
        unpaired: Why these are not compared here; empty where they are, or were not asked for.
    """

    corpus: CorpusFacts
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    clips: tuple[Clip, ...]
    about: About
    reliability: float
    between: tuple[str, str] | None
    unpaired: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the rows."""
        return tuple(row.label for row in self.rows)

    def record(self) -> dict[str, Json]:
        """As JSON, numbers unrounded."""
        return {
            "corpus": self.corpus.name,
            "dataset": self.corpus.dataset.name,
            "twin": self.corpus.twin,
            "data": self.corpus.data,
            "rows": [
                {"row": row.label, "runs": len(row.runs), "planned": row.planned}
                for row in self.rows
            ],
            "left_out": dict(self.left_out),
            "about": self.about,
            "reliability": _or_none(self.reliability),
            "between": None if self.between is None else list(self.between),
            "unpaired": self.unpaired,
            "clips": [clip.record(self.labels) for clip in self.clips],
        }


def study_clips(
    store: RunStore,
    suite: str,
    *,
    corpora: Collection[str] = (),
    rows: Collection[str] = (),
    between: tuple[str, str] | None = None,
    known: Mapping[str, ClipFacts] | None = None,
) -> tuple[CorpusClips, ...]:
    """The test clips of a suite's corpora.

    Args:
        store: Where the runs are.
        suite: Its name.
        corpora: Only these; all when empty.
        rows: Labels of the rows that count, submissions among them; when empty all rows of the
            suite but constant predictors.
        between: Two rows, or submissions, to part clips by.
        known: Corpus -> what is known of its clips.

    Raises:
        SpecError: For a corpus or row that the suite does not have.
        StoreError: When the suite was never run here, or a record is damaged.
    """
    board = gather(store, suite)
    _check("corpus", corpora, [grid.corpus.name for grid in board.grids], suite)
    labels = list(dict.fromkeys(row.label for grid in board.grids for row in _every(grid)))
    _check("row", (*rows, *(between or ())), labels, suite)
    if between is not None and between[0] == between[1]:
        raise SpecError(f"two rows part clips, found {between[0]!r} twice")
    facts = known or {}
    return tuple(
        _study(grid, rows, between, facts.get(grid.corpus.name, ClipFacts()))
        for grid in board.grids
        if not corpora or grid.corpus.name in corpora
    )


def _check(kind: str, asked: Collection[str], there: Sequence[str], suite: str) -> None:
    for name in asked:
        if name not in there:
            raise SpecError(
                f"suite {suite!r} has no {kind} {name!r}", hint=f"it has: {', '.join(there)}"
            )


def _study(
    grid: Grid, labels: Collection[str], between: tuple[str, str] | None, facts: ClipFacts
) -> CorpusClips:
    every = _every(grid)
    left_out = {row.label: why for row in every if (why := _left_out(grid, row, labels))}
    rows = tuple(row for row in every if row.label not in left_out)
    here = {row.label: row for row in every if row.runs and _complete(row)}
    absent = [label for label in between or () if label not in here]
    pair = None
    if between is not None and not absent:
        pair = _parting(here[between[0]], here[between[1]], grid.truth)
    return CorpusClips(
        corpus=grid.corpus,
        rows=rows,
        left_out=left_out,
        clips=tuple(_clips(rows, grid.truth, pair, facts)) if rows else (),
        about=_about(rows),
        reliability=items.reliability(_by_row(rows, grid.truth)) if rows else math.nan,
        between=between,
        unpaired=f"{' and '.join(absent)}: no run with all clips here" if absent else "",
    )


def _every(grid: Grid) -> tuple[Row, ...]:
    return (*grid.rows, *grid.submissions)


def _complete(row: Row) -> bool:
    """Whether its runs predict all clips: submissions may leave some out."""
    return bool(np.isfinite(_preds(row)).all())


def _left_out(grid: Grid, row: Row, labels: Collection[str]) -> str:
    """Why a row does not count; empty where it does."""
    if labels and row.label not in labels:
        return "not asked for"
    if row.reference and not labels:
        return "constant predictor"
    if row in grid.submissions and not labels:
        return "submission"
    if not row.runs:
        return "no run"
    return "" if _complete(row) else "no prediction for some clips"


def _about(rows: Sequence[Row]) -> About:
    if len(rows) > 1:
        return "rows"
    return "seeds" if rows and len(rows[0].runs) > 1 else "nothing"


def _preds(row: Row) -> Values:
    return np.stack([run.pred for run in row.runs])  # (S, N)


def _errors(row: Row, truth: SplitLabels) -> Values:
    return np.asarray(np.abs(_preds(row) - truth.labels))  # (S, N)


def _by_row(rows: Sequence[Row], truth: SplitLabels) -> Values:
    return np.stack([_errors(row, truth).mean(axis=0) for row in rows])  # (M, N)


def _parting(a: Row, b: Row, truth: SplitLabels) -> items.Parting:
    still = (a.deterministic, b.deterministic)
    return items.parting(_errors(a, truth), _errors(b, truth), still=still)


def _clips(
    rows: Sequence[Row], truth: SplitLabels, pair: items.Parting | None, facts: ClipFacts
) -> Iterator[Clip]:
    errors = _by_row(rows, truth)
    hard = items.difficulty(_errors(rows[0], truth) if len(rows) == 1 else errors)
    telling = items.discrimination(errors, truth.videos)
    against = items.against([_preds(row) for row in rows], truth.labels)
    preds = np.stack([_preds(row).mean(axis=0) for row in rows], axis=1)  # (N, M)
    parts = _parts(facts.slices)
    for at, clip in enumerate(truth.ids):
        yield Clip(
            id=clip,
            video=str(truth.videos[at]),
            label=float(truth.labels[at]),
            preds=tuple(preds[at].tolist()),
            error=float(hard.value[at]),
            low=float(hard.low[at]),
            high=float(hard.high[at]),
            least=float(errors[:, at].min()),
            discrimination=float(telling.value[at]),
            discrimination_low=float(telling.low[at]),
            discrimination_high=float(telling.high[at]),
            against=bool(against[at]),
            pair=None if pair is None else _pair(pair, at),
            text=facts.texts.get(clip),
            parts=parts.get(clip, {}),
        )


def _pair(found: items.Parting, at: int) -> Pair:
    difference = found.difference
    values = (difference.value, difference.low, difference.high, found.p, found.q)
    value, low, high, p, q = (float(each[at]) for each in values)
    return Pair(difference=value, low=low, high=high, p=p, q=q)


def _parts(slices: Sequence[Slice]) -> dict[str, dict[str, str]]:
    """Clip -> slicing -> part."""
    found: dict[str, dict[str, str]] = {}
    for one in slices:
        for clip in one.ids:
            found.setdefault(clip, {})[one.slicing] = one.part
    return found


def hardest(found: CorpusClips, most: int | None = None) -> tuple[Clip, ...]:
    """The clips with the largest error, at most so many."""
    return tuple(sorted(found.clips, key=lambda clip: (-clip.error, clip.id))[:most])


def outliers(found: CorpusClips, most: int | None = None) -> tuple[Clip, ...]:
    """The clips whose label all rows contradict, the farthest from their answer first."""
    agreed = [clip for clip in found.clips if clip.against]
    return tuple(sorted(agreed, key=lambda clip: (-abs(clip.label - clip.answer), clip.id))[:most])


def parting(found: CorpusClips, most: int | None = None) -> tuple[Clip, ...]:
    """The clips that part the two rows, the largest difference first.

    Where nothing tells how seeds vary, all clips, for then none is certain.
    """
    pairs = [(clip, clip.pair) for clip in found.clips if clip.pair is not None]
    unseen = all(math.isnan(pair.low) for _, pair in pairs)
    kept = [(clip, pair) for clip, pair in pairs if unseen or pair.certain]
    order = sorted(kept, key=lambda both: (-abs(both[1].difference), both[0].id))
    return tuple(clip for clip, _ in order[:most])


def certainty(found: CorpusClips) -> str:
    """How sure it is that the two rows differ on the clips of ``parting``, in words."""
    pairs = [clip.pair for clip in found.clips if clip.pair is not None]
    if all(math.isnan(pair.low) for pair in pairs):
        return "one run of a row does not tell how its seeds vary: these are checkpoints"
    if all(math.isnan(pair.p) for pair in pairs):
        return "no seed changes either row: differences are what they are"
    return (
        f"{len(parting(found))} clips part them, false discoveries at most {LEVEL:.0%}"
        " (Benjamini, Hochberg)"
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
