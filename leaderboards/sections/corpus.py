"""Which data a chapter is about, and what a reader of their numbers must know first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.data.datasets import SPLITS, Dataset, datasets
from leaderboards.document import Block, Heading, Notice, PerFormat, bold, code, text
from leaderboards.model import CorpusFacts, Grid
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "heading", "title_of", "titles_of"]


def title_of(facts: CorpusFacts) -> str:
    """What a corpus is called in a table of contents."""
    trial = "Trial on " if facts.trial else ""
    return f"{trial}{'Synthetic twin of ' if facts.twin else ''}{facts.dataset.title}"


def titles_of(corpora: Sequence[CorpusFacts]) -> list[str]:
    """``title_of`` each, with the feature set where several are called the same."""
    titles = [title_of(facts) for facts in corpora]
    return [
        title if titles.count(title) == 1 else f"{title} ({facts.feature_set})"
        for title, facts in zip(titles, corpora, strict=True)
    ]


def heading(facts: CorpusFacts) -> Heading:
    """A corpus as the heading of a text file."""
    what = ("Trial on " if facts.trial else "") + ("Twin of " if facts.twin else "")
    return Heading(2, text(f"{what}{facts.dataset.title}: {facts.name}"))


def _blocks(grid: Grid) -> Iterator[Block]:
    facts = grid.corpus
    yield PerFormat(
        file=(heading(facts),), page=(Heading(2, text(title_of(facts), " ", code(facts.name))),)
    )
    if facts.trial:
        part = f"{_per_split(facts.clips)} of {_per_split(facts.trial)} clips"
        words = f"TRIAL on {part}: shows that something runs, and is no result"
        yield Notice(text(bold(words)), "caution")
    if facts.twin:
        words = f"SYNTHETIC TWIN: not a result on {facts.dataset.title}"
        yield Notice(text(bold(words)), "twin")
    yield Notice(
        text(
            "Data ",
            code(facts.data[:12]),
            f". {' / '.join(SPLITS)}: {_per_split(facts.clips)} clips"
            f" from {_per_split(facts.videos)} source videos.",
        ),
        "data",
    )
    yield from _explanations(facts)
    if not (facts.twin or facts.trial):
        yield from _cautions(facts)


def _explanations(facts: CorpusFacts) -> Iterator[Notice]:
    """Whether texts that rows may read were written with the label in sight."""
    gate = facts.leak_gate
    if not facts.explained:
        return
    if gate is None:
        words = "leak gate: not measured. Whether its explanations know the labels is not known."
        yield Notice(text(words), "caution")
    elif gate.leaks:
        yield Notice(text(bold(gate.warning), f": {gate.figures}."), "caution")
    else:
        yield Notice(text(f"Leak gate: {gate.figures}."), "data")


def _per_split(counts: Mapping[str, int]) -> str:
    return " / ".join(str(counts[split]) for split in SPLITS)


def _cautions(facts: CorpusFacts) -> Iterator[Notice]:
    """What a reader of a real dataset's numbers must know."""
    dataset = facts.dataset
    if not facts.official:
        official = {split: counts.clips for split, counts in dataset.splits.items()}
        never = bold("Own split, never comparable with the official one")
        yield Notice(text(never, f" ({_per_split(official)} clips)."), "caution")
    if dataset.splits_share_videos:
        words = (
            "Training and test clips come from the same source videos: speakers and scenes recur,"
            " which flatters every row."
        )
        yield Notice(text(words), "caution")
    for part, whole in _containments(dataset):
        words = (
            f"All clips of {part.title} recur in {whole.title} with the same labels"
            " and split: results on the two are not independent evidence."
        )
        yield Notice(text(words), "caution")


def _containments(dataset: Dataset) -> Iterator[tuple[Dataset, Dataset]]:
    yield from ((datasets[name], dataset) for name in dataset.contains)
    yield from ((dataset, other) for other in datasets.values() if dataset.name in other.contains)


SECTION = CorpusSection(name="corpus", blocks=_blocks)
