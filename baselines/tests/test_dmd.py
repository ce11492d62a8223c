"""DMD: sizes, who teaches whom, the losses that take streams apart, when gradients are clipped."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from baselines._shared.contrast import masked_mse, orthogonality, triplet_loss
from baselines._shared.windows import STREAMS
from baselines.dmd import (
    DMD,
    PAIRS,
    SHARED_PRIOR,
    SPECIFIC_PRIOR,
    DistillationKernel,
    across_clips,
)
from baselines.tests.clips import a_batch, build, parameters
from harness.data.batching import Tokens
from harness.training import OptimiserPass, total_loss

COUNTS = {
    ("mosi", "aligned-50"): (114_232_972, 345_150),
    ("mosei", "aligned-50"): (111_279_532, 129_690),
    ("mosi", "unaligned-50"): (122_060_472, 2_282_650),
}
BIASES = 2 * 64 + 1 + 2 * 32 + 1
STILL = {
    **{"text_dropout": 0.0, "attention_dropout": 0.0, "audio_attention_dropout": 0.0},
    **{"embed_dropout": 0.0, "output_dropout": 0.0},
}
SCALED = {  # loss -> which weights it has
    **{"rebuilt": ("auxiliary",), "specific": ("auxiliary",)},
    **{"orthogonal": ("auxiliary", "similarity"), "margin": ("auxiliary", "similarity")},
    **{f"shared_{name}": ("distillation",) for name in ("logit", "regularisation")},
    **{f"specific_{name}": ("distillation",) for name in ("logit", "regularisation")},
}
TASKS = {"common_task", *(f"{half}_{m}_task" for half in ("shared", "specific") for m in STREAMS)}


@pytest.mark.parametrize("cell", COUNTS)
def test_network_has_the_published_size_and_the_repaired_one_less(cell):
    (dataset, features), (count, idle) = cell, COUNTS[cell]
    assert parameters(DMD, dataset, features=features, quirk="published") == count
    assert parameters(DMD, dataset, features=features) == count - idle - BIASES


@pytest.fixture
def make(encoder, small):
    def built(**changes):
        network = build(DMD, encoder, small, **{**STILL, **changes})
        for module in network.streams.bert.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return network

    return built


@pytest.mark.parametrize(
    ("prior", "expected"), [(SHARED_PRIOR, (0.48233, 0.00883)), (SPECIFIC_PRIOR, (0.32734, 0.006))]
)
def test_the_prior_is_that_of_the_release(prior, expected):
    found = DistillationKernel(3, 2, prior, published=True).prior
    assert found.tolist() == pytest.approx([expected[1 - p] for p in prior], abs=6e-6)


@pytest.mark.parametrize("published", [True, False])
def test_kernel_is_the_sum_over_ordered_pairs(published):
    """Every edge and every loss by loops over pairs and clips."""
    torch.manual_seed(0)
    clips, size, half = 4, 5, 3
    kernel = DistillationKernel(size, half, SPECIFIC_PRIOR, published=published).double()
    y, rho = torch.randn(3, clips).double(), torch.randn(3, clips, size).double()
    edges = kernel.edges(y, rho)
    found = kernel.losses(y, rho, edges)
    w = {name: p.detach().numpy() for name, p in kernel.named_parameters()}

    def end(m, b):
        own = w["predictions.weight"][:, 0] * y[m, b].item()
        said = w["representations.weight"] @ rho[m, b].numpy()
        if published:
            own, said = own + w["predictions.bias"], said + w["representations.bias"]
        return np.concatenate([own, said])

    scores = np.array(
        [
            [
                w["score.weight"][0] @ np.concatenate([end(j, b), end(i, b)]) / 8
                for b in range(clips)
            ]
            for j, i in PAIRS
        ]
    )
    e = np.exp(scores) / np.exp(scores).sum(0)
    assert edges.detach().numpy() == pytest.approx(e, abs=1e-6)
    preferred = np.exp(4.0 * np.array(SPECIFIC_PRIOR))
    p = preferred / preferred.sum()
    logit = apart = alike = regular = 0.0
    for k, (j, i) in enumerate(PAIRS):
        weight = e[k] + p[k]
        norms = np.linalg.norm(rho[j].numpy(), axis=1) * np.linalg.norm(rho[i].numpy(), axis=1)
        cosine = (rho[j] * rho[i]).sum(1).numpy() / norms
        logit += np.mean(np.abs((y[j] - y[i]).numpy()) * weight)
        regular += 10 * (e[k].mean() - p[k]) ** 2
        apart += 10 * np.maximum(0, cosine).mean() * weight.mean()
        alike += 10 * np.mean((1 - cosine) * weight)
    expected = {"logit": logit, "regularisation": regular, "apart": apart, "alike": alike}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        expected, abs=1e-5
    )


def test_teachers_are_constants_and_biases_have_no_effect():
    torch.manual_seed(0)
    kernel = DistillationKernel(5, 3, SHARED_PRIOR, published=True)
    y, rho = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, 5, requires_grad=True)
    edges = torch.full((6, 4), 1 / 6)
    kernel.losses(y, rho, edges)["logit"].backward()
    sign = sum(
        (1 / 6 + kernel.prior[k]) * torch.sign(y[j] - y[i]) / 4
        for k, (j, i) in enumerate(PAIRS)
        if j == 1
    )
    assert torch.allclose(y.grad[1], sign, atol=1e-6)
    before = kernel.edges(y, rho)
    for name, p in kernel.named_parameters():
        if name.endswith("bias"):
            p.data += 3.0
    assert torch.allclose(kernel.edges(y, rho), before, atol=1e-5)


def test_published_halves_are_compared_over_the_clips():
    """PyTorch's own loss for rows that are one step and feature of all clips."""
    own, shared = torch.randn(2, 5, 3, 4)
    rows = [part.permute(1, 2, 0).reshape(-1, 5) for part in (own, shared)]
    expected = nn.CosineEmbeddingLoss()(*rows, -torch.ones(12))
    assert torch.allclose(across_clips(own, shared), expected, atol=1e-6)


@pytest.mark.parametrize(("quirk", "drawn"), [("fixed", "alike"), ("published", "apart")])
def test_every_loss_has_its_weights(make, quirk, drawn):
    batch, scaled = a_batch(), {**SCALED, f"specific_{drawn}": ("distillation",)}
    network = make(quirk=quirk).train()
    plain = network(batch).losses
    assert plain.keys() == scaled.keys() | TASKS
    for weight in ("auxiliary", "similarity", "distillation"):
        other = make(quirk=quirk, **{f"{weight}_weight": 0.7}).train()
        other.load_state_dict(network.state_dict())
        factor = 0.7 / getattr(network.params, f"{weight}_weight")
        for name, value in other(batch).losses.items():
            expected = factor if weight in scaled.get(name, ()) else 1.0
            assert torch.allclose(value, expected * plain[name], rtol=1e-4), (name, weight)


def test_losses_of_training_do_not_depend_on_padding(make):
    network, batch = make().train(), a_batch()
    longer = {
        name: dataclasses.replace(stream, values=stream.untrimmed())
        for name, stream in (("audio", batch.audio), ("vision", batch.vision))
    }
    tokens = Tokens(
        *(
            nn.functional.pad(part, (0, 4))
            for part in (batch.tokens.ids, batch.tokens.mask, batch.tokens.segments)
        )
    )
    plain, padded = network(batch), network(dataclasses.replace(batch, tokens=tokens, **longer))
    for name, value in plain.losses.items():
        assert torch.allclose(value, padded.losses[name], atol=1e-5), name


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_only_as_released_are_partial_sums_of_gradients_clipped(make, quirk):
    limit = 1e-3
    network = make(quirk=quirk, clip_value=limit).train()
    batches = [a_batch(), a_batch((5, 3, 7))]
    sweep = OptimiserPass(
        network,
        network.stages(network.params)[0].passes[0],
        network.stages(network.params)[0],
        network.params,
        batches=2,
        epochs=1,
    )
    expected = torch.zeros_like(network.head.output.weight)
    for batch in batches:
        loss = total_loss(network(batch), batch, network.params)
        (gradient,) = torch.autograd.grad(loss, network.head.output.weight)
        expected += gradient if quirk == "published" else gradient / 2
        if quirk == "published":
            expected.clamp_(-limit, limit)
    network.zero_grad()
    for batch in batches:
        sweep.backward(batch, 6)
    assert torch.allclose(network.head.output.weight.grad, expected, atol=1e-6)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_prediction_and_total_loss_are_those_of_the_formulas(make, quirk):
    """All that is built on encoders and matrices, stream by stream."""
    network, batch = make(quirk=quirk).train(), a_batch()
    n, y = network, batch.labels
    p = n.streams(n.streams.read(batch))
    s = {m: p[m].with_values(p[m].values @ n.specific[m].weight.T) for m in STREAMS}
    c = {m: p[m].with_values(p[m].values @ n.shared.weight.T) for m in STREAMS}
    common = torch.cat([c[m].encoded(n.common[m]).last() for m in STREAMS], dim=1)
    read = {}
    for m, (first, second) in {
        **{"text": ("audio", "vision"), "audio": ("text", "vision")},
        "vision": ("text", "audio"),
    }.items():
        seen = [s[m].encoded(n.readers[f"{m}_reads_{k}"], s[k]).values for k in (first, second)]
        read[m] = s[m].with_values(torch.cat(seen, dim=2)).encoded(n.memories[m]).last()
    gates = [torch.sigmoid(n.gates[m](read[m])) for m in STREAMS]
    prediction = n.head(torch.cat([*gates, torch.sigmoid(n.common_gate(common))], dim=1))[1]
    flat = {m: c[m].flat(n.streams.counts[m]) for m in STREAMS}
    told = [n.common_head(common)[1]]
    halves = {"shared": ([], []), "specific": ([], [])}
    for m in STREAMS:
        head = n.shared_heads[m]
        rho = (flat[m] @ head.shrink.weight.T + head.shrink.bias).relu()
        hidden = flat[m] + rho @ head.grow.weight.T + head.grow.bias
        high, own = n.specific_heads[m](read[m])
        for half, one, value in (
            ("shared", rho, (hidden @ head.output.weight.T + head.output.bias)[:, 0]),
            ("specific", high, own),
        ):
            halves[half][0].append(value)
            halves[half][1].append(one)
            told.append(value)
    expected = sum((value - y).abs().mean() for value in (prediction, *told))
    for half, kernel in (("shared", n.shared_kernel), ("specific", n.specific_kernel)):
        values, rho = (torch.stack(parts) for parts in halves[half])
        lost = kernel.losses(values, rho, kernel.edges(values, rho))
        drawn = lost["alike" if quirk == "fixed" else "apart"] if half == "specific" else 0.0
        expected = expected + 0.05 * (lost["logit"] + lost["regularisation"] + drawn)
    apart, parts = 0.0, []
    for m in STREAMS:
        mask = p[m].mask
        rebuilt = torch.cat([s[m].values, c[m].values], dim=2) @ n.decode[m].weight.T
        expected = expected + 0.1 * (
            masked_mse(s[m].values, rebuilt @ n.specific[m].weight.T, mask)
            + masked_mse(rebuilt, p[m].values, mask)
        )
        split = s[m].values, c[m].values
        apart += orthogonality(*split, mask) if quirk == "fixed" else across_clips(*split)
        parts.append(n.align[m](flat[m]))
    expected = expected + 0.01 * (apart + triplet_loss(torch.cat(parts), y.repeat(3)))
    output = network(batch)
    assert torch.allclose(output.prediction, prediction, atol=1e-5)
    assert torch.allclose(total_loss(output, batch, n.params), expected, atol=1e-4)
