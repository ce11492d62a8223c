"""Ours with one thing changed, beside the real MMSA: ``msa study parity`` must see it.

MMSA lies in an environment of its own, which ``tox -e parity`` makes.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from harness.errors import RunFailed
from harness.home import Home
from harness.testing import mmsa
from harness.testing.parity import compare_pair, counterparts, study, write_encoders

pytestmark = [pytest.mark.parity, pytest.mark.slow]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Compares a system on a shape after a change of ours."""
    folder = tmp_path_factory.mktemp("parity")
    encoders = write_encoders(folder / "encoders")
    count = iter(range(100))
    python = mmsa.mmsa_python(Home.default())
    with mmsa.mmsa_process(python, folder / "log") as process:

        def compare(name, shape, change):
            place = folder / str(next(count))
            return compare_pair((name, shape), process, place, encoders, change=change).faults

        yield compare


def as_it_is(play):
    return play


def nudged(name):
    """One number of a weight moved by 0.01."""

    def change(play):
        with torch.no_grad():
            play.network.get_parameter(name).flatten()[0] += 1e-2
        return play

    return change


def setting(**changes):
    def change(play):
        return dataclasses.replace(play, params=dataclasses.replace(play.params, **changes))

    return change


def another_mean(play):
    """A running mean moved by a tenth."""
    play.network.nets.audio[0].running_mean.add_(0.1)
    return play


def of_the_network(**changes):
    def change(play):
        for name, value in changes.items():
            setattr(play.network, name, value)
        return play

    return change


def longer_gradient(name):
    """The gradient of one weight a thousandth longer."""

    def change(play):
        play.network.get_parameter(name).register_hook(lambda values: 1.001 * values)
        return play

    return change


def with_positions(play):
    """MulT as in its paper; MMSA's has no positions."""
    for reader in play.network.readers.values():
        reader.positions = True
    return play


def everywhere_positions(play):
    """TFR-Net with positions for steps of zeros, too."""
    for reader in play.network.readers.values():
        reader.__class__ = type(reader).__mro__[1]
    return play


# system, shape, what is changed, quantities in which it must show
SEEN = {
    "nothing": ("lf_dnn", "sims", as_it_is, set()),
    "a weight": ("lf_dnn", "sims", nudged("head.5.bias"), {"eval", "loss", "after"}),
    "a weight of one task": ("mlf_dnn", "sims", nudged("heads.audio.5.bias"), {"loss"}),
    "a running mean": ("tfn", "mosi", another_mean, {"eval", "after"}),
    "a position": ("mult", "sims", with_positions, {"eval", "loss", "after", "grad"}),
    "positions of silence": ("tfr_net", "mosi", everywhere_positions, {"eval", "loss", "after"}),
    "the loss": ("lf_dnn", "sims", setting(loss="mse"), {"loss", "after", "grad"}),
    "a gradient": ("lf_dnn", "sims", longer_gradient("head.1.weight"), {"grad"}),
    "a decay": ("lf_dnn", "sims", setting(weight_decay=0.0), {"groups", "after"}),
    "a decay of heads": ("mtfn", "sims", setting(text_decay=0.0), {"groups"}),
    "a rate": ("lmf", "sims", setting(lr=1e-3), {"groups", "after"}),
    "a rate of one part": ("self_mm", "mosi", setting(vision_lr=1e-3), {"groups", "after"}),
    "an optimiser": ("lf_dnn", "sims", setting(optimizer="adamw"), {"groups", "after"}),
    "steps of single batches": ("misa", "sims", setting(accumulate=1), {"after"}),
    "labels of an incomplete step": (
        *("self_mm", "mosi"),
        of_the_network(reads_rest=False),
        {"after"},
    ),
}


@pytest.mark.parametrize("what", SEEN)
def test_a_change_shows_where_it_must(compared, what):
    name, shape, change, quantities = SEEN[what]
    found = set(compared(name, shape, change))
    assert quantities <= found if quantities else found == set()


def test_a_weight_that_nothing_stands_for_is_told(compared, monkeypatch):
    short = dataclasses.replace(counterparts["tfn"], own=())
    monkeypatch.setattr(study, "counterparts", {"tfn": short})
    with pytest.raises(RunFailed, match=r"no weight of tfn stands for Model\.output_range"):
        compared("tfn", "mosi", as_it_is)
