"""The selective scan of Mamba: a linear recurrence whose coefficients depend on its input.

```
Δ_t = softplus(delta_t + delta_bias)                 # softplus only where asked for
h_t = exp(Δ_t A) ⊙ h_{t-1} + (Δ_t ⊙ u_t) B_tᵀ        # (E, N), h_0 = 0
y_t = (h_t C_t + D ⊙ u_t) ⊙ SiLU(z_t)                # (E,)
```

Every way to compute it has this signature:

| argument | shape | |
| --- | --- | --- |
| u | (B, E, L) | input |
| delta | (B, E, L) | step sizes, before bias and softplus; 0 leaves the state alone |
| A | (E, N) | rates of decay, negative |
| B, C | (B, N, L) | what a step writes to the state, and reads from it |
| D | (E,) or None | weight of the input itself |
| z | (B, E, L) or None | gate |
| delta_bias | (E,) or None | |
| returns | (B, E, L) | in the dtype of u; computed in float32, or in float64 for float64 |

``mamba_ssm``'s kernel wants A, D and delta_bias in float32 and all else in one dtype.

Shapes: B clips, E channels, N states of a channel, L steps.

Source: Gu and Dao, Mamba, 2023, equations 2 and 4 with B discretised by Euler's rule, as in
``mamba-ssm``.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from harness.errors import SpecError

__all__ = [
    "TOLERANCES",
    "Backend",
    "Scan",
    "Tolerance",
    "scan_backend",
    "scan_by",
    "selective_scan",
    "selective_scan_ref",
]

Backend: TypeAlias = Literal["torch", "mamba_ssm"]


class Scan(Protocol):
    """A way to compute the selective scan; arguments as in the table above."""

    def __call__(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None = None,
        z: Tensor | None = None,
        delta_bias: Tensor | None = None,
        delta_softplus: bool = False,
    ) -> Tensor:
        """(B, E, L) outputs."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a value may lie from the reference's: ``absolute + relative · |reference|``."""

    relative: float
    absolute: float


TOLERANCES: Mapping[Backend, Mapping[torch.dtype, Tolerance]] = MappingProxyType(
    {
        "torch": {
            torch.float64: Tolerance(relative=1e-12, absolute=1e-12),
            torch.float32: Tolerance(relative=1e-5, absolute=1e-5),
            torch.bfloat16: Tolerance(relative=8e-3, absolute=1e-5),  # one unit in the last place
        },
        "mamba_ssm": {  # as in its own tests
            torch.float32: Tolerance(relative=6e-4, absolute=2e-3),
            torch.bfloat16: Tolerance(relative=3e-2, absolute=5e-2),
        },
    }
)
"""Agreement with ``selective_scan_ref`` on inputs of order one; gradients relative to the largest.

A gradient is compared after division by the largest absolute value of the reference's.
"""


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """The scan in plain PyTorch, on any device, in time and memory linear in the steps.

    Steps are unbound once. Indexing them one by one gives the same values, but the gradient of
    each index is as large as the whole, so that a backward pass takes time quadratic in L. Chunks
    or doublings scanned in parallel take longer on a processor unless clips are one or two.
    """
    dtype = torch.promote_types(u.dtype, torch.float32)
    x, delta, A, B, C = (part.to(dtype) for part in (u, delta, A, B, C))
    sizes = _step_sizes(delta, delta_bias, delta_softplus)  # (B, E, L)
    state = torch.zeros(len(u), *A.shape, dtype=dtype, device=u.device)  # (B, E, N)
    read = []
    # Of each step: size and drive (B, E), b and c (B, N).
    for size, drive, b, c in zip(*map(_steps, (sizes, sizes * x, B, C)), strict=True):
        decay = torch.exp(size.unsqueeze(2) * A)  # (B, E, N)
        state = torch.addcmul(drive.unsqueeze(2) * b.unsqueeze(1), decay, state)  # (B, E, N)
        read.append((state @ c.unsqueeze(2)).squeeze(2))  # (B, E)
    y = torch.stack(read, dim=2)  # (B, E, L)
    if D is not None:
        y = y + D.unsqueeze(1) * x
    if z is not None:
        y = y * functional.silu(z.to(dtype))
    return y.to(u.dtype)


def selective_scan_ref(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """The equations read aloud, index by index: what the other ways are tested against."""
    dtype = torch.promote_types(u.dtype, torch.float32)
    x, delta, A, B, C = (part.to(dtype) for part in (u, delta, A, B, C))
    state = torch.zeros(len(u), *A.shape, dtype=dtype, device=u.device)  # (B, E, N)
    columns = []
    for t in range(u.shape[2]):
        size = delta[:, :, t]  # (B, E)
        if delta_bias is not None:
            size = size + delta_bias
        if delta_softplus:
            size = functional.softplus(size)
        decay = torch.exp(torch.einsum("be,en->ben", size, A))  # (B, E, N)
        written = torch.einsum("be,be,bn->ben", size, x[:, :, t], B[:, :, t])  # (B, E, N)
        state = decay * state + written
        y = torch.einsum("ben,bn->be", state, C[:, :, t])  # (B, E)
        if D is not None:
            y = y + D * x[:, :, t]
        if z is not None:
            y = y * functional.silu(z[:, :, t].to(dtype))
        columns.append(y)
    return torch.stack(columns, dim=2).to(u.dtype)


def scan_backend(device: torch.device) -> Backend:
    """The fastest way to scan on a device: the kernel on CUDA where it can be imported."""
    return "mamba_ssm" if device.type == "cuda" and _kernel() is not None else "torch"


def scan_by(backend: str, device: torch.device) -> Scan:
    """The scan that was asked for, never another one.

    Args:
        backend: ``torch`` or ``mamba_ssm``; a hyper-parameter, since the two differ in last bits.
        device: Where the scan will run.

    Raises:
        SpecError: For another name, and for ``mamba_ssm`` off CUDA or where it cannot be imported.
    """
    if backend == "torch":
        return selective_scan
    if backend != "mamba_ssm":
        raise SpecError(f"scan should be one of torch, mamba_ssm; found {backend!r}")
    if device.type != "cuda":
        raise SpecError(f"scan=mamba_ssm needs a CUDA device; found {device}", hint="scan=torch")
    kernel = _kernel()
    if kernel is None:
        raise SpecError(
            "scan=mamba_ssm needs the package mamba-ssm with its compiled kernels",
            hint="pip install 'msa-harness[mamba]', or scan=torch",
        )
    return kernel


@functools.cache
def _kernel() -> Scan | None:
    """The kernel of ``mamba_ssm``; importing it takes seconds and a CUDA build, so it is late."""
    try:
        interface = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
    except ImportError:  # absent, or present without its compiled half
        return None
    kernel: Scan = interface.selective_scan_fn
    return kernel


def _step_sizes(delta: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    """(B, E, L) step sizes Δ."""
    if bias is not None:
        delta = delta + bias.unsqueeze(1)
    return functional.softplus(delta) if softplus else delta


def _steps(part: Tensor) -> tuple[Tensor, ...]:
    """(B, K, L) -> L tensors (B, K), each in one piece of memory."""
    return part.permute(2, 0, 1).contiguous().unbind()
