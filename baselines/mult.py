"""MulT: every stream read in the light of the two others, by cross-modal Transformers.

Shapes: B clips, T frames, N steps after the convolution, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.blocks import streams
from baselines._shared.dropout import LaneDropout, attention
from baselines._shared.transformer import CrossModalEncoder
from harness.data.batching import Batch, Sequence
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, QuirkParams, System, param

__all__ = ["MULT", "CrossModalFusion", "MulTParams"]

NAMES = ("text", "audio", "vision")
MEMORY_LAYERS = 3  # at least; fixed in the released code


@dataclass(frozen=True, kw_only=True)
class MulTParams(QuirkParams):
    """Hyper-parameters of MulT."""

    hidden: int = param(50, low=1, source="MMSA, MOSI, dst_feature_dim")
    heads: int = param(10, low=1, source="MMSA, MOSI; divides hidden")
    layers: int = param(4, low=1, source="MMSA, MOSI, nlevels")
    text_kernel: int = param(5, low=1, source="MMSA, MOSI, conv1d_kernel_size_l")
    audio_kernel: int = param(5, low=1, source="MMSA, MOSI, conv1d_kernel_size_a")
    vision_kernel: int = param(5, low=1, source="MMSA, MOSI, conv1d_kernel_size_v")
    text_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI; of text features")
    attention_dropout: float = param(
        0.3, low=0.0, high=1.0, source="MMSA, MOSI; where text is read, and in the memories"
    )
    audio_attention_dropout: float = param(
        0.2, low=0.0, high=1.0, source="MMSA, MOSI; where audio is read"
    )
    vision_attention_dropout: float = param(
        0.0, low=0.0, high=1.0, source="MMSA, MOSI; where vision is read"
    )
    relu_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    residual_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI, res_dropout")
    embed_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, MOSI")
    out_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI, output_dropout")
    causal: bool = param(True, source="MMSA, attn_mask")


class CrossModalFusion(Network):
    """m_s = memory_s([s reads a; s reads b]) at its last step; y = w (m + W2 ReLU(W1 m)) + b.

    m joins the three; s, a and b are the streams, each behind a convolution over time.
    """

    def __init__(self, dims: Dims, params: MulTParams) -> None:
        super().__init__()
        shapes = {name: dims.need(name) for name in NAMES}
        kernels = (params.text_kernel, params.audio_kernel, params.vision_kernel)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(shapes[name][1], params.hidden, kernel, bias=False)
            for name, kernel in zip(NAMES, kernels, strict=True)
        )
        dropouts = (
            params.attention_dropout,
            params.audio_attention_dropout,
            params.vision_attention_dropout,
        )
        self.readers = nn.ModuleDict(
            {
                f"{reader}_reads_{read}": _encoder(params, params.hidden, params.layers, dropout)
                for reader in NAMES
                for read, dropout in zip(NAMES, dropouts, strict=True)
                if read != reader
            }
        )
        depth = max(params.layers, MEMORY_LAYERS)
        self.memories = nn.ModuleList(
            _encoder(params, 2 * params.hidden, depth, params.attention_dropout) for _ in NAMES
        )
        joined = 6 * params.hidden
        self.residual = nn.Sequential(
            *(nn.Linear(joined, joined), nn.ReLU(), LaneDropout(params.out_dropout)),
            nn.Linear(joined, joined),
        )
        self.head = nn.Linear(joined, 1)
        self.text_dropout = LaneDropout(params.text_dropout)
        self.published = params.published

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        steps: dict[str, Tensor] = {}
        masks: dict[str, Tensor | None] = {}
        for name, convolution, stream in zip(NAMES, self.convolutions, streams(batch), strict=True):
            steps[name], masks[name] = self._embed(name, convolution, stream)
        fused = torch.cat(
            [
                self._remember(name, memory, steps, masks)
                for name, memory in zip(NAMES, self.memories, strict=True)
            ],
            dim=1,
        )  # (B, 6H)
        return Output(self.head(fused + self.residual(fused)).squeeze(1))

    def _embed(
        self, name: str, convolution: nn.Module, stream: Sequence
    ) -> tuple[Tensor, Tensor | None]:
        """(B, N, H) windows of the stream and, unless as published, (B, N) which hold frames.

        A clip of n frames has n - kernel + 1 windows, and at least one.
        """
        values = stream.untrimmed() if self.published else stream.values
        if name == "text":
            values = self.text_dropout(values)
        assert isinstance(convolution, nn.Conv1d)
        kernel = convolution.kernel_size[0]
        missing = max(0, kernel - values.shape[1])
        windows = convolution(nn.functional.pad(values, (0, 0, 0, missing)).mT)  # (B, H, N)
        steps = windows.mT.contiguous()  # (B, N, H); each of many normalisations would copy it
        if self.published:
            return steps, None  # MMSA attends to padding
        count = (stream.lengths - kernel + 1).clamp(min=1)  # (B,)
        return steps, torch.arange(steps.shape[1], device=steps.device) < count.unsqueeze(1)

    def _remember(
        self,
        name: str,
        memory: nn.Module,
        steps: dict[str, Tensor],
        masks: dict[str, Tensor | None],
    ) -> Tensor:
        """(B, 2H): the memory of one stream after its last step."""
        mask = masks[name]
        # Two readings by the stream's own steps, (B, N, H) each.
        seen = [
            self.readers[f"{name}_reads_{read}"](
                steps[name], steps[read], query_mask=mask, source_mask=masks[read]
            )
            for read in NAMES
            if read != name
        ]
        states: Tensor = memory(torch.cat(seen, dim=2), query_mask=mask)  # (B, N, 2H)
        if mask is None:
            return states[:, -1]
        return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]


def _encoder(params: MulTParams, size: int, layers: int, dropout: float) -> CrossModalEncoder:
    return CrossModalEncoder(
        size,
        params.heads,
        layers,
        attention_dropout=dropout,
        relu_dropout=params.relu_dropout,
        residual_dropout=params.residual_dropout,
        embed_dropout=params.embed_dropout,
        positions=not params.published,
        causal=params.causal,
        attend=attention,
        dropout=LaneDropout,
    )


MULT = System(
    name="mult",
    card=Card(
        title="MulT",
        paper="Tsai, Bai, Liang, Kolter, Morency, Salakhutdinov. Multimodal Transformer for"
        " Unaligned Multimodal Language Sequences. ACL 2019; as implemented in MMSA",
        year=2019,
        url="https://aclanthology.org/P19-1656",
        text="T-feat",
        deviations=(
            "quirk=fixed: sinusoidal positions, as in the paper; MMSA has none",
            "quirk=fixed: padding is masked, the attention's diagonal follows true lengths and the"
            " state is read at each clip's last window; MMSA attends to padding and reads after it",
            "quirk=fixed: a step takes the mean gradient of up to eight batches; MMSA sums them,"
            " clips each partial sum and throws an incomplete group away",
            "quirk=published clips the sum once, before the step",
            "MMSA lists a weight decay and does not use it; so it is 0 here",
            "MMSA's patience of 5, 20, 10 and 10 epochs is passed, not reached, when the rate"
            " drops: plateau is one more",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/MULT.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=MulTParams,
    presets={
        "mosi": {
            **{"hidden": 50, "heads": 10, "layers": 4},
            **{"text_kernel": 5, "audio_kernel": 5, "vision_kernel": 5},
            **{"attention_dropout": 0.3, "audio_attention_dropout": 0.2},
            **{"vision_attention_dropout": 0.0, "relu_dropout": 0.0, "residual_dropout": 0.0},
            **{"embed_dropout": 0.2, "text_dropout": 0.5, "out_dropout": 0.5},
            **{"batch_size": 16, "accumulate": 8, "lr": 2e-3, "plateau": 6, "clip_value": 0.6},
        },
        "mosei": {
            **{"hidden": 30, "heads": 6, "layers": 4},
            **{"text_kernel": 5, "audio_kernel": 1, "vision_kernel": 3},
            **{"attention_dropout": 0.4, "audio_attention_dropout": 0.0},
            **{"vision_attention_dropout": 0.0, "relu_dropout": 0.0, "residual_dropout": 0.0},
            **{"embed_dropout": 0.0, "text_dropout": 0.3, "out_dropout": 0.5},
            **{"batch_size": 4, "accumulate": 8, "lr": 5e-4, "plateau": 21, "clip_value": 0.6},
        },
        "sims": {
            **{"hidden": 50, "heads": 10, "layers": 2},
            **{"text_kernel": 5, "audio_kernel": 1, "vision_kernel": 1},
            **{"attention_dropout": 0.2, "audio_attention_dropout": 0.1},
            **{"vision_attention_dropout": 0.0, "relu_dropout": 0.0, "residual_dropout": 0.2},
            **{"embed_dropout": 0.1, "text_dropout": 0.3, "out_dropout": 0.1},
            **{"batch_size": 16, "accumulate": 8, "lr": 2e-3, "plateau": 11, "clip_value": 0.6},
        },
        "simsv2": {
            **{"hidden": 30, "heads": 6, "layers": 4},
            **{"text_kernel": 5, "audio_kernel": 3, "vision_kernel": 1},
            **{"attention_dropout": 0.1, "audio_attention_dropout": 0.2},
            **{"vision_attention_dropout": 0.0, "relu_dropout": 0.1, "residual_dropout": 0.0},
            **{"embed_dropout": 0.2, "text_dropout": 0.5, "out_dropout": 0.3},
            **{"batch_size": 16, "accumulate": 8, "lr": 5e-4, "plateau": 11, "clip_value": 1.0},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=CrossModalFusion,
)
