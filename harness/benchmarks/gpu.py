"""On a GPU: the loop, trimmed batches, compiled steps, and how many runs an hour one device does.

Without a CUDA device the rows are there and say that they were not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from harness import data
from harness.benchmarks.loops import BareSteps, ready_loop
from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate
from harness.data.batching import BatchSource
from harness.errors import RunFailed
from harness.home import Home
from harness.runs.executors.local import LocalExecutor
from harness.runs.plan import make_plan
from harness.runs.record import RunRecord
from harness.spec import Suite
from harness.system import TokenParams, systems
from harness.text.synthetic import TWIN_ENCODER

__all__ = ["on_a_gpu"]

_STUDIED = ("lmf", "ef_lstm", "tfn", "mult", "misa", "self_mm", "almt", "text")
_COMPILED = ("lmf", "erm_transformer")
"""Systems that are compiled in minutes: mostly outside of graphs, and one graph."""
_EPOCHS = 3
"""Of each run of the study."""
_REPEATS = 4
"""Epochs of either kind per repeat of the scale."""

Measured = tuple[list[tuple[float, ...]], str]
"""Seconds of ours and of the reference, and a note."""


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    what: str
    reference: str
    measure: Callable[[Path, Scale, str], Measured]


def on_a_gpu(folder: Path, scale: Scale, device: str = "cuda") -> list[BenchmarkRow]:
    """Every comparison; rows without values where there is no such device."""
    there = torch.device(device).type != "cuda" or torch.cuda.is_available()
    rows = []
    for comparison in _comparisons(scale):
        values: list[tuple[float, ...]] = [(), ()]
        note = ""
        if there:
            values, note = comparison.measure(folder, scale, device)
        rows.append(
            BenchmarkRow(
                what=comparison.what,
                reference=comparison.reference,
                ours=values[0],
                theirs=values[1],
                note=note,
            )
        )
    return rows


def _comparisons(scale: Scale) -> list[_Comparison]:
    packed, compiled = _STUDIED[: scale.studied], _COMPILED[: scale.studied]
    return [
        _Comparison(
            what="Training epoch, LF-DNN as published for MOSI, on a GPU",
            reference="the same steps, batches there",
            measure=_loop,
        ),
        _Comparison(
            what="Training epoch of LF-DNN on trimmed batches, on a GPU",
            reference="the same on padded batches",
            measure=_trimming,
        ),
        *(
            _Comparison(
                what=f"Training epoch of {systems[name].card.title} compiled, on a GPU",
                reference="not compiled",
                measure=_Compiled(name),
            )
            for name in compiled
        ),
        *(
            _Comparison(
                what=f"{_study_of(packed, scale)}, {workers} workers",
                reference="one worker",
                measure=_Packed(packed, workers=workers),
            )
            for workers in scale.study_workers
        ),
        _Comparison(
            what=f"{_study_of(compiled, scale)}, compiled",
            reference="not compiled",
            measure=_Packed(compiled, workers=1, changes={"compiled": True}),
        ),
    ]


def _study_of(names: Sequence[str], scale: Scale) -> str:
    seeds = f"{scale.study_seeds} seeds"
    if len(names) == len(_STUDIED):
        return f"{seeds} of {len(names)} systems on one GPU"
    return f"{seeds} of {', '.join(systems[name].card.title for name in names)} on one GPU"


def _loop(folder: Path, scale: Scale, device: str) -> Measured:
    corpus = data.load(f"mosi-twin@compact{scale.share}", Home(folder))
    loop = ready_loop(corpus, "lf_dnn", {}, device=device)
    bare = BareSteps(loop)
    measures = (_elapsed(partial(loop.train_epoch, 1)), _elapsed(bare.epoch))
    return alternate(*measures, repeats=_REPEATS * scale.repeats), ""


def _trimming(folder: Path, scale: Scale, device: str) -> Measured:
    corpus = data.load(f"mosi-twin@unaligned-50{scale.share}", Home(folder))
    trimmed, padded = (ready_loop(corpus, "lf_dnn", {}, device=device) for _ in range(2))
    padded.sources["train"] = BatchSource(
        corpus.split("train"),
        inputs=systems["lf_dnn"].inputs,
        device=torch.device(device),
        padded=True,
    )
    measures = (_elapsed(partial(loop.train_epoch, 1)) for loop in (trimmed, padded))
    return alternate(*measures, repeats=_REPEATS * scale.repeats), ""


@dataclass(frozen=True)
class _Compiled:
    """Epochs of one system with compiled forward passes and without."""

    system: str

    def __call__(self, folder: Path, scale: Scale, device: str) -> Measured:
        corpus = data.load(f"mosi-twin@compact{scale.share}", Home(folder))
        loops = [
            ready_loop(corpus, self.system, {"compiled": compiled}, device=device)
            for compiled in (True, False)
        ]
        ours, theirs = (_elapsed(partial(loop.train_epoch, 1)) for loop in loops)
        values = alternate(ours, theirs, repeats=_REPEATS * scale.repeats)
        return values, "compilation left out"


@dataclass(frozen=True)
class _Packed:
    """A whole study, workers started and clips loaded, against one worker's.

    Args:
        names: Of its systems.
        workers: That share the device.
        changes: Hyper-parameters of every system.
    """

    names: tuple[str, ...]
    workers: int
    changes: Mapping[str, bool] = field(default_factory=dict)

    def __call__(self, folder: Path, scale: Scale, device: str) -> Measured:
        ours = _Study(self.names, folder, scale, device, self.workers, self.changes)
        theirs = _Study(self.names, folder, scale, device)
        taken, reference = ours.seconds(), theirs.seconds()  # minutes each: once
        hourly = f"{ours.runs / taken * 3600:,.0f} runs an hour"
        return [(taken,), (reference,)], f"{hourly}; {ours.memory}{ours.against(theirs)}"


class _Study:
    """Runs of several systems with several seeds, none of which is stored."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        scale: Scale,
        device: str,
        workers: int = 1,
        changes: Mapping[str, bool] | None = None,
    ) -> None:
        suite = {
            "corpora": [f"mosi-twin@compact{scale.share or '-x12'}"],
            "protocol": {"side_info": "both"},
            "seeds": scale.study_seeds,
            "defaults": {"epochs": _EPOCHS, **(changes or {})},
            "systems": [{"name": name, "params": _reading(name)} for name in names],
        }
        plan = make_plan(
            Suite.parse(suite, name="study", where="benchmarks"), Home(folder), device=device
        )
        self._jobs = [job for job in plan.jobs.values() if job.spec.system in names]
        self._executor = LocalExecutor(workers)
        self._records: dict[tuple[str, int], RunRecord] = {}

    @property
    def runs(self) -> int:
        """How many runs it takes."""
        return len(self._jobs)

    def seconds(self) -> float:
        """Carry out every run; elapsed seconds."""
        began = time.perf_counter()
        for done in self._executor.run(self._jobs):
            if done.record is None:
                raise RunFailed(f"{done.job.spec.system} of the study failed: {done.failure}")
            self._records[done.job.spec.system, done.job.spec.seed] = done.record
        return time.perf_counter() - began

    @property
    def memory(self) -> str:
        """What the largest run took of the device, with a separator; empty off a GPU."""
        taken = max(map(_device_bytes, self._records.values()))
        return f"at most {taken / 2**30:.2g} GiB a run; " if taken else ""

    def against(self, other: _Study) -> str:
        """How far predictions are from the other's."""
        apart = [_apart(record, other._records[cell]) for cell, record in self._records.items()]
        equal = sum(distance == 0 for distance in apart)
        off = "" if equal == len(apart) else f", others off by up to {max(apart):.2g}"
        return f"predictions of {equal} of {len(apart)} runs equal to the last bit{off}"


def _reading(name: str) -> dict[str, str]:
    """The encoder of a system that reads tokens."""
    return {"encoder": TWIN_ENCODER} if issubclass(systems[name].params, TokenParams) else {}


def _device_bytes(record: RunRecord) -> float:
    return float(record.manifest.cost.peak_device_memory_bytes or 0)


def _apart(one: RunRecord, other: RunRecord) -> float:
    return float(np.abs(one.predictions["pred"] - other.predictions["pred"]).max())


def _elapsed(work: Callable[[], object]) -> Measure:
    """Elapsed seconds until the device is done, too."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return measure
