"""A benchmark harness and leaderboards for multimodal sentiment analysis.

Shapes are written with one letter each: B batch, T time (frames), D features, L tokens, S seeds,
N or n clips, V source videos, E epochs.

The names below are the stable Python interface; each loads only what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness._util.lazy import lazily

if TYPE_CHECKING:
    from harness._util.budget import memory_allowed
    from harness.data.auditing import audit
    from harness.runs.asked import suite_of
    from harness.runs.carrying import carry
    from harness.runs.comparing import compare
    from harness.runs.frames import prediction_table, run_table, score_table
    from harness.runs.looks import Until
    from harness.runs.predicting import predict
    from harness.runs.running import run
    from harness.submissions import score
    from harness.tuning import Budget, tune
    from leaderboards.frames import reproduce, variance

    __version__: str
else:
    _fetch = lazily(
        __name__,
        **{
            "_util.budget": ("memory_allowed",),
            "data.auditing": ("audit",),
            "runs.asked": ("suite_of",),
            "runs.carrying": ("carry",),
            "runs.comparing": ("compare",),
            "runs.frames": ("prediction_table", "run_table", "score_table"),
            "runs.looks": ("Until",),
            "runs.predicting.predict": ("predict",),
            "runs.running": ("run",),
            "submissions.scoring": ("score",),
            "tuning.budget": ("Budget",),
            "tuning.search": ("tune",),
        },
    )

    def __getattr__(name: str) -> object:
        """``__version__`` of the installed distribution, and functions, when they are asked for."""
        if name == "__version__":
            from importlib.metadata import version

            return version("msa-harness")
        if name in ("reproduce", "variance"):  # this interface is above boards, as commands are
            import importlib

            from harness._util.siblings import refuse_strangers

            refuse_strangers(["leaderboards"])
            return getattr(importlib.import_module("leaderboards.frames"), name)
        return _fetch(name)


__all__ = [
    "Budget",
    "Until",
    "__version__",
    "audit",
    "carry",
    "compare",
    "errors",
    "home",
    "memory_allowed",
    "predict",
    "prediction_table",
    "reproduce",
    "run",
    "run_table",
    "score",
    "score_table",
    "suite_of",
    "tune",
    "variance",
]
