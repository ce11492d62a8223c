"""Reading a feature file safely and converting it, against unpickling it and nothing else.

Each measurement is a process of its own: ``python -m harness.benchmarks.conversion WAY FILE``
prints its seconds and its peak memory.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from harness.benchmarks.measure import BenchmarkRow, Scale
from harness.data.datasets import datasets
from harness.data.readers import mmsa_pickle, unpickle
from harness.data.store import CorpusStore
from harness.runs import provenance

__all__ = ["conversion"]

_SHARES = {"train": 0.6, "valid": 0.1, "test": 0.3}
_SHAPES = {"text": (50, 768), "audio": (375, 5), "vision": (500, 20)}


def conversion(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """``msa data add`` of a synthetic file in MMSA's layout, and its reading alone."""
    file = folder / "features.pkl"
    file.write_bytes(pickle.dumps(_content(scale.feature_clips), protocol=4))
    rounds = [{way: _in_process(way, file) for way in WAYS} for _ in range(scale.repeats + 1)]
    measured = {  # the first round brings the file into memory
        way: list(zip(*(each[way] for each in rounds[1:]), strict=True)) for way in WAYS
    }
    megabytes = file.stat().st_size / 1e6
    note = f"a file of {megabytes:.0f} MB in MMSA's layout, in the file cache"
    seconds = {way: values[0] for way, values in measured.items()}
    peaks = {way: values[1] for way, values in measured.items()}
    return [
        BenchmarkRow(
            what="Reading a feature pickle without executing it",
            reference="pickle.load",
            ours=seconds["read"],
            theirs=seconds["plain"],
            note=f"{note}; arrays stay in the file until they are used",
        ),
        BenchmarkRow(
            what="Reading, checking, hashing and storing it",
            reference="pickle.load",
            ours=seconds["convert"],
            theirs=seconds["plain"],
            note=f"{note}: {_rate(megabytes, seconds['convert'])} against"
            f" {_rate(megabytes, seconds['plain'])}",
        ),
        BenchmarkRow(
            what="Peak memory of reading, checking, hashing and storing it",
            reference="pickle.load",
            ours=peaks["convert"],
            theirs=peaks["plain"],
            unit="B",
            note="growth of the process, pages of mapped files included",
        ),
    ]


def _rate(megabytes: float, seconds: tuple[float, ...]) -> str:
    return f"{megabytes / float(np.median(seconds)):.0f} MB/s"


def _in_process(way: str, file: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "harness.benchmarks.conversion", way, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout)
    return float(seconds), float(memory)


def _content(clips: int) -> dict[str, dict[str, object]]:
    """Noise in the layout of MMSA's ``unaligned_50.pkl``, each clip of its own length."""
    generator = np.random.default_rng(0)
    sizes = {split: max(1, round(share * clips)) for split, share in _SHARES.items()}
    return {split: _split(split, size, generator) for split, size in sizes.items()}


def _split(split: str, size: int, generator: np.random.Generator) -> dict[str, object]:
    content: dict[str, object] = {
        "id": np.array([f"{split}{i // 20}$_${i}" for i in range(size)]),
        "raw_text": np.array([f"words of clip {i}" for i in range(size)]),
        "annotations": np.array(["Neutral"] * size),
        "regression_labels": (generator.integers(-15, 16, size) / 5).astype(np.float32),
    }
    for name, (frames, dim) in _SHAPES.items():
        lengths = generator.integers(1, frames + 1, size)
        values = generator.standard_normal((size, frames, dim), dtype=np.float32)
        values[np.arange(frames) >= lengths[:, None]] = 0
        content |= {name: values, f"{name}_lengths": lengths.tolist()}
    return content


def _plain(file: Path) -> None:
    with file.open("rb") as handle:
        pickle.load(handle)


def _read(file: Path) -> None:
    unpickle.load(file)


def _convert(file: Path) -> None:
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        CorpusStore(Path(folder)).add(mmsa_pickle.read(file, datasets["mosi"], "unaligned-50"))


WAYS: Mapping[str, Callable[[Path], None]] = {
    "convert": _convert,
    "plain": _plain,
    "read": _read,
}


def _main(way: str, file: str) -> None:
    provenance.reset_peak_memory()
    before, began = provenance.peak_memory(), time.perf_counter()
    WAYS[way](Path(file))
    seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps([seconds, provenance.peak_memory() - before]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
