"""ConKI: adapters that were taught by another corpus, beside encoders that were not.

An assisted system when ``knowledge`` names a corpus; without one, adapters learn first and from the
task's own clips.

Shapes: B clips, M modalities, D hidden size of the text encoder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from baselines._shared.bert import bert_groups, tokens_of
from baselines._shared.mlp import gelu_mlp
from baselines._shared.schedules import from_zero
from baselines.conki.parts import (
    ConKIStreamBranch,
    ConKITextBranch,
    Gate,
    as_in_bert,
    knowledge_contrast,
)
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

__all__ = ["CONKI", "ConKI", "ConKIParams"]

FIRST_KEPT = 2  # epoch that the released code may select first


@dataclass(frozen=True, kw_only=True)
class ConKIParams(TokenParams, KnowledgeParams, QuirkParams, WarmParams):
    """Hyper-parameters of ConKI."""

    max_tokens: int = param(256, low=3, high=512, source="ConKI code")
    heads: int = param(8, low=1, source="ConKI code: audio and vision")
    layers: int = param(2, low=1, source="ConKI code: audio and vision")
    dropout: float = param(0.5, low=0.0, high=1.0, source="ConKI code: audio and vision")
    adapter_heads: int = param(12, low=1, source="ConKI code")
    adapter_layers: int = param(2, low=1, source="ConKI code")
    adapter_dropout: float = param(0.1, low=0.0, high=1.0, source="ConKI code")
    fusion_dropout: float = param(0.1, low=0.0, high=1.0, source="ConKI code")
    reduction: int = param(8, low=1, source="ConKI code: of the gate's bottleneck")
    contrast_weight: float = param(0.01, low=0.0, source="ConKI code")
    temperature: float = param(0.07, low=0.0, source="ConKI code")
    label_step: float = param(1.0, low=0.0, source="ConKI code: labels are rounded to contrast")
    knowledge_audio: int = param(
        0, low=0, source="features of the knowledge corpus, mapped to the task's; 0: as many"
    )
    knowledge_vision: int = param(0, low=0, source="the same of vision")
    knowledge_epochs: int = param(10, low=1, stage=True, source="ConKI code")
    knowledge_lr: float = param(5e-5, low=0.0, source="ConKI code")
    encoder_lr: float = param(5e-6, low=0.0, source="ConKI code: of all encoders")
    lr: float = param(1e-6, low=0.0, source="ConKI code: of the rest")
    weight_decay: float = param(1e-3, low=0.0, source="ConKI code")
    batch_size: int = param(32, low=2, source="ConKI code")
    epochs: int = param(200, low=0, source="ConKI code")
    loss: str = param("mse", choices=("l1", "mse"), source="ConKI code")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="ConKI code")
    schedule: str = param("linear", choices=("constant", "linear", "cosine"), source="ConKI code")
    warmup: float = param(0.05, low=0.0, high=1.0, source="ConKI code: 10 of 200 epochs")
    knowledge_warmup: float = param(
        0.1, low=0.0, high=1.0, source="ConKI code: stage 1; only read by quirk=published"
    )

    def lr_factor(self, at: TrainingProgress) -> float:
        """As released, the first step has a rate of zero."""
        start = from_zero(self, at) if self.published else None
        return super().lr_factor(at) if start is None else start

    @property
    def teaching(self) -> ConKIParams:
        """What trains the knowledge stage."""
        if not self.published:
            return self
        return dataclasses.replace(self, warmup=self.knowledge_warmup)


class ConKI(Network):
    """y = MLP(gate([e_t; e_a; e_v])), e_m = W_m [general_m; specific_m]."""

    def __init__(self, dims: Dims, params: ConKIParams) -> None:
        super().__init__()
        self.params = params
        adapter = (params.adapter_heads, params.adapter_layers, params.adapter_dropout)
        text = ConKITextBranch(dims, adapter)
        size = text.bert.size
        streams = {m: s for m in ("audio", "vision") if (s := getattr(dims, m)) is not None}
        self.branches = nn.ModuleDict(
            {
                "text": text,
                **{m: self._stream_branch(m, s, size, adapter) for m, s in streams.items()},
            }
        )
        self.modalities = tuple(self.branches)
        self.join = nn.ModuleDict({m: nn.Linear(2 * size, size) for m in self.modalities})
        self.gate = Gate(len(self.modalities) * size, params.reduction)
        self.dropout = nn.Dropout(params.fusion_dropout)
        widths = (size, size // 2, size // 4, size // 8)
        self.head = gelu_mlp(len(self.modalities) * size, *widths)
        if params.published:
            for branch in map(self._branch, self.modalities):
                branch.adapters.apply(as_in_bert)
        self._train_all_but_taught()

    def _stream_branch(
        self, stream: str, shape: tuple[int, int], size: int, adapter: tuple[int, int, float]
    ) -> ConKIStreamBranch:
        params = self.params
        elsewhere: int = getattr(params, f"knowledge_{stream}") if params.knowledge else 0
        return ConKIStreamBranch(
            *(shape, size, (params.heads, params.layers, params.dropout), adapter),
            knowledge=0 if elsewhere == shape[1] else elsewhere,
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        general, specific = self._read(batch)
        prediction = self._judge(general, specific)
        if not self.training:
            return Output(prediction)
        labels = (batch.labels / self.params.label_step).round()
        contrast = knowledge_contrast(general, specific, labels, self.params.temperature)
        return Output(prediction, {"contrast": self.params.contrast_weight * contrast})

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """General and specific knowledge, (B, M, D) each."""
        read = {m: tokens_of(batch) if m == "text" else getattr(batch, m) for m in self.modalities}
        told = [self.branches[m](read[m]) for m in self.modalities]
        general, specific = (torch.stack(part, dim=1) for part in zip(*told, strict=True))
        return general, specific

    def _judge(self, general: Tensor, specific: Tensor) -> Tensor:
        both = torch.cat([general, specific], dim=2)  # (B, M, 2 D)
        joined = [self.join[m](both[:, i]) for i, m in enumerate(self.modalities)]  # (B, D) each
        fused = self.dropout(self.gate(torch.cat(joined, dim=1)))  # (B, M D)
        prediction: Tensor = self.head(fused).squeeze(1)
        return prediction

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """Everything but the encoders on the knowledge corpus; then all but what was taught."""

        def predict(batch: Batch) -> Tensor:
            return self._judge(*self._read(batch))

        def loss(batch: Batch) -> Tensor:
            self._check_streams(batch)
            return mse_loss(predict(batch), batch.labels)

        def groups(_: TrainingParams) -> list[ParameterGroup]:
            trained = [p for p in self.parameters() if p.requires_grad]
            return [{"params": trained, "weight_decay": 0.0}]

        own = self.params
        knowledge = Stage(
            name="knowledge",
            passes=(Pass(loss=loss, groups=groups),),
            epochs=own.knowledge_epochs,
            lr=own.knowledge_lr,
            enter=self._train_all_but_encoders,
            predict=predict,
            on_knowledge=bool(self.params.knowledge),
            patience=own.knowledge_epochs if own.published else None,
            params=own.teaching,
        )
        whole = own.published and own.epochs
        fusion = Stage(
            patience=own.epochs if whole else None,
            eligible=FIRST_KEPT if own.published else 1,
            enter=self._train_all_but_taught,
        )
        return knowledge, fusion

    def _check_streams(self, batch: Batch) -> None:
        for stream in self.modalities[1:]:
            branch, sequence = self._branch(stream), getattr(batch, stream)
            assert isinstance(branch, ConKIStreamBranch)
            bridge = branch.translate
            expected = {branch.shape[1]} | ({bridge.in_features} if bridge is not None else set())
            found = None if sequence is None else sequence.values.shape[2]
            if found not in expected:
                raise SpecError(
                    f"{stream} of {self.params.knowledge} has {found} features, expected"
                    f" {' or '.join(map(str, sorted(expected)))}",
                    hint=f"knowledge_{stream} = {found}",
                )

    def _branch(self, modality: str) -> ConKITextBranch | ConKIStreamBranch:
        branch = self.branches[modality]
        assert isinstance(branch, ConKITextBranch | ConKIStreamBranch)
        return branch

    def _train_all_but_encoders(self) -> None:
        self.requires_grad_(True)
        for branch in map(self._branch, self.modalities):
            branch.encoder().requires_grad_(False)

    def _train_all_but_taught(self) -> None:
        self.requires_grad_(True)
        for branch in map(self._branch, self.modalities):
            for part in branch.taught():
                part.requires_grad_(False)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Encoders, the text's by BERT's recipe, and the rest."""
        text, *streams = map(self._branch, self.modalities)
        slow, decay = self.params.encoder_lr, params.weight_decay
        encoders = [p for branch in streams for p in branch.encoder().parameters()]
        set_apart = set(map(id, [*encoders, *text.encoder().parameters()]))
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in set_apart]
        return [
            *bert_groups(text.encoder(), slow, decay),
            {"params": encoders, "lr": slow},
            {"params": rest},
        ]


_CHINESE: Mapping[str, Scalar] = {"encoder": "bert-base-chinese", "label_step": 0.2}

CONKI = System(
    name="conki",
    card=Card(
        title="ConKI",
        paper="Yu, Zhao, Qi, Sun, Wang, Guo, Wang, Yang, Niu. ConKI: Contrastive Knowledge"
        " Injection for Multimodal Sentiment Analysis. Findings of ACL 2023",
        year=2023,
        url="https://arxiv.org/abs/2306.15796",
        text="T-BERT",
        unlisted="the paper's table was not at hand",
        deviations=(
            "Assisted: the authors' knowledge is CMU-MOSEI with its labels (knowledge ="
            ' "mosei@unaligned-50", whose 74 and 35 features are mapped to MOSI\'s). Without a'
            " knowledge corpus the adapters' stage runs on the task's own clips",
            "Padding is masked; the released adapters read it, and it is averaged over",
            "The released code needs a patched Transformer encoder to reach its layers; we take the"
            " adapted audio and vision layer to be the first",
            "The uni-modal predictor, whose loss has weight 0 in the released settings, is left"
            " out",
            "quirk=fixed: adapters are PyTorch's Transformer layers; as released they are BERT's,"
            " without dropout inside the feed-forward layer and with attention that starts as"
            " linear layers do",
            "quirk=fixed: stages end with the protocol's patience, counted from the end of the"
            " warm-up; as released all epochs are trained, and the first one cannot be selected",
            "quirk=fixed: both stages warm up over 5 % of their steps; as released stage 1 over a"
            " tenth, and both from a rate of zero",
            "Where a suite allows fewer epochs than released, schedules are made for those, as a"
            " whole",
            "Texts keep 256 tokens as in the released code. Without audio or vision the text"
            " stands alone",
            "Settings are released for CMU-MOSI only; other datasets use them, CH-SIMS with its"
            " own label step and encoder",
        ),
        selection=ReleasedSelection(
            source="ConKI code, train/ and util/common.py",
            rules=(SelectionRule(monitor="mae", digits=4, first=2),),
            notes=("Released for CMU-MOSI only",),
        ),
    ),
    params=ConKIParams,
    presets={
        "mosi": {"knowledge_audio": 74, "knowledge_vision": 35},
        "sims": _CHINESE,
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    optional=frozenset({"audio", "vision"}),
    build=ConKI,
)
