"""Compiled networks train as uncompiled ones do, to rounding."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from harness.data.batching import Batch
from harness.system import systems
from harness.system.network import Dims, Network, Output
from harness.system.params import TrainingParams
from harness.tests.compilers import needs_compiler
from harness.training import fit as fitting_module
from harness.training import fit_network

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
]


class Attending(Network):
    """One graph, whose layer has a fast path for predicting that knows no autocast."""

    def __init__(self, dims: Dims, params: TrainingParams) -> None:
        super().__init__()
        self.read = torch.nn.Linear(dims.need("text")[1], 8)
        self.attend = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.tell = torch.nn.Linear(8, 1)

    def forward(self, batch: Batch) -> Output:
        assert batch.text is not None
        attended = self.attend(self.read(batch.text.untrimmed()))
        return Output(self.tell(attended.mean(1)).squeeze(1))


ATTENDING = dataclasses.replace(systems["lf_dnn"], build=Attending)
CASES = {
    "a recurrent layer, which stays outside of graphs": (systems["lf_dnn"], {}, 1e-5),
    "state per clip, several batches a step": (systems["self_mm"], {}, 1e-5),
    "one graph": (ATTENDING, {}, 1e-5),
    "one graph, rounded": (ATTENDING, {"precision": "bfloat16"}, 0.02),
}


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("system", "changes", "rounding"), CASES.values(), ids=CASES)
def test_a_compiled_training_ends_where_an_uncompiled_one_does(
    fitting, small, task, system, changes, rounding, device
):
    from torch._dynamo.utils import counters

    corpus = fitting(system)
    found = {}
    for compiled in (False, True):
        counters.clear()
        wanted = small(system, compiled=compiled, **changes)
        params = system.resolve(corpus.dataset.name, wanted)
        fitted = fit_network(system, task(corpus, epochs=2, device=device), params)
        found[compiled] = fitted.predict(corpus.split("valid"))
        assert (counters["stats"]["unique_graphs"] > 0) == compiled
    np.testing.assert_allclose(found[True], found[False], atol=rounding, rtol=0)


@needs_compiler
@pytest.mark.slow
def test_a_network_of_too_many_shapes_fails_and_does_not_go_on_uncompiled(
    fitting, small, task, monkeypatch
):
    from torch._dynamo.exc import FailOnRecompileLimitHit

    monkeypatch.setattr(fitting_module, "_SHAPES", 1)
    corpus = fitting(ATTENDING)
    params = ATTENDING.resolve(corpus.dataset.name, small(ATTENDING, compiled=True))
    with pytest.raises(FailOnRecompileLimitHit):
        fit_network(ATTENDING, task(corpus), params)
