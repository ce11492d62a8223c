"""Small corpora with a signal that every modality carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from baselines.tests.clips import dims_of
from harness.data.corpus import Corpus
from harness.spec import Scalar
from harness.spec.protocols import protocols
from harness.system import Network, System, Task, TrainingParams, systems
from harness.testing import serve_chat, small_corpus, tiny_encoder
from harness.testing.corpora import CLIPS, STREAMS
from harness.text import find_encoder

SMALL = {
    **{"text_hidden": 16, "audio_hidden": 8, "vision_hidden": 8, "text_out": 8},
    **{"hidden": 16, "fusion_size": 16, "batch_size": 8},
    **{"heads": 2, "prior_weight": 1.0},
    **{"token_count": 4, "head_size": 8, "feed_size": 16, "unknown_token": 1, "time_heads": 1},
    **{"summary_layers": 1, "rebuild_text": 0.1, "rebuild_audio": 0.1, "rebuild_vision": 0.1},
    **{"text_epochs": 3, "audio_epochs": 1, "vision_epochs": 1, "candidates": 4},
    **{"joint_size": 32, "fusion_heads": 2, "adapter_heads": 2},
    **{"bottleneck_size": 32, "noise_offset": -1.0, "states": 4, "expand": 2},
    **{"diffusion_steps": 2, "refiner_blocks": 1, "score_layers": 1, "time_size": 16},
    **{"reader_layers": 1, "missing_rate": 0.3},
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
        folder = tmp_path_factory.mktemp("corpora")
        return small_corpus(folder, dataset, streams=streams, clips=clips, seed=seed)

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
    """Base URL of a server whose model ``m`` judges a clip by the length of what is said."""
    with pytest.MonkeyPatch.context() as patch, serve_chat(_rating) as fake:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield fake.url


def _rating(request: Mapping[str, Any]) -> str | tuple[int, object]:
    length = len(request["messages"][-1]["content"])
    if "max_tokens" in request:
        return f"{length % 30 / 10:.1f}"
    return 200, {"data": [{"embedding": [length % 30 / 10, length % 7, 1.0]}]}


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


@pytest.fixture
def released(encoder, small) -> Callable[..., tuple[Network, TrainingParams]]:
    """A small network of a system as released, with the training settings of its dataset."""

    def make(
        name: str, dataset: str = "", quirk: str = "published", **changes: Scalar
    ) -> tuple[Network, TrainingParams]:
        system = systems[name]
        dataset = dataset or ("sims" if "unimodal" in system.inputs else "mosi")
        chosen = small(system, quirk=quirk, **changes)
        sizes = {name: value for name, value in chosen.items() if name not in TRAINING}
        params = system.resolve(dataset, sizes)
        dims = replace(dims_of(encoder), text=(6, 12), unimodal=True)
        torch.manual_seed(0)
        assert system.build is not None
        assert isinstance(params, TrainingParams)
        return system.build(dims, params), params

    return make


TRAINING = ("batch_size", "text_epochs", "audio_epochs", "vision_epochs")
