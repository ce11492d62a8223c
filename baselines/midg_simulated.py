"""The approximation of MIDG with what has been told of its paper since, in a way of ours.

Out-of-domain inputs are simulated inside a source, and what adapters add goes back into the stream
it was added to. ``baselines.midg_approx`` is the approximation without either.

Shapes: B clips, T steps, D hidden size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.padding import masked_average
from baselines.midg_approx import MIDG_APPROX
from baselines.midg_approx.system import Judged, MIDGApprox, MIDGApproxParams, Told
from harness.data.batching import Batch
from harness.system import Dims, Output, System, param
from harness.training import clip_losses

__all__ = ["MIDG_SIMULATED", "MIDGSimulated", "MIDGSimulatedParams", "restyled"]

_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class MIDGSimulatedParams(MIDGApproxParams):
    """Hyper-parameters of the approximation and of its two additions."""

    simulation: bool = param(True, source="told of the paper; how is ours. False: sources alone")
    simulation_weight: float = param(1.0, low=0.0, source="ours: of the risk on simulated inputs")
    simulation_alpha: float = param(0.1, low=1e-3, source="MixStyle: of the Beta that mixes styles")
    feedback: bool = param(
        True, source="told of the paper; how is ours. False: what adapters add leaves the stream"
    )


class MIDGSimulated(MIDGApprox):
    """The approximation, with one more layer of each stream behind its adapters, and two of a clip.

    A clip's states are seen twice in training: as they are, and in a style between its own and that
    of another clip. Domains are then those of the sources, twice: as they are, and simulated.
    """

    def __init__(self, dims: Dims, params: MIDGSimulatedParams) -> None:
        super().__init__(dims, params)
        self.own = params
        fed = self.modalities if params.feedback and len(self.adapters) else ()
        self.returns = nn.ModuleDict({m: self._layer() for m in fed})

    def _layer(self) -> nn.TransformerEncoderLayer:
        size, params = self.own.hidden, self.own
        return nn.TransformerEncoderLayer(
            *(size, params.heads, 4 * size, params.dropout),
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )

    @property
    def known_domains(self) -> Tensor:
        """Those of the sources, and as many simulated; a source without names is one domain."""
        known = super().known_domains
        if not self.own.simulation:
            return known
        known = known if len(known) else known.new_zeros(1)
        return torch.cat([known, _simulated(known)])

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; in training, its simulated clips, too."""
        if not (self.training and self.own.simulation):
            return super().forward(batch)
        told = self.told(batch)
        other = restyled(told, self.own.simulation_alpha)
        # Apart: objectives of a transfer compare what leads to the predictions of true clips.
        own, simulated = (self.judge(self.averaged(clips)) for clips in (told, other))
        risk = clip_losses(simulated.prediction, batch.labels, self.own).mean()
        losses = self.regularities(_both(own, simulated), _twice(batch))
        losses["simulation"] = self.own.simulation_weight * risk
        told_of = {"routing": own.weights} if len(self.subsets) > 1 else {}
        return Output(own.prediction, losses, told_of)

    def adapted(self, modality: str, told: Mapping[str, Told]) -> Tensor:
        """A modality's states (B, T, D), read once more by its stream with what adapters added."""
        states = super().adapted(modality, told)
        if modality not in self.returns:
            return states
        read: Tensor = self.returns[modality](states, src_key_padding_mask=~told[modality][1])
        return read

    def injected(self) -> tuple[nn.Module, ...]:
        """The layers behind the adapters learn with them."""
        return (*super().injected(), self.returns)


def restyled(told: Mapping[str, Told], alpha: float) -> dict[str, Told]:
    """Clips in a style between their own and another's.

    x' = s (x - μ) / σ + m for the states x of a clip, μ and σ their mean and deviation over true
    steps, s = λ σ + (1 - λ) σ', m = λ μ + (1 - λ) μ' with those of another clip, λ ~ Beta(α, α). No
    gradient passes through μ and σ. The other clip and λ are a clip's, for all its modalities.

    Args:
        told: Modality -> states (B, T, D) and the mask of true steps (B, T).
        alpha: α.

    Source: Zhou, Yang, Qiao, Xiang. Domain Generalization with MixStyle. ICLR 2021.
    """
    states, _ = next(iter(told.values()))
    mix = torch.distributions.Beta(alpha, alpha).sample((len(states), 1)).to(states)  # (B, 1)
    other = torch.randperm(len(states), device=states.device)
    return {m: (_restyled(*told[m], mix, other), told[m][1]) for m in told}


def _restyled(states: Tensor, mask: Tensor, mix: Tensor, other: Tensor) -> Tensor:
    with torch.no_grad():
        mean = masked_average(states, mask)  # (B, D)
        square = masked_average((states - mean.unsqueeze(1)).square(), mask)
        deviation = square.sqrt() + _LEAST_DEVIATION
        aim = mix * mean + (1 - mix) * mean[other]
        spread = mix * deviation + (1 - mix) * deviation[other]
        scale = (spread / deviation).unsqueeze(1)  # (B, 1, D)
    return (states - mean.unsqueeze(1)) * scale + aim.unsqueeze(1)


def _both(own: Judged, simulated: Judged) -> Judged:
    """What was made of clips and of the same clips simulated, one behind the other."""
    names = [field.name for field in dataclasses.fields(Judged)]
    return Judged(**{n: torch.cat([getattr(own, n), getattr(simulated, n)]) for n in names})


def _twice(batch: Batch) -> Batch:
    """Labels and domains of a batch and of its simulated clips; nothing else of it counts."""
    own = batch.domains
    if own is None:
        own = torch.zeros(len(batch), dtype=torch.long, device=batch.labels.device)
    return dataclasses.replace(
        batch,
        labels=torch.cat([batch.labels] * 2),
        domains=torch.cat([own, _simulated(own)]),
    )


def _simulated(domains: Tensor) -> Tensor:
    """The numbers of domains that are simulated inside these: below zero."""
    return -1 - domains


MIDG_SIMULATED = System(
    name="midg_approx@simulated",
    card=dataclasses.replace(
        MIDG_APPROX.card,
        title="MIDG (approximation), out-of-domain inputs simulated",
        deviations=(
            "An approximation: only the paper's abstract was available, and no code is known. Parts"
            " and their purpose are the abstract's, every equation, size and setting is ours",
            "Told of the paper since, without equations: out-of-domain inputs are simulated inside"
            " a source, and adapters feed back into the uni-modal streams",
            "Simulated inputs are the states of each stream in a style between a clip's own and"
            " another's (MixStyle); every clip is learned from as it is and as simulated. A source"
            " is two domains then, so that one source is enough for invariance",
            "Feedback is one more Transformer layer of each stream behind its adapters; it learns"
            " with them in the knowledge stage",
            "All else is as in midg_approx; with simulation and feedback = false everything is",
        ),
    ),
    params=MIDGSimulatedParams,
    presets=MIDG_APPROX.presets,
    inputs=MIDG_APPROX.inputs,
    optional=MIDG_APPROX.optional,
    build=MIDGSimulated,
)
