"""A trained network applied to clips of corpora, tables and recordings.

``predict`` is the whole; ``sources`` finds the weights, ``clips`` what is to be predicted,
``writing`` puts predictions into a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness._util.lazy import lazily

if TYPE_CHECKING:
    from harness.runs.predicting.predict import Predicted, predict
else:
    __getattr__ = lazily(__name__, predict=("Predicted", "predict"))

__all__ = ["Predicted", "predict", "writing"]
