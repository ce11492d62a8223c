"""LNLN: ALMT for incomplete inputs; language that is damaged gives way to a proxy of it.

Shapes: B clips, N tokens of a stream, H hidden size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from baselines._shared.bert import audio_vision, tokens_of
from baselines._shared.missing import (
    check_unknown,
    kept_frames,
    kept_tokens,
    without_frames,
    without_tokens,
)
from baselines.almt.blocks import HyperFusion, HyperParams, TokenStreams, transformer
from harness.data.batching import Batch
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    Stage,
    System,
    TrainingParams,
    param,
)
from harness.system.gates import Gate

__all__ = ["LNLN", "DominantLanguageNetwork", "LNLNParams", "damaged", "reversed_gradient"]

Parts = tuple[Tensor, Tensor, Tensor]
"""Language, audio and vision, each (B, N, H)."""


@dataclass(frozen=True, kw_only=True)
class LNLNParams(HyperParams):
    """Hyper-parameters of LNLN."""

    stream_layers: int = param(2, low=1, source="LNLN; of the encoders of streams")
    layers: int = param(2, low=1, source="LNLN; of completeness check, proxy and reconstruction")
    discriminator_size: int = param(64, low=1, source="LNLN")
    completeness_weight: float = param(0.9, low=0.0, source="LNLN, alpha")
    adversarial_weight: float = param(0.8, low=0.0, source="LNLN, beta on MOSI")
    reconstruction_weight: float = param(0.1, low=0.0, source="LNLN, gamma")
    clean_share: float = param(
        0.5, low=0.0, high=1.0, source="LNLN; of training clips whose stream loses nothing"
    )
    unknown_token: int = param(100, low=0, source="LNLN; [UNK] of both BERT-base vocabularies")


class DominantLanguageNetwork(Network):
    """y = head(HyperFusion(d, a, v)), where d = (1 - w) p + w l stands in for language l.

    w, how complete language is, is judged from l. The proxy p is made of audio a and vision v so
    that a discriminator takes d for complete language.
    """

    def __init__(self, dims: Dims, params: LNLNParams) -> None:
        super().__init__()
        check_unknown(dims, params.unknown_token)
        self.params = params
        count, hidden, layers = params.token_count, params.hidden, params.layers
        self.streams = TokenStreams(dims, params)
        self.inspect = transformer(params, count, layers, tokens=1)
        self.judge = nn.Sequential(
            *(nn.Linear(hidden, hidden // 2), nn.LeakyReLU(0.1)),
            *(nn.Linear(hidden // 2, 1), nn.Sigmoid()),
        )
        self.judgement = Gate("completeness", of=("text",))
        self.seed = nn.Parameter(torch.ones(count, hidden))
        self.proxy = transformer(params, 3 * count, layers, tokens=count)
        self.discriminator = nn.Sequential(
            *(nn.Linear(hidden, params.discriminator_size), nn.LeakyReLU(0.1)),
            nn.Linear(params.discriminator_size, 2),
        )
        self.rebuild = nn.ModuleList(transformer(params, count, layers) for _ in range(3))
        self.fusion = HyperFusion(params)
        self.head = nn.Linear(hidden, 1)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch: damaged in training, as it is in evaluation."""
        if not self.training:
            parts = self._condense(batch)
            completeness = self.completeness(parts[0])
            prediction = self._predict(parts, self.dominant(parts, completeness)[0])
            return Output(prediction, diagnostics={"completeness": completeness})
        incomplete, rates = damaged(batch, self.params)
        parts = self._condense(incomplete)
        completeness = self.completeness(parts[0])
        dominant, disguised = self.dominant(parts, completeness)
        losses = {
            "completeness": self.params.completeness_weight * mse_loss(completeness, 1 - rates),
            **self.losses(parts, self._condense(batch), disguised),
        }
        return Output(self._predict(parts, dominant), losses, {"completeness": completeness})

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, as long as the quirk wants it."""
        return self.params.own_stages

    def _condense(self, batch: Batch) -> Parts:
        parts: Parts = self.streams(tokens_of(batch), *audio_vision(batch))
        return parts

    def completeness(self, language: Tensor) -> Tensor:
        """(B,) w in (0, 1), the estimated share of language that is there."""
        score: Tensor = self.judge(self.inspect(language)[:, 0])  # (B, 1)
        judged: Tensor = self.judgement(score.squeeze(1))
        return judged

    def dominant(self, parts: Parts, completeness: Tensor) -> tuple[Tensor, Tensor]:
        """As the fusion reads d, and as the discriminator does, each (B, N, H): equal values.

        What the discriminator learns reaches the proxy with its sign turned. As released, so does
        what the prediction learns.
        """
        language, audio, vision = parts
        seed = self.seed.expand(len(language), -1, -1)  # (B, N, H)
        # The first N of 3 N steps, those of the seed, become the proxy.
        proxy = self.proxy(torch.cat([seed, audio, vision], dim=1))[:, : seed.shape[1]]
        w = completeness[:, None, None]  # (B, 1, 1)
        disguised = (1 - w) * reversed_gradient(proxy) + w * language
        if self.params.published:
            return disguised, disguised
        return (1 - w) * proxy + w * language, disguised

    def _predict(self, parts: Parts, dominant: Tensor) -> Tensor:
        fused = self.fusion(dominant, *parts[1:])[:, 1:].mean(1)  # (B, H)
        prediction: Tensor = self.head(fused).squeeze(1)
        return prediction

    def losses(self, parts: Parts, complete: Parts, disguised: Tensor) -> dict[str, Tensor]:
        """Adversarial and reconstruction losses, weighted.

        Args:
            parts: Of damaged inputs.
            complete: Of the same clips undamaged.
            disguised: (B, N, H), d as the discriminator reads it.
        """
        seen = torch.cat([disguised, complete[0]]).flatten(0, 1)  # (2BN, H)
        fake = torch.arange(len(seen), device=seen.device) < len(seen) // 2  # (2BN,)
        adversarial = cross_entropy(self.discriminator(seen), fake.long())
        rebuilt = torch.cat([f(p) for f, p in zip(self.rebuild, parts, strict=True)], dim=1)
        target = torch.cat(complete, dim=1)  # (B, 3N, H)
        if not self.params.published:  # else the target, too, moves towards what is easy to rebuild
            target = target.detach()
        return {
            "adversarial": self.params.adversarial_weight * adversarial,
            "reconstruction": self.params.reconstruction_weight * mse_loss(rebuilt, target),
        }


def damaged(batch: Batch, params: LNLNParams) -> tuple[Batch, Tensor]:
    """The batch with elements dropped, and the (B,) loss rates of its tokens.

    Each stream of each clip has a rate of its own, uniform in [0, 1), or 0 for ``clean_share``.
    """
    tokens, (audio, vision) = tokens_of(batch), audio_vision(batch)
    draws = torch.rand(2, 3, len(batch), device=batch.labels.device)  # (2, streams, B)
    rates = draws[0] * (draws[1] >= params.clean_share)  # (streams, B)
    kept = kept_tokens(tokens, rates[0])
    incomplete = dataclasses.replace(
        batch,
        tokens=without_tokens(tokens, kept, params.unknown_token),
        audio=without_frames(audio, kept_frames(audio, rates[1])),
        vision=without_frames(vision, kept_frames(vision, rates[2])),
    )
    return incomplete, rates[0]


def reversed_gradient(values: Tensor) -> Tensor:
    """The values themselves; gradients pass backwards with their sign turned."""
    return 2 * values.detach() - values


LNLN = System(
    name="lnln",
    card=Card(
        title="LNLN",
        paper="Zhang, Wang, Yu. Towards Robust Multimodal Sentiment Analysis with Incomplete Data."
        " NeurIPS 2024",
        year=2024,
        url="https://arxiv.org/abs/2409.20012",
        text="T-BERT",
        deviations=(
            "Evaluated on complete inputs here. The paper's numbers are not comparable: averages"
            " over test inputs that lose 0, 10, ..., 90 percent, three seeds, checkpoints chosen on"
            " test",
            "Training inputs are damaged anew in every batch, independently in each stream; the"
            " released code mostly keeps one drawing and seeds every stream's alike",
            "quirk=fixed: only the discriminator's gradient is reversed; as released the proxy is"
            " also driven away from good predictions",
            "quirk=fixed: the targets of reconstruction are constants; as released they are"
            " trained too",
            "quirk=fixed: padding is masked, the hyper-modality starts at random, the rate changes"
            " every step: see ALMT",
            "quirk=fixed: the protocol's patience, counted from the end of the warm-up; the authors"
            " train 200 epochs whatever happens, as quirk=published does",
            "Where a suite allows fewer epochs than released, schedules are made for those, as a"
            " whole",
            "CH-SIMS v2: settings of CH-SIMS (ours); no code publishes any",
        ),
        declares={
            "parameters@published": "the first norm of the hyper-modality, of ones, has a weight"
            " that no gradient reaches before the first step",
        },
        unselected="it keeps the best test epoch of each metric, at half of the input missing",
    ),
    params=LNLNParams,
    presets={
        "mosi": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50},
            **{"fusion_layers": 2, "adversarial_weight": 0.8},
        },
        "mosei": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50},
            **{"fusion_layers": 4, "adversarial_weight": 0.8},
        },
        "sims": {
            **{"encoder": "bert-base-chinese", "max_tokens": 39},
            **{"fusion_layers": 4, "adversarial_weight": 0.6},
        },
        "simsv2": {
            **{"encoder": "bert-base-chinese", "max_tokens": 50},
            **{"fusion_layers": 4, "adversarial_weight": 0.6},
        },
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=DominantLanguageNetwork,
)
