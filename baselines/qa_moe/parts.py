"""Parts of QA-MoE (ACL 2026): Gaussian features, experts and their routing, losses.

Shapes: B clips, T steps, N tokens of a clip, M modalities, H hidden size, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, silu

from baselines._shared.transformer import sinusoids
from harness.data.batching import Sequence

__all__ = [
    "Feature",
    "GatedExpert",
    "Gaussian",
    "QAMoEStreamEncoder",
    "QualityRouter",
    "balance_loss",
    "bounded",
    "gaussian_nll",
    "supervised_contrast",
    "top_weights",
]

LEAST_LOG_VARIANCE, GREATEST_LOG_VARIANCE = -8.0, 5.0
LEAST_GATE = 1e-6  # so that a closed quality gate leaves a finite logit


class QAMoEStreamEncoder(nn.Module):
    """(B, T, D) -> (B, H): a linear map, a Transformer, and the mean over true steps."""

    def __init__(
        self,
        size: int,
        hidden: int,
        *,
        heads: int,
        layers: int,
        feed_size: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(size, hidden), nn.LayerNorm(hidden))
        layer = nn.TransformerEncoderLayer(hidden, heads, feed_size, dropout, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, stream: Sequence) -> Tensor:
        """One vector per clip."""
        steps, mask = self.project(stream.values), stream.mask  # (B, T, H), (B, T)
        steps = steps + sinusoids(steps.shape[1], steps.shape[2], steps.device)
        encoded = self.encode(steps, src_key_padding_mask=~mask) * mask.unsqueeze(2)  # (B, T, H)
        mean: Tensor = encoded.sum(1) / mask.sum(1, keepdim=True)
        return mean


@dataclass(frozen=True, eq=False)
class Feature:
    """What a modality says of B clips, and how sure it is.

    Args:
        mean: (B, H) μ.
        log_variance: (B,) log σ².
        prediction: (B,) of the label, from μ alone.
    """

    mean: Tensor
    log_variance: Tensor
    prediction: Tensor

    @property
    def quality(self) -> Tensor:
        """(B,) 1 / (1 + σ²), in (0, 1)."""
        return (-self.log_variance).sigmoid()

    def sample(self) -> Tensor:
        """(B, H) drawn from N(μ, σ²)."""
        noise = torch.randn_like(self.mean)
        return self.mean + noise * (self.log_variance / 2).exp().unsqueeze(1)


class Gaussian(nn.Module):
    """A vector read as a Gaussian whose variance is that of its own prediction's error."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mean = nn.Linear(hidden, hidden)
        self.log_variance = nn.Linear(hidden, 1)
        self.predict = nn.Linear(hidden, 1)

    def forward(self, vector: Tensor) -> Feature:
        """(B, H) -> a feature of B clips."""
        mean = self.mean(vector)
        return Feature(
            mean,
            bounded(self.log_variance(vector).squeeze(1)),
            self.predict(mean).squeeze(1),
        )


def bounded(log_variance: Tensor) -> Tensor:
    """Within [-8, 5], where neither it nor its inverse overflows a loss."""
    return log_variance.clamp(LEAST_LOG_VARIANCE, GREATEST_LOG_VARIANCE)


class QualityRouter(nn.Module):
    """Logits W_s x + log(ε + σ(W_q r)) of a clip's tokens x and the qualities r it is made of."""

    def __init__(self, hidden: int, modalities: int, experts: int) -> None:
        super().__init__()
        self.meaning = nn.Linear(hidden, experts)
        self.quality = nn.Linear(modalities, experts)

    def forward(self, tokens: Tensor, quality: Tensor) -> Tensor:
        """(B, N, H) and (B, M) -> (B, N, E)."""
        # Added to logits, a logarithm multiplies what the softmax weighs: (B, E).
        gate = (LEAST_GATE + self.quality(quality).sigmoid()).log()
        logits: Tensor = self.meaning(tokens) + gate.unsqueeze(1)
        return logits


class GatedExpert(nn.Module):
    """W_o (W_1 x ⊙ SiLU(W_2 x))."""

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.value = nn.Linear(hidden, size)
        self.gate = nn.Linear(hidden, size)
        self.output = nn.Linear(size, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., H) -> (..., H)."""
        answer: Tensor = self.output(self.value(tokens) * silu(self.gate(tokens)))
        return answer


def top_weights(logits: Tensor, top_k: int) -> Tensor:
    """(..., E) -> (..., E): softmax over the ``top_k`` largest, zero elsewhere."""
    best, places = logits.topk(top_k, dim=-1)  # (..., top_k) each
    return torch.zeros_like(logits).scatter(-1, places, best.softmax(-1))


def balance_loss(logits: Tensor, weights: Tensor) -> Tensor:
    """E Σ_e f_e P_e: 1 when all experts are used alike, up to E when one does everything.

    f_e is the share of choices that fell on expert e, P_e its mean probability before any choice.

    Args:
        logits: (..., E).
        weights: (..., E) of the chosen experts, zero elsewhere.

    Source: Fedus, Zoph, Shazeer. Switch Transformers, JMLR 2022; here over several choices.
    """
    experts = logits.shape[-1]
    chosen = (weights > 0).float().reshape(-1, experts).mean(0)  # (E,)
    likely = logits.softmax(-1).reshape(-1, experts).mean(0)  # (E,)
    return experts * (chosen / chosen.sum() * likely).sum()


def gaussian_nll(errors: Tensor, log_variances: Tensor) -> Tensor:
    """½ (e² / σ² + log σ²), elementwise: least where σ² is the expected e²."""
    return 0.5 * ((-log_variances).exp() * errors.square() + log_variances)


def supervised_contrast(vectors: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Clips of one class should be nearer than others; 0 when no two clips share a class.

    For an anchor i the mean over the others j of its class of -log(e^s(i,j) / Σ_{k≠i} e^s(i,k)), s
    the cosine over the temperature; then the mean over the anchors that have company.

    Args:
        vectors: (B, H).
        classes: (B,) whole numbers.
        temperature: Of the cosines.

    Source: Khosla et al. Supervised Contrastive Learning, NeurIPS 2020.
    """
    units = normalize(vectors, dim=1)
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    scores = (units @ units.T / temperature).masked_fill(itself, -torch.inf)  # (B, B)
    same = (classes.unsqueeze(1) == classes) & ~itself
    costs = scores.logsumexp(1, keepdim=True) - scores  # (B, B)
    per_anchor = costs.masked_fill(~same, 0).sum(1) / same.sum(1).clamp(min=1)  # (B,)
    return per_anchor.sum() / same.any(1).sum().clamp(min=1)
