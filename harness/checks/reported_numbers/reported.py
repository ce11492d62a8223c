"""Printed numbers as exact intervals, printed metric names as canonical ones."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from fractions import Fraction

from harness._util.printed import Printed, pair_of, read_number
from harness.data.datasets import Dataset
from harness.metrics import metrics, metrics_for

__all__ = ["Reported", "canonical_name", "canonical_names"]

_SPELLINGS = {
    "mae": "mae",
    "corr": "corr",
    "correlation": "corr",
    "pearson": "corr",
    "has0acc2": "acc2_has0",
    "acc2has0": "acc2_has0",
    "non0acc2": "acc2_non0",
    "acc2non0": "acc2_non0",
    "has0f1score": "f1_has0",
    "f1has0": "f1_has0",
    "non0f1score": "f1_non0",
    "f1non0": "f1_non0",
    "multacc2": "acc2",
    "f1score": "f1",
    "multacc3": "acc3",
    "multacc5": "acc5",
    "multacc7": "acc7",
    "wafnon0": "f1_non0",
}

_HUNDREDFOLD = re.compile(r"\(?(?:%|[_\s(][x×*]\s?100\b)\)?")
"""How a printed name says that its numbers were multiplied by 100."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A printed number as the interval of values it can stand for.

    Args:
        text: As printed.
        value: As a fraction of 1 where it was a percentage.
        step: One unit of its last digit, on the same scale.
        spread: What was printed behind ``±``, on the same scale; None without one.
    """

    text: str
    value: Fraction
    step: Fraction
    spread: Fraction | None = None

    @classmethod
    def parse(cls, metric: str, text: str, *, hundredfold: bool = False) -> Reported | None:
        """Read a printed number; None when the cell says that there is none.

        Args:
            metric: Canonical name.
            text: As printed: whatever ``harness._util.printed.read_number`` reads.
            hundredfold: Whether the table says that it was multiplied by 100.

        Raises:
            SubmissionError: As ``harness._util.printed.read_number``.

        Example:
            >>> Reported.parse("acc7", "38.6").low
            Fraction(771, 2000)
        """
        printed = read_number(text)
        return None if printed is None else cls.of(metric, printed, hundredfold=hundredfold)

    @classmethod
    def of(cls, metric: str, printed: Printed, *, hundredfold: bool = False) -> Reported:
        """The interval of a number read before; accuracies and F1 above 1 are percentages."""
        percent = hundredfold or printed.percent
        percent = percent or (metrics[metric].percent and printed.value > 1)
        divisor = 100 if percent else 1
        return cls(
            text=printed.text,
            value=Fraction(printed.value) / divisor,
            step=Fraction(10) ** printed.exponent / divisor,
            spread=None if printed.spread is None else Fraction(printed.spread) / divisor,
        )

    @property
    def low(self) -> Fraction:
        """Lowest value that rounds to it."""
        return self.value - self.step / 2

    @property
    def high(self) -> Fraction:
        """Highest value that rounds to it."""
        return self.value + self.step / 2

    def widened(self) -> Reported:
        """The same for a mean of values that were each rounded before: twice the interval."""
        return dataclasses.replace(self, step=2 * self.step)


def canonical_name(printed: str, dataset: Dataset) -> tuple[str, bool] | None:
    """The canonical metric a printed name means, and whether it says "times 100".

    None for names that are unknown or do not say which of the dataset's metrics they mean.

    Example:
        >>> from harness.data.datasets import datasets
        >>> canonical_name("Has0_acc_2", datasets["mosi"])
        ('acc2_has0', False)
        >>> canonical_name("Acc2", datasets["mosi"]) is None
        True
    """
    plain = re.sub(r"[^a-z0-9]", "", _HUNDREDFOLD.sub("", printed.lower()))
    known = {metric.name for metric in metrics_for(dataset)}
    joined = {name.replace("_", ""): name for name in known}
    name = _SPELLINGS.get(plain, joined.get(plain, plain))
    return (name, _says_hundredfold(printed)) if name in known else None


def canonical_names(printed: str, dataset: Dataset) -> tuple[tuple[str, ...], bool] | None:
    """As ``canonical_name``, for names that may mean two metrics apart by a slash.

    Example:
        >>> from harness.data.datasets import datasets
        >>> canonical_names("Acc-2 (has0/non0)", datasets["mosi"])
        (('acc2_has0', 'acc2_non0'), False)
    """
    found = canonical_name(printed, dataset)
    if found is not None:
        return (found[0],), found[1]
    pair = pair_of(_HUNDREDFOLD.sub("", printed.lower()))
    known = {metric.name for metric in metrics_for(dataset)}
    return (pair, _says_hundredfold(printed)) if pair and known.issuperset(pair) else None


def _says_hundredfold(printed: str) -> bool:
    return _HUNDREDFOLD.search(printed.lower()) is not None
