"""QA-MoE by a digest of its paper: every equation, what chooses experts, and what training sees."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from scipy.special import erf, expit, softmax
from scipy.stats import norm
from torch import nn

from baselines.qa_moe.system import QA_MOE
from baselines.qa_moe_paper import QA_MOE_PAPER, FeatureGaussian, drawn, quality_of
from baselines.tests.clips import a_batch, build, dims_of, idle_weights, parameters
from harness.checks.fidelity import FALL, learn_by_heart
from harness.spec.protocols import protocols
from harness.system import Task, TrainingProgress
from harness.system.gates import gates_of, replaced
from harness.text import find_encoder
from harness.training import loop_of, total_loss
from leaderboards.literature import table

BERT = 109_482_240  # the English encoder alone
GRADE = re.compile(r"\[(A|B|guess)\]")


@pytest.fixture
def make(encoder, small):
    def network(**changes):
        return build(QA_MOE_PAPER, encoder, small, **changes)

    return network


@pytest.fixture
def loop(make_corpus, encoder, small, tmp_path):
    """A training that can be looked at before it begins."""

    def make(**changes):
        corpus = make_corpus("mosi")
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=dataclasses.replace(protocols["in_domain"], max_epochs=2),
            seed=1111,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
        )
        return loop_of(
            QA_MOE_PAPER, task, QA_MOE_PAPER.resolve("mosi", small(QA_MOE_PAPER, **changes))
        )

    return make


def array(tensor):
    return tensor.detach().double().numpy()


def affine(layer, inputs):
    return inputs @ array(layer.weight).T + array(layer.bias)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def training(network):
    """In training, but without dropout and with its text encoder as in evaluation."""
    network.train().encoder.eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return network


def test_size_is_that_of_the_equations():
    """BERT-base, two stream encoders, three Gaussians and routers, eight experts, one prior."""
    layer = 4 * linear(128, 128) + linear(128, 256) + linear(256, 128) + 2 * 256
    streams = sum(linear(size, 128) + 256 + 2 * layer for size in (5, 20))
    gaussians, routers = 3 * 2 * linear(128, 128), 3 * linear(128, 8)
    experts = 8 * (2 * linear(128, 256) + linear(256, 128))
    heads = 2 * linear(128, 1)
    own = linear(768, 128) + streams + gaussians + routers + experts + 128 + heads
    assert parameters(QA_MOE_PAPER, "mosi") == BERT + own + linear(3 * 128, 128)
    assert parameters(QA_MOE_PAPER, "mosi", fusion="attention") == BERT + own + layer
    assert own + linear(3 * 128, 128) == 1_575_706


# Sources


def test_every_statement_of_the_card_has_a_grade():
    for statement in QA_MOE_PAPER.card.deviations:
        assert GRADE.match(statement), statement
    grades = {GRADE.match(statement)[1] for statement in QA_MOE_PAPER.card.deviations}
    assert grades == {"A", "B", "guess"}
    first = QA_MOE_PAPER.card.deviations[0]
    assert all(f"[{grade}] is" in first or f"[{grade}] a" in first for grade in grades)


def test_every_hyper_parameter_of_its_own_has_a_grade():
    own = vars(QA_MOE_PAPER.params)["__annotations__"]
    for item in dataclasses.fields(QA_MOE_PAPER.params):
        if item.name in own:
            assert GRADE.match(item.metadata["source"]), item.name
    assert {"expert_size", "fusion", "clip_norm", "lr", "epochs", "spread"} <= own.keys()


@pytest.mark.parametrize("system", [QA_MOE, QA_MOE_PAPER])
def test_cards_tell_the_two_papers_of_this_name_apart(system):
    card = system.card
    assert "ACL 2026" in card.title
    assert "ACL 2026" in card.paper
    assert any("IJCAI 2026" in statement for statement in card.deviations)


def test_settings_are_those_of_the_digest():
    found = QA_MOE_PAPER.resolve("mosi", {})
    assert (found.experts, found.top_k, found.dropout) == (8, 3, 0.1)
    assert (found.optimizer, found.schedule, found.warmup) == ("adam", "cosine", 0.0)
    assert found.clip_norm > 0 and found.clip_value == 0 and found.weight_decay == 0
    assert found.patience >= found.epochs  # annealing is not cut short
    assert found.training_corruption == "none"


def test_the_published_clean_number_is_of_the_row_that_trains_on_clean_clips():
    clean = [row for row in table("qa_moe", "mosi") if row.condition == "clean"]
    assert [(row.metric, row.printed) for row in clean if row.system == "qa_moe@paper"] == [
        ("acc7", "53.6")
    ]
    assert not any(row.system == "qa_moe" for row in clean)


# Equations


@pytest.mark.parametrize("spread", ["deviation", "variance"])
def test_a_modality_is_a_gaussian_with_a_variance_per_feature(spread):
    torch.manual_seed(0)
    layer, vectors = FeatureGaussian(6, spread), torch.randn(4, 6)
    mean, variance = layer(vectors)
    positive = np.log1p(np.exp(affine(layer.spread, array(vectors))))
    assert array(mean) == pytest.approx(affine(layer.mean, array(vectors)), abs=1e-6)
    expected = positive**2 if spread == "deviation" else positive
    assert array(variance) == pytest.approx(expected, rel=1e-5)
    assert variance.shape == (4, 6)


def test_samples_have_the_variances_they_claim():
    torch.manual_seed(0)
    variances = torch.tensor([0.25, 4.0]).expand(100_000, 2)
    found = drawn(torch.tensor([3.0, -1.0]).expand(100_000, 2), variances)
    assert array(found.mean(0)) == pytest.approx([3.0, -1.0], abs=0.03)
    assert array(found.var(0)) == pytest.approx([0.25, 4.0], rel=0.03)


def test_a_variance_of_zero_has_a_gradient():
    variances = torch.zeros(2, 3, requires_grad=True)
    drawn(torch.zeros(2, 3), variances).sum().backward()
    assert torch.isfinite(variances.grad).all()


def test_quality_falls_in_the_mean_of_the_variances():
    variances = torch.rand(2, 3, 5) * 4
    expected = 1 / (1 + array(variances).mean(2))
    assert array(quality_of(variances)) == pytest.approx(expected, rel=1e-6)
    assert (quality_of(variances) > quality_of(variances + 0.1)).all()
    moved = variances.flip(2)  # which feature is unsure does not matter
    assert array(quality_of(moved)) == pytest.approx(expected, rel=1e-6)


def answered(network, means, features, quality):
    """The tokens and weights of B clips by NumPy, expert by expert."""
    top_k = network.params.top_k
    tokens, weights = np.zeros(features.shape), np.zeros((*quality.shape, network.params.experts))
    for b, m in np.ndindex(quality.shape):
        logits = affine(list(network.routers.values())[m], means[b, m])
        best = np.argsort(logits)[-top_k:]
        weights[b, m, best] = softmax(logits[best])
        told = 0
        for k in best:
            expert, x = network.experts[k], features[b, m]
            gate = affine(expert.gate, x)
            unit = affine(expert.value, x) * gate * expit(gate)
            told = told + weights[b, m, k] * affine(expert.output, unit)
        tokens[b, m] = quality[b, m] * told + (1 - quality[b, m]) * array(network.prior)
    return tokens, weights


def test_quality_acts_on_what_the_experts_answer(make):
    network = make().eval()
    means, features, quality = torch.randn(4, 3, 16), torch.randn(4, 3, 16), torch.rand(4, 3)
    found = network.answer(means, features, quality)
    tokens, weights = answered(network, *map(array, (means, features, quality)))
    assert array(found.weights) == pytest.approx(weights, abs=1e-6)
    assert array(found.tokens) == pytest.approx(tokens, abs=1e-5)


def test_experts_see_features_whatever_their_quality(make):
    network = make().eval()
    seen = []
    network.experts[0].register_forward_hook(lambda _m, inputs, _out: seen.append(inputs[0]))
    means, features = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    for quality in (torch.ones(2, 3), torch.zeros(2, 3)):
        network.answer(means, features, quality)
    assert all(torch.equal(inputs, features) for inputs in seen)


def test_all_modalities_without_quality_are_one_prior(make):
    network = make().eval()
    tokens = network.answer(torch.randn(2, 3, 16), torch.randn(2, 3, 16), torch.zeros(2, 3)).tokens
    assert torch.equal(tokens, network.prior.expand(2, 3, 16))


def test_what_a_clip_is_routed_by_is_its_means_alone(make):
    network, batch = make().eval(), a_batch()
    before = network(batch).diagnostics
    with torch.no_grad():
        for feature in network.features.values():
            feature.spread.weight.mul_(3.0)
            feature.spread.bias.add_(1.5)
    after = network(batch).diagnostics
    assert torch.equal(before["routing"], after["routing"])
    assert (after["quality"] < before["quality"]).all()
    with torch.no_grad():
        for feature in network.features.values():
            feature.mean.weight.normal_()
    assert not torch.equal(before["routing"], network(batch).diagnostics["routing"])


def test_training_draws_features_and_routes_by_their_means_all_the_same(make):
    network, batch = training(make()), a_batch()
    first, second = network(batch), network(batch)
    assert not torch.equal(first.prediction, second.prediction)
    assert torch.equal(first.diagnostics["routing"], second.diagnostics["routing"])
    assert torch.equal(first.diagnostics["quality"], second.diagnostics["quality"])


def normalised(layer, x):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps)
    return scaled * array(layer.weight) + array(layer.bias)


def attended(layer, x):
    """A Transformer layer, norms last, on (M, H), by NumPy."""
    own, heads = layer.self_attn, layer.self_attn.num_heads
    projected = x @ array(own.in_proj_weight).T + array(own.in_proj_bias)
    q, k, v = (np.stack(np.split(part, heads, axis=1)) for part in np.split(projected, 3, axis=1))
    shares = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2]), axis=2)
    mixed = np.concatenate(list(shares @ v), axis=1)
    x = normalised(layer.norm1, x + affine(own.out_proj, mixed))
    fed = affine(layer.linear2, np.maximum(affine(layer.linear1, x), 0))
    return normalised(layer.norm2, x + fed)


@pytest.mark.parametrize("fusion", ["concat", "attention"])
def test_three_tokens_are_fused_into_one_vector(make, fusion):
    network, tokens = make(fusion=fusion).eval(), torch.randn(2, 3, 16)
    found = array(network.fuse(tokens))
    if fusion == "concat":
        expected = gelu(affine(network.fusion, array(tokens).reshape(2, 48)))
    else:
        expected = np.stack([attended(network.fusion, clip).mean(0) for clip in array(tokens)])
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_prediction_is_made_of_means_in_evaluation(make):
    network, batch = make().eval(), a_batch()
    with torch.no_grad():
        means, variances = network.read(batch)
        quality = 1 / (1 + array(variances).mean(2))
        tokens, weights = answered(network, array(means), array(means), quality)
        whole = gelu(affine(network.fusion, tokens.reshape(3, 48)))
        output = network(batch)
    assert array(output.prediction) == pytest.approx(affine(network.head, whole)[:, 0], abs=1e-5)
    spread = np.exp(affine(network.doubt, whole)[:, 0] / 2)
    assert array(output.diagnostics["deviation"]) == pytest.approx(spread, abs=1e-5)
    assert array(output.diagnostics["quality"]) == pytest.approx(quality, abs=1e-6)
    assert array(output.diagnostics["routing"]) == pytest.approx(weights.mean(1), abs=1e-6)
    assert not output.losses


def test_the_one_loss_is_the_likelihood_of_the_final_prediction(make):
    network, batch = training(make()), a_batch()
    output = network(batch)
    assert set(output.losses) == {"task"}
    likelihood = norm.logpdf(
        array(batch.labels), array(output.prediction), array(output.diagnostics["deviation"])
    )
    expected = -likelihood.mean() - 0.5 * np.log(2 * np.pi)
    assert output.losses["task"].item() == pytest.approx(expected, rel=1e-5)
    assert total_loss(output, batch, network.params) is output.losses["task"]


def test_labels_count_as_on_minus_three_to_three(encoder, small):
    """Labels and predictions a third as large cost the same."""
    losses = []
    for high in (3.0, 1.0):
        torch.manual_seed(0)
        params = QA_MOE_PAPER.resolve("mosi", small(QA_MOE_PAPER))
        network = training(QA_MOE_PAPER.build(dims_of(encoder, high), params))
        torch.manual_seed(1)
        batch = a_batch()
        labels = batch.labels * (high / 3)
        losses.append(network(dataclasses.replace(batch, labels=labels)).losses["task"].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_likelihood_alone_teaches_quality(make):
    network = training(make())
    network.begin_epoch(6)
    network(a_batch()).losses["task"].backward()
    for feature in network.features.values():
        assert feature.spread.weight.grad.any()


# What is missing, and gates


def test_a_missing_modality_is_what_its_biases_say(make):
    network, batch = make().eval(), a_batch()
    gone = dataclasses.replace(batch, present={"audio": torch.tensor([False, True, False])})
    with torch.no_grad():
        means, variances = network.read(gone)
        kept, _ = network.read(batch)
        layer = network.features["audio"]
    assert torch.equal(means[0, 1], layer.mean.bias)
    positive = np.log1p(np.exp(array(layer.spread.bias)))
    assert array(variances[0, 1]) == pytest.approx(positive**2, rel=1e-5)
    assert torch.equal(means[0, 1], means[2, 1])
    there = torch.tensor([[1, 0, 1], [1, 1, 1], [1, 0, 1]], dtype=torch.bool)
    assert torch.equal(means[there], kept[there])


def test_the_network_acts_on_the_qualities_it_is_given(make):
    network, batch = make().eval(), a_batch()
    own = network(batch)
    with replaced(network, {"quality": own.diagnostics["quality"]}):
        assert torch.equal(network(batch).prediction, own.prediction)
    with replaced(network, {"quality": own.diagnostics["quality"].flip(0) / 2}):
        assert not torch.equal(network(batch).prediction, own.prediction)


def test_without_its_gate_experts_alone_are_heard(make):
    network, batch = make(gate=False).eval(), a_batch()
    own = network(batch)
    assert (own.diagnostics["quality"] == 1).all()
    assert not gates_of(network)
    with torch.no_grad():
        network.prior.add_(5.0)
    assert torch.equal(network(batch).prediction, own.prediction)


# Training


def test_the_text_encoder_and_its_projection_learn_from_epoch_six(make):
    network, batch = make(), a_batch()
    network.train()
    for epoch, learns in ((1, False), (5, False), (6, True)):
        network.begin_epoch(epoch)
        network.zero_grad()
        total_loss(network(batch), batch, network.params).backward()
        for part in (network.encoder, network.project):
            assert any(p.grad is not None for p in part.parameters()) == learns


def test_the_encoder_has_a_rate_of_its_own(make):
    network = make(encoder_lr=1e-5)
    rest, encoder = network.parameter_groups(network.params)
    assert encoder["lr"] == 1e-5 and "lr" not in rest
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert {id(p) for group in (rest, encoder) for p in group["params"]} >= trained


def test_every_weight_learns_when_every_expert_is_heard(make):
    network = make(frozen_epochs=0, experts=3, top_k=3)
    network.train().begin_epoch(1)
    assert not idle_weights(network, a_batch((5,) * 24, (6,) * 24, (7,) * 24))


def test_it_learns_eight_clips(make_corpus, encoder, tmp_path):
    found = learn_by_heart(QA_MOE_PAPER, make_corpus("mosi"), encoder, tmp_path)
    assert max(found.loss_fall, found.error_fall) >= FALL


def clips_of(source, rows):
    batch = source.gather(rows)
    return [batch.tokens.ids, batch.audio.values, batch.vision.values]


def test_clean_training_sees_no_corruption(loop):
    train, rows = loop().sources["train"], torch.arange(12)
    clean = clips_of(train, rows)
    for seed in (1, 2):
        for own, seen in zip(clean, clips_of(train.at(seed), rows), strict=True):
            assert torch.equal(own, seen)
    assert not train.at(1).gather(rows).present


def test_the_spectrum_is_another_one_for_every_batch(loop):
    train = loop(training_corruption="batch").sources["train"]
    rows = torch.arange(12)
    first, again, other = (clips_of(train.at(seed), rows)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.parametrize("law", ["none", "batch", "batch@0.7"])
def test_it_trains_under_the_law(loop, law):
    whole = loop(training_corruption=law)
    whole.run()
    assert len(whole.history) == 2
    assert np.isfinite(whole.curves["valid"][-1]).all()


def test_the_rate_falls_as_a_cosine_to_the_end(loop):
    whole = loop()
    whole.run()
    (sweep,) = whole.sweeps
    steps = sweep.steps
    assert sweep.step == steps
    half = TrainingProgress(step=steps // 2, steps=steps, epoch=1, epochs=2)
    assert sweep.params.lr_factor(half) == pytest.approx(0.5)
    last = 0.5 * (1 + np.cos(np.pi * (steps - 1) / steps))
    assert whole.history[-1].lr == pytest.approx(last * sweep.params.lr)
