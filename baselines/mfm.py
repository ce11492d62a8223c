"""MFM: a code for the label and one per stream, from which the streams are generated again.

Shapes: B clips, T words, D features, Z code size, F factor size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.memory import layer_presets, two_layers
from baselines._shared.words import Streams, at_step, on_words, squared_error, up_to
from baselines.mfn import MemoryFusionCore, MFNParams
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    System,
    TrainingParams,
    param,
)

__all__ = ["MFM", "Factorised", "MFMParams", "mmd"]

NAMES = ("text", "audio", "vision")
ADAM_RATE = 1e-3  # torch's default, which MMSA trains with whatever its configuration says


@dataclass(frozen=True, kw_only=True)
class MFMParams(MFNParams):
    """Hyper-parameters of MFM, besides those of the MFN inside it, whose output layer is unread."""

    label_code: int = param(80, low=1, source="MMSA, MOSI, zy_size")
    text_code: int = param(64, low=1, source="MMSA, MOSI, zl_size")
    audio_code: int = param(80, low=1, source="MMSA, MOSI, za_size")
    vision_code: int = param(80, low=1, source="MMSA, MOSI, zv_size")
    label_factor: int = param(64, low=1, source="MMSA, MOSI, fy_size")
    text_factor: int = param(32, low=1, source="MMSA, MOSI, fl_size")
    audio_factor: int = param(16, low=1, source="MMSA, MOSI, fa_size")
    vision_factor: int = param(64, low=1, source="MMSA, MOSI, fv_size")
    label_factor_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI")
    text_factor_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI")
    audio_factor_dropout: float = param(0.7, low=0.0, high=1.0, source="MMSA, MOSI")
    vision_factor_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI")
    head_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI, fy_to_y_dropout")
    prior_weight: float = param(100.0, low=0.0, source="MMSA, MOSI, lda_mmd")
    text_weight: float = param(0.5, low=0.0, source="MMSA, MOSI, lda_xl")
    audio_weight: float = param(0.01, low=0.0, source="MMSA, MOSI, lda_xa")
    vision_weight: float = param(0.5, low=0.0, source="MMSA, MOSI, lda_xv")

    @property
    def codes(self) -> tuple[int, int, int]:
        """Code sizes of text, audio and vision."""
        return self.text_code, self.audio_code, self.vision_code

    @property
    def factors(self) -> tuple[int, int, int]:
        """Factor sizes of text, audio and vision."""
        return self.text_factor, self.audio_factor, self.vision_factor

    @property
    def factor_dropouts(self) -> tuple[float, float, float]:
        """Dropouts in front of the factors of text, audio and vision."""
        return self.text_factor_dropout, self.audio_factor_dropout, self.vision_factor_dropout


class Factorised(Network):
    """Codes z_y (MFN) and z_m (LSTM); f = ReLU(MLP(z)); x̂_m = LSTM([f_y; f_m]); y = MLP(f_y).

    The loss is L1 + Σ_m w_m MSE(x̂_m, x_m) + w Σ_z MMD(z, N(0, I)).
    """

    def __init__(self, dims: Dims, params: MFMParams) -> None:
        super().__init__()
        sizes = tuple(dims.need(name)[1] for name in NAMES)
        self.core = MemoryFusionCore(sizes, params)
        self.label_code = nn.Linear(self.core.size, params.label_code)
        self.encoders = nn.ModuleList(map(_Encoder, sizes, params.codes))
        self.label_factor = _factor(
            params.label_code, params.label_factor, params.label_factor_dropout
        )
        self.factors = nn.ModuleList(
            map(_factor, params.codes, params.factors, params.factor_dropouts)
        )
        self.decoders = nn.ModuleList(
            _Decoder(params.label_factor + factor, size)
            for factor, size in zip(params.factors, sizes, strict=True)
        )
        self.head = two_layers(params.label_factor, params.label_factor, 1, params.head_dropout)
        self.weights = (params.text_weight, params.audio_weight, params.vision_weight)
        self.prior_weight, self.published = params.prior_weight, params.published
        if params.published:  # MMSA embeds a whole MFN and never reads its output layers
            self.unread = two_layers(self.core.size, params.out_hidden, 1, 0.0)
            self.unread.requires_grad_(False)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; in training, generate it too."""
        steps, last = on_words(batch, padded=self.published)
        label_code = self.label_code(at_step(self.core(steps), last))  # (B, Z_y)
        label_factor = self.label_factor(label_code)  # (B, F_y)
        prediction = self.head(label_factor).squeeze(1)
        if not self.training:
            return Output(prediction)
        codes = [
            encoder(stream, last) for encoder, stream in zip(self.encoders, steps, strict=True)
        ]
        prior = torch.stack([mmd(code) for code in (label_code, *codes)]).sum()
        losses = {
            "generation": self._generation(label_factor, codes, steps, last),
            "prior": self.prior_weight * prior,
        }
        return Output(prediction, losses)

    def _generation(
        self, label_factor: Tensor, codes: list[Tensor], steps: Streams, last: Tensor
    ) -> Tensor:
        """Σ_m w_m MSE between the streams and what their factors generate, up to the last step."""
        count = steps[0].shape[1]
        inside = up_to(last, count)  # (B, T)
        parts = zip(self.weights, codes, self.factors, self.decoders, steps, strict=True)
        errors = [
            weight
            * squared_error(
                decoder(torch.cat([label_factor, factor(code)], dim=1), count), stream, inside
            )
            for weight, code, factor, decoder, stream in parts
        ]
        return torch.stack(errors).sum()

    def parameter_groups(self, params: TrainingParams) -> list[dict[str, object]]:
        """One group; as published, at Adam's default learning rate."""
        group: dict[str, object] = {"params": [p for p in self.parameters() if p.requires_grad]}
        return [group | {"lr": ADAM_RATE} if self.published else group]


class _Encoder(nn.Module):
    """(B, T, D) -> (B, Z): the state of an LSTM after a given step, projected."""

    def __init__(self, size: int, code: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, code, batch_first=True)
        self.project = nn.Linear(code, code)

    def forward(self, steps: Tensor, last: Tensor) -> Tensor:
        """Encode up to step ``last`` (B,)."""
        states, _ = self.lstm(steps)  # (B, T, Z)
        code: Tensor = self.project(at_step(states, last))
        return code


class _Decoder(nn.Module):
    """(B, F) -> (B, T, D): an LSTM that reads the factors once, then its own state."""

    def __init__(self, factors: int, size: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(factors, factors)
        self.project = nn.Linear(factors, size)

    def forward(self, factors: Tensor, count: int) -> Tensor:
        """Generate ``count`` steps."""
        state = self.cell(factors)  # hidden and cell, (B, F) each
        states = [state[0]]
        for _ in range(count - 1):
            state = self.cell(state[0], state)  # its output is its next input
            states.append(state[0])
        generated: Tensor = self.project(torch.stack(states, dim=1))  # (B, T, D)
        return generated


def mmd(codes: Tensor) -> Tensor:
    """Squared maximum mean discrepancy between codes (B, Z) and as many standard normal draws.

    The kernel is exp(-|x - y|² / Z²); the means run over all pairs, a point and itself included.
    """
    draws = torch.randn_like(codes)
    return _similarity(draws, draws) + _similarity(codes, codes) - 2 * _similarity(draws, codes)


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    """Mean kernel over all pairs of rows."""
    distances = (first.unsqueeze(1) - second).square().sum(2)  # (B, B)
    return (-distances / first.shape[1] ** 2).exp().mean()


def _factor(code: int, factor: int, dropout: float) -> nn.Sequential:
    """(B, Z) -> (B, F), rectified."""
    return two_layers(code, factor, factor, dropout).append(nn.ReLU())


_SIMS: Mapping[str, Scalar] = {
    **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64, "memory": 128},
    **{"label_code": 48, "text_code": 256, "audio_code": 32, "vision_code": 80},
    **{"label_factor": 48, "text_factor": 256, "audio_factor": 80, "vision_factor": 48},
    **{"label_factor_dropout": 0.5, "text_factor_dropout": 0.0},
    **{"audio_factor_dropout": 0.7, "vision_factor_dropout": 0.0, "head_dropout": 0.7},
    **{"prior_weight": 200.0, "text_weight": 0.5},
    **{"audio_weight": 0.01, "vision_weight": 0.01},
    **layer_presets(attention=(32, 0.5), proposal=(64, 0.5), out=(128, 0.2)),
    **layer_presets(retain=(64, 0.7), update=(256, 0.0)),
    **{"batch_size": 128, "lr": 2e-3, "weight_decay": 5e-3},
}

MFM = System(
    name="mfm",
    card=Card(
        title="MFM",
        paper="Tsai, Liang, Zadeh, Morency, Salakhutdinov. Learning Factorized Multimodal"
        " Representations. ICLR 2019; as implemented in MMSA",
        year=2019,
        url="https://arxiv.org/abs/1806.06176",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are pooled from true frames to the clip's own words,"
            " codes are read after the last word and only words are generated; MMSA pools padded"
            " arrays, reads on and generates the padding too",
            "quirk=fixed: the learning rate of MMSA's configuration; MMSA's trainer drops it and"
            " uses Adam's default",
            "quirk=fixed: no output layers for the MFN inside; MMSA has them and never uses them",
            "MMSA's numbers on MOSI and MOSEI are on word-aligned features",
            "MMSA has no settings for CH-SIMS v2: those of CH-SIMS stand in",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/MFM.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=MFMParams,
    presets={
        "mosi": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128, "memory": 64},
            **{"label_code": 80, "text_code": 64, "audio_code": 80, "vision_code": 80},
            **{"label_factor": 64, "text_factor": 32, "audio_factor": 16, "vision_factor": 64},
            **{"label_factor_dropout": 0.5, "text_factor_dropout": 0.5},
            **{"audio_factor_dropout": 0.7, "vision_factor_dropout": 0.5, "head_dropout": 0.0},
            **{"prior_weight": 100.0, "text_weight": 0.5},
            **{"audio_weight": 0.01, "vision_weight": 0.5},
            **layer_presets(attention=(32, 0.7), proposal=(64, 0.0), out=(128, 0.2)),
            **layer_presets(retain=(32, 0.0), update=(64, 0.5)),
            **{"batch_size": 64, "lr": 2e-3, "weight_decay": 1e-3},
        },
        "mosei": {
            **{"text_hidden": 256, "audio_hidden": 32, "vision_hidden": 256, "memory": 64},
            **{"label_code": 32, "text_code": 256, "audio_code": 80, "vision_code": 80},
            **{"label_factor": 16, "text_factor": 32, "audio_factor": 80, "vision_factor": 32},
            **{"label_factor_dropout": 0.2, "text_factor_dropout": 0.7},
            **{"audio_factor_dropout": 0.7, "vision_factor_dropout": 0.7, "head_dropout": 0.2},
            **{"prior_weight": 10.0, "text_weight": 5.0},
            **{"audio_weight": 2.0, "vision_weight": 5.0},
            **layer_presets(attention=(1278, 0.5), proposal=(32, 0.7), out=(256, 0.0)),
            **layer_presets(retain=(64, 0.5), update=(128, 0.2)),
            **{"batch_size": 64, "lr": 1e-3, "weight_decay": 5e-4},
        },
        "sims": _SIMS,
        "simsv2": _SIMS,
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=Factorised,
)
