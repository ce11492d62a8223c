"""A benchmark harness and leaderboards for multimodal sentiment analysis.

Shapes are written with one letter each: B batch, T time (frames), D features, L tokens, S seeds,
N or n clips, V source videos, E epochs.

The names below are the stable Python interface; each loads only what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.driver import Report

    __version__: str
else:

    def __getattr__(name: str) -> str:
        """``__version__`` of the installed distribution, read when it is asked for."""
        if name == "__version__":
            from importlib.metadata import version

            return version("msa-harness")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["__version__", "run"]


def run(suite: str, home: Home | None = None, *, workers: int = 1) -> Report:
    """Run what is missing of a suite; the same call continues after an interruption.

    Args:
        suite: Name of a suite in ``home.suites``, or a path to a TOML file.
        home: Where corpora and runs live; ``Home.default()`` when None.
        workers: Worker processes, one thread each.

    Raises:
        SpecError: For an invalid suite.
        DataError: For a corpus or encoder that is not here.
        StoreError: When another driver holds the store.
        MissingExtra: Where the packages of the extra ``train`` are not installed.
    """
    from harness._util.extras import explained

    with explained():
        from harness.home import Home
        from harness.runs.driver import carry_out
        from harness.runs.executors.local import LocalExecutor
        from harness.runs.plan import find_suite, make_plan
        from harness.runs.store import RunStore

    home = home or Home.default()
    store = RunStore(home.store)
    with store.writing():
        plan = make_plan(find_suite(suite, home), home)
        return carry_out(plan, store, LocalExecutor(workers))
