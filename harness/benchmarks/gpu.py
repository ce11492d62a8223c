"""On a GPU: the loop, resident and trimmed batches, bfloat16, processes that share it, compilers.

Ten minutes at most. Without a CUDA device the rows are there and say that they were not measured;
without a compiler those that need one do, and why.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
_ROW, _STUDY, _ALL = 25.0, 75.0, 540.0
"""Seconds for the epochs of a row, for the runs of a study, and until nothing is compiled any more:
together ten minutes."""
_COMPILATION = 90.0
"""Seconds that a row has to have left when it begins to compile."""

Measured = tuple[list[tuple[float, ...]], str]
"""Seconds of ours and of the reference, and a note; no values where it cannot be measured."""


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    what: str
    reference: str
    measure: Callable[[Path, Scale, str], Measured]
    compiles: bool = False


def on_a_gpu(folder: Path, scale: Scale, device: str = "cuda") -> list[BenchmarkRow]:
    """Every comparison; rows without values where there is no such device, or no compiler."""
    there = torch.device(device).type != "cuda" or torch.cuda.is_available()
    rows, began = [], time.perf_counter()
    for comparison in _comparisons(scale):
        values: list[tuple[float, ...]] = [(), ()]
        note = ""
        left = _ALL - (time.perf_counter() - began)
        if there and comparison.compiles and left < _COMPILATION:
            note = f"left out: {left:.0f} s were left, and compiling takes minutes"
        elif there:
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
    alone = _Alone(packed)
    return [
        _Comparison(
            what="Training epoch, LF-DNN as published for MOSI, on a GPU",
            reference="the same steps, batches there",
            measure=_loop,
        ),
        _Comparison(
            what="Training epoch of LF-DNN, clips resident on a GPU",
            reference="each batch sent from the host",
            measure=_residency,
        ),
        _Comparison(
            what="Training epoch of LF-DNN on trimmed batches, on a GPU",
            reference="the same on padded batches",
            measure=_trimming,
        ),
        _Comparison(
            what="Training epoch of the ERM Transformer in bfloat16, on a GPU",
            reference="in float32",
            measure=_rounded,
        ),
        *(
            _Comparison(
                what=f"A run of {_study_of(packed, scale)}, {workers} processes",
                reference="one process",
                measure=_Packed(packed, workers, alone),
            )
            for workers in scale.study_workers
        ),
        *(
            _Comparison(
                what=f"Training epoch of {systems[name].card.title} compiled, on a GPU",
                reference="not compiled",
                measure=_Compiled(name),
                compiles=True,
            )
            for name in compiled
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
    return _in_turns(partial(loop.train_epoch, 1), bare.epoch, scale), ""


def _residency(folder: Path, scale: Scale, device: str) -> Measured:
    return _other_batches(folder, scale, device, resident=False)


def _trimming(folder: Path, scale: Scale, device: str) -> Measured:
    return _other_batches(folder, scale, device, padded=True)


def _other_batches(
    folder: Path, scale: Scale, device: str, *, padded: bool = False, resident: bool | None = None
) -> Measured:
    """Epochs of LF-DNN as they are, and on batches made in another way."""
    corpus = data.load(f"mosi-twin@unaligned-50{scale.share}", Home(folder))
    usual, other = (ready_loop(corpus, "lf_dnn", {}, device=device) for _ in range(2))
    other.sources["train"] = BatchSource(
        corpus.split("train"),
        inputs=systems["lf_dnn"].inputs,
        device=torch.device(device),
        padded=padded,
        resident=resident,
    )
    return _in_turns(partial(usual.train_epoch, 1), partial(other.train_epoch, 1), scale), ""


def _rounded(folder: Path, scale: Scale, device: str) -> Measured:
    corpus = data.load(f"mosi-twin@compact{scale.share}", Home(folder))
    ours, theirs = (
        ready_loop(corpus, "erm_transformer", {"precision": precision}, device=device)
        for precision in ("bfloat16", "float32")
    )
    return _in_turns(partial(ours.train_epoch, 1), partial(theirs.train_epoch, 1), scale), ""


@dataclass(frozen=True)
class _Compiled:
    """Epochs of one system with compiled forward passes and without."""

    system: str

    def __call__(self, folder: Path, scale: Scale, device: str) -> Measured:
        from torch._dynamo.exc import BackendCompilerFailed

        corpus = data.load(f"mosi-twin@compact{scale.share}", Home(folder))
        loops = [
            ready_loop(corpus, self.system, {"compiled": compiled}, device=device)
            for compiled in (True, False)
        ]
        ours, theirs = (partial(loop.train_epoch, 1) for loop in loops)
        try:
            return _in_turns(ours, theirs, scale), "compilation left out"
        except BackendCompilerFailed as error:  # Inductor's among them
            return [(), ()], f"not compiled here: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


class _Alone:
    """A study by one process, carried out once, however many are held against it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._study: _Study | None = None

    def study(self, folder: Path, scale: Scale, device: str) -> _Study:
        """The study, with what it took."""
        if self._study is None:
            self._study = _Study(self._names, folder, scale, device)
            self._study.carry_out()
        return self._study


@dataclass(frozen=True)
class _Packed:
    """A study, workers started and clips loaded, against one worker's: seconds a run.

    Args:
        names: Of its systems.
        workers: That share the device.
        alone: The study by one of them.
    """

    names: tuple[str, ...]
    workers: int
    alone: _Alone

    def __call__(self, folder: Path, scale: Scale, device: str) -> Measured:
        theirs = self.alone.study(folder, scale, device)
        ours = _Study(self.names, folder, scale, device, self.workers)
        ours.carry_out()
        hourly = f"{3600 / ours.each:,.0f} runs an hour; {ours.part}against {theirs.part}"
        return [(ours.each,), (theirs.each,)], f"{hourly}{ours.memory}{ours.against(theirs)}"


class _Study:
    """Runs of several systems with several seeds, none of which is stored."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        scale: Scale,
        device: str,
        workers: int = 1,
    ) -> None:
        suite = {
            "corpora": [f"mosi-twin@compact{scale.share or '-x12'}"],
            "protocol": {"side_info": "both"},
            "seeds": scale.study_seeds,
            "defaults": {"epochs": _EPOCHS},
            "systems": [{"name": name, "params": _reading(name)} for name in names],
        }
        plan = make_plan(
            Suite.parse(suite, name="study", where="benchmarks"), Home(folder), device=device
        )
        jobs = [job for job in plan.jobs.values() if job.spec.system in names]
        # One run of each system, then the next: when time is up, all have as many.
        self._jobs = sorted(jobs, key=lambda job: job.spec.seed)
        self._executor = LocalExecutor(workers)
        self._records: dict[tuple[str, int], RunRecord] = {}
        self.each = 0.0
        """Seconds a run, of those carried out."""

    @property
    def runs(self) -> int:
        """How many runs it takes."""
        return len(self._jobs)

    @property
    def part(self) -> str:
        """How much of it was carried out, with a separator."""
        return f"{len(self._records)} of {self.runs} runs in their time, "

    def carry_out(self) -> None:
        """Carry out runs until all are done or time is up."""
        began = time.perf_counter()
        taken = 0.0
        with contextlib.closing(self._executor.run(self._jobs)) as finished:
            for done in finished:
                if done.record is None:
                    raise RunFailed(f"{done.job.spec.system} of the study failed: {done.failure}")
                self._records[done.job.spec.system, done.job.spec.seed] = done.record
                taken = time.perf_counter() - began
                if taken > _STUDY:
                    break
        self.each = taken / len(self._records)

    @property
    def memory(self) -> str:
        """What the largest run took of the device, with a separator; empty off a GPU."""
        taken = max(map(_device_bytes, self._records.values()))
        return f"at most {taken / 2**30:.2g} GiB a run; " if taken else ""

    def against(self, other: _Study) -> str:
        """How far predictions are from the other's."""
        both = self._records.keys() & other._records.keys()
        apart = [_apart(self._records[cell], other._records[cell]) for cell in both]
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


def _in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], scale: Scale
) -> list[tuple[float, ...]]:
    """Seconds of either in turns, the first of them left out, as often as the row has time for."""
    measures = _elapsed(ours), _elapsed(theirs)
    first = sum(value for (value,) in alternate(*measures, repeats=1))
    often = max(1, min(_REPEATS * scale.repeats, int(_ROW / max(first, 1e-6)) - 1))
    return alternate(*measures, repeats=often)


def _elapsed(work: Callable[[], object]) -> Measure:
    """Elapsed seconds until the device is done, too."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return measure
