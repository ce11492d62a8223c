"""Every network can learn: a few clips by heart, and the signal beyond the training clips."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from harness.data.corpus import Split
from harness.spec.protocols import protocols
from harness.system import Task, systems
from harness.text import find_encoder
from harness.training import loop_of

NETWORKS = [name for name, system in systems.items() if system.build is not None]


@pytest.fixture
def reaches(small, encoder, tmp_path):
    """Whether training brings the error on a split below a share of the best constant's.

    Without regularisation: a preset is made for a thousand clips, not for eight.
    """

    def reach(name, corpus, split, share, *, epochs):
        system = systems[name]
        plain = {f.name: 0.0 for f in fields(system.params) if f.name.endswith("dropout")}
        wanted = small(system, **plain, weight_decay=0.0, lr=2e-3, epochs=0)
        judged = Split(corpus, "valid", corpus.split(split).rows)
        task = Task(
            train=corpus.split("train"),
            valid=judged,
            watched=None,
            protocol=replace(protocols["in_domain"], max_epochs=epochs, patience=60),
            seed=1,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
        )
        loop = loop_of(system, task, system.resolve(corpus.dataset.name, wanted))
        constant = np.abs(judged.labels - np.median(judged.labels)).mean()
        return any(
            loop.is_last and epoch.valid is not None and epoch.valid < share * constant
            for epoch in loop.walk()
        )

    return reach


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_learns_eight_clips_by_heart(reaches, fitting, name):
    few = fitting(systems[name], clips={"train": 8, "valid": 8, "test": 8}, seed=1)
    noisy = "deterministic" in systems[name].card.declares  # no pass is like the one before
    assert reaches(name, few, "train", 0.5 if noisy else 0.25, epochs=250)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_beats_every_constant_on_new_clips(reaches, fitting, name):
    corpus = fitting(systems[name], clips={"train": 64, "valid": 32, "test": 64}, seed=2)
    assert reaches(name, corpus, "test", 0.8, epochs=15)
