"""KuDA: encoders taught by a corpus with uni-modal labels, fused by how far each can be trusted.

An assisted system: with ``knowledge`` it learns from labels that other systems do not see.

Shapes: B clips, L steps of the text, D fusion size; streams in the order text, vision, audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, pad

from baselines._shared.bert import tokens_of
from baselines._shared.mlp import gelu_mlp
from baselines._shared.partial import partial_loss
from baselines._shared.schedules import cosine_by_epoch
from baselines.kuda.encoders import Encoded, KuDAStreamBranch, KuDATextBranch
from baselines.kuda.fusion import STREAMS, RoutedBlock, Shape, info_nce, trust
from harness.data.batching import Batch
from harness.errors import SpecError
from harness.spec import ReleasedSelection, Scalar, SelectionRule
from harness.system import (
    Card,
    Dims,
    KnowledgeParams,
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
from harness.system.gates import Gate

__all__ = ["KUDA", "KuDA", "KuDAParams"]


@dataclass(frozen=True, kw_only=True)
class KuDAParams(TokenParams, KnowledgeParams, QuirkParams, WarmParams):
    """Hyper-parameters of KuDA."""

    hidden: int = param(128, low=8, source="KuDA code: audio and vision")
    heads: int = param(8, low=1, source="KuDA code: audio and vision")
    layers: int = param(4, low=2, source="KuDA code: audio and vision")
    dropout: float = param(0.2, low=0.0, high=1.0, source="KuDA code: audio and vision")
    adapter_heads: int = param(4, low=1, source="KuDA code")
    adapter_layers: int = param(2, low=1, source="KuDA code")
    adapter_dropout: float = param(0.1, low=0.0, high=1.0, source="KuDA code")
    joint_size: int = param(256, low=1, source="KuDA code")
    fusion_heads: int = param(8, low=1, source="KuDA code")
    head_size: int = param(64, low=1, source="KuDA code: of a fusion head")
    feed_size: int = param(512, low=1, source="KuDA code")
    blocks: int = param(3, low=1, source="KuDA code")
    fusion_dropout: float = param(0.3, low=0.0, high=1.0, source="KuDA code: while reading streams")
    sharpness: float = param(0.1, low=0.0, source="KuDA code: of the trust in a stream")
    nce_weight: float = param(0.1, low=0.0, source="KuDA code")
    text_epochs: int = param(100, low=1, stage=True, source="KuDA code: stage 1")
    vision_epochs: int = param(100, low=1, stage=True, source="KuDA code: stage 1")
    audio_epochs: int = param(50, low=1, stage=True, source="KuDA code: stage 1")
    knowledge_lr: float = param(1e-4, low=0.0, source="KuDA code: stage 1")
    knowledge_decay: float = param(1e-3, low=0.0, source="KuDA code: stage 1")
    knowledge_batch: int = param(32, low=2, source="KuDA code: stage 1")
    lr: float = param(3e-5, low=0.0, source="KuDA code")
    weight_decay: float = param(1e-5, low=0.0, source="KuDA code")
    batch_size: int = param(32, low=2, source="KuDA code")
    epochs: int = param(50, low=0, source="KuDA code")
    loss: str = param("mse", choices=("l1", "mse"), source="KuDA code")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="KuDA code")
    schedule: str = param("cosine", choices=("constant", "linear", "cosine"), source="KuDA code")
    warmup: float = param(0.1, low=0.0, high=1.0, source="KuDA code")

    def lr_factor(self, at: TrainingProgress) -> float:
        """As released, the rate changes once per epoch and is zero in the first."""
        if not (self.published and self.warmup and self.schedule == "cosine"):
            return super().lr_factor(at)
        return cosine_by_epoch(at, self.warmup)

    @property
    def shape(self) -> Shape:
        """Of the fusion blocks."""
        return Shape(
            size=self.joint_size,
            heads=self.fusion_heads,
            head_size=self.head_size,
            feed=self.feed_size,
            dropout=self.fusion_dropout,
            published=self.published,
        )


class KuDA(Network):
    """Each stream is read by the joint state; how much it adds depends on its own prediction."""

    def __init__(self, dims: Dims, params: KuDAParams) -> None:
        super().__init__()
        self.params, self.published = params, params.published
        shapes = {m: dims.need(m) for m in ("vision", "audio")}
        adapter = (params.adapter_heads, params.adapter_layers, params.adapter_dropout)
        text = KuDATextBranch(dims, params.max_tokens, adapter, padded=self.published)
        streams = {m: self._stream_branch(shape, adapter) for m, shape in shapes.items()}
        self.branches = nn.ModuleDict({"text": text, **streams})
        wide, size = {"text": 2 * text.bert.size}, params.joint_size
        self.sizes = nn.ModuleDict(
            {m: nn.Linear(wide.get(m, 2 * params.hidden), size) for m in STREAMS}
        )
        self.frames = {"text": params.max_tokens} | {m: frames for m, (frames, _) in shapes.items()}
        self.lengths = nn.ModuleDict(
            {m: nn.Linear(self.frames[m], params.max_tokens) for m in STREAMS}
        )
        self.blocks = nn.ModuleList(RoutedBlock(params.shape) for _ in range(params.blocks))
        self.judgement = None if self.published else Gate("trust", of=tuple(STREAMS))
        self.head = gelu_mlp(size, size // 4, size // 8)
        self._train_fusion()

    def _stream_branch(
        self, shape: tuple[int, int], adapter: tuple[int, int, float]
    ) -> KuDAStreamBranch:
        params = self.params
        return KuDAStreamBranch(
            *(shape, params.hidden, params.heads, params.layers, params.dropout, adapter),
            padded=self.published,
        )

    def _branch(self, stream: str) -> KuDATextBranch | KuDAStreamBranch:
        branch = self.branches[stream]
        assert isinstance(branch, KuDATextBranch | KuDAStreamBranch)
        return branch

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; in training the trust in each stream is measured by the label."""
        encoded = {m: self._encode(m, batch) for m in STREAMS}
        told = torch.stack([self._tell(m, encoded[m]) for m in STREAMS], dim=1)  # (B, 3)
        ratios = self._ratios(told, batch)  # (B, 3) or None
        hidden = {m: self._aligned(m, encoded[m]) for m in STREAMS}  # (B, L, D) each
        state = torch.stack(list(hidden.values())).sum(0)  # (B, L, D)
        for block in self.blocks:
            state = block(state, hidden, ratios)
        prediction = self.head(state.mean(1)).squeeze(1)
        diagnostics = {} if self.published else {"trust": ratios}
        if not self.training:
            return Output(prediction, diagnostics=_present(diagnostics))
        nce = torch.stack([info_nce(h.mean(1), state.mean(1)) for h in hidden.values()]).sum()
        losses = {"nce": self.params.nce_weight * nce}
        return Output(prediction, losses, _present(diagnostics))

    def _encode(self, stream: str, batch: Batch) -> Encoded:
        read = tokens_of(batch) if stream == "text" else getattr(batch, stream)
        encoded: Encoded = self._branch(stream)(read)
        return encoded

    def _tell(self, stream: str, encoded: Encoded) -> Tensor:
        """(B,) what a stream alone predicts."""
        prediction: Tensor = self._branch(stream).decoder(encoded.mean()).squeeze(1)
        return prediction

    def _ratios(self, told: Tensor, batch: Batch) -> Tensor | None:
        """(B, 3), or None: as published there is none in evaluation."""
        if self.training:
            return trust(told, batch.labels, self.params.sharpness)
        if self.judgement is None:
            return None
        # Without a label, what the streams say on average stands in for it.
        judged: Tensor = self.judgement(trust(told, told.mean(1), self.params.sharpness))
        return judged

    def _aligned(self, stream: str, encoded: Encoded) -> Tensor:
        """(B, L, D): one size, and one length by a linear map over time."""
        values = self.sizes[stream](encoded.values)
        if encoded.mask is not None:
            values = values * encoded.mask.unsqueeze(2)
        values = pad(values, (0, 0, 0, self.frames[stream] - values.shape[1]))
        # Time is the last axis for the map: (B, D, frames) -> (B, D, L).
        aligned: Tensor = self.lengths[stream](values.mT).mT
        return aligned

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """Each stream alone, on the knowledge corpus where that is possible; then fusion."""
        own = self.params
        epochs = {
            "text": own.text_epochs,
            "vision": own.vision_epochs,
            "audio": own.audio_epochs,
        }
        injections = (self._injection(m, epochs[m]) for m in STREAMS)
        patience = own.epochs if self.published and own.epochs else None
        return (*injections, Stage(patience=patience, enter=self._train_fusion))

    def _injection(self, stream: str, epochs: int) -> Stage:
        """Only text means the same on every corpus; as published all streams are carried over."""
        elsewhere = bool(self.params.knowledge) and (self.published or stream == "text")

        def predict(batch: Batch) -> Tensor:
            return self._tell(stream, self._encode(stream, batch))

        def loss(batch: Batch) -> Tensor:
            if elsewhere and self.published:
                self._check_sizes(batch)
            labels = batch.unimodal.get(STREAMS[stream], batch.labels)
            return partial_loss(mse_loss, predict(batch), labels)

        def groups(_: TrainingParams) -> list[ParameterGroup]:
            trained = [p for p in self.branches[stream].parameters() if p.requires_grad]
            return [{"params": trained, "weight_decay": self.params.knowledge_decay}]

        return Stage(
            name=f"{stream}_knowledge",
            passes=(Pass(loss=loss, groups=groups),),
            epochs=epochs,
            batch_size=self.params.knowledge_batch,
            lr=self.params.knowledge_lr,
            eligible=epochs if self.published else 1,
            enter=lambda: self._train_only(self.branches[stream]),
            predict=predict,
            on_knowledge=elsewhere,
        )

    def _check_sizes(self, batch: Batch) -> None:
        for m in ("vision", "audio"):
            branch, sequence = self.branches[m], getattr(batch, m)
            found = None if sequence is None else (sequence.frames, sequence.values.shape[2])
            if found != branch.shape:
                raise SpecError(
                    f"{m} of {self.params.knowledge} has (frames, features) {found},"
                    f" expected {branch.shape} as in the task's corpus",
                    hint='quirk = "fixed" carries only the text branch over',
                )

    def _train_fusion(self) -> None:
        """What was injected stays: adapters and uni-modal predictors."""
        self._train_only(self)
        for branch in map(self._branch, STREAMS):
            branch.adapters.requires_grad_(False)
            branch.decoder.requires_grad_(False)

    def _train_only(self, part: nn.Module) -> None:
        self.requires_grad_(False)
        part.requires_grad_(True)
        text = self._branch("text")
        assert isinstance(text, KuDATextBranch)
        text.freeze_pooler()


def _present(told: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {name: value for name, value in told.items() if value is not None}


_COMMON: Mapping[str, Scalar] = {
    **{"hidden": 128, "heads": 8, "layers": 4, "joint_size": 256, "feed_size": 512, "blocks": 3},
    **{"text_epochs": 100, "vision_epochs": 100, "audio_epochs": 50, "epochs": 50},
    **{"lr": 3e-5, "weight_decay": 1e-5, "batch_size": 32, "max_tokens": 50},
}
_CHINESE: Mapping[str, Scalar] = {**_COMMON, "encoder": "bert-base-chinese"}

KUDA = System(
    name="kuda",
    card=Card(
        title="KuDA (assisted)",
        paper="Feng, Lin, He, Li, Chang, Zhou. Knowledge-Guided Dynamic Modality Attention Fusion"
        " Framework for Multimodal Sentiment Analysis. Findings of EMNLP 2024",
        year=2024,
        url="https://aclanthology.org/2024.findings-emnlp.865",
        text="T-BERT",
        deviations=(
            "Assisted: the authors' knowledge is CH-SIMS v2 with its uni-modal labels, which holds"
            " CH-SIMS' training clips (translated by machine for MOSI and MOSEI). Without a"
            " knowledge corpus stage 1 runs on the task's own clips and labels",
            "quirk=fixed: only the text branch is carried over from the knowledge corpus, since"
            " public feature sets differ in audio and vision; the other branches run stage 1 on"
            " the task's own clips. quirk=published carries all, and refuses other sizes",
            "quirk=fixed: the trust ratio multiplies what a layer norm has scaled. The released"
            " code multiplies before the norm, which cancels any factor: there the ratio, and the"
            " label it is computed from, change nothing",
            "quirk=fixed: in evaluation the streams are trusted by how near they are to the mean"
            " of their own predictions; the released code then drops the ratio and three layer"
            " norms that training uses",
            "quirk=fixed: padding is masked; the released code averages over it and maps it"
            " through time",
            "As in the released code stage 2 freezes adapters and uni-modal predictors, not the"
            " encoders",
            "quirk=fixed: the rate changes every step; as released it changes every epoch and is"
            " zero in the first",
            "quirk=fixed: stages end with the protocol's patience, counted from the end of the"
            " warm-up, at their best epoch; as released all epochs are trained, and stage 1 keeps"
            " the last one",
            "The pre-trained pooler is kept but neither used nor trained",
            "The released code has CH-SIMS' input sizes written in; ours are the corpus's",
        ),
        selection=ReleasedSelection(
            source="KuDA code, pretrain.py and train.py",
            rules=(SelectionRule(monitor="last"),),
            notes=(
                "Nothing is chosen by code: stage 1 saves its last epoch; stage 2 saves none and"
                " prints validation and test after each. What it ends with is the last one, too",
            ),
        ),
    ),
    params=KuDAParams,
    presets={
        "mosi": _COMMON,
        "mosei": _COMMON,
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=KuDA,
)
