"""Uni-modal labels that a network makes itself: Self-MM's, which TETFN took over.

A modality's label starts as the clip's label and moves with the modality's feature: by how much
nearer it lies to the centre of positive than of negative clips, compared with the fused feature.

Shapes: n training clips, B clips of a batch, K feature size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from harness.data.batching import Batch, BatchSource
from harness.system import Network, Output, TrainingParams

__all__ = ["UNIMODAL", "Featured", "LabelBank", "SelfLabelled"]

UNIMODAL = ("text", "audio", "vision")
_EPS = 1e-8


class LabelBank(nn.Module):
    """Labels and last features of every training clip, kept as buffers.

    With D⁺ and D⁻ the distances of a clip's feature to the centres of the clips whose current label
    is positive or negative, δ = (D⁻ - D⁺) / (D⁺ + ε), and epoch e counted from 1::

        new_m = ½ y δ_m / (δ_f + ε) + ½ (y + δ_m - δ_f), clamped to ±bound
        y_m   ← (e - 1) / (e + 1) y_m + 2 / (e + 1) new_m        from the second epoch on

    where m is a modality and f the fused feature. Labels of 0 belong to no centre; while a centre
    has no clip, labels stay.

    Args:
        sizes: K of ``fusion``, ``text``, ``audio``, ``vision``.
        bound: Largest absolute label.

    Source: Yu et al., Learning Modality-Specific Representations with Self-Supervised Multi-Task
    Learning for Multimodal Sentiment Analysis, AAAI 2021; as in MMSA, whose distances are not
    divided by √K (which cancels in δ).
    """

    def __init__(self, sizes: Mapping[str, int], bound: float) -> None:
        super().__init__()
        self.sizes, self.bound = dict(sizes), bound
        self.epoch = 1

    def open(self, truth: Tensor) -> None:
        """Start from the clips' labels (n,) and no features."""
        self.register_buffer("label", truth.clone())
        for name in UNIMODAL:
            self.register_buffer(f"label_{name}", truth.clone())
        for name, size in self.sizes.items():
            self.register_buffer(f"feature_{name}", truth.new_zeros(len(truth), size))

    def labels(self, name: str) -> Tensor:
        """(n,) current labels of a modality; of ``fusion``, the clips' own."""
        return self.get_buffer("label" if name == "fusion" else f"label_{name}")

    def loss(self, name: str, prediction: Tensor, rows: Tensor) -> Tensor:
        """Mean of tanh|y_m - y| · |ŷ_m - y_m|: what already agrees with the clip weighs little.

        Args:
            name: The modality.
            prediction: (B,) ŷ_m.
            rows: (B,) the clips.
        """
        own, truth = self.labels(name)[rows], self.labels("fusion")[rows]  # (B,) each
        weight = (own - truth).abs().tanh()
        return (weight * (prediction - own).abs()).mean()

    def update(self, rows: Tensor, features: Mapping[str, Tensor]) -> None:
        """Move the labels of the clips at ``rows`` (B,), then keep their features (B, K)."""
        if self.epoch > 1:
            fused = self._leaning("fusion", features["fusion"])
            for name in UNIMODAL:
                self._relabel(name, rows, self._leaning(name, features[name]), fused)
        for name, values in features.items():
            kept = self.get_buffer(f"feature_{name}")
            kept[rows] = values.to(kept.dtype)

    def _leaning(self, name: str, features: Tensor) -> Tensor:
        """(B,) δ; NaN while a centre has no clip."""
        positive, negative = self._centres(name)
        near = vector_norm(features - positive, dim=1)  # (B,)
        far = vector_norm(features - negative, dim=1)  # (B,)
        leaning: Tensor = (far - near) / (near + _EPS)
        return leaning

    def _centres(self, name: str) -> tuple[Tensor, Tensor]:
        """(K,) mean features of clips with positive and with negative label."""
        labels, features = self.labels(name), self.get_buffer(f"feature_{name}")
        masks = ((sign * labels > 0).to(features.dtype) for sign in (1, -1))  # (n,) each
        positive, negative = (mask @ features / mask.sum() for mask in masks)  # (K,) each
        return positive, negative

    def _relabel(self, name: str, rows: Tensor, own: Tensor, fused: Tensor) -> None:
        labels, truth = self.labels(name), self.labels("fusion")[rows]
        new = 0.5 * own / (fused + _EPS) * truth + 0.5 * (truth + own - fused)
        new = new.clamp(-self.bound, self.bound)
        old, inertia = labels[rows], (self.epoch - 1) / (self.epoch + 1)
        moved = inertia * old + (1 - inertia) * new
        # Without one of the centres δ is NaN.
        labels[rows] = torch.where(moved.isfinite(), moved, old)


@dataclass(frozen=True, eq=False)
class Featured(Output):
    """An output with the features by which labels move: (B, K) by name."""

    features: Mapping[str, Tensor] = field(default_factory=dict)


class SelfLabelled(Network):
    """Base of networks with uni-modal predictions trained on a label bank.

    Args:
        sizes: Sizes of the features ``fusion``, ``text``, ``audio``, ``vision``.
        bound: Largest absolute label.
    """

    reads_rest = True

    def __init__(self, sizes: Mapping[str, int], bound: float) -> None:
        super().__init__()
        self.bank = LabelBank(sizes, bound)

    def output(
        self,
        batch: Batch,
        prediction: Tensor,
        unimodal: Mapping[str, Tensor],
        features: Mapping[str, Tensor],
    ) -> Featured:
        """The prediction (B,), in training with uni-modal losses, else with the rest to look at.

        Args:
            batch: The clips.
            prediction: (B,) from the fused feature.
            unimodal: (B,) predictions from ``text``, ``audio`` and ``vision``.
            features: (B, K) by name, ``fusion`` included.
        """
        if not self.training:
            return Featured(prediction, diagnostics=dict(unimodal))
        losses = {name: self.bank.loss(name, y, batch.rows) for name, y in unimodal.items()}
        return Featured(prediction, losses, features=features)

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Open the bank with the training labels."""
        self.bank.open(train.labels)

    def begin_epoch(self, epoch: int) -> None:
        """Later epochs move labels less."""
        self.bank.epoch = epoch

    def after_step(self, batch: Batch, output: Output) -> None:
        """Move the labels of the batch."""
        assert isinstance(output, Featured)
        self.bank.update(batch.rows, output.features)
