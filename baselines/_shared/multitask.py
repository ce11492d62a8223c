"""Uni-modal tasks beside the fused one, for corpora whose clips are labelled stream by stream.

MLF-DNN, MTFN and MLMF are LF-DNN, TFN and LMF with a predictor on each stream's vector.

Shapes: B clips, H size of a stream's vector.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from baselines._shared.blocks import StreamNets, StreamParams
from baselines._shared.partial import partial_loss
from harness.data.batching import Batch
from harness.errors import SpecError
from harness.system import Dims, Output, ParameterGroup, param

__all__ = ["UNIMODAL", "MultitaskParams", "UnimodalHeads", "multitask_groups"]

UNIMODAL = {"text": "label_T", "audio": "label_A", "vision": "label_V"}
"""Stream -> its label; the order of the vectors of ``StreamNets``."""


@dataclass(frozen=True, kw_only=True)
class MultitaskParams(StreamParams):
    """Uni-modal predictors, weights of the four tasks, weight decay of the sub-networks."""

    text_head: int = param(16, low=1, source="MMSA, MLF-DNN on SIMS")
    audio_head: int = param(4, low=1, source="MMSA, MLF-DNN on SIMS")
    vision_head: int = param(32, low=1, source="MMSA, MLF-DNN on SIMS")
    text_head_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MLF-DNN on SIMS")
    audio_head_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MLF-DNN on SIMS")
    vision_head_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MLF-DNN on SIMS")
    fused_weight: float = param(0.6, low=0.0, source="MMSA, MLF-DNN on SIMS")
    text_weight: float = param(0.2, low=0.0, source="MMSA, MLF-DNN on SIMS")
    audio_weight: float = param(0.8, low=0.0, source="MMSA, MLF-DNN on SIMS")
    vision_weight: float = param(0.8, low=0.0, source="MMSA, MLF-DNN on SIMS")
    text_decay: float = param(1e-4, low=0.0, source="MMSA, MLF-DNN on SIMS")
    audio_decay: float = param(1e-3, low=0.0, source="MMSA, MLF-DNN on SIMS")
    vision_decay: float = param(1e-4, low=0.0, source="MMSA, MLF-DNN on SIMS")


class UnimodalHeads(nn.ModuleDict):
    """y_m = W3 ReLU(W2 ReLU(W1 dropout(h_m))) for each stream m.

    Args:
        dims: Of the corpus, which must have uni-modal labels.
        params: Sizes and task weights.
        text_out: Size of the text vector.

    Raises:
        SpecError: When the corpus has no uni-modal labels.
    """

    def __init__(self, dims: Dims, params: MultitaskParams, text_out: int) -> None:
        if not dims.unimodal:
            raise SpecError(
                "this system needs uni-modal labels and the corpus has none",
                hint="label files of sims and simsv2 have label_T, label_A and label_V",
            )
        super().__init__(
            {
                "text": _head(text_out, params.text_head, params.text_head_dropout),
                "audio": _head(params.audio_hidden, params.audio_head, params.audio_head_dropout),
                "vision": _head(
                    params.vision_hidden, params.vision_head, params.vision_head_dropout
                ),
            }
        )
        self.fused_weight = params.fused_weight
        self.weights = {
            "text": params.text_weight,
            "audio": params.audio_weight,
            "vision": params.vision_weight,
        }
        for stream, head in self.items():
            if not self.weights[stream]:  # a task without weight teaches its predictor nothing
                head.requires_grad_(False)

    def output(self, prediction: Tensor, vectors: Iterable[Tensor], batch: Batch) -> Output:
        """The fused prediction (B,) with the weighted L1 losses of all tasks.

        A task's loss is the mean over the clips that have its label.
        """
        losses = {"task": self.fused_weight * l1_loss(prediction, batch.labels)}
        for (stream, label), vector in zip(UNIMODAL.items(), vectors, strict=True):
            if self.weights[stream]:
                told = self[stream](vector).squeeze(1)  # (B,)
                given = batch.unimodal[label]
                losses[stream] = self.weights[stream] * partial_loss(l1_loss, told, given)
        return Output(prediction, losses)


def multitask_groups(
    nets: StreamNets, others: Iterable[nn.Parameter], params: MultitaskParams
) -> list[ParameterGroup]:
    """Sub-networks with weight decays of their own, ``others`` that train with the main one."""
    return [
        {"params": list(nets.text.parameters()), "weight_decay": params.text_decay},
        {"params": list(nets.audio.parameters()), "weight_decay": params.audio_decay},
        {"params": list(nets.vision.parameters()), "weight_decay": params.vision_decay},
        {"params": [parameter for parameter in others if parameter.requires_grad]},
    ]


def _head(size: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        *(nn.Linear(size, hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, 1),
    )
