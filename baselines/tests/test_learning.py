"""Every network can learn: a few clips by heart, and the signal beyond the training clips."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from harness.data.corpus import Split
from harness.protocols import protocols
from harness.system import Task, systems
from harness.text import find_encoder
from harness.training import fit_network

NETWORKS = [name for name, system in systems.items() if system.build is not None]


@pytest.fixture
def learn(small, encoder, tmp_path):
    """Train without regularisation; a preset is made for a thousand clips, not for eight."""

    def fit(name, corpus, epochs, valid="valid"):
        system = systems[name]
        plain = {f.name: 0.0 for f in fields(system.params) if f.name.endswith("dropout")}
        wanted = small(system, **plain, weight_decay=0.0, lr=2e-3, epochs=0)
        params = system.resolve(corpus.dataset.name, wanted)
        task = Task(
            train=corpus.split("train"),
            valid=Split(corpus, "valid", corpus.split(valid).rows),
            watched=None,
            protocol=replace(protocols["in_domain"], max_epochs=epochs, patience=epochs),
            seed=1,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
        )
        return fit_network(system, task, params)

    return fit


@pytest.mark.parametrize("name", NETWORKS)
def test_learns_eight_clips_by_heart(learn, fitting, name):
    few = fitting(systems[name], clips={"train": 8, "valid": 8, "test": 8}, seed=1)
    errors = [epoch.valid for epoch in learn(name, few, 250, valid="train").history]
    assert min(errors) < 0.25 * errors[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_beats_the_training_mean_on_new_clips(learn, fitting, name):
    corpus = fitting(systems[name], clips={"train": 64, "valid": 32, "test": 64}, seed=2)
    test = corpus.split("test")
    error = np.abs(learn(name, corpus, 15).predict(test) - test.labels).mean()
    constant = np.abs(corpus.split("train").labels.mean() - test.labels).mean()
    assert error < 0.8 * constant
