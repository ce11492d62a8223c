"""TETFN: sizes, who reads whom, which steps count, learning rates, made labels."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from baselines.tests.clips import a_batch, build, dims_of, idle_weights, parameters
from baselines.tetfn import TETFN, Steps, TextEnhanced, windows
from harness.training import total_loss

COUNTS = {
    "mosi": 110_736_464,
    "mosei": 110_739_600,
    "sims": 103_797_616,
    "simsv2": 103_721_392,
}
# vision's own kernel instead of audio's: 64 x 50 (3 - 1), none, 64 x 50 (1 - 5), 32 x 50 (1 - 3)
REPAIRED = {"mosi": 6400, "mosei": 0, "sims": -12_800, "simsv2": -3200}


@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset):
    assert parameters(TETFN, dataset, quirk="published") == COUNTS[dataset]
    assert parameters(TETFN, dataset) == COUNTS[dataset] + REPAIRED[dataset]


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(TETFN, encoder, small, **changes)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_windows_of_a_clip_are_those_of_the_clip_alone(kernel):
    torch.manual_seed(0)
    convolution = nn.Conv1d(3, 4, kernel, bias=False)
    values, lengths = torch.randn(4, 6, 3), (6, 2, 1, 5)
    mask = torch.arange(6) < torch.tensor(lengths).unsqueeze(1)
    steps = windows(convolution, values, mask)
    for clip, count in enumerate(lengths):
        alone = torch.zeros(max(count, kernel), 3)
        alone[:count] = values[clip, :count]
        expected = convolution(alone.T.unsqueeze(0))[0].T
        assert steps.mask[clip].sum() == len(expected)
        assert torch.allclose(steps.values[clip, : len(expected)], expected, atol=1e-6)


def test_last_and_largest_steps_are_true_ones():
    values = torch.tensor([[[1.0], [5.0], [9.0]], [[-3.0], [-1.0], [-2.0]]])
    some = Steps(values, torch.tensor([[True, True, False], [True, False, False]]))
    assert some.last().flatten().tolist() == [5, -3]
    assert some.maximum().flatten().tolist() == [5, -3]
    every = Steps(values, None)
    assert every.last().flatten().tolist() == [9, -2]
    assert every.maximum().flatten().tolist() == [9, -1]


def test_a_stream_reads_another_that_reads_text():
    torch.manual_seed(0)
    params = dataclasses.replace(TETFN.resolve("mosi", {}), hidden=8, heads=2)
    enhanced = TextEnhanced(params).eval()
    reader, read, text = (Steps(torch.randn(2, count, 8), None) for count in (3, 5, 4))
    expected = enhanced.upper(reader.values, enhanced.lower(read.values, text.values))
    assert torch.allclose(enhanced(reader, read, text), expected)
    assert len(enhanced.lower.layers) == 1
    assert len(enhanced.upper.layers) == 2


@pytest.mark.parametrize(
    ("name", "plain", "enhanced"),
    [
        ("text", ("audio", "vision"), None),
        ("audio", ("text",), "vision"),
        ("vision", ("text",), "audio"),
    ],
)
def test_each_memory_joins_what_its_stream_reads(make, name, plain, enhanced):
    network = make().eval()
    streams = network.streams(a_batch())
    own, text = streams[name], streams["text"]
    seen = [
        network.readers[f"{name}_{other}"](
            own.values,
            streams[other].values,
            query_mask=own.mask,
            source_mask=streams[other].mask,
        )
        for other in plain
    ]
    if enhanced is not None:
        seen.append(network.readers[f"{name}_{enhanced}"](own, streams[enhanced], text))
    expected = network.memories[name](torch.cat(seen, dim=2), query_mask=own.mask)
    assert torch.equal(network.remember(name, streams).values, expected)


def test_heads_read_memories_and_largest_steps(make):
    network, batch = make().eval(), a_batch()
    streams = network.streams(batch)
    output = network(batch)
    names = ("text", "audio", "vision")
    fused = torch.cat([network.remember(name, streams).last() for name in names], dim=1)
    assert fused.shape == (3, 6 * network.params.hidden)
    assert torch.equal(output.prediction, network.heads["fusion"](fused)[1])
    for name in names:
        own = network.heads[name](streams[name].maximum())[1]
        assert torch.equal(output.diagnostics[name], own)


def test_positions_are_everywhere_but_as_published(make):
    def positioned(network):
        readers = network.readers
        enhanced = [
            p for name in ("audio_vision", "vision_audio") for p in readers[name].children()
        ]
        plain = [r for r in readers.values() if not isinstance(r, TextEnhanced)]
        return (
            {encoder.positions for encoder in enhanced},
            {encoder.positions for encoder in (*plain, *network.memories.values())},
        )

    assert positioned(make()) == ({True}, {True})
    assert positioned(make(quirk="published")) == ({True}, {False})


def test_published_vision_has_the_kernel_of_audio(make):
    sizes = {"audio_kernel": 2, "vision_kernel": 3}
    for quirk, kernel in (("fixed", 3), ("published", 2)):
        assert make(quirk=quirk, **sizes).convolutions["vision"].kernel_size == (kernel,)


def test_parts_have_their_learning_rates_and_decays(make):
    network = make()
    params = network.params
    groups = torch.optim.Adam(
        network.parameter_groups(params), lr=params.lr, weight_decay=params.weight_decay
    ).param_groups
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert found.keys() == {id(p) for p in trained.values()}
    expected = {
        "audio.weight_ih_l0": (5e-4, 1e-2),
        "convolutions.audio.weight": (5e-4, 1e-2),
        "vision.weight_hh_l0": (3e-4, 0.0),
        "convolutions.vision.weight": (3e-4, 0.0),
        "convolutions.text.weight": (3e-4, 1e-2),
        "heads.fusion.answer.0.bias": (3e-4, 1e-2),
        "encoder.network.embeddings.word_embeddings.weight": (3e-5, 1e-3),
        "encoder.network.embeddings.LayerNorm.weight": (3e-5, 0.0),
    }
    assert {name: found[id(trained[name])] for name in expected} == expected


def test_losses_are_the_task_and_errors_of_made_labels(make):
    """tanh of how far a label has moved, times the error, averaged."""
    network, batch = make().eval(), a_batch()
    network.training = True  # losses, but no dropout
    network.bank.open(batch.labels.clone())
    moved = torch.tensor([1.0, 0.0, -0.5])
    made = network.bank.labels("audio")
    made += moved
    output = network(batch)
    answer = network.heads["audio"](network.streams(batch)["audio"].maximum())[1]
    error = (moved.abs().tanh() * (answer - batch.labels - moved).abs()).mean()
    assert torch.allclose(output.losses["audio"], error)
    assert output.losses["text"] == output.losses["vision"] == 0
    task = (output.prediction - batch.labels).abs().mean()
    assert torch.allclose(total_loss(output, batch, network.params), task + error)


def test_once_labels_have_moved_a_gradient_reaches_every_weight(make):
    network, batch = make().train(), a_batch()
    network.bank.open(batch.labels.clone())
    for name in ("text", "audio", "vision"):
        made = network.bank.labels(name)
        made += 0.5
    assert not idle_weights(network, batch)


@pytest.mark.parametrize(("quirk", "bound"), [("fixed", 1.0), ("published", 3.0)])
def test_made_labels_stay_in_the_range_unless_as_published(encoder, small, quirk, bound):
    params = TETFN.resolve("sims", small(TETFN, quirk=quirk))
    assert TETFN.build(dims_of(encoder, high=1.0), params).bank.bound == bound


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("mosi", {"text_kernel": 1, "vision_hidden": 64, "lr": 3e-4, "audio_decay": 1e-2}),
        ("mosei", {"embed_dropout": 0.1, "audio_hidden": 32, "vision_lr": 5e-3, "lr": 1e-4}),
        ("sims", {"audio_kernel": 5, "audio_lr": 3e-3, "vision_decay": 1e-2, "lr": 3e-3}),
        ("simsv2", {"text_kernel": 5, "fusion_size": 128, "encoder_lr": 5e-6, "lr": 3e-4}),
    ],
)
def test_presets_are_those_of_mmsa(dataset, expected):
    params = TETFN.resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
    assert (params.loss, params.optimizer, params.accumulate) == ("l1", "adam", 4)
