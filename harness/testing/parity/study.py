"""Every system and corpus shape that two codes share, compared by as many processes as wanted."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from harness._util.pool import each
from harness.errors import RunFailed
from harness.system import systems
from harness.testing.mmsa import MmsaProcess, mmsa_process
from harness.testing.parity.comparison import TOLERANCES, ParityFigures, compare
from harness.testing.parity.counterpart import SHAPES, Counterpart, counterparts
from harness.testing.parity.sides import Play, show_ours, show_theirs, staged, write_encoders

__all__ = ["Change", "Pair", "PairOutcome", "compare_pair", "compare_pairs", "pairs_of"]

_PORTIONS: Final = 2  # for each process: what is done is told after every one

Pair = tuple[str, str]
"""Name of a system, name of a corpus shape."""
Change = Callable[[Play], Play]
"""What is done to ours before it is compared: nothing, unless it is tried whether a fault shows."""


@dataclass(frozen=True, kw_only=True)
class PairOutcome:
    """What came of comparing a system on a corpus shape.

    Args:
        system: Ours.
        shape: Of ``SHAPES``.
        figures: How far apart the two codes are; None where they were not compared.
        reason: Why not, or why that failed.
        failed: Whether it failed: left out on purpose otherwise.
        seconds: It took.
    """

    system: str
    shape: str
    figures: ParityFigures | None = None
    reason: str = ""
    failed: bool = False
    seconds: float = 0.0

    @property
    def counterpart(self) -> Counterpart:
        """What is known of the system."""
        return counterparts[self.system]

    @property
    def verdict(self) -> str:
        """``equal``, ``differs``, ``failed`` or ``left out``."""
        if self.figures is None:
            return "failed" if self.failed else "left out"
        return "differs" if self.figures.faults else "equal"


def pairs_of(names: Iterable[str], shapes: Iterable[str]) -> list[Pair]:
    """Systems by corpus shapes that they take, those that are left out included."""
    wanted = list(shapes)
    return [
        (name, shape)
        for name in names
        for shape in SHAPES
        if shape in wanted and shape in counterparts[name].shapes
    ]


def compare_pairs(
    pairs: Sequence[Pair], python: Path, jobs: int
) -> Iterator[Sequence[PairOutcome]]:
    """Outcomes as they come, some at a time.

    Args:
        pairs: What to compare.
        python: Interpreter of MMSA's environment.
        jobs: Processes, each with one of MMSA beside it that takes turns with it.
    """
    compared = [pair for pair in pairs if not counterparts[pair[0]].reason(pair[1])]
    left_out = [pair for pair in pairs if pair not in compared]
    if left_out:
        yield [
            PairOutcome(system=name, shape=shape, reason=counterparts[name].reason(shape))
            for name, shape in left_out
        ]
    with tempfile.TemporaryDirectory() as folder:
        encoders = write_encoders(Path(folder, "encoders"))
        count = jobs * _PORTIONS
        portions = [
            _Portion(pairs=tuple(compared[place::count]), python=python, encoders=encoders)
            for place in range(min(count, len(compared)))
        ]
        yield from each(_compare_portion, portions, min(jobs, max(1, len(portions))))


@dataclass(frozen=True, kw_only=True)
class _Portion:
    pairs: tuple[Pair, ...]
    python: Path
    encoders: Path


def _compare_portion(portion: _Portion) -> list[PairOutcome]:
    """By one process of MMSA, and by another one after each that gives up."""
    torch.set_num_threads(1)
    left, outcomes = list(portion.pairs), []
    while left:
        with tempfile.TemporaryDirectory() as folder, _started(portion, folder) as process:
            while left:
                pair, began = left.pop(0), time.perf_counter()
                place = Path(folder, "-".join(pair))
                try:
                    figures = compare_pair(pair, process, place, portion.encoders)
                except RunFailed as error:
                    outcomes.append(
                        PairOutcome(system=pair[0], shape=pair[1], reason=str(error), failed=True)
                    )
                    break
                seconds = time.perf_counter() - began
                outcomes.append(
                    PairOutcome(system=pair[0], shape=pair[1], figures=figures, seconds=seconds)
                )
    return outcomes


def _started(portion: _Portion, folder: str) -> contextlib.AbstractContextManager[MmsaProcess]:
    return mmsa_process(portion.python, Path(folder, "mmsa.log"))


def compare_pair(
    pair: Pair,
    process: MmsaProcess,
    folder: Path,
    encoders: Path,
    *,
    change: Change | None = None,
) -> ParityFigures:
    """Compare a system with its counterpart on one corpus shape.

    Args:
        pair: System and shape.
        process: Of MMSA.
        folder: One that is not there yet.
        encoders: As ``write_encoders`` made it.
        change: Done to ours, after MMSA got its weights.

    Raises:
        RunFailed: When a weight has no counterpart, or MMSA ends early.
    """
    name, shape = pair
    known = counterparts[name]
    exchange = folder / "exchange"
    exchange.mkdir(parents=True)
    play = staged(systems[name], known, shape, folder / "corpora")
    theirs, kept = show_theirs(play, process, exchange, encoders)
    ours = show_ours(play if change is None else change(play), kept)
    tolerance = dataclasses.replace(TOLERANCES[known.dtype], **known.limits)
    return compare(ours, theirs, tolerance)
