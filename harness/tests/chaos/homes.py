"""A small finished home with a file of every type, and which work reads which type.

The corpus has the official numbers of clips of MOSI, so that submissions enter its board, and
little else; its systems take a second together.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from harness.data.datasets import datasets
from harness.home import Home
from harness.runs.cell import limit_threads
from harness.runs.executors import Done
from harness.runs.executors.guard import answer, measured
from harness.runs.store import RunStore
from harness.stats.joint import Joint
from harness.testing import serve_chat, small_corpus
from harness.tests.chaos.damage import WHOLE
from harness.tests.chaos.processes import Said, msa
from harness.training.checkpoint import TrainingCheckpoint

SUITE_NAME = "small"
SUBMITTED = ("submit", "--dataset", "mosi", "--corpus", "mosi@small")
CLIPS = {split: counts.clips for split, counts in datasets["mosi"].splits.items()}
STREAMS = {"text": (3, 6), "audio": (4, 3), "vision": (3, 2)}
_SUITE = """
title = "Small"
corpora = ["mosi@small"]
seeds = 1
protocol = {{ name = "zero_shot", max_epochs = 3 }}
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "feature_ridge"
[[systems]]
name = "sentence_ridge"
params = {{ encoder = "tiny-twin" }}
[[systems]]
name = "lf_dnn"
params = {{ text_out = 8, fusion_size = 8, batch_size = 256 }}
[[systems]]
name = "lf_dnn"
label = "diverges"
params = {{ lr = 1e30, batch_size = 1284, text_out = 8, fusion_size = 8 }}
[[systems]]
name = "mllm"
label = "asked"
params = {{ model = "m", condition = "text", prompt = "en-direct", server = "{server}" }}
"""
_WHOLE = _SUITE[: _SUITE.index('name = "sentence_ridge"')].removesuffix("[[systems]]\n")


class Here:
    """An executor in this process, in the place of that which starts workers."""

    def __init__(self, workers: int, cell_timeout: float | None = None) -> None:
        pass

    def run(self, jobs):
        limit_threads()
        for job in jobs:
            record, failure = answer(lambda job=job: measured(job))
            yield Done(job=job, record=record, failure=failure)


class _OneDay:
    """In the place of the module ``datetime``."""

    UTC = datetime.UTC

    class datetime(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, tzinfo=tz)


@dataclass(frozen=True)
class Homes:
    """Where trials start from.

    Args:
        folder: Of the whole attempt.
        board: Markdown and page of the undisturbed run.
        runs: Key -> system of each of its runs.
    """

    folder: Path
    board: tuple[bytes, bytes]
    runs: dict[str, str]

    @property
    def finished(self) -> Home:
        """Everything is done; a training that was interrupted and its answers are still kept."""
        return Home(self.folder / "finished")

    def copy(self, place: Path, *, without: tuple[str, ...] = ()) -> Home:
        """A home of a trial's own.

        Args:
            place: Where.
            without: Systems whose runs are missing, so that their inputs are read again.
        """
        shutil.copytree(self.finished.root, place)
        for key, system in self.runs.items():
            if system in without:
                shutil.rmtree(place / "store" / "runs" / key[:2] / key)
        return Home(place)


@contextmanager
def a_server() -> Iterator[str]:
    """A server whose answer follows from the question: the base URL."""

    def rated(body) -> str:
        said = body["messages"][-1]["content"]
        text = said if isinstance(said, str) else str(said)
        return f"{sum(text.encode()) % 601 / 100 - 3:.2f}"

    with serve_chat(rated) as server:
        yield server.url


@contextmanager
def in_this_process() -> Iterator[None]:
    """Cells run here: starting workers takes longer than all the rest of a trial.

    Models are asked on one day: boards show it, and trials go on past midnight.
    """
    with (
        mock.patch("harness.runs.executors.local.LocalExecutor", Here),
        mock.patch("mllm_eval.zero_shot.system.datetime", _OneDay),
    ):
        yield


@contextmanager
def fewer_draws() -> Iterator[None]:
    """Boards from fewer draws: a trial compares bytes, whatever they say."""
    family = Joint.family
    with mock.patch.object(Joint, "family", lambda self, draws: family(self, 100)):
        yield


def build(folder: Path, server: str) -> Homes:
    """Write the finished home."""
    home = Home(folder / "finished")
    home.suites.mkdir(parents=True)
    (home.suites / f"{SUITE_NAME}.toml").write_text(_SUITE.format(server=server))
    (home.suites / f"{WHOLE}.toml").write_text(_WHOLE.format())
    small_corpus(home.corpora, streams=STREAMS, clips=CLIPS)
    for number, name in enumerate(("alpha", "beta", "gamma")):
        file = write_predictions(folder / f"{name}.csv", number)
        need(msa(home, *SUBMITTED, file, "--name", name))
    write_predictions(folder / "replacement.csv", 7)
    with _kept_trainings():
        first = msa(home, "run", SUITE_NAME)
    assert first.code == 1, first  # one row diverges
    assert "diverge" in first.errors or "nan" in first.errors, first
    assert list((home.cache / "resume").glob("*.pt")), "a kept training is there"
    board = [(home.boards / f"{SUITE_NAME}.{kind}").read_bytes() for kind in ("md", "html")]
    runs = {run.key: run.spec.system for run in RunStore(home.store)}
    return Homes(folder, (board[0], board[1]), runs)


def need(said: Said) -> None:
    """Fail where a command did."""
    assert said.code == 0, said


def write_predictions(path: Path, seed: int) -> Path:
    """A file for ``msa submit``: clips of the test split, predicted at random."""
    rng, clips = np.random.default_rng(seed), CLIPS
    first = clips["train"] + clips["valid"]
    ids = [f"v{i // 3}_{i}" for i in range(first, first + clips["test"])]
    pd.DataFrame({"id": ids, "pred": rng.uniform(-3, 3, len(ids))}).to_csv(path, index=False)
    return path


@contextmanager
def _kept_trainings() -> Iterator[None]:
    """Trainings are kept once, after an epoch, and not forgotten: as a kill would leave them."""
    saved: set[Path | None] = set()
    save = TrainingCheckpoint.save

    def once(self, state) -> None:
        if self._path not in saved:
            saved.add(self._path)
            self._saved = -1e9
            save(self, state)

    with (
        mock.patch.object(TrainingCheckpoint, "save", once),
        mock.patch.object(TrainingCheckpoint, "forget", lambda self: None),
    ):
        yield
