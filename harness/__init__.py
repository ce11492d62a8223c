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
    from harness.runs.carrying import carry
    from harness.runs.comparing import compare
    from harness.runs.looks import Until
    from harness.runs.running import run
    from harness.submissions import score

    __version__: str
else:
    _fetch = lazily(
        __name__,
        **{
            "_util.budget": ("memory_allowed",),
            "runs.carrying": ("carry",),
            "runs.comparing": ("compare",),
            "runs.looks": ("Until",),
            "runs.running": ("run",),
            "submissions.scoring": ("score",),
        },
    )

    def __getattr__(name: str) -> object:
        """``__version__`` of the installed distribution, and functions, when they are asked for."""
        if name == "__version__":
            from importlib.metadata import version

            return version("msa-harness")
        return _fetch(name)


__all__ = [
    "Until",
    "__version__",
    "carry",
    "compare",
    "errors",
    "home",
    "memory_allowed",
    "run",
    "score",
]
