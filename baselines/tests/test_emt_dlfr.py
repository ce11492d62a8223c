"""EMT-DLFR: sizes, the unit and its layers, attraction, restoration, which steps are lost."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.special import erf, huber

from baselines.emt_dlfr.parts import (
    AttractionHead,
    GlobalPool,
    MutualUnit,
    attraction,
    interleaved_sinusoids,
    restoration_loss,
)
from baselines.emt_dlfr.system import EMT_DLFR, NAMES
from baselines.tests.clips import a_batch, build, parameters
from harness.training import total_loss

COUNTS = {"mosi": 111_805_019, "mosei": 111_597_823, "sims": 103_793_240}
STILL = {"attention_dropout": 0.0, "feed_dropout": 0.0, "fusion_dropout": 0.0}


@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset):
    assert parameters(EMT_DLFR, dataset) == COUNTS[dataset]


@pytest.fixture
def make(encoder, small):
    def built(**changes):
        network = build(EMT_DLFR, encoder, small, **{**STILL, **changes})
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return network

    return built


class Clips:
    """What a network asks of the training clips before it begins."""

    def __init__(self, batch):
        self.batch, self.labels = batch, batch.labels

    def __len__(self):
        return len(self.batch)

    def in_order(self, size):
        yield self.batch


def norm(values):
    mean, variance = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
    return (values - mean) / np.sqrt(variance + 1e-5)


def attended(weights, name, query, source, mask, heads):
    """Multi-head attention of one clip by loops over its heads."""
    q = query @ weights[f"{name}.query.weight"].T
    k, v = np.split(source @ weights[f"{name}.source.weight"].T, 2, axis=1)
    size, parts = q.shape[1] // heads, []
    for h in range(heads):
        own = slice(h * size, (h + 1) * size)
        scores = q[:, own] @ k[:, own].T / math.sqrt(size)
        scores = np.exp(np.where(mask, scores, -np.inf))
        parts.append(scores / scores.sum(1, keepdims=True) @ v[:, own])
    return (
        np.concatenate(parts, axis=1) @ weights[f"{name}.output.weight"].T
        + weights[f"{name}.output.bias"]
    )


def test_unit_reads_the_context_then_itself_then_feeds_forward():
    torch.manual_seed(0)
    unit = MutualUnit(8, 2, expansion=3, attention_dropout=0.0, feed_dropout=0.0).double()
    weights = {name: p.detach().numpy() for name, p in unit.named_parameters()}
    steps, context = torch.randn(2, 5, 8).double(), torch.randn(2, 4, 8).double()
    masks = torch.arange(5) < torch.tensor([[3], [5]]), torch.arange(4) < torch.tensor([[4], [1]])
    found = unit(steps, context, mask=masks[0], context_mask=masks[1]).detach().numpy()
    for clip in range(2):
        own, other = (mask[clip].numpy() for mask in masks)
        x, c = steps[clip].numpy(), norm(context[clip].numpy())
        x = x + attended(weights, "reads", norm(x), c, other, 2)
        x = x + attended(weights, "attends", norm(x), norm(x), own, 2)
        a, b = np.split(norm(x) @ weights["widen.weight"].T + weights["widen.bias"], 2, axis=1)
        gelu = b * (1 + erf(b / math.sqrt(2))) / 2
        x = x + (a * gelu) @ weights["narrow.weight"].T + weights["narrow.bias"]
        assert found[clip] == pytest.approx(x, abs=1e-9)


def test_positions_count_from_zero_and_alternate():
    found = interleaved_sinusoids(3, 4)
    expected = [[math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)] for p in range(3)]
    assert found.flatten().tolist() == pytest.approx(np.ravel(expected).tolist(), abs=1e-6)


def test_pool_is_a_weighted_mean_of_the_streams_versions():
    torch.manual_seed(0)
    pool, versions = GlobalPool(6), torch.randn(2, 3, 6)
    first, _, last = pool.score
    with torch.no_grad():
        scores = [last(torch.tanh(first(versions[:, m]))) for m in range(3)]
        shares = [s.exp() / sum(other.exp() for other in scores) for s in scores]
        expected = sum(share * versions[:, m] for m, share in enumerate(shares))
    assert torch.allclose(pool(versions), expected, atol=1e-6)


def test_a_layer_reads_streams_and_tokens_as_they_were(make):
    network = make().eval()
    joint = torch.randn(2, 3, 16)
    states = {m: torch.randn(2, n, 16) for m, n in zip(NAMES, (3, 4, 5), strict=True)}
    masks = {m: torch.ones(2, s.shape[1], dtype=torch.bool) for m, s in states.items()}
    found, updated = network._layer(joint, states, masks)
    versions = [network.unit(joint, states[m]).reshape(2, -1) for m in NAMES]
    expected = network.pool(torch.stack(versions, dim=1)).reshape(2, 3, 16)
    assert torch.allclose(found, expected, atol=1e-5)
    for m in NAMES:
        assert torch.allclose(updated[m], network.unit(states[m], joint), atol=1e-5)


def test_attraction_is_minus_the_mean_cosine_and_spares_its_targets():
    torch.manual_seed(0)
    z, p, z2, p2 = (torch.randn(4, 3, requires_grad=True) for _ in range(4))
    loss = attraction((z, p), (z2, p2))
    cosines = [
        (a / a.norm(dim=1, keepdim=True) * b / b.norm(dim=1, keepdim=True)).sum(1).mean()
        for a, b in ((p2, z), (p, z2))
    ]
    assert loss.item() == pytest.approx(-sum(cosines).item() / 2, abs=1e-6)
    loss.backward()
    assert z.grad is None
    assert z2.grad is None
    assert p.grad.any()
    assert attraction((z, z2), (z2, z)).item() == pytest.approx(-1.0, abs=1e-5)


def test_what_is_predicted_is_trained_through_what_it_was_made_of():
    torch.manual_seed(0)
    head, vector = AttractionHead(4, 2), torch.randn(6, 4)
    z, p = head(vector)
    assert z.mean(0).abs().max() < 1e-5, "normalised over the batch, without scale or shift"
    assert z.var(0, unbiased=False).detach().numpy() == pytest.approx(np.ones(4), abs=1e-3)
    (reached,) = torch.autograd.grad(p.square().sum(), head.project[0].weight)
    assert reached.any()


@pytest.mark.parametrize("lost", [[[0, 1, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
def test_restoration_averages_over_what_was_lost(lost):
    torch.manual_seed(0)
    rebuilt, target, holes = *torch.randn(2, 2, 3, 4) * 2, torch.tensor(lost).bool()
    gaps = (rebuilt - target)[holes].numpy()
    expected = huber(1.0, gaps).sum() / (gaps.size + 1e-6)
    assert restoration_loss(rebuilt, target, holes).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 0.25)])
def test_total_loss_is_that_of_the_release(make, weights):
    alpha, beta = weights
    network = make(attraction_weight=alpha, restoration_weight=beta).train()
    batch = a_batch()
    torch.manual_seed(1)
    damaged, lost = network.damaged(batch)
    whole, holed = network.view(batch), network.view(damaged)
    attracted = sum(
        attraction(head(whole.vectors[m]), head(holed.vectors[m]))
        for m, head in network.attract.items()
    )
    targets = {"text": whole.hidden, "audio": batch.audio.values, "vision": batch.vision.values}
    restored = 0.0
    for m, target in targets.items():
        holes = lost[m][:, 1:] if m == "text" else lost[m]
        gaps = (network.rebuild[m](holed.states[m]) - target)[holes].detach().numpy()
        restored += huber(1.0, gaps).sum() / (gaps.size + 1e-6)
    task, complete = ((v.prediction - batch.labels).abs().mean() for v in (holed, whole))
    expected = task + alpha * (attracted + complete) + beta * restored
    torch.manual_seed(1)
    output = network(batch)
    assert torch.equal(output.prediction, holed.prediction)
    assert torch.allclose(total_loss(output, batch, network.params), expected, atol=1e-4)


def test_released_holes_are_drawn_once_and_others_anew(make):
    batch = a_batch((9, 6, 8), (5, 9, 2), (7, 1, 3))
    network = make(quirk="published", loss_rate=0.4)
    network.begin(Clips(batch), network.params)
    lost = network.damaged(batch)[1]
    for m, seed, length in (("audio", 1111, 9), ("vision", 11111, 7)):
        draws = np.random.RandomState(seed).uniform(size=(3, length))
        expected = (draws <= 0.4) & getattr(batch, m).mask.numpy()
        assert np.array_equal(lost[m].numpy(), expected)
    words = np.random.RandomState(111).uniform(size=(3, 50))[:, :9] <= 0.4
    inner = [[0 < place < count - 1 for place in range(9)] for count in (9, 6, 8)]
    assert np.array_equal(lost["text"].numpy(), words & np.array(inner))
    picked = dataclasses.replace(batch, rows=torch.tensor([2, 1, 0]))
    assert not torch.equal(network.damaged(picked)[1]["audio"], lost["audio"]), "by clip, not place"
    fixed = make(loss_rate=0.4)
    fixed.begin(Clips(batch), fixed.params)
    drawn = [fixed.damaged(batch)[1]["audio"] for _ in range(8)]
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:])


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_features_are_standardised_over_true_frames(make, quirk):
    batch = a_batch()
    batch.audio.values[0, 1] = 0.0  # a frame that was lost
    network = make(standardize=True, quirk=quirk)
    network.begin(Clips(batch), network.params)
    told, frames = network._standardized(batch).audio, batch.audio.values[batch.audio.mask].numpy()
    expected = (frames - frames.mean(0)) / (frames.std(0) + 1e-6)
    if quirk == "fixed":
        expected[1] = 0.0
    assert told.values[told.mask].numpy() == pytest.approx(expected, abs=1e-5)
    assert not told.values[~told.mask].any()


def test_evaluation_reads_the_clips_as_they_are(make):
    network, batch = make().eval(), a_batch()
    output = network(batch)
    view = network.view(batch)
    assert torch.equal(output.prediction, view.prediction)
    assert not output.losses
    told = [view.vectors[m] for m in (*NAMES, "joint")]
    assert torch.equal(network.head(torch.cat(told, dim=1)).squeeze(1), output.prediction)


def test_a_view_is_read_clip_by_clip(make):
    """Each clip alone and without padding, its LSTMs unpacked, its words between the ends."""
    network, batch = make(layers=2).eval(), a_batch()
    view = network.view(batch)
    for clip, words in enumerate((4, 6, 3)):
        tokens = type(batch.tokens)(
            *(
                p[clip : clip + 1, :words]
                for p in (batch.tokens.ids, batch.tokens.mask, batch.tokens.segments)
            )
        )
        hidden = network.encoder(tokens)[0]  # (words, H)
        vectors, steps = {"text": hidden[0]}, {"text": hidden[1:-1]}
        for m in ("audio", "vision"):
            stream, reader = getattr(batch, m), network.readers[m]
            frames = stream.values[clip, : stream.lengths[clip]]
            states, (last, _) = reader.lstm(frames)
            vectors[m], steps[m] = reader.project(last[0]), reader.project(states)
        placed = {
            m: (network.project[m](x) + interleaved_sinusoids(len(x), 16)).unsqueeze(0)
            for m, x in steps.items()
        }
        joint = torch.stack([network.project[m](vectors[m]) for m in NAMES]).unsqueeze(0)
        for _ in range(2):
            versions = [network.unit(joint, placed[m]).reshape(1, -1) for m in NAMES]
            placed = {m: network.unit(x, joint) for m, x in placed.items()}
            joint = network.pool(torch.stack(versions, dim=1)).reshape(1, 3, 16)
        told = torch.cat([*(vectors[m] for m in NAMES), joint.flatten()])
        assert torch.allclose(view.prediction[clip], network.head(told)[0], atol=1e-5)
        assert torch.allclose(view.vectors["joint"][clip], joint.flatten(), atol=1e-5)
        for m, x in placed.items():
            assert torch.allclose(view.states[m][clip, : x.shape[1]], x[0], atol=1e-5), m
