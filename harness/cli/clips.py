"""``msa clips``: which test clips are hard, part two rows, or are labelled against all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._known_clips import unchanged
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.store import RunStore
    from leaderboards.studies.clips import Clip, ClipFacts, CorpusClips

__all__ = ["register"]

_RIGHT = frozenset({"label", "answer", "error", "A - B", "q"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("clips")(_clips)


def _clips(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A suite that was run here.")],
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B", help="Two rows or submissions: clips on which their errors differ."
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Only this corpus of the suite; repeatable.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this row or submission counts; repeatable. [the suite's but constants]"
        ),
    ] = None,
    most: Annotated[int, typer.Option(help="Clips of each list.", min=1)] = 10,
    page: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write all clips as a page to sort, search and filter."
        ),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option("--texts", help="Put transcripts into the page; licences forbid passing on."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List clips: hardest for all rows, parting two, labelled against what all rows say."""
    from harness.runs.store import RunStore
    from leaderboards.studies import clips_page
    from leaderboards.studies.clips import study_clips

    if texts and page is None:
        raise SpecError("--texts puts transcripts into a page", hint="add --page FILE.html")
    if page is not None and page.suffix != ".html":
        raise SpecError(f"--page is an HTML file, found {page.name}", hint="--page clips.html")
    home = home_of(context)
    store = RunStore(home.store)
    studies = study_clips(
        *(store, suite),
        corpora=corpus or (),
        rows=row or (),
        between=between,
        known=_known(home, store, suite, corpus or ()),
    )
    if page is not None:
        clips_page.write(studies, suite, page, texts=texts)
    if as_json:
        echo_json({"suite": suite, "corpora": [found.record() for found in studies]})
        return
    for found in studies:
        _show(found, most)
    if page is not None:
        typer.echo(f"page: {page}")


def _known(home: Home, store: RunStore, suite: str, corpora: Sequence[str]) -> dict[str, ClipFacts]:
    """Transcripts and slices of the corpora that are here unchanged."""
    from harness.data.slicing import slices_of
    from leaderboards.studies.clips import ClipFacts

    found = {}
    for corpus in unchanged(home, store, suite, "transcripts and slices", corpora):
        split = corpus.split("test")
        said = {clip: said for clip, said in zip(split.ids, split.texts, strict=True) if said}
        found[corpus.name] = ClipFacts(texts=said, slices=slices_of(corpus, "test"))
    return found


def _show(found: CorpusClips, most: int) -> None:
    from harness._util.printed import defined
    from leaderboards.studies.clips import ABOUT, hardest, outliers

    corpus = found.corpus
    twin = "SYNTHETIC TWIN of " if corpus.twin else ""
    typer.echo(f"{twin}{corpus.dataset.title} ({corpus.name}): {len(found.clips)} test clips")
    for label, why in found.left_out.items():
        if why.startswith("no "):
            typer.echo(f"left out: {label}, {why}")
    if not found.rows:
        typer.echo("no row has a run here\n")
        return
    runs = ", ".join(f"{row.label} {len(row.runs)}/{row.planned}" for row in found.rows)
    echo_text(f"rows, with their runs of those planned: {runs}")
    echo_text(f"intervals of errors: 95 %, {ABOUT[found.about]}")
    if not math.isnan(found.reliability):
        echo_text(
            f"reliability of errors: {defined(found.reliability, '.2f')}, the share of what clips"
            " differ by that other systems like these would see"
        )
    _list("hardest for all rows", hardest(found, most), _hard)
    if found.between is not None:
        _show_parted(found, most)
    agreed = outliers(found)
    title = f"labelled against every run of every row: {len(agreed)} clips"
    _list(title, agreed[:most], _hard)
    typer.echo()


def _show_parted(found: CorpusClips, most: int) -> None:
    from leaderboards.studies.clips import certainty, parting

    assert found.between is not None
    a, b = found.between
    if found.unpaired:
        typer.echo(f"\nA = {a}, B = {b}: {found.unpaired}")
        return
    title = f"parting A = {a} and B = {b}, errors A - B\n{certainty(found)}"
    _list(title, parting(found, most), _parted)


def _list(title: str, clips: Sequence[Clip], cells: Callable[[Clip], dict[str, object]]) -> None:
    typer.echo(f"\n{title}")
    told = any(clip.text for clip in clips)
    rows = [cells(clip) | ({"transcript": clip.text or ""} if told else {}) for clip in clips]
    echo_table(rows, right=_RIGHT)


def _hard(clip: Clip) -> dict[str, object]:
    return {
        "clip": clip.id,
        "label": _number(clip.label),
        "answer": _number(clip.answer),
        "error": _number(clip.error),
        "interval": _interval(clip.low, clip.high),
    }


def _parted(clip: Clip) -> dict[str, object]:
    pair = clip.pair
    assert pair is not None
    return {
        "clip": clip.id,
        "label": _number(clip.label),
        "A - B": _number(pair.difference),
        "interval": _interval(pair.low, pair.high),
        "q": "" if math.isnan(pair.q) else f"{pair.q:.3f}",
    }


def _number(value: float) -> str:
    return f"{value:.2f}"


def _interval(low: float, high: float) -> str:
    from harness._util.printed import interval

    return "" if math.isnan(low) else interval(low, high, ".2f")
