"""MMIM: sizes, bounds of mutual information against other formulations, its two passes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from baselines.mmim import MMIM, Contrast, Likelihood, half_log_volume
from harness.data.datasets import datasets
from harness.spec.protocols import protocols
from harness.system import Task
from harness.system.network import Dims
from harness.text import Blueprint, Encoder
from harness.training import batches_of, fit_network, total_loss, untrained

COUNTS = {"mosi": 109_763_913, "mosei": 109_774_665, "sims": 102_641_097}
FEATURES = {"sims": "unaligned-39"}


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    blueprint = Blueprint.bert_base(known.language)
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high, encoder=blueprint)
        network = MMIM.build(dims, MMIM.resolve(dataset, {"quirk": quirk}))
    assert sum(p.numel() for p in network.parameters()) == COUNTS[dataset]


@pytest.mark.parametrize("complete", [True, False])
def test_likelihood_is_a_gaussian_log_density(complete):
    """Less the constant; as released, less the normaliser too."""
    torch.manual_seed(0)
    estimator = Likelihood(6, 4, complete=complete).double()
    given, value = torch.randn(5, 6).double(), torch.randn(5, 4).double()
    mean, log_variance = (part(given).detach().numpy() for part in estimator_parts(estimator))
    density = norm.logpdf(value.numpy(), mean, np.exp(log_variance / 2))
    density += math.log(2 * math.pi) / 2
    if not complete:
        density += log_variance / 2
    assert estimator(given, value).item() == pytest.approx(density.sum(1).mean(), rel=1e-9)


def estimator_parts(estimator):
    return estimator.mean, estimator.log_variance


def test_contrast_is_the_cross_entropy_of_finding_ones_own_vector():
    torch.manual_seed(0)
    contrast = Contrast(3, 5).double()
    vector, fused = torch.randn(4, 3).double(), torch.randn(4, 5).double()
    guess = contrast.guess(fused).detach().numpy()
    own = vector.numpy()
    cosines = (own / np.linalg.norm(own, axis=1, keepdims=True)) @ (
        guess / np.linalg.norm(guess, axis=1, keepdims=True)
    ).T
    expected = np.mean([logsumexp(cosines[i]) - cosines[i, i] for i in range(4)])
    assert contrast(vector, fused).item() == pytest.approx(expected, rel=1e-9)


def test_half_log_volume_is_a_gaussians_entropy_less_its_constant():
    points = np.random.default_rng(0).normal(size=(12, 3)) @ [[2, 0, 1], [0, 1, 0], [0, 0, 0.1]]
    entropy = multivariate_normal(cov=np.cov(points.T, ddof=0)).entropy()
    constant = 3 / 2 * math.log(2 * math.pi * math.e)
    found = half_log_volume(torch.from_numpy(points))
    assert found.item() == pytest.approx(entropy - constant, rel=1e-9)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_points_have_no_volume(count):
    assert half_log_volume(torch.randn(count, 3)).item() == 0


def test_a_ridge_keeps_flat_points_finite():
    flat = torch.randn(9, 2).repeat(1, 2).requires_grad_()  # rank 2 in four dimensions
    half_log_volume(flat, ridge=1e-6).backward()
    assert flat.grad.isfinite().all()


@pytest.fixture
def task(trimodal, encoder, tmp_path):
    return Task(
        train=trimodal.split("train"),
        valid=trimodal.split("valid"),
        watched=None,
        protocol=dataclasses.replace(protocols["in_domain"], max_epochs=2),
        seed=1,
        device=torch.device("cpu"),
        encoder=Encoder("tiny", Path(encoder)),
        cache=tmp_path,
    )


@pytest.fixture
def ready(task, small):
    """A network in training, its parameters and its clips."""

    def make(dataset="mosi", **changes):
        params = MMIM.resolve(dataset, small(MMIM, fusion_dropout=0.0, **changes))
        source = batches_of(MMIM, task.train, task, params)
        network = untrained(MMIM, task, params)
        network.begin(source, params)
        network.begin_epoch(1)
        network.train()
        network.encoder.eval()  # no dropout: forwards can be repeated
        return network, params, source

    return make


def step(network, batch):
    output = network(batch)
    with torch.no_grad():
        network.after_step(batch, output)
    return output


def test_total_loss_is_the_papers(ready):
    """L1 + alpha Σ nce - beta Σ lld - beta Σ H, H a quarter of the log volumes of both signs."""
    network, params, source = ready(contrast_weight=0.3, information_weight=0.2)
    rows = torch.arange(len(source)).split(12)
    before, batch = (source.gather(part) for part in rows)
    step(network, before)
    vectors = network._read(batch)
    joined = torch.cat([vectors[name] for name in ("text", "audio", "vision")], dim=1)
    first, second = (m for m in network.fusion.fuse if isinstance(m, torch.nn.Linear))
    fused = torch.tanh(second(torch.tanh(first(joined))))
    prediction = network.fusion.answer(fused)[:, 0]
    expected = (prediction - batch.labels).abs().mean()
    for name, vector in vectors.items():
        expected = expected + 0.3 * network.contrasts[name](vector, fused)
    for name, estimator in network.estimators.items():
        expected = expected - 0.2 * estimator(vectors["text"], vectors[name])
        old, new = (estimator.sketch(x[name]) for x in (network._read(before), vectors))
        points = torch.cat([old, new]).detach().numpy()
        signs = np.sign(torch.cat([before.labels, batch.labels]).numpy())
        for sign in (1, -1):
            chosen = points[signs == sign].astype(np.float64)
            covariance = np.cov(chosen.T, ddof=0) + 1e-6 * np.eye(chosen.shape[1])
            expected = expected - 0.2 * 0.25 * np.linalg.slogdet(covariance)[1]
    loss = total_loss(network(batch), batch, params)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(("quirk", "silent"), [("fixed", 1), ("published", 2)])
def test_entropies_wait_for_the_memory_of_each_epoch(ready, quirk, silent):
    network, _, source = ready(quirk=quirk)
    batch = source.gather(torch.arange(len(source)))
    for epoch in (1, 2):
        network.begin_epoch(epoch)
        present = ["entropy" in step(network, batch).losses for _ in range(4)]
        assert present == [False] * silent + [True] * (4 - silent)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_batches_of_one_sign_have_finite_losses_and_gradients(ready, quirk, sign):
    network, params, source = ready(quirk=quirk)
    batch = source.gather(torch.arange(len(source)))
    batch = dataclasses.replace(batch, labels=batch.labels.abs() * sign)
    for _ in range(3):
        output = step(network, batch)
    assert "entropy" in output.losses
    total_loss(output, batch, params).backward()
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


def test_the_memory_is_not_differentiated(ready):
    network, _, source = ready()
    first, second = (source.gather(rows) for rows in torch.arange(24).split(12))
    step(network, first)
    network(second).losses["entropy"].backward()
    again = torch.cat([p.grad.flatten() for p in network.streams.parameters()])
    network.zero_grad()
    assert all(not values.requires_grad for values in network._memory.values())
    network(second).losses["entropy"].backward()
    assert torch.allclose(
        again, torch.cat([p.grad.flatten() for p in network.streams.parameters()])
    )


def test_the_two_passes_divide_the_trained_parameters(ready):
    network, params, source = ready()
    (stage,) = network.stages(params)
    first, second = stage.passes
    estimators = {id(p) for group in first.groups(params) for p in group["params"]}
    others = {id(p) for group in network.parameter_groups(params) for p in group["params"]}
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert estimators.isdisjoint(others)
    assert estimators | others == trained
    assert estimators == {id(p) for p in network.estimators.parameters() if p.requires_grad}
    first.loss(source.gather(torch.arange(8))).backward()
    reached = {id(p) for p in network.parameters() if p.grad is not None}
    assert reached == estimators
    assert second.loss is None


def test_rates_of_the_parts(ready):
    network, params, _ = ready(encoder_lr=1e-5, estimator_lr=2e-3, lr=3e-3)
    (estimators, _), text = network.stages(params)[0].passes, network.parameter_groups(params)[0]
    assert [group["lr"] for group in estimators.groups(params)] == [2e-3]
    assert text["lr"] == 1e-5
    assert "lr" not in network.parameter_groups(params)[1]


def test_the_second_pass_leaves_no_gradient_on_the_estimators(ready):
    network, params, source = ready()
    batch = source.gather(torch.arange(8))
    output = network(batch)
    total_loss(output, batch, params).backward()
    with torch.no_grad():
        network.after_step(batch, output)
    assert all(p.grad is None for p in network.estimators.parameters())
    assert any(p.grad is not None for p in network.encoder.parameters())


@pytest.mark.parametrize(
    ("dataset", "quirk", "batches"),
    [("mosi", "fixed", 8), ("mosei", "fixed", 4), ("mosei", "published", 2)],
)
def test_batches_that_fit_the_estimators(ready, dataset, quirk, batches):
    """Half of them on MOSEI; as released two, whatever their number (here 24 clips in threes)."""
    network, params, _ = ready(dataset, quirk=quirk, batch_size=3)
    share = network.stages(params)[0].passes[0].share
    assert math.ceil(share * 8) == batches


def test_training_moves_both_parts_but_no_sketch(task, small):
    networks = []

    def remember(dims, params):
        networks.append(MMIM.build(dims, params))
        return networks[-1]

    params = MMIM.resolve("mosi", small(MMIM))
    start = untrained(MMIM, task, params).state_dict()
    fit_network(dataclasses.replace(MMIM, build=remember), task, params)
    moved = {n for n, v in networks[0].state_dict().items() if not torch.equal(v, start[n])}
    frozen = {n for n in start if ".sketch." in n or ".pooler." in n}
    assert moved.isdisjoint(frozen)
    assert {n for n in start if n.startswith(("estimators.", "fusion."))} - frozen <= moved


def test_matrices_outside_the_text_encoder_are_drawn_xavier_normal(encoder):
    torch.manual_seed(0)
    dims = Dims(
        audio=(9, 64), vision=(7, 64), low=-3.0, high=3.0, encoder=Encoder("tiny", Path(encoder))
    )
    network = MMIM.build(dims, MMIM.resolve("mosi", {"audio_hidden": 32, "fusion_size": 64}))
    for weight in (network.streams["audio"].lstm.weight_ih_l0, network.fusion.fuse[3].weight):
        expected = math.sqrt(2 / sum(weight.shape))
        assert weight.std().item() == pytest.approx(expected, rel=0.1)
        assert weight.abs().max() > 2.5 * expected  # not uniform
    pretrained = Encoder("tiny", Path(encoder)).load().state_dict()
    for name, values in network.encoder.network.state_dict().items():
        assert torch.equal(values, pretrained[name])
