"""What is compared with MMSA, and that a difference in any quantity is seen; no MMSA in here."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

from harness.errors import RunFailed
from harness.system import systems
from harness.testing import mmsa
from harness.testing.parity import (
    MENDS,
    SHAPES,
    TOLERANCES,
    Counterpart,
    Figures,
    PairOutcome,
    compare,
    counterparts,
    pairs_of,
    staged,
)

MMSA_HAS = {
    *("tfn", "lmf", "ef_lstm", "lf_dnn", "mfn", "graph_mfn", "mult", "misa", "mag_bert", "mfm"),
    *("mlmf", "mlf_dnn", "mtfn", "self_mm", "mmim", "tfr_net", "tetfn", "cenet", "almt", "mctn"),
}
COMPARED = [name for name in counterparts if counterparts[name].model]


def test_every_system_that_mmsa_has_is_compared_or_left_out_with_a_reason():
    assert set(counterparts) == MMSA_HAS <= set(systems)
    for name, known in counterparts.items():
        assert known.model or known.left_out["*"], name
        assert set(known.shapes) <= set(SHAPES)
        assert {mend for mends in known.mends.values() for mend in mends} <= set(MENDS)
        assert known.dtype in TOLERANCES


def test_systems_with_labels_of_streams_are_compared_where_these_are():
    taken = {name: counterparts[name].shapes for name in COMPARED}
    with_streams = {name for name in COMPARED if "unimodal" in systems[name].inputs}
    assert {name for name, shapes in taken.items() if shapes == ("sims",)} == with_streams


def test_pairs_are_systems_by_the_shapes_they_take():
    assert pairs_of(["mtfn", "tfn"], ["sims", "mosi"]) == [
        *[("mtfn", "sims")],
        *[("tfn", "mosi"), ("tfn", "sims")],
    ]


@pytest.mark.parametrize("name", COMPARED)
def test_every_weight_of_ours_has_a_name_over_there(name, tmp_path):
    known = counterparts[name]
    play = staged(systems[name], known, known.shapes[-1 if name != "tfr_net" else 0], tmp_path)
    assert len(set(play.names.values())) == len(play.names)
    assert {n for n, _ in play.network.named_parameters()} <= set(play.names)


def test_a_weight_without_a_rule_and_two_with_one_name_are_refused():
    known = Counterpart(name="ours", model="theirs", rules=((r"a\..+", "A"),))
    assert known.renamed(["a.b"]) == {"a.b": "A"}
    with pytest.raises(RunFailed, match="no rule says which weight of MMSA's theirs is b of ours"):
        known.renamed(["b"])
    with pytest.raises(RunFailed, match="1 weights of ours have the counterpart of another one"):
        known.renamed(["a.b", "a.c"])


# Comparing


def figures(**changes):
    rng = np.random.default_rng(0)
    made = Figures(
        weights=2,
        eval=rng.normal(size=6),
        losses=rng.random(4),
        curve=rng.normal(size=(3, 6)),
        gradients=[{"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}],
        groups={"w": ("Adam", 1e-3, 1e-2, 1e-8), "b": ("Adam", 1e-3, 0.0, 1e-8)},
    )
    return dataclasses.replace(made, **changes)


def moved(values, by):
    changed = np.array(values)
    changed.flat[1] += by
    return changed


def gradient(by):
    first = figures().gradients[0]
    return {"gradients": [{**first, "w": moved(first["w"], by)}]}


def group(**changes):
    return {"groups": {**figures().groups, **changes}}


MUTANTS = {
    "eval": {"eval": moved(figures().eval, 2e-4)},
    "loss": {"losses": moved(figures().losses, 2e-4)},
    "after": {"curve": moved(figures().curve, 2e-4)},
    "grad": gradient(2e-4),
    "groups": group(w=("Adam", 1e-3, 0.0, 1e-8)),
}


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_same_figures_are_equal(dtype):
    found = compare(figures(), figures(), TOLERANCES[dtype])
    assert found.faults == ()
    assert (found.eval, found.first_loss, found.losses, found.after, found.gradient) == (0,) * 5
    assert (found.weights, found.groups, found.parameters) == (2, 0, 2)


@pytest.mark.parametrize("quantity", MUTANTS)
def test_a_difference_in_one_quantity_is_seen_in_that_one_alone(quantity):
    found = compare(figures(**MUTANTS[quantity]), figures(), TOLERANCES["float32"])
    assert found.faults == (quantity,)


@pytest.mark.parametrize("quantity", [name for name in MUTANTS if name != "groups"])
def test_rounding_is_no_difference_unless_it_is_too_large_for_the_format(quantity):
    small = {
        "eval": {"eval": moved(figures().eval, 1e-7)},
        "loss": {"losses": moved(figures().losses, 1e-7)},
        "after": {"curve": moved(figures().curve, 1e-7)},
        "grad": gradient(1e-7),
    }[quantity]
    assert compare(figures(**small), figures(), TOLERANCES["float32"]).faults == ()
    assert compare(figures(**small), figures(), TOLERANCES["float64"]).faults == (quantity,)


def test_batches_that_ours_reads_without_learning_have_no_loss_to_compare():
    unlearned = np.array([*figures().losses[:3], np.nan])
    assert compare(figures(losses=unlearned), figures(), TOLERANCES["float32"]).faults == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": np.full(4, np.nan)},
        {"losses": figures().losses[:3]},
        {"curve": figures().curve[:2]},
        {"eval": np.full(6, np.nan)},
    ],
)
def test_what_is_missing_over_there_is_no_agreement(changes):
    assert compare(figures(), figures(**changes), TOLERANCES["float32"]).faults


def test_a_parameter_that_one_code_alone_trains_is_a_difference():
    (first,) = figures().gradients
    more = group(c=("Adam", 1e-3, 0.0, 1e-8)) | {"gradients": [{**first, "c": np.ones(1)}]}
    found = compare(figures(), figures(**more), TOLERANCES["float32"])
    assert (found.faults, found.groups, found.parameters) == (("groups",), 1, 3)
    found = compare(figures(**more), figures(), TOLERANCES["float32"])
    assert set(found.faults) == {"grad", "groups"}


def test_a_gradient_that_does_not_come_here_is_a_difference():
    (first,) = figures().gradients
    without = {"gradients": [{**first, "b": np.zeros(2)}]}
    assert compare(figures(**without), figures(), TOLERANCES["float32"]).faults == ("grad",)


def test_a_parameter_that_nothing_moves_counts_as_not_trained():
    (first,) = figures().gradients
    still = {"gradients": [{**first, "c": np.zeros(1)}]}
    idle = figures(**group(c=("Adam", 1e-3, 0.0, 1e-8)), **still)
    assert compare(figures(), idle, TOLERANCES["float32"]).faults == ()
    decayed = figures(**group(c=("Adam", 1e-3, 1e-4, 1e-8)), **still)
    assert compare(figures(), decayed, TOLERANCES["float32"]).faults == ("groups",)


def test_verdicts_tell_what_was_left_out_from_what_failed():
    made = compare(figures(), figures(), TOLERANCES["float32"])
    unlike = dataclasses.replace(made, faults=("eval",))
    pair = {"system": "tfn", "shape": "mosi"}
    verdicts = [
        PairOutcome(**pair, figures=made).verdict,
        PairOutcome(**pair, figures=unlike).verdict,
        PairOutcome(**pair, reason="it died", failed=True).verdict,
        PairOutcome(**pair, reason="not there").verdict,
    ]
    assert verdicts == ["equal", "differs", "failed", "left out"]


# A process of MMSA, here one that only answers


STAND_IN = """
import json, sys
for line in sys.stdin:
    if "stop" in line:
        print("a reason", file=sys.stderr)
        raise SystemExit(1)
    print(json.dumps({"asked": json.loads(line or "null")}), flush=True)
"""


@pytest.fixture
def process(tmp_path, monkeypatch):
    driver = tmp_path / "driver.py"
    driver.write_text(STAND_IN)
    monkeypatch.setattr(mmsa, "_DRIVER", driver)
    with mmsa.mmsa_process(sys.executable, tmp_path / "log") as process:
        yield process


def test_requests_are_answered_in_turn(process):
    assert process.ask({"task": "a"}) == {"asked": {"task": "a"}}
    assert process.ask({"task": "b"}) == {"asked": {"task": "b"}}


def test_a_process_that_ends_is_a_failure_with_its_last_words(process):
    with pytest.raises(RunFailed, match="MMSA stopped: a reason"):
        process.ask({"task": "stop"})
    with pytest.raises(RunFailed, match="MMSA stopped: a reason"):
        process.ask({"task": "a"})
