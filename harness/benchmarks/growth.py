"""What costs become as work grows: a ratio of 1 is linear, below it is better.

The reference of a row is the cost of little work times what the work grows by. Comparisons are
measured in processes of their own (``harness.benchmarks.comparing``), start-up left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.benchmarks.finished_suites import SETTLED, store_suites, suite_name
from harness.benchmarks.many_runs import believe, fill
from harness.benchmarks.measure import BenchmarkRow, Scale, children_cpu
from harness.home import Home
from harness.runs.store import RunStore

__all__ = ["comparing_more", "storing_more"]

_CLIPS_PER_VIDEO = 22  # MOSI's 686 test clips are of 31 videos
_NEAR_LINEAR = 1.2
_FIGURES: tuple[tuple[str, Literal["s", "B"], str], ...] = (
    ("", "s", "processor seconds of estimates, rank sets and pairs"),
    (": peak memory", "B", "growth of the process"),
)
_CORPUS = ("mosi-twin@compact",)
_TELLING = """\
import atexit, sys
from harness.__main__ import main
from harness.runs.provenance import peak_memory
atexit.register(lambda: sys.stderr.write(f" {peak_memory()}"))
main()
"""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Systems compared in eight metrics.

    Args:
        clips: N.
        videos: V.
        systems: M.
        seeds: S of each.
    """

    clips: int
    videos: int
    systems: int
    seeds: int

    def cost(self) -> tuple[float, float]:
        """Processor seconds and bytes, in a process of its own."""
        sizes = map(str, (self.clips, self.videos, self.systems, self.seeds))
        command = [sys.executable, "-m", "harness.benchmarks.comparing", *sizes]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, memory = json.loads(done.stdout)
        return float(seconds), float(memory)


def comparing_more(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Estimates, rank sets and all pairs of more clips, systems, seeds, source videos."""
    clips, systems, seeds = scale.clips, scale.systems, scale.seeds
    few = _work(clips[0], systems[0], seeds[0])
    pairs = [count * (count - 1) // 2 for count in systems]
    shown = f"{systems[0]} systems of {seeds[0]} seeds, eight metrics"
    return [
        *_rows("clips", clips, few, _work(clips[1], systems[0], seeds[0]), shown, scale),
        *_rows(
            *("systems", systems, few, _work(clips[0], systems[1], seeds[0])),
            f"the work is that of pairs, {pairs[0]:,} and {pairs[1]:,}; {clips[0]:,} clips,"
            f" {seeds[0]} seeds, eight metrics",
            *(scale, pairs),
        ),
        *_rows(
            *("seeds", seeds, few, _work(clips[0], systems[0], seeds[1])),
            f"{clips[0]:,} clips, {systems[0]} systems, eight metrics",
            scale,
        ),
        *_rows(
            *("source videos", clips, _by_itself(clips[0], few), _by_itself(clips[1], few)),
            f"{shown}, each clip a video of its own; what is drawn for all pairs takes 32 MiB of"
            " deviates at a time, for one metric of those side by side",
            scale,
        ),
    ]


def _work(clips: int, systems: int, seeds: int) -> _Work:
    videos = max(2, clips // _CLIPS_PER_VIDEO)
    return _Work(clips=clips, videos=videos, systems=systems, seeds=seeds)


def _by_itself(clips: int, like: _Work) -> _Work:
    return _Work(clips=clips, videos=clips, systems=like.systems, seeds=like.seeds)


def _rows(
    kind: str,
    sizes: Sequence[int],
    few: _Work,
    many: _Work,
    note: str,
    scale: Scale,
    work: Sequence[int] | None = None,
) -> list[BenchmarkRow]:
    small, large = work or sizes
    factor = large / small
    rounds = [(many.cost(), few.cost()) for _ in range(scale.repeats)]
    reference = f"with {sizes[0]:,}, times {factor:.3g}"
    what = f"Comparing, {sizes[1]:,} {kind}"
    return [
        BenchmarkRow(
            what=f"{what}{of}",
            reference=reference,
            ours=tuple(ours[i] for ours, _ in rounds),
            theirs=tuple(theirs[i] * factor for _, theirs in rounds),
            unit=unit,
            target=_NEAR_LINEAR,
            note=f"{said}; {note}",
        )
        for i, (of, unit, said) in enumerate(_FIGURES)
    ]


def storing_more(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Commands about one suite among few and among many runs of others, and about all."""
    suite, homes = suite_name(0), [Home(folder / name) for name in ("few", "many")]
    key, runs = "", 0
    for home, count in zip(homes, scale.stored, strict=True):
        store_suites(home, numbers=[0], rows=scale.few_rows, share=scale.share, corpora=_CORPUS)
        store = RunStore(home.store)
        plan = store.plan(suite)
        key = next(cell.key for cell in plan.cells if cell.key)
        keys, runs = fill(store, suite, count), len(plan.keys)
        time.sleep(SETTLED)
        believe(store, [*plan.keys, *keys])
    few, many = scale.stored
    rows = []
    for what, asked, factor in (
        ("`msa status SUITE`", ("status", suite), 1.0),
        ("`msa run SUITE --plan`", ("run", suite, "--plan"), 1.0),
        ("`msa runs show RUN`", ("runs", "show", key), 1.0),
        ("`msa status`", ("status",), many / few),
    ):
        rounds = [[_asked(home, *asked) for home in homes] for _ in range(scale.repeats + 1)][1:]
        peaks = [max(of[i][1] for of in rounds) / 2**20 for i in (0, 1)]
        rows.append(
            BenchmarkRow(
                what=f"{what}, among {many:,} runs of other suites",
                reference=f"the same among {few:,}" + (f", times {factor:,.0f}" * (factor > 1)),
                ours=tuple(large[0] for _, large in rounds),
                theirs=tuple(small[0] * factor for small, _ in rounds),
                target=1.0 if factor > 1 else _NEAR_LINEAR,
                note=f"processor seconds, start-up included; peak memory {peaks[1]:.0f} MiB against"
                f" {peaks[0]:.0f} MiB; a suite of {runs} runs, synthetic ones beside it",
            )
        )
    return rows


def _asked(home: Home, *arguments: str) -> tuple[float, float]:
    """Processor seconds and peak memory of a command."""
    command = [sys.executable, "-c", _TELLING, "--home", str(home.root), *arguments]
    said: list[str] = []

    def ask() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said.append(done.stderr)

    seconds = children_cpu(ask)()
    return seconds, float(said[0].rsplit(maxsplit=1)[-1])
