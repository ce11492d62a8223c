"""The precision of labels: six decimals, wherever they come from."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["rounded"]

_DECIMALS: Final = 6


def rounded(values: ArrayLike) -> NDArray[np.float64]:
    """Numbers as float64, to six decimals.

    The same label then is the same number, whether a file spells it with six digits or sixteen or
    a feature archive holds it as float32.

    Example:
        >>> rounded(np.float32([0.1, -0.7])).tolist()
        [0.1, -0.7]
    """
    return np.asarray(values, dtype=np.float64).round(_DECIMALS)
