"""The approximation of MIDG with its two additions: styles, domains, feedback, their absence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from baselines.midg_approx.parts import HardConcrete, MIDGRouter
from baselines.midg_approx.system import MIDG_APPROX
from baselines.midg_simulated import MIDG_SIMULATED, restyled
from baselines.tests.clips import a_batch, build
from harness.spec.protocols import protocols
from harness.system import Task
from harness.text import find_encoder
from harness.training import fit_network, loop_of, total_loss
from harness.training.objectives.vrex import WARM_UP

OFF = {"simulation": False, "feedback": False}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def prepare(make_corpus, small, encoder, tmp_path):
    def make(system=MIDG_SIMULATED, *, domains=0, **changes):
        corpus = make_corpus("mosi")
        if domains:
            names = [f"d{i % domains}" for i in range(len(corpus.clips))]
            corpus = dataclasses.replace(corpus, clips=corpus.clips.assign(domain=names))
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
        return system, task, system.resolve("mosi", small(system, **changes))

    return make


@pytest.fixture
def ready(encoder, small):
    """A network in its last stage, in training without what is drawn anew, but for styles."""

    def make(domains=(0, 1), system=MIDG_SIMULATED, **changes):
        network = build(system, encoder, small, **changes)
        for module in network.modules():
            if isinstance(module, nn.Dropout | nn.MultiheadAttention):
                module.p = module.dropout = 0.0
            if isinstance(module, HardConcrete):
                module._drawn = module.openness.sigmoid
            if isinstance(module, MIDGRouter):
                module.noise = 0.0
        network.domains = torch.tensor(domains)
        network.stages(network.params)[-1].enter()
        network.begin_epoch(WARM_UP + 1)
        return network.train()

    return make


def of_two_domains():
    batch = a_batch(words=(4, 6, 3, 5), audio=(5, 9, 2, 1), vision=(7, 1, 3, 2))
    return dataclasses.replace(batch, domains=torch.tensor([0, 1, 1, 0]))


def states(lengths=(4, 2, 5), size=6):
    values, count = torch.randn(len(lengths), max(lengths), size), torch.tensor(lengths)
    return values, torch.arange(max(lengths)) < count.unsqueeze(1)


def statistics(values, mask):
    """Mean and deviation (B, D) of each clip over its true steps, by NumPy."""
    clips = [v[m].detach().double().numpy() for v, m in zip(values, mask, strict=True)]
    return np.stack([c.mean(0) for c in clips]), np.stack([c.std(0) for c in clips])


def test_a_clip_gets_a_style_between_its_own_and_another_one(monkeypatch):
    """Normalised steps stay what they are, mean and deviation lie between those of two clips."""
    values, mask = states()
    mix, order = torch.tensor([[0.2], [0.9], [0.5]]), torch.tensor([2, 0, 1])
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda _self, _shape: mix)
    monkeypatch.setattr(torch, "randperm", lambda _count, **_options: order)
    found, kept = restyled({"text": (values, mask)}, 0.1)["text"]
    assert kept is mask
    means, deviations = statistics(values, mask)
    share = mix.numpy()
    aims, spreads = (share * s + (1 - share) * s[order.numpy()] for s in (means, deviations))
    got_means, got_deviations = statistics(found, mask)
    assert got_means == pytest.approx(aims, abs=1e-5)
    assert got_deviations == pytest.approx(spreads, abs=1e-4)
    for b in range(3):
        before = (values[b, mask[b]].numpy() - means[b]) / deviations[b]
        after = (found[b, mask[b]].numpy() - got_means[b]) / got_deviations[b]
        assert after == pytest.approx(before, abs=1e-3)


def test_a_clips_modalities_share_a_style_and_padding_is_of_no_account():
    told = {"text": states(), "audio": states((5, 4, 2), 4)}
    torch.manual_seed(3)
    first = restyled(told, 0.1)
    moved = told["text"][0].clone()
    moved[~told["text"][1]] += 7
    torch.manual_seed(3)
    second = restyled({**told, "text": (moved, told["text"][1])}, 0.1)
    for m, (_, mask) in told.items():
        torch.testing.assert_close(first[m][0][mask], second[m][0][mask])


def test_no_gradient_passes_through_a_style():
    values, mask = states()
    values.requires_grad_()
    found = restyled({"text": (values, mask)}, 0.1)["text"][0]
    gradient = torch.autograd.grad(found[0, 0, 0], values)[0]
    assert gradient.count_nonzero() == 1


def test_risk_on_simulated_clips_is_a_loss_of_its_own(ready, monkeypatch):
    network, batch = ready(simulation_weight=3.0), of_two_domains()
    told = network.told(batch)
    other = restyled(told, 0.1)
    monkeypatch.setattr("baselines.midg_simulated.restyled", lambda _told, _alpha: other)
    output = network(batch)
    expected = network.judge(network.averaged(other)).prediction
    risk = (expected - batch.labels).abs().mean()
    torch.testing.assert_close(output.losses["simulation"], 3.0 * risk)
    own = network.judge(network.averaged(told)).prediction
    torch.testing.assert_close(output.prediction, own)
    assert set(output.losses) == {"simulation", "invariance", "sparsity", "balance"}
    assert output.diagnostics["routing"].shape == (4, 6)
    total = (own - batch.labels).abs().mean() + sum(output.losses.values())
    torch.testing.assert_close(total_loss(output, batch, network.params), total)


def test_invariance_is_over_sources_as_they_are_and_simulated(ready, monkeypatch):
    network, batch = ready(vrex_weight=2.0), of_two_domains()
    told = network.told(batch)
    other = restyled(told, 0.1)
    monkeypatch.setattr("baselines.midg_simulated.restyled", lambda _told, _alpha: other)
    risks = []
    for of in (told, other):
        outputs = network.judge(network.averaged(of)).outputs
        errors = (network.head(outputs).squeeze(2) - batch.labels.unsqueeze(1)).abs()
        risks += [errors[batch.domains == d].mean(0).detach().numpy() for d in (0, 1)]
    expected = 2 * np.var(risks, axis=0).mean()
    assert network(batch).losses["invariance"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("domains", "known"), [(0, [0, -1]), (2, [0, 1, -1, -2])])
def test_a_source_is_two_domains(prepare, domains, known):
    system, task, params = prepare(domains=domains)
    network = loop_of(system, task, params).network
    assert network.known_domains.tolist() == known


def test_one_source_is_enough_for_invariance(ready):
    batch = dataclasses.replace(of_two_domains(), domains=None)
    assert ready(domains=())(batch).losses["invariance"].item() > 0
    assert "invariance" not in ready(domains=(0,), simulation=False)(batch).losses


def test_evaluation_simulates_nothing(ready):
    network, batch = ready().eval(), of_two_domains()
    first, second = network(batch), network(batch)
    assert torch.equal(first.prediction, second.prediction)
    assert len(first.prediction) == 4 and not first.losses


def test_a_stream_reads_what_its_adapters_added(ready):
    network, batch = ready(simulation=False).eval(), of_two_domains()
    for adapter in network.adapters.values():
        nn.init.normal_(adapter.up.weight, std=0.1)
    told = network.told(batch)
    for m in network.modalities:
        state, mask = told[m]
        added = [
            network.adapters[f"{m}_from_{n}"](state, *told[n]) for n in network.modalities if n != m
        ]
        layer, x = network.returns[m], state + sum(added)
        normed = layer.norm1(x)
        read, _ = layer.self_attn(normed, normed, normed, key_padding_mask=~mask)
        x = x + read
        x = x + layer.linear2(torch.nn.functional.gelu(layer.linear1(layer.norm2(x))))
        torch.testing.assert_close(network.adapted(m, told)[mask], x[mask])


def test_feedback_learns_in_the_knowledge_stage(prepare):
    system, task, params = prepare()
    loop = loop_of(system, task, params)
    knowledge, _main = loop.network.stages(params)
    knowledge.enter()
    for name, p in loop.network.named_parameters():
        assert p.requires_grad == name.startswith(("adapters.", "tutor.", "returns.")), name
    before = {n: p.clone() for n, p in loop.network.returns.named_parameters()}
    loop.train_epoch(1)
    assert any(not torch.equal(p, before[n]) for n, p in loop.network.returns.named_parameters())


def test_without_adapters_nothing_is_fed_back(ready):
    assert not ready(adapters=False).returns


def test_without_both_it_is_the_approximation(prepare):
    """Weights, losses and predictions, to the last bit."""
    found = []
    for system, changes in ((MIDG_APPROX, {}), (MIDG_SIMULATED, OFF)):
        _, task, params = prepare(system, domains=2, **changes)
        fitted = fit_network(system, task, params)
        found.append(([e.train_loss for e in fitted.history], fitted.predict(task.valid).tolist()))
    assert found[0] == found[1]


def test_its_defaults_are_those_of_the_approximation():
    ours, base = (dataclasses.asdict(s.resolve("mosi", {})) for s in (MIDG_SIMULATED, MIDG_APPROX))
    assert {name: ours[name] for name in base} == base
    assert ours.keys() - base.keys() == {
        *("simulation", "simulation_weight", "simulation_alpha", "feedback"),
    }


def test_cards_tell_what_became_known_and_who_does_it():
    for system in (MIDG_APPROX, MIDG_SIMULATED):
        said = " ".join(system.card.deviations)
        assert "simulated inside a source" in said
        assert "feed back into the uni-modal streams" in said
    assert "midg_approx@simulated" in " ".join(MIDG_APPROX.card.deviations)
    assert "claims none" in MIDG_SIMULATED.card.unlisted
