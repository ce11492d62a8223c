"""The guide as Markdown: its text, with the numbers of the examples put in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.metrics import metrics
from harness.stats import smallest_p_over_seeds
from harness.stats.calibration import CANDIDATES, PRIMARY, Finding, Rate
from harness.submissions import Badge
from leaderboards.guide import prose
from leaderboards.guide.conventions import (
    COLUMNS,
    PRED,
    TRUTH,
    WORDLESS,
    ConventionReading,
    Dead,
    dead_models,
    readings,
    same_scores,
)
from leaderboards.guide.prose import fill, grid
from leaderboards.guide.resolution import (
    DISCORDANT,
    MOSEI,
    MOSI,
    NOMINAL,
    SHOWN,
    Detectable,
    detectable,
    detectable_mae,
)
from leaderboards.numbers import EMPTY, EXPLORATORY, TIED, UNDEFINED

__all__ = ["FIGURES", "render_page"]

FIGURES: Mapping[str, str] = {
    "acc2.svg": "Ten clips and the rules for Acc-2: what each calls right, wrong, or leaves out",
    "dead_models.svg": "Weighted F1 of a constant answer, and the same with arguments swapped",
    "false_winners.svg": "False winners by number of seeds: tests over seeds climb, ours stays",
}
"""File -> what it shows, for those who do not see it."""


def render_page(simulated: Mapping[int, Finding]) -> str:
    """The page, ending in a newline.

    Args:
        simulated: Number of seeds -> what the tests say of two equal systems.
    """
    blocks = (
        "<!-- Written by `python -m leaderboards.guide`; edit leaderboards/guide/ instead. -->",
        "# How to read a board",
        fill(prose.INTRODUCTION),
        "## What the marks mean",
        *_marks(),
        "## Why the columns have such long names",
        *_acc2(readings()),
        *_same_scores(),
        *_dead_models(),
        "## Why ± is not a test",
        *_winners(simulated),
        "## What a test set can show",
        *_resolution(),
        *prose.ASKING,
        "## What a published table usually leaves unsaid",
        grid(("Unsaid", "Why it matters", "Where a board says it"), prose.UNSAID),
        "## How to enter a board",
        *prose.ENTERING,
    )
    return "\n\n".join(blocks) + "\n"


def _figure(name: str) -> str:
    return f"![{FIGURES[name]}]({name})"


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f}"


def _marks() -> Iterator[str]:
    signs = {
        "tied": TIED,
        "exploratory": EXPLORATORY,
        "empty": EMPTY,
        "undefined": UNDEFINED,
    }
    yield "\n".join(fill(mark.format_map(signs)) for mark in prose.MARKS)
    yield grid(("Badge", "Meaning"), [(f"`{badge}`", badge.meaning) for badge in Badge])
    yield "Only rows with predictions can be ranked. Literature rows stand in a table of their own."


# One name, several metrics


def _acc2(found: tuple[ConventionReading, ...]) -> Iterator[str]:
    values = len({reading.value for reading in found})
    yield f'### One prediction vector, {values} values of "Acc-2"'
    yield "Ten made-up clips on MOSI's scale, and one system's predictions for them:"
    yield f"```\nlabel      y = {_listed(TRUTH)}\nprediction p = {_listed(PRED)}\n```"
    yield fill(
        f"""Published code turns them into Acc-2 in {len(found)} ways. What differs is whether zero
        counts as positive, and which clips count at all."""
    )
    yield _figure("acc2.svg")
    headings = ("Acc-2", "Clips", "Positive", "Counted", "What sets it apart", "Who")
    yield grid(headings, [_reading(reading) for reading in found])
    yield fill(
        f"""MultiBench's loader drops clips whose transcript is empty; the example takes clip
        {WORDLESS + 1} to be one. Several repositories report two of the values side by side. On
        CH-SIMS the last rule is the usual one; there the column is called Acc-2."""
    )
    yield fill(
        f"""None of the rules is wrong. They are different questions. Wrong is a table that puts
        them in one column: here {_percent(found[-1].value - found[0].value, 0)} points lie between
        the lowest and the highest, and not one prediction has changed."""
    )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:4g}" for value in values)


def _reading(reading: ConventionReading) -> tuple[str, ...]:
    return (
        f"{reading.value:.3f}",
        f"{reading.right} of {reading.counted}",
        reading.positive,
        reading.clips,
        reading.reason,
        ", ".join(reading.users),
    )


def _same_scores() -> Iterator[str]:
    yield fill(
        """F1 inherits the choice and adds one of its own (next section). One repository also leaves
        zero labels out of MAE and Corr."""
    )
    yield "<details>\n<summary>The same ten clips, all that each repository reports</summary>"
    yield grid(
        (*(metrics[name].title for name in COLUMNS), "Who"),
        [
            (*(_score(same.scores[name]) for name in COLUMNS), ", ".join(same.users))
            for same in same_scores()
        ],
    )
    yield f"`{EMPTY}`: not reported. All ten clips are taken to have words here."
    yield "</details>"
    yield fill(
        """On a board the column says which one it is: `has-0` is over all clips, `non-0` over clips
        with a non-zero label, and the definitions stand at the end. For predictions of your own:"""
    )
    yield (
        "```sh\nmsa score predictions.csv --dataset mosi   # every metric in every convention\n```"
    )


def _score(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.3f}"


def _dead_models() -> Iterator[str]:
    found = dead_models()
    first = found[0]
    yield f"### A dead model with an F1 of {_percent(first.swapped, 0)}"
    yield fill(
        """Weighted F1 is the mean of the F1 of both classes, weighted by their shares of the
        *labels*. In some repositories predictions and labels were passed in the wrong order. The
        weights are then shares of the *predictions*. A model that has collapsed to one answer
        predicts one class only, so all the weight lies on the class it gets right."""
    )
    yield fill(
        f"""Take {first.dataset} and a model that always says "{first.answer}". It has learnt
        nothing. Its accuracy is {_percent(first.accuracy)} %, its weighted F1
        {_percent(first.f1)}, and with swapped arguments {_percent(first.swapped)}:"""
    )
    yield _figure("dead_models.svg")
    shares = ("Accuracy (%)", "F1 (%)", "F1, arguments swapped (%)")
    yield grid(
        ("Test set", "Clips", "Always", *shares),
        [_dead(dead) for dead in found],
    )
    yield fill(
        """Models collapse most often where data are missing or noisy. Robustness tables with
        swapped F1 look best exactly where the models are worst. This is also why constants open
        every table: a row has to be read against them."""
    )


def _dead(dead: Dead) -> tuple[str, ...]:
    shares = (dead.accuracy, dead.f1, dead.swapped)
    return (dead.dataset, dead.clips, dead.answer, *(_percent(share, 2) for share in shares))


# Winners and resolution


def _winners(simulated: Mapping[int, Finding]) -> Iterator[str]:
    five, most = simulated[5], max(simulated)
    paired, ours = (_rate(five, test).share for test in ("paired_t", PRIMARY))
    yield f"### Two equal systems, and a winner in {_percent(paired, 0)} % of comparisons"
    yield fill(
        f"""Take two systems that are equally good: over all clips and all seeds their mean error is
        the same. Train each with five seeds, score them on a test set the size of MOSI's
        ({MOSI.videos} source videos, {MOSI.clips} clips each), and run a paired t-test over the
        seeds. It should declare a winner in {NOMINAL} % of such comparisons. It does so in
        {_shown(five, "paired_t")} %, about one in {1 / paired:.0f}. More seeds make it worse:
        {_shown(simulated[most], "paired_t")} % with {most}. The test behind these boards stays near
        its promise: {_shown(five, PRIMARY)} % with five seeds, about one in {1 / ours:.0f}."""
    )
    yield _figure("false_winners.svg")
    yield grid(
        ("Seeds", *(f"{CANDIDATES[test].title} (%)" for test in SHOWN)),
        [
            (str(seeds), *(_shown(finding, test) for test in SHOWN))
            for seeds, finding in simulated.items()
        ],
    )
    yield fill(
        f"""Share of {_rate(five, PRIMARY).of:,} simulated comparisons with p < {NOMINAL / 100:g}; ±
        is one Monte-Carlo standard error."""
    )
    yield fill(prose.CAUSE)
    smallest = " and ".join(f"{smallest_p_over_seeds(n):g} with {n} seeds" for n in (3, 5))
    yield fill(
        f"""The Wilcoxon test over seeds has the same fault, and a second one: with few seeds it
        cannot find anything. The smallest p it can give is {smallest}."""
    )
    yield "More designs, with coverage and power: [Are the tests honest?](calibration.md)"


def _rate(finding: Finding, test: str) -> Rate:
    rate = finding.rate("mae", test, "missed")
    assert rate is not None, f"{test} was not simulated"
    return rate


def _shown(finding: Finding, test: str) -> str:
    rate = _rate(finding, test)
    return f"{_percent(rate.share)} ± {_percent(rate.error)}"


def _resolution() -> Iterator[str]:
    close, distant = (_percent(share, 0) for share in DISCORDANT)
    yield fill(
        f"""A test set has a resolution, like a microscope. Two systems disagree on some clips:
        exactly one of the two is right. Say this happens on {close} % of clips (close relatives) or
        on {distant} % (distant ones). The smallest true difference in accuracy that is then found
        with 80 % power:"""
    )
    found = [f"Detectable at {share} %, points" for share in (close, distant)]
    yield grid(
        ("Test set", "Metric", "Clips", "Source videos", "One clip, points", *found),
        [_detectable(row) for row in detectable()],
    )
    yield fill(
        """These are optimistic: two fixed checkpoints, and clips that are independent of each
        other. Clips of one source video are not, and a new seed adds variation of its own."""
    )
    mosi, mosei = ([f"{value:.3f}" for value in detectable_mae(design)] for design in (MOSI, MOSEI))
    yield fill(
        f"""More seeds do not help for long. In the simulation above, comparisons of five seeds each
        detect a difference in MAE of {mosi[0]}; with infinitely many it would be {mosi[1]}. On a
        test set the size of MOSEI's the two are {mosei[0]} and {mosei[1]}. What remains is the
        choice of clips and videos, and no training run changes that."""
    )


def _detectable(row: Detectable) -> tuple[str, ...]:
    return (
        row.dataset,
        row.metric,
        f"{row.clips:,}",
        f"{row.videos:,}",
        _percent(1 / row.clips, 2),
        *map(_percent, row.differences.values()),
    )
