"""MISA: sizes, subspace losses against other formulations, which frames are read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.misa import MISA, StackedLSTM, difference, moment_distance
from harness.data.batching import Batch, Sequence, Tokens
from harness.data.datasets import datasets
from harness.system.network import Dims
from harness.text import Blueprint, Encoder
from harness.training import total_loss

COUNTS = {
    "mosi": 110_620_273,
    "mosei": 110_917_345,
    "sims": 123_932_397,
    "simsv2": 104_042_237,
}
FEATURES = {"sims": "unaligned-39"}


def build_full(dataset, **changes):
    """The network at the sizes of the public files, without memory behind it."""
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    blueprint = Blueprint.bert_base(known.language)
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high, encoder=blueprint)
        return MISA.build(dims, MISA.resolve(dataset, changes))


def size(network, *, trained=False):
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trained)


@pytest.fixture
def build(encoder):
    def make(**changes):
        torch.manual_seed(0)
        dims = Dims(
            audio=(9, 5), vision=(7, 4), low=-3.0, high=3.0, encoder=Encoder("tiny", Path(encoder))
        )
        return MISA.build(dims, MISA.resolve("mosi", {"hidden": 16, "dropout": 0.0, **changes}))

    return make


def stream(frames, features, lengths):
    values = torch.randn(len(lengths), max(lengths), features)
    count = torch.tensor(lengths)
    values[torch.arange(max(lengths)) >= count.unsqueeze(1)] = 0
    return Sequence(values, count, frames)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    mask = (torch.arange(5) < torch.tensor([[5], [3], [4], [2]])).long()
    return Batch(
        rows=torch.arange(4),
        labels=torch.tensor([1.0, -2.0, 0.0, 3.0]),
        tokens=Tokens(mask * 6, mask, torch.zeros_like(mask)),
        audio=stream(9, 5, [8, 2, 9, 4]),
        vision=stream(7, 4, [6, 7, 1, 3]),
    )


@pytest.mark.parametrize("dataset", COUNTS)
def test_published_network_has_the_published_size(dataset):
    assert size(build_full(dataset, quirk="published")) == COUNTS[dataset]


@pytest.mark.parametrize("dataset", COUNTS)
def test_fixed_network_lacks_only_what_nothing_reads(dataset):
    hidden = MISA.resolve(dataset, {}).hidden
    unused = 2 * 2 * 768 + 4 * (hidden + 1)
    fixed, published = build_full(dataset), build_full(dataset, quirk="published")
    assert size(published) - size(fixed) == unused
    assert size(published, trained=True) == size(fixed, trained=True)


def test_difference_is_the_mean_squared_product_of_unit_rows():
    first, second = np.random.default_rng(0).normal(size=(2, 6, 4))
    rows = [x - x.mean(0) for x in (first, second)]
    rows = [x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-6) for x in rows]
    expected = np.mean([(rows[0][:, i] @ rows[1][:, j]) ** 2 for i in range(4) for j in range(4)])
    found = difference(torch.from_numpy(first), torch.from_numpy(second))
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_difference_is_zero_for_orthogonal_features():
    """Column spaces that share nothing: the first two clips against the last two."""
    first = torch.tensor([[1.0], [-1.0], [0.0], [0.0]])
    second = torch.tensor([[0.0], [0.0], [1.0], [-1.0]])
    assert difference(first, second).item() == 0
    assert difference(first, first).item() > 1


def test_lengths_of_rows_are_not_differentiated():
    """Scaling a centred row changes neither value nor direction of the gradient."""
    first = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    second = torch.randn(5, 3, dtype=torch.float64)
    difference(first, second).backward()
    centred = (first - first.mean(0)).detach()
    norms = centred.norm(dim=1, keepdim=True)
    scaled = torch.zeros_like(first).requires_grad_()
    other = second - second.mean(0)
    other = other / (other.norm(dim=1, keepdim=True) + 1e-6)
    moved = centred + scaled - scaled.mean(0)
    (((moved / (norms + 1e-6)).T @ other) ** 2).mean().backward()
    assert torch.allclose(first.grad, scaled.grad)


def test_moment_distance_compares_means_and_central_moments():
    first, second = np.random.default_rng(1).uniform(size=(2, 9, 3))
    expected = np.linalg.norm(first.mean(0) - second.mean(0))
    for order in (2, 3, 4, 5):
        moments = [((x - x.mean(0)) ** order).mean(0) for x in (first, second)]
        expected += np.linalg.norm(moments[0] - moments[1])
    found = moment_distance(torch.from_numpy(first), torch.from_numpy(second))
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_moment_distance_of_equal_features_is_zero_with_a_gradient():
    values = torch.randn(6, 3, requires_grad=True)
    distance = moment_distance(values, values.detach().clone())
    distance.backward()
    assert distance.item() == 0
    assert values.grad.isfinite().all()


def test_stacked_lstm_reads_each_clip_as_if_alone():
    torch.manual_seed(0)
    net = StackedLSTM(3)
    values, lengths = torch.randn(3, 6, 3), torch.tensor([6, 2, 4])
    together = net(Sequence(values, lengths, 6))
    for clip, length in enumerate(lengths.tolist()):
        states, (low, _) = net.lower(values[clip : clip + 1, :length])
        _, (high, _) = net.upper(net.norm(states))
        alone = torch.cat([low[0], high[0], low[1], high[1]], dim=1)
        assert torch.allclose(together[clip], alone[0], atol=1e-6)


def test_losses_are_the_weighted_terms_of_the_paper(build, batch):
    network = build(difference_weight=0.3, similarity_weight=0.8, reconstruction_weight=0.5).train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    network.encoder.eval()
    network.fusion.eval()
    vectors = {m: network.project[m](u) for m, u in network._read(batch).items()}
    p = {m: torch.sigmoid(network.private[m](u)) for m, u in vectors.items()}
    s = {m: torch.sigmoid(network.shared(u)) for m, u in vectors.items()}
    t, a, v = "text", "audio", "vision"
    unlike = [(p[t], s[t]), (p[v], s[v]), (p[a], s[a]), (p[a], p[t]), (p[a], p[v]), (p[t], p[v])]
    alike = [(s[t], s[v]), (s[t], s[a]), (s[a], s[v])]
    rebuilt = [((network.rebuild[m](p[m] + s[m]) - vectors[m]) ** 2).mean() for m in vectors]
    output = network(batch)
    expected = {
        "difference": 0.3 * sum(difference(*pair) for pair in unlike),
        "similarity": 0.8 * sum(moment_distance(*pair) for pair in alike) / 3,
        "reconstruction": 0.5 * sum(rebuilt) / 3,
    }
    assert set(output.losses) == set(expected)
    for name, value in expected.items():
        assert output.losses[name].item() == pytest.approx(value.item(), rel=1e-5)
    task = ((output.prediction - batch.labels) ** 2).mean()
    total = total_loss(output, batch, network.params)
    assert total.item() == pytest.approx((task + sum(expected.values())).item(), rel=1e-5)


def test_prediction_reads_the_six_parts_through_one_transformer_layer(build, batch):
    network = build().eval()
    vectors = {m: network.project[m](u) for m, u in network._read(batch).items()}
    parts = [torch.sigmoid(network.private[m](u)) for m, u in vectors.items()]
    parts += [torch.sigmoid(network.shared(u)) for u in vectors.values()]
    layer, x = network.fusion, torch.stack(parts)  # (6, B, H): the other memory layout
    attended = torch.nn.functional.multi_head_attention_forward(
        *(x, x, x, 16, 2, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias),
        *(None, None, False, 0.0, layer.self_attn.out_proj.weight),
        layer.self_attn.out_proj.bias,
    )[0]
    x = layer.norm1(x + attended)
    x = layer.norm2(x + layer.linear2(torch.relu(layer.linear1(x))))
    expected = network.head(torch.cat(list(x), dim=1)).squeeze(1)
    assert torch.allclose(network(batch).prediction, expected, atol=1e-5)


@pytest.mark.parametrize(("quirk", "reads_on"), [("fixed", True), ("published", False)])
def test_which_audio_frames_are_read(build, batch, quirk, reads_on):
    """The first clip has 5 tokens and 8 audio frames: as released, the last three are lost."""
    network = build(quirk=quirk).eval()
    values = batch.audio.values.clone()
    values[0, 5:8] += 1.0
    louder = dataclasses.replace(batch, audio=dataclasses.replace(batch.audio, values=values))
    moved = (network(louder).prediction - network(batch).prediction).abs()
    assert bool(moved[0] > 1e-5) == reads_on
    assert moved[1:].max() < 1e-5


@pytest.mark.parametrize(("quirk", "decay"), [("fixed", [None]), ("published", [0.0])])
def test_the_listed_weight_decay_is_unused_as_released(build, quirk, decay):
    network = build(quirk=quirk, weight_decay=0.1)
    groups = network.parameter_groups(network.params)
    assert [group.get("weight_decay") for group in groups] == decay
    assert network.params.drops_tail == (quirk == "published")
