"""The clips of a suite as one page to explore: sorted, searched and filtered by its reader.

Transcripts are in it only where they were asked for: those of most corpora must not be passed on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness._util.atomic import write_atomic
from harness._util.printed import defined
from harness.errors import StoreError
from harness.metrics import metrics
from leaderboards.document import (
    Block,
    Bullets,
    Column,
    Document,
    Explorer,
    Facet,
    Fold,
    Heading,
    Notice,
    Part,
    Text,
    Value,
    bold,
    code,
    left,
    right,
    text,
)
from leaderboards.numbers import EMPTY, bounds, number
from leaderboards.rendering import render_html
from leaderboards.studies.clips import (
    ABOUT,
    Clip,
    CorpusClips,
    Pair,
    certainty,
    hardest,
    outliers,
)

__all__ = ["document", "write"]

_MOST_ROWS = 12  # rows with a column of their own
_SIGNS = ("negative", "zero", "positive")
_NEARER = ("A is closer", "B is closer", "neither for certain")
_MAE = metrics["mae"]


def write(studies: Sequence[CorpusClips], suite: str, path: Path, *, texts: bool = False) -> None:
    """Write the page.

    Args:
        studies: Of the suite's corpora.
        suite: Its name.
        path: The file.
        texts: Whether transcripts go into it.

    Raises:
        StoreError: When it cannot be written.
    """
    try:
        write_atomic(path, render_html(document(studies, suite, texts=texts)))
    except OSError as error:
        raise StoreError(f"page {path.name} cannot be written: {error}") from error


def document(studies: Sequence[CorpusClips], suite: str, *, texts: bool = False) -> Document:
    """The page; arguments as for ``write``."""
    return Document(
        title=f"Clips of {suite}",
        about="Test clips as the rows of the suite see them, from stored predictions.",
        parts=tuple(
            Part(
                name=f"clips-{place}",
                title=_title(found),
                blocks=tuple(_blocks(found, texts=texts)),
                twin=found.corpus.twin,
            )
            for place, found in enumerate(studies, start=1)
        ),
    )


def _title(found: CorpusClips) -> str:
    dataset = found.corpus.dataset.title
    what = f"Synthetic twin of {dataset}" if found.corpus.twin else dataset
    return f"{what} ({found.corpus.feature_set})"


def _blocks(found: CorpusClips, *, texts: bool) -> Iterator[Block]:
    yield Heading(2, text(_title(found), " ", code(found.corpus.name)))
    if found.corpus.twin:
        words = f"SYNTHETIC TWIN: not a result on {found.corpus.dataset.title}"
        yield Notice(text(bold(words)), "twin")
    if not found.rows:
        yield Notice(text("No row has a run here."), "caution")
        return
    yield Notice(text(_counts(found)), "data")
    yield Fold(title="What the columns mean", blocks=(Bullets(tuple(_read(found))),))
    yield _explorer(found, texts=texts)


def _counts(found: CorpusClips) -> str:
    runs = ", ".join(f"{row.label} {len(row.runs)}/{row.planned}" for row in found.rows)
    words = f"{len(found.clips)} test clips. Rows with their runs of those planned: {runs}."
    if _paired(found):
        a, b = found.between or ("", "")
        words += f" A: {a}. B: {b}."
    left_out = "; ".join(f"{label}: {why}" for label, why in found.left_out.items())
    return f"{words} Left out: {left_out}." if left_out else words


def _read(found: CorpusClips) -> Iterator[Text]:
    """What the columns mean."""
    yield text(
        bold("Error"),
        ": mean distance of predictions from the label, rows counting alike, with its 95 % interval"
        f" {ABOUT[found.about]}. Least: that of the row that does best. The hardest of many clips"
        " are a little less hard than they look, for the largest of many values is partly noise.",
    )
    if not math.isnan(found.reliability):
        yield text(
            bold("Reliability"),
            f" of errors is {defined(found.reliability, '.2f')} (Cronbach's alpha over rows): the"
            " share of what clips seem to differ by that other systems like these would see.",
        )
    yield text(
        bold("Discrimination"),
        ": how much more a row errs on the clip where it errs by one more on the clips of other"
        " videos. 1: as on the whole test; 0: the clip tells no rows apart; below 0: better rows do"
        " worse here. With its 95 % interval for new systems like these; none below three rows.",
    )
    yield text(
        bold("Against the label"),
        f": every run of every row is on the other side of zero, on {len(outliers(found))} clips."
        " That is a reason to look at the clip, and no proof that its label is wrong.",
    )
    if found.between is not None:
        yield _parted(found)


def _parted(found: CorpusClips) -> Text:
    assert found.between is not None
    a, b = found.between
    words = "A - B"
    if found.unpaired:
        return text(bold(words), f": {found.unpaired}.")
    return text(
        bold(words),
        f", A = {a} and B = {b}: difference of their errors, negative where A is closer, with its"
        " 95 % interval"
        " for new seeds of both, and q, the p-value corrected over all clips by Benjamini and"
        f" Hochberg. {certainty(found)}.",
    )


def _explorer(found: CorpusClips, *, texts: bool) -> Explorer:
    alone = len(found.rows) <= _MOST_ROWS
    told = texts and any(clip.text for clip in found.clips)
    columns = [*left("Clip"), *right("Label", "Mean prediction", "Error", "Least error")]
    columns += right("Discrimination")
    if _paired(found):
        columns += right("A - B")
    columns += right(*found.labels) if alone else ()
    columns += [Column("Transcript", "left")] if told else []
    clips = hardest(found)
    return Explorer(
        caption=f"Test clips of {_title(found)}, hardest first",
        columns=tuple(columns),
        rows=tuple(tuple(_cells(found, clip, alone=alone, told=told)) for clip in clips),
        facets=tuple(_facets(found, clips)),
    )


def _paired(found: CorpusClips) -> bool:
    return found.between is not None and not found.unpaired


def _cells(found: CorpusClips, clip: Clip, *, alone: bool, told: bool) -> Iterator[Value]:
    yield Value(clip.id, clip.id, f"video {clip.video}")
    yield _value(clip.label)
    yield _value(clip.answer)
    yield _value(clip.error, clip.low, clip.high)
    yield _value(clip.least)
    yield _value(clip.discrimination, clip.discrimination_low, clip.discrimination_high)
    if _paired(found):
        assert clip.pair is not None
        yield _difference(clip.pair)
    if alone:
        yield from map(_value, clip.preds)
    if told:
        yield Value(clip.text or EMPTY, clip.text or None)


def _value(value: float, low: float = math.nan, high: float = math.nan) -> Value:
    if math.isnan(value):
        return Value(EMPTY)
    return Value(number(value, _MAE), value, "" if math.isnan(low) else _interval(low, high))


def _interval(low: float, high: float) -> str:
    return bounds(low, high, _MAE)


def _difference(pair: Pair) -> Value:
    below = [] if math.isnan(pair.low) else [_interval(pair.low, pair.high)]
    below += [] if math.isnan(pair.q) else [f"q = {pair.q:.3f}" if pair.q >= 0.001 else "q < .001"]
    shown = number(pair.difference, _MAE, signed=True)
    return Value(shown, pair.difference, ", ".join(below))


def _facets(found: CorpusClips, clips: Sequence[Clip]) -> Iterator[Facet]:
    signs = tuple(_SIGNS[int(math.copysign(1, c.label)) + 1 if c.label else 1] for c in clips)
    yield _facet("Label", signs, _SIGNS)
    agreed = tuple("all rows" if clip.against else "not all" for clip in clips)
    yield _facet("Against the label", agreed, ("all rows", "not all"))
    if _paired(found):
        nearer = (_nearer(clip.pair) for clip in clips if clip.pair is not None)
        yield _facet("A and B", tuple(nearer), _NEARER)
    for slicing in dict.fromkeys(name for clip in clips for name in clip.parts):
        of = tuple(clip.parts.get(slicing, "") for clip in clips)
        yield _facet(slicing.replace("_", " ").capitalize(), of, tuple(dict.fromkeys(sorted(of))))


def _facet(title: str, of: tuple[str, ...], answers: Sequence[str]) -> Facet:
    """With the answers that some clip has."""
    return Facet(title=title, of=of, answers=tuple(a for a in answers if a and a in of))


def _nearer(pair: Pair) -> str:
    if not pair.certain:
        return _NEARER[2]
    return _NEARER[0] if pair.difference < 0 else _NEARER[1]
