"""Training against the physical limit: what one thread reaches in large matrix products.

Floating-point operations are counted from shapes, forward and backward: matrix products,
convolutions, attention and recurrent layers, two for a multiplication with its addition. What is
done element by element is counted as nothing, so that it shows as distance from the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from harness import data
from harness.benchmarks.hot_spots import hot_spots
from harness.benchmarks.loops import ready_loop
from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate, cpu
from harness.benchmarks.training import ON_A_FEW_CLIPS
from harness.home import Home
from harness.spec import Scalar
from harness.system import systems
from harness.text import find_encoder
from harness.text.synthetic import TWIN_ENCODER

__all__ = ["flops_of", "physical_limit"]

_HELD = ("lf_dnn", "tfn", *ON_A_FEW_CLIPS)
_FAR = 2.0  # times the limit's seconds; from here on a row says where they go
_PRODUCTS = 8  # in each measurement

Shape = tuple[int, ...]


def _recurrent(x: Shape, of_input: Shape, of_state: Shape) -> int:
    """All gates of one layer in one direction: (T, B, I), (gates H, I), (gates H, H)."""
    steps, clips, width = x
    return 2 * steps * clips * of_input[0] * (width + of_state[1])


def _forward(x: Shape, of_input: Shape, of_state: Shape, *_: object, **__: object) -> int:
    return _recurrent(x, of_input, of_state)


def _backward(x: Shape, of_input: Shape, of_state: Shape, *_: object, **__: object) -> int:
    return 2 * _recurrent(x, of_input, of_state)  # of inputs and of weights


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(
    grad: Shape, query: Shape, key: Shape, value: Shape, *_: object, **__: object
) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value))


_ATEN = torch.ops.aten
_FORMULAS: Mapping[Any, Any] = {  # what PyTorch's counter leaves out on a CPU
    _ATEN.mkldnn_rnn_layer: _forward,
    _ATEN.mkldnn_rnn_layer_backward: _backward,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


def flops_of(work: Callable[[], object]) -> int:
    """Floating-point operations of some work, from the shapes of its operators."""
    with FlopCounterMode(display=False, custom_mapping=dict(_FORMULAS)) as counted:
        work()
    return int(counted.get_total_flops())


def physical_limit(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """A training epoch of each system against as many operations in large matrix products."""
    return [_row(name, folder, scale) for name in _HELD[: scale.limited]]


def _row(name: str, folder: Path, scale: Scale) -> BenchmarkRow:
    home = Home(folder)
    corpus = data.load(f"mosi-twin@compact{scale.share or '-x12'}", home)
    reads = "tokens" in systems[name].inputs
    changes: dict[str, Scalar] = {"encoder": TWIN_ENCODER} if reads else {}
    encoder = find_encoder(TWIN_ENCODER, home.cache) if reads else None
    loop = ready_loop(corpus, name, changes, encoder=encoder, cache=home.cache)
    flops = flops_of(lambda: loop.train_epoch(1))
    epoch = cpu(lambda: loop.train_epoch(1))
    ours, theirs = alternate(epoch, _in_products(flops, scale.product), repeats=scale.repeats)
    rates = [flops / min(each) / 1e9 for each in (ours, theirs)]
    row = BenchmarkRow(
        what=f"Training epoch, {systems[name].card.title}: FLOP/s",
        reference="as many in large float32 matrix products, same thread",
        ours=ours,
        theirs=theirs,
        target=_FAR,
        note=f"{flops / 1e9:.3g} GFLOP an epoch of {len(corpus.split('train')):,} clips of the"
        f" compact twin, at best {rates[0]:.3g} of {rates[1]:.3g} GFLOP/s; the reference is a"
        f" product of {scale.product} x {scale.product} matrices",
    )
    if row.ratio <= _FAR:
        return row
    spots = hot_spots(lambda: loop.train_epoch(1))
    return BenchmarkRow(**{**vars(row), "note": f"{row.note}. Of ours, {spots}"})


def _in_products(flops: int, size: int) -> Measure:
    """Processor seconds of ``flops`` operations at the rate of products of square matrices."""
    left, right = (torch.randn(size, size) for _ in range(2))
    found = torch.empty(size, size)

    def products() -> None:
        for _ in range(_PRODUCTS):
            torch.mm(left, right, out=found)

    seconds = cpu(products)
    return lambda: seconds() / (_PRODUCTS * 2 * size**3) * flops
