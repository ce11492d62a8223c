"""Systems compared in a process of its own.

``python -m harness.benchmarks.comparing CLIPS VIDEOS SYSTEMS SEEDS`` prints the processor seconds
of estimates, rank sets and all pairs in eight metrics, and by how many bytes the process grew.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from harness.data.datasets import datasets
from harness.runs import provenance
from harness.stats import fields_of
from leaderboards.model import rank_all

_MOSI = ("mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0", "acc5", "acc7")


def _main(clips: int, videos: int, systems: int, seeds: int) -> None:
    known, generator = datasets["mosi"], np.random.default_rng(0)
    truth = (generator.integers(-15, 16, clips) / 15 * known.high).round(6)
    told = {
        f"system {i}": (truth + generator.normal(0.0, 0.5 * known.high, (seeds, clips))).round(6)
        for i in range(systems)
    }
    of_clip = np.arange(clips) % videos
    provenance.reset_peak_memory()
    before, began = provenance.peak_memory(), time.process_time()
    rank_all(fields_of(told, truth, of_clip, _MOSI, dataset=known))
    seconds = time.process_time() - began
    sys.stdout.write(json.dumps([seconds, provenance.peak_memory() - before]))


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
