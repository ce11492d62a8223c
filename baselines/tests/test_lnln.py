"""LNLN: sizes, where gradients turn, losses and their weights, how training inputs are damaged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from baselines._shared.missing import kept_frames, kept_tokens, without_frames, without_tokens
from baselines.lnln import LNLN, damaged, reversed_gradient
from baselines.tests.clips import a_batch, build, parameters, stream, tokens
from harness.errors import SpecError
from harness.training import total_loss

COUNTS = {"mosi": 115_965_252, "mosei": 116_584_644, "sims": 109_379_908}


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk):
    assert parameters(LNLN, dataset, quirk=quirk) == COUNTS[dataset]


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(LNLN, encoder, small, **changes)


def parts_of(network, clips=3):
    shape = 3, clips, network.params.token_count, network.params.hidden
    return tuple(part.requires_grad_() for part in torch.randn(shape).unbind())


def test_gradient_reversal_keeps_values_and_turns_the_gradient():
    values = torch.tensor([1.7, -0.3, 1e-8], requires_grad=True)
    turned = reversed_gradient(values)
    assert torch.equal(turned, values)
    (turned * torch.tensor([2.0, 3.0, -1.0])).sum().backward()
    assert values.grad.tolist() == [-2.0, -3.0, 1.0]


@pytest.mark.parametrize(("quirk", "sign"), [("fixed", 1), ("published", -1)])
def test_which_gradients_of_the_proxy_turn(make, quirk, sign):
    """The discriminator's always; the prediction's only as released."""
    network = make(quirk=quirk).eval()
    parts, completeness = parts_of(network), torch.tensor([0.2, 0.5, 0.9])
    pull = torch.randn_like(parts[0])

    def gradient(values):
        return torch.autograd.grad((values * pull).sum(), network.seed, retain_graph=True)[0]

    seed = network.seed.expand(3, -1, -1)
    proxy = network.proxy(torch.cat([seed, *parts[1:]], dim=1))[:, : seed.shape[1]]
    w = completeness[:, None, None]
    plain = (1 - w) * proxy + w * parts[0]
    expected = gradient(plain)
    dominant, disguised = network.dominant(parts, completeness)
    assert torch.allclose(dominant, plain, atol=1e-6)
    assert torch.allclose(disguised, plain, atol=1e-6)
    for values, turn in zip(network.dominant(parts, completeness), (sign, -1), strict=True):
        assert torch.allclose(gradient(values), turn * expected, atol=1e-5)


def test_losses_are_those_of_the_paper(make):
    network = make(adversarial_weight=0.6, reconstruction_weight=0.3).eval()
    parts, complete, disguised = parts_of(network), parts_of(network), parts_of(network)[0]
    found = network.losses(parts, complete, disguised)
    with torch.no_grad():
        seen = torch.cat([disguised, complete[0]]).reshape(-1, network.params.hidden)
        scores = network.discriminator(seen).numpy()
        rebuilt = [f(p) for f, p in zip(network.rebuild, parts, strict=True)]
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    half = len(shares) // 2
    adversarial = -np.log(np.concatenate([shares[:half, 1], shares[half:, 0]])).mean()
    squares = [((a - b) ** 2).mean().item() for a, b in zip(rebuilt, complete, strict=True)]
    assert found["adversarial"].item() == pytest.approx(0.6 * adversarial, rel=1e-4)
    assert found["reconstruction"].item() == pytest.approx(0.3 * np.mean(squares), rel=1e-4)


@pytest.mark.parametrize(("quirk", "trained"), [("fixed", False), ("published", True)])
def test_reconstruction_targets_are_trained_only_as_released(make, quirk, trained):
    network = make(quirk=quirk)
    complete = parts_of(network)
    network.losses(parts_of(network), complete, parts_of(network)[0])["reconstruction"].backward()
    assert (complete[1].grad is not None) == trained


def test_completeness_is_judged_against_the_loss_rate(make):
    network, batch = make(clean_share=1.0, completeness_weight=0.9).train(), a_batch()
    output = network(batch)
    share = output.diagnostics["completeness"].detach()
    assert output.losses["completeness"].item() == pytest.approx(
        0.9 * float((share - 1).square().mean()), rel=1e-5
    )


@pytest.mark.parametrize("name", ["completeness", "adversarial", "reconstruction"])
def test_every_loss_has_its_weight(make, name):
    batch, values = a_batch(), []
    for weight in (1.0, 2.5):
        network = make(**{f"{name}_weight": weight}).train()
        torch.manual_seed(1)
        values.append(network(batch).losses[name].item())
    assert values[1] == pytest.approx(2.5 * values[0], rel=1e-5)


def test_total_loss_is_the_task_and_three_others(make):
    network, batch = make().train(), a_batch()
    output = network(batch)
    task = (output.prediction - batch.labels).square().mean()
    expected = task + sum(output.losses.values())
    assert set(output.losses) == {"completeness", "adversarial", "reconstruction"}
    assert torch.allclose(total_loss(output, batch, network.params), expected)


def test_training_damages_inputs_and_evaluation_does_not(make):
    network, batch = make(clean_share=0.0), a_batch()
    assert not torch.equal(network.train()(batch).prediction, network(batch).prediction)
    network.eval()
    output = network(batch)
    assert torch.equal(output.prediction, network(batch).prediction)
    assert not output.losses
    assert output.diagnostics["completeness"].shape == (3,)


def test_prediction_reads_the_mean_of_all_but_the_first_token(make):
    network, batch = make().eval(), a_batch()
    parts = network.streams(batch.tokens, batch.audio, batch.vision)
    w = network.completeness(parts[0])
    fused = network.fusion(network.dominant(parts, w)[0], *parts[1:])
    expected = network.head(fused[:, 1:].mean(1)).squeeze(1)
    output = network(batch)
    assert torch.allclose(output.prediction, expected, atol=1e-6)
    assert torch.allclose(output.diagnostics["completeness"], w, atol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_steps_are_lost_at_their_rate(rate):
    torch.manual_seed(0)
    count = 400
    frames, words = stream((40,) * count, 2, 50), tokens((30,) * count)
    rates = torch.full((count,), rate)
    kept, spoken = kept_frames(frames, rates), kept_tokens(words, rates)
    assert 1 - kept.float().mean().item() == pytest.approx(rate, abs=0.02)
    assert 1 - spoken[:, 1:-1].float().mean().item() == pytest.approx(rate, abs=0.02)


def test_lost_frames_become_zero_and_lost_words_unknown():
    torch.manual_seed(0)
    frames, words = stream((3, 5), 2, 9), tokens((4, 6))
    kept, spoken = kept_frames(frames, torch.ones(2)), kept_tokens(words, torch.ones(2))
    silent = without_frames(frames, kept)
    assert not silent.values.any()
    assert silent.lengths.tolist() == [3, 5]
    assert silent.frames == 9
    empty = without_tokens(words, spoken, unknown=1)
    assert empty.ids.tolist() == [[2, 1, 1, 3, 0, 0], [2, 1, 1, 1, 1, 3]]
    assert torch.equal(empty.mask, words.mask)


def test_padding_is_neither_kept_nor_made_unknown():
    frames, words = stream((3, 5), 2, 9), tokens((4, 6))
    assert torch.equal(kept_frames(frames, torch.zeros(2)), frames.mask)
    assert torch.equal(kept_tokens(words, torch.zeros(2)), words.mask.bool())


def test_each_stream_of_each_clip_has_a_rate_of_its_own(make):
    torch.manual_seed(0)
    batch, params = a_batch((50,) * 300, (9,) * 300, (7,) * 300), make().params
    incomplete, rates = damaged(batch, dataclasses.replace(params, clean_share=0.4))
    assert (rates == 0).float().mean().item() == pytest.approx(0.4, abs=0.08)
    assert rates[rates > 0].mean().item() == pytest.approx(0.5, abs=0.08)
    lost = (incomplete.tokens.ids == params.unknown_token).float().sum(1) / 48
    assert np.corrcoef(lost, rates)[0, 1] > 0.95
    silent = (incomplete.audio.values == 0).all(2).float().mean(1)
    assert abs(np.corrcoef(silent, rates)[0, 1]) < 0.2
    assert torch.equal(incomplete.labels, batch.labels)


def test_an_unknown_token_outside_the_vocabulary_is_refused(make):
    with pytest.raises(SpecError, match="unknown_token is 100000"):
        make(unknown_token=100_000)


@pytest.mark.parametrize(("dataset", "weight"), [("mosi", 0.8), ("mosei", 0.8), ("sims", 0.6)])
def test_presets_are_the_authors(dataset, weight):
    params = LNLN.resolve(dataset, {})
    assert params.adversarial_weight == weight
    assert (params.completeness_weight, params.reconstruction_weight) == (0.9, 0.1)
    assert (params.stream_layers, params.layers, params.epochs) == (2, 2, 200)
