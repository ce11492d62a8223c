"""A reproduction as Markdown: the same store and table give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from harness.data.datasets import Dataset, datasets
from harness.metrics import metrics
from harness.stats.reproduction import MARGIN, SeedGap
from leaderboards import numbers
from leaderboards.document import (
    BREAK,
    Block,
    Bullets,
    Document,
    Heading,
    Part,
    Table,
    code,
    left,
    right,
    text,
)
from leaderboards.literature import PublishedRow
from leaderboards.numbers import EMPTY
from leaderboards.rendering import render_markdown
from leaderboards.studies.reproduce import ONE_POINT, VERDICTS, ReproducedNumber, drifts

__all__ = [
    "code_verdict",
    "counts",
    "document",
    "drift_lines",
    "interval",
    "named",
    "next_steps",
    "number",
    "reached",
    "render",
    "verdict_of",
]

_COLUMNS = (
    *left("System", "Metric"),
    *right("Published", "Reached by released code", "Ours", "Runs", "Gap [95 % interval]"),
    *left("Verdict", "Beside released code"),
)

_LEGEND = Bullets(
    (
        text(
            "Reached by released code: mean ± standard deviation of runs that others made with it"
            " on the published",
            BREAK,
            "features, and how many; collapsed runs are in the mean and are counted.",
        ),
        text(
            "Gap: ours minus published, over training seeds alone, for the test clips are the same."
            " Student's t with the",
            BREAK,
            "degrees of freedom of the side with fewer runs. For the spread of a published mean"
            " stands that of the reference",
            BREAK,
            "runs, or ours where there are none; a source that does not say how many runs it"
            " averaged counts as one run.",
        ),
        text(
            "reproduced by training: shown to lie within the margin by two one-sided tests at 5 %,"
            " with three runs at least. The",
            BREAK,
            f"margin is {MARGIN:g} standard deviations of the reference runs, collapsed ones left"
            " out, and no less than the margin",
            BREAK,
            "that the dataset declares and the rounding of the printed digits; without reference"
            " runs it is one of these, or",
            BREAK,
            f"{ONE_POINT:g}.",
        ),
        text(
            "reproduced from released weights: the same of a checkpoint that the source released"
            " and nobody trained here. Its",
            BREAK,
            "gap has the width of the evaluation's own noise, and none where the same weights"
            " always predict the same.",
        ),
        text(
            "differs: not so, and the interval leaves 0 out; better here is an alarm like worse."
            " cannot tell: neither is shown,",
            BREAK,
            "as the interval is too wide for the margin: more seeds decide.",
        ),
        text(
            "not comparable: a known difference besides the seeds, so no gap is given: features or"
            " their file, split, text encoder,",
            BREAK,
            "condition, side information, selection, budget, changed hyper-parameters, one run.",
        ),
        text(
            "together: gaps of three metrics or more that point one way oftener than seeds explain,"
            " each too small alone. Runs",
            BREAK,
            "are judged whole, for their metrics depend on each other: beside released code by"
            " dividing all runs anew between",
            BREAK,
            "the two sides, beside a printed mean by the standardised sum test.",
        ),
        text(
            "Runs: ours / published, ",
            code("?"),
            " where the source does not say. Ours is scored as the source scores.",
        ),
        text("Percentages are printed times 100."),
    )
)


def render(name: str, cells: Sequence[ReproducedNumber], steps: Sequence[str] = ()) -> str:
    """The page of one published table as Markdown, ending in a newline."""
    return render_markdown(document(name, cells, steps))


def document(name: str, cells: Sequence[ReproducedNumber], steps: Sequence[str] = ()) -> Document:
    """The page of one published table.

    Args:
        name: Of the table.
        cells: What came of it.
        steps: Commands that would run what was not run.
    """
    title = "How to read this"
    return Document(
        title=f"Reproduction of {name}",
        about=f"{counts(cells)}.",
        parts=(
            *(part for dataset in datasets.values() for part in _of_dataset(dataset, cells)),
            *_next(steps),
            Part(name="reading", title=title, blocks=(Heading(2, text(title)), _LEGEND)),
        ),
    )


def _next(steps: Sequence[str]) -> Iterator[Part]:
    if steps:
        title = "What was not run"
        items = Bullets(tuple(text(code(step)) for step in steps))
        yield Part(name="next", title=title, blocks=(Heading(2, text(title)), items))


def counts(cells: Sequence[ReproducedNumber]) -> str:
    """How many cells got each verdict, beside published numbers and beside released code."""
    numbers = len({id(cell.published) for cell in cells})  # one may have two verdicts
    beside = [cell.reached.verdict for cell in cells if cell.reached is not None and cell.ours]
    code = f"; beside released code: {_tally(beside)}" if beside else ""
    return f"{numbers} numbers: {_tally([cell.verdict for cell in cells])}{code}"


def _tally(verdicts: Sequence[str]) -> str:
    found = Counter(verdicts)
    return ", ".join(f"{found[v]} {v}" for v in VERDICTS)


def drift_lines(cells: Sequence[ReproducedNumber]) -> tuple[str, ...]:
    """One line for every system whose metrics go one way together."""
    return tuple(
        f"{named(drift.published)} on {datasets[drift.published.dataset].title}: {drift.words}"
        for drift in drifts(cells)
    )


def next_steps(
    cells: Iterable[ReproducedNumber],
    corpora: Collection[str],
    suites: Mapping[str, Collection[str]],
) -> tuple[str, ...]:
    """Commands that would run what was not run, in the order of the cells.

    Args:
        cells: What came of a table.
        corpora: Names of those that are stored.
        suites: Name of a suite -> systems in it.
    """
    steps: dict[str, None] = {}
    for cell in cells:
        row = cell.published
        suite = next((name for name, systems in suites.items() if row.system in systems), None)
        if cell.verdict != "not run" or row.condition != "clean" or suite is None:
            continue
        if not any(name.partition("@")[0] == row.dataset for name in corpora):
            steps.setdefault(f"msa data add FILE --dataset {row.dataset}")
        steps.setdefault(f"msa run {suite} --only {row.system}")
    return tuple(steps)


def verdict_of(cell: ReproducedNumber) -> str:
    """The verdict against the published number with what qualifies it."""
    silence = (f"not stated: {', '.join(cell.unstated)}",) if cell.unstated else ()
    return _qualified(cell.verdict, cell.reason, (*silence, *cell.remarks))


def code_verdict(cell: ReproducedNumber) -> str:
    """The gap and the verdict against reference runs; empty where there are none, or none of ours.

    Reasons that the published number has too are not said twice.
    """
    found = cell.reached
    if found is None or cell.ours is None or cell.ours.released:
        return ""
    reason = "" if found.reason == cell.reason else found.reason
    verdict = _qualified(found.verdict, reason, found.remarks)
    return f"{_interval(found.gap, cell.published)} {verdict}".strip()


def _qualified(verdict: str, reason: str, more: Sequence[str]) -> str:
    if reason:
        return f"{verdict}: {reason}"
    return f"{verdict} ({'; '.join(more)})" if more else verdict


def reached(cell: ReproducedNumber) -> str:
    """What released code reaches: mean, deviation, runs, collapsed ones; empty where unknown."""
    found = cell.reached
    if found is None:
        return ""
    mean, sd = (number(value, cell.published) for value in (found.mean, found.sd))
    runs = str(found.spread.runs)
    if found.spread.collapsed:
        sound = found.spread.runs - found.spread.collapsed
        runs = f"{sound}/{runs} + {found.spread.collapsed} collapsed"
    return f"{mean} ± {sd} ({runs})"


def named(row: PublishedRow) -> str:
    """The system as printed, with what tells apart several lines of one system."""
    condition = "" if row.condition == "clean" else row.condition
    clips = "" if row.clips == "all" else row.clips
    apart = ", ".join(filter(None, (row.features, row.side_info, condition, clips)))
    return f"{row.title} ({apart})" if apart else row.title


def number(value: float, row: PublishedRow, *, signed: bool = False) -> str:
    """A value of the row's metric: percentages with 2 decimals, all else with 4.

    Args:
        value: In the metric's own unit, NaN where undefined.
        row: What it belongs to.
        signed: Whether to write ``+`` too.
    """
    return numbers.number(value, metrics[row.metric], signed=signed, decimals=4)


def interval(cell: ReproducedNumber) -> str:
    """The gap to the published number and its interval, empty where there is none."""
    return _interval(cell.gap, cell.published)


def _interval(gap: SeedGap | None, row: PublishedRow) -> str:
    if gap is None:
        return ""
    ends = (gap.effect, *gap.interval())
    effect, low, high = (number(value, row, signed=True) for value in ends)
    return f"{effect} [{low}, {high}]"


def _of_dataset(dataset: Dataset, cells: Sequence[ReproducedNumber]) -> Iterator[Part]:
    own = [cell for cell in cells if cell.published.dataset == dataset.name]
    if own:
        sources = dict.fromkeys(cell.published.source for cell in own)
        sources.update(
            (f"{cell.reached.runs.code} code, run by others: {cell.reached.runs.source}", None)
            for cell in own
            if cell.reached is not None
        )
        found = Table(
            columns=_COLUMNS,
            rows=tuple(map(_line, own)),
            caption=f"Published numbers on {dataset.title} beside ours",
        )
        blocks: tuple[Block, ...] = (
            *(Heading(2, text(dataset.title)), Bullets(tuple(map(text, sources))), found),
            *([Bullets(tuple(map(text, drift_lines(own))))] if drift_lines(own) else []),
        )
        yield Part(name=dataset.name, title=dataset.title, blocks=blocks)


def _line(cell: ReproducedNumber) -> tuple[str, ...]:
    row, ours = cell.published, cell.ours
    runs = f"{len(ours.values) if ours else 0} / {row.seeds or '?'}"
    if ours is not None and ours.collapsed:
        runs = f"{runs}, {ours.collapsed} collapsed"
    return (
        named(row),
        metrics[row.metric].title,
        number(row.value, row),
        reached(cell) or EMPTY,
        EMPTY if ours is None else number(ours.mean, row),
        runs,
        interval(cell) or EMPTY,
        verdict_of(cell),
        code_verdict(cell) or EMPTY,
    )
