"""KuDA: sizes, trust and routing, what each stage trains and on which corpus."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from baselines.kuda.encoders import injected
from baselines.kuda.fusion import CrossBlock, Route, Shape, info_nce, trust
from baselines.kuda.system import KUDA
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.spec.protocols import protocols
from harness.system import Dims, Task
from harness.text import Blueprint, Encoder
from harness.training import batches_of, fit_network, untrained

FEATURES = {"sims": "unaligned-39"}
HARD_CODED = {"audio": 33, "vision": 709}  # features, in the released code on every dataset
COUNTS = {
    "mosi": 129_786_948,
    "mosei": 129_809_198,
    "sims": 122_491_579,
    "simsv2": 122_622_552,
}
STREAMS = ("text", "vision", "audio")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build_full(dataset, features=None, **changes):
    known = datasets[dataset]
    shapes = dict(known.shapes[FEATURES.get(dataset, "unaligned-50")])
    for name, count in (features or {}).items():
        shapes[name] = (shapes[name][0], count)
    with torch.device("meta"):
        dims = Dims(
            **shapes,
            low=known.low,
            high=known.high,
            unimodal=known.unimodal_labels,
            encoder=Blueprint.bert_base(known.language),
        )
        return KUDA.build(dims, KUDA.resolve(dataset, changes))


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def prepare(make_corpus, small, encoder, tmp_path):
    """(task, params) of a small corpus and, if named, one to learn from."""

    def make(dataset="mosi", *, knowledge=None, **changes):
        corpus = make_corpus(dataset)
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=dataclasses.replace(protocols["in_domain"], max_epochs=1),
            seed=1111,
            device=torch.device("cpu"),
            encoder=Encoder("tiny", Path(encoder)),
            cache=tmp_path,
            knowledge=knowledge,
        )
        if knowledge is not None:
            changes["knowledge"] = knowledge.name
        return task, KUDA.resolve(dataset, small(KUDA, **changes))

    return make


def still(network):
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.MultiheadAttention):
            module.p = module.dropout = 0.0
    return network


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_network_has_the_published_size_on_sims(quirk):
    assert size(build_full("sims", quirk=quirk)) == COUNTS["sims"]


@pytest.mark.parametrize("dataset", COUNTS)
def test_with_the_input_sizes_written_into_the_released_code_all_counts_agree(dataset):
    assert size(build_full(dataset, HARD_CODED, quirk="published")) == COUNTS[dataset]


def test_trust_is_a_share_of_closeness():
    told, truth = np.random.default_rng(0).normal(size=(5, 3)), np.linspace(-1, 1, 5)
    closeness = np.exp(-0.1 * np.abs(told - truth[:, None]) ** 2)
    expected = closeness / closeness.sum(1, keepdims=True)
    found = trust(torch.from_numpy(told), torch.from_numpy(truth), 0.1)
    assert np.allclose(found.numpy(), expected)


def test_info_nce_is_the_cross_entropy_of_finding_ones_own_state():
    stream, state = torch.randn(2, 6, 4)
    units = [part / part.norm(dim=1, keepdim=True) for part in (stream, state)]
    expected = cross_entropy(units[0] @ units[1].T, torch.arange(6))
    assert torch.allclose(info_nce(stream, state), expected)


def test_adapters_are_applied_to_one_state_after_the_other():
    class Doubling(nn.Module):
        def forward(self, state, mask):
            return 2 * state

    states, norm = [torch.randn(2, 3, 4) for _ in range(4)], nn.LayerNorm(4)
    expected = states[0]
    for state in states[1:]:
        expected = 2 * norm(expected + state)
    adapters = nn.ModuleList(Doubling() for _ in range(3))
    assert torch.equal(injected(states, adapters, norm, torch.ones(2, 3)), expected)


def shape(*, published=False):
    return Shape(size=8, heads=2, head_size=3, feed=16, dropout=0.0, published=published)


def test_cross_block_reads_the_source():
    block, query, source = CrossBlock(shape()), torch.randn(1, 4, 8), torch.randn(1, 5, 8)
    attention, (first, second) = block.attention, block.norms
    parts = (attention.query(query), attention.key(source), attention.value(source))
    q, k, v = (part.reshape(-1, 2, 3) for part in parts)
    weights = torch.einsum("ihd,jhd->hij", q, k).div(3**0.5).softmax(-1)
    read = attention.output(torch.einsum("hij,jhd->ihd", weights, v).reshape(1, 4, 6))
    state = first(query + read)
    assert torch.allclose(block(query, source), second(state + block.feed(state)), atol=1e-6)


@pytest.fixture
def routed():
    """What a route returns for given ratios, in either quirk, with the same weights."""
    streams = {m: torch.randn(2, 4, 8) for m in STREAMS}
    state, route = torch.randn(2, 4, 8), Route(shape())
    for norm in (*route.norms.values(), route.norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)

    def run(ratios, *, published=False):
        route.published = published
        return route(state, streams, ratios)

    run.route, run.state, run.streams = route, state, streams
    return run


RATIOS = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]])
EVEN = torch.full((2, 3), 1 / 3)


def test_released_routing_forgets_the_ratio(routed):
    """A layer norm cancels the factor in front of it, so the label has no way in."""
    assert torch.allclose(routed(RATIOS, published=True), routed(EVEN, published=True), atol=1e-3)


def test_released_routing_is_another_function_in_evaluation(routed):
    trained, evaluated = (routed(ratios, published=True) for ratios in (EVEN, None))
    assert not torch.allclose(trained, evaluated, atol=0.1)


def test_repaired_routing_weighs_normalised_streams(routed):
    total = 0
    for i, m in enumerate(STREAMS):
        read = routed.route.readers[m](routed.state, routed.streams[m])
        total = total + routed.route.norms[m](read) * (1 + RATIOS[:, i]).reshape(2, 1, 1)
    assert torch.allclose(routed(RATIOS), routed.route.norm(total), atol=1e-6)
    assert not torch.allclose(routed(RATIOS), routed(EVEN), atol=1e-2)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_labels_enter_training_only(prepare, quirk):
    task, params = prepare(quirk=quirk)
    network = still(untrained(KUDA, task, params))
    batch = batches_of(KUDA, task.train, task, params).gather(torch.arange(6))
    other = dataclasses.replace(batch, labels=100 * batch.labels)
    network.eval()
    assert torch.equal(network(batch).prediction, network(other).prediction)
    network.train()
    moved = (network(batch).prediction - network(other).prediction).abs().max()
    assert (moved > 1e-5) == (quirk == "fixed")


def test_trust_is_told_and_adds_up(prepare):
    task, params = prepare()
    network = untrained(KUDA, task, params).eval()
    batch = batches_of(KUDA, task.train, task, params).gather(torch.arange(6))
    told = network(batch).diagnostics["trust"]
    assert told.shape == (6, 3) and torch.allclose(told.sum(1), torch.ones(6))


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_what_each_stage_trains(prepare, quirk):
    task, params = prepare(quirk=quirk)
    network = untrained(KUDA, task, params)
    *alone, fusion = network.stages(params)
    for stream, stage in zip(STREAMS, alone, strict=True):
        stage.enter()
        for name, p in network.named_parameters():
            wanted = name.startswith(f"branches.{stream}.") and "pooler" not in name
            assert p.requires_grad == wanted, (stage.name, name)
        (group,) = stage.passes[0].groups(params)
        assert {id(p) for p in group["params"]} == {
            id(p) for p in network.parameters() if p.requires_grad
        }
        assert group["weight_decay"] == params.knowledge_decay
    fusion.enter()
    for name, p in network.named_parameters():
        injected = ".adapters." in name or ".decoder." in name or "pooler" in name
        assert p.requires_grad != injected, name


@pytest.mark.parametrize(
    ("knowledge", "quirk", "elsewhere"),
    [
        ("", "fixed", [False, False, False, False]),
        ("", "published", [False, False, False, False]),
        ("simsv2@any", "fixed", [True, False, False, False]),
        ("simsv2@any", "published", [True, True, True, False]),
    ],
)
def test_which_stages_learn_from_the_knowledge_corpus(prepare, knowledge, quirk, elsewhere):
    task, params = prepare(quirk=quirk)
    params = dataclasses.replace(params, knowledge=knowledge)
    network = untrained(KUDA, task, params)
    assert [stage.on_knowledge for stage in network.stages(params)] == elsewhere


def test_fixed_learns_text_from_a_corpus_with_other_features(prepare, make_corpus):
    other = {"text": (6, 12), "audio": (9, 7), "vision": (5, 3)}
    task, params = prepare(knowledge=make_corpus("simsv2", streams=other))
    fitted = fit_network(KUDA, task, params)
    stages = ["text_knowledge", "vision_knowledge", "audio_knowledge", "main"]
    assert list(dict.fromkeys(epoch.stage for epoch in fitted.history)) == stages
    assert np.isfinite(fitted.predict(task.valid)).all()


def test_published_refuses_a_corpus_with_other_features(prepare, make_corpus):
    other = {"text": (6, 12), "audio": (9, 7), "vision": (5, 3)}
    task, params = prepare(knowledge=make_corpus("simsv2", streams=other), quirk="published")
    with pytest.raises(SpecError, match=r"vision .* expected \(8, 4\)"):
        fit_network(KUDA, task, params)


def test_published_carries_all_branches_over_where_sizes_agree(prepare, make_corpus):
    task, params = prepare(knowledge=make_corpus("simsv2"), quirk="published")
    assert len(fit_network(KUDA, task, params).history) == 4


def test_stage_one_learns_the_labels_of_each_stream(prepare):
    task, params = prepare("sims", dropout=0.0)
    network = still(untrained(KUDA, task, params))
    batch = batches_of(KUDA, task.train, task, params).gather(torch.arange(6))
    for stage, label in zip(
        network.stages(params), ("label_T", "label_V", "label_A"), strict=False
    ):
        expected = (stage.predict(batch) - batch.unimodal[label]).square().mean()
        assert torch.allclose(stage.passes[0].loss(batch), expected, atol=1e-6)
