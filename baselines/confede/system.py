"""ConFEDE: each stream split into a similar and a dissimilar half, contrasted with like clips.

Shapes: B clips, n training clips, T frames, D vector size, K candidates; streams in the order text,
vision, audio.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from baselines._shared.bert import TokenEncoder, bert_groups, tokens_of
from baselines._shared.contrast import nt_xent
from baselines._shared.mlp import gelu_mlp
from baselines._shared.partial import partial_loss
from baselines._shared.retrieval import nearest_clips
from baselines._shared.schedules import from_zero
from baselines.confede.parts import ConFEDEStreamEncoder, contrast_pairs, projector
from harness.data.batching import Batch, BatchSource
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    Pass,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    TrainingProgress,
    WarmParams,
    param,
)

__all__ = ["CONFEDE", "ConFEDE", "ConFEDEParams"]

STREAMS = {"text": "label_T", "vision": "label_V", "audio": "label_A"}
BANK_BATCH = 256
DRAWN = 2  # of each kind of candidate: same label near, other label far, other label near


@dataclass(frozen=True, kw_only=True)
class ConFEDEParams(TokenParams, QuirkParams, WarmParams):
    """Hyper-parameters of ConFEDE; the vector size is that of the text encoder."""

    max_tokens: int = param(256, low=3, high=512, source="ConFEDE code")
    heads: int = param(8, low=1, source="ConFEDE code")
    audio_layers: int = param(2, low=1, source="ConFEDE code, MOSI")
    vision_layers: int = param(2, low=1, source="ConFEDE code, MOSI")
    dropout: float = param(0.5, low=0.0, high=1.0, source="ConFEDE code")
    temperature: float = param(0.5, low=0.0, source="ConFEDE code")
    contrast_weight: float = param(0.1, low=0.0, source="ConFEDE code")
    mono_weight: float = param(0.01, low=0.0, source="ConFEDE code")
    label_step: float = param(1.0, low=0.0, source="ConFEDE code: labels this near are the same")
    candidates: int = param(10, low=2, source="ConFEDE code, MOSI: of each kind")
    refresh: int = param(2, low=1, source="ConFEDE code, MOSI: epochs between searches")
    stores_ranks: bool = param(True, source="ConFEDE code, MOSI; only read by quirk=published")
    text_epochs: int = param(200, low=3, source="ConFEDE code, MOSI; a third with a frozen encoder")
    audio_epochs: int = param(100, low=1, stage=True, source="ConFEDE code, MOSI")
    vision_epochs: int = param(100, low=1, stage=True, source="ConFEDE code, MOSI")
    text_warmup: int = param(5, low=0, source="ConFEDE code, epochs; only read by quirk=published")
    audio_warmup: int = param(10, low=0, source="ConFEDE code; likewise")
    vision_warmup: int = param(5, low=0, source="ConFEDE code, MOSI; likewise")
    stream_optimizer: str = param(
        "amsgrad",
        choices=("adam", "adamw", "amsgrad"),
        source="ConFEDE code, MOSI: audio and vision alone; only read by quirk=published",
    )
    first_kept: int = param(
        2, low=1, source="ConFEDE code, MOSI: first epoch selected; only read by quirk=published"
    )
    text_lr: float = param(1e-4, low=0.0, source="ConFEDE code, MOSI")
    stream_lr: float = param(1e-4, low=0.0, source="ConFEDE code: audio and vision alone")
    text_batch: int = param(128, low=2, source="ConFEDE code, MOSI")
    stream_batch: int = param(128, low=2, source="ConFEDE code, MOSI: audio and vision alone")
    lr: float = param(1e-4, low=0.0, source="ConFEDE code")
    weight_decay: float = param(1e-3, low=0.0, source="ConFEDE code")
    batch_size: int = param(16, low=2, source="ConFEDE code, MOSI")
    epochs: int = param(25, low=0, source="ConFEDE code, MOSI")
    loss: str = param("mse", choices=("l1", "mse"), source="ConFEDE code")
    optimizer: str = param(
        "adamw", choices=("adam", "adamw", "amsgrad"), source="ConFEDE code: fusion and text"
    )
    schedule: str = param("linear", choices=("constant", "linear", "cosine"), source="ConFEDE code")
    warmup: float = param(0.04, low=0.0, high=1.0, source="ConFEDE code, MOSI: one epoch of 25")

    def lr_factor(self, at: TrainingProgress) -> float:
        """As released, the first step has a rate of zero."""
        start = from_zero(self, at) if self.published else None
        return super().lr_factor(at) if start is None else start

    @property
    def longest_schedule(self) -> int:
        """Of text, those after the third that is a stage of its own."""
        return max(super().longest_schedule, self.text_epochs - self.text_epochs // 3)

    def alone(self, stream: str, epochs: int, *, warms: bool) -> ConFEDEParams:
        """What trains a stream alone; the quirk decides on warm-up and optimiser.

        Args:
            stream: ``text``, ``audio`` or ``vision``.
            epochs: Of the stage.
            warms: Whether the stage is the stream's first.
        """
        if not self.published:
            return self
        warmup = min(1.0, int(getattr(self, f"{stream}_warmup")) / epochs) if warms else 0.0
        optimizer = self.optimizer if stream == "text" else self.stream_optimizer
        return dataclasses.replace(self, warmup=warmup, optimizer=optimizer)


class ConFEDE(Network):
    """y = MLP([s_t; s_v; s_a; d_t; d_v; d_a]) with s_m, d_m = dropout(tanh(W norm(h_m)))."""

    bank: Tensor
    """(n, 3, K) rows of the clips to draw from, in the order of ``nearest_clips``."""

    def __init__(self, dims: Dims, params: ConFEDEParams) -> None:
        super().__init__()
        self.params, self.unimodal = params, dims.unimodal
        self.text = TokenEncoder(dims, pooler=True)
        size = self.text.size
        self.vision = self._encoder(dims.need("vision"), params.vision_layers)
        self.audio = self._encoder(dims.need("audio"), params.audio_layers)
        half, drop = size // 2, params.dropout
        self.similar = nn.ModuleDict({m: projector(size, half, drop) for m in STREAMS})
        self.different = nn.ModuleDict({m: projector(size, half, drop) for m in STREAMS})
        self.decoder = gelu_mlp(6 * half, size, size // 2, size // 4, size // 8)
        self.mono = gelu_mlp(half, size // 4, size // 8)
        self.alone = nn.ModuleDict(
            {m: gelu_mlp(size, size // 2, size // 4, size // 8) for m in STREAMS}
        )
        self._clips: BatchSource | None = None
        self._train_fusion()

    def _encoder(self, shape: tuple[int, int], layers: int) -> ConFEDEStreamEncoder:
        heads, dropout = self.params.heads, self.params.dropout
        return ConFEDEStreamEncoder(
            *(shape, self.text.size, layers, heads, dropout), padded=self.params.published
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; in training with its losses and those of the clips drawn for it."""
        halves = self.halves(self.vectors(batch))  # (B, 6, D / 2)
        prediction = self.predict_halves(halves)
        if not self.training:
            return Output(prediction)
        groups, labels = halves.unsqueeze(1), self._labels(batch).unsqueeze(1)  # (B, 1, 6, ·)
        if self._clips is not None:
            drawn = self._clips.gather(self._draw(batch.rows).flatten())  # 6 B clips
            others = self.halves(self.vectors(drawn))  # (6 B, 6, D / 2)
            groups = torch.cat([groups, others.unflatten(0, (len(batch), -1))], dim=1)
            more = self._labels(drawn).unflatten(0, (len(batch), -1))  # (B, 6, 7)
            labels = torch.cat([labels, more], dim=1)  # (B, 7, 7)
        return Output(prediction, self._losses(groups, labels))

    def vectors(self, batch: Batch) -> Tensor:
        """(B, 3, D): the streams' vectors."""
        return torch.stack([self._vector(m, batch) for m in STREAMS], dim=1)

    def halves(self, vectors: Tensor) -> Tensor:
        """(B, 3, D) -> (B, 6, D / 2): three similar, then three dissimilar halves."""
        parts = [
            projectors[m](vectors[:, i])
            for projectors in (self.similar, self.different)
            for i, m in enumerate(STREAMS)
        ]
        return torch.stack(parts, dim=1)

    def predict_halves(self, halves: Tensor) -> Tensor:
        """(..., 6, D / 2) -> (...)."""
        prediction: Tensor = self.decoder(halves.flatten(-2)).squeeze(-1)
        return prediction

    def _losses(self, groups: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Of (B, C, 6, D / 2) halves: each clip and C - 1 drawn for it; (B, C, 7) labels."""
        positive, negative = contrast_pairs(groups.shape[1], groups.device)
        vectors = groups.transpose(1, 2).flatten(1, 2)  # (B, 6 C, D / 2)
        contrast = nt_xent(vectors, positive, negative, self.params.temperature)
        mono = partial_loss(mse_loss, self.mono(groups).squeeze(-1), labels[..., 1:])
        return {
            "task": mse_loss(self.predict_halves(groups), labels[..., 0]),
            "contrast": self.params.contrast_weight * contrast,
            "mono": self.params.mono_weight * mono,
        }

    def _labels(self, batch: Batch) -> Tensor:
        """(B, 7): of the clip and of its six halves; the dissimilar ones know their stream's.

        NaN where a clip has no label of the stream, though others have.
        """
        own = [self._label(m, batch) for m in STREAMS]
        return torch.stack([*[batch.labels] * 4, *own], dim=1)

    def _label(self, stream: str, batch: Batch) -> Tensor:
        return batch.unimodal[STREAMS[stream]] if self.unimodal else batch.labels

    def _vector(self, stream: str, batch: Batch) -> Tensor:
        if stream == "text":
            return self.text.pooled(tokens_of(batch))
        sequence = batch.audio if stream == "audio" else batch.vision
        encoder = self.audio if stream == "audio" else self.vision
        vector: Tensor = encoder(sequence)
        return vector

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Remember where training clips are; room for the candidates of each."""
        self._clips = train
        count = min(self.params.candidates, len(train))
        own = torch.arange(len(train), device=train.labels.device)
        self.register_buffer("bank", own[:, None, None].repeat(1, 3, count))

    def begin_epoch(self, epoch: int) -> None:
        """Search anew for like and unlike clips every few epochs of fusion."""
        if self._fusing and (epoch - 1) % self.params.refresh == 0 and self._clips is not None:
            self._search(self._clips)

    def _search(self, clips: BatchSource) -> None:
        training = self.training
        self.eval()  # what is compared has no dropout
        with torch.no_grad():
            parts = [self.vectors(batch).flatten(1) for batch in clips.in_order(BANK_BATCH)]
        self.train(training)
        self.bank = nearest_clips(
            torch.cat(parts),
            (clips.labels / self.params.label_step).round(),
            self.bank.shape[2],
            ranks=self.params.published and self.params.stores_ranks,
        )

    def _draw(self, rows: Tensor) -> Tensor:
        """(B,) -> (B, 6): two candidates of each kind."""
        candidates = self.bank[rows]  # (B, 3, K)
        order = torch.rand(candidates.shape, device=rows.device).argsort(2)  # (B, 3, K), shuffled
        return candidates.gather(2, order[..., :DRAWN]).flatten(1)

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """Each stream alone, text at first with a frozen encoder; then fusion, text frozen."""
        own = self.params
        head = own.text_epochs // 3
        batch, lr = own.stream_batch, own.stream_lr
        return (
            self._alone("text", "text_head", head, own.text_batch, own.text_lr),
            self._alone("text", "text", own.text_epochs - head, own.text_batch, own.text_lr),
            self._alone("vision", "vision", own.vision_epochs, batch, lr),
            self._alone("audio", "audio", own.audio_epochs, batch, lr),
            dataclasses.replace(self._whole(own.epochs), enter=self._train_fusion),
        )

    def _whole(self, epochs: int) -> Stage:
        """A stage; as released all its epochs are trained, and the first ones are not kept."""
        if not self.params.published or not epochs:
            return Stage()
        return Stage(patience=epochs, eligible=self.params.first_kept)

    def _alone_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """As released AdamW spares biases and norms."""
        if self.params.published and params.optimizer == "adamw":
            return bert_groups(self, self.params.stream_lr, params.weight_decay)
        return super().parameter_groups(params)

    def _alone(self, stream: str, name: str, epochs: int, batch_size: int, lr: float) -> Stage:
        def predict(batch: Batch) -> Tensor:
            prediction: Tensor = self.alone[stream](self._vector(stream, batch)).squeeze(1)
            return prediction

        def loss(batch: Batch) -> Tensor:
            return partial_loss(mse_loss, predict(batch), self._label(stream, batch))

        def enter() -> None:
            self._fusing = False
            parts = [self.alone[stream]]
            if name == stream:  # not while only its predictor learns
                parts.append(getattr(self, stream))
            self._train_only(*parts)

        groups = super().parameter_groups if stream == "text" else self._alone_groups
        return dataclasses.replace(
            self._whole(epochs),
            name=name,
            passes=(Pass(loss=loss, groups=groups),),
            params=self.params.alone(stream, epochs, warms=name != "text"),
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            enter=enter,
            predict=predict,
        )

    def _train_fusion(self) -> None:
        """Everything but the text encoder, which stays as its own stage left it."""
        self._fusing = True
        self._train_only(
            *(self.vision, self.audio, self.similar, self.different, self.decoder, self.mono)
        )

    def _train_only(self, *parts: nn.Module) -> None:
        self.requires_grad_(False)
        for part in parts:
            part.requires_grad_(True)
        for encoder in (self.vision, self.audio):
            if encoder.padded:
                encoder.unused.requires_grad_(False)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Biases are not decayed."""
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        return [
            {"params": [p for name, p in trained if not name.endswith("bias")]},
            {"params": [p for name, p in trained if name.endswith("bias")], "weight_decay": 0.0},
        ]


_MOSI: Mapping[str, Scalar] = {
    **{"audio_layers": 2, "vision_layers": 2, "label_step": 1.0},
    **{"candidates": 10, "refresh": 2, "stores_ranks": True},
    **{"text_epochs": 200, "vision_epochs": 100, "audio_epochs": 100},
    **{"text_lr": 1e-4, "stream_lr": 1e-4, "text_batch": 128, "stream_batch": 128},
    **{"vision_warmup": 5, "stream_optimizer": "amsgrad", "first_kept": 2},
    **{"lr": 1e-4, "weight_decay": 1e-3, "batch_size": 16, "epochs": 25, "warmup": 1 / 25},
}
_MOSEI: Mapping[str, Scalar] = {
    **{"audio_layers": 3, "vision_layers": 3, "label_step": 1.0},
    **{"candidates": 50, "refresh": 2, "stores_ranks": False},
    **{"text_epochs": 150, "vision_epochs": 300, "audio_epochs": 300},
    **{"text_lr": 1e-5, "stream_lr": 1e-4, "text_batch": 64, "stream_batch": 128},
    **{"vision_warmup": 10, "stream_optimizer": "adamw", "first_kept": 2},
    **{"lr": 1e-4, "weight_decay": 1e-3, "batch_size": 8, "epochs": 6, "warmup": 1 / 6},
}
_SIMS: Mapping[str, Scalar] = {
    **{"encoder": "bert-base-chinese"},
    **{"audio_layers": 2, "vision_layers": 1, "label_step": 0.2},
    **{"candidates": 10, "refresh": 10, "stores_ranks": True},
    **{"text_epochs": 150, "vision_epochs": 300, "audio_epochs": 300},
    **{"text_lr": 1e-5, "stream_lr": 1e-4, "text_batch": 64, "stream_batch": 64},
    **{"vision_warmup": 10, "stream_optimizer": "amsgrad", "first_kept": 11},
    **{"lr": 1e-4, "weight_decay": 1e-3, "batch_size": 32, "epochs": 50, "warmup": 1 / 50},
}

CONFEDE = System(
    name="confede",
    card=Card(
        title="ConFEDE",
        paper="Yang, Yu, Niu, Guo, Xu. ConFEDE: Contrastive Feature Decomposition for Multimodal"
        " Sentiment Analysis. ACL 2023",
        year=2023,
        url="https://aclanthology.org/2023.acl-long.421",
        text="T-BERT, frozen in fusion",
        deviations=(
            "The authors' five seeds share one set of uni-modal encoders, so their spread lacks"
            " that stage's; ours trains all stages anew for each seed",
            "quirk=fixed: the clips retrieved are those found. The released MOSI and CH-SIMS code"
            " stores their ranks instead and draws the clips at those positions of the training"
            " file, whatever their labels (quirk=published; its MOSEI code is right)",
            "quirk=fixed: audio and vision are averaged over true frames; as published over the"
            " padded length. Two unused linear layers of each encoder are left out",
            "The parameters include the three predictors of the uni-modal stages, which the"
            " authors keep in other files and do not count",
            "quirk=fixed: all stages warm up over the same share of their steps and train with"
            " AdamW; as released over 5 epochs (text, MOSI's vision) or 10, from a rate of zero,"
            " audio and vision with AMSGrad (MOSEI: AdamW without decay of biases and norms)",
            "quirk=fixed: stages end with the protocol's patience, counted from the end of the"
            " warm-up; as released all epochs are trained, and the first one (CH-SIMS: the first"
            " ten) cannot be selected",
            "Where a suite allows fewer epochs than released, schedules are made for those, as a"
            " whole",
            "Every stage is validated after each epoch; as released MOSEI's every 100 steps",
            "As released, frames whose features sum to 0 count as padding; ours go by length",
            "The first third of the"
            " text epochs, with a frozen encoder, is a stage of its own schedule. All are selected"
            " on the clip's label, on CH-SIMS too, where the authors use the stream's",
            "A clip of a label that no other clip has stands in for its own like; the released"
            " code fails. Candidates are sought in the whole training split, in the released code"
            " in the nearest and farthest tenth (MOSEI) or half (CH-SIMS)",
            "CH-SIMS v2: no published settings; those of CH-SIMS",
        ),
        selection=ReleasedSelection(
            source="ConFEDE code, train/constrastive and util/common.py",
            rules=(
                SelectionRule(monitor="last", stages=("text_head",)),
                SelectionRule(monitor="mae", digits=4, stages=("text",)),
                SelectionRule(
                    monitor="mae",
                    digits=4,
                    first=6,
                    stages=("vision", "audio"),
                    datasets=("mosei",),
                ),
                SelectionRule(
                    monitor="mae", digits=4, first=21, stages=("vision",), datasets=("mosi",)
                ),
                SelectionRule(monitor="mae", digits=4, first=51, stages=("vision",)),
                SelectionRule(monitor="mae", digits=4, first=31, stages=("audio",)),
                SelectionRule(monitor="acc2", digits=4, first=11, datasets=("sims", "simsv2")),
                SelectionRule(monitor="mae", digits=4, first=2),
            ),
            notes=(
                "CMU-MOSEI: fusion is validated every 100 steps, from the second epoch on; here"
                " after each epoch, for what is kept is a point of the curves",
                "CH-SIMS: streams alone are judged on their own labels; here on the clip's",
                "CH-SIMS v2 has no released settings: those of CH-SIMS",
            ),
        ),
    ),
    params=ConFEDEParams,
    presets={"mosi": _MOSI, "mosei": _MOSEI, "sims": _SIMS, "simsv2": _SIMS},
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=ConFEDE,
)
