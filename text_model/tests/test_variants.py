"""The replacements of the temporal block: their equations, their masks, their parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import MambaConfig
from transformers.models.mamba import modeling_mamba

from harness.errors import SpecError
from text_model.variants import (
    Concatenation,
    MambaLayer,
    MambaMixer,
    MambaTemporal,
    TemporalCrossAttention,
    decay_groups,
)

SIZE, HEADS, HEAD_SIZE = 32, 2, 4
VARIANTS = {
    "mamba": lambda: MambaTemporal(SIZE),
    "cross_attention": lambda: TemporalCrossAttention(SIZE, heads=HEADS, head_size=HEAD_SIZE),
    "none": Concatenation,
}
LENGTHS = {"audio": (7, 1, 4), "vision": (5, 2, 5)}
STEPS = {"audio": 7, "vision": 5}
every_variant = pytest.mark.parametrize("name", VARIANTS)
with_weights = pytest.mark.parametrize("name", ["mamba", "cross_attention"])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def streams(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(3, steps, SIZE, generator=generator, dtype=torch.float64)
        for steps in STEPS.values()
    ]


def masks():
    return [torch.arange(STEPS[n]) < torch.tensor(LENGTHS[n]).unsqueeze(1) for n in STEPS]


def block_of(name):
    return VARIANTS[name]().double()


@every_variant
def test_both_streams_come_back_one_after_the_other(name) -> None:
    audio, vision = streams()
    assert block_of(name)(audio, vision).shape == (3, 7 + 5, SIZE)


@every_variant
def test_no_mask_means_that_every_step_counts(name) -> None:
    block, (audio, vision) = block_of(name), streams()
    whole = [torch.ones(stream.shape[:2], dtype=torch.bool) for stream in (audio, vision)]
    torch.testing.assert_close(block(audio, vision), block(audio, vision, *whole))


@every_variant
@pytest.mark.parametrize("holes", [False, True], ids=["at the end", "anywhere"])
def test_padded_steps_do_not_touch_true_ones(name, holes) -> None:
    block, true = block_of(name), masks()
    if holes:
        true = [mask & (torch.rand(mask.shape) < 0.7) for mask in true]
        true[0][:, 0] = true[1][:, 0] = True
    inputs = streams()
    garbage = [
        torch.where(mask.unsqueeze(2), stream, 1e3 * other)
        for stream, other, mask in zip(inputs, streams(seed=1), true, strict=True)
    ]
    counted = torch.cat(true, dim=1)
    torch.testing.assert_close(
        block(*garbage, *true)[counted], block(*inputs, *true)[counted], rtol=1e-9, atol=1e-9
    )


def test_the_state_of_mamba_skips_masked_steps() -> None:
    """With a convolution that sees its own step only, they might as well not be there."""
    mixer, (audio, _) = MambaMixer(SIZE, kernel=1).double(), streams()
    there = torch.tensor([1, 0, 0, 1, 1, 0, 1], dtype=torch.bool)
    mixed = mixer(audio, there.expand(3, -1))
    torch.testing.assert_close(mixed[:, there], mixer(audio[:, there]))
    assert not mixed[:, ~there].any()


@every_variant
def test_a_clip_gets_the_same_alone_as_among_longer_ones(name) -> None:
    block, (audio, vision), true = block_of(name), streams(), masks()
    together = block(audio, vision, *true)
    for clip in range(3):
        heard, seen = LENGTHS["audio"][clip], LENGTHS["vision"][clip]
        alone = block(audio[clip : clip + 1, :heard], vision[clip : clip + 1, :seen])[0]
        expected = torch.cat([together[clip, :heard], together[clip, 7 : 7 + seen]])
        torch.testing.assert_close(alone, expected, rtol=1e-9, atol=1e-9)


@every_variant
def test_a_stream_without_any_step_leaves_finite_values_and_gradients(name) -> None:
    block, (audio, vision), (heard, _) = block_of(name), streams(), masks()
    nothing = torch.zeros(vision.shape[:2], dtype=torch.bool)
    audio.requires_grad_()
    mixed = block(audio, vision, heard, nothing)[:, :7]
    mixed.sum().backward()
    slopes = [p.grad for p in block.parameters() if p.grad is not None]
    assert all(part.isfinite().all() for part in (mixed, audio.grad, *slopes))


@with_weights
def test_every_parameter_gets_a_gradient(name) -> None:
    block = block_of(name)
    block(*streams(), *masks()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())


def test_mamba_looks_back_only_and_at_its_own_stream_only() -> None:
    block, (audio, vision) = block_of("mamba"), streams()
    later, elsewhere = audio.clone(), vision + 1.0
    later[:, 4:] += 1.0
    before, after = block(audio, vision), block(later, elsewhere)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).any()


def test_cross_attention_is_where_audio_and_vision_meet() -> None:
    block, (audio, vision) = block_of("cross_attention"), streams()
    before, after = block(audio, vision), block(audio, vision.flip(1))
    torch.testing.assert_close(before[:, :7], after[:, :7])  # a set of values, in any order
    assert not torch.isclose(before[:, :7], block(audio, vision**2)[:, :7]).all(dim=2).any()


def test_cross_attention_computes_its_equation() -> None:
    """A + W_o softmax(Q Kᵀ / √K) V + b_o, head by head, in NumPy."""
    block, (audio, vision) = block_of("cross_attention"), streams()
    weights = {n: p.detach().numpy() for n, p in block.audio.named_parameters()}

    def normed(x, which):
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return scaled * weights[f"norm_{which}.weight"] + weights[f"norm_{which}.bias"]

    a, v = audio[0].numpy(), vision[0].numpy()
    query, key, value = (
        (normed(x, which) @ weights[f"to_{which}.weight"].T).reshape(len(x), HEADS, -1)
        for x, which in ((a, "q"), (v, "k"), (v, "v"))
    )
    heads = []
    for head in range(HEADS):
        scores = np.exp(query[:, head] @ key[:, head].T / math.sqrt(HEAD_SIZE))
        heads.append(scores / scores.sum(1, keepdims=True) @ value[:, head])
    expected = a + np.concatenate(heads, axis=1) @ weights["out.weight"].T + weights["out.bias"]
    np.testing.assert_allclose(block(audio, vision)[0, :7].detach(), expected)


def test_nothing_is_concatenation() -> None:
    audio, vision = streams()
    assert torch.equal(Concatenation()(audio, vision, *masks()), torch.cat([audio, vision], 1))
    assert not list(Concatenation().parameters())


def test_the_mixer_is_that_of_transformers() -> None:
    """Same names, shapes and values as an implementation that is not ours."""
    config = MambaConfig(hidden_size=32, state_size=6, expand=3, conv_kernel=3, num_hidden_layers=1)
    theirs = modeling_mamba.MambaMixer(config, layer_idx=0).eval()
    ours = MambaMixer(32, expand=3, states=6, kernel=3)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    inputs = torch.randn(2, 11, 32)
    torch.testing.assert_close(ours(inputs), theirs(inputs), rtol=1e-4, atol=1e-6)


def test_a_layer_normalises_mixes_and_adds() -> None:
    layer, (audio, _) = MambaLayer(SIZE).double(), streams()
    nn.init.normal_(layer.norm.weight)
    normed = audio / (audio.square().mean(2, keepdim=True) + 1e-5).sqrt() * layer.norm.weight
    torch.testing.assert_close(layer(audio), audio + layer.mixer(normed))


def test_initial_values_are_those_of_mamba() -> None:
    mixer = MambaMixer(512, states=4)
    torch.testing.assert_close(-mixer.A_log.exp(), -torch.arange(1.0, 5.0).expand(1024, 4))
    assert torch.equal(mixer.D, torch.ones(1024))
    assert mixer.dt_proj.weight.abs().max() <= 32**-0.5  # the rank is 512 / 16
    size = nn.functional.softplus(mixer.dt_proj.bias).detach().log10()
    assert -3.001 < size.min() < -2.95 and -1.05 < size.max() < -0.999
    assert float(size.mean()) == pytest.approx(-2.0, abs=0.08)  # log-uniform


@pytest.mark.parametrize(
    ("variant", "count"), [(MambaTemporal, 233_216), (TemporalCrossAttention, 526_080)]
)
def test_parameter_counts_at_the_size_of_text(variant, count) -> None:
    assert sum(p.numel() for p in variant(128).parameters()) == count


def test_rates_and_skips_are_not_decayed() -> None:
    network = nn.Sequential(nn.Linear(3, 32), MambaTemporal(32))
    network[0].bias.requires_grad_(False)
    decayed, kept = decay_groups(network)
    names = {id(p): n.rpartition(".")[2] for n, p in network.named_parameters()}
    assert sorted(names[id(p)] for p in kept["params"]) == ["A_log", "A_log", "D", "D"]
    assert kept["weight_decay"] == 0.0
    assert "weight_decay" not in decayed
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    both = [id(p) for group in (decayed, kept) for p in group["params"]]
    assert len(both) == len(trained) and set(both) == trained


def test_a_network_without_mamba_has_one_group() -> None:
    (group,) = decay_groups(nn.Linear(2, 2))
    assert len(group["params"]) == 2


def test_the_kernel_is_not_replaced_where_it_cannot_run() -> None:
    with pytest.raises(SpecError, match="needs a CUDA device"):
        MambaTemporal(SIZE, scan="mamba_ssm")(*(s.float() for s in streams()))
