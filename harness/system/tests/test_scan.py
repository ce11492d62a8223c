"""Every way to compute the selective scan gives what its equations say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from torch.nn import functional

from harness.benchmarks.scan import indexed_scan
from harness.errors import SpecError
from harness.system import scan as scans
from harness.system.scan import (
    TOLERANCES,
    scan_backend,
    scan_by,
    selective_scan,
    selective_scan_ref,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FULL = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
OPTIONS = [
    *({}, {"delta_softplus": True}),
    *({"without": ("D",)}, {"without": ("z", "delta_bias")}),
    {"without": ("D", "z", "delta_bias"), "delta_softplus": True},
]


def inputs(clips=2, channels=3, states=4, steps=7, *, dtype=torch.float64, seed=0, without=()):
    """Arguments of a scan of order one; A, D and the bias are never narrower than float32."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.promote_types(dtype, torch.float32)

    def normal(*shape, dtype=dtype):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    every = {
        "u": normal(clips, channels, steps),
        "delta": normal(clips, channels, steps).abs() / 2,
        "A": -normal(channels, states, dtype=wide).exp(),
        "B": normal(clips, states, steps),
        "C": normal(clips, states, steps),
        "D": normal(channels, dtype=wide),
        "z": normal(clips, channels, steps),
        "delta_bias": normal(channels, dtype=wide).abs() / 10,
    }
    return {name: value for name, value in every.items() if name not in without}


def gradients(scan, arguments, softplus):
    leaves = {name: value.clone().requires_grad_() for name, value in arguments.items()}
    y = scan(**leaves, delta_softplus=softplus)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device).view_as(y)
    return y.detach(), torch.autograd.grad((y.float() * weights).sum(), list(leaves.values()))


def assert_twins(scan, backend, dtype, arguments, softplus):
    """Values and gradients agree with the reference within the table."""
    allowed = TOLERANCES[backend][dtype]
    y, slopes = gradients(scan, arguments, softplus)
    expected, expected_slopes = gradients(selective_scan_ref, arguments, softplus)
    assert y.dtype == dtype
    near = {"rtol": allowed.relative, "atol": allowed.absolute}
    torch.testing.assert_close(y, expected, **near)
    for slope, wanted in zip(slopes, expected_slopes, strict=True):
        unit = wanted.abs().max().clamp(min=1e-30)
        torch.testing.assert_close(slope / unit, wanted / unit, **near)


@pytest.mark.parametrize("dtype", TOLERANCES["torch"], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_scan_and_its_reference_are_twins(dtype, options) -> None:
    arguments = inputs(steps=40, dtype=dtype, without=options.get("without", ()))
    softplus = options.get("delta_softplus", False)
    assert_twins(selective_scan, "torch", dtype, arguments, softplus)


@settings(deadline=None, max_examples=40)
@given(
    clips=st.integers(1, 3),
    channels=st.integers(1, 4),
    states=st.integers(1, 5),
    steps=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    softplus=st.booleans(),
)
def test_twins_of_any_shape(clips, channels, states, steps, seed, softplus) -> None:
    arguments = inputs(clips, channels, states, steps, seed=seed)
    assert_twins(selective_scan, "torch", torch.float64, arguments, softplus)


@pytest.mark.parametrize("softplus", [False, True])
def test_gradients_are_those_of_finite_differences(softplus) -> None:
    arguments = inputs(clips=2, channels=2, states=3, steps=4)
    leaves = [arguments[name].requires_grad_() for name in FULL]
    assert torch.autograd.gradcheck(lambda *a: selective_scan(*a, softplus), leaves)


BOTH = pytest.mark.parametrize("scan", [selective_scan, selective_scan_ref])


@BOTH
def test_constant_coefficients_sum_a_geometric_series(scan) -> None:
    """y_t = δ (1 + r + … + r^t) with r = exp(-δ a)."""
    size, rate, steps = 0.2, 1.5, 60
    ones = torch.ones(1, 1, steps, dtype=torch.float64)
    A = torch.full((1, 1), -rate, dtype=torch.float64)
    y = scan(ones, size * ones, A, ones, ones)[0, 0]
    ratio = np.exp(-size * rate)
    expected = size * (1 - ratio ** np.arange(1, steps + 1)) / (1 - ratio)
    np.testing.assert_allclose(y, expected, rtol=1e-13)


@BOTH
def test_constant_coefficients_are_a_sum_of_recursive_filters(scan) -> None:
    arguments = inputs(clips=1, channels=1, states=3, steps=50, without=("z", "delta_bias"))
    held = {n: arguments[n][:, :, :1].expand(-1, -1, 50) for n in ("delta", "B", "C")}
    y = scan(**{**arguments, **held})[0, 0]
    u, size = arguments["u"][0, 0].numpy(), float(held["delta"][0, 0, 0])
    expected = float(arguments["D"]) * u
    for a, b, c in zip(
        arguments["A"][0].tolist(),
        held["B"][0, :, 0].tolist(),
        held["C"][0, :, 0].tolist(),
        strict=True,
    ):
        expected = expected + c * lfilter([size * b], [1.0, -np.exp(size * a)], u)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@BOTH
def test_the_scan_is_multiplication_by_a_lower_triangular_matrix(scan) -> None:
    """y = M u with M_ts = C_t · exp(A (Δ_{s+1} + … + Δ_t)) B_s Δ_s for s <= t."""
    arguments = inputs(clips=1, channels=2, steps=6, without=("D", "z", "delta_bias"))
    y = scan(**arguments, delta_softplus=True)[0]
    size = np.log1p(np.exp(arguments["delta"][0].numpy()))
    A, B, C = (arguments[name].squeeze(0).numpy() for name in ("A", "B", "C"))
    for channel in range(2):
        matrix = np.zeros((6, 6))
        for t in range(6):
            for s in range(t + 1):
                decay = np.exp(A[channel] * size[channel, s + 1 : t + 1].sum())
                matrix[t, s] = (C[:, t] * decay * B[:, s]).sum() * size[channel, s]
        np.testing.assert_allclose(y[channel], matrix @ arguments["u"][0, channel].numpy())


@pytest.mark.parametrize("name", ["u", "delta", "B", "C", "z"])
@pytest.mark.parametrize("t", [0, 3, 6])
def test_an_output_does_not_depend_on_later_inputs(name, t) -> None:
    arguments = inputs(steps=8)
    other = arguments[name].clone()
    other[:, :, t + 1 :] += 1.0
    before, after = selective_scan(**arguments), selective_scan(**{**arguments, name: other})
    assert torch.equal(before[:, :, : t + 1], after[:, :, : t + 1])
    assert not torch.equal(before[:, :, t + 1 :], after[:, :, t + 1 :])


def test_steps_of_size_zero_might_as_well_not_be_there() -> None:
    arguments = inputs(steps=9, without=("delta_bias",))
    there = torch.tensor([1, 0, 0, 1, 1, 0, 1, 1, 0], dtype=torch.bool)
    held = {**arguments, "delta": arguments["delta"] * there}
    kept = {n: v[:, :, there] if v.ndim == 3 else v for n, v in arguments.items()}
    torch.testing.assert_close(selective_scan(**held)[:, :, there], selective_scan(**kept))


def test_long_steps_and_fast_decay_stay_finite() -> None:
    arguments = inputs(steps=30, dtype=torch.float32)
    arguments["delta"], arguments["A"] = arguments["delta"] * 1e3, arguments["A"] * 1e3
    y, slopes = gradients(selective_scan, arguments, softplus=True)
    assert all(part.isfinite().all() for part in (y, *slopes))


def test_many_scans_run_as_one() -> None:
    many = [inputs(seed=seed) for seed in range(3)]
    stacked = [torch.stack([one[name] for one in many]) for name in FULL]
    expected = torch.stack([selective_scan(**one) for one in many])
    torch.testing.assert_close(torch.vmap(selective_scan)(*stacked), expected)


def test_narrow_types_are_computed_in_float32() -> None:
    """The sum of a thousand small steps would stand still in bfloat16."""
    ones = torch.ones(1, 1, 1000, dtype=torch.bfloat16)
    y = selective_scan(ones, ones / 1024, torch.zeros(1, 1), ones, ones)
    assert y.dtype == torch.bfloat16
    assert float(y[0, 0, -1]) == pytest.approx(1000 / 1024, rel=1e-2)


@pytest.fixture
def importable(monkeypatch):
    """Pretend that mamba-ssm can, or cannot, be imported; no kernel is run."""

    def pretend(*, there: bool):
        def load(name):
            if there:
                return SimpleNamespace(selective_scan_fn=selective_scan_ref)
            raise ImportError(name)

        scans._kernel.cache_clear()
        monkeypatch.setattr(scans.importlib, "import_module", load)

    yield pretend
    scans._kernel.cache_clear()


@pytest.mark.parametrize(
    ("device", "there", "best"),
    [(CPU, True, "torch"), (CUDA, True, "mamba_ssm"), (CUDA, False, "torch")],
)
def test_the_best_scan_of_a_device(importable, device, there, best) -> None:
    importable(there=there)
    assert scan_backend(device) == best


def test_one_gets_the_scan_one_asked_for(importable) -> None:
    importable(there=True)
    assert scan_by("torch", CUDA) is scan_by("torch", CPU) is selective_scan
    assert scan_by("mamba_ssm", CUDA) is selective_scan_ref


@pytest.mark.parametrize(
    ("name", "device", "there", "message"),
    [
        ("mamba_ssm", CPU, True, "needs a CUDA device; found cpu"),
        ("mamba_ssm", CUDA, False, "needs the package mamba-ssm"),
        ("triton", CPU, True, "one of torch, mamba_ssm; found 'triton'"),
    ],
)
def test_or_an_error_but_never_another(importable, name, device, there, message) -> None:
    importable(there=there)
    with pytest.raises(SpecError, match=message):
        scan_by(name, device)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", TOLERANCES["mamba_ssm"], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("steps", [1, 50, 375])
def test_the_kernel_and_the_reference_are_twins(dtype, options, steps) -> None:
    pytest.importorskip("mamba_ssm.ops.selective_scan_interface", exc_type=ImportError)
    arguments = inputs(4, 64, 16, steps, dtype=dtype, without=options.get("without", ()))
    arguments = {name: value.to(CUDA) for name, value in arguments.items()}
    kernel = scan_by("mamba_ssm", CUDA)
    assert_twins(kernel, "mamba_ssm", dtype, arguments, options.get("delta_softplus", False))


def test_softplus_and_bias_make_the_step_sizes() -> None:
    arguments = inputs()
    ready = functional.softplus(arguments["delta"] + arguments["delta_bias"].unsqueeze(1))
    plain = {**arguments, "delta": ready, "delta_bias": None}
    torch.testing.assert_close(
        selective_scan(**arguments, delta_softplus=True), selective_scan(**plain)
    )


def test_what_the_scan_is_timed_against_is_the_same_scan() -> None:
    arguments = inputs()
    expected = selective_scan(**arguments, delta_softplus=True)
    torch.testing.assert_close(indexed_scan(*(arguments[name] for name in FULL)), expected)
