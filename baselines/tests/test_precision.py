"""Every network of the zoo trains in bfloat16, and float32 stays float32 unless asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.errors import SpecError
from harness.system import systems
from harness.training import batches_of, fit_network, untrained
from harness.training.precision import set_precision

HALF_LSTM = torch.ops.mkldnn._is_mkldnn_bf16_supported()
NETWORKS = [name for name, system in systems.items() if system.build is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_rounds_what_is_computed_and_not_the_weights(fitting, small, task, name):
    system = systems[name]
    corpus = fitting(system)
    found = {}
    for precision in ("float32", "bfloat16"):
        params = system.resolve(corpus.dataset.name, small(system, precision=precision))
        network = untrained(system, task(corpus), params)
        if not HALF_LSTM and any(isinstance(part, torch.nn.LSTM) for part in network.modules()):
            pytest.skip("this processor has no LSTM in bfloat16 (oneDNN needs AVX-512)")
        source = batches_of(system, corpus.split("train"), task(corpus), params)
        network.begin(source, params)
        network.begin_epoch(1)
        network.eval()
        with torch.inference_mode():
            found[precision] = network(source.gather(torch.arange(8))).prediction
        assert found[precision].dtype == torch.float32
        assert {p.dtype for p in network.parameters()} == {torch.float32}
    off = (found["bfloat16"] - found["float32"]).abs()
    assert 0 < off.max() < 0.1, "another precision, the same function"
    fitted = fit_network(system, task(corpus), params)
    assert np.isfinite(fitted.predict(corpus.split("valid"))).all()


def test_tf32_is_refused_where_there_is_none():
    with pytest.raises(SpecError, match="tf32 needs a CUDA device"):
        set_precision("tf32", "cpu")


def test_cudnn_is_told_to_leave_float32_alone():
    for library in (torch.backends.cudnn, torch.backends.cuda.matmul):
        library.allow_tf32 = True
    set_precision("float32", "cpu")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
