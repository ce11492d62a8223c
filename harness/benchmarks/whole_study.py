"""A whole study, from a feature file to a table, against MMSA 2.2.1 as its users run it.

Each side reads the same MOSI-shaped file and trains the same five networks with the same seeds, by
its own defaults: MMSA run after run in one process, with as many threads as PyTorch takes and the
processes that load its batches; ours with a worker of one thread on each of two cores. Both stop
after eight epochs without a lower validation loss.

Then what follows in every project: one more seed, one more metric. MMSA keeps averages, so it would
begin again; what it took the first time, with the seeds of the first time, is the reference.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import data
from harness.benchmarks.measure import BenchmarkRow, Scale
from harness.data import mmsa_export
from harness.errors import RunFailed
from harness.home import Home
from harness.runs.store import RunStore
from harness.testing.mmsa import MMSA_VERSION, mmsa_process, mmsa_python

__all__ = ["whole_study"]

_SYSTEMS: Mapping[str, str] = {
    "lmf": "LMF",
    "lf_dnn": "LF-DNN",
    "ef_lstm": "EF-LSTM",
    "tfn": "TFN",
    "mult": "MulT",
}
_FIRST_SEED = 1111
_AIM, _AGAIN = 0.35, 0.05
_METRIC = """\
import numpy as np

from harness.metrics import Metric


def score(pred, truth):
    return float(np.sqrt(np.mean((pred - truth) ** 2)))


RMSE = Metric(
    name="rmse",
    title="RMSE",
    definition="root of the mean squared error",
    otherwise=score,
    higher_is_better=False,
    low=0.0,
    undefined="never",
    source="ours",
    primary=True,
)
"""


def whole_study(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """The study, the study with one more seed, and its table with one more metric."""
    python = mmsa_python(Home.default())
    systems = list(_SYSTEMS)[: scale.contests]
    seeds = list(range(_FIRST_SEED, _FIRST_SEED + scale.whole_seeds))
    corpus = data.load(f"mosi-twin@aligned-50{scale.whole_share}", Home(folder))
    features = folder / "features.pkl"
    mmsa_export.write(corpus, features)
    turns = [
        (
            _by_mmsa(python, features, folder / f"mmsa-{turn}", systems, seeds),
            _Ours(features, folder / f"ours-{turn}", systems, seeds),
        )
        for turn in range(scale.whole_repeats)
    ]
    theirs = [seconds for (seconds, _), _ in turns]  # of each turn
    runs, named = len(systems) * len(seeds), ", ".join(_SYSTEMS[name] for name in systems)
    clips = " and ".join(f"{len(corpus.split(name)):,}" for name in ("train", "valid"))
    epochs = [sum(counted) for (_, counted), _ in turns], [ours.epochs for _, ours in turns]
    trained = " and ".join(f"{sum(side) / len(side) / runs:.1f}" for side in epochs)
    note = (
        f"elapsed seconds, commands started anew; {runs} runs ({named}; seeds: {len(seeds)}) of"
        f" {clips} clips with MOSI's aligned shapes; {trained} epochs a run, theirs and ours"
    )
    again = "what MMSA took before, without it"
    longest = "a run has one thread, so this is not below the time of the longest one"
    kinds = (
        ("A study from file to table", f"MMSA {MMSA_VERSION}", "first", _AIM, note),
        ("The same study, one more seed", again, "seed", _AGAIN, longest),
        ("The same table, one more metric", again, "metric", _AGAIN, ""),
    )
    return [
        BenchmarkRow(
            what=what,
            reference=reference,
            ours=[getattr(ours, kind) for _, ours in turns],
            theirs=theirs,
            target=aim,
            note=said,
        )
        for what, reference, kind, aim, said in kinds
    ]


def _by_mmsa(
    python: Path, features: Path, folder: Path, systems: Sequence[str], seeds: Sequence[int]
) -> tuple[float, list[int]]:
    """Seconds, and epochs of each run."""
    folder.mkdir()
    began = time.perf_counter()
    with mmsa_process(python, folder / "log", alone=True) as process:
        epochs = process.ask(
            {
                "task": "study",
                "models": systems,
                "config": {"featurePath": str(features), "need_data_aligned": True},
                "folder": str(folder),
                "seeds": list(seeds),
            }
        )
    seconds = time.perf_counter() - began
    table = folder / "normal" / "mosi.csv"
    if len(table.read_text("utf-8").splitlines()) != 1 + len(systems):
        raise RunFailed(f"MMSA's table does not have the {len(systems)} systems of the study")
    return seconds, epochs


class _Ours:
    """The study in a home of its own; elapsed seconds of it, of one more seed, of one more metric.

    Args:
        features: The file.
        folder: Does not exist yet.
        systems: Names.
        seeds: Of the first time.
    """

    def __init__(
        self, features: Path, folder: Path, systems: Sequence[str], seeds: Sequence[int]
    ) -> None:
        self._home = Home(folder / "runs")
        self._systems = systems
        self._write(seeds)
        began = time.perf_counter()
        self._msa("data", "add", str(features), "--dataset", "mosi", "--feature-set", "own")
        self._msa("run", "study", "--jobs", "2")
        self.first = time.perf_counter() - began
        kept = [run.manifest for run in RunStore(self._home.store)]
        self.epochs = sum(m.result.epochs for m in kept if m.spec.system in systems)
        self._write([*seeds, seeds[-1] + 1])
        self.seed = self._msa("run", "study", "--jobs", "2")
        metric = folder / "metrics" / "rmse.py"
        metric.parent.mkdir()
        metric.write_text(_METRIC, "utf-8")
        self.metric = self._msa("board", "study")
        if "RMSE" not in (self._home.boards / "study.md").read_text("utf-8"):
            raise RunFailed("the added metric is not on the board")

    def _write(self, seeds: Sequence[int]) -> None:
        rows = [
            f'[[systems]]\nname = "{name}"\nparams = {{ quirk = "published" }}\n'
            for name in self._systems
        ]
        self._home.suites.mkdir(parents=True, exist_ok=True)
        text = f'corpora = ["mosi@own"]\nseeds = {list(seeds)}\n'
        (self._home.suites / "study.toml").write_text(text + "\n".join(rows), "utf-8")

    def _msa(self, *words: str) -> float:
        began = time.perf_counter()
        command = [sys.executable, "-m", "harness", "--home", str(self._home.root), *words]
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began
