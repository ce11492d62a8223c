"""Training against MMSA 2.2.1, the library whose numbers most papers copy.

MMSA runs from its package in an environment of its own, with its own settings for MOSI, which are
our presets; both read the same clips and tokens, fine-tune the same random BERT, and train on one
thread. An epoch is training, validation and keeping the best weights. ALMT and TEXT are not in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import data
from harness.benchmarks.hot_spots import hot_spots
from harness.benchmarks.loops import SEED, ready_loop
from harness.benchmarks.measure import BenchmarkRow, Scale, alternate, cpu
from harness.data import mmsa_export
from harness.data.corpus import Corpus
from harness.errors import RunFailed
from harness.home import Home
from harness.spec import Scalar
from harness.testing.mmsa import MMSA_VERSION, MmsaProcess, mmsa_process, mmsa_python
from harness.text import Encoder, find_encoder, tokenize
from harness.text.synthetic import twin_phrases, write_encoder
from harness.training import Loop

__all__ = ["training_against_mmsa"]

_TOKENS = 50
_BASE = {"hidden": 768, "layers": 12, "heads": 12, "intermediate": 3072}


@dataclass(frozen=True, kw_only=True)
class MmsaContest:
    """A system that both have.

    Args:
        system: Our name.
        title: Of the row.
        model: MMSA's name.
        variant: Of the twin: the features both read.
        bert: Whether a text encoder of BERT-base's size is trained along.
        aim: Of the ratio; smaller where the time is not that of operators both must call.
    """

    system: str
    title: str
    model: str
    variant: str = "unaligned-50"
    bert: bool = False
    aim: float = 0.95


_CONTESTS = (
    MmsaContest(system="ef_lstm", title="EF-LSTM", model="ef_lstm", variant="aligned-50"),
    MmsaContest(system="tfn", title="TFN", model="tfn", aim=0.6),
    MmsaContest(system="lmf", title="LMF", model="lmf"),
    MmsaContest(system="mult", title="MulT", model="mult", variant="aligned-50-x25", aim=0.6),
    MmsaContest(system="misa", title="MISA", model="misa", variant="unaligned-50-x5", bert=True),
    MmsaContest(
        system="self_mm", title="Self-MM", model="self_mm", variant="unaligned-50-x5", bert=True
    ),
)


def training_against_mmsa(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """An epoch of each system in both libraries, in turns."""
    python = mmsa_python(Home.default())
    size = _BASE if not scale.share else _BASE | {"layers": 1}
    encoder = find_encoder(
        str(write_encoder(folder / "bert", list(twin_phrases()), **size)), folder
    )
    contests = _CONTESTS[: scale.contests]
    return [_row(contest, encoder, python, folder / contest.system, scale) for contest in contests]


def _row(
    contest: MmsaContest, encoder: Encoder, python: Path, folder: Path, scale: Scale
) -> BenchmarkRow:
    variant = contest.variant if not scale.share else contest.variant.split("-x")[0] + scale.share
    corpus = data.load(f"mosi-twin@{variant}", Home(folder))
    if contest.bert:
        corpus = _tokenized(corpus, encoder)
    loop = _loop(corpus, contest, encoder)
    with _mmsa(contest, corpus, encoder, python, folder) as theirs:
        epochs = loop.walk()
        measured = alternate(cpu(lambda: next(epochs)), theirs.epoch, repeats=scale.repeats)
    spots = hot_spots(lambda: next(epochs))
    parameters = sum(p.numel() for p in loop.network.parameters())
    if parameters != theirs.parameters:
        raise RunFailed(
            f"{contest.title} has {parameters:,} parameters here and"
            f" {theirs.parameters:,} in MMSA: no comparison of the same network"
        )
    clips = len(corpus.split("train")), len(corpus.split("valid"))
    return BenchmarkRow(
        what=f"Epoch of {contest.title}, trained and validated",
        reference=f"MMSA {MMSA_VERSION}",
        ours=measured[0],
        theirs=measured[1],
        target=contest.aim,
        note=f"{parameters:,} parameters in both, {clips[0]:,} and {clips[1]:,} clips of"
        f" mosi-twin@{variant}"
        + ("; BERT-base's size, random weights" if contest.bert else "")
        + f". Of ours, {spots}",
    )


def _tokenized(corpus: Corpus, encoder: Encoder) -> Corpus:
    """With the tokens that MMSA's files hold for BERT, padded to their length."""
    short = tokenize(encoder, corpus.clips["text"].tolist(), _TOKENS)
    tokens = np.zeros((*short.shape[:2], _TOKENS), dtype=np.int32)
    tokens[:, :, : short.shape[2]] = short
    return dataclasses.replace(corpus, tokens=tokens)


def _loop(corpus: Corpus, contest: MmsaContest, encoder: Encoder) -> Loop:
    """Our side's training, with the released code's defects."""
    changes: dict[str, Scalar] = {"quirk": "published", "epochs": 0}
    if not contest.bert:
        return ready_loop(corpus, contest.system, changes)
    changes |= {"encoder": str(encoder.folder), "tokens": "corpus", "max_tokens": _TOKENS}
    return ready_loop(corpus, contest.system, changes, encoder=encoder)


class _Mmsa:
    """MMSA training an epoch whenever it is asked to."""

    def __init__(self, process: MmsaProcess) -> None:
        self._process = process
        self.parameters = 0

    def epoch(self) -> float:
        """Processor seconds of the next epoch."""
        seconds, self.parameters = self._process.ask()
        return float(seconds)


@contextlib.contextmanager
def _mmsa(
    contest: MmsaContest, corpus: Corpus, encoder: Encoder, python: Path, folder: Path
) -> Iterator[_Mmsa]:
    features = folder / "features.pkl"
    mmsa_export.write(corpus, features)
    config = {"featurePath": str(features), "pretrained": str(encoder.folder)}
    job = {"model": contest.model, "config": config, "folder": str(folder), "seed": SEED}
    with mmsa_process(python, folder / "mmsa.log") as process:
        process.tell({"task": "epochs", **job})
        yield _Mmsa(process)
