"""Every network of the zoo has a representation that objectives can act on."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from harness.checks.conformance import check
from harness.spec.protocols import protocols
from harness.system import Pass, Task, systems
from harness.text import find_encoder
from harness.training import batches_of, total_loss, untrained
from harness.training.objectives import objectives

NETWORKS = [name for name, system in systems.items() if system.build is not None]


def of_two_domains(corpus):
    names = [f"d{i % 2}" for i in range(len(corpus.clips))]
    return dataclasses.replace(corpus, clips=corpus.clips.assign(domain=names))


@pytest.fixture
def prepared(fitting, small, encoder, tmp_path):
    """A network under an objective, ready for its last stage, and a batch of two domains."""

    def prepare(name, objective):
        system = systems[name]
        corpus = of_two_domains(fitting(system))
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=protocols["in_domain"],
            seed=1,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
        )
        params = system.resolve(corpus.dataset.name, small(system, objective=objective))
        network = untrained(system, task, params)
        source = batches_of(system, task.train, task, params)
        network.begin(source, params)
        stage = network.stages(params)[-1]
        stage.enter()
        network.begin_epoch(6)
        return network.train(), source.gather(torch.arange(8)), params, stage.passes[-1]

    return prepare


@pytest.mark.parametrize("name", NETWORKS)
def test_the_objective_reaches_what_makes_the_representation(prepared, name):
    network, batch, params, plan = prepared(name, "dann")
    assert isinstance(plan, Pass) and plan.loss is None
    output = network(batch)
    assert torch.isfinite(total_loss(output, batch, params))
    output.losses["dann"].backward()
    grouped = {id(p) for group in plan.groups(params) for p in group["params"]}
    assert {id(p) for p in network.term.parameters()} <= grouped
    reached = [p for p in network.network.parameters() if p.grad is not None and p.grad.any()]
    assert reached, "the gradient ends at the discriminator"


@pytest.mark.parametrize("objective", [name for name in objectives if name != "erm"])
def test_a_network_under_an_objective_conforms(fitting, small, tmp_path, objective):
    system = systems["lf_dnn"]
    changes = small(system, objective=objective)
    findings = check(system, of_two_domains(fitting(system)), changes, cache=tmp_path)
    assert [(f.check, f.detail) for f in findings if f.outcome != "passed"] == []
