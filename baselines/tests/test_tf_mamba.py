"""TF-Mamba: sizes, every formula against loops, what padding may not do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, silu, softplus

from baselines.tests.clips import a_batch, build, parameters
from baselines.tf_mamba import TF_MAMBA, BothWays, Rates
from harness.errors import SpecError

COUNTS = {"mosi": 111_295_449, "mosei": 111_646_321, "sims": 103_794_575}


@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset):
    assert parameters(TF_MAMBA, dataset, quirk="published") == COUNTS[dataset]


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(TF_MAMBA, encoder, small, **changes)


def test_a_state_space_reads_both_ways(make):
    """Step by step, in either direction, in numpy's order of things."""
    params = TF_MAMBA.resolve("mosi", {"hidden": 3, "expand": 2, "states": 2})
    torch.manual_seed(0)
    layer, rates = BothWays(params).double(), Rates(6, 2).double()
    torch.nn.init.normal_(rates[1])
    steps = torch.randn(1, 5, 3).double()

    def one_way(part, x, z, logs):
        padded = torch.cat([torch.zeros(3, 6), x])
        kernel = part.conv.weight[:, 0]  # (E, 4)
        state, read = torch.zeros(6, 2), []
        for t in range(5):
            u = silu((padded[t : t + 4] * kernel.T).sum(0) + part.conv.bias)  # (E,)
            low, b, c = part.select(u).split((8, 2, 2))
            size = softplus(part.step(low))  # (E,)
            state = (size[:, None] * -logs.exp()).exp() * state + (size * u)[:, None] * b
            read.append((state @ c + part.skip * u) * silu(z[t]))
        return torch.stack(read)

    x, z = layer.enter(steps[0]).chunk(2, dim=1)
    ahead = one_way(layer.ahead, x, z, rates[0])
    back = one_way(layer.back, x.flip(0), z.flip(0), rates[1]).flip(0)
    expected = layer.leave((ahead + back) / 2)
    assert torch.allclose(layer(steps, rates, None)[0], expected)


def test_masked_steps_are_as_if_they_were_not_there(make):
    params = TF_MAMBA.resolve("mosi", {"hidden": 3, "expand": 2, "states": 2})
    torch.manual_seed(0)
    layer, rates = BothWays(params), Rates(6, 2)
    steps, mask = torch.randn(1, 7, 3), torch.arange(7)[None] < 4
    short = layer(steps[:, :4], rates, None)
    assert torch.allclose(layer(steps, rates, mask)[:, :4], short, atol=1e-6)
    assert not torch.allclose(layer(steps, rates, None)[:, :4], short, atol=1e-4)


def test_first_step_sizes_are_between_their_bounds_one_way_only(make):
    network = make()
    steps = softplus(network.queries[0].mix.ahead.step.bias)
    assert (steps > 0.99e-3).all() and (steps < 0.101).all()
    assert (softplus(network.queries[0].mix.back.step.bias) > 0.3).all()


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_streams_come_to_the_places_of_the_text(make, quirk):
    """Alignment, projection and enhancement of one clip, written out."""
    network, batch = make(quirk=quirk, max_tokens=6).eval(), a_batch((3, 6), (5, 9), (7, 7))
    texts = torch.randn(2, 6, network.params.hidden)
    mask = batch.tokens.mask.bool() if quirk == "fixed" else None
    found = network.enhanced("audio", batch.audio, texts, mask)
    places, text = (3 if quirk == "fixed" else 6), texts[0]
    frames = batch.audio.values[0, :5]
    channels = network.align["audio"].lstm(frames)[0][:, : places + 1]  # (T, 1 + L)
    own = torch.zeros(places, frames.shape[1])
    for frame, scores in zip(frames, channels, strict=True):
        own += (scores.exp() / scores.exp().sum())[1:, None] * frame
    own = network.project["audio"](own)  # norm, map, norm
    scale = network.sharpness["audio"].exp().item()
    assert scale == pytest.approx(1 / 0.07)
    for i in range(places):
        cosines = [torch.cosine_similarity(own[i], text[j], dim=0).item() for j in range(places)]
        shares = np.exp(scale * np.array(cosines))
        shares /= shares.sum()
        added = sum((s * text[j] for j, s in enumerate(shares) if s > 1 / places), torch.zeros(()))
        assert torch.allclose(found[0, i], own[i] + added, atol=1e-4)


def test_a_pair_shares_its_rates_and_nothing_else(make):
    network = make()
    layer = network.pairs[0]["audio"]
    left, right = torch.randn(2, 2, 4, network.params.hidden)
    first, second = layer(left, right, None)
    mixed = layer.mix[1](right, layer.rates, None)
    assert torch.allclose(second, right + layer_norm(mixed, mixed.shape[2:], eps=1e-6), atol=1e-5)
    assert torch.equal(layer(left, 0 * right, None)[0], first)


@pytest.mark.parametrize(("quirk", "trained"), [("fixed", False), ("published", True)])
def test_lost_tokens_are_rebuilt(make, quirk, trained):
    network, batch = make(quirk=quirk, rebuild_weight=0.7, rebuild_dropout=0.0), a_batch()
    network.eval()  # without dropout both passes of the encoder agree
    text = torch.randn(3, 6, network.params.hidden)
    lost = torch.zeros(3, 6, dtype=torch.bool)
    lost[0, 1] = lost[1, 2] = True
    loss = network._rebuild(text, batch, lost)
    target = network.encoder(batch.tokens)
    gaps = torch.cat([network.rebuild(text[i, j]) - target[i, j] for i, j in ((0, 1), (1, 2))])
    small = gaps.abs() < 1
    errors = torch.where(small, 0.5 * gaps.square(), gaps.abs() - 0.5)
    assert loss.item() == pytest.approx(0.7 * errors.mean().item(), rel=1e-4)
    loss.backward()
    assert trained == any(p.grad is not None and p.grad.any() for p in network.encoder.parameters())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_training_damages_inputs_and_evaluation_does_not(make, share):
    network, batch = make(clean_share=share), a_batch((40, 40, 40))
    assert (network.train()(batch).losses["rebuild"] > 0) == (share == 0)
    assert not network.eval()(batch).losses


def test_the_scan_that_was_asked_for_is_the_one(make):
    with pytest.raises(SpecError, match="CUDA"):
        make(scan="mamba_ssm").eval()(a_batch())
