"""What commands that take prediction files share: where labels are, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import complain

if TYPE_CHECKING:
    from harness.data.labels import LabelNotice
    from harness.spec import PredictionCell

__all__ = [
    "ConditionOption",
    "CorpusOption",
    "LabelsOption",
    "SplitOption",
    "VariantOption",
    "examples",
    "missing_and_extra",
    "said",
    "warn",
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
ConditionOption = Annotated[
    str, typer.Option(help="What happened to the clips, such as noise=0.5 or only:text.")
]
VariantOption = Annotated[
    str, typer.Option(help="Which answers, such as excluded or prompt:NAME of a model asked.")
]

_EXAMPLES = 3


def warn(notices: Sequence[LabelNotice]) -> None:
    """Warn on standard error, each notice once."""
    for text in dict.fromkeys(notice.text for notice in notices):
        complain(f"warning: {text}", colour="yellow")


def said(cell: PredictionCell) -> str:
    """Under what predictions were made, nothing for those that count."""
    from harness.spec.prediction_cell import COUNTED

    return "" if cell == COUNTED else f" under {cell.condition}, {cell.variant}"


def missing_and_extra(missing: Sequence[str], extra: Sequence[str]) -> dict[str, object]:
    """Clips without a prediction and predictions without a label, counted, with examples."""
    return {
        "missing": len(missing),
        "extra": len(extra),
        "missing_examples": list(missing[:_EXAMPLES]),
        "extra_examples": list(extra[:_EXAMPLES]),
    }


def examples(clips: Sequence[str]) -> str:
    """The first clips in brackets, nothing for none."""
    if not clips:
        return ""
    return f" ({', '.join(clips[:_EXAMPLES])}{', …' if len(clips) > _EXAMPLES else ''})"
