"""Everything about one corpus: cautions, results, comparisons, and what stands apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.metrics import Metric, metrics_for
from leaderboards import markdown, reliability_page, tables, zero_shot
from leaderboards.board import CorpusFacts, Grid
from leaderboards.html.lines import Line, Lines
from leaderboards.html.markup import Html, join, tag
from leaderboards.html.numbers import number
from leaderboards.html.pairs import crossing, matrix, resolution
from leaderboards.html.parts import folded, plain_table
from leaderboards.html.prose import inline
from leaderboards.html.results import Results
from leaderboards.strata import PLAIN

__all__ = ["corpus", "title_of"]


def title_of(facts: CorpusFacts) -> str:
    """What a corpus is called on the page."""
    return f"{'Synthetic twin of ' if facts.twin else ''}{facts.dataset.title}"


def corpus(grid: Grid, lines: Lines, name: str) -> Html:
    """The section of a corpus.

    Args:
        grid: Its rows.
        lines: The same rows as the page shows them.
        name: Identifier of the section.
    """
    facts, shown = grid.corpus, metrics_for(grid.corpus.dataset, primary=True)
    parts = (
        tag("h2", title_of(facts), " ", tag("code", facts.name), id=f"{name}-title"),
        *_cautions(facts),
        _selector(shown, grid.selection, name),
        *_ranked(grid, lines, shown, name),
        *_crossing(grid, shown, name),
        *_reliability(grid),
        *_asked(grid),
        *_apart(lines, shown, name),
        *_details(grid, lines, shown),
    )
    kind = "corpus twin" if facts.twin else "corpus"
    return tag("section", join(parts, "\n"), id=name, class_=kind, aria_labelledby=f"{name}-title")


def _cautions(facts: CorpusFacts) -> Iterator[Html]:
    if facts.twin:
        words = f": not a result on {facts.dataset.title}"
        yield tag("p", tag("strong", "SYNTHETIC TWIN"), words, class_="banner", role="note")
    yield tag("p", inline(markdown.data(facts)), class_="data")
    if not facts.twin:
        for caution in markdown.cautions(facts):
            yield tag("p", inline(caution), class_="caution", role="note")


def _selector(shown: Sequence[Metric], selection: Metric, name: str) -> Html:
    """Which metric ranks and seeds are drawn in; the style sheet reads it, no script needs to."""
    chosen = shown.index(selection) if selection in shown else 0
    options = (
        tag(
            "label",
            tag("input", type="radio", name=f"{name}-metric", value=i, checked=i == chosen),
            tag("span", metric.title),
        )
        for i, metric in enumerate(shown)
    )
    question = tag("legend", "Ranks, seeds and pairs in")
    return tag("fieldset", question, *options, class_="metrics")


def _ranked(grid: Grid, lines: Lines, shown: Sequence[Metric], name: str) -> Iterator[Html]:
    """One table of results per stratum, each with its comparisons."""
    if len(grid.parts) > 1:
        yield tag("p", inline(markdown.SEPARATE), role="note")
    for place, (part, rows) in enumerate(zip(grid.parts, lines.parts, strict=True), start=1):
        own = name if place == 1 else f"{name}-part-{place}"
        (stratum,) = part.strata
        if part.whole is not None or stratum != PLAIN:
            yield tag("h3", stratum.title)
        yield _results(part, rows, shown, own)
        yield from _comparisons(part, shown, own)


def _results(grid: Grid, lines: Sequence[Line], shown: Sequence[Metric], name: str) -> Html:
    facts = grid.corpus
    where = f"a SYNTHETIC TWIN of {facts.dataset.title}" if facts.twin else facts.dataset.title
    (stratum,) = grid.strata
    known = "" if stratum == PLAIN else f" ({stratum.title})"
    ranked = sum(not line.unranked for line in lines)
    caption = f"Test results on {where}{known}"
    return Results(caption=caption, lines=lines, metrics=shown, ranked=ranked, name=name).render()


def _comparisons(grid: Grid, shown: Sequence[Metric], name: str) -> Iterator[Html]:
    rankings = [
        (i, metric, grid.analysis.rankings[metric.name])
        for i, metric in enumerate(shown)
        if metric.name in grid.analysis.rankings
    ]
    if not rankings:
        yield tag("p", "Fewer than two rows can be ranked: nothing is compared.")
        return
    for i, metric, ranking in rankings:
        yield tag("div", resolution(ranking, metric), data_metric=i)
    pairs = (
        tag("div", matrix(ranking, metric, f"{name}-pairs-{i}"), data_metric=i)
        for i, metric, ranking in rankings
    )
    yield folded("Pairwise comparisons", join(pairs, "\n"))


def _crossing(grid: Grid, shown: Sequence[Metric], name: str) -> Iterator[Html]:
    """The pairs whose rows stand in different tables."""
    crossed = grid.analysis.crossed if len(grid.parts) > 1 else {}
    if not crossed:
        return
    known = {row.label: row.stratum for row in grid.rows}
    pairs = (
        tag(
            "div",
            crossing(crossed[metric.name], metric, f"{name}-crossing-{i}", known),
            data_metric=i,
        )
        for i, metric in enumerate(shown)
        if metric.name in crossed
    )
    yield folded("Pairwise comparisons across tables", join(pairs, "\n"))


def _asked(grid: Grid) -> Iterator[Html]:
    """What became of questions to models, and who was asked what."""
    for title, table in (
        (zero_shot.ANSWERS, zero_shot.answers(grid)),
        (zero_shot.ASKED, zero_shot.asked(grid)),
    ):
        if table.rows:
            yield tag("h3", title)
            yield plain_table(table, title)
            notes = (tag("li", note) for note in table.notes)
            yield tag("ol", *notes, class_="notes")


def _reliability(grid: Grid) -> Iterator[Html]:
    """What a grid of conditions adds."""
    for block in reliability_page.blocks(grid):
        if block.folded and block.table is not None:
            yield folded(block.title, plain_table(block.table, block.title))
            continue
        if block.title:
            yield tag("h3", block.title)
        if block.words:
            yield tag("p", block.words)
        if block.table is not None:
            yield plain_table(block.table, "Areas of the reliability spectrum")


def _apart(lines: Lines, shown: Sequence[Metric], name: str) -> Iterator[Html]:
    """Rows that are never ranked with the others, in tables of their own."""
    for kind, title, found in (
        ("submissions", "Submissions that are not ranked with these rows", lines.submissions),
        ("literature", "Published numbers, which nobody can check here", lines.literature),
    ):
        if found:
            table = Results(
                caption=title, lines=found, metrics=shown, ranked=0, name=f"{name}-{kind}"
            )
            yield folded(f"{title}: {len(found)}", table.render(), open_=kind == "submissions")


def _details(grid: Grid, lines: Lines, shown: Sequence[Metric]) -> Iterator[Html]:
    holes = tables.holes(grid)
    if holes.rows:
        yield tag("h3", "Holes")
        yield plain_table(holes, "Planned runs that are missing")
    ceilings = tables.ceilings(grid)
    if ceilings.rows:
        caption = "Planted ceilings (best MAE and best Corr apart)"
        yield folded(caption, plain_table(ceilings, caption))
    caption = "How the rows were made"
    yield folded(caption, plain_table(tables.making(grid), caption))
    caption = "Every seed"
    yield folded(caption, plain_table(_every_seed(lines.every, shown), caption))


def _every_seed(lines: Sequence[Line], shown: Sequence[Metric]) -> tables.Table:
    titles = (f"{metric.title}{' (%)' if metric.percent else ''}" for metric in shown)
    return tables.Table(
        columns=(
            tables.Column("System", "left"),
            *map(tables.Column, ("Seed", *titles)),
        ),
        rows=tuple(
            (line.label, run, *(number(line.scores[m.name].values[i], m) for m in shown))
            for line in lines
            for i, run in enumerate(line.runs)
        ),
    )
