"""IMDer: streams that are missing are drawn by diffusion, given those that are there.

Shapes: B clips, D features of a projected stream, N steps of all streams, L tokens; streams in the
order text, vision, audio.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from baselines._shared.bert import TokenEncoder, audio_vision, tokens_of
from baselines._shared.padding import padded_tokens
from baselines._shared.transformer import CrossModalEncoder
from baselines._shared.zero_steps import ValuedPositions
from baselines.ef_lstm import pool_padded, pool_to
from baselines.imder.diffusion import Score, fixed_noise, fresh_noise, sampled, score_errors
from baselines.imder.parts import NAMES, RATES, CrossModalReader, Refiner, dealt, kept_streams
from baselines.imder.score import ScoreNetwork
from harness.data.batching import Batch, BatchSource, Sequence
from harness.errors import SpecError
from harness.spec import ReleasedSelection, Scalar, SelectionRule
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

__all__ = ["IMDER", "DiffusedStreams", "IMDerParams"]

PATIENCE = 20  # epochs, of the released early stop
MEMORY_LAYERS = 3  # at least; fixed in the released code
NOISE_SEEDS = {"text": 1, "vision": 2, "audio": 3}  # of the tables that evaluation draws from
PAIRS = (("text", "vision"), ("text", "audio"), ("vision", "audio"))


@dataclass(frozen=True, kw_only=True)
class IMDerParams(TokenParams, QuirkParams):
    """Hyper-parameters of IMDer; ``lr`` is that of all but the text encoder."""

    hidden: int = param(32, low=8, source="IMDer code; divisible by heads")
    heads: int = param(8, low=1, source="IMDer code")
    reader_layers: int = param(4, low=1, source="IMDer code, MOSI; memories have three at least")
    kernel: int = param(3, low=1, source="IMDer code; of all three projections")
    attention_dropout: float = param(
        0.0, low=0.0, high=1.0, source="IMDer code; where text is read, and in the memories"
    )
    audio_attention_dropout: float = param(0.2, low=0.0, high=1.0, source="IMDer code, MOSI")
    vision_attention_dropout: float = param(0.0, low=0.0, high=1.0, source="IMDer code")
    embed_dropout: float = param(0.2, low=0.0, high=1.0, source="IMDer code, MOSI")
    relu_dropout: float = param(0.0, low=0.0, high=1.0, source="IMDer code")
    residual_dropout: float = param(0.0, low=0.0, high=1.0, source="IMDer code")
    output_dropout: float = param(0.0, low=0.0, high=1.0, source="IMDer code")
    score_layers: int = param(2, low=1, source="IMDer code; of attention in score networks")
    time_size: int = param(256, low=2, source="IMDer code; features of a time, even")
    diffusion_steps: int = param(100, low=2, source="IMDer code; Euler-Maruyama steps")
    refiner_blocks: int = param(20, low=1, source="IMDer code")
    missing_rate: float = param(
        0.5, choices=tuple(RATES), source="ours; the code trains a model for each and names 0.1"
    )
    generation_weight: float = param(
        0.1, low=0.0, source="IMDer code; of score and reconstruction losses"
    )
    encoder_lr: float = param(
        5e-5, low=0.0, source="ours, MMSA's for BERT; of the first stage, which is not released"
    )
    lr: float = param(2e-3, low=0.0, source="IMDer code")
    batch_size: int = param(32, low=2, source="IMDer code, MOSI")
    clip_value: float = param(1.0, low=0.0, source="IMDer code, MOSI")
    plateau: int = param(25, low=0, source="IMDer code, MOSI: after more than 24 epochs")
    plateau_factor: float = param(0.5, low=0.0, high=1.0, source="IMDer code")

    def encoder_of(self, width: int, stream: str) -> CrossModalEncoder:
        """Of the fusion, with the attention dropout of the stream that is read."""
        dropouts = {
            "text": self.attention_dropout,
            "audio": self.audio_attention_dropout,
            "vision": self.vision_attention_dropout,
        }
        return self.kind(
            width,
            self.heads,
            self.reader_layers if width == self.hidden else max(self.reader_layers, MEMORY_LAYERS),
            attention_dropout=dropouts[stream],
            relu_dropout=self.relu_dropout,
            residual_dropout=self.residual_dropout,
            embed_dropout=self.embed_dropout,
        )

    @property
    def kind(self) -> type[CrossModalEncoder]:
        """Of all encoders: as released a step of padding has no position."""
        return ValuedPositions if self.published else CrossModalEncoder


class DiffusedStreams(Network):
    """y = fusion(x_text, x_vision, x_audio); a stream that is missing is drawn given the others.

    x_m is the stream behind a convolution, or r_m of a sample from its score network, given the
    one stream that is there or a map of the two. A first stage trains projections and fusion on
    complete clips; the second keeps the projections as they are and trains everything else.
    """

    def __init__(self, dims: Dims, params: IMDerParams) -> None:
        super().__init__()
        if params.hidden % params.heads or params.time_size % 2:
            raise SpecError("hidden should be a multiple of heads, time_size even")
        self.params, size = params, params.hidden
        self.encoder = TokenEncoder(dims)
        widths = {"text": self.encoder.size} | {m: dims.need(m)[1] for m in NAMES[1:]}
        self.project = nn.ModuleDict(
            {m: nn.Conv1d(widths[m], size, params.kernel, bias=False) for m in NAMES}
        )
        self.scores = nn.ModuleDict(
            {
                m: ScoreNetwork(
                    *(size, params.heads, params.score_layers, params.time_size, params.kind)
                )
                for m in NAMES
            }
        )
        self.pairs = nn.ModuleDict({_named(pair): nn.Conv1d(2 * size, size, 1) for pair in PAIRS})
        self.refine = nn.ModuleDict({m: Refiner(size, params.refiner_blocks) for m in NAMES})
        self.fusion = CrossModalReader(size, params.encoder_of, params.output_dropout)
        self._batches, self._seen = 1, 0
        self._complete = False
        self._learn_generation()

    def forward(self, batch: Batch) -> Output:
        """Predict one batch: in training of the second stage, with streams taken away."""
        if self._complete:
            return Output(self.fusion(*self._projected(batch)))
        with torch.no_grad():
            streams, mask = self._projected(batch)
        there = _there(batch)  # (B, 3)
        kept = there & self._kept(batch)
        kept = torch.where(kept.any(1, keepdim=True), kept, there)
        lost = there & ~kept if self.training else None
        filled, losses = self._filled(streams, mask, kept, lost)
        return Output(self.fusion(filled, mask), losses)

    def _projected(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor | None]:
        """(B, D, N) of each stream and (B, N) bool, True on true steps; None: all.

        All streams are brought to the steps of the longest, at most ``max_tokens``.
        """
        tokens, published = tokens_of(batch), self.params.published
        audio, vision = audio_vision(batch)
        most, kernel = self.params.max_tokens, self.params.kernel
        if published:
            hidden = self.encoder(padded_tokens(tokens, most))  # (B, L, H)
            frames = {"text": hidden, "vision": vision.untrimmed(), "audio": audio.untrimmed()}
            values = {m: pool_padded(stream, hidden.shape[1]) for m, stream in frames.items()}
            mask = None
        else:
            hidden = self.encoder(tokens) * tokens.mask.unsqueeze(2)
            text = Sequence(hidden, tokens.mask.sum(1), most)
            found = {"text": text, "vision": vision, "audio": audio}
            counts = torch.stack([s.lengths for s in found.values()]).amax(0).clamp(max=most)
            length = min(most, max(s.values.shape[1] for s in found.values()))
            steps = Sequence(hidden.new_empty(len(hidden), length, 0), counts, most)
            values = {m: pool_to(steps, stream) for m, stream in found.items()}
            windows = (counts - kernel + 1).clamp(min=1)  # (B,)
            places = torch.arange(max(length - kernel, 0) + 1, device=hidden.device)
            mask = places < windows.unsqueeze(1)
        missing = max(0, kernel - values["text"].shape[1])
        streams = {
            m: self.project[m](pad(stream, (0, 0, 0, missing)).mT) for m, stream in values.items()
        }
        return streams, mask

    def _kept(self, batch: Batch) -> Tensor:
        """(B, 3) bool, streams that are not taken away.

        As released that is decided for whole batches, and in evaluation too.
        """
        rate, size, device = self.params.missing_rate, len(batch), batch.labels.device
        if self.params.published:
            if self.training:
                count = dealt(self._seen, self._batches, rate)
                self._seen += 1
                counts = torch.full((1,), count, device=device)
            else:
                counts = _drawn(1, rate, device)
            return kept_streams(counts).expand(size, -1)
        if self.training:
            return kept_streams(_drawn(size, rate, device))
        return torch.ones(size, len(NAMES), dtype=torch.bool, device=device)

    def _filled(
        self,
        streams: Mapping[str, Tensor],
        mask: Tensor | None,
        kept: Tensor,
        lost: Tensor | None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The streams, samples in the place of those that are not kept, and the losses of those.

        Args:
            streams: (B, D, N) each.
            mask: (B, N), as of ``_projected``.
            kept: (B, 3) bool, at least one of each clip.
            lost: (B, 3) bool, missing ones whose ``streams`` are true; None: no losses.
        """
        size, filled = len(kept), dict(streams)
        sums = {name: kept.new_zeros((), dtype=torch.float32) for name in ("score", "rebuilt")}
        for at, name in enumerate(NAMES):
            rows = (~kept[:, at]).nonzero().squeeze(1)  # (b,)
            if not len(rows):
                continue
            own = None if mask is None else mask[rows]
            condition = self._condition(name, streams, kept)[rows]  # (b, D, N)
            if own is not None:
                condition = condition * own.unsqueeze(1)
            drawn = self.refine[name](self._sampled(name, condition, own), own)
            filled[name] = filled[name].index_copy(0, rows, drawn.to(filled[name].dtype))
            if lost is None:
                continue
            true, counted = streams[name][rows], lost[rows, at]  # (b, D, N), (b,)
            errors = score_errors(self._score(name, own), true, condition, own)
            squares = (drawn - true).square()
            if own is not None:
                squares = squares * own.unsqueeze(1)
            count = true.shape[1] * (true.shape[2] if own is None else own.sum(1))
            sums["score"] = sums["score"] + (errors * counted).sum() / size
            rebuilt = squares.sum((1, 2)) / count
            sums["rebuilt"] = sums["rebuilt"] + (rebuilt * counted).sum() / size
        if lost is None:
            return filled, {}
        return filled, {name: self.params.generation_weight * v for name, v in sums.items()}

    def _condition(self, name: str, streams: Mapping[str, Tensor], kept: Tensor) -> Tensor:
        """(B, D, N): of the two other streams the one that is there, or a map of both."""
        first, second = (m for m in NAMES if m != name)
        both = self.pairs[_named((first, second))](
            torch.cat([streams[first], streams[second]], dim=1)
        )
        has = {m: kept[:, NAMES.index(m), None, None] for m in (first, second)}
        alone = torch.where(has[first], streams[first], streams[second])
        return torch.where(has[first] & has[second], both, alone)

    def _sampled(self, name: str, condition: Tensor, mask: Tensor | None) -> Tensor:
        """(b, D, N): as drawn in training, from one table in evaluation; as released, drawn."""
        steps = self.params.diffusion_steps
        noise = fresh_noise(condition)
        if not (self.training or self.params.published):
            longest = max(self.params.max_tokens, self.params.kernel) - self.params.kernel + 1
            noise = fixed_noise(condition, steps, longest, NOISE_SEEDS[name])
        return sampled(self._score(name, mask), condition, steps, noise)

    def _score(self, name: str, mask: Tensor | None) -> Score:
        return functools.partial(self.scores[name], mask=mask)

    def begin(self, train: BatchSource, params: TrainingParams) -> None:
        """Note how many batches an epoch has."""
        self._batches = math.ceil(len(train) / params.batch_size)

    def begin_epoch(self, epoch: int) -> None:
        """As released, streams are taken from the first batches of an epoch."""
        self._seen = 0

    def evaluation_order(self, clips: int) -> list[Tensor] | None:
        """As released, batches as large as those of training: each loses streams of its own."""
        if not self.params.published:
            return None
        return list(torch.arange(clips).split(self.params.batch_size))

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """Complete clips, then incomplete ones, with the patience of the released code if kept."""
        patience = PATIENCE if self.params.published else None
        return (
            Stage(name="complete", patience=patience, enter=self._learn_prediction),
            Stage(patience=patience, enter=self._learn_generation),
        )

    def _learn_prediction(self) -> None:
        self._train_only(self.encoder, self.project, self.fusion)
        self.encoder.freeze_pooler()
        self._complete = True

    def _learn_generation(self) -> None:
        self._train_only(self.scores, self.pairs, self.refine, self.fusion)
        for score in self.scores.values():
            score.get_parameter("frequencies").requires_grad_(False)
        self._complete = False

    def _train_only(self, *parts: nn.Module) -> None:
        self.requires_grad_(False)
        for part in parts:
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """Repaired, an encoder that learns nothing drops nothing."""
        super().train(mode)
        if not self.params.published and not self._complete:
            self.encoder.eval()
        return self

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """One, and in the first stage the text encoder with a rate of its own."""
        text = {id(p) for p in self.encoder.parameters()}
        trained = [p for p in self.parameters() if p.requires_grad]
        own = [p for p in trained if id(p) in text]
        rest: ParameterGroup = {"params": [p for p in trained if id(p) not in text]}
        return [rest, {"params": own, "lr": self.params.encoder_lr}] if own else [rest]


def _there(batch: Batch) -> Tensor:
    """(B, 3) bool, streams of which corruption left anything; text where it left nothing."""
    whole = torch.ones(len(batch), dtype=torch.bool, device=batch.labels.device)
    there = torch.stack([batch.present.get(m, whole) for m in NAMES], dim=1)
    there[:, 0] |= ~there.any(1)
    return there


def _drawn(size: int, rate: float, device: torch.device) -> Tensor:
    """(size,) how many streams are kept, drawn by the shares of a missing rate."""
    one, two = RATES[rate]
    place = torch.rand(size, device=device)
    return 1 + (place >= one).long() + (place >= one + two).long()


def _named(pair: tuple[str, str]) -> str:
    return "_".join(pair)


_CHINESE: Mapping[str, Scalar] = {"encoder": "bert-base-chinese"}

IMDER = System(
    name="imder",
    card=Card(
        title="IMDer",
        paper="Wang, Li, Cui. Incomplete Multimodality-Diffused Emotion Recognition. NeurIPS 2023."
        " Code mdswyz/IMDer 1901a92 (MIT licence), described and written anew",
        year=2023,
        url="https://openreview.net/forum?id=BuGFwUS9B3",
        text="T-BERT, frozen while streams are missing",
        unlisted="its repository prints none, and the paper's tables were not at hand",
        deviations=(
            "Reconstruction: the released training starts from a checkpoint trained on complete"
            " clips, which has to be downloaded and was not at hand, and whose training is not"
            " released. Here a first stage trains the same text encoder, projections and fusion on"
            " complete clips, with the settings of the second and 5e-5 for the text encoder; the"
            " second keeps encoder and projections as they are, as released",
            "Every seed has a first stage of its own; the released runs share one checkpoint",
            "One network is trained, at missing_rate 0.5, and judged as the protocol wants; the"
            " code trains and tests one for each rate from 0.1 to 0.7",
            "quirk=fixed: every training clip draws by itself which streams it loses, and losses"
            " average over all clips of the batch. As released a batch loses the same ones; of an"
            " epoch the first batches keep one stream, the next two, the rest all",
            "quirk=fixed: nothing is taken away in evaluation but by the protocol: a stream of"
            " which it leaves nothing is drawn from one table of noise, the same for every clip,"
            " so that a prediction depends on the clip alone. As released streams are taken away"
            " from test clips, too, batch by batch, and what stands in for them is drawn anew",
            "quirk=published: how many streams a batch of evaluation keeps is drawn by the released"
            " shares, not dealt out in order. With five batches an epoch or fewer, where the"
            " released code divides by zero, shares are of their number",
            "quirk=fixed: padding is masked, in score networks and their normalisation, too, 'last'"
            " is the last true step and losses count true steps; as released padding is speech",
            "quirk=fixed: every true step has a position in the fusion; as released a step has none"
            " whose first projected feature is exactly 0, as that of all padding is",
            "quirk=fixed: the frozen text encoder drops nothing; as released its dropout stays on",
            "quirk=fixed: the protocol's patience; as released 20 epochs",
            "Published on word-aligned features: all streams are brought to the steps of the"
            " longest one, at most max_tokens; the lengths of the released code, 48 steps, are"
            " fixed. Steps that do not halve three times are filled up",
            "The plateau counts epochs of the validation MAE, in the released code of its L1 loss;"
            " on CMU-MOSI the early stop comes first",
            "A clip of which corruption leaves nothing is read as its text, which is empty",
            "The weight decay of the released settings is not a preset: its Adam never sees it",
            "CH-SIMS and CH-SIMS v2: MOSI's settings with a Chinese encoder (ours)",
        ),
        declares={
            "deterministic@published": "streams are taken away and drawn at random in evaluation",
            "neighbours@published": "a batch loses the same streams, and draws others in one go",
            "parameters@published": "what serves two streams learns from later batches of an epoch"
            " than the check looks at",
        },
        selection=ReleasedSelection(
            source="IMDer code, trains/singleTask/IMDER.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=PATIENCE),),
            notes=("the first stage is not released; it goes by the same rule",),
        ),
    ),
    params=IMDerParams,
    presets={
        "mosi": {},
        "mosei": {
            **{"reader_layers": 6, "audio_attention_dropout": 0.0, "embed_dropout": 0.0},
            **{"batch_size": 128, "clip_value": 0.6, "plateau": 6},
        },
        "sims": {**_CHINESE, "max_tokens": 39},
        "simsv2": _CHINESE,
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=DiffusedStreams,
)
