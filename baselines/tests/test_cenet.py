"""CENET: sizes, the enhancement by hand, where in the encoder it sits, what is trained."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from baselines.cenet import CENET, StreamAttention
from baselines.tests.clips import FRAMES, a_batch, build, parameters
from harness.errors import SpecError
from harness.system.network import Dims

COUNTS = {
    "mosi": 116_010_241,
    "mosei": 116_074_753,
    "sims": 109_346_305,
    "simsv2": 108_931_585,
}
UNREAD = (3 + 5 + 6) * 768


@pytest.mark.parametrize(("quirk", "missing"), [("fixed", UNREAD), ("published", 0)])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk, missing):
    assert parameters(CENET, dataset, quirk=quirk) == COUNTS[dataset] - missing


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(CENET, encoder, small, **changes)


def test_attention_has_one_head_and_sharpened_scores():
    torch.manual_seed(0)
    attention = StreamAttention(3, 6, sharpness=8.0).double()
    words, frames = torch.randn(2, 4, 6).double(), torch.randn(2, 5, 3).double()
    mask = torch.arange(5) < torch.tensor([[2], [5]])
    found = attention(words, frames, mask)
    for clip, count in enumerate((2, 5)):
        source = attention.embed(frames[clip, :count])
        scores = 8 * attention.query(words[clip]) @ attention.key(source).T
        expected = torch.softmax(scores, dim=1) @ attention.value(source)
        assert torch.allclose(found[clip], expected)


def test_embedding_of_frames_is_a_rectified_layer_and_a_linear_one():
    embed = StreamAttention(3, 6, sharpness=8.0).embed
    frames, (first, _, second) = torch.randn(2, 3), embed
    hidden = (frames @ first.weight.T + first.bias).clamp(min=0)
    assert torch.allclose(embed(frames), hidden @ second.weight.T + second.bias, atol=1e-6)


def test_words_are_shifted_between_the_first_and_the_second_layer(make):
    """The encoder's parts called one after the other, on clips without padding."""
    network, batch = make().eval(), a_batch((5, 5), (9, 9), (7, 7))
    bert, enhance = network.encoder.network, network.enhance
    lower, upper = bert.encoder.layer
    words = lower(bert.embeddings(input_ids=batch.tokens.ids))
    seen = enhance.vision(words, batch.vision.values, None)
    heard = enhance.audio(words, batch.audio.values, None)
    shift = torch.cat([seen, heard], dim=2) @ enhance.shift.weight.T + enhance.shift.bias
    first = upper(words + shift)[:, 0]
    _, hidden, _, _, out = network.head
    expected = out(torch.tanh(hidden(first))).squeeze(1)
    assert torch.allclose(network(batch).prediction, expected, atol=1e-5)


def test_the_encoder_is_left_as_it_was(make):
    network, batch = make().eval(), a_batch()
    before = network.encoder(batch.tokens)
    network(batch)
    assert torch.equal(network.encoder(batch.tokens), before)


@pytest.mark.parametrize(("quirk", "reads_padding"), [("fixed", False), ("published", True)])
def test_padding_of_the_corpus_counts_only_as_published(make, quirk, reads_padding):
    network, batch = make(quirk=quirk).eval(), a_batch(audio=(5, 4, 2))
    for module in (*network.enhance.modules(), *network.head.modules()):
        if isinstance(module, nn.Linear):
            module.reset_parameters()  # BERT's start is too near zero to show anything here
    with torch.no_grad():  # so that padded frames are unlike others and well visible
        network.enhance.audio.embed[2].bias += torch.randn(32)
    shorter = dataclasses.replace(batch, audio=dataclasses.replace(batch.audio, frames=5))
    gap = (network(batch).prediction - network(shorter).prediction).abs().max()
    assert (gap > 1e-6) == reads_padding


def test_published_network_trains_neither_embeddings_nor_tables(make):
    network = make(quirk="published")
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert all(
        name.startswith(("encoder.network.embeddings", "encoder.network.pooler", "unread"))
        for name in frozen
    )
    assert sum(name.startswith("unread") for name in frozen) == 3
    fixed = {name for name, p in make().named_parameters() if not p.requires_grad}
    assert fixed == {"encoder.network.pooler.dense.weight", "encoder.network.pooler.dense.bias"}


def test_groups_hold_everything_trained_at_one_rate_and_epsilon(make):
    network = make(weight_decay=0.25, adam_eps=1e-3)
    params = dataclasses.replace(CENET.resolve("mosi", {}), weight_decay=0.25, adam_eps=1e-3)
    optimizer = torch.optim.Adam(
        network.parameter_groups(params), lr=params.lr, weight_decay=params.weight_decay
    )
    groups = optimizer.param_groups
    assert {group["eps"] for group in groups} == {1e-3}
    assert {group["lr"] for group in groups} == {params.lr}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert decay.keys() == {id(p) for p in trained.values()}
    for name, weight in trained.items():
        whole = name.startswith("enhance") or not (name.endswith("bias") or "LayerNorm" in name)
        assert decay[id(weight)] == (0.25 if whole else 0.0), name


def of(network):
    encoder = SimpleNamespace(load=lambda: network, hidden_size=8, vocabulary=20)
    return Dims(**FRAMES, low=-3.0, high=3.0, encoder=encoder)


def test_an_encoder_that_ends_before_the_enhancement_is_refused():
    size = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 20}
    one = BertModel(BertConfig(**size, num_hidden_layers=1))
    with pytest.raises(SpecError, match="there are 1"):
        CENET.build(of(one), CENET.resolve("mosi", {}))


def test_an_encoder_of_another_make_is_refused():
    other = DistilBertModel(DistilBertConfig(dim=8, n_heads=2, n_layers=2, hidden_dim=8))
    assert isinstance(other, nn.Module)
    with pytest.raises(SpecError, match="BERT-like"):
        CENET.build(of(other), CENET.resolve("mosi", {}))


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("mosi", {"lr": 1e-5, "weight_decay": 1e-4, "adam_eps": 3e-8, "batch_size": 64}),
        ("mosei", {"lr": 1e-5, "weight_decay": 1e-4, "adam_eps": 1e-8, "batch_size": 64}),
        ("sims", {"lr": 2e-6, "weight_decay": 0.0, "adam_eps": 2e-8, "batch_size": 32}),
        ("simsv2", {"lr": 3e-5, "weight_decay": 0.0, "adam_eps": 3e-8, "batch_size": 64}),
    ],
)
def test_presets_are_those_of_mmsa(dataset, expected):
    params = CENET.resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
    assert (params.loss, params.optimizer, params.clip_norm) == ("l1", "adam", 2.0)
