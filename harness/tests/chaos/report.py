"""The table of trials, and the page that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.tests.chaos.trials import Trial

OUTCOMES = ("healed", "named", "silent", "traceback", "hung")
DATA = Path(__file__).parents[3] / "docs" / "chaos.json"
PAGE = Path(__file__).parents[3] / "docs" / "pages" / "chaos.md"

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Thing -> way -> outcome -> trials."""


def counted(trials: Iterable[Trial]) -> dict[str, dict[str, dict[str, int]]]:
    """Trials by thing, way and outcome."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for trial in trials:
        ways = found.setdefault(trial.thing, {})
        outcomes = ways.setdefault(trial.way, {})
        outcomes[trial.outcome] = outcomes.get(trial.outcome, 0) + 1
    return {thing: dict(sorted(ways.items())) for thing, ways in sorted(found.items())}


def total(counts: Counts) -> Counter[str]:
    """Trials by outcome."""
    return Counter(
        {
            name: sum(of.get(name, 0) for ways in counts.values() for of in ways.values())
            for name in OUTCOMES
        }
    )


def record(trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """What is kept of an attempt."""
    return {"seed": seed, "trials": len(trials), "counts": counted(trials)}


def table(counts: Counts) -> str:
    """A row for each thing and way."""
    rows = [
        [thing, way, sum(of.values()), *(of.get(name, 0) for name in OUTCOMES)]
        for thing, ways in counts.items()
        for way, of in ways.items()
    ]
    return tabulate(rows, ["What", "How", "Trials", *map(str.capitalize, OUTCOMES)], "github")
