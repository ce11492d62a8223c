"""What tests claim and what test sets can show: simulated false winners, detectable differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness._util.seeds import derive
from harness.data.datasets import Dataset, datasets
from harness.stats import resolution, resolution_of_accuracy
from harness.stats.calibration import MOSI_LIKE, Calibration, Design, calibrate

__all__ = [
    "DISCORDANT",
    "DRAWS",
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
SHOWN = ("paired_t", "wilcoxon", "percentile")
"""Keys of ``harness.stats.calibration.TESTS``: two customary tests, then the boards' own."""

NOMINAL = 5
"""False winners that a test at the customary level promises, in percent."""

REPLICATES, DRAWS = 2000, 400
DISCORDANT = (0.08, 0.12)
"""Shares of clips on which exactly one of two systems is right."""


def false_positives() -> dict[int, Calibration]:
    """Number of seeds -> what the tests say of two equal systems on a MOSI-like test set."""
    return {
        seeds: calibrate(
            MOSI_LIKE,
            seeds,
            replicates=REPLICATES,
            draws=DRAWS,
            # draws what the calibration study draws, so that the two pages agree
            seed=derive(0, "MOSI-like", seeds, seeds, "null"),
        )
        for seeds in SEEDS
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


def detectable_mae(design: Design, seeds: float) -> float:
    """Smallest difference in MAE that a comparison finds with 80 % power in a simulated design.

    Args:
        design: Standard deviations of the terms of a per-clip error difference.
        seeds: Runs of either system; may be infinite.
    """
    clips = design.videos * design.clips_per_video
    per_run = design.seed**2 + design.residual**2 / clips
    variance = design.clip**2 / clips + design.video**2 / design.videos + per_run / seeds
    return resolution(math.sqrt(variance))
