"""TFR-Net: sizes, who attends to whom, summaries, reconstruction, damaged training inputs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import huber

from baselines.tests.clips import FRAMES, a_batch, build, idle_weights, parameters
from baselines.tfr_net import (
    TFR_NET,
    GatedSummary,
    TimeAttention,
    damaged,
    reconstruction_loss,
)
from harness.data.batching import Sequence
from harness.errors import SpecError

COUNTS = {"mosi": 124_332_860, "mosei": 128_294_829}


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk):
    assert parameters(TFR_NET, dataset, quirk=quirk) == COUNTS[dataset]


@pytest.mark.parametrize("dataset", ["sims", "simsv2"])
def test_lengths_that_heads_do_not_divide_are_refused_only_as_published(dataset):
    with pytest.raises(SpecError, match="among 25 heads"):
        parameters(TFR_NET, dataset, quirk="published")
    assert parameters(TFR_NET, dataset) > 100_000_000


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(TFR_NET, encoder, small, **changes)


def small_params(**changes):
    return dataclasses.replace(TFR_NET.resolve("mosi", {}), time_heads=2, **changes)


def test_time_is_continued_to_a_multiple_of_the_heads():
    torch.manual_seed(0)
    attention = TimeAttention(small_params(), 5).eval()
    steps, mask = torch.randn(3, 4, 7), torch.arange(4) < torch.tensor([[4], [2], [1]])
    waves = torch.zeros(3, 7, 6)
    waves[:, :, :4] = (steps * mask.unsqueeze(2)).mT
    expected = attention.encode(waves).mT[:, :4]
    assert torch.allclose(attention(steps, mask), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("quirk", "moved"), [("fixed", [False, True, False]), ("published", [False, True, True])]
)
def test_clips_attend_to_clips_before_them_only_as_published(quirk, moved):
    torch.manual_seed(0)
    attention = TimeAttention(small_params(quirk=quirk), 4).eval()
    steps = torch.randn(3, 4, 7)
    other = steps.clone()
    other[1] += torch.randn(4, 7)
    gaps = (attention(steps, None) - attention(other, None)).abs().amax((1, 2))
    assert (gaps > 1e-4).tolist() == moved


def test_summary_of_a_clip_is_that_of_the_clip_alone():
    torch.manual_seed(0)
    summary, lengths = GatedSummary(4, 3, 2, 0.5).eval(), (5, 1, 3)
    steps = torch.randn(3, 5, 4)
    mask = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)
    found = summary(steps, Sequence(steps, torch.tensor(lengths), 5), mask)
    for clip, count in enumerate(lengths):
        own = steps[clip : clip + 1, :count]
        states = summary.gru(own)[0]
        gate = torch.sigmoid(summary.gate(states.mT)).mT
        answer = summary.project(torch.cat([own, torch.tanh(states) * gate], dim=2))
        assert torch.allclose(found[clip], torch.tanh(answer)[0].amax(0), atol=1e-6)


def test_published_summary_also_looks_at_padding():
    torch.manual_seed(0)
    summary, steps, length = GatedSummary(4, 3, 1, 0.0).eval(), torch.randn(1, 5, 4), [2]
    other = steps.clone()
    other[:, 2:] = 9.0
    read = [summary(each, Sequence(each, torch.tensor(length), 5), None) for each in (steps, other)]
    assert not torch.allclose(*read, atol=1e-3)


def test_reconstruction_loss_is_that_of_the_lost_steps():
    torch.manual_seed(0)
    rebuilt, target = 2 * torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    lost = torch.tensor([[True, False, True], [False, False, True]])
    mask = lost.unsqueeze(2).numpy()
    first, second = ((each.numpy() * mask).reshape(6, 4) for each in (rebuilt, target))
    distance = huber(1.0, first - second).sum()
    centred = first - first.mean(0), second - second.mean(0)
    moments = np.linalg.norm(first.mean(0) - second.mean(0)) + sum(
        np.linalg.norm((centred[0] ** k).mean(0) - (centred[1] ** k).mean(0)) for k in (2, 3)
    )
    found = reconstruction_loss(rebuilt, target, lost, 5.0)
    assert found.item() == pytest.approx((distance + 5 * moments) / (3 * 4), rel=1e-4)


def test_steps_that_were_not_lost_do_not_matter():
    torch.manual_seed(0)
    rebuilt, target = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    lost = torch.tensor([[True, False, True], [False, False, True]])
    other = torch.where(lost.unsqueeze(2), rebuilt, 7.0)
    assert reconstruction_loss(rebuilt, target, lost, 5.0) == reconstruction_loss(
        other, target, lost, 5.0
    )
    nothing = reconstruction_loss(rebuilt, target, torch.zeros(2, 3, dtype=torch.bool), 5.0)
    assert nothing == 0


def test_reconstruction_counts_from_the_second_epoch(make):
    network, batch = make().train(), a_batch()
    network.begin_epoch(1)
    assert not network(batch).losses
    network.begin_epoch(2)
    names = {f"{name}_reconstruction" for name in ("text", "audio", "vision")}
    assert set(network(batch).losses) == names
    assert not network.eval()(batch).losses


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_then_a_gradient_reaches_every_weight(make, quirk):
    network, batch = make(quirk=quirk, loss_rate=0.6).train(), a_batch()
    network.begin_epoch(2)
    assert not idle_weights(network, batch)


@pytest.mark.parametrize("name", ["text", "audio", "vision"])
def test_every_reconstruction_has_its_weight(make, name):
    batch, values = a_batch(), []
    for weight in (1.0, 2.5):
        network = make(loss_rate=0.6, **{f"rebuild_{name}": weight}).train()
        network.begin_epoch(2)
        torch.manual_seed(1)
        values.append(network(batch).losses[f"{name}_reconstruction"].item())
    assert values[1] == pytest.approx(2.5 * values[0], rel=1e-5)
    assert values[0] > 0


@pytest.mark.parametrize(("quirk", "trained"), [("fixed", False), ("published", True)])
def test_hidden_states_to_rebuild_are_trained_only_as_released(make, quirk, trained):
    network, batch = make(quirk=quirk, loss_rate=0.6).eval(), a_batch()
    incomplete, kept = damaged(batch, network.params)
    read = {
        name: (steps.detach(), mask)
        for name, (steps, mask) in network.read(network.inputs(incomplete)).items()
    }
    network.losses(batch, read, kept)["text_reconstruction"].backward()
    words = network.encoder.network.embeddings.word_embeddings.weight
    assert (words.grad is not None) == trained


def test_streams_read_themselves_and_both_others(make):
    network = make().eval()
    inputs = network.inputs(a_batch())
    streams = {
        name: (network.convolutions[name]((values * mask.unsqueeze(2)).mT).mT, mask)
        for name, (values, mask) in inputs.items()
    }
    (own, mask), (heard, holds) = streams["vision"], streams["audio"]
    itself = network.readers["vision_vision"](own, query_mask=mask)
    audio = network.readers["vision_audio"](own, heard, query_mask=mask, source_mask=holds)
    found, size = network.read(inputs)["vision"][0], network.params.hidden
    assert found.shape[2] == 3 * size
    assert torch.allclose(found[:, :, :size], itself, atol=1e-6)
    assert torch.allclose(found[:, :, 2 * size :], audio, atol=1e-6)


def test_depths_and_dropouts_of_readers(make):
    network = make(layers=2, audio_attention_dropout=0.15, vision_attention_dropout=0.35)
    depth = {name: len(reader.layers) for name, reader in network.readers.items()}
    assert {name for name, count in depth.items() if count == 3} == {
        f"{name}_{name}" for name in ("text", "audio", "vision")
    }
    dropout = {name: r.layers[0].attention.dropout for name, r in network.readers.items()}
    assert dropout["text_audio"] == dropout["vision_audio"] == 0.15
    assert dropout["text_vision"] == dropout["audio_vision"] == 0.35
    assert {dropout[n] for n in ("audio_text", "vision_text", "audio_audio")} == {0.2}


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7])
def test_training_streams_lose_steps_at_the_rate(make, rate):
    torch.manual_seed(0)
    batch, params = a_batch((50,) * 60, (9,) * 60, (7,) * 60), make(loss_rate=rate).params
    incomplete, kept = damaged(batch, params)
    lost = (incomplete.tokens.ids == params.unknown_token).float().sum() / (60 * 48)
    assert lost.item() == pytest.approx(rate, abs=0.03)
    for name in FRAMES:
        assert 1 - kept[name].float().mean().item() == pytest.approx(rate, abs=0.06)
        values = getattr(incomplete, name).values
        assert torch.equal((values != 0).any(2), kept[name])


def test_evaluation_reads_complete_inputs(make):
    network, batch = make(loss_rate=1.0).eval(), a_batch()
    expected = network.predict(batch, network.read(network.inputs(batch)))
    assert torch.equal(network(batch).prediction, expected)


def test_encoder_and_rest_have_their_learning_rates(make):
    network = make()
    params = network.params
    groups = torch.optim.Adam(
        network.parameter_groups(params), lr=params.lr, weight_decay=params.weight_decay
    ).param_groups
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert found.keys() == {id(p) for p in trained.values()}
    for name, weight in trained.items():
        rate, decay = found[id(weight)]
        assert rate == (2e-6 if name.startswith("encoder") else 1e-3)
        assert decay in ((1e-4, 0.0) if name.startswith("encoder") else (1e-3,))


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("mosi", {"rebuild_text": 5.0, "rebuild_vision": 20.0, "encoder_lr": 2e-6, "plateau": 6}),
        ("mosei", {"rebuild_text": 5e-6, "rebuild_vision": 2e-5, "encoder_lr": 1e-5, "lr": 2e-3}),
        ("sims", {"layers": 2, "rebuild_audio": 1e-2, "batch_size": 16, "plateau": 11}),
    ],
)
def test_presets_are_those_of_mmsa(dataset, expected):
    params = TFR_NET.resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
    assert (params.loss, params.clip_value, params.loss_rate) == ("l1", 0.8, 0.2)
