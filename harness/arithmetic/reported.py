"""Printed numbers as exact intervals, printed metric names as canonical ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from harness.data.datasets import Dataset
from harness.metrics import metrics, metrics_for

__all__ = ["Reported", "canonical_name"]

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


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A printed number as the interval of values it can stand for.

    Args:
        text: As printed.
        value: As a fraction of 1 where it was a percentage.
        step: One unit of its last digit, on the same scale.
    """

    text: str
    value: Fraction
    step: Fraction

    @classmethod
    def parse(cls, metric: str, text: str, *, hundredfold: bool = False) -> Reported | None:
        """Read a printed number; None when it is none.

        Accuracies and F1 above 1 are percentages.

        Args:
            metric: Canonical name.
            text: As printed, such as ``77.38``, ``0.7738`` or ``77.38%``.
            hundredfold: Whether the table says that it was multiplied by 100.

        Example:
            >>> Reported.parse("acc7", "38.6").low
            Fraction(771, 2000)
        """
        digits = text.strip().removesuffix("%")
        try:
            number = Decimal(digits)
        except InvalidOperation:
            return None
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > 30 or abs(number) > 10**6:
            return None
        percent = hundredfold or text.strip().endswith("%")
        percent = percent or (metrics[metric].percent and number > 1)
        divisor = 100 if percent else 1
        step = Fraction(10) ** exponent / divisor
        return cls(text=text.strip(), value=Fraction(number) / divisor, step=step)

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
        return Reported(text=self.text, value=self.value, step=2 * self.step)


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
    hundredfold = printed.lower().endswith("_x100")
    plain = re.sub(r"[^a-z0-9]", "", printed.lower().removesuffix("_x100"))
    name = _SPELLINGS.get(plain, plain)
    known = {metric.name for metric in metrics_for(dataset)}
    return (name, hundredfold) if name in known else None
