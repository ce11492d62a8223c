"""The study: every design, with and without a difference, pairs and boards, part by part.

A part is simulated from a seed of its own and kept as one file, which appears by an atomic rename:
what was killed loses the parts in flight, and the same arguments give the same bytes whatever the
number of processes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from harness._util import canonical, pool
from harness._util.atomic import sweep, write_atomic
from harness._util.canonical import Json
from harness._util.seeds import derive
from harness.errors import SpecError
from harness.metrics import Values
from harness.stats.calibration.boards import CORRECTIONS, boards
from harness.stats.calibration.candidates import BEFORE, CANDIDATES, PRIMARY, Table
from harness.stats.calibration.designs import DESIGNS, Design
from harness.stats.calibration.simulated import METRICS, pairs

__all__ = [
    "CURVE",
    "PARTS",
    "Finding",
    "Kind",
    "Part",
    "Progress",
    "Rate",
    "Results",
    "Settings",
    "find",
    "load",
    "run",
]

Kind: TypeAlias = Literal["null", "difference", "curve", "equal", "ladder"]
"""Two equal systems; two that differ by the design's difference, or by a multiple of it in MAE
alone; a board of equal systems; a board whose systems lie evenly apart."""

CURVE = (0.4, 0.7, 1.0, 1.4, 2.0)
"""Multiples of a design's difference at which power is measured."""

_CURVED = (
    "31 videos × 22 clips, 5 seeds, seed sd as in MMSA's logs",
    "676 videos, uneven, 5 seeds",
    "8 videos",
    "3 seeds each",
    "heavy tails (t, 2.5 df)",
    "systems share nearly all error",
    "nothing but seed × clip noise",
    "deterministic against 3 seeds",
)
_BOARDS = (
    "31 videos × 22 clips, 5 seeds, seed sd as in MMSA's logs",
    "3 seeds each",
    "seed spread of the noisiest logged rows, 3 seeds",
    "8 videos",
    "676 videos, uneven, 3 seeds",
    "676 videos, large seed spread, 3 seeds",
    "a seed collapses with p = .2",
)
_LADDERS = (
    "31 videos × 22 clips, 5 seeds, seed sd as in MMSA's logs",
    "3 seeds each",
    "676 videos, uneven, 3 seeds",
)
_SYSTEMS = (5, 10, 20)
_RUNGS, _STEP = 10, 0.5  # systems on a ladder; between them, of the design's difference
_BOARD_SHARE = 4  # one board for so many comparisons


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is simulated.

    Args:
        replicates: Comparisons in every design with a difference, three times as many without
            one; half as many of either are bootstrapped, and there are a quarter as many boards,
            half of which are bootstrapped.
        draws: Of a comparison's bootstrap.
        seed: Of everything.

    Raises:
        SpecError: For fewer than eight replicates or 100 draws.
    """

    replicates: int = 2000
    draws: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replicates < 8 or self.draws < 100:
            raise SpecError(
                "a calibration takes at least 8 replicates and 100 draws, found"
                f" {self.replicates} and {self.draws}"
            )

    @property
    def nulls(self) -> int:
        """Comparisons of two equal systems: their rates are held against a limit."""
        return 3 * self.replicates

    @property
    def bootstrapped(self) -> int:
        """Comparisons that are bootstrapped."""
        return self.replicates // 2

    @property
    def boards(self) -> int:
        """Boards of a part."""
        return self.replicates // _BOARD_SHARE

    @property
    def bootstrapped_boards(self) -> int:
        """Boards that are bootstrapped."""
        return self.boards // 2


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is simulated at once.

    Args:
        kind: Which question.
        design: Which test sets.
        times: Multiple of the design's difference; between neighbours on a ladder.
        systems: On a board.
    """

    kind: Kind
    design: Design
    times: float = 0.0
    systems: int = 2

    @property
    def title(self) -> str:
        """For progress."""
        title = self.design.title
        if self.kind in ("equal", "ladder"):
            return f"{self.kind}, {self.systems} systems: {title}"
        return f"{self.kind}{f' × {self.times:g}' if self.kind == 'curve' else ''}: {title}"

    def work(self, settings: Settings) -> float:
        """About how long it takes, in milliseconds of one core of a server of 2024."""
        design, share = self.design, 0.2 if self.kind == "curve" else 1.0
        runs = sum(design.seeds) if self.systems == 2 else self.systems * design.seeds[1]
        thousands = float(design.sizes.sum()) * runs / 1000.0  # of predictions
        if self.systems == 2:
            each, drawn = 0.8 + 0.25 * thousands, 1.0 + 0.02 * design.videos
            count = settings.nulls if self.kind == "null" else settings.replicates
            return share * (count * each + settings.bootstrapped * drawn)
        each = 20.0 + 7.5 * self.systems + 0.05 * thousands
        drawn = 20.0 + 0.27 * design.videos
        return settings.boards * each + settings.bootstrapped_boards * drawn


def _parts() -> Iterator[Part]:
    by_title = {design.title: design for design in DESIGNS}
    for design in DESIGNS:
        yield Part(kind="null", design=design)
    for design in DESIGNS:
        yield Part(kind="difference", design=design, times=1.0)
    for title in _CURVED:
        for times in CURVE:
            if times != 1.0:  # which is the difference itself
                yield Part(kind="curve", design=by_title[title], times=times)
    for title in _BOARDS:
        for systems in _SYSTEMS:
            yield Part(kind="equal", design=by_title[title], systems=systems)
    for title in _LADDERS:
        yield Part(kind="ladder", design=by_title[title], systems=_RUNGS, times=_STEP)


PARTS = tuple(_parts())
"""The whole study."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something happened."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.hits / self.of

    @property
    def error(self) -> float:
        """Its Monte-Carlo standard error."""
        return math.sqrt(self.share * (1.0 - self.share) / self.of)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a part found.

    Args:
        numbers: By name. Of comparisons: ``<metric> difference``, the true one, and ``spread``, the
            relative standard deviation of the first metric over seeds. Of boards: ``<correction>
            found``, ``missed`` and ``best``, means over boards, and their ``error``.
        rates: By name. Of comparisons: ``<metric> <candidate> missed``, intervals that leave out
            the true difference, and ``rejected``, those that leave out zero. Of boards:
            ``<correction> false``.
    """

    numbers: Mapping[str, float]
    rates: Mapping[str, Rate]

    def rate(self, *words: str) -> Rate | None:
        """A rate by the words of its name; None where it does not apply."""
        return self.rates.get(" ".join(words))

    def plain(self) -> dict[str, Json]:
        """As JSON values."""
        rates = {name: (rate.hits, rate.of) for name, rate in self.rates.items()}
        return {"numbers": self.numbers, "rates": rates}

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Finding:
        """From ``plain``."""
        rates = {name: Rate(hits=hits, of=of) for name, (hits, of) in found["rates"].items()}
        return cls(numbers=found["numbers"], rates=rates)


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a study found, part by part."""

    settings: Settings
    findings: Mapping[Part, Finding]

    def of(self, kind: Kind) -> dict[Part, Finding]:
        """The parts of a kind."""
        return {part: found for part, found in self.findings.items() if part.kind == kind}

    def curves(self) -> dict[str, dict[float, Finding]]:
        """Title of a design -> multiple of its difference -> finding, those with a power curve.

        The first multiple is zero: two equal systems.
        """
        curved = {part.design for part in self.of("curve")}
        pairs = {part: found for part, found in self.findings.items() if part.systems == 2}
        return {
            design.title: {
                times: found
                for times in (0.0, *CURVE)
                for part, found in pairs.items()
                if part.design == design and part.times == times
            }
            for design in DESIGNS
            if design in curved
        }

    def dumps(self) -> str:
        """As JSON, one part a line."""
        lines = [
            f"{canonical.dumps(part.title)}: {canonical.dumps(found.plain())}"
            for part, found in self.findings.items()
        ]
        parts = ",\n".join(lines)
        return f'{{"settings": {canonical.dumps(self.settings)}, "parts": {{\n{parts}\n}}}}\n'

    @classmethod
    def loads(cls, text: str) -> Results:
        """From ``dumps`` of a study of these parts.

        Raises:
            KeyError: For a part that is missing.
        """
        found = json.loads(text)
        known = {part.title: part for part in PARTS}
        return cls(
            settings=Settings(**found["settings"]),
            findings={
                known[title]: Finding.parse(finding) for title, finding in found["parts"].items()
            },
        )


def find(
    part: Part,
    settings: Settings,
    *,
    metrics: Sequence[str] = (),
    candidates: Sequence[str] = (),
) -> Finding:
    """Simulate one part.

    Args:
        part: Which.
        settings: How much.
        metrics: Of a comparison; default: all, and MAE alone for a curve.
        candidates: Of a comparison; default: all, and for a curve the procedure of boards and that
            of before.
    """
    seed = derive(settings.seed, part.kind, part.design.title, f"{part.times:g}", part.systems)
    if part.systems > 2:
        return _board(part, settings, seed)
    curve = part.kind == "curve"
    names = metrics or (("mae",) if curve else tuple(METRICS))
    wanted = candidates or ((PRIMARY, BEFORE) if curve else tuple(CANDIDATES))
    drawn = any(CANDIDATES[name].bootstrapped for name in wanted)
    tables = pairs(
        part.design,
        part.times * part.design.difference,
        names,
        replicates=settings.nulls if part.kind == "null" else settings.replicates,
        bootstrapped=settings.bootstrapped if drawn else 0,
        draws=settings.draws,
        seed=seed,
    )
    known = part.kind == "null" and part.design.exchangeable
    truths = {
        # The mean over all replicates is the truth to a fiftieth of a standard error with 2,000:
        # a coverage of 95 % is then right to .005 points.
        name: 0.0 if known else float(table.squares.effect.mean())
        for name, table in tables.items()
    }
    rates: dict[str, Rate] = {}
    for name, table in tables.items():
        for candidate in wanted:
            rates |= _rates(f"{name} {candidate}", candidate, table, truths[name])
    numbers = {f"{name} difference": truth for name, truth in truths.items()}
    return Finding(
        numbers=numbers | {"spread": _spread(tables[names[0]])},
        rates=rates,
    )


def _rates(name: str, candidate: str, table: Table, truth: float) -> dict[str, Rate]:
    ends = CANDIDATES[candidate].intervals(table)
    if ends is None:
        return {}
    low, high = ends
    return {
        f"{name} {what}": Rate(hits=int(((low > value) | (high < value)).sum()), of=low.size)
        for what, value in (("missed", truth), ("rejected", 0.0))
    }


def _spread(table: Table) -> float:
    """Relative standard deviation over seeds of the system with more of them, 0 for one run."""
    runs = max(table.values, key=lambda values: values.shape[1])
    if runs.shape[1] == 1:
        return 0.0
    return float(np.sqrt(runs.var(axis=1, ddof=1).mean()) / runs.mean())


def _board(part: Part, settings: Settings, seed: int) -> Finding:
    step = part.times * part.design.difference
    found = boards(
        part.design,
        [step * place for place in range(part.systems)],
        replicates=settings.boards,
        resampled=settings.bootstrapped_boards,
        seed=seed,
    )
    means: dict[str, float] = {}
    for name in CORRECTIONS:
        for what in ("found", "missed", "best"):
            column: Values = np.array([getattr(claims, what) for claims in found[name]])
            means[f"{name} {what}"] = float(column.mean())
            means[f"{name} {what} error"] = float(column.std() / math.sqrt(column.size))
    rates = {
        f"{name} false": Rate(hits=sum(claims.false for claims in of), of=len(of))
        for name, of in found.items()
    }
    return Finding(numbers=means, rates=rates)


# The files


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A part that is done, now or before.

    Args:
        part: Which.
        done: How many are.
        total: Of so many.
        seconds: It took; 0 where it was done before.
        left: Seconds until all are, as far as those done now can tell; NaN before any is.
    """

    part: Part
    done: int
    total: int
    seconds: float
    left: float


@dataclass(frozen=True, kw_only=True)
class _Task:
    part: Part
    settings: Settings
    file: Path


def run(
    settings: Settings, folder: Path, *, code: str, jobs: int = 1, parts: Sequence[Part] = PARTS
) -> Iterator[Progress]:
    """Simulate what is missing, and tell after every part.

    Args:
        settings: How much.
        folder: Where parts are kept.
        code: What the numbers depend on beside settings: parts of other code are made again.
        jobs: Processes.
        parts: Of the study.

    Raises:
        RunFailed: When a process is killed; what was done is kept.
        OSError: When a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    tasks = [
        _Task(part=part, settings=settings, file=folder / _file(part, settings, code))
        for part in parts
    ]
    waiting = [task for task in tasks if not task.file.exists()]
    done = len(tasks) - len(waiting)
    for number, task in enumerate((task for task in tasks if task not in waiting), 1):
        yield Progress(part=task.part, done=number, total=len(tasks), seconds=0.0, left=math.nan)
    waiting.sort(key=lambda task: -task.part.work(settings))  # the longest must not come last
    left, began, work = sum(t.part.work(settings) for t in waiting), time.perf_counter(), 0.0
    for task, seconds in pool.each(_simulate, waiting, jobs):
        done += 1
        own = task.part.work(settings)
        left, work = (left - own if done < len(tasks) else 0.0), work + own
        rate = (time.perf_counter() - began) / work
        yield Progress(
            part=task.part, done=done, total=len(tasks), seconds=seconds, left=left * rate
        )


def load(settings: Settings, folder: Path, *, code: str, parts: Sequence[Part] = PARTS) -> Results:
    """What ``run`` found.

    Raises:
        OSError: For a part that is missing.
    """
    texts = {part: (folder / _file(part, settings, code)).read_text("utf-8") for part in parts}
    findings = {part: Finding.parse(json.loads(text)["found"]) for part, text in texts.items()}
    return Results(settings=settings, findings=findings)


def _file(part: Part, settings: Settings, code: str) -> str:
    return f"{part.kind}-{canonical.digest([part, settings, code])[:16]}.json"


def _simulate(task: _Task) -> tuple[_Task, float]:
    began = time.perf_counter()
    found = find(task.part, task.settings)
    said = {"title": task.part.title, "part": task.part, "settings": task.settings}
    text = canonical.dumps({**said, "found": found.plain()}, indent=1)
    write_atomic(task.file, text + "\n")
    return task, time.perf_counter() - began
