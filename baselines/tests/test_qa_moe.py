"""QA-MoE (ACL 2026): features, their quality, prior fallback, routing, losses, schedule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp, softmax
from scipy.stats import norm

from baselines.qa_moe.parts import (
    Feature,
    GatedExpert,
    Gaussian,
    QualityRouter,
    balance_loss,
    gaussian_nll,
    supervised_contrast,
    top_weights,
)
from baselines.qa_moe.system import QA_MOE, QA_MOE_CODE
from baselines.tests.clips import a_batch, build, idle_weights, parameters
from harness.system.gates import gates_of, replaced
from harness.training import total_loss

BERT = 109_482_240  # the English encoder alone


@pytest.fixture
def make(encoder, small):
    def network(system=QA_MOE, **changes):
        return build(system, encoder, small, **changes)

    return network


def array(tensor):
    return tensor.detach().double().numpy()


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def test_size_is_that_of_the_equations():
    """BERT-base, two stream encoders, three features, a router, eight experts, two heads."""
    layer = 4 * linear(128, 128) + linear(128, 256) + linear(256, 128) + 2 * 256
    streams = sum(linear(size, 128) + 256 + 2 * layer for size in (5, 20))
    features = 3 * (linear(128, 128) + 2 * linear(128, 1))
    blend = 3 * 128 + linear(3 * 128, 128)
    router = linear(128, 8) + linear(3, 8)
    experts = 8 * (2 * linear(128, 256) + linear(256, 128))
    own = linear(768, 128) + streams + features + blend + router + experts + 2 * linear(128, 1)
    assert parameters(QA_MOE, "mosi") == BERT + own
    assert parameters(QA_MOE_CODE, "mosi") == BERT + own


def test_settings_are_those_of_the_released_code():
    for system in (QA_MOE, QA_MOE_CODE):
        found = system.resolve("mosi", {})
        assert (found.hidden, found.experts, found.top_k) == (128, 8, 3)
        assert (found.feed_size, found.heads, found.layers) == (256, 4, 2)
        assert (found.batch_size, found.epochs, found.frozen_epochs) == (16, 30, 5)
        assert (found.lr, found.encoder_lr, found.weight_decay) == (1e-4, 1e-5, 1e-4)
        assert (found.optimizer, found.plateau, found.plateau_factor) == ("adamw", 4, 0.5)
        assert (found.quality_weight, found.balance_weight) == (0.5, 0.01)


def test_the_two_entries_differ_where_the_sources_do():
    ours, code = (dataclasses.asdict(s.resolve("mosi", {})) for s in (QA_MOE, QA_MOE_CODE))
    assert {name for name in ours if ours[name] != code[name]} == {
        "training_corruption",
        "late_contrast_weight",
    }
    assert (ours["training_corruption"], code["training_corruption"]) == ("spectrum", "code")


def test_contrast_weight_doubles_from_epoch_seven_in_the_code(make):
    network = make(QA_MOE_CODE)
    weights = []
    for epoch in (1, 6, 7, 30):
        network.begin_epoch(epoch)
        weights.append(network.contrast_weight)
    assert weights == [0.05, 0.05, 0.1, 0.1]


def test_text_encoder_learns_from_epoch_six(make):
    network, batch = make(), a_batch()
    network.train()
    for epoch, learns in ((1, False), (5, False), (6, True)):
        network.begin_epoch(epoch)
        network.zero_grad()
        total_loss(network(batch), batch, network.params).backward()
        reached = {n for n, p in network.encoder.named_parameters() if p.grad is not None}
        assert bool(reached) == learns
        assert not any("pooler" in name for name in reached)


def test_the_encoder_has_a_rate_of_its_own(make):
    network = make(encoder_lr=1e-5)
    rest, encoder = network.parameter_groups(network.params)
    assert encoder["lr"] == 1e-5
    assert "lr" not in rest
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert {id(p) for group in (rest, encoder) for p in group["params"]} == trained


def test_every_weight_learns(make):
    network = make(frozen_epochs=0, experts=4)
    network.train().begin_epoch(1)
    assert not idle_weights(network, a_batch((5,) * 24, (6,) * 24, (7,) * 24))


# Equations


def test_quality_falls_with_variance():
    spread = torch.tensor([-8.0, -1.0, 0.0, 2.0, 5.0])
    found = Feature(torch.zeros(5, 2), spread, torch.zeros(5)).quality
    assert array(found) == pytest.approx(1 / (1 + np.exp(array(spread))), rel=1e-6)
    assert (found.diff() < 0).all()


def test_log_variance_is_bounded():
    layer = Gaussian(4)
    with torch.no_grad():
        layer.log_variance.weight.fill_(100.0)
    found = layer(torch.stack([torch.ones(4), -torch.ones(4)])).log_variance
    assert found.tolist() == [5.0, -8.0]


def test_samples_have_the_variance_they_claim():
    torch.manual_seed(0)
    feature = Feature(torch.full((2, 50_000), 3.0), torch.tensor([-2.0, 1.0]), torch.zeros(2))
    drawn = feature.sample()
    assert array(drawn.mean(1)) == pytest.approx([3.0, 3.0], abs=0.03)
    assert array(drawn.var(1)) == pytest.approx(np.exp([-2.0, 1.0]), rel=0.03)


def test_uncertainty_loss_is_the_gaussian_likelihood():
    errors, spread = torch.tensor([0.3, -2.0, 1.0]), torch.tensor([-1.0, 0.5, 3.0])
    likelihood = -norm.logpdf(array(errors), scale=np.exp(array(spread) / 2))
    expected = likelihood - 0.5 * np.log(2 * np.pi)
    assert array(gaussian_nll(errors, spread)) == pytest.approx(expected, rel=1e-6)


def test_router_adds_the_logarithm_of_a_quality_gate():
    torch.manual_seed(0)
    router, tokens, quality = QualityRouter(6, 3, 5), torch.randn(2, 4, 6), torch.rand(2, 3)
    (ws, bs), (wq, bq) = (
        map(array, (part.weight, part.bias)) for part in (router.meaning, router.quality)
    )
    gate = np.log(1e-6 + expit(array(quality) @ wq.T + bq))
    expected = array(tokens) @ ws.T + bs + gate[:, None]
    assert array(router(tokens, quality)) == pytest.approx(expected, rel=1e-5)


def test_a_closed_quality_gate_shuts_an_expert_out():
    router = QualityRouter(2, 1, 3)
    with torch.no_grad():
        router.meaning.weight.zero_(), router.meaning.bias.zero_()
        router.quality.weight.copy_(torch.tensor([[-200.0], [0.0], [0.0]]))
        router.quality.bias.zero_()
    weights = top_weights(router(torch.zeros(1, 1, 2), torch.ones(1, 1)), 3)
    assert array(weights[0, 0]) == pytest.approx([0, 0.5, 0.5], abs=1e-5)


@pytest.mark.parametrize("top_k", [1, 3, 5])
def test_weights_are_a_softmax_over_the_largest(top_k):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 4, 5))
    found = array(top_weights(torch.tensor(logits), top_k))
    for own, given in zip(found.reshape(-1, 5), logits.reshape(-1, 5), strict=True):
        best = np.argsort(given)[-top_k:]
        assert own[best] == pytest.approx(softmax(given[best]))
        assert (own > 0).sum() == top_k


def test_expert_is_a_gated_linear_unit():
    torch.manual_seed(0)
    expert, x = GatedExpert(3, 5), torch.randn(2, 3)
    (w1, b1), (w2, b2), (wo, bo) = (
        map(array, (part.weight, part.bias)) for part in (expert.value, expert.gate, expert.output)
    )
    gate = array(x) @ w2.T + b2
    expected = ((array(x) @ w1.T + b1) * gate * expit(gate)) @ wo.T + bo
    assert array(expert(x)) == pytest.approx(expected, rel=1e-4)


def test_balance_is_one_when_even_and_e_when_one_expert_does_all():
    even = torch.eye(4).reshape(2, 2, 4) * 1e-3
    assert balance_loss(even, top_weights(even, 1)).item() == pytest.approx(1.0, rel=1e-3)
    alone = torch.tensor([50.0, 0, 0, 0]).expand(2, 3, 4)
    assert balance_loss(alone, top_weights(alone, 1)).item() == pytest.approx(4.0, rel=1e-6)


def test_balance_is_the_product_of_shares_and_probabilities():
    logits = np.random.default_rng(1).normal(size=(3, 2, 5))
    chosen = np.argsort(logits, axis=2)[..., -2:].reshape(-1)
    share = np.bincount(chosen, minlength=5) / len(chosen)
    expected = 5 * (share * softmax(logits, axis=2).reshape(-1, 5).mean(0)).sum()
    values = torch.tensor(logits)
    assert balance_loss(values, top_weights(values, 2)).item() == pytest.approx(expected)


def test_contrast_pulls_clips_of_one_class_together():
    rng = np.random.default_rng(2)
    vectors, classes = rng.normal(size=(7, 4)), np.array([0, 0, 1, 1, 1, 2, -1])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores, costs = units @ units.T / 0.07, []
    for anchor in range(5):  # the last two have no company
        others = [i for i in range(7) if i != anchor]
        same = [i for i in others if classes[i] == classes[anchor]]
        costs.append(np.mean(logsumexp(scores[anchor, others]) - scores[anchor, same]))
    found = supervised_contrast(torch.tensor(vectors), torch.tensor(classes), 0.07)
    assert found.item() == pytest.approx(np.mean(costs))


def test_contrast_of_strangers_is_zero_and_differentiable():
    vectors = torch.randn(3, 4, requires_grad=True)
    found = supervised_contrast(vectors, torch.arange(3), 0.07)
    found.backward()
    assert found.item() == 0.0
    assert not vectors.grad.any()


def test_experts_see_features_that_give_way_to_the_prior(make):
    network = make().eval()
    features, quality = torch.randn(2, 3, 16), torch.rand(2, 3)
    with torch.no_grad():
        share, priors = quality.unsqueeze(2), network.priors
        blended = share * features + (1 - share) * priors
        tokens = torch.cat([blended, network.join(blended.flatten(1))[:, None]], dim=1)
        weights = top_weights(network.router(tokens, quality), network.params.top_k)
        expected = tokens.clone()
        for e, expert in enumerate(network.experts):
            expected += weights[..., e : e + 1] * expert(tokens)
        found = network.mix(features, quality)
    assert torch.allclose(found.vector, expected.mean(1), atol=1e-6)
    assert torch.allclose(found.weights, weights)


def test_a_modality_of_quality_zero_is_not_heard(make):
    network = make().eval()
    features, quality = torch.randn(2, 3, 16), torch.tensor([0.5, 0.0, 0.8])
    other = features.clone()
    other[:, 1] = 7.0
    with torch.no_grad():
        found = [network.mix(values, quality.expand(2, 3)).vector for values in (features, other)]
    assert torch.equal(*found)


def test_losses_are_those_of_the_equations(make):
    network, batch = make(quality_weight=0.3, balance_weight=0.2, contrast_weight=0.4), a_batch()
    features = {name: feature(3) for name in ("text", "audio", "vision", "joint")}
    present = torch.tensor([[1.0, 0, 1], [1, 1, 1], [1, 1, 0]])
    mixed = network.mix(torch.randn(3, 3, 16), torch.rand(3, 3))
    found = network.losses(batch, mixed, features, present)
    there = np.column_stack([array(present), np.ones(3)])
    labels = array(batch.labels)
    nll = [
        0.5 * ((array(f.prediction) - labels) ** 2 / np.exp(array(f.log_variance)))
        + 0.5 * array(f.log_variance)
        for f in features.values()
    ]
    expected = 0.3 * np.average(np.transpose(nll), weights=there)
    assert found["quality"].item() == pytest.approx(expected, rel=1e-5)
    contrast = supervised_contrast(mixed.vector, batch.labels.round(), 0.07)
    assert found["contrast"].item() == pytest.approx(0.4 * contrast.item(), rel=1e-5)
    balance = balance_loss(mixed.logits, mixed.weights).item()
    assert found["balance"].item() == pytest.approx(0.2 * balance, rel=1e-5)


def feature(clips):
    return Feature(torch.randn(clips, 2), torch.randn(clips), torch.randn(clips))


def test_training_adds_three_losses_and_evaluation_none(make):
    network, batch = make(), a_batch()
    output = network.train()(batch)
    task = (output.prediction - batch.labels).abs().mean()
    expected = task + sum(output.losses.values())
    assert set(output.losses) == {"quality", "contrast", "balance"}
    assert torch.allclose(total_loss(output, batch, network.params), expected)
    assert not network.eval()(batch).losses


def test_features_are_drawn_in_training_only(make):
    network, batch = make(), a_batch()
    network.eval()
    assert torch.equal(network(batch).prediction, network(batch).prediction)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    network.train()
    assert not torch.equal(network(batch).prediction, network(batch).prediction)


def test_what_is_told_of_a_clip(make):
    told = make().eval()(a_batch()).diagnostics
    assert {name: tuple(values.shape) for name, values in told.items()} == {
        "quality": (3, 3),
        "routing": (3, 8),
        "deviation": (3,),
    }
    assert ((told["quality"] > 0) & (told["quality"] < 1)).all()
    assert torch.allclose(told["routing"].sum(1), torch.ones(3))
    assert (told["deviation"] > 0).all()


def test_a_missing_modality_has_no_quality(make):
    network, batch = make().eval(), a_batch()
    gone = dataclasses.replace(batch, present={"audio": torch.tensor([False, True, True])})
    found = network(gone).diagnostics["quality"]
    assert found[0, 1] == 0
    assert torch.equal(found[1:], network(batch).diagnostics["quality"][1:])


def test_without_its_gate_all_that_is_there_counts_fully(make):
    network, batch = make(gate=False).eval(), a_batch()
    gone = dataclasses.replace(batch, present={"vision": torch.tensor([True, False, True])})
    assert network(gone).diagnostics["quality"].tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert not gates_of(network)


def test_labels_count_as_on_minus_three_to_three(encoder, small):
    from baselines.tests.clips import dims_of

    for high, unit in ((3.0, 1.0), (1.0, 1 / 3)):
        network = QA_MOE.build(dims_of(encoder, high), QA_MOE.resolve("mosi", small(QA_MOE)))
        assert network.unit == pytest.approx(unit)


def test_the_network_acts_on_the_qualities_it_is_given(make):
    network, batch = make().eval(), a_batch()
    own = network(batch)
    with replaced(network, {"quality": own.diagnostics["quality"]}):
        assert torch.equal(network(batch).prediction, own.prediction)
    others = own.diagnostics["quality"].flip(0)
    with replaced(network, {"quality": others}):
        changed = network(batch)
    assert torch.equal(changed.diagnostics["quality"], others)
    assert not torch.equal(changed.prediction, own.prediction)
    assert torch.equal(network(batch).prediction, own.prediction)
