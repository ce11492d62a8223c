"""How released code trains: rates and decays by parameter, stages, starts; and what ``fixed`` does.

Of systems whose figures are in ``golden``, too, what those do not show. Settings are MMSA 2.2.1's
(``config_regression.json``, MOSI or CH-SIMS) or those of the authors' code that a card names.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from baselines._shared.transformer import CrossModalEncoder
from baselines._shared.zero_steps import ValuedPositions
from harness.system import TrainingProgress, systems
from harness.training import OptimiserPass, loop_of

KEPT = ("bias", "LayerNorm.weight")  # of BERT, never decayed
RATES = {
    # prefix of the parameter -> rate, decay
    "mtfn": {
        **{"nets.text": (5e-3, 1e-3), "nets.audio": (5e-3, 1e-4), "nets.vision": (5e-3, 1e-5)},
        **{"head": (5e-3, 0.0), "heads": (5e-3, 0.0)},
    },
    "clgsi": {
        **{"encoder": (5e-5, 1e-2), "audio": (5e-3, 1e-2), "vision": (1e-3, 1e-3)},
        "": (1e-2, 1e-3),
    },
    "c_mib": {"encoder": (1e-5, 0.0), "text": (1e-5, 0.0), "": (2e-5, 0.0)},
    "tf_mamba": {"": (1e-4, 1e-4)},
    "imder": {"": (2e-3, 0.0)},
    "cenet": {"encoder": (1e-5, 1e-4), "enhance": (1e-5, 1e-4), "head": (1e-5, 1e-4)},
    "self_mm": {
        **{"encoder": (5e-5, 1e-3), "audio": (5e-3, 1e-3), "vision": (5e-3, 1e-3)},
        "heads": (1e-3, 1e-3),
    },
    "tetfn": {
        **{"encoder": (3e-5, 1e-3), "audio": (5e-4, 1e-2), "vision": (3e-4, 0.0)},
        **{"convolutions.audio": (5e-4, 1e-2), "convolutions.vision": (3e-4, 0.0)},
        **{part: (3e-4, 1e-2) for part in ("convolutions.text", "readers", "memories", "heads")},
    },
    "tfr_net": {"encoder": (2e-6, 1e-4), "": (1e-3, 1e-3)},
    "emt_dlfr": {
        **{"encoder": (5e-5, 1e-3), "readers.audio": (1e-3, 1e-2)},
        **{"readers.vision": (1e-4, 1e-3), "": (1e-3, 1e-3)},
    },
    "conki": {
        **{"branches.text.bert": (5e-6, 1e-3), "branches.audio.encoding": (5e-6, 1e-3)},
        **{"branches.vision.encoding": (5e-6, 1e-3), "": (1e-6, 1e-3)},
    },
}
EPSILON = {"cenet": 3e-8}
STAGES = {
    # name -> epochs, patience, first epoch kept, warm-up in epochs, optimiser
    "clgsi": [("main", None, None, 1, 10.0, "AdamW")],
    "ithp": [("main", None, 30, 1, 3.0, "AdamW")],
    "c_mib": [("main", None, 50, 1, 0.0, "Adam")],
    "imder": [(stage, None, 20, 1, 0.0, "Adam") for stage in ("complete", "main")],
    "tf_mamba": [("main", None, 200, 1, 20.0, "AdamW")],
    "tfr_net": [("main", None, 6, 1, 0.0, "Adam")],
    "dlf": [("main", None, 10, 1, 0.0, "Adam")],
    "dmd": [("main", None, 10, 1, 0.0, "Adam")],
    "emoe": [("main", None, 10, 1, 0.0, "Adam")],
    "emt_dlfr": [("main", None, 8, 1, 0.0, "Adam")],
    "almt": [("main", None, 200, 1, 20.0, "AdamW")],
    "lnln": [("main", None, 200, 1, 20.0, "AdamW")],
    "text@published": [("main", None, 200, 1, 20.0, "AdamW")],
    "conki": [("knowledge", 10, 10, 1, 1.0, "AdamW"), ("main", None, 200, 2, 10.0, "AdamW")],
    "kuda": [
        *(
            (f"{m}_knowledge", n, None, n, n / 10, "AdamW")
            for m, n in {"text": 100, "vision": 100, "audio": 50}.items()
        ),
        ("main", None, 50, 1, 5.0, "AdamW"),
    ],
    "confede": [
        ("text_head", 66, 66, 2, 5.0, "AdamW"),
        ("text", 134, 134, 2, 0.0, "AdamW"),
        ("vision", 100, 100, 2, 5.0, "AMSGrad"),
        ("audio", 100, 100, 2, 10.0, "AMSGrad"),
        ("main", None, 25, 2, 1.0, "AdamW"),
    ],
}


def rates_of(network, params, stage=None):
    """Parameter -> rate, decay and epsilon in a stage, the last unless said."""
    stage = stage or network.stages(params)[-1]
    stage.enter()
    sweep = OptimiserPass(network, stage.passes[0], stage, params, batches=4, epochs=4)
    names = {id(p): name for name, p in network.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"], group["eps"])
        for group in sweep.optimizer.param_groups
        for p in group["params"]
    }


def misplaced(name, network, params):
    """Parameters whose rate, decay or epsilon is not that of the released code."""
    rules, eps = RATES[name], EPSILON.get(name, 1e-8)
    wrong = []
    for parameter, found in rates_of(network, params).items():
        rule = max((p for p in rules if parameter.startswith(p)), key=len)
        rate, decay = rules[rule]
        spared = parameter.endswith(KEPT) and (
            rule in ENCODERS or (name == "cenet" and rule == "head")
        )
        if found != (rate, 0.0 if spared else decay, eps):
            wrong.append((parameter, found))
    return wrong


ENCODERS = ("encoder", "branches.text.bert")


def stages_of(network, params):
    """What ``STAGES`` lists, of a network."""
    told = []
    for stage in network.stages(params):
        own = stage.params or params
        epochs = stage.epochs or own.epochs or 100
        stage.enter()
        sweep = OptimiserPass(network, stage.passes[0], stage, params, batches=4, epochs=4)
        kind = type(sweep.optimizer).__name__
        kind = "AMSGrad" if sweep.optimizer.defaults["amsgrad"] and kind == "Adam" else kind
        warm = round(own.warmup * epochs, 6)
        told.append((stage.name, stage.epochs, stage.patience, stage.eligible, warm, kind))
    return told


@pytest.mark.parametrize("name", RATES)
def test_every_parameter_has_the_released_rate_and_decay(released, name):
    assert misplaced(name, *released(name)) == []


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_as_released(released, name):
    assert stages_of(*released(name)) == STAGES[name]


@pytest.mark.parametrize("name", sorted(STAGES.keys() - {"text@published"}))
def test_fixed_leaves_patience_and_selection_to_the_protocol(released, name):
    network, params = released(name, quirk="fixed")
    assert {(s.patience, s.eligible, s.params) for s in network.stages(params)} <= {
        (None, 1, None),
        (None, 1, params),
    }


def test_confede_on_mosei_spares_biases_and_norms_and_sims_keeps_no_early_epoch(released):
    network, params = released("confede", "mosei")
    audio = next(s for s in network.stages(params) if s.name == "audio")
    spared = {n for n, (_, decay, _) in rates_of(network, params, audio).items() if decay == 0}
    assert spared and all(n.endswith("bias") or "norm" in n for n in spared)
    assert {s.eligible for s in released("confede", "sims")[0].stages(params)} == {11}


@pytest.mark.parametrize("name", ["confede", "conki"])
def test_released_warmups_start_at_a_rate_of_zero(released, name):
    params = released(name)[1]
    at = [TrainingProgress(step=k, steps=1000, epoch=1, epochs=10) for k in (0, 10, 900)]
    warm = round(1000 * params.warmup)
    assert [params.lr_factor(a) for a in at[:2]] == [0.0, 10 / warm]
    fixed = dataclasses.replace(params, quirk="fixed")
    assert fixed.lr_factor(at[0]) == 1 / warm and fixed.lr_factor(at[2]) == params.lr_factor(at[2])


@pytest.mark.parametrize("name", ["kuda", "almt"])
def test_the_first_epoch_of_a_rate_by_the_epoch_is_idle(released, name):
    params = released(name)[1]
    at = TrainingProgress(step=3, steps=40, epoch=1, epochs=20)
    assert params.lr_factor(at) == 0.0 < dataclasses.replace(params, quirk="fixed").lr_factor(at)


def spread(layer):
    return float(layer.weight.detach().std())


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_cenet_starts_as_bert_does_where_it_did(released, quirk):
    network, _ = released("cenet", quirk=quirk)
    layers = [m for m in network.enhance.modules() if isinstance(m, torch.nn.Linear)]
    small = all(abs(spread(m) - 0.02) < 0.01 and not m.bias.any() for m in layers)
    assert small == (quirk == "published")
    assert (abs(spread(network.head[4]) - 0.02) < 0.01) == (quirk == "published")


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_conki_has_berts_layers_where_it_had(released, quirk):
    network, _ = released("conki", quirk=quirk)
    ((layer, *_),) = [a.layers for a in network.branches["audio"].adapters]
    assert layer.dropout.p == (0.0 if quirk == "published" else 0.1)
    assert bool(layer.self_attn.in_proj_bias.any()) == (quirk == "published")


def test_a_step_whose_first_feature_is_zero_has_no_position():
    torch.manual_seed(0)
    plain, valued = (kind(8, 2, 1) for kind in (CrossModalEncoder, ValuedPositions))
    valued.load_state_dict(plain.state_dict())
    steps = torch.randn(2, 5, 8)
    torch.testing.assert_close(valued(steps), plain(steps))
    steps[0, 3:] = 0
    unplaced = CrossModalEncoder(8, 2, 1, positions=False)
    assert torch.equal(valued._embed(steps)[0, 3:], unplaced._embed(steps)[0, 3:])
    assert torch.equal(valued._embed(steps)[1], plain._embed(steps)[1])


@pytest.mark.parametrize(("name", "part"), [("tfr_net", "readers"), ("dlf", "specific")])
@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_positions_are_by_value_where_they_were(released, name, part, quirk):
    network, _ = released(name, quirk=quirk)
    kinds = {isinstance(m, ValuedPositions) for m in getattr(network, part).values()}
    assert kinds == {quirk == "published"}


@pytest.mark.parametrize("name", ["self_mm", "tetfn"])
def test_labels_of_an_incomplete_step_move_and_weights_do_not(fitting, task, small, name):
    system = systems[name]
    own = task(fitting(system), epochs=2)
    changes = small(system, quirk="published", batch_size=4, accumulate=4)
    loop = loop_of(system, own, system.resolve("mosi", changes))
    seen = []
    update = loop.network.bank.update
    loop.network.bank.update = lambda rows, features: (
        seen.extend(rows.tolist()),
        update(rows, features),
    )
    loop.train_epoch(1)
    assert sorted(seen) == list(range(len(own.train)))
    assert loop.sweeps[0].step == len(seen) // 16 < len(seen) / 16
