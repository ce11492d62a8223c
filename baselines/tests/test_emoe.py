"""EMOE: sizes, what the router reads, the losses that shape its weights, how experts are mixed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from baselines._shared.windows import STREAMS
from baselines.emoe import (
    EMOE,
    ClipRouter,
    importance,
    negative_entropy,
    unimodal_distillation,
)
from baselines.tests.clips import a_batch, build, parameters
from harness.training import total_loss

COUNTS = {
    # dataset, features, fusion -> as released, and of these called by nothing
    ("mosi", "aligned-50", "sum"): (317_295_771, 201_708),
    ("mosei", "aligned-50", "sum"): (361_148_145, 201_708),
    ("mosi", "aligned-50", "concat"): (109_482_240 + 208_863_643, 201_708),
    ("mosi", "unaligned-50", "sum"): (317_334_521, 196_608),
}
STILL = {
    **{"text_dropout": 0.0, "attention_dropout": 0.0, "audio_attention_dropout": 0.0},
    **{"embed_dropout": 0.0, "output_dropout": 0.0},
}


@pytest.mark.parametrize("cell", COUNTS)
def test_network_has_the_published_size_and_the_repaired_one_less(cell):
    (dataset, features, fusion), (count, idle) = cell, COUNTS[cell]
    sized = {"features": features, "fusion": fusion}
    assert parameters(EMOE, dataset, quirk="published", **sized) == count
    assert parameters(EMOE, dataset, **sized) == count - idle


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(EMOE, encoder, small, max_tokens=8, **{**STILL, **changes})


def test_router_reads_all_steps_side_by_side(make):
    """The padded clip, one row of features per step; audio and vision mapped along time first."""
    network, batch = make().eval(), a_batch()
    read, router = network.streams.read(batch), network.router
    columns = []
    for m in STREAMS:
        values = read[m].untrimmed().detach().numpy()
        if m != "text":
            layer = router.maps[m]
            weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            values = np.einsum("st,btk->bsk", weight, values) + bias[:, None]
        columns.append(values)
    clip = np.concatenate(columns, axis=2).reshape(len(batch), -1)
    inner, outer = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in (router.inner, router.outer)
    )
    hidden = clip @ inner[0].T + inner[1]
    hidden = np.maximum(0, hidden / np.linalg.norm(hidden, axis=1, keepdims=True))
    scores = np.exp((hidden @ outer[0].T + outer[1]) / 0.1)
    found = network(batch).diagnostics["router"].detach().numpy()
    assert found == pytest.approx(scores / scores.sum(1, keepdims=True), abs=1e-4)
    assert len(inner[1]) == clip.shape[1] // 8


def test_aligned_streams_need_no_map_and_have_frozen_ones_as_released(make):
    aligned = SimpleNamespace(frames=dict.fromkeys(STREAMS, 4), widths=dict.fromkeys(STREAMS, 2))
    assert not hasattr(ClipRouter(aligned, 0.1, published=False), "maps")
    maps = ClipRouter(aligned, 0.1, published=True).maps
    assert not any(p.requires_grad for p in maps.parameters())
    assert all(p.requires_grad for p in make(quirk="published").router.maps.parameters())


def test_negative_entropy_is_least_for_equal_weights_and_zero_for_one():
    equal, one = torch.full((2, 3), 1 / 3), torch.eye(3)
    assert negative_entropy(equal).item() == pytest.approx(-3 * math.log(3))
    assert negative_entropy(one).item() == pytest.approx(0.0)
    assert negative_entropy(torch.cat([equal, one])).item() == pytest.approx(-6 * math.log(3) / 5)


def test_importance_follows_the_errors_of_the_experts():
    """Errors of 0, 0.1 and 0.3, squared with 0.1 added: merits as 10 : 9.09 : 5.26."""
    labels = torch.tensor([1.0, -2.0])
    own = (labels.unsqueeze(1) + torch.tensor([0.0, 0.1, -0.3])).requires_grad_()
    merits = np.array([1 / 0.1, 1 / 0.11, 1 / 0.19])
    weights = torch.tensor([[0.5, 0.3, 0.2]] * 2, requires_grad=True)
    loss = importance(weights, own, labels)
    gaps = merits / merits.sum() - np.array([0.5, 0.3, 0.2])
    assert loss.item() == pytest.approx(np.mean(gaps**2), rel=1e-4)
    loss.backward()
    assert own.grad is None, "what the errors suggest is a constant"
    assert weights.grad[0].numpy() == pytest.approx(-2 * gaps / 6, rel=1e-3)


def test_distillation_compares_features_as_shares_and_moves_the_fused_ones_alone():
    torch.manual_seed(0)
    fused, experts = torch.randn(3, 5, requires_grad=True), torch.randn(3, 5, requires_grad=True)
    shares = [np.exp(x.detach().numpy()) for x in (fused, experts)]
    shares = [x / x.sum(1, keepdims=True) for x in shares]
    loss = unimodal_distillation(fused, experts)
    assert loss.item() == pytest.approx(np.mean((shares[0] - shares[1]) ** 2), rel=1e-4)
    loss.backward()
    assert experts.grad is None
    assert fused.grad.any()


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("fusion", ["sum", "concat"])
def test_prediction_and_losses_are_those_of_the_formulas(make, fusion, quirk):
    """Everything behind the encoders, written out."""
    network, batch = make(fusion=fusion, quirk=quirk).eval(), a_batch()
    streams = network.streams(network.streams.read(batch))
    said = {
        m: streams[m].with_values(network.shared(streams[m].values)).encoded(network.encoders[m])
        for m in STREAMS
    }
    q = [said[m].last() for m in STREAMS]
    w = network.router(network.streams.read(batch)).unbind(1)
    heard = [network.heads[m](vector) for m, vector in zip(STREAMS, q, strict=True)]

    def mixed(vectors):
        parts = [a.unsqueeze(1) * vector for a, vector in zip(w, vectors, strict=True)]
        return sum(parts) if fusion == "sum" else torch.cat(parts, dim=1)

    fused, prediction = network.head(mixed(q) * (1 if fusion == "sum" else 3))
    assert torch.allclose(network(batch).prediction, prediction, atol=1e-5)
    errors = [(y - batch.labels).abs().mean() for _, y in heard]
    own, weights = torch.stack([y for _, y in heard], dim=1), torch.stack(w, dim=1)
    expected = (
        (prediction - batch.labels).abs().mean()
        + sum(errors) / 3
        + 0.1 * (negative_entropy(weights) + 0.1 * importance(weights, own, batch.labels))
        + 0.1 * unimodal_distillation(fused, mixed([r for r, _ in heard]))
    )
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert torch.allclose(total_loss(network(batch), batch, network.params), expected, atol=1e-5)
