"""Published numbers beside ours: the gap, its interval, and whether the two may be compared.

Both were measured on the same test clips, so only training seeds make them differ. Ours comes from
the run store, scored as the source scores; a number that any *known* difference sets apart from
ours (features, text encoder, side information, selection, changed hyper-parameters) gets no gap.
What the source leaves unsaid is no obstacle but is said. Of several rows of a system, a comparable
one speaks for it, then one that was trained, then the one with most runs.

Released weights are another question: whether the source's own checkpoint gives the source's own
number here. Its seed and selection are the source's, so that only the noise of its evaluation, if
there is any, makes the two differ. Such rows are judged beside those that were trained, and say so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import stdtrit

from harness._util.canonical import Json
from harness.runs.labels import predictions_of
from harness.runs.store import RunStore
from harness.spec import PredictionCell
from harness.stats import declared_margin
from leaderboards.literature import PublishedRow
from leaderboards.model import Grid, Row, gather, passes_of

__all__ = [
    "VERDICTS",
    "Gap",
    "Ours",
    "ReproducedNumber",
    "Verdict",
    "as_records",
    "gap",
    "reproduce",
]

Verdict = Literal[
    "reproduced by training",
    "reproduced from released weights",
    "differs",
    "not comparable",
    "not run",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_BY_A_MODEL = "explanations written by a multimodal LLM"
_SIDE_INFO = {"video_mllm": _BY_A_MODEL, "both": _BY_A_MODEL}
"""What a protocol calls side information -> the words of published tables."""
_SELECTED = {"test": "selected on test there", "best run": "best of several runs there"}


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Ours minus published.

    Args:
        effect: Difference of the two means.
        low: Lower end of its interval.
        high: Upper end.
    """

    effect: float
    low: float
    high: float

    def within(self, margin: float) -> bool:
        """Whether the interval holds 0, or the difference is at most ``margin``."""
        return self.low <= 0.0 <= self.high or abs(self.effect) <= margin + 1e-12


def gap(
    values: Sequence[float],
    published: float,
    published_seeds: int | None = None,
    confidence: float = 0.95,
) -> Gap:
    """Our mean minus a published mean, with a t interval over training seeds.

    Our deviation stands for theirs, which is rarely printed: the half width is
    t(S - 1) · sd · √(1/S + 1/P) for our S seeds and their P.

    Args:
        values: One of ours per seed, at least two.
        published: Their mean.
        published_seeds: P; None is taken as one run, the widest interval.
        confidence: Of the interval.

    Raises:
        ValueError: For fewer than two values: one run has no deviation.

    Example:
        >>> found = gap([0.7, 0.8, 0.9], 0.5, published_seeds=3)
        >>> round(found.effect, 3), round(found.low, 3), round(found.high, 3)
        (0.3, -0.051, 0.651)
    """
    ours, seeds = np.asarray(values, dtype=np.float64), len(values)
    if seeds < 2:
        raise ValueError("an interval over seeds needs two runs at least")
    spread = float(ours.std(ddof=1)) * math.sqrt(1 / seeds + 1 / (published_seeds or 1))
    half = float(stdtrit(seeds - 1, (1 + confidence) / 2)) * spread
    effect = float(ours.mean()) - published
    return Gap(effect=effect, low=effect - half, high=effect + half)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """A row of a suite that has runs of the published system on the same dataset.

    Args:
        suite: Name of the suite.
        label: The row's name in it.
        corpus: ``dataset@feature-set``.
        values: The metric of each seed, as the source computes it; NaN where undefined.
        released: Whether it consists of released weights instead of being trained here.
        passes: Of released weights whose predictions change: the metric of every pass of the
            runs in turn, the first included.
    """

    suite: str
    label: str
    corpus: str
    values: tuple[float, ...]
    released: bool = False
    passes: tuple[float, ...] = ()

    @property
    def weights(self) -> str:
        """Where its weights come from: ``training`` or ``released weights``."""
        return "released weights" if self.released else "training"

    @property
    def mean(self) -> float:
        """Mean over seeds, NaN when any is undefined."""
        return float(np.mean(self.values))


@dataclass(frozen=True, kw_only=True)
class ReproducedNumber:
    """One published number and what came of it.

    Args:
        published: The number.
        verdict: ``reproduced`` says "not contradicted": a wide interval holds 0 easily. Behind it
            stands whether by training here or from the weights that the source released.
        reason: Why the two cannot be compared, or why there is nothing to compare.
        ours: The row that speaks for the system, None when not run.
        gap: None unless comparable.
        unstated: What the source does not say and may explain a difference.
    """

    published: PublishedRow
    verdict: Verdict
    reason: str = ""
    ours: Ours | None = None
    gap: Gap | None = None
    unstated: tuple[str, ...] = ()

    @property
    def margin(self) -> float:
        """The larger of the declared equivalence margin and the rounding of the printed digits."""
        row = self.published
        return max(declared_margin(row.dataset, row.metric) or 0.0, row.rounding)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """A row with runs, where it stands."""

    suite: str
    store: RunStore
    grid: Grid
    row: Row

    @property
    def side_info(self) -> str:
        """Also what it learned from, as published tables have no column for that."""
        read = _SIDE_INFO.get(self.row.side_info, self.row.side_info)
        known = (read, self.row.knowledge)
        return ", ".join(item for item in known if item != "none") or "none"

    @property
    def features(self) -> str:
        """The feature set; explanations, which side information is about, are behind its name."""
        name = self.grid.corpus.feature_set
        return name if self.row.side_info == "none" else name.removesuffix("-explained")

    @property
    def text(self) -> str:
        names = [facts.encoder for facts in self.row.facts if facts.encoder]
        encoders = sorted({name.rpartition("/")[2] for name in names})  # without owner or folder
        return ": ".join(part for part in (self.row.text, ", ".join(encoders)) if part)


def reproduce(store: RunStore, rows: Iterable[PublishedRow]) -> tuple[ReproducedNumber, ...]:
    """What the store says to each published number, in their order.

    A number of a system of which rows were trained and others consist of released weights comes
    twice, once for each.

    Raises:
        StoreError: When a stored plan or run is damaged.
    """
    rows = tuple(rows)
    candidates = tuple(_candidates(store, {row.system for row in rows} - {""}))
    return tuple(cell for row in rows for cell in _cells(row, candidates))


def _candidates(store: RunStore, systems: set[str]) -> Iterator[_Candidate]:
    """Rows of these systems on real corpora that have runs."""
    for suite in store.plans():
        named = (row.system for row in store.plan(suite).rows)
        if systems.isdisjoint(part for name in named for part in (name, name.partition("@")[0])):
            continue  # gathering scores every run
        board = gather(store, suite)
        for grid in board.grids:
            rows = () if grid.corpus.twin else grid.rows
            for row in rows:
                if row.runs and any(_stands_for(row, system) for system in systems):
                    yield _Candidate(suite=suite, store=store, grid=grid, row=row)


def _cells(published: PublishedRow, candidates: Iterable[_Candidate]) -> Iterator[ReproducedNumber]:
    """The best of what was trained and the best of what was released, or that there is neither."""
    fitting = [
        _compare(published, candidate)
        for candidate in candidates
        if _stands_for(candidate.row, published.system)
        and candidate.grid.corpus.dataset.name == published.dataset
    ]
    for released in (False, True):
        own = [cell for cell in fitting if cell.ours and cell.ours.released is released]
        if own:
            yield min(own, key=_merit)
    if not fitting:
        nothing = "" if published.system else "no such system here"
        yield ReproducedNumber(published=published, verdict="not run", reason=nothing)


def _stands_for(row: Row, system: str) -> bool:
    """Whether a row is of the system; of released weights, so is one that runs as released."""
    return row.system == system or (
        row.released is not None and row.system.partition("@")[0] == system != ""
    )


def _merit(cell: ReproducedNumber) -> tuple[bool, int, str, str, str]:
    assert cell.ours is not None
    ours = cell.ours
    return cell.gap is None, -len(ours.values), ours.suite, ours.label, ours.corpus


def _compare(published: PublishedRow, candidate: _Candidate) -> ReproducedNumber:
    ours = Ours(
        suite=candidate.suite,
        label=candidate.row.label,
        corpus=candidate.grid.corpus.name,
        values=_scores(published, candidate),
        released=candidate.row.released is not None,
        passes=tuple(_passes(published, candidate)),
    )
    reasons = (*_differences(published, candidate), *_shortfalls(ours))
    if reasons:
        return ReproducedNumber(
            published=published, verdict="not comparable", reason="; ".join(reasons), ours=ours
        )
    found = _gap(ours, published)
    cell = ReproducedNumber(
        published=published,
        verdict="differs",
        ours=ours,
        gap=found,
        unstated=tuple(_unstated(published)),
    )
    if not found.within(cell.margin):
        return cell
    if ours.released:
        return dataclasses.replace(cell, verdict="reproduced from released weights")
    return dataclasses.replace(cell, verdict="reproduced by training")


def _gap(ours: Ours, published: PublishedRow) -> Gap:
    """Over training seeds, or over passes of the one checkpoint that is released."""
    if not ours.released:
        return gap(ours.values, published.value, published.seeds)
    if ours.passes:
        return gap(ours.passes, published.value, 1)
    effect = ours.mean - published.value
    return Gap(effect=effect, low=effect, high=effect)


def _scores(published: PublishedRow, candidate: _Candidate) -> tuple[float, ...]:
    score, labels = published.definition, candidate.grid.truth.labels
    return tuple(score(run.pred, labels) for run in candidate.row.runs)


def _passes(published: PublishedRow, candidate: _Candidate) -> Iterator[float]:
    """Of one released checkpoint, the metric of every pass; nothing where one is as good as many.

    Several checkpoints are compared by their mean, in which passes take part as one each.
    """
    row, truth = candidate.row, candidate.grid.truth
    if row.released is None or len(row.runs) != 1 or passes_of(row) < 2:
        return
    score, (run,) = published.definition, row.runs
    yield score(run.pred, truth.labels)
    stored = candidate.store.get(run.key)
    for number in range(2, passes_of(row) + 1):
        pred = predictions_of(stored, truth, PredictionCell.of_pass(number))
        yield score(pred, truth.labels)


def _differences(published: PublishedRow, candidate: _Candidate) -> Iterator[str]:
    """Known differences besides the training seeds."""
    corpus = candidate.grid.corpus
    if published.condition != "clean":
        yield f"there: {published.condition}"
    if published.selection in _SELECTED and candidate.row.released is None:
        yield _SELECTED[published.selection]
    if (published.side_info or "none") != candidate.side_info:
        theirs = published.side_info or "none"
        yield f"side information: {theirs} there, {candidate.side_info} here"
    if not corpus.official:
        yield "own split here"
    for what, theirs, ours in (
        ("features", published.features, candidate.features),
        ("text", published.text, candidate.text),
    ):
        if theirs and theirs != ours:
            yield f"{what}: {theirs} there, {ours} here"
    changed = sorted(candidate.row.changed.keys() - {"encoder"})  # the text encoder is compared
    if changed:
        yield f"changed here: {', '.join(changed)}"


def _shortfalls(ours: Ours) -> Iterator[str]:
    undefined = sum(map(math.isnan, ours.values))
    if undefined:
        yield f"undefined in {undefined} of {len(ours.values)} runs here"
    if len(ours.values) == 1 and not ours.released:
        yield "one run here"


def _unstated(published: PublishedRow) -> Iterator[str]:
    """What may set the source apart and is not known to."""
    if not published.selection:
        yield "selection"
    if not published.features:
        yield "features"
    if not published.text:
        yield "text encoder"
    if not published.convention and published.metric.startswith("f1"):
        yield "F1 weighting"
    if published.seeds is None:
        yield "number of runs, taken as one"


def as_records(cells: Iterable[ReproducedNumber]) -> list[dict[str, Json]]:
    """One record per cell with stable keys, numbers unrounded, None for what there is not."""
    return [_record(cell) for cell in cells]


def _record(cell: ReproducedNumber) -> dict[str, Json]:
    row, ours = cell.published, cell.ours
    return {
        "table": row.table,
        "dataset": row.dataset,
        "system": row.system or None,
        "title": row.title,
        "metric": row.metric,
        "convention": row.convention or None,
        "published": row.value,
        "printed": row.printed,
        "published_seeds": row.seeds,
        "ours": ours.mean if ours and not math.isnan(ours.mean) else None,
        "seeds": len(ours.values) if ours else 0,
        "gap": cell.gap.effect if cell.gap else None,
        "low": cell.gap.low if cell.gap else None,
        "high": cell.gap.high if cell.gap else None,
        "margin": cell.margin,
        "verdict": cell.verdict,
        "reason": cell.reason,
        "unstated": list(cell.unstated),
        "suite": ours.suite if ours else None,
        "row": ours.label if ours else None,
        "weights": ours.weights if ours else None,
        "corpus": ours.corpus if ours else None,
    }
