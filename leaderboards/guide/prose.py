"""Those parts of the guide's text that hold no number, and how text is set."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tabulate import tabulate

__all__ = ["ASKING", "CAUSE", "ENTERING", "INTRODUCTION", "MARKS", "UNSAID", "fill", "grid"]

_WIDTH = 105


def fill(text: str) -> str:
    r"""One paragraph, or list item, broken into lines once its numbers are in it.

    Example:
        >>> print(fill("- **Row.**\n   One system."))
        - **Row.** One system.
    """
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        " ".join(text.split()),
        _WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; cells are taken as they are."""
    return tabulate(rows, headers=headings, tablefmt="pipe", disable_numparse=True)


INTRODUCTION = """
This page is for readers of result tables in multimodal sentiment analysis. It says what every mark
on a board means, and then why the mark is there. All numbers are computed by the code of this
repository: from made-up clips, from published label counts, and by simulation."""

MARKS = (
    """- **Row.** One system with one set of hyper-parameters, trained once per seed. Every number
    in it is computed from stored predictions, one per test clip and seed. All rows of a table share
    clips, split, checkpoint rule and side information; the protocol at the top of the board lists
    them.""",
    """- **Constants** (`train_mean`, `train_median`, `zero`, `majority`) come first. They give
    every clip the same answer. They are the floor and are not ranked.""",
    """- **`mean ± sd`**: mean and standard deviation over seeds. The ± says how far the next seed
    may land *on these test clips*. It is not an interval and not a test: it says nothing about
    other clips. Rows whose ± overlap may differ, and rows whose ± are far apart may be equal.""",
    """- **Rank**: a set, such as *second to fourth*. It holds every rank that the data do not
    exclude. Rows are compared in pairs, for new seeds and new source videos, and corrected for all
    pairs together. The order within a set means nothing. Ranks are a claim in the metric that chose
    the checkpoints, with at most 5 % error for the whole table.""",
    """- **{tied}**: the tie group at the top in that metric. No other row is significantly better.
    Nothing is bold: most winners of tables this size are not winners.""",
    """- **{exploratory}**: the same in any other metric. It is exploratory: each metric is
    corrected by itself, so that over nine metrics a false mark is expected more often.""",
    """- **Could be best**: the rows among which the best one is, with 95 %.""",
    """- **Resolution**: the line below a table. From this difference on, a single comparison finds
    a true difference with 80 % probability. Do not read smaller gaps as progress.""",
    """- **Pairwise**: row minus column, with its corrected p. `better` and `worse`: a significant
    difference. `equivalent`: shown to lie within the margin declared for the metric. `negligible`:
    significant, and within that margin. `undecided`: the data cannot tell. It does not mean
    equal.""",
    """- **Seeds `n/N`**: n of N planned runs are there. A row with a hole is shown but not ranked,
    and *Holes* below the table says why: failed, damaged, not run, not applicable, not here. A
    hole is never a zero. Corpora and systems that were not here are listed under *Not here*.""",
    """- **Seeds `4/5 + 1 collapsed`**: five runs, one of which predicts nearly the same for every
    clip, or is far worse than the row's other runs. A flag names its seed. It is a result of the
    system: it stays in every mean and comparison. JSON has the probability of collapse with its
    95 % interval, and so has the page where the pointer rests.""",
    """- **Looks**: seeds of some suites are added until it is decided. *How to read this* then
    names the numbers of seeds at which it was looked, declared before the first run, and the
    level of every claim. Whoever looks after every few seeds, at .05 each time, finds differences
    between equal systems twice as often.""",
    """- **`det.`, `n=1`**: no seed changes the result; one run only. Neither has a spread. An `n=1`
    row is a checkpoint: it is compared with others, in words that say so, and has no rank.""",
    """- **`{undefined}`**: undefined in at least one run, such as the correlation of a constant.
    **`{empty}`**: no run, or nothing to say.""",
    """- **SYNTHETIC TWIN**: the clips are made up. The table shows that the harness works. It is
    not a result on the dataset whose shape it copies, and never shares a table with one.""",
    """- **Badge**: where a row's numbers come from.""",
)

CAUSE = """
Why? The paired t-test asks: would new seeds *on exactly these clips* give the same sign? On any one
test set two equal systems do differ a little, because one of them happens to suit these clips. That
difference is real for these clips and worthless for any others. The more seeds, the better the test
sees it. The test behind these boards asks about new seeds *and* new videos: the variance of a
difference is that of both, estimated from the videos that the two systems share and from the seeds
of each, and how uncertain that variance is with few seeds or videos is in its t distribution."""

ASKING = (
    "Ask before claiming a gain:",
    """\
```sh
msa compare mine.csv theirs.csv --dataset mosi     # two prediction files
msa compare "my_suite:TFN" "my_suite:TFN, wider"   # two rows of a board
```""",
    fill(
        """Per metric it prints the difference, its interval, p, and `detectable`: the smallest true
        difference that this very comparison finds with 80 % power. If `detectable` is larger than
        the gain you hope for, the answer will most likely be `undecided`, however good the idea.
        `--narrower` adds the customary tests, each with the question it really answers."""
    ),
)

UNSAID = (
    (
        "Checkpoint rule",
        "the best of all epochs *on test* flatters every row",
        "protocol: `selection_split`, `selection_metric`; submissions state theirs",
    ),
    (
        "Seeds",
        "the best of several is not their mean, and one run has no spread",
        "*Seeds*, `±`, and every seed under the table",
    ),
    (
        "Side information",
        "labels per modality, or text written by a language model, are further inputs",
        "rows that read some, or learned from another corpus, are ranked in tables of their own",
    ),
    (
        "Convention",
        "one name, several metrics",
        "column names, definitions at the end, `msa score`",
    ),
    (
        "Encoder and features",
        "they can matter more than the fusion on top",
        "*Text*, and the corpus in each heading",
    ),
    (
        "Clips",
        "a dropped clip makes another test set",
        "counts above each table; submissions that miss clips have a table of their own",
    ),
    (
        "Changed settings",
        "perhaps only one row was tuned",
        "*Changed*, under *How the rows were made*",
    ),
    (
        "Floor",
        "a constant can look respectable",
        "constants in every table",
    ),
    (
        "Overlap",
        "CH-SIMS lies inside CH-SIMS v2, and both share source videos between splits",
        "above the tables concerned",
    ),
)

ENTERING = (
    fill(
        """A file of predictions is enough: columns `id` and `pred`, and `seed` if there are several
        runs, as CSV, Parquet or JSONL. A manifest says what a reader must know: paper, seeds,
        checkpoint rule, side information, encoder ([examples](../submissions/README.md))."""
    ),
    """\
```sh
msa submit mine.csv --dataset mosi --manifest mine.toml --dry-run   # check and score only
msa submit mine.csv --dataset mosi --manifest mine.toml             # and keep it
msa board my_suite                             # write the board again
msa board my_suite --check                     # is it what the predictions say?
msa compare submission:mine "my_suite:TFN"     # is mine better?
msa reproduce mmsa                             # published numbers beside ours
```""",
    fill(
        """Ids, duplicates, missing values, range and coverage are checked, and the scores are
        computed here. A submission is ranked with the rows of a board when it predicts every clip,
        names the board's protocol, did not choose its checkpoint on test, and used no side
        information. One that only leaves out clips is ranked in a table of its own, on the clips
        that all rows of that table predict. Otherwise it is shown apart, with the reason."""
    ),
    fill(
        """Boards are never edited: `--check` fails on one byte that does not follow from stored
        predictions. Published boards: [leaderboards/published](../published/)."""
    ),
)
