"""MAG-BERT: sizes, the gate against numpy, its place inside the encoder, word-piece alignment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines._shared.bert import TokenEncoder, bert_groups, changed, masked_mean
from baselines.mag_bert import MAG_BERT, AdaptationGate
from harness.data.batching import Batch, Sequence, Tokens
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.system.network import Dims
from harness.text import Blueprint, Encoder

COUNTS = {"mosi": 110_705_665, "mosei": 110_834_689}


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk):
    known = datasets[dataset]
    with torch.device("meta"):
        dims = Dims(
            **known.shapes["aligned-50"],
            low=known.low,
            high=known.high,
            encoder=Blueprint.bert_base("en"),
        )
        network = MAG_BERT.build(dims, MAG_BERT.resolve(dataset, {"quirk": quirk}))
    assert sum(p.numel() for p in network.parameters()) == COUNTS[dataset]
    assert all(p.requires_grad for p in network.parameters())  # the pooler is read here


@pytest.fixture
def dims(encoder):
    encoder = Encoder("tiny", Path(encoder))
    return Dims(audio=(9, 5), vision=(7, 4), low=-3.0, high=3.0, encoder=encoder)


@pytest.fixture
def build(dims):
    def make(**changes):
        torch.manual_seed(0)
        return MAG_BERT.build(dims, MAG_BERT.resolve("mosi", changes)).eval()

    return make


def tokens_with(lengths):
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()
    return Tokens(mask * 7, mask, torch.zeros_like(mask))


def stream(frames, features, lengths):
    torch.manual_seed(features)
    values = torch.randn(len(lengths), max(lengths), features)
    count = torch.tensor(lengths)
    values[torch.arange(max(lengths)) >= count.unsqueeze(1)] = 0
    return Sequence(values, count, frames)


def batch_with(tokens, audio, vision):
    rows = torch.arange(len(tokens.ids))
    return Batch(rows=rows, labels=rows.float(), tokens=tokens, audio=audio, vision=vision)


@pytest.mark.parametrize("shift", [0.05, 1.0, 50.0])
def test_gate_shifts_embeddings_as_in_the_paper(shift):
    torch.manual_seed(0)
    gate = AdaptationGate(6, 3, 2, shift, 0.0).double()
    torch.nn.init.normal_(gate.norm.weight)
    embedded, audio, vision = (torch.randn(2, 4, size).double() for size in (6, 3, 2))
    expected = np.empty((2, 4, 6))
    for clip, piece in np.ndindex(2, 4):
        e = embedded[clip, piece].numpy()
        move = np.zeros(6)
        for name, values in (("audio", audio), ("vision", vision)):
            x = values[clip, piece].numpy()
            weight = np.maximum(affine(gate.gate[name], np.concatenate([x, e])), 0)
            move += weight * affine(gate.project[name], x)
        alpha = min(1, shift * np.linalg.norm(e) / (np.linalg.norm(move) + 1e-6))
        z = e + alpha * move
        z = (z - z.mean()) / np.sqrt(z.var() + gate.norm.eps)
        expected[clip, piece] = z * gate.norm.weight.detach().numpy()
    found = gate(embedded, audio, vision).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def affine(layer, x):
    return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()


def test_gate_without_a_move_is_a_layer_norm():
    gate = AdaptationGate(6, 3, 2, 1.0, 0.0)
    for layer in gate.project.values():
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    embedded = torch.randn(2, 4, 6, requires_grad=True)
    shifted = gate(embedded, torch.randn(2, 4, 3), torch.randn(2, 4, 2))
    assert torch.allclose(shifted, torch.nn.functional.layer_norm(embedded, (6,)), atol=1e-6)
    shifted.square().sum().backward()
    assert embedded.grad.isfinite().all()


def test_gate_sits_between_embeddings_and_first_layer(build):
    """Recomputed from the encoder's parts, on clips without padding."""
    network = build()
    tokens = tokens_with([5, 5])
    audio, vision = stream(9, 5, [5, 5]), stream(7, 4, [5, 5])  # one frame per word piece
    bert = network.encoder.network
    embedded = bert.embeddings(input_ids=tokens.ids, token_type_ids=tokens.segments)
    hidden = bert.encoder(network.gate(embedded, audio.values, vision.values))[0]
    expected = network.head(torch.tanh(bert.pooler.dense(hidden[:, 0]))).squeeze(1)
    found = network(batch_with(tokens, audio, vision)).prediction
    assert torch.allclose(found, expected, atol=1e-6)


def test_unaligned_frames_are_averaged_over_word_pieces(build):
    network = build()
    spread = network._spread(tokens_with([3, 2]), stream(9, 1, [6, 9]))
    values = stream(9, 1, [6, 9]).values[:, :, 0]
    first = [values[0, :2].mean(), values[0, 2:4].mean(), values[0, 4:6].mean()]
    second = [values[1, :5].mean(), values[1, 4:].mean()]
    assert spread.shape == (2, 3, 1)
    assert torch.allclose(spread[0, :, 0], torch.stack(first))
    assert torch.allclose(spread[1, :2, 0], torch.stack(second))


def test_as_released_padded_frames_are_averaged(build):
    network = build(quirk="published", max_tokens=4)
    audio = stream(8, 1, [5, 3])
    spread = network._spread(tokens_with([3, 2]), audio)
    padded = torch.nn.functional.pad(audio.values[:, :, 0], (0, 3))
    expected = padded.unflatten(1, (4, 2)).mean(2)[:, :3]
    assert torch.allclose(spread[:, :, 0], expected)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_aligned_frames_stay_with_their_word_pieces(build, quirk):
    network = build(quirk=quirk, max_tokens=6)
    audio = stream(6, 2, [4, 3])
    assert torch.allclose(network._spread(tokens_with([4, 3]), audio), audio.values)


def test_drawn_as_berts_own_layers(build):
    network = build()
    for layer in (*network.gate.gate.values(), *network.gate.project.values(), network.head):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)
        assert not layer.bias.any()


# The encoder block, which other systems share.


def test_encoder_is_the_pretrained_one(dims):
    tokens = tokens_with([4, 2])
    encoder = TokenEncoder(dims).eval()
    plain = dims.encoder.load()(input_ids=tokens.ids, attention_mask=tokens.mask)
    assert encoder.size == dims.encoder.hidden_size
    assert torch.allclose(encoder(tokens), plain.last_hidden_state)
    assert torch.allclose(encoder.first(tokens), plain.last_hidden_state[:, 0])
    assert torch.allclose(encoder.pooled(tokens), plain.pooler_output)


@pytest.mark.parametrize("pooler", [True, False])
def test_only_a_pooler_that_is_read_is_trained(dims, pooler):
    encoder = TokenEncoder(dims, pooler=pooler)
    for name, values in encoder.named_parameters():
        assert values.requires_grad == (pooler or "pooler" not in name)


def test_an_encoder_is_needed():
    with pytest.raises(SpecError, match="text encoder"):
        TokenEncoder(Dims(low=-1.0, high=1.0))


def test_a_change_inside_the_encoder_ends_with_its_call(dims):
    encoder, tokens = TokenEncoder(dims).eval(), tokens_with([4, 2])
    before = encoder(tokens)
    assert not torch.allclose(encoder(tokens, embedded=lambda hidden: hidden * 2), before)
    assert torch.equal(encoder(tokens), before)

    def fail(hidden):
        raise ValueError(hidden.shape)

    with pytest.raises(ValueError, match="4"):
        encoder(tokens, embedded=fail)
    assert torch.equal(encoder(tokens), before)


def test_a_change_may_sit_between_any_two_layers(dims):
    encoder, tokens = TokenEncoder(dims).eval(), tokens_with([4, 4])
    bert = encoder.network
    with changed(bert.encoder.layer[0], lambda hidden: hidden + 1):
        found = encoder(tokens)
    hidden = bert.encoder.layer[0](bert.embeddings(input_ids=tokens.ids)) + 1
    assert torch.allclose(found, bert.encoder.layer[1](hidden), atol=1e-6)


def test_masked_mean_ignores_padding():
    hidden = torch.randn(2, 5, 3)
    tokens = tokens_with([5, 2])
    expected = torch.stack([hidden[0].mean(0), hidden[1, :2].mean(0)])
    assert torch.allclose(masked_mean(hidden, tokens), expected)


def test_biases_and_normalisations_are_not_decayed(dims):
    encoder = TokenEncoder(dims)
    names = {id(p): name for name, p in encoder.named_parameters()}
    decayed, kept = bert_groups(encoder, 1e-5, 0.01)
    assert (decayed["lr"], decayed["weight_decay"]) == (1e-5, 0.01)
    assert (kept["lr"], kept["weight_decay"]) == (1e-5, 0.0)
    assert all(p.dim() == 2 for p in decayed["params"])
    assert all(p.dim() == 1 for p in kept["params"])
    given = {names[id(p)] for p in (*decayed["params"], *kept["params"])}
    assert given == {name for name in names.values() if "pooler" not in name}
