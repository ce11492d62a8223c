"""Labels that arrive beside predictions, against labels that are known: one rule for all commands.

Predictions files often repeat the label of each clip. Where those labels are not the known ones,
the rows do not belong to the ids beside them, and every score of the file is wrong. So labels are
compared wherever two sources of them meet: rows of one clip, files given together, a file and a
corpus.

Shapes: n clips that both sources label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from harness._util.canonical import Json
from harness.data.label_causes import cause_of, same_labels
from harness.data.rounding import rounded
from harness.errors import SubmissionError

__all__ = [
    "Contradiction",
    "LabelNotice",
    "OwnLabels",
    "contradiction",
    "copied",
    "finest",
    "gather",
    "judge",
    "judge_rows",
]

FEW = 0.05
"""Share of contradicting labels up to which single clips are at fault, beyond it the file is."""
COPIED = 0.9
"""Share of predictions equal to their label from which they are no predictions."""

_ADVICE = "join predictions and labels by id, or leave the column label out if it is of other data"


@dataclass(frozen=True)
class LabelNotice:
    """Something a reader of scores must know.

    Args:
        kind: Stable key, such as ``labels-differ``.
        text: One sentence for people.
    """

    kind: str
    text: str

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        return {"kind": self.kind, "text": self.text}


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """Labels of one source that are not those of another.

    Args:
        source: Whose labels are in question.
        against: Whose labels they contradict.
        compared: Number of clips that both label.
        clips: Clips with two labels -> (label of ``source``, label of ``against``).
        cause: What seems to have happened, empty where nothing shows it or single clips differ.
    """

    source: str
    against: str
    compared: int
    clips: Mapping[str, tuple[float, float]]
    cause: str

    @property
    def share(self) -> float:
        """Share of the compared clips, 0 to 1."""
        return len(self.clips) / self.compared

    @property
    def is_small(self) -> bool:
        """Whether single clips are at fault, not the file."""
        return self.share <= FEW

    @property
    def text(self) -> str:
        """One sentence: how many, which, and why where that shows."""
        examples = ", ".join(
            f"{clip} {theirs:g} for {ours:g}"
            for clip, (theirs, ours) in list(self.clips.items())[:3]
        )
        more = ", …" if len(self.clips) > 3 else ""
        cause = f"; {self.cause}" if self.cause else ""
        return (
            f"{len(self.clips)} of {self.compared} labels in {self.source} contradict"
            f" {self.against} ({self.share:.1%}: {examples}{more}){cause}"
        )

    def notice(self) -> LabelNotice:
        """As something that scores are shown with."""
        return LabelNotice("labels-differ", self.text)


@dataclass(frozen=True, kw_only=True)
class OwnLabels:
    """The labels that a predictions file has of its own clips.

    Args:
        source: The file.
        labels: Clip id -> label, for clips whose rows agree, in the order of the file.
        disputed: Clip id -> (lowest, highest) label of clips whose rows do not.
    """

    source: str
    labels: Mapping[str, float]
    disputed: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def gather(source: str, ids: Iterable[str], labels: ArrayLike) -> OwnLabels:
    """The labels of a file with one row per clip and run.

    Args:
        source: The file, for messages.
        ids: (r,) clip of each row.
        labels: (r,) finite label of each row.
    """
    by_clip: dict[str, list[float]] = {}
    for clip, label in zip(ids, np.asarray(labels, dtype=np.float64).tolist(), strict=True):
        by_clip.setdefault(clip, []).append(label)
    ranges = {clip: (min(found), max(found)) for clip, found in by_clip.items()}
    disputed = {
        c: (low, high) for c, (low, high) in ranges.items() if not bool(same_labels(low, high))
    }
    return OwnLabels(
        source=source,
        labels={c: finest(found) for c, found in by_clip.items() if c not in disputed},
        disputed=disputed,
    )


def finest(labels: Iterable[float]) -> float:
    """Of several spellings of one label the one with most decimals, whatever their order.

    Example:
        >>> finest([0.667, 0.666667])
        0.666667
    """
    found: list[float] = rounded(list(labels)).tolist()
    return max(found, key=lambda label: (len(repr(label)), label))


def contradiction(
    found: Mapping[str, float],
    known: Mapping[str, float],
    *,
    source: str = "the file",
    against: str,
) -> Contradiction | None:
    """The clips on which two sources of labels do not agree, None where they do on all.

    Labels that are all printed with at most two decimals agree with what rounds to them.

    Args:
        found: Clip id -> label, in the order of the file.
        known: Clip id -> label.
        source: Whose the first are.
        against: Whose the second are.
    """
    shared = [clip for clip in found if clip in known]
    theirs = np.array([found[clip] for clip in shared], dtype=np.float64)
    ours = np.array([known[clip] for clip in shared], dtype=np.float64)
    apart = ~same_labels(theirs, ours)
    if not apart.any():
        return None
    return Contradiction(
        source=source,
        against=against,
        compared=len(shared),
        clips={
            clip: (float(one), float(other))
            for clip, one, other, wrong in zip(shared, theirs, ours, apart, strict=True)
            if wrong
        },
        cause=""
        if apart.mean() <= FEW
        else cause_of(theirs, ours, np.array([known[clip] for clip in known if clip in found])),
    )


def judge(found: Contradiction | None) -> tuple[LabelNotice, ...]:
    """Nothing, or a notice about single clips.

    Raises:
        SubmissionError: When so many labels contradict that the file is at fault.
    """
    if found is None:
        return ()
    if not found.is_small:
        raise SubmissionError(found.text, hint=_ADVICE)
    return (found.notice(),)


def judge_rows(own: OwnLabels) -> tuple[LabelNotice, ...]:
    """As ``judge``, of the rows of a file that give one clip different labels."""
    if not own.disputed:
        return ()
    total = len(own.labels) + len(own.disputed)
    examples = ", ".join(
        f"{clip} {low:g} and {high:g}" for clip, (low, high) in list(own.disputed.items())[:3]
    )
    text = f"{len(own.disputed)} of {total} clips of {own.source} have several labels ({examples})"
    if len(own.disputed) > FEW * total:
        raise SubmissionError(text, hint="a clip has one label, whatever the seed: join them by id")
    return (LabelNotice("labels-disputed", text),)


def copied(pred: ArrayLike, truth: ArrayLike) -> int:
    """Number of predictions that are the labels, 0 for predictions that merely hit some.

    Args:
        pred: (n,) predictions.
        truth: (n,) labels.
    """
    off = np.abs(np.asarray(pred, dtype=np.float64) - np.asarray(truth, dtype=np.float64))
    equal = int((off < 1e-6).sum())
    return equal if equal > COPIED * off.size else 0
