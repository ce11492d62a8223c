"""Hyper-parameters: the schedule, the presets, what an ablation reads, what is refused."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from harness.errors import SpecError
from harness.system.params import TrainingProgress
from text_model.params import TextParams
from text_model.text import TEXT, TEXT_PUBLISHED


def rates(system, dataset, epochs, **changes):
    """Learning rate of each epoch, from epoch 1; the planned number of epochs plays no part."""
    params = system.resolve(dataset, changes)
    return [
        params.lr * params.lr_factor(TrainingProgress(step=7, steps=99, epoch=e, epochs=42))
        for e in range(1, epochs + 1)
    ]


@pytest.mark.parametrize("dataset", ["mosi", "mosei"])
def test_released_schedule(dataset):
    found = rates(TEXT_PUBLISHED, dataset, 200)
    expected = [
        1e-4 * (e - 1) / 20 if e <= 21 else 5e-5 * (1 + math.cos(math.pi * (e - 22) / 180))
        for e in range(1, 201)
    ]
    assert found == pytest.approx(expected, abs=1e-15)
    assert found[:3] == pytest.approx([0, 5e-6, 1e-5])


def test_repaired_schedule_is_the_released_one_without_its_idle_epoch():
    released = rates(TEXT_PUBLISHED, "mosi", 201)
    repaired = rates(TEXT, "mosi", 200)
    assert repaired == pytest.approx(released[1:])
    assert repaired[0] == pytest.approx(1e-4 / 20)


def test_the_rate_never_rises_again():
    found = rates(TEXT, "mosi", 400)
    assert all(later <= sooner for sooner, later in pairwise(found[20:]))
    assert found[-1] == 0


def test_without_warm_up_the_rate_starts_at_its_peak():
    assert rates(TEXT, "mosi", 1, warmup=0.0) == [1e-4]


@pytest.mark.parametrize(
    ("dataset", "layers", "epochs"),
    [("mosi", 3, 200), ("mosei", 2, 101), ("sims", 3, 200), ("simsv2", 1, 200)],
)
@pytest.mark.parametrize("system", [TEXT, TEXT_PUBLISHED], ids=lambda system: system.name)
def test_depth_and_epochs_of_each_dataset(system, dataset, layers, epochs):
    params = system.resolve(dataset, {})
    assert (params.smoe_layers, params.epochs) == (layers, epochs)


@pytest.mark.parametrize(
    ("changes", "unread"),
    [
        ({}, set()),
        ({"audio_clue": False}, {"audio_clue"}),
        ({"visual_clue": False}, {"visual_clue"}),
        ({"tokens": "transcript"}, {"summary"}),
        ({"explanations": "none"}, {"audio_clue", "visual_clue", "summary"}),
        ({"streams": "text"}, {"audio", "vision"}),
    ],
)
def test_what_an_ablation_leaves_unread(changes, unread):
    assert TEXT.inputs - TEXT.resolve("mosi", changes).reads(TEXT.inputs) == unread


@pytest.mark.parametrize(
    "changes",
    [
        {"experts": 2, "top_k": 3},
        {"streams": "text", "explanations": "none"},
        {"streams": "text", "audio_clue": False},
        {"streams": "text", "visual_clue": False},
        {"tokens_routed": 100},
        {"noise": "sometimes"},
    ],
)
def test_what_makes_no_sense_is_refused(changes):
    with pytest.raises(SpecError):
        TextParams(**changes)
