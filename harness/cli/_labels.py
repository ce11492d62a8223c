"""Where commands that take prediction files find the labels to score against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.data.datasets import Dataset
    from harness.data.known_labels import Labels
    from harness.data.labels import Notice, OwnLabels
    from harness.data.store import CorpusStore

__all__ = [
    "CorpusOption",
    "LabelsOption",
    "SplitOption",
    "corpora",
    "examples",
    "find_labels",
    "missing_and_extra",
    "official_corpus",
    "tell",
]

LabelsOption = Annotated[
    Path | None,
    typer.Option(help="An MMSA label.csv; default: a stored corpus, else the file's own labels."),
]
CorpusOption = Annotated[
    str | None,
    typer.Option(help="A stored corpus whose labels to take, official split or not."),
]
SplitOption = Annotated[str, typer.Option(help="train, valid or test.")]

_EXAMPLES = 3


def find_labels(
    own: Sequence[OwnLabels], dataset: Dataset, labels: Path | None, corpus: str | None, split: str
) -> Labels:
    """Labels from where a command says, else from where they are at hand.

    Args:
        own: The labels in the predictions files themselves.
        dataset: The dataset they are of.
        labels: A label file, None to look for stored labels.
        corpus: A stored corpus, None to look for one.
        split: train, valid or test.

    Raises:
        SubmissionError: When there are no labels anywhere, or those of a file contradict them.
    """
    from harness.data import known_labels

    return known_labels.find_labels(own, dataset, split, corpora(), file=labels, corpus=corpus)


def corpora() -> CorpusStore:
    """The stored corpora."""
    from harness.data.store import CorpusStore
    from harness.home import Home

    return CorpusStore(Home.default().corpora)


def official_corpus(dataset: Dataset) -> Corpus | None:
    """The first stored corpus that is the whole dataset in its official split, None without one."""
    from harness.data.known_labels import official_clips

    store = corpora()
    found = official_clips(dataset, store)
    return None if found is None else store.load(found.name)


def tell(notices: Sequence[Notice]) -> None:
    """Warn on standard error, each notice once."""
    for text in dict.fromkeys(notice.text for notice in notices):
        typer.secho(f"warning: {text}", err=True, fg="yellow")


def missing_and_extra(missing: Sequence[str], extra: Sequence[str]) -> dict[str, object]:
    """Clips without a prediction and predictions without a label, counted, with examples."""
    return {
        "missing": len(missing),
        "extra": len(extra),
        "missing_examples": list(missing[:_EXAMPLES]),
        "extra_examples": list(extra[:_EXAMPLES]),
    }


def examples(clips: Sequence[str], total: int) -> str:
    """The first of ``total`` clips in brackets, nothing for none."""
    if not clips:
        return ""
    return f" ({', '.join(clips[:_EXAMPLES])}{', …' if total > _EXAMPLES else ''})"
