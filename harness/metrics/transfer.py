"""Metrics of transfers, on labels in [-1, 1]: those whose meaning agrees across datasets.

Which side of a binary class neutral clips fall on differs between the datasets, so binary classes
leave them out; neutral as a class of its own is exactly 0, or a band that absorbs its blur.
"""

from __future__ import annotations

import math

import numpy as np

from harness.metrics.affine import fit_affine
from harness.metrics.base import Metric, Values
from harness.metrics.classification import (
    Classes,
    ClassScore,
    accuracy,
    macro_f1,
    non_zero,
    positive,
)
from harness.metrics.regression import MEAN_ERROR, clipped, scaled

__all__ = ["banded", "recalibrated", "signed"]

BAND = 0.1
"""Largest strength that the second three-class definition still calls neutral."""

_UNIT = 3.0  # label units of MOSI and MOSEI in one unit of a transfer
_TRANSFERS = ("transfer_mosi", "transfer_sims")
_SOURCE = "this harness"


def signed(values: Values) -> Classes:
    """Class 0 below zero, 1 at zero, 2 above.

    Example:
        >>> signed(np.array([-0.05, 0.0, 0.3])).tolist()
        [0, 1, 2]
    """
    return np.sign(values).astype(np.intp) + 1


def banded(values: Values) -> Classes:
    """Class 1 within ±0.1, both ends included, 0 below, 2 above.

    Example:
        >>> banded(np.array([-0.2, -0.1, 0.05, 0.1, 0.3])).tolist()
        [0, 1, 1, 1, 2]
    """
    return signed(np.where(np.abs(values) <= BAND, 0.0, values))


def recalibrated(pred: Values, fitted_on: Values, truth: Values) -> Values:
    """Predictions through the line that fits other clips best in least squares.

    Fitted on validation clips of the sources, it takes out a wrong scale and offset that the
    sources already show; what remains between domains is ranking, and shift nobody could know.

    Args:
        pred: (..., N) predictions to pass through the line.
        fitted_on: (n,) predictions of the same system for the clips of ``truth``.
        truth: (n,) labels of source clips.

    Returns:
        (..., N) values; the mean label for a system whose ``fitted_on`` is constant.

    Raises:
        SubmissionError: When ``fitted_on`` and ``truth`` are not n > 0 numbers each.

    Example:
        >>> recalibrated(np.array([4.0]), np.array([0.0, 2.0]), np.array([0.5, 1.5])).tolist()
        [2.5]
    """
    return fit_affine(fitted_on, truth)(pred)


MAE_NATIVE = Metric(
    name="mae_native",
    title="Native MAE",
    definition="MAE on the target's own scale and by its own definition: 3 |p - y| on MOSI and"
    " MOSEI, clipped to ±1 on CH-SIMS",
    functions={"transfer_mosi": scaled(MEAN_ERROR, _UNIT), "transfer_sims": clipped(MEAN_ERROR)},
    higher_is_better=False,
    high=math.inf,
    source="MMSA, regression metrics",
    primary=True,
    place=15,
)

ACC3_SIGN = Metric(
    name="acc3_sign",
    title="Acc-3 sign",
    definition="agreement of the signs of p and y, 0 a class of its own",
    functions=dict.fromkeys(_TRANSFERS, ClassScore(accuracy, signed)),
    source=_SOURCE,
    primary=True,
    place=70,
    percent=True,
)

ACC3_BAND = Metric(
    name="acc3_band",
    title="Acc-3 band",
    definition="agreement of p and y in below -0.1, within ±0.1, above 0.1",
    functions=dict.fromkeys(_TRANSFERS, ClassScore(accuracy, banded)),
    source=_SOURCE,
    primary=True,
    place=75,
    percent=True,
)

MACRO_F1_NON0 = Metric(
    name="macro_f1_non0",
    title="Macro-F1 non-0",
    definition="plain mean of the two F1 of the Acc-2 non-0 classes",
    functions=dict.fromkeys(_TRANSFERS, ClassScore(macro_f1, positive, non_zero)),
    undefined="no clip has a non-zero label",
    source="scikit-learn's macro average; shows a collapse that support weights hide",
    primary=True,
    place=85,
    percent=True,
)
