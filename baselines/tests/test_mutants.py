"""One thing changed in a system as released: the comparisons with published code must see it."""

from __future__ import annotations

import functools

import pytest
import torch

import baselines.confede.system
import baselines.conki.system
import baselines.dlf
import baselines.lnln
import baselines.tfr_net
from baselines._shared.transformer import CrossModalEncoder
from baselines.confede.system import ConFEDE
from baselines.tests.rehearsals import differences
from baselines.tests.test_published_training import STAGES, misplaced, stages_of
from harness.system import Network

pytestmark = pytest.mark.slow


@torch.no_grad()
def nudged(name, network):
    """Change one number of a parameter by what an optimiser might in ten steps."""
    dict(network.named_parameters())[name].flatten()[0] += 1e-2


def weight(name):
    return lambda _patch: {"before": functools.partial(nudged, name)}


def setting(**changes):
    return lambda _patch: changes


def code(owner, name, value):
    def change(patch):
        patch.setattr(owner, name, value)
        return {}

    return change


# system, what is changed, epochs after which it must show
SEEN = {
    "text, a bias of the head": ("text@published", weight("head.regress.0.bias"), 0),
    "text, a position": ("text@published", weight("encoders.audio.position"), 0),
    "text, the decay": ("text@published", setting(weight_decay=0.0), 0),
    "text, padding masked": ("text@published", setting(masks=True), 0),
    "text, no idle epoch": ("text@published", setting(idle_epoch=False), 1),
    "almt, a weight of the head": ("almt", weight("head.weight"), 0),
    "almt, the rate": ("almt", setting(lr=2e-4), 0),
    "almt, the rate by the step": ("almt", setting(quirk="fixed"), 1),
    "lnln, a weight of the judge": ("lnln", weight("judge.2.weight"), 0),
    "lnln, a weight of a loss": ("lnln", setting(completeness_weight=0.8), 1),
    "lnln, the sign of a gradient": (
        "lnln",
        code(baselines.lnln, "reversed_gradient", lambda values: values),
        1,
    ),
    "dlf, positions of padding": (
        "dlf",
        code(baselines.dlf, "ValuedPositions", CrossModalEncoder),
        0,
    ),
    "dlf, the decay": ("dlf", setting(weight_decay=5e-3), 0),
    "dlf, a weight of a loss": ("dlf", setting(text_weight=2.9), 1),
    "kuda, a weight of the head": ("kuda", weight("head.0.weight"), 0),
    "kuda, the decay": ("kuda", setting(weight_decay=1e-4), 0),
    "kuda, a weight of a loss": ("kuda", setting(nce_weight=0.11), 1),
    "confede, biases that decay": (
        "confede",
        code(ConFEDE, "parameter_groups", Network.parameter_groups),
        0,
    ),
    "confede, the temperature": ("confede", setting(temperature=0.45), 1),
    "confede, a warm-up from its first step": (
        "confede",
        code(baselines.confede.system, "from_zero", lambda params, at: None),
        1,
    ),
}
PLACED = {
    "mtfn, heads that decay": ("mtfn", {"quirk": "fixed"}),
    "mtfn, the decay of audio": ("mtfn", {"audio_decay": 1e-3}),
    "self_mm, the rate of vision": ("self_mm", {"vision_lr": 1e-3}),
    "tetfn, the decay of the rest": ("tetfn", {"weight_decay": 1e-3}),
    "cenet, the epsilon": ("cenet", {"adam_eps": 1e-8}),
    "tfr_net, the decay of the encoder": ("tfr_net", {"encoder_decay": 1e-3}),
    "conki, the rate of encoders": ("conki", {"encoder_lr": 1e-6}),
}
STAGED = {
    "tfr_net, patience": ("tfr_net", code(baselines.tfr_net, "PATIENCE", 8), {}),
    "dlf, patience": ("dlf", code(baselines.dlf, "PATIENCE", 8), {}),
    "conki, warm-up of stage 1": ("conki", setting(), {"knowledge_warmup": 0.05}),
    "conki, the first epoch kept": ("conki", code(baselines.conki.system, "FIRST_KEPT", 1), {}),
    "confede, AMSGrad": ("confede", setting(), {"stream_optimizer": "adam"}),
    "confede, warm-up of audio": ("confede", setting(), {"audio_warmup": 5}),
    "lnln, the epochs": ("lnln", setting(), {"epochs": 100}),
    "kuda, what stage 1 keeps": ("kuda", setting(), {"quirk": "fixed"}),
}


@pytest.mark.parametrize("mutant", SEEN)
def test_figures_see_a_change(mutant, tmp_path, monkeypatch):
    name, change, epochs = SEEN[mutant]
    assert differences(name, tmp_path, monkeypatch, epochs=epochs, **change(monkeypatch)) != []


@pytest.mark.parametrize("mutant", PLACED)
def test_tables_of_rates_see_a_change(mutant, released):
    name, changes = PLACED[mutant]
    assert misplaced(name, *released(name, **changes)) != []


@pytest.mark.parametrize("mutant", STAGED)
def test_tables_of_stages_see_a_change(mutant, released, monkeypatch):
    name, change, changes = STAGED[mutant]
    change(monkeypatch)
    assert stages_of(*released(name, **changes)) != STAGES[name]


def test_there_are_mutants_of_many_systems():
    mutants = [name for name, *_ in (*SEEN.values(), *PLACED.values(), *STAGED.values())]
    assert len(mutants) >= 20 and len(set(mutants)) >= 8
