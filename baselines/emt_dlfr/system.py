"""EMT-DLFR: streams talk through three global tokens; a damaged clip is drawn to the whole one.

Shapes: B clips, T steps of a stream, d model size, K size of a vector, L tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from baselines._shared.bert import TokenEncoder, audio_vision, bert_groups, tokens_of
from baselines._shared.missing import (
    check_unknown,
    kept_frames,
    kept_tokens,
    without_frames,
    without_tokens,
)
from baselines._shared.padding import padded_tokens
from baselines.emt_dlfr.parts import (
    AttractionHead,
    GlobalPool,
    MutualUnit,
    StreamReader,
    attraction,
    interleaved_sinusoids,
    restoration_loss,
)
from harness.data.batching import Batch, BatchSource, Sequence, Tokens
from harness.errors import SpecError
from harness.spec import Scalar
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    QuirkParams,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["EMT_DLFR", "DualLevelRestoration", "EMTDLFRParams", "View"]

NAMES = ("text", "audio", "vision")
PATIENCE = 8  # epochs, of the released early stop
DAMAGE_SEEDS = {"text": 111, "audio": 1111, "vision": 11111}  # of the released drawing
CHUNK = 256  # clips read at a time when features are measured


@dataclass(frozen=True, kw_only=True)
class EMTDLFRParams(TokenParams, QuirkParams):
    """Hyper-parameters; ``lr`` and ``weight_decay`` are those of all but encoder and LSTMs."""

    hidden: int = param(128, low=2, source="EMT-DLFR code, MOSI, d_model; divisible by heads")
    heads: int = param(4, low=1, source="EMT-DLFR code")
    layers: int = param(3, low=1, source="EMT-DLFR code, MOSI; all are one")
    expansion: int = param(4, low=1, source="EMT-DLFR code, ff_expansion")
    attention_dropout: float = param(0.3, low=0.0, high=1.0, source="EMT-DLFR code, MOSI")
    feed_dropout: float = param(0.1, low=0.0, high=1.0, source="EMT-DLFR code, MOSI")
    audio_hidden: int = param(32, low=1, source="EMT-DLFR code, MOSI; of the LSTM")
    vision_hidden: int = param(64, low=1, source="EMT-DLFR code, MOSI; of the LSTM")
    audio_size: int = param(16, low=1, source="EMT-DLFR code, audio_out")
    vision_size: int = param(32, low=1, source="EMT-DLFR code, video_out")
    fusion_size: int = param(256, low=1, source="EMT-DLFR code, MOSI, post_fusion_dim")
    fusion_dropout: float = param(0.3, low=0.0, high=1.0, source="EMT-DLFR code, MOSI")
    joint_narrow: int = param(128, low=1, source="EMT-DLFR code; of the attraction heads")
    text_narrow: int = param(256, low=1, source="EMT-DLFR code; likewise")
    audio_narrow: int = param(8, low=1, source="EMT-DLFR code; likewise")
    vision_narrow: int = param(16, low=1, source="EMT-DLFR code; likewise")
    attraction_weight: float = param(1.0, low=0.0, source="EMT-DLFR code, MOSI, alpha")
    restoration_weight: float = param(1.0, low=0.0, source="EMT-DLFR code, MOSI, beta")
    loss_rate: float = param(
        0.5, low=0.0, high=1.0, source="ours; the code trains a model for each of 0, 0.1, ..., 1"
    )
    standardize: bool = param(False, source="EMT-DLFR code: audio and vision of CH-SIMS only")
    unknown_token: int = param(100, low=0, source="EMT-DLFR code; [UNK] of both vocabularies")
    encoder_lr: float = param(5e-5, low=0.0, source="EMT-DLFR code, MOSI")
    encoder_decay: float = param(1e-3, low=0.0, source="EMT-DLFR code")
    audio_lr: float = param(1e-3, low=0.0, source="EMT-DLFR code, MOSI; of the LSTM")
    audio_decay: float = param(1e-2, low=0.0, source="EMT-DLFR code, MOSI; of the LSTM")
    vision_lr: float = param(1e-4, low=0.0, source="EMT-DLFR code, MOSI; of the LSTM")
    vision_decay: float = param(1e-3, low=0.0, source="EMT-DLFR code, MOSI; of the LSTM")
    lr: float = param(1e-3, low=0.0, source="EMT-DLFR code, MOSI")
    weight_decay: float = param(1e-3, low=0.0, source="EMT-DLFR code, MOSI")
    batch_size: int = param(32, low=2, source="EMT-DLFR code, MOSI")
    accumulate: int = param(4, low=1, source="EMT-DLFR code")


@dataclass(frozen=True, eq=False)
class View:
    """What the network makes of one version of the clips.

    Args:
        prediction: (B,).
        vectors: ``joint``, the tokens in the end, and the streams' own vectors, (B, K) each.
        states: Of each stream in the end, (B, T, d).
        hidden: (B, L - 1, H) hidden states of text.
    """

    prediction: Tensor
    vectors: Mapping[str, Tensor]
    states: Mapping[str, Tensor]
    hidden: Tensor


class DualLevelRestoration(Network):
    """y = MLP([u_text; u_audio; u_vision; g]): vectors of the streams, and the tokens in the end.

    The tokens g start as the vectors. In each layer the streams read the tokens and the tokens
    each stream, all by one unit, and what the streams made of the tokens is pooled. In training, a
    damaged view predicts; it is drawn to the complete one and says what the holes held.
    """

    def __init__(self, dims: Dims, params: EMTDLFRParams) -> None:
        super().__init__()
        check_unknown(dims, params.unknown_token)
        if params.hidden % params.heads:
            raise SpecError("hidden should be a multiple of heads")
        self.params = params
        self.encoder = TokenEncoder(dims)
        size = params.hidden
        self.frames = {"text": params.max_tokens} | {m: dims.need(m)[0] for m in NAMES[1:]}
        features = {m: dims.need(m)[1] for m in NAMES[1:]}
        self.readers = nn.ModuleDict(
            {
                "audio": StreamReader(features["audio"], params.audio_hidden, params.audio_size),
                "vision": StreamReader(
                    features["vision"], params.vision_hidden, params.vision_size
                ),
            }
        )
        widths = {
            "text": self.encoder.size,
            "audio": params.audio_size,
            "vision": params.vision_size,
        }
        self.project = nn.ModuleDict({m: _projection(widths[m], size) for m in NAMES})
        self.unit = MutualUnit(
            size,
            params.heads,
            expansion=params.expansion,
            attention_dropout=params.attention_dropout,
            feed_dropout=params.feed_dropout,
        )
        self.pool = GlobalPool(3 * size)
        vectors = {"joint": 3 * size, **widths}
        self.head = nn.Sequential(
            nn.Dropout(params.fusion_dropout),
            *(nn.Linear(sum(vectors.values()), params.fusion_size), nn.ReLU()),
            *(nn.Linear(params.fusion_size, params.fusion_size), nn.ReLU()),
            nn.Linear(params.fusion_size, 1),
        )
        self.attract = nn.ModuleDict(
            {
                m: AttractionHead(width, int(getattr(params, f"{m}_narrow")))
                for m, width in vectors.items()
            }
        )
        targets = {"text": self.encoder.size, **features}
        self.rebuild = nn.ModuleDict({m: nn.Linear(size, targets[m]) for m in NAMES})
        for m in NAMES[1:] if params.standardize else ():
            self.register_buffer(f"{m}_mean", torch.zeros(features[m]))
            self.register_buffer(f"{m}_deviation", torch.ones(features[m]))

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Measure the training frames where features are standardised; as released, draw holes."""
        if self.params.standardize:
            self._measure(train)
        if self.params.published:
            for m, steps in self.frames.items():
                draws = np.random.RandomState(DAMAGE_SEEDS[m]).uniform(size=(len(train), steps))
                survivors = torch.from_numpy(draws > self.params.loss_rate)  # (n, T)
                device = train.labels.device
                self.register_buffer(f"{m}_survivors", survivors.to(device), persistent=False)

    def _measure(self, train: BatchSource) -> None:
        count: dict[str, Tensor] = {}
        sums: dict[str, Tensor] = {}
        squares: dict[str, Tensor] = {}
        for batch in train.in_order(CHUNK):
            for m, sequence in zip(NAMES[1:], audio_vision(batch), strict=True):
                frames = sequence.values[sequence.mask].double()  # (frames, features)
                count[m] = count.get(m, 0) + sequence.lengths.sum()
                sums[m] = sums.get(m, 0) + frames.sum(0)
                squares[m] = squares.get(m, 0) + frames.square().sum(0)
        for m in NAMES[1:]:
            mean = sums[m] / count[m]
            spread = (squares[m] / count[m] - mean.square()).clamp(min=0).sqrt() + 1e-6
            self.get_buffer(f"{m}_mean").copy_(mean)
            self.get_buffer(f"{m}_deviation").copy_(spread)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch: with holes in training, as it is in evaluation."""
        batch = self._standardized(batch)
        if not self.training:
            return Output(self.view(batch).prediction)
        incomplete, lost = self.damaged(batch)
        views = self.view(batch), self.view(incomplete)
        return Output(views[1].prediction, self.losses(batch, *views, lost))

    def _standardized(self, batch: Batch) -> Batch:
        if not self.params.standardize:
            return batch
        changed: dict[str, Sequence] = {}
        for m, sequence in zip(NAMES[1:], audio_vision(batch), strict=True):
            told = sequence.mask
            if not self.params.published:  # what corruption took stays zero, as what training takes
                told = told & sequence.values.any(2)
            centred = sequence.values - self.get_buffer(f"{m}_mean")
            values = centred / self.get_buffer(f"{m}_deviation") * told.unsqueeze(2)
            changed[m] = dataclasses.replace(sequence, values=values)
        return dataclasses.replace(batch, audio=changed["audio"], vision=changed["vision"])

    def damaged(self, batch: Batch) -> tuple[Batch, dict[str, Tensor]]:
        """The batch with steps dropped, and (B, T) bool of each stream, True where one was lost."""
        tokens, streams = tokens_of(batch), dict(zip(NAMES[1:], audio_vision(batch), strict=True))
        kept = self._kept(batch.rows, tokens, streams)
        incomplete = dataclasses.replace(
            batch,
            tokens=without_tokens(tokens, kept["text"], self.params.unknown_token),
            audio=without_frames(streams["audio"], kept["audio"]),
            vision=without_frames(streams["vision"], kept["vision"]),
        )
        true = {"text": tokens.mask.bool()} | {m: stream.mask for m, stream in streams.items()}
        return incomplete, {m: true[m] & ~kept[m] for m in NAMES}

    def _kept(
        self, rows: Tensor, tokens: Tokens, streams: Mapping[str, Sequence]
    ) -> dict[str, Tensor]:
        """(B, T) bool of each stream, True on true steps that stay."""
        rate = float(not self.params.published) * self.params.loss_rate
        rates = torch.full((len(rows),), rate, device=rows.device)
        kept = {"text": kept_tokens(tokens, rates)}
        kept |= {m: kept_frames(stream, rates) for m, stream in streams.items()}
        if not self.params.published:
            return kept
        ends = kept_tokens(tokens, torch.ones_like(rates))  # what text never loses
        for m, true in kept.items():
            drawn = self.get_buffer(f"{m}_survivors")[rows, : true.shape[1]]
            kept[m] = true & (drawn | ends if m == "text" else drawn)
        return kept

    def view(self, batch: Batch) -> View:
        """One version of the clips, read to the end."""
        tokens = padded_tokens(tokens_of(batch), 2)  # a step beside that of [CLS]
        hidden = self.encoder(tokens)  # (B, L, H)
        read = {"text": (hidden[:, 0], hidden[:, 1:])}
        masks = {"text": _words(tokens)}
        for m, sequence in zip(NAMES[1:], audio_vision(batch), strict=True):
            read[m], masks[m] = self.readers[m](sequence), sequence.mask
        states = {m: self._placed(self.project[m](steps)) for m, (_, steps) in read.items()}
        joint = torch.stack([self.project[m](vector) for m, (vector, _) in read.items()], dim=1)
        for _ in range(self.params.layers):
            joint, states = self._layer(joint, states, masks)
        vectors = {"joint": joint.flatten(1)} | {m: vector for m, (vector, _) in read.items()}
        told = torch.cat([*(vectors[m] for m in NAMES), vectors["joint"]], dim=1)
        return View(self.head(told).squeeze(1), vectors, states, hidden[:, 1:])

    def _placed(self, steps: Tensor) -> Tensor:
        return steps + interleaved_sinusoids(steps.shape[1], steps.shape[2], steps.device)

    def _layer(
        self, joint: Tensor, states: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Tokens (B, 3, d) and streams (B, T, d), each in the light of the other as it was."""
        versions = torch.stack(
            [self.unit(joint, states[m], context_mask=masks[m]).flatten(1) for m in NAMES], dim=1
        )  # (B, streams, 3 d)
        updated = {m: self.unit(states[m], joint, mask=masks[m]) for m in NAMES}
        return self.pool(versions).unflatten(1, (len(NAMES), -1)), updated

    def losses(
        self, batch: Batch, complete: View, incomplete: View, lost: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Attraction of the vectors, error of the complete view, restoration of what was lost.

        Args:
            batch: The clips without holes.
            complete: What was made of them.
            incomplete: What was made of the damaged ones.
            lost: (B, T) bool of each stream, True where a step was lost.
        """
        params, found = self.params, {"complete_task": l1_loss(complete.prediction, batch.labels)}
        for m, head in self.attract.items():
            found[f"{m}_attraction"] = attraction(
                head(complete.vectors[m]), head(incomplete.vectors[m])
            )
        losses = {name: params.attraction_weight * value for name, value in found.items()}
        audio, vision = audio_vision(batch)
        targets = complete.hidden.detach(), audio.values, vision.values
        for m, target in zip(NAMES, targets, strict=True):
            holes = lost[m][:, 1:] if m == "text" else lost[m]  # [CLS] has no step
            rebuilt = self.rebuild[m](incomplete.states[m])  # (B, T, K)
            loss = restoration_loss(rebuilt, target, holes)
            losses[f"{m}_restoration"] = params.restoration_weight * loss
        return losses

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, with the patience of the released code where that is kept."""
        return (Stage(patience=PATIENCE if self.params.published else None),)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """The encoder and either LSTM at their own rates."""
        assert isinstance(params, EMTDLFRParams)
        groups = bert_groups(self.encoder, params.encoder_lr, params.encoder_decay)
        rates = {
            "audio": (params.audio_lr, params.audio_decay),
            "vision": (params.vision_lr, params.vision_decay),
        }
        for m, (lr, decay) in rates.items():
            own = list(self.readers[m].parameters())
            groups.append({"params": own, "lr": lr, "weight_decay": decay})
        placed = {id(p) for part in (self.encoder, self.readers) for p in part.parameters()}
        return [*groups, {"params": [p for p in self.parameters() if id(p) not in placed]}]


def _words(tokens: Tokens) -> Tensor:
    """(B, L - 1) bool, True on words; [CLS] has no step, and a text without words has its last."""
    count = (tokens.mask.sum(1) - 2).clamp(min=1)  # (B,)
    places = torch.arange(tokens.mask.shape[1] - 1, device=tokens.mask.device)
    return places < count.unsqueeze(1)


def _projection(size: int, model: int) -> nn.Module:
    return nn.Identity() if size == model else nn.Linear(size, model, bias=False)


_SIMS: Mapping[str, Scalar] = {
    **{"encoder": "bert-base-chinese", "standardize": True},
    **{"hidden": 32, "heads": 4, "layers": 4, "audio_hidden": 16, "vision_hidden": 32},
    **{"attention_dropout": 0.0, "feed_dropout": 0.0, "fusion_size": 256, "fusion_dropout": 0.0},
    **{"attraction_weight": 0.5, "restoration_weight": 0.5, "batch_size": 32},
    **{"encoder_lr": 2e-5, "audio_lr": 1e-3, "vision_lr": 1e-3, "lr": 1e-3},
    **{"encoder_decay": 1e-3, "audio_decay": 0.0, "vision_decay": 0.0, "weight_decay": 0.0},
}

EMT_DLFR = System(
    name="emt_dlfr",
    card=Card(
        title="EMT-DLFR",
        paper="Sun, Lian, Liu, Tao. Efficient Multimodal Transformer with Dual-Level Feature"
        " Restoration for Robust Multimodal Sentiment Analysis. IEEE TAC 2023",
        year=2023,
        url="https://github.com/sunlicai/EMT-DLFR",
        text="T-BERT",
        deviations=(
            "Source: a description of the released code at commit e9f0960 (MIT licence)",
            "Trained at one loss rate and evaluated on complete inputs here, or by one checkpoint"
            " under every condition; the authors train, validate and test a model at each rate, so"
            " that none of their numbers is comparable",
            "quirk=fixed: training inputs lose steps anew in every batch; the released code draws"
            " the lost steps once, the same ones for every epoch and seed",
            "quirk=fixed: a step takes the mean gradient of up to four batches; as released it"
            " takes their sum, and an epoch's incomplete last group is thrown away",
            "quirk=fixed: frames of CH-SIMS that are all zero stay so when features are"
            " standardised; as released they become what the mean is away from zero",
            "quirk=fixed: the protocol's patience; that of the released code, kept by"
            " quirk=published, is 8 epochs",
            "Selection: the protocol's, on validation MAE; the released code's on its whole loss,"
            " complete view included",
            "A text without a word is read at its last token; the released code reads its padding",
            "CH-SIMS v2: settings of CH-SIMS (ours); no code publishes any",
        ),
        unselected="it stops by its training loss on validation clips at the model's own loss rate",
    ),
    params=EMTDLFRParams,
    presets={
        "mosi": {"encoder": "bert-base-uncased", "max_tokens": 50},
        "mosei": {
            **{"encoder": "bert-base-uncased", "max_tokens": 50},
            **{"layers": 2, "audio_hidden": 16, "vision_hidden": 32},
            **{"attention_dropout": 0.0, "feed_dropout": 0.0},
            **{"fusion_size": 128, "fusion_dropout": 0.0, "batch_size": 16},
            **{"encoder_lr": 2e-5, "audio_lr": 1e-4, "vision_lr": 1e-4, "lr": 1e-4},
            **{"audio_decay": 1e-3, "vision_decay": 1e-3, "weight_decay": 1e-3},
        },
        "sims": {**_SIMS, "max_tokens": 39},
        "simsv2": {**_SIMS, "max_tokens": 50},
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=DualLevelRestoration,
)
