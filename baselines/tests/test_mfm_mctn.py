"""MFM and MCTN: sizes, the prior, the translations, and what reaches the prediction."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.mctn import MCTN, Translator
from baselines.mfm import MFM, mmd
from harness.data.batching import Batch, Sequence
from harness.data.datasets import datasets
from harness.system import Dims

FEATURES = {"mosi": "unaligned-50", "mosei": "unaligned-50", "sims": "unaligned-39"}
COUNTS = {"mosi": 1_416_123, "mosei": 5_996_541, "sims": 3_478_888}
DIMS = Dims(text=(6, 12), audio=(11, 5), vision=(8, 4), low=-1.0, high=1.0)
RAGGED = {"text": (2, 6, 1), "audio": (7, 11, 3), "vision": (8, 1, 2)}
SIZES = {"text_hidden": 4, "audio_hidden": 3, "vision_hidden": 5, "memory": 6}
MLPS = ("attention", "proposal", "retain", "update", "out", "head")
FACTORS = ("label_factor", "text_factor", "audio_factor", "vision_factor")
NO_DROPOUT = {f"{name}_dropout": 0.0 for name in (*MLPS, *FACTORS)}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def batch_of(lengths=RAGGED):
    def stream(name):
        frames, size = getattr(DIMS, name)
        count = torch.tensor(lengths[name])
        values = torch.randn(len(count), frames, size)
        values[torch.arange(frames) >= count.unsqueeze(1)] = 0
        return Sequence(values[:, : int(count.max())], count, frames)

    parts = {name: stream(name) for name in ("text", "audio", "vision")}
    clips = len(lengths["text"])
    return Batch(rows=torch.arange(clips), labels=torch.zeros(clips), **parts)


def mfm(**changes):
    return MFM.build(DIMS, MFM.resolve("mosi", {**SIZES, **NO_DROPOUT, **changes}))


def mctn(**changes):
    return MCTN.build(DIMS, MCTN.resolve("mosi", {"hidden": 7, **changes}))


@pytest.mark.parametrize("dataset", COUNTS)
def test_published_mfm_has_the_published_size(dataset):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES[dataset]]
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high)
        network = MFM.build(dims, MFM.resolve(dataset, {"quirk": "published"}))
        repaired = MFM.build(dims, MFM.resolve(dataset, {}))
    count = sum(p.numel() for p in network.parameters())
    unread = sum(p.numel() for p in network.parameters() if not p.requires_grad)
    assert count == COUNTS[dataset]
    assert sum(p.numel() for p in repaired.parameters()) == count - unread


def test_published_mfm_trains_at_adams_default_rate():
    for quirk, rate in (("published", 1e-3), ("fixed", None)):
        params = MFM.resolve("mosi", {"quirk": quirk})
        (group,) = MFM.build(DIMS, params).parameter_groups(params)
        assert group.get("lr") == rate


@pytest.mark.parametrize(("clips", "size"), [(1, 3), (6, 4)])
def test_mmd_sums_kernels_of_all_pairs(clips, size):
    codes = torch.randn(clips, size)
    torch.manual_seed(5)
    found = mmd(codes)
    torch.manual_seed(5)
    draws, own = torch.randn(clips, size).numpy(), codes.numpy()

    def kernels(first, second):
        return np.mean([np.exp(-np.mean((x - y) ** 2) / size) for x in first for y in second])

    expected = kernels(draws, draws) + kernels(own, own) - 2 * kernels(draws, own)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_mmd_prefers_the_prior():
    prior, far = torch.randn(400, 3), torch.randn(400, 3) * 3 + 2
    assert mmd(prior) < 0.01 < 0.3 < mmd(far)


def test_mfm_losses_are_weighted_errors_and_the_prior():
    weights = {"text_weight": 2.0, "audio_weight": 0.0, "vision_weight": 0.0}
    network, batch = mfm(prior_weight=0.0, **weights).train(), batch_of()
    losses = network(batch).losses
    assert losses["prior"] == 0
    words, total = 0, 0.0
    for clip, count in enumerate(RAGGED["text"]):
        text = batch.text.values[clip : clip + 1, :count]
        alone = one_clip(batch, clip)
        network.eval()
        label_factor = label_factor_of(network, alone)
        code = network.encoders[0](text, torch.tensor([count - 1]))
        factors = torch.cat([label_factor, network.factors[0](code)], dim=1)
        total += (generate(network.decoders[0], factors, count) - text).square().mean(2).sum()
        words += count
    assert losses["generation"].item() == pytest.approx(2 * total.item() / words, rel=1e-5)


def one_clip(batch, clip):
    streams = {
        name: Sequence(
            s.values[clip : clip + 1, : int(s.lengths[clip])], s.lengths[clip : clip + 1], s.frames
        )
        for name in ("text", "audio", "vision")
        for s in [getattr(batch, name)]
    }
    return Batch(rows=torch.arange(1), labels=torch.zeros(1), **streams)


def label_factor_of(network, batch):
    """What the label factor is for a batch, taken on its way."""
    seen = []
    handle = network.label_factor.register_forward_hook(lambda *call: seen.append(call[2]))
    network(batch)
    handle.remove()
    return seen[0]


def generate(decoder, factors, count):
    """The decoder's cell as an LSTM: the factors first, then its own states as inputs."""
    hidden = cell = torch.zeros_like(factors)
    given, states = factors, []
    for _ in range(count):
        hidden, cell = decoder.cell(given, (hidden, cell))
        given = hidden
        states.append(decoder.project(hidden))
    return torch.stack(states, dim=1)


def test_mfm_predicts_from_the_label_factor_alone():
    """What generates a stream is neither read nor computed for a prediction."""
    network, batch = mfm().eval(), batch_of()
    before = network(batch).prediction
    for part in (network.encoders, network.factors, network.decoders):
        for parameter in part.parameters():
            nn.init.constant_(parameter, torch.nan)
    assert torch.equal(network(batch).prediction, before) and not network(batch).losses
    factor = label_factor_of(network, batch)
    hidden = functional.relu(network.head[0](factor))
    assert torch.allclose(before, network.head[3](hidden).squeeze(1))


def test_mctn_predicts_from_text_alone():
    network, batch = mctn().eval(), batch_of()
    before = network(batch).prediction
    for name in ("audio", "vision"):
        stream = getattr(batch, name)
        noise = dataclasses.replace(stream, values=torch.randn_like(stream.values))
        batch = dataclasses.replace(batch, **{name: noise})
    assert torch.equal(network(batch).prediction, before) and not network(batch).losses


def test_mctn_learns_from_all_streams():
    network, batch = mctn().train(), batch_of()
    losses = network(batch).losses
    assert set(losses) == {"vision", "cycle", "audio"}
    for name, stream in (("vision", "vision"), ("audio", "audio"), ("cycle", "text")):
        values = getattr(batch, stream).values.clone().requires_grad_()
        torch.manual_seed(1)
        altered = dataclasses.replace(
            batch, **{stream: dataclasses.replace(getattr(batch, stream), values=values)}
        )
        network(altered).losses[name].backward()
        assert values.grad.any()


def test_mctn_losses_do_not_depend_on_padding():
    """A batch of clips is the mean over words of the clips alone."""
    network, batch = mctn(teacher_forcing=1.0).train(), batch_of()
    together = network(batch).losses
    alone = [network(one_clip(batch, clip)).losses for clip in range(3)]
    words = np.array(RAGGED["text"])
    for name, value in together.items():
        parts = np.array([losses[name].item() for losses in alone])
        assert value.item() == pytest.approx((parts * words).sum() / words.sum(), rel=1e-5)


def test_translator_reads_both_ways():
    """States are sums of a forward and a backward LSTM over the clip's own steps."""
    translator, source = Translator(3, 2, 4), torch.randn(2, 5, 3)
    words = Sequence(source, torch.tensor([5, 2]), 5)
    states, start = translator.encode(source, words)
    for clip, count in enumerate((5, 2)):
        outputs, (final, _) = translator.reader(source[clip : clip + 1, :count])
        assert torch.allclose(
            states[clip, :count], outputs[0, :, :4] + outputs[0, :, 4:], atol=1e-6
        )
        assert not states[clip, count:].any()
        summed = final[0, 0] + final[1, 0]
        assert torch.allclose(start[clip], (translator.begin.weight @ summed).tanh(), atol=1e-6)


@pytest.mark.parametrize("forcing", [0.0, 1.0])
def test_translator_writes_with_attention(forcing):
    translator, target = Translator(3, 2, 4), torch.randn(1, 3, 2)
    states, start = torch.randn(1, 3, 4), torch.randn(1, 4)
    found = translator.decode(states, start, torch.ones(1, 3, dtype=torch.bool), target, forcing)
    hidden, cell, given = start, torch.zeros(1, 4), torch.zeros(1, 2)
    for step in range(3):
        energies = [
            translator.energy(torch.cat([hidden[0], state])).tanh() @ translator.score.weight[0]
            for state in states[0]
        ]
        shares = torch.stack(energies).softmax(0)
        context = (shares[:, None] * states[0]).sum(0, keepdim=True)
        hidden, cell = translator.writer(torch.cat([given, context], dim=1), (hidden, cell))
        written = translator.project(torch.cat([hidden, context], dim=1))
        assert torch.allclose(found[:, step], written, atol=1e-6)
        given = target[:, step] if forcing else written


def test_mctn_pools_states_by_tanh_scores():
    regression = mctn().regression
    joint, inside = torch.randn(2, 4, 7), torch.arange(4) < torch.tensor([[4], [3]])
    found = regression(joint, inside)
    for clip, count in enumerate((4, 3)):
        states = regression.lstm(joint[clip : clip + 1, :count])[0][0]
        shares = regression.score(states).tanh().softmax(0)
        expected = regression.head((shares * states).sum(0))
        assert torch.allclose(found[clip], expected[0], atol=1e-6)


SETTINGS = [
    (MFM, "mosi", {"label_code": 80, "prior_weight": 100.0, "audio_factor_dropout": 0.7}),
    (MFM, "mosei", {"attention_hidden": 1278, "text_weight": 5.0, "weight_decay": 5e-4}),
    (MFM, "sims", {"batch_size": 128, "vision_factor": 48, "head_dropout": 0.7}),
    (MFM, "simsv2", {"batch_size": 128, "vision_factor": 48, "head_dropout": 0.7}),
    (MCTN, "mosi", {"hidden": 32, "lr": 1e-4, "batch_size": 32, "clip_norm": 1.0}),
]


@pytest.mark.parametrize(("system", "dataset", "expected"), SETTINGS)
def test_presets_are_those_of_mmsa(system, dataset, expected):
    params = system.resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
