"""Judgements: marked, collected and replaced; what it costs when clips swap them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from harness.corruption import Corrupter
from harness.data.batching import BatchSource
from harness.data.corpus import Corpus, Stream
from harness.data.store import CorpusStore, Draft
from harness.system.diagnostics import MIXED, swapped
from harness.system.gates import Gate, collected, gates_of, replaced
from harness.system.network import Network, Output
from harness.training.gate_swap import swap, swaps

CLIPS = {"train": 5, "valid": 4, "test": 300}  # more than one batch of evaluation


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Clip k of all has the first audio value k; lengths differ."""
    splits = [name for name, count in CLIPS.items() for _ in range(count)]
    n = len(splits)
    clips = pd.DataFrame(
        {
            "id": [f"v{i // 3}_{i}" for i in range(n)],
            "video": [f"v{i // 3}" for i in range(n)],
            "clip": [str(i) for i in range(n)],
            "split": splits,
            "text": "a word",
            "label": np.linspace(-3, 3, n).round(1),
        }
    )
    lengths = 1 + np.arange(n) % 4
    values = np.arange(n, dtype=np.float32)[:, None, None] + np.zeros((1, 4, 2), np.float32)
    values[np.arange(4) >= lengths[:, None]] = 0
    draft = Draft(
        name="mosi@small", clips=clips, streams={"audio": Stream(values, lengths)}, manifest={}
    )
    return CorpusStore(tmp_path_factory.mktemp("corpora")).add(draft)


class Judging(Network):
    """Predicts 1000 times its judgement, which is the clip's number, plus that number."""

    def __init__(self, weight: float = 1000.0) -> None:
        super().__init__()
        self.weight = weight
        self.inner = nn.ModuleDict({"judgement": Gate("trust", of=("audio",))})

    def forward(self, batch):
        number = batch.audio.values[:, 0, 0]
        return Output(self.weight * self.inner["judgement"](number) + number)


def source_of(corpus, split="test"):
    return BatchSource(corpus.split(split), inputs=frozenset({"audio"}))


def test_judgements_are_found_wherever_they_are():
    (place,) = gates_of(Judging())
    assert (place.name, place.of) == ("trust", ("audio",))
    assert not gates_of(nn.Linear(2, 2))
    assert not list(place.parameters())


def test_a_judgement_passes_values_through():
    values = torch.randn(3, 2, requires_grad=True)
    assert Gate("trust", of=("audio", "text"))(values) is values


def test_values_are_collected_while_asked_for(corpus):
    network, source = Judging(), source_of(corpus)
    batch = source.gather(torch.tensor([2, 0]))
    with collected(network) as kept:
        network(batch)
        network(batch)
    network(batch)
    assert [values.tolist() for values in kept["trust"]] == [[11, 9], [11, 9]]


def test_the_network_acts_on_given_values_while_asked_to(corpus):
    network, batch = Judging(), source_of(corpus).gather(torch.tensor([2, 0]))
    with replaced(network, {"trust": torch.tensor([1.0, 2.0])}):
        assert network(batch).prediction.tolist() == [1011, 2009]
    assert network(batch).prediction.tolist() == [11011, 9009]


def test_swapped_judgements_reach_the_clips_they_are_for(corpus):
    source = source_of(corpus)
    order = np.random.default_rng(0).permutation(len(source))
    own = 9 + np.arange(len(source))  # clips of train and valid come first
    found = swap(Judging(), source, order)
    assert found == pytest.approx(1000 * own[order] + own)


def test_every_clip_gets_another_ones(corpus):
    source, corrupter = source_of(corpus), Corrupter(corpus.split("test"))
    found = swaps(Judging(), source, corrupter, seed=3)
    assert set(found) == {swapped("clean"), MIXED, swapped(MIXED)}
    own = 9 + np.arange(len(source))
    given = np.round((found[swapped("clean")] - own) / 1000)
    assert sorted(given) == sorted(own)
    assert (given != own).all()
    again = swaps(Judging(), source, corrupter, seed=3)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    other = swaps(Judging(), source, corrupter, seed=4)
    assert not np.array_equal(found[swapped("clean")], other[swapped("clean")])
    assert np.array_equal(found[MIXED], other[MIXED])


def test_the_mixture_changes_half_of_the_clips_and_is_one_for_all(corpus):
    source, corrupter = source_of(corpus), Corrupter(corpus.split("test"))
    found = swaps(Judging(), source, corrupter, seed=3)[MIXED]
    clean = 1001.0 * (9 + np.arange(len(source)))
    assert 0.35 < (found != clean.astype(np.float32)).mean() < 0.6


def test_a_judgement_nobody_acts_on_changes_nothing(corpus):
    source, corrupter = source_of(corpus), Corrupter(corpus.split("test"))
    found = swaps(Judging(weight=0.0), source, corrupter, seed=1)
    assert np.array_equal(found[swapped(MIXED)], found[MIXED])
