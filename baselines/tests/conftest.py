"""Small corpora with a signal that every modality carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness.data.corpus import EXPLANATIONS, Corpus, Stream
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, Draft
from harness.protocols import protocols
from harness.specs import Scalar
from harness.system import System, Task
from harness.tests.tiny_encoder import tiny_encoder
from harness.text import find_encoder
from mllm_eval.tests.fake_server import serving

CLIPS = {"train": 24, "valid": 10, "test": 12}
STREAMS = {"text": (6, 12), "audio": (11, 5), "vision": (8, 4)}
WORDS = {
    "en": (["awful", "weak", "boring"], ["lovely", "strong", "great"], ["the", "film", "is"], " "),
    "zh": (["坏", "差", "糟"], ["好", "美", "棒"], ["这", "片", "子"], ""),
}

SMALL = {
    **{"text_hidden": 16, "audio_hidden": 8, "vision_hidden": 8, "text_out": 8},
    **{"hidden": 16, "fusion_size": 16, "batch_size": 8},
    **{"heads": 2, "prior_weight": 1.0},
    **{"token_count": 4, "head_size": 8, "feed_size": 16, "unknown_token": 1, "time_heads": 1},
    **{"summary_layers": 1, "rebuild_text": 0.1, "rebuild_audio": 0.1, "rebuild_vision": 0.1},
    **{"text_epochs": 3, "audio_epochs": 1, "vision_epochs": 1, "candidates": 4},
    **{"joint_size": 32, "fusion_heads": 2, "adapter_heads": 2},
    **{"model": "m", "prompt": "en-direct", "condition": "text"},
}

CorpusMaker = Callable[..., Corpus]


@pytest.fixture(scope="session")
def make_corpus(tmp_path_factory) -> CorpusMaker:
    def make(
        dataset: str = "mosi",
        *,
        streams: Mapping[str, tuple[int, int]] = STREAMS,
        clips: Mapping[str, int] = CLIPS,
        seed: int = 0,
    ) -> Corpus:
        draft = _draft(dataset, streams, clips, np.random.default_rng(seed))
        return CorpusStore(tmp_path_factory.mktemp("corpora")).add(draft)

    return make


@pytest.fixture(scope="session")
def trimodal(make_corpus) -> Corpus:
    return make_corpus()


@pytest.fixture(scope="session")
def fitting(make_corpus) -> Callable[..., Corpus]:
    """A corpus that has what a system reads; uni-modal labels only where it asks for them."""
    made: dict[tuple[object, ...], Corpus] = {}

    def choose(system: System, **options: object) -> Corpus:
        dataset = "sims" if "unimodal" in system.inputs else "mosi"
        key = (dataset, str(options))
        if key not in made:
            made[key] = make_corpus(dataset, **options)
        return made[key]

    return choose


@pytest.fixture(scope="session")
def transcripts(make_corpus) -> Corpus:
    return make_corpus(streams={}, clips={"train": 60, "valid": 20, "test": 40})


@pytest.fixture(scope="session")
def encoder(trimodal, transcripts, tmp_path_factory) -> str:
    texts = [*trimodal.clips["text"], *transcripts.clips["text"]]
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder"), texts))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Base URL of a server whose model ``m`` rates a clip by the length of what is said."""
    with pytest.MonkeyPatch.context() as patch, serving(_rating) as fake:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield fake.url


def _rating(request: Mapping[str, Any]) -> str:
    return f"{len(request['messages'][-1]['content']) % 30 / 10:.1f}"


@pytest.fixture(scope="session")
def small(encoder, server) -> Callable[..., dict[str, Scalar]]:
    """Hyper-parameters that make any system quick, and those of ``changes`` that it has."""

    def choose(system: System, **changes: Scalar) -> dict[str, Scalar]:
        known = {item.name for item in fields(system.params)}
        wanted = {**SMALL, "encoder": encoder, "server": server, **changes}
        return {name: value for name, value in wanted.items() if name in known}

    return choose


@pytest.fixture
def task(encoder, tmp_path) -> Callable[..., Task]:
    """Learning from a corpus, for a few epochs."""

    def of(corpus: Corpus, *, epochs: int = 1, device: str = "cpu") -> Task:
        return Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=replace(protocols["in_domain"], max_epochs=epochs),
            seed=1,
            device=torch.device(device),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
        )

    return of


def _draft(
    name: str,
    streams: Mapping[str, tuple[int, int]],
    clips: Mapping[str, int],
    rng: np.random.Generator,
) -> Draft:
    dataset = datasets[name]
    splits = [split for split, count in clips.items() for _ in range(count)]
    truth = rng.uniform(-1, 1, len(splits))
    table = pd.DataFrame(
        {
            "id": [f"v{i // 3}_{i}" for i in range(len(splits))],
            "video": [f"v{i // 3}" for i in range(len(splits))],
            "clip": [str(i) for i in range(len(splits))],
            "split": splits,
            "text": [_sentence(value, *WORDS[dataset.language], rng) for value in truth],
            "label": truth * dataset.high,
            **{
                name: [_sentence(value, *WORDS[dataset.language], rng) for value in truth]
                for name in EXPLANATIONS
            },
        }
    )
    if dataset.unimodal_labels:
        for modality in "TAV":
            table[f"label_{modality}"] = np.clip(truth + rng.normal(0, 0.1, len(truth)), -1, 1)
    return Draft(
        name=f"{name}@small",
        clips=table,
        streams={name: _stream(truth, *shape, rng) for name, shape in streams.items()},
        manifest={},
    )


def _stream(truth: np.ndarray, frames: int, dim: int, rng: np.random.Generator) -> Stream:
    """Frames are noise around the truth times a direction; lengths are ragged."""
    lengths = rng.integers(1, frames + 1, len(truth))
    values = rng.normal(0, 0.3, (len(truth), frames, dim))
    values += truth[:, None, None] * rng.normal(0, 1, dim)
    values[np.arange(frames) >= lengths[:, None]] = 0
    return Stream(values.astype(np.float32), lengths)


def _sentence(
    value: float,
    low: list[str],
    high: list[str],
    neutral: list[str],
    joint: str,
    rng: np.random.Generator,
) -> str:
    count = rng.integers(1, 5)
    mood = high if value > 0 else low
    words = [str(rng.choice(mood if rng.random() < 0.6 else neutral)) for _ in range(count)]
    return joint.join([str(rng.choice(mood)), *words])
