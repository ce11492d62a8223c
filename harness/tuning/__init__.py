"""Hyper-parameter search with an honest budget: every trial an ordinary stored run.

``tune`` searches rows of a suite, chooses on validation clips alone, and gives a suite of the
chosen settings with seeds that no trial used. ``space`` says what is searched, ``sampling`` draws
settings with Optuna, ``database`` keeps them, ``search`` carries them out, ``result`` writes the
suite. Stored runs are the truth: all else is made again from them.
"""

from harness.tuning.budget import Budget
from harness.tuning.result import is_ours, suite_text
from harness.tuning.search import RowResult, TuningResult, tune
from harness.tuning.trials import Watch

__all__ = ["Budget", "RowResult", "TuningResult", "Watch", "is_ours", "suite_text", "tune"]
