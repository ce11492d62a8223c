"""The approximation of MIDG: its equations, what each stage trains, and its ablations."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import nn

from baselines.midg_approx.parts import CrossModalAdapter, HardConcrete, MIDGRouter, load_imbalance
from baselines.midg_approx.system import MIDG_APPROX, subsets_of
from baselines.tests.clips import a_batch, build
from harness.errors import SpecError
from harness.spec.protocols import protocols
from harness.system import Task
from harness.text import find_encoder
from harness.training import fit_network, loop_of, total_loss
from harness.training.objectives.vrex import WARM_UP

ALL = ("text", "audio", "vision")
PLAIN = {"mixture": False, "adapters": False, "knowledge_stage": False, "invariance": "none"}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def still(network):
    """Without what is drawn anew in every training step."""
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.MultiheadAttention):
            module.p = module.dropout = 0.0
        if isinstance(module, HardConcrete):
            module._drawn = module.openness.sigmoid
        if isinstance(module, MIDGRouter):
            module.noise = 0.0
    return network


def two_domains():
    """Six clips, three of each of two domains."""
    batch = a_batch(words=(4, 6, 3, 5, 2, 4), audio=(5, 9, 2, 1, 4, 3), vision=(7, 1, 3, 2, 5, 6))
    return dataclasses.replace(batch, domains=torch.tensor([0, 2, 2, 0, 2, 0]))


@pytest.fixture
def ready(small, encoder):
    """A network in its last stage that knows of two domains, and a batch of both."""

    def make(**changes):
        network = still(build(MIDG_APPROX, encoder, small, **changes))
        network.domains = torch.tensor([0, 2])
        network.stages(network.params)[-1].enter()
        network.begin_epoch(WARM_UP + 1)
        return network.train(), two_domains()

    return make


@pytest.fixture
def prepare(make_corpus, small, encoder, tmp_path):
    def make(streams=None, *, knowledge=None, domains=0, **changes):
        corpus = make_corpus("mosi") if streams is None else make_corpus("mosi", streams=streams)
        if domains:
            names = [f"d{i % domains}" for i in range(len(corpus.clips))]
            corpus = dataclasses.replace(corpus, clips=corpus.clips.assign(domain=names))
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=dataclasses.replace(protocols["in_domain"], max_epochs=WARM_UP + 1),
            seed=1111,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
            knowledge=knowledge,
        )
        if knowledge is not None:
            changes["knowledge"] = knowledge.name
        return task, MIDG_APPROX.resolve("mosi", small(MIDG_APPROX, **changes))

    return make


def test_experts_are_the_subsets_below_the_full_set():
    expected = [s for size in (1, 2) for s in combinations(ALL, size)]
    assert list(subsets_of(ALL)) == expected
    assert len(expected) == 6
    assert subsets_of(("text",)) == (("text",),)


def test_gates_follow_the_hard_concrete_law():
    gate = HardConcrete(20_000, 2 / 3)
    nn.init.constant_(gate.openness, 0.4)
    drawn = gate.train()(torch.ones(1, 20_000)).detach().numpy()[0]
    uniform = np.random.default_rng(0).uniform(size=200_000)
    expected = np.clip(expit((logit(uniform) + 0.4) / (2 / 3)) * 1.2 - 0.1, 0, 1)
    for share in (lambda z: (z == 0).mean(), lambda z: (z == 1).mean(), np.mean):
        assert share(drawn) == pytest.approx(share(expected), abs=0.015)
    assert gate.open_share().item() == pytest.approx((expected > 0).mean(), abs=0.005)
    evaluated = gate.eval()(torch.ones(1, 20_000))[0, 0].item()
    assert evaluated == pytest.approx(np.clip(expit(0.4) * 1.2 - 0.1, 0, 1), abs=1e-6)


def test_a_new_cross_modal_adapter_adds_nothing_and_then_reads_true_steps_only():
    adapter, reader, read = CrossModalAdapter(8, 4, 2), torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    assert not adapter(reader, read, mask).any()
    nn.init.normal_(adapter.up.weight)
    moved = read.clone()
    moved[0, 3:] += 1
    torch.testing.assert_close(adapter(reader, moved, mask), adapter(reader, read, mask))
    moved[0, 2] += 1
    assert not torch.allclose(adapter(reader, moved, mask)[0], adapter(reader, read, mask)[0])


def test_the_best_three_experts_share_the_say():
    router = MIDGRouter(4, 6, 3, noise=0.0)
    features = torch.randn(5, 4)
    weights, shares = router(features)
    expected = torch.softmax(router.logits(features), 1).detach().numpy()
    for row, found in zip(expected, weights.detach().numpy(), strict=True):
        best = np.argsort(row)[-3:]
        assert set(np.flatnonzero(found)) == set(best)
        np.testing.assert_allclose(found[best], row[best] / row[best].sum(), rtol=1e-5)
    np.testing.assert_allclose(shares.detach().numpy(), expected, rtol=1e-5)


def test_imbalance_is_one_at_best():
    even = torch.eye(4)[:, [0, 1, 2, 3]]
    assert load_imbalance(even, torch.full((4, 4), 0.25)).item() == pytest.approx(1)
    crowd = torch.tensor([[1.0, 0, 0, 0]]).repeat(4, 1)
    assert load_imbalance(crowd, crowd).item() == pytest.approx(4)


def test_prediction_is_that_of_the_shared_and_the_routed_experts(ready):
    network, batch = ready()
    for adapter in network.adapters.values():
        nn.init.normal_(adapter.up.weight, std=0.1)
    network.eval()
    states, masks = {}, {}
    for m in ALL:
        read = batch.tokens if m == "text" else getattr(batch, m)
        states[m], masks[m] = network.encoders[m](read)
    pooled = {}
    for m in ALL:
        told = [
            network.adapters[f"{m}_from_{n}"](states[m], states[n], masks[n]) for n in ALL if n != m
        ]
        adapted = states[m] + sum(told)
        pooled[m] = torch.stack([s[k].mean(0) for s, k in zip(adapted, masks[m], strict=True)])
    joined = torch.cat([pooled["audio"], pooled["vision"]], dim=1)
    weights, _ = network.router(joined)
    mixed = network.shared(torch.cat([pooled[m] for m in ALL], dim=1))
    for i, subset in enumerate(network.subsets):
        vectors = torch.cat([pooled[m] for m in subset], dim=1)
        mixed = mixed + weights[:, i : i + 1] * network.experts[i](vectors)
    output = network(batch)
    torch.testing.assert_close(output.prediction, network.head(mixed).squeeze(1))
    torch.testing.assert_close(output.diagnostics["routing"], weights)


def test_the_router_does_not_see_the_text(ready):
    network, batch = ready(adapters=False)
    words = dataclasses.replace(batch.tokens, ids=batch.tokens.ids.roll(1, 0))
    other = dataclasses.replace(batch, tokens=words)
    network.eval()
    first, second = network(batch), network(other)
    assert not torch.allclose(first.prediction, second.prediction)
    assert torch.equal(first.diagnostics["routing"], second.diagnostics["routing"])


def judgements(network, batch):
    """(B, 7) what each expert says by itself, and (B, 7, D) its output."""
    seen = []
    modules = [network.shared, *network.experts]
    hooks = [m.register_forward_hook(lambda _m, _i, out: seen.append(out)) for m in modules]
    network(batch)
    for hook in hooks:
        hook.remove()
    outputs = torch.stack(seen, dim=1).detach()
    return network.head(outputs).squeeze(2).detach().numpy(), outputs.numpy()


def test_invariance_is_the_variance_of_every_experts_risk(ready):
    network, batch = ready(vrex_weight=5.0)
    told, _ = judgements(network, batch)
    errors = np.abs(told - batch.labels.numpy()[:, None])
    risks = [errors[batch.domains.numpy() == d].mean(0) for d in (0, 2)]
    expected = 5 * np.var(risks, axis=0).mean()
    assert network(batch).losses["invariance"].item() == pytest.approx(expected, rel=1e-4)
    network.begin_epoch(WARM_UP)
    assert network(batch).losses["invariance"].item() == 0


def test_invariance_may_be_the_distance_of_every_experts_moments(ready):
    network, batch = ready(invariance="coral", coral_weight=7.0)
    _, outputs = judgements(network, batch)
    gaps = []
    for expert in range(7):
        a, b = (outputs[batch.domains.numpy() == d, expert] for d in (0, 2))
        gaps.append(
            ((a.mean(0) - b.mean(0)) ** 2).mean() + ((np.cov(a.T) - np.cov(b.T)) ** 2).mean()
        )
    found = network(batch).losses["invariance"].item()
    assert found == pytest.approx(7 * np.mean(gaps), rel=1e-3)


def test_total_loss_is_the_task_and_three_terms(ready):
    network, batch = ready(sparsity_weight=0.5, balance_weight=2.0)
    output = network(batch)
    gates = [m for m in network.modules() if isinstance(m, HardConcrete)]
    assert len(gates) == 7
    share = sum(gate.open_share() for gate in gates)
    weights, shares = network.router(
        torch.cat([network.averaged(network.told(batch))[m] for m in ("audio", "vision")], dim=1)
    )
    expected = (
        (output.prediction - batch.labels).abs().mean()
        + output.losses["invariance"]
        + 0.5 * share
        + 2.0 * load_imbalance(weights, shares)
    )
    assert set(output.losses) == {"invariance", "sparsity", "balance"}
    torch.testing.assert_close(total_loss(output, batch, network.params), expected)


@pytest.mark.parametrize("known", [torch.empty(0), torch.tensor([0])])
def test_one_domain_has_nothing_to_be_invariant_to(ready, known):
    network, batch = ready()
    network.domains = known
    assert "invariance" not in network(batch).losses


# Ablations


def test_all_ablations_together_are_erm_with_the_same_encoders(ready):
    network, batch = ready(**PLAIN)
    output = network(batch)
    assert not output.losses
    assert not output.diagnostics
    assert [stage.name for stage in network.stages(network.params)] == ["main"]
    full, _ = ready()
    assert network.encoders.state_dict().keys() == full.encoders.state_dict().keys()
    others = {n.partition(".")[0] for n, _ in network.named_parameters()} - {"encoders"}
    assert others == {"shared", "head"}


@pytest.mark.parametrize(
    ("changes", "stages"),
    [({"adapters": False}, 1), ({"knowledge_stage": False}, 1), ({"mixture": False}, 2)],
)
def test_each_ablation_trains(prepare, changes, stages):
    task, params = prepare(domains=2, **changes)
    fitted = fit_network(MIDG_APPROX, task, params)
    assert len({epoch.stage for epoch in fitted.history}) == stages
    assert np.isfinite(fitted.predict(task.valid)).all()


@pytest.mark.parametrize(
    ("streams", "experts"), [({}, 1), ({"audio": (11, 5)}, 2), ({"vision": (8, 4)}, 2)]
)
def test_absent_streams_leave_fewer_experts(prepare, streams, experts):
    task, params = prepare(streams, domains=2)
    loop = loop_of(MIDG_APPROX, task, params)
    assert len(loop.network.experts) == experts
    loop.run()
    assert np.isfinite(loop.curves["valid"][-1]).all()


# Stages


def test_what_each_stage_trains(prepare):
    task, params = prepare()
    loop = loop_of(MIDG_APPROX, task, params)
    network = loop.network
    knowledge, main = network.stages(params)
    assert not knowledge.on_knowledge
    knowledge.enter()
    for name, p in network.named_parameters():
        assert p.requires_grad == name.startswith(("adapters.", "tutor.")), name
    main.enter()
    for name, p in network.named_parameters():
        assert p.requires_grad != (name.startswith("tutor.") or "pooler" in name), name
    groups = network.parameter_groups(params)
    rates = [group.get("lr", params.lr) for group in groups]
    assert rates == [params.encoder_lr, pytest.approx(0.1 * params.lr), params.lr]
    assert {id(p) for p in network.adapters.parameters()} == set(map(id, groups[1]["params"]))


def test_adapters_learn_in_the_knowledge_stage(prepare):
    task, params = prepare()
    loop = loop_of(MIDG_APPROX, task, params)
    frozen = {n: p.clone() for n, p in loop.network.encoders.named_parameters()}
    loop.train_epoch(1)
    assert all(a.up.weight.any() for a in loop.network.adapters.values())
    for name, p in loop.network.encoders.named_parameters():
        assert torch.equal(p, frozen[name]), name


def test_knowledge_of_the_same_features_is_taken_and_of_others_refused(prepare, make_corpus):
    task, params = prepare(knowledge=make_corpus("mosei"))
    loop = loop_of(MIDG_APPROX, task, params)
    assert loop.stage.on_knowledge
    assert np.isfinite(loop.train_epoch(1))
    other = make_corpus("mosei", streams={"audio": (20, 7), "vision": (5, 3)})
    task, params = prepare(knowledge=other)
    with pytest.raises(SpecError, match="one feature space"):
        loop_of(MIDG_APPROX, task, params).train_epoch(1)


def test_the_card_calls_it_an_approximation_and_claims_no_number():
    assert "approximation" in MIDG_APPROX.card.title
    assert "claims none" in MIDG_APPROX.card.unlisted
