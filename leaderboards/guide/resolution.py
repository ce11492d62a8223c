"""What tests claim and what test sets can show: simulated false winners, detectable differences."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.data.datasets import Dataset, datasets
from harness.stats import resolution_of_accuracy
from harness.stats.calibration import (
    DESIGNS,
    PRIMARY,
    Design,
    Finding,
    Part,
    Settings,
    find,
    pairs,
)
from harness.stats.estimate import effective_videos
from harness.stats.reference import Reference

__all__ = [
    "DISCORDANT",
    "MOSEI",
    "MOSI",
    "NOMINAL",
    "REPLICATES",
    "SEEDS",
    "SHOWN",
    "Detectable",
    "detectable",
    "detectable_mae",
    "false_positives",
]

SEEDS = (3, 5, 10, 20)
SHOWN = ("paired_t", "wilcoxon", PRIMARY)
"""Keys of ``harness.stats.calibration.CANDIDATES``: two customary tests, then the boards' own."""

MOSI = next(design for design in DESIGNS if design.videos == 31)
"""A test set of MOSI's size, spreads over seeds as in MMSA's logs."""
MOSEI = next(design for design in DESIGNS if design.videos == 676)
"""The same of MOSEI's."""

NOMINAL = 5
"""False winners that a test at the customary level promises, in percent."""

REPLICATES = 2000
_AVERAGED = 200
DISCORDANT = (0.08, 0.12)
"""Shares of clips on which exactly one of two systems is right."""


def false_positives() -> dict[int, Finding]:
    """Number of seeds -> what the tests say of two equal systems on a test set of MOSI's size.

    The same comparisons as in the calibration study, so that the two pages agree.
    """
    alike = {
        design.seeds[0]: design
        for design in DESIGNS
        if replace(design, title=MOSI.title, seeds=MOSI.seeds) == MOSI
    }
    designs = [
        alike.get(seeds, replace(MOSI, title=f"{seeds} seeds each", seeds=(seeds, seeds)))
        for seeds in SEEDS
    ]
    return {
        design.seeds[0]: find(
            Part(kind="null", design=design),
            Settings(replicates=REPLICATES),
            metrics=["mae"],
            candidates=SHOWN,
        )
        for design in designs
    }


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """What a test set can tell apart in its main Acc-2, with 80 % power.

    Args:
        dataset: Title.
        metric: Title.
        clips: Number of clips that count.
        videos: Number of source videos.
        differences: Share of discordant clips -> smallest difference.
    """

    dataset: str
    metric: str
    clips: int
    videos: int
    differences: Mapping[float, float]


def detectable() -> tuple[Detectable, ...]:
    """One entry per real dataset."""
    return tuple(_detectable(datasets[name]) for name in ("mosi", "mosei", "sims", "simsv2"))


def _detectable(dataset: Dataset) -> Detectable:
    counts = dataset.splits["test"]
    non0 = dataset.family == "mosi"
    clips = counts.negative + counts.positive if non0 else counts.clips
    return Detectable(
        dataset=dataset.title,
        metric="Acc-2 non-0" if non0 else "Acc-2",
        clips=clips,
        videos=counts.videos,
        differences={share: resolution_of_accuracy(clips, share) for share in DISCORDANT},
    )


@functools.cache
def detectable_mae(design: Design) -> tuple[float, float]:
    """Smallest differences in MAE that a comparison in a design finds with 80 % power.

    Args:
        design: Whose mean squares are averaged over simulated comparisons.

    Returns:
        With the design's seeds, and with infinitely many.
    """
    table = pairs(design, 0.0, ["mae"], replicates=_AVERAGED, bootstrapped=0, draws=0, seed=0)[
        "mae"
    ]
    found = table.squares
    total, rest, degrees, between = (
        float(part.mean()) for part in (found.total, found.rest, found.degrees, found.between)
    )
    videos = effective_videos(design.sizes) - 1.0
    few = Reference(effect=0.0, total=total, rest=rest, degrees=degrees)
    many = Reference(effect=0.0, total=between - rest, rest=0.0, degrees=videos)
    return few.detectable(), many.detectable()
