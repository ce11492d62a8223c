"""MAG-BERT's layout of word-aligned features, brought to MMSA's.

Each split is a list of clips ``((words, visual, acoustic), label, segment)``: w words, arrays of
(w, D) numbers, one row per word, a label of any shape with one number, and ``video[clip]``.

Source: WasifurRahman/BERT_multimodal_transformer, what its data loader unpacks.
"""

from __future__ import annotations

import numpy as np

from harness._util.budget import Budget
from harness.errors import DataError

__all__ = ["as_mmsa", "fits"]

_WORD = 64  # bytes charged per word of a clip, beside its characters


def fits(part: object) -> bool:
    """Whether a split is a list whose first clip has this layout."""
    return isinstance(part, list | tuple) and bool(part) and _is_clip(part[0])


def as_mmsa(file: str, split: str, part: object, budget: Budget) -> dict[str, object]:
    """One split with MMSA's keys; audio and vision are lists of one (w, D) array per clip.

    The texts that are joined of words are charged to the budget.

    Raises:
        DataError: When the budget is used up; naming the clip, for one in another layout, or whose
            words and rows differ in number.
    """
    if not isinstance(part, list | tuple):
        raise DataError(
            f"{file}: {split} should be a list of clips in MAG-BERT's layout, found a"
            f" {type(part).__name__}",
            hint="MMSA's files need no --layout",
        )
    for row, clip in enumerate(part):
        _check(f"{file}: {split}[{row}]", clip, budget)
    return {
        "id": [segment for _, _, segment in part],
        "raw_text": [" ".join(words) for (words, _, _), _, _ in part],
        "audio": [acoustic for (_, _, acoustic), _, _ in part],
        "vision": [visual for (_, visual, _), _, _ in part],
        "regression_labels": [np.ravel(label).tolist()[0] for _, label, _ in part],
    }


def _is_clip(clip: object) -> bool:
    return (
        isinstance(clip, list | tuple)
        and len(clip) == 3
        and isinstance(clip[0], list | tuple)
        and len(clip[0]) == 3
    )


def _check(where: str, clip: object, budget: Budget) -> None:
    match clip:
        case [[words, np.ndarray() as visual, np.ndarray() as acoustic], label, _]:
            rows = [_words(where, words, budget), *visual.shape[:1], *acoustic.shape[:1]]
        case _:
            raise DataError(f"{where} should be ((words, visual, acoustic), label, segment)")
    if len(set(rows)) != 1 or visual.ndim != 2 or acoustic.ndim != 2:
        raise DataError(
            f"{where} should have one row of visual and acoustic features per word; found"
            f" {rows[0]} words, {visual.shape} and {acoustic.shape}"
        )
    if not isinstance(label, np.ndarray | np.generic | int | float) or np.size(label) != 1:
        raise DataError(f"{where} should have one number as its label")


def _words(where: str, words: object, budget: Budget) -> int:
    if isinstance(words, np.ndarray):
        budget.spend(_WORD * words.size + words.nbytes, f"the words of {_clip(where)}")
        words = words.tolist()
    if isinstance(words, list | tuple):
        budget.spend(_WORD * len(words), f"the words of {_clip(where)}")
        if all(isinstance(word, str) for word in words):
            budget.spend(4 * sum(map(len, words)), f"the text of {_clip(where)}")
            return len(words)
    raise DataError(f"{where} should have a list of words")


def _clip(where: str) -> str:
    """A place without its file."""
    return where.rpartition(" ")[2]
