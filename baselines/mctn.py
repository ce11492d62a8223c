"""MCTN: text is translated to vision and back, the joint code to audio; only text is read.

Shapes: B clips, T words, D features, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from baselines._shared.words import on_words, squared_error, up_to
from harness.data.batching import Batch
from harness.system import Card, Dims, Network, Output, System, TrainingParams, param

if TYPE_CHECKING:
    from harness.data.batching import Sequence

__all__ = ["MCTN", "CyclicTranslation", "MCTNParams", "Translator"]


@dataclass(frozen=True, kw_only=True)
class MCTNParams(TrainingParams):
    """Hyper-parameters of MCTN."""

    lr: float = param(1e-4, low=0.0, source="MMSA, init_lr")
    clip_norm: float = param(1.0, low=0.0, source="MMSA, grad_clip")
    hidden: int = param(32, low=1, source="MMSA, hid_dim")
    teacher_forcing: float = param(
        0.5, low=0.0, high=1.0, source="MMSA; chance that a decoder is shown the true step"
    )
    vision_weight: float = param(0.1, low=0.0, source="MMSA; text to vision")
    cycle_weight: float = param(0.1, low=0.0, source="MMSA; vision back to text")
    audio_weight: float = param(0.1, low=0.0, source="MMSA; joint code to audio")


class CyclicTranslation(Network):
    """E = enc_1(text), J = enc_2(E), y = regression(J); in training also the translations.

    The first translator turns text into vision and, with the same weights, its own vision back
    into text; the second turns E into audio. The loss is L1 plus their weighted squared errors.
    """

    def __init__(self, dims: Dims, params: MCTNParams) -> None:
        super().__init__()
        (_, text), (_, audio), (_, vision) = map(dims.need, ("text", "audio", "vision"))
        self.width = max(text, vision)  # both directions share weights; the lesser is padded
        self.first = Translator(self.width, self.width, params.hidden)
        self.second = Translator(params.hidden, audio, params.hidden)
        self.regression = _Regression(params.hidden)
        self.params = params

    def forward(self, batch: Batch) -> Output:
        """Predict one batch from its text; in training, translate it too."""
        (text, audio, vision), last = on_words(batch, padded=False)
        inside = up_to(last, text.shape[1])  # (B, T)
        words = batch.text
        assert words is not None
        states, start = self.first.encode(self._padded(text), words)  # (B, T, H), (B, H)
        joint, joint_start = self.second.encode(states, words)  # (B, T, H), (B, H)
        prediction = self.regression(joint, inside)
        if not self.training:
            return Output(prediction)
        forcing = self.params.teacher_forcing
        seen = self.first.decode(states, start, inside, self._padded(vision), forcing)
        heard = self.second.decode(joint, joint_start, inside, audio, forcing)
        told = self._translated_back(seen[..., : vision.shape[2]], words, inside)
        losses = {
            "vision": self.params.vision_weight * _error(seen, vision, inside),
            "cycle": self.params.cycle_weight * _error(told, text, inside),
            "audio": self.params.audio_weight * _error(heard, audio, inside),
        }
        return Output(prediction, losses)

    def _translated_back(self, seen: Tensor, words: Sequence, inside: Tensor) -> Tensor:
        """(B, T, width): the text that the first translator makes of its own vision."""
        states, start = self.first.encode(self._padded(seen), words)
        return self.first.decode(
            states, start, inside, self._padded(words.values), self.params.teacher_forcing
        )

    def _padded(self, stream: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, width), zeros behind."""
        return nn.functional.pad(stream, (0, self.width - stream.shape[2]))


class Translator(nn.Module):
    """Sequence to sequence with additive attention, as long as its source.

    Args:
        source: D of the source.
        target: D of the target.
        hidden: H.
    """

    def __init__(self, source: int, target: int, hidden: int) -> None:
        super().__init__()
        self.reader = nn.LSTM(source, hidden, batch_first=True, bidirectional=True)
        self.begin = nn.Linear(hidden, hidden, bias=False)
        self.energy = nn.Linear(2 * hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.writer = nn.LSTMCell(target + hidden, hidden)
        self.project = nn.Linear(2 * hidden, target)
        self.target = target

    def encode(self, source: Tensor, words: Sequence) -> tuple[Tensor, Tensor]:
        """(B, T, source) -> states (B, T, H), zero after the last, and the writer's start (B, H).

        ``words`` say where each clip of the source ends.

        Both are sums over the two directions; the start is tanh of a linear map.
        """
        outputs, (final, _) = self.reader(words.packed(source))
        states = words.unpacked(outputs, source.shape[1])
        forward, backward = states.chunk(2, dim=2)  # (B, T, H) each
        return forward + backward, self.begin(final.sum(0)).tanh()  # final: (2, B, H)

    def decode(
        self, states: Tensor, start: Tensor, inside: Tensor, target: Tensor, forcing: float
    ) -> Tensor:
        """(B, T, target): each step from the one before it, true or generated by a coin's fall."""
        shown = (torch.rand(target.shape[1]) < forcing).tolist()  # one coin for all clips
        given, state = torch.zeros_like(target[:, 0]), (start, torch.zeros_like(start))
        written = []
        for truth, show in zip(target.unbind(1), shown, strict=True):
            context = self._attend(state[0], states, inside)  # (B, H)
            state = self.writer(torch.cat([given, context], dim=1), state)
            step = self.project(torch.cat([state[0], context], dim=1))  # (B, target)
            written.append(step)
            given = truth if show else step
        return torch.stack(written, dim=1)

    def _attend(self, state: Tensor, states: Tensor, inside: Tensor) -> Tensor:
        """(B, H): mean of the states under softmax(v tanh(W [state; states]))."""
        query = state.unsqueeze(1).expand_as(states)  # (B, T, H)
        energy = self.energy(torch.cat([query, states], dim=2)).tanh()  # (B, T, H)
        return _pooled(states, self.score(energy), inside)


class _Regression(nn.Module):
    """(B, T, H) -> (B,): the states of an LSTM, pooled by tanh scores."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.score = nn.Linear(hidden, 1)
        self.head = nn.Linear(hidden, 1)

    def forward(self, joint: Tensor, inside: Tensor) -> Tensor:
        """Predict from the steps that ``inside`` (B, T) marks."""
        states, _ = self.lstm(joint)  # (B, T, H)
        prediction: Tensor = self.head(_pooled(states, self.score(states).tanh(), inside))
        return prediction.squeeze(1)


def _pooled(states: Tensor, scores: Tensor, inside: Tensor) -> Tensor:
    """(B, T, H) and scores (B, T, 1) -> (B, H), weighted by the softmax over true steps."""
    weights = scores.masked_fill(~inside.unsqueeze(2), -torch.inf).softmax(1)  # (B, T, 1)
    return (weights * states).sum(1)


def _error(generated: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Squared error over the target's own features."""
    return squared_error(generated[..., : target.shape[2]], target, inside)


MCTN = System(
    name="mctn",
    card=Card(
        title="MCTN",
        paper="Pham, Liang, Manzini, Morency, Póczos. Found in Translation: Learning Robust Joint"
        " Representations by Cyclic Translations Between Modalities. AAAI 2019",
        year=2019,
        url="https://arxiv.org/abs/1812.07809",
        text="T-feat",
        unlisted="later papers quote an F1 of it without saying which clips count; the paper's own"
        " table was not at hand",
        deviations=(
            "after the paper; sizes and weights of MMSA's configuration for MOSI serve every"
            " dataset",
            "MMSA's own code is not reproduced, so there is no quirk: it takes clips for time"
            " steps and recurs over the batch, forgets the decoder's state at every step, always"
            " shows the truth and is cut to the first 20 steps and to the feature sizes of MOSI",
            "audio and vision are pooled from true frames to the clip's own words",
            "text and vision share one translator, so the lesser is padded with zeros; errors"
            " count true steps and features only",
        ),
        unselected="MMSA watches the loss of its own training, translations included, which is not"
        " reproduced here",
    ),
    params=MCTNParams,
    inputs=frozenset({"text", "audio", "vision"}),
    build=CyclicTranslation,
)
