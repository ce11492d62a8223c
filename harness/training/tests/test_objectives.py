"""Objectives of domain generalisation: equations, batches, refusals, and interruptions."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness import data
from harness.data.batching import balanced_order
from harness.data.corpus import Corpus
from harness.errors import SpecError
from harness.home import Home
from harness.spec.protocols import protocols
from harness.system import Card, Dims, Network, Output, Pass, Stage, System, Task, TrainingParams
from harness.training import checkpoint as resume
from harness.training import clip_losses, fit_network, loop_of, total_loss
from harness.training.objectives import Evidence, Generalising, ObjectiveSetting, objectives
from harness.training.objectives.base import domain_means, membership
from harness.training.objectives.capture import Capture
from harness.training.objectives.coral import moment_distance
from harness.training.objectives.dann import reversed_gradient
from harness.training.objectives.group_dro import STEP
from harness.training.objectives.vrex import WARM_UP, risk_variance

CARD = Card(title="Probe", paper="none", year=None)
OTHERS = [name for name in objectives if name != "erm"]
KNOWN = torch.arange(3)
DOMAINS = torch.tensor([0, 2, 1, 0, 1, 2, 2, 0, 1, 2, 0, 1])


class TwoLayers(Network):
    def __init__(self, dims, params):
        super().__init__()
        size = dims.need("text")[1]
        self.first, self.last = nn.Linear(size, 6), nn.Linear(6, 1)
        self.drop = nn.Dropout(0.2)
        self.aside = nn.Linear(6, 1)

    def forward(self, batch):
        mean = batch.text.values.sum(1) / batch.text.lengths.unsqueeze(1)
        hidden = self.drop(self.first(mean).relu())
        output = self.last(hidden).squeeze(1)
        told = self.aside(hidden.detach()).squeeze(1)  # called last, and no way to the prediction
        return Output(output, {"aside": nn.functional.l1_loss(told, batch.labels)})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return data.load("mosi-twin@compact-x5", Home(tmp_path_factory.mktemp("home")))


def with_domains(corpus: Corpus, count: int) -> Corpus:
    """The clips of every other source video come from another domain, shares are uneven."""
    videos = {name: i for i, name in enumerate(dict.fromkeys(corpus.clips["video"]))}
    names = [f"domain {videos[v] % (count + 1) % count}" for v in corpus.clips["video"]]
    return dataclasses.replace(corpus, clips=corpus.clips.assign(domain=names))


@pytest.fixture
def task(corpus, tmp_path) -> Task:
    return a_task(with_domains(corpus, 2), tmp_path)


def a_task(corpus: Corpus, cache) -> Task:
    return Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=dataclasses.replace(protocols["in_domain"], max_epochs=8, patience=8),
        seed=1,
        device=torch.device("cpu"),
        encoder=None,
        cache=cache,
    )


def system(build=TwoLayers, params=TrainingParams) -> System:
    return System(name="probe", card=CARD, params=params, inputs=frozenset({"text"}), build=build)


def term(name: str, *, domains: int = 3, size: int = 0, penalty: float = 1.0) -> nn.Module:
    made = objectives[name].term
    assert made is not None
    return made(ObjectiveSetting(domains=domains, size=size, penalty=penalty))


def evidence(risks=(0.0, 0.0, 0.0), representation=None, domains=DOMAINS, epoch=99) -> Evidence:
    return Evidence(
        risks=torch.tensor(risks),
        members=membership(domains, KNOWN),
        representation=representation,
        epoch=epoch,
    )


# Equations


def test_params_offer_every_objective():
    (field,) = [f for f in dataclasses.fields(TrainingParams) if f.name == "objective"]
    assert list(field.metadata["choices"]) == ["erm", "coral", "vrex", "group_dro", "dann"]
    assert objectives[field.default].term is None


def test_domain_means_are_those_of_the_clips():
    values = torch.randn(12, 4)
    expected = [values[domain == DOMAINS].mean(0) for domain in range(3)]
    torch.testing.assert_close(
        domain_means(values, membership(DOMAINS, KNOWN)), torch.stack(expected)
    )
    torch.testing.assert_close(
        domain_means(values[:, 0], membership(DOMAINS, KNOWN)), torch.stack(expected)[:, 0]
    )


def test_coral_compares_means_and_covariances_of_all_pairs():
    values = np.random.default_rng(0).normal(size=(12, 5)) * DOMAINS[:, None].numpy()
    groups = [values[DOMAINS.numpy() == domain] for domain in range(3)]
    pairs = [
        ((a.mean(0) - b.mean(0)) ** 2).mean() + ((np.cov(a.T) - np.cov(b.T)) ** 2).mean()
        for a, b in combinations(groups, 2)
    ]
    found = moment_distance(torch.from_numpy(values), membership(DOMAINS, KNOWN).double())
    assert found.item() == pytest.approx(np.mean(pairs))
    weighed = term("coral", size=5, penalty=3.0)
    seen = evidence(representation=torch.from_numpy(values).float())
    assert weighed(seen).item() == pytest.approx(3 * np.mean(pairs), rel=1e-5)


def test_coral_is_zero_where_domains_do_not_differ():
    values = torch.randn(4, 5).repeat(3, 1)
    members = membership(torch.arange(12) // 4, KNOWN)
    assert moment_distance(values, members).item() == pytest.approx(0, abs=1e-12)


def test_vrex_is_the_variance_of_risks_after_a_warm_up():
    risks = (0.3, 1.0, 0.5)
    assert risk_variance(torch.tensor(risks)).item() == pytest.approx(np.var(risks))
    found = term("vrex", penalty=4.0)
    assert found(evidence(risks, epoch=WARM_UP)).item() == 0
    assert found(evidence(risks, epoch=WARM_UP + 1)).item() == pytest.approx(4 * np.var(risks))


def test_group_dro_weighs_domains_by_what_they_have_cost():
    found, q = term("group_dro", penalty=20.0), np.full(3, 1 / 3)
    for risks in np.random.default_rng(0).uniform(0, 2, (5, 3)):
        q = q * np.exp(20 * STEP * risks)
        q /= q.sum()
        told = found(evidence(risks.astype(np.float32)))
        assert told.item() + risks.mean() == pytest.approx((q * risks).sum(), rel=1e-5)
    np.testing.assert_allclose(found.q.numpy(), q, rtol=1e-5)


def test_dann_teaches_the_discriminator_and_misleads_it():
    found = term("dann", size=4, penalty=0.5)
    values = torch.randn(12, 4, requires_grad=True)
    told = found(evidence(representation=values))
    plain = nn.functional.cross_entropy(found.discriminator(values), DOMAINS)
    assert told.item() == pytest.approx(plain.item(), rel=1e-6)
    learnt = [values, *found.parameters()]
    features, *weights = torch.autograd.grad(told, learnt)
    plain_features, *plain_weights = torch.autograd.grad(plain, learnt)
    torch.testing.assert_close(features, -0.5 * plain_features)
    torch.testing.assert_close(weights, plain_weights)


def test_reversed_gradient_keeps_the_values():
    values = torch.randn(3, requires_grad=True)
    out = reversed_gradient(values, 2.0)
    assert torch.equal(out, values)
    out.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [-2, -2, -2]


# Batches


@given(
    shares=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    batch_size=st.integers(4, 20),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_every_batch_has_equally_many_clips_of_every_domain(shares, batch_size, seed):
    domains = torch.from_numpy(np.repeat(np.arange(len(shares)) * 3, shares))
    batches = balanced_order(domains, batch_size, np.random.default_rng(seed))
    assert len(batches) == -(-len(domains) // batch_size)
    each = batch_size // len(shares)
    for rows in batches:
        assert np.bincount(domains[rows], minlength=0)[::3].tolist() == [each] * len(shares)
    for kind in domains.unique():
        drawn = torch.cat(batches)
        times = drawn.bincount(minlength=len(domains))[domains == kind]
        assert times.max() - times.min() <= 1


def test_a_batch_without_room_for_every_domain_is_refused():
    with pytest.raises(SpecError, match="3 domains"):
        balanced_order(DOMAINS, 2, np.random.default_rng(0))


def test_rows_that_differ_in_the_objective_start_alike_and_see_the_same_batches(task):
    plain = loop_of(system(), task, TrainingParams())
    assert isinstance(plain.network, TwoLayers)
    for name in OTHERS:
        loop = loop_of(system(), task, TrainingParams(objective=name))
        assert isinstance(loop.network, Generalising)
        for key, value in plain.network.state_dict().items():
            assert torch.equal(loop.network.network.state_dict()[key], value)
        orders = [run._order(run.stage.passes[0], 2) for run in (plain, loop)]
        assert all(map(torch.equal, *orders))


# Training


@pytest.mark.parametrize("name", OTHERS)
def test_the_term_is_added_to_the_losses(task, name):
    params = TrainingParams(objective=name, batch_size=32, loss="mse")
    loop = loop_of(system(), task, params)
    network, (rows, *_) = loop.network, loop._order(Pass(), 1)
    batch = loop.sources["train"].gather(rows)
    network.train()
    network.begin_epoch(WARM_UP + 1)
    torch.manual_seed(0)
    inner = network.network(batch)
    torch.manual_seed(0)
    output = network(batch)
    assert torch.equal(output.prediction, inner.prediction)
    assert set(output.losses) == {"aside", name}
    expected = total_loss(inner, batch, params) + output.losses[name]
    torch.testing.assert_close(total_loss(output, batch, params), expected)
    network.eval()
    assert set(network(batch).losses) == {"aside"}


def test_group_dro_replaces_the_mean_over_domains_by_a_weighted_one(task):
    params = TrainingParams(objective="group_dro", batch_size=32, penalty=100.0)
    loop = loop_of(system(), task, params)
    batch = loop.sources["train"].gather(loop._order(Pass(), 1)[0])
    loop.network.train()
    output = loop.network(batch)
    errors = clip_losses(output.prediction, batch.labels, params)
    risks = [errors[batch.domains == domain].mean() for domain in (0, 1)]
    expected = sum(q * risk for q, risk in zip(loop.network.term.q, risks, strict=True))
    total = total_loss(output, batch, params) - output.losses["aside"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("after", [2, 6])
@pytest.mark.parametrize("name", OTHERS)
def test_an_interrupted_training_ends_in_the_same_bits(task, tmp_path, monkeypatch, name, after):
    params = TrainingParams(objective=name, lr=5e-3)
    whole = loop_of(system(), task, params)
    whole.run()

    monkeypatch.setattr(resume, "EVERY", 0.0)
    kept = dataclasses.replace(task, resume=tmp_path / "kept.pt")
    broken = loop_of(system(), kept, params)
    for epoch in broken.walk():
        if epoch.epoch == after:
            break
    resumed = loop_of(system(), kept, params)
    resumed.run()
    assert len(resumed.history) == 8
    for key, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[key], value), key
    np.testing.assert_array_equal(
        np.stack(resumed.curves["valid"]), np.stack(whole.curves["valid"])
    )


@pytest.mark.parametrize("name", OTHERS)
def test_objectives_change_what_is_learnt(task, name):
    params = TrainingParams(lr=1e-2, penalty=20.0, objective=name)
    plain = fit_network(system(), task, dataclasses.replace(params, objective="erm"))
    other = fit_network(system(), task, params)
    assert not np.allclose(other.predict(task.valid), plain.predict(task.valid))


def test_a_discriminator_is_trained_with_whatever_the_network_groups(task):
    class Grouped(TwoLayers):
        def stages(self, params):
            def groups(_):
                return [{"params": [self.last.weight]}]

            aside = Pass(name="aside", loss=lambda batch: self(batch).losses["aside"])
            return (Stage(passes=(aside, Pass(groups=groups)), epochs=1),)

    loop = loop_of(system(Grouped), task, TrainingParams(objective="dann"))
    before = {name: p.clone() for name, p in loop.network.named_parameters()}
    _, main = loop.sweeps
    loop.train_epoch(1)
    trained = {id(p) for group in main.optimizer.param_groups for p in group["params"]}
    expected = {id(loop.network.network.last.weight), *map(id, loop.network.term.parameters())}
    assert trained == expected
    for name, p in loop.network.term.named_parameters():
        assert not torch.equal(p, before[f"term.{name}"]), name


def test_stages_on_another_corpus_are_left_alone(task):
    class Assisted(TwoLayers):
        def stages(self, params):
            return (Stage(name="before", on_knowledge=True), Stage())

    source = loop_of(system(), task, TrainingParams()).sources["train"]
    network = Assisted(Dims.of(task.train.corpus), TrainingParams())
    wrapped = Generalising(network, objectives["coral"], TrainingParams())
    wrapped.begin(source, TrainingParams())
    batch = source.gather(torch.arange(16))
    before, main = wrapped.stages(TrainingParams())
    for stage, added in ((before, set()), (main, {"coral"})):
        stage.enter()
        assert set(wrapped.train()(batch).losses) == {"aside"} | added


# Representations and refusals


def test_the_representation_is_what_the_last_layer_before_the_prediction_reads(task):
    loop = loop_of(system(), task, TrainingParams())
    network, batch = loop.network.eval(), loop.sources["train"].gather(torch.arange(5))
    with Capture(network) as capture:
        found = capture.representation(network(batch).prediction)
    torch.testing.assert_close(network.last(found).squeeze(1), network(batch).prediction)
    assert not network.last._forward_hooks


class Averages(Network):
    """No linear layer at all."""

    def __init__(self, dims, params):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dims.need("text")[1]))

    def forward(self, batch):
        return Output(batch.text.values.mean(1) @ self.weight)


class Frames(TwoLayers):
    """A prediction per frame."""

    def forward(self, batch):
        return Output(self.last(self.first(batch.text.values)).mean((1, 2)))


@pytest.mark.parametrize("build", [Averages, Frames])
@pytest.mark.parametrize("name", OTHERS)
def test_a_network_without_a_vector_per_clip_is_refused_where_one_is_read(task, build, name):
    params = TrainingParams(objective=name)
    if objectives[name].represents:
        with pytest.raises(SpecError, match="no representation"):
            loop_of(system(build), task, params)
    else:
        assert np.isfinite(loop_of(system(build), task, params).train_epoch(1))


@pytest.mark.parametrize("name", OTHERS)
def test_one_domain_is_refused(corpus, tmp_path, name):
    for single in (corpus, with_domains(corpus, 1)):
        with pytest.raises(SpecError, match="several domains"):
            loop_of(system(), a_task(single, tmp_path), TrainingParams(objective=name))


def test_batches_too_small_to_compare_domains_are_refused(corpus, tmp_path):
    task = a_task(with_domains(corpus, 3), tmp_path)
    with pytest.raises(SpecError, match="at least 6"):
        loop_of(system(), task, TrainingParams(objective="vrex", batch_size=5))
