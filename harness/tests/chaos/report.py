"""The table of trials, and the page that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.tests.chaos.trials import Trial

OUTCOMES = ("healed", "named", "silent", "traceback", "hung")
DATA = Path(__file__).parents[3] / "docs" / "chaos.json"
PAGE = Path(__file__).parents[3] / "docs" / "pages" / "chaos.md"

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Thing -> way -> outcome -> trials."""

_TEMPLATES = Path(__file__).parent


def counted(trials: Iterable[Trial]) -> dict[str, dict[str, dict[str, int]]]:
    """Trials by thing, way and outcome."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for trial in trials:
        outcomes = found.setdefault(trial.thing, {}).setdefault(trial.way, {})
        outcomes[trial.outcome] = outcomes.get(trial.outcome, 0) + 1
    return {thing: dict(sorted(ways.items())) for thing, ways in sorted(found.items())}


def total(counts: Counts) -> Counter[str]:
    """Trials by outcome."""
    found: Counter[str] = Counter()
    for ways in counts.values():
        for outcomes in ways.values():
            found.update(outcomes)
    return found


def record(trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """What is kept of an attempt."""
    return {"seed": seed, "trials": len(trials), "counts": counted(trials)}


def page(data: Mapping[str, Any]) -> str:
    """The page of an attempt, beside that on an earlier source where there is one."""
    after, before = data["after"], data.get("before")
    earlier = "" if before is None else _filled("before.md", table=by_type(before["counts"]))
    return _filled(
        "page.md",
        trials=after["trials"],
        seed=after["seed"],
        types=by_type(after["counts"]),
        ways=by_way(after["counts"]),
        before=earlier,
    )


def _filled(name: str, **values: object) -> str:
    return (_TEMPLATES / name).read_text("utf-8").format(**values)


def by_type(counts: Counts) -> str:
    """A row for each thing, and one for all."""
    rows = [([thing], total({thing: ways})) for thing, ways in counts.items()]
    return _table(["What"], [*rows, (["**all**"], total(counts))])


def by_way(counts: Counts) -> str:
    """A row for each thing and way."""
    rows = [
        ([thing, way], Counter(outcomes))
        for thing, ways in counts.items()
        for way, outcomes in ways.items()
    ]
    return _table(["What", "How"], rows)


def _table(heads: list[str], rows: list[tuple[list[str], Counter[str]]]) -> str:
    head = [*heads, "Trials", *map(str.capitalize, OUTCOMES)]
    lines = [head, ["---"] * len(heads) + ["---:"] * (len(OUTCOMES) + 1)]
    lines += [
        [*names, str(found.total()), *(str(found[outcome]) for outcome in OUTCOMES)]
        for names, found in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
