"""In a step of training the host waits for the device nowhere, but for what is listed and why."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest
import torch
from torch.optim import optimizer
from torch.utils import _foreach_utils

from harness.system import systems
from harness.testing import NoWaiting, Waits
from harness.training import Loop, loop_of

WAITING = {
    "confede fixed": "clips beside those of a batch are drawn on the device",
    "confede published": "clips beside those of a batch are drawn on the device",
    "dlf fixed": "a mean over true steps alone, whose sum rounds otherwise",
    "dmd fixed": "a mean over true steps alone, whose sum rounds otherwise",
    "imder fixed": "streams are drawn of the clips that lost them, and of no others",
    "imder published": "streams are drawn of the clips that lost them, and of no others",
    "ithp fixed": "a mean over true tokens alone, whose sum rounds otherwise",
    "midg_approx@simulated": "styles are mixed by a law that PyTorch draws on the host alone",
    "mmim fixed": "clips are parted by the sign of their labels",
    "qa_moe": "words go as draws on the device say, and the encoder asks whether any did",
    "qa_moe@code": "words go as draws on the device say, and the encoder asks whether any did",
    "text": "each expert reads the clips that were sent to it, and no others",
    "text@published": "each expert reads the clips that were sent to it, and no others",
}
"""What still waits; each would compute other numbers, or leave its published form, without."""

QUICK = {"ef_lstm fixed", "mctn", "misa published", "self_mm fixed", "tfr_net fixed"}
"""Tried every time: packing and unpacking, encoders, state per clip, several stages."""


def _cases():
    for name, system in systems.items():
        if system.build is None:
            continue
        has_quirk = "quirk" in {field.name for field in fields(system.params)}
        for quirk in ("fixed", "published") if has_quirk else ("",):
            case = f"{name} {quirk}".strip()
            marks = [] if case in QUICK else [pytest.mark.slow]
            yield pytest.param(name, quirk, id=case, marks=marks)


def _with_meta() -> list[str]:
    return ["cpu", "meta"]


@pytest.fixture
def ready(fitting, small, task, monkeypatch):
    """The training of a system on tensors that have no values; fused optimisers have kernels."""
    monkeypatch.setattr(_foreach_utils, "_get_fused_kernels_supported_devices", _with_meta)
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", _with_meta)

    def make(name: str, quirk: str) -> Loop:
        system = systems[name]
        corpus = fitting(system)
        wanted = small(system, **({"quirk": quirk} if quirk else {}))
        wanted = {key: value for key, value in wanted.items() if key != "precision"}
        params = system.resolve(corpus.dataset.name, wanted)
        given = replace(task(corpus), device=torch.device("meta"))
        return loop_of(system, given, params)

    return make


def _steps(loop: Loop) -> None:
    """A step of every pass of every stage, after one that fills what is kept for all."""
    for index in range(len(loop._stages)):
        if index:
            loop._enter(index)
        loop.network.train()
        loop.network.begin_epoch(1)
        train = loop._train.at(1)
        for sweep in loop.sweeps:
            order = itertools.islice(loop._order(sweep.plan, 1), sweep.params.accumulate)
            group = train.placed(order)
            size = sum(map(len, group))
            for guard in (torch.enable_grad(), NoWaiting()):
                with guard:
                    loop.network.zero_grad(set_to_none=True)
                    for rows in group:
                        sweep.backward(train.gather(rows), size)
                    sweep._update(1)


@pytest.mark.parametrize(("name", "quirk"), [*_cases()])
def test_a_step_waits_for_nothing(name, quirk, ready):
    if f"{name} {quirk}".strip() not in WAITING:
        _steps(ready(name, quirk))
        return
    # Tensors without values refuse by themselves what is not caught before.
    with pytest.raises((Waits, NotImplementedError, RuntimeError)):
        _steps(ready(name, quirk))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["ef_lstm", "misa", "self_mm", "mult", "almt"])
def test_a_step_on_a_gpu_waits_for_nothing(name, fitting, small, task):
    """As CUDA itself finds it."""
    system = systems[name]
    corpus = fitting(system)
    params = system.resolve(corpus.dataset.name, small(system))
    loop = loop_of(system, task(corpus, device="cuda"), params)
    loop.train_epoch(1)
    (sweep,) = loop.sweeps
    train = loop._train
    assert train.resident
    group = train.placed(itertools.islice(loop._order(sweep.plan, 2), sweep.params.accumulate))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for rows in group:
            sweep.backward(train.gather(rows), sum(map(len, group)))
        sweep._update(2)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "work",
    [
        lambda there: there.sum().item(),
        lambda there: bool(there.any()),
        lambda there: there[there > 0],
        lambda there: there[torch.tensor([0, 1])],
        lambda there: there.to("cpu"),
        lambda there: torch.ones(3).to(there.device),
        lambda there: there.nonzero(),
        lambda there: there.copy_(torch.ones(3)),
    ],
)
def test_what_waits_is_found(work):
    there = torch.empty(3, device="meta")
    with pytest.raises(Waits), NoWaiting():
        work(there)


def test_what_does_not_wait_is_let_through():
    there, here = torch.empty(3, device="meta"), torch.ones(3)
    with NoWaiting():
        assert (there * 2).masked_fill(there > 0, 1.0).shape == (3,)
        assert there[there.argsort()].shape == (3,)
        assert here.sum().item() == 3
        assert here[here > 0].to(torch.float64).tolist() == [1, 1, 1]
