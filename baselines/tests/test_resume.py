"""Every trained system that is stopped between two epochs goes on as if it had not been."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.system import systems
from harness.training import checkpoint, loop_of

TRAINED = [name for name, system in systems.items() if system.build is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_training_that_is_taken_up_ends_in_the_same_weights(
    task, fitting, small, tmp_path, monkeypatch, name
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    system = systems[name]
    learning = task(fitting(system), epochs=3)
    params = system.params(**small(system))
    whole = loop_of(system, learning, params)
    epochs = len(list(whole.walk()))

    kept = replace(learning, resume=tmp_path / "kept.pt")
    begun = loop_of(system, kept, params).walk()
    for _ in range(max(1, epochs // 2)):
        next(begun)
    torch.manual_seed(0)  # another process has drawn other numbers
    resumed = loop_of(system, kept, params)
    assert len(list(resumed.walk())) == epochs - max(1, epochs // 2)

    assert resumed.best.epoch == whole.best.epoch
    for part, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[part], value), part
