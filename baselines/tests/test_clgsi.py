"""CLGSI: sizes, the contrast against sums written out, schedule, what padding counts for."""

from __future__ import annotations

import math

import pytest
import torch

from baselines.clgsi import CLGSI, LocalKnowledge, contrast, waves
from baselines.tests.clips import a_batch, build, parameters
from harness.system import TrainingProgress

COUNTS = {"mosi": 110_415_204, "mosei": 112_057_061, "sims": 118_755_625}


@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset):
    assert parameters(CLGSI, dataset, quirk="published") == COUNTS[dataset]


@pytest.mark.parametrize("masked", [True, False])
def test_contrast_is_the_sums_of_the_paper(masked):
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 3).double()
    labels = torch.tensor([0.9, 0.6, -0.2, -0.25, 0.0]).double()

    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    def loss(x, y):
        total = 0.0
        for i in range(5):
            kept = thrown = 0.0
            for j in range(5):
                d = abs(float(labels[i] - labels[j]))
                pull = 1.5 * math.tanh(0.8 - d) if d <= 0.4 else 0.0
                push = 1.2 * math.tanh(d) if d > 0.4 else 0.0
                for other in (y[j], x[j]):
                    if d <= 0.4 or not masked:
                        kept += math.exp(pull * cosine(x[i], other) / 0.03)
                    if d > 0.4 or not masked:
                        thrown += math.exp(push * cosine(x[i], other) / 0.03)
            total -= math.log(kept / (kept + thrown)) / 5
        return total

    found = contrast(x, y, labels, masked=masked)
    assert found.item() == pytest.approx((loss(x, y) + loss(y, x)) / 2, rel=1e-9, abs=1e-12)


def test_contrast_grows_when_far_clips_are_alike():
    labels = torch.tensor([1.0, -1.0])
    alike, apart = torch.ones(2, 3), torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]])
    # both sums hold two equal terms: exp(1.5 tanh .8 / .03) and exp(1.2 tanh 2 / .03)
    expected = math.log1p(math.exp((1.2 * math.tanh(2) - 1.5 * math.tanh(0.8)) / 0.03))
    found = contrast(alike, alike, labels, masked=True).item()
    assert found == pytest.approx(expected, rel=1e-4)
    assert contrast(apart, apart, labels, masked=True) < 1e-6


def test_features_are_read_in_threes():
    layer = LocalKnowledge(16)
    assert sum(p.numel() for p in layer.parameters()) == 182
    t, a, v = torch.randn(3, 2, 4)
    threes = torch.stack([t[1, 2], a[1, 2], v[1, 2]])
    u = layer.gather.weight @ threes + layer.gather.bias
    assert torch.allclose(layer(t, a, v)[1, 2], layer.spread(u).squeeze(), atol=1e-6)


def test_positions_are_sines_and_cosines_in_turn():
    found = waves(4, 5)
    for step, feature in ((3, 0), (3, 1), (2, 2), (1, 3), (3, 4)):
        angle = step / 10_000 ** ((feature - feature % 2) / 5)
        wave = math.cos(angle) if feature % 2 else math.sin(angle)
        assert found[step, feature].item() == pytest.approx(wave, rel=1e-5)


@pytest.mark.parametrize(("quirk", "first", "after"), [("published", 0, 0.5), ("fixed", 0.1, 0)])
def test_the_rate_falls_to_zero_over_its_horizon(quirk, first, after):
    """Ten steps an epoch, a horizon of ten: released code lets the rate rise again behind it."""
    params = CLGSI.resolve("mosi", {"quirk": quirk, "horizon": 10})

    def factor(step):
        at = TrainingProgress(step=step, steps=300, epoch=1 + step // 10, epochs=30)
        return params.lr_factor(at)

    assert factor(0) == pytest.approx(first)
    assert factor(10) == 1
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0)
    assert factor(145) == pytest.approx(after)


@pytest.mark.parametrize(("quirk", "reads"), [("published", True), ("fixed", False)])
def test_who_reads_padding(encoder, small, quirk, reads):
    network = build(CLGSI, encoder, small, quirk=quirk).eval()
    batch = a_batch()
    first, means = network._read(batch)
    states = network.audio(batch.audio.untrimmed() if reads else batch.audio.values, None)
    whole = 1  # the clip whose audio fills the array
    assert torch.allclose(first["audio"][whole], states[whole, -1], atol=1e-5)
    assert torch.allclose(means["audio"][whole], states[whole].mean(0), atol=1e-5)
    same = torch.allclose(first["audio"][0], states[0, -1], atol=1e-5)
    assert same == reads


def test_labels_are_scaled_by_their_range(encoder, small):
    assert build(CLGSI, encoder, small, quirk="published", label_scale=1.0).scale == 1.0
    assert build(CLGSI, encoder, small, quirk="fixed", label_scale=1.0).scale == 3.0
