"""What the temporal block is replaced by in the ablation: Mamba, cross-attention, nothing.

Each is a ``TemporalBlock``. The paper names the replacements without describing them; what is ours
is marked ``Choice``.

Shapes: B clips, L steps (La audio, Lv vision), D features, E channels, N states of a channel.

Source: TEXT (AAAI 2026), its ablation of the temporal alignment on MOSEI.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.system import ParameterGroup
from harness.system.scan import scan_by
from text_model.encoders import Attention, EncoderSize, Padded

__all__ = [
    "Concatenation",
    "MambaLayer",
    "MambaMixer",
    "MambaTemporal",
    "TemporalCrossAttention",
    "decay_groups",
]


class MambaMixer(nn.Module):
    """The selective state space of Mamba between two projections; names as in ``mamba-ssm``.

    ```
    (x, z) = split(W_in input)
    x = SiLU(causal depth-wise Conv(x))
    (δ, B, C) = split(W_x x);  Δ = softplus(W_Δ δ + b_Δ)
    output = W_out scan(x, Δ, A = -exp(A_log), B, C, D, z)
    ```

    Args:
        size: D.
        expand: E / D.
        states: N.
        kernel: Steps that the convolution sees, its own included.
        scan: Which scan computes it, ``torch`` or ``mamba_ssm``.

    Source: Gu and Dao, Mamba, 2023, section 3.4; initialisation as in ``mamba-ssm``.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("A_log", "D")
    """Parameters that weight decay would pull away from what they mean."""

    def __init__(
        self, size: int, *, expand: int = 2, states: int = 16, kernel: int = 4, scan: str = "torch"
    ) -> None:
        super().__init__()
        channels, rank = expand * size, math.ceil(size / 16)
        self.scan = scan
        self.sizes = (rank, states, states)
        self.in_proj = nn.Linear(size, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, kernel, groups=channels, padding=kernel - 1)
        self.x_proj = nn.Linear(channels, sum(self.sizes), bias=False)
        self.dt_proj = nn.Linear(rank, channels)
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, size, bias=False)
        _start_steps(self.dt_proj)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix along time, from the past only.

        Args:
            inputs: (B, L, D).
            mask: (B, L), False where there is no step: it is skipped and gets 0.

        Returns:
            (B, L, D).

        Raises:
            SpecError: When the scan asked for cannot run on the device of ``inputs``.
        """
        x, z = self.in_proj(_cleared(inputs, mask)).transpose(1, 2).chunk(2, dim=1)  # (B, E, L)
        x = functional.silu(self.conv1d(x)[:, :, : inputs.shape[1]])  # cut after L: causal
        low, b, c = self.x_proj(x.transpose(1, 2)).split(self.sizes, dim=2)  # (B, L, rank | N | N)
        delta = functional.softplus(self.dt_proj(low))  # (B, L, E)
        delta = _cleared(delta, mask).transpose(1, 2)  # a step of size 0 leaves the state alone
        A = -torch.exp(self.A_log)  # (E, N)
        scan = scan_by(self.scan, inputs.device)
        y = scan(x, delta, A, b.transpose(1, 2), c.transpose(1, 2), self.D, z)  # (B, E, L)
        mixed: Tensor = self.out_proj(
            y.transpose(1, 2)
        )  # 0 where z is, in steps that are not there
        return mixed


class MambaLayer(nn.Module):
    """x + Mixer(RMSNorm(x)); arguments as in ``MambaMixer``."""

    def __init__(self, size: int, *, scan: str = "torch") -> None:
        super().__init__()
        self.norm = nn.RMSNorm(size, eps=1e-5)
        self.mixer = MambaMixer(size, scan=scan)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        mixed: Tensor = inputs + self.mixer(self.norm(inputs), mask)
        return mixed


class MambaTemporal(nn.Module):
    """A Mamba layer for each stream.

    Choice: the streams do not see each other, and sizes are Mamba's defaults, which give the width
    and kernel of the block replaced (E = 2 D, kernel 4).
    """

    def __init__(self, size: int, *, scan: str = "torch") -> None:
        super().__init__()
        self.audio, self.vision = (MambaLayer(size, scan=scan) for _ in range(2))

    def forward(
        self,
        audio: Tensor,
        vision: Tensor,
        audio_mask: Tensor | None = None,
        vision_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, La, D), (B, Lv, D) -> (B, La + Lv, D); padded steps stay as they are."""
        mixed = self.audio(audio, audio_mask), self.vision(vision, vision_mask)
        return torch.cat(mixed, dim=1)


class TemporalCrossAttention(nn.Module):
    """A + Attn(LN_q A, LN_k V, LN_v V), V + Attn(LN_q V, LN_k A, LN_v A).

    Choice: widths as in the rest of the model and no feed-forward part, for the block replaced has
    none. Order enters through the position tables of the encoders before it.
    """

    def __init__(self, size: int, *, heads: int = 8, head_size: int = 64) -> None:
        super().__init__()
        widths = EncoderSize(hidden=size, heads=heads, head_size=head_size)
        self.audio, self.vision = Attention(widths), Attention(widths)

    def forward(
        self,
        audio: Tensor,
        vision: Tensor,
        audio_mask: Tensor | None = None,
        vision_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, La, D), (B, Lv, D) -> (B, La + Lv, D); a stream without a step adds a constant."""
        heard, seen = _padded(audio, audio_mask), _padded(vision, vision_mask)
        mixed = audio + self.audio(audio, seen), vision + self.vision(vision, heard)
        return torch.cat(mixed, dim=1)


class Concatenation(nn.Module):
    """No temporal block: the streams one after the other."""

    def forward(
        self,
        audio: Tensor,
        vision: Tensor,
        audio_mask: Tensor | None = None,
        vision_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, La, D), (B, Lv, D) -> (B, La + Lv, D)."""
        return torch.cat([audio, vision], dim=1)


def decay_groups(network: nn.Module) -> list[ParameterGroup]:
    """Optimiser groups of a network that may hold Mamba: what decays, then what must not.

    The second group is left out when it is empty.
    """
    mixers = [module for module in network.modules() if isinstance(module, MambaMixer)]
    exempt = {id(getattr(mixer, name)) for mixer in mixers for name in mixer.undecayed}
    trained = [p for p in network.parameters() if p.requires_grad]
    kept = [p for p in trained if id(p) in exempt]
    groups: list[ParameterGroup] = [{"params": [p for p in trained if id(p) not in exempt]}]
    return [*groups, {"params": kept, "weight_decay": 0.0}] if kept else groups


def _padded(values: Tensor, mask: Tensor | None) -> Padded:
    """A stream and its mask; no mask means that every step counts."""
    whole = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
    return Padded(values, whole if mask is None else mask)


def _cleared(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, L, K) with 0 where the mask (B, L) is False."""
    return values if mask is None else values.masked_fill(~mask.unsqueeze(2), 0.0)


@torch.no_grad()
def _start_steps(projection: nn.Linear, low: float = 1e-3, high: float = 1e-1) -> None:
    """Initialise W_Δ and b_Δ so that step sizes are log-uniform in [low, high] for small inputs."""
    bound = projection.in_features**-0.5
    nn.init.uniform_(projection.weight, -bound, bound)
    size = low * (high / low) ** torch.rand_like(projection.bias)  # (E,)
    projection.bias.copy_(size + torch.log(-torch.expm1(-size)))  # the inverse of softplus
