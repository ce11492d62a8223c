"""DLF: sizes, the losses that take streams apart, and where padding ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from baselines._shared.contrast import masked_mse, orthogonality, triplet_loss
from baselines.dlf import DLF, ResidualHead
from harness.data.batching import Batch, Sequence, Tokens
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.system import Dims
from harness.text import Blueprint, Encoder

COUNTS = {"mosi": 112_405_548, "mosei": 112_399_448}
STILL = {
    **{"text_dropout": 0.0, "attention_dropout": 0.0, "audio_attention_dropout": 0.0},
    **{"embed_dropout": 0.0, "output_dropout": 0.0},
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build_full(dataset, **changes):
    known = datasets[dataset]
    encoder = Blueprint.bert_base(known.language)
    with torch.device("meta"):
        dims = Dims(**known.shapes["aligned-50"], low=known.low, high=known.high, encoder=encoder)
        return DLF.build(dims, DLF.resolve(dataset, changes))


@pytest.fixture
def build(encoder):
    def make(*, vision=(7, 4), **changes):
        dims = Dims(
            audio=(9, 5), vision=vision, low=-3.0, high=3.0, encoder=Encoder("tiny", Path(encoder))
        )
        sizes = {"hidden": 16, "heads": 2, "max_tokens": 12, **STILL}
        params = DLF.resolve("mosi", {**sizes, **changes})
        network = DLF.build(dims, params)
        for module in network.bert.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return network

    return make


def stream(frames, features, lengths):
    values = torch.randn(len(lengths), max(lengths), features)
    values[torch.arange(max(lengths)) >= torch.tensor(lengths).unsqueeze(1)] = 0
    return Sequence(values, torch.tensor(lengths), frames)


def batch_of():
    mask = torch.tensor([[1] * 8, [1] * 3 + [0] * 5, [1] * 6 + [0] * 2])
    return Batch(
        rows=torch.arange(3),
        tokens=Tokens(torch.randint(5, 10, (3, 8)) * mask, mask, torch.zeros_like(mask)),
        audio=stream(9, 5, (9, 6, 2)),
        vision=stream(7, 4, (1, 5, 6)),
        labels=torch.tensor([-1.0, 0.5, 2.0]),
    )


def padded(batch):
    parts = {}
    for name in ("audio", "vision"):
        sequence = getattr(batch, name)
        parts[name] = dataclasses.replace(sequence, values=sequence.untrimmed())
    longer = [
        nn.functional.pad(part, (0, 4))
        for part in (batch.tokens.ids, batch.tokens.mask, batch.tokens.segments)
    ]
    return dataclasses.replace(batch, tokens=Tokens(*longer), **parts)


@pytest.mark.parametrize("dataset", COUNTS)
def test_published_network_has_the_published_size(dataset):
    network = build_full(dataset, quirk="published")
    assert sum(p.numel() for p in network.parameters()) == COUNTS[dataset]


@pytest.mark.parametrize("dataset", COUNTS)
def test_repairs_leave_out_what_was_never_trained(dataset):
    published, fixed = (build_full(dataset, quirk=quirk) for quirk in ("published", "fixed"))
    idle = sum(p.numel() for p in published.unused.parameters())
    assert sum(p.numel() for p in fixed.parameters()) == COUNTS[dataset] - idle
    assert not any(p.requires_grad for p in published.unused.parameters())


@pytest.mark.parametrize("labels", [[0.0, 0.0, 1.0, -2.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
def test_triplet_loss_is_the_mean_hinge_over_anchors(labels):
    vectors = np.random.default_rng(0).normal(size=(len(labels), 4))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    anchors = []
    for i, label in enumerate(labels):
        hinges = [
            max(0.0, 0.15 * abs(label - labels[k]) - units[i] @ units[j] + units[i] @ units[k])
            for j in range(len(labels))
            for k in range(len(labels))
            if j != i and labels[j] == label != labels[k]
        ]
        anchors += [np.mean(hinges)] if hinges else []
    expected = np.mean(anchors) if anchors else 0.0
    found = triplet_loss(torch.from_numpy(vectors), torch.tensor(labels))
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_orthogonality_is_the_cosine_embedding_loss_of_unlike_pairs(pieces):
    own, shared = torch.randn(2, 3, 4, 10)
    flat = [part.reshape(-1, 10 // pieces) for part in (own, shared)]
    expected = nn.CosineEmbeddingLoss()(*flat, -torch.ones(len(flat[0])))
    assert torch.allclose(orthogonality(own, shared, None, pieces), expected)


def test_losses_see_true_steps_only():
    own, shared = torch.randn(2, 2, 5, 6)
    mask = torch.arange(5) < torch.tensor([[2], [4]])
    true = [torch.cat([part[0, :2], part[1, :4]]).unsqueeze(0) for part in (own, shared)]
    assert torch.allclose(orthogonality(own, shared, mask), orthogonality(*true, None))
    assert torch.allclose(masked_mse(own, shared, mask), nn.functional.mse_loss(*true))


def test_residual_head_adds_its_input():
    head, vector = ResidualHead(4, dropout=0.0), torch.randn(3, 4)
    first, last = head.inner[0], head.inner[3]
    hidden = vector + torch.relu(vector @ first.weight.T + first.bias) @ last.weight.T + last.bias
    found, prediction = head(vector)
    assert torch.allclose(found, hidden, atol=1e-6)
    expected = (hidden @ head.output.weight.T + head.output.bias)[:, 0]
    assert torch.allclose(prediction, expected, atol=1e-6)


def test_losses_of_training_do_not_depend_on_padding(build):
    """Masks reach every encoder, every 'last step' and every average."""
    network, batch = build().train(), batch_of()
    plain, longer = network(batch), network(padded(batch))
    assert set(plain.losses) == {
        *("text_task", "vision_task", "audio_task", "common_task"),
        *("rebuilt", "specific", "orthogonal", "triplet"),
    }
    for name, value in plain.losses.items():
        assert torch.allclose(value, longer.losses[name], atol=1e-5), name
    assert torch.allclose(plain.prediction, longer.prediction, atol=1e-5)


@pytest.mark.parametrize(("quirk", "reads"), [("published", True), ("fixed", False)])
def test_published_network_does_not_ask_where_clips_end(build, quirk, reads):
    """Lengths change nothing for it: the padding is read like frames."""
    network, batch = build(quirk=quirk).eval(), batch_of()
    ends = {
        name: dataclasses.replace(getattr(batch, name), lengths=torch.ones(3, dtype=torch.int64))
        for name in ("audio", "vision")
    }
    ended = network(dataclasses.replace(batch, **ends)).prediction
    assert torch.equal(ended, network(batch).prediction) == reads


def test_weights_of_the_losses(build):
    batch, doubled = batch_of(), {"text_weight": 6.0, "auxiliary_weight": 0.2}
    network = build().train()
    heavier = build(**doubled).train()
    heavier.load_state_dict(network.state_dict())
    plain, scaled = network(batch).losses, heavier(batch).losses
    for name in plain:
        factor = 1.0 if name in ("vision_task", "audio_task", "common_task") else 2.0
        assert torch.allclose(scaled[name], factor * plain[name], rtol=1e-4), name


def test_similarity_losses_weigh_a_tenth_of_a_tenth(build):
    batch = batch_of()
    network, all_equal = build().train(), build(similarity_weight=1.0).train()
    all_equal.load_state_dict(network.state_dict())
    for name in ("orthogonal", "triplet"):
        ratio = network(batch).losses[name] / all_equal(batch).losses[name]
        assert ratio.item() == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_clips_shorter_than_a_kernel_are_read(build, quirk):
    network = build(quirk=quirk, vision=(1, 4)).train()
    output = network(dataclasses.replace(batch_of(), vision=stream(1, 4, (1, 1, 1))))
    assert output.prediction.isfinite().all()
    assert all(loss.isfinite() for loss in output.losses.values())


def test_sizes_that_do_not_divide_are_refused(build):
    with pytest.raises(SpecError, match="multiple of heads"):
        build(heads=3)
