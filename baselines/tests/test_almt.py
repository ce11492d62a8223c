"""ALMT: sizes, its Transformers against explicit formulas, what padding does, its schedule."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from baselines.almt.blocks import (
    Block,
    CrossTransformer,
    HyperFusion,
    HyperLayer,
    StreamTokens,
    TokenTransformer,
)
from baselines.almt.system import ALMT
from baselines.tests.clips import a_batch, build, parameters
from harness.system.params import TrainingProgress

COUNTS = {"mosi": 112_085_889, "mosei": 112_705_281, "sims": 105_500_545}
SIZE, HEADS = 6, 2


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk):
    assert parameters(ALMT, dataset, quirk=quirk) == COUNTS[dataset]


def shaken(module):
    """The module with norms and biases off their initial ones and zeros."""
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return module


def attention(query, keys, values, heads, mask=None):
    """Head by head and clip by clip."""
    size = query.shape[2] // heads
    clips = []
    for clip in range(len(query)):
        parts = []
        for head in range(heads):
            place = slice(head * size, (head + 1) * size)
            q, k, v = (each[clip, :, place] for each in (query, keys, values))
            scores = q @ k.T / math.sqrt(size)
            if mask is not None:
                scores[:, ~mask[clip]] = -math.inf
            parts.append(torch.softmax(scores, dim=1) @ v)
        clips.append(torch.cat(parts, dim=1))
    return torch.stack(clips)


def expected_block(block, steps, source=None, mask=None):
    source = steps if source is None else source
    normed = (n(x) for n, x in zip(block.attention.norms, (steps, source, source), strict=True))
    q, k, v = (x @ m.weight.T for m, x in zip(block.attention.maps, normed, strict=True))
    out = block.attention.output
    steps = steps + attention(q, k, v, HEADS, mask) @ out.weight.T + out.bias
    norm, first, _, second = block.feed
    return steps + second(nn.functional.gelu(first(norm(steps))))


@pytest.mark.parametrize("reads_another", [False, True])
def test_block_is_pre_norm_attention_and_feed_forward(reads_another):
    block = shaken(Block(SIZE, HEADS, 5, 7))
    steps, source = torch.randn(2, 3, SIZE), torch.randn(2, 4, SIZE) if reads_another else None
    mask = torch.tensor([[True, True, False, True], [True] * 4])[:, : 4 if reads_another else 3]
    found = block(steps, source, mask)
    assert torch.allclose(found, expected_block(block, steps, source, mask), atol=1e-5)


def test_token_transformer_puts_its_tokens_first_and_lists_its_states():
    encode = shaken(TokenTransformer(5, [Block(SIZE, HEADS, 5, 7)] * 2, SIZE, tokens=2))
    steps = torch.randn(3, 4, SIZE)
    embedded = torch.cat([encode.tokens.expand(3, 2, SIZE), steps], dim=1) + encode.positions[:6]
    states = encode.states(steps)
    assert len(states) == 3
    assert torch.equal(states[0], embedded)
    for before, after, block in zip(states, states[1:], encode.blocks, strict=False):
        assert torch.allclose(after, expected_block(block, before), atol=1e-5)


def test_hyper_layer_adds_what_language_finds_to_the_normed_hyper_modality():
    layer = shaken(HyperLayer(SIZE, HEADS))
    parts = [torch.randn(2, count, SIZE) for count in (4, 4, 4, 4)]
    language, audio, vision, hyper = (n(p) for n, p in zip(layer.norms, parts, strict=True))
    query = layer.query(language)
    found = sum(
        attention(query, key(source), value(source), HEADS)
        for (key, value), source in ((layer.audio, audio), (layer.vision, vision))
    )
    assert torch.allclose(layer(*parts), hyper + layer.output(found), atol=1e-5)


@pytest.fixture
def params(small):
    return ALMT.resolve("mosi", small(ALMT, hidden=SIZE, heads=HEADS, fusion_layers=2))


def test_cross_transformer_lets_language_read_the_hyper_modality(params):
    cross = shaken(CrossTransformer(params))
    source, target = torch.randn(2, 2, params.token_count, SIZE)
    token = cross.token.expand(2, 1, SIZE)
    state = torch.cat([token, target], dim=1) + cross.target_positions
    read = torch.cat([token, source], dim=1) + cross.source_positions
    for block in cross.blocks:
        state = expected_block(block, state, read)
    assert torch.allclose(cross(source, target), state, atol=1e-5)


def test_each_state_of_language_guides_one_layer(params):
    fusion = shaken(HyperFusion(params))
    language, audio, vision = torch.randn(3, 2, params.token_count, SIZE)
    states = fusion.language.states(language)
    assert len(states) == params.scales == len(fusion.layers) == 3
    hyper = fusion.hyper.expand(2, -1, -1)
    for layer, state in zip(fusion.layers, states, strict=True):
        hyper = layer(state, audio, vision, hyper)
    expected = fusion.cross(hyper, states[-1])
    assert torch.allclose(fusion(language, audio, vision), expected, atol=1e-6)


def test_masked_steps_are_not_read(params):
    condense, steps = StreamTokens(params, 5, 3), torch.randn(2, 5, 3)
    mask = torch.arange(5) < torch.tensor([[3], [5]])
    other = torch.where(mask.unsqueeze(2), steps, 9.0)
    assert torch.allclose(condense(steps, mask), condense(other, mask), atol=1e-6)
    assert condense(steps, mask).shape == (2, params.token_count, SIZE)
    assert not torch.allclose(condense(steps, None), condense(other, None), atol=1e-3)


@pytest.mark.parametrize(("quirk", "reads_padding"), [("fixed", False), ("published", True)])
def test_padding_of_the_corpus_counts_only_as_published(encoder, small, quirk, reads_padding):
    network, batch = build(ALMT, encoder, small, quirk=quirk).eval(), a_batch(audio=(5, 4, 2))
    shorter = dataclasses.replace(batch, audio=dataclasses.replace(batch.audio, frames=5))
    gap = (network(batch).prediction - network(shorter).prediction).abs().max()
    assert (gap > 1e-5) == reads_padding


def test_published_schedule_is_the_released_one():
    """Warm-up by epoch from zero, one epoch at the full rate, then torch's own cosine."""
    epochs, warm = 30, 3
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs - warm)
    expected = [epoch / warm for epoch in range(warm + 1)]
    while len(expected) < epochs:
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    params = ALMT.resolve("mosi", {"quirk": "published"})
    found = [
        params.lr_factor(
            TrainingProgress(step=9 * epoch, steps=9 * epochs, epoch=epoch, epochs=epochs)
        )
        for epoch in range(1, epochs + 1)
    ]
    assert found == pytest.approx(expected, abs=1e-6)


def test_fixed_schedule_moves_with_every_step():
    params = ALMT.resolve("mosi", {})
    factors = [
        params.lr_factor(TrainingProgress(step=step, steps=100, epoch=1, epochs=1))
        for step in range(100)
    ]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[10] == 1.0 and factors[-1] < 1e-3


@pytest.mark.parametrize(
    ("dataset", "layers", "words"), [("mosi", 2, 50), ("mosei", 4, 50), ("sims", 4, 39)]
)
def test_presets_are_the_authors(dataset, layers, words):
    params = ALMT.resolve(dataset, {})
    assert (params.fusion_layers, params.max_tokens) == (layers, words)
    assert (params.loss, params.optimizer, params.schedule) == ("mse", "adamw", "cosine")
    assert (params.lr, params.weight_decay, params.batch_size) == (1e-4, 1e-4, 64)
    assert (params.epochs, params.warmup, params.clip_norm) == (200, 0.1, 0.0)
