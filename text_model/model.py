"""TEXT: text-routed sparse mixture of experts with explanation and temporal alignment.

```
X_m  = encode(m)                              # text, audio, vision, two explanations: 1 + K steps
A, V = align(X_a, X_a'), align(X_v, X_v')     # an explanation, in the light of its stream
Y    = mixture([X_t; temporal(A, V)])         # experts chosen by the mean of X_t
ŷ    = head(Y at the first step of each stream)
```

Shapes: B clips, K steps of a stream, D features, E experts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.data.batching import Batch, Sequence, Tokens
from harness.system import Dims, Network, Output, ParameterGroup, Stage, TrainingParams
from text_model.alignment import CrossAlignment, LinearAlignment
from text_model.encoders import Padded, StreamEncoder, TextEncoder
from text_model.fusion import FusionHead
from text_model.inputs import first_frames, pooled_frames, resized, resized_tokens
from text_model.params import TextParams
from text_model.routing import RoutedEncoder
from text_model.temporal import GatedConvolution
from text_model.variants import (
    Concatenation,
    MambaTemporal,
    TemporalCrossAttention,
    decay_groups,
)

__all__ = ["TextModel"]

_CLUE_OF = {"audio": "audio_clue", "vision": "visual_clue"}


class TextModel(Network):
    """The network of TEXT, in any of its ablations.

    Args:
        dims: Sizes of the corpus, with a text encoder.
        params: Hyper-parameters.

    Raises:
        SpecError: Without an encoder, or without features that the parameters ask for.
    """

    def __init__(self, dims: Dims, params: TextParams) -> None:
        super().__init__()
        self.params = params
        steps, size = params.max_tokens, params.size
        encoder = dims.need_encoder()
        self.text_encoder = TextEncoder(encoder)
        self.encoders = nn.ModuleDict(
            {
                name: StreamEncoder(features, steps, size)
                for name, features in _features(dims, params, encoder.hidden_size).items()
            }
        )
        self.alignment = nn.ModuleDict(
            {
                name: _alignment(params)
                for name, clue in _CLUE_OF.items()
                if name in self.encoders and clue in self.encoders
            }
        )
        self.temporal = _temporal(params)
        self.routed = RoutedEncoder(
            params.streams_routed * (steps + 1), params.smoe_layers, size, params.routes
        )
        self.head = FusionHead(params.hidden, params.dropout, gated=params.gate)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; tells the experts' weights (B, E) and the streams' (B, 3)."""
        streams = {name: self._encoded(name, batch) for name in self.encoders}  # (B, 1 + K, D) each
        text = streams["text"]
        audio, vision = (self._aligned(name, streams) for name in _CLUE_OF)
        timed = Padded(
            self.temporal(audio.values, vision.values, audio.mask, vision.mask),  # (B, 2 + 2 K, D)
            torch.cat([audio.mask, vision.mask], dim=1),
        )
        mixed, routing = self._mix(text, timed)  # (B, 3 + 3 K, D), (B, E)
        # The learnable token in front of each stream speaks for it: (B, 3, D).
        starts = [0, text.mask.shape[1], text.mask.shape[1] + audio.mask.shape[1]]
        prediction, weights = self.head(mixed[:, starts])  # (B,), (B, 3)
        return Output(prediction, diagnostics={"routing": routing, "gate": weights})

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One; as released nothing ends it before its epochs are over."""
        own = self.params
        return (Stage(patience=None if own.early_stop or not own.epochs else own.epochs),)

    def evaluation_order(self, clips: int) -> list[Tensor] | None:
        """As released, random: which clips an expert turns away depends on it."""
        if self.params.evaluation == "stored":
            return None
        return list(torch.randperm(clips).split(self.params.batch_size))

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """One group; the states of a Mamba block do not decay."""
        return decay_groups(self)

    def _encoded(self, name: str, batch: Batch) -> Padded:
        """One stream, (B, 1 + K, D)."""
        if name in ("audio", "vision"):
            stream = self._frames(batch.audio if name == "audio" else batch.vision)
        else:
            stream = self._hidden(batch.tokens if name == "text" else batch.clues[name])
        if not self.params.masks:
            stream = Padded(stream.values, torch.ones_like(stream.mask))
        encoded: Padded = self.encoders[name](stream)
        return encoded

    def _frames(self, sequence: Sequence | None) -> Padded:
        """Features, (B, K, ·)."""
        assert sequence is not None
        shorten = pooled_frames if self.params.frames == "pooled" else first_frames
        return shorten(sequence, self.params.max_tokens)

    def _hidden(self, tokens: Tokens | None) -> Padded:
        """Hidden states of the text encoder, (B, K, ·)."""
        assert tokens is not None
        steps = self.params.max_tokens
        if not self.params.masks:  # the hidden states of padding tokens count
            tokens = resized_tokens(tokens, steps)
        return resized(self.text_encoder(tokens), steps)

    def _aligned(self, name: str, streams: dict[str, Padded]) -> Padded:
        """A stream and its explanation, aligned, or the one of them that is read."""
        own, clue = streams.get(name), streams.get(_CLUE_OF[name])
        if own is None or clue is None:
            single = own if clue is None else clue
            assert single is not None
            return single
        aligned: Padded = self.alignment[name](own, clue)
        return aligned

    def _mix(self, text: Padded, timed: Padded) -> tuple[Tensor, Tensor]:
        """All tokens after the mixture of experts, and the expert weights."""
        counted = text.mask.unsqueeze(2).to(text.values.dtype)  # (B, 1 + K, 1)
        summary = (text.values * counted).sum(1) / counted.sum(1)  # (B, D)
        if self.params.streams_routed == 2:
            mixed, routing = self.routed(timed, summary)
            return torch.cat([text.values, mixed], dim=1), routing
        mixed, routing = self.routed(_joined(text, timed), summary)
        return mixed, routing


def _joined(first: Padded, second: Padded) -> Padded:
    """One after the other."""
    return Padded(
        torch.cat([first.values, second.values], dim=1),
        torch.cat([first.mask, second.mask], dim=1),
    )


def _features(dims: Dims, params: TextParams, text: int) -> dict[str, int]:
    """Stream -> features per step, of the streams that are read; ``text`` of tokens."""
    found = {"text": text}
    if params.streams == "all":
        found |= {name: dims.need(name)[1] for name in _CLUE_OF}
    read = {"audio_clue": params.hears, "visual_clue": params.sees}
    return found | {name: text for name, used in read.items() if used}


def _alignment(params: TextParams) -> nn.Module:
    if params.alignment == "linear":
        return LinearAlignment(params.size)
    return CrossAlignment(params.max_tokens + 1, params.size)


def _temporal(params: TextParams) -> nn.Module:
    size = params.size
    match params.temporal:
        case "conv":
            return GatedConvolution(size.hidden)
        case "mamba":
            return MambaTemporal(size.hidden, scan=params.scan)
        case "cross":
            return TemporalCrossAttention(size.hidden, heads=size.heads, head_size=size.head_size)
        case _:
            return Concatenation()
