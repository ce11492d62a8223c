"""Checkpoints in the layout of the released code: reading, writing, predicting from arrays.

A released file is ``{"epoch", "state_dict", "optimizer"}``. Only tensors are ever read from it.

Shapes: B clips, L = 50 tokens or frames, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from harness.data.batching import Batch, Sequence, Tokens
from harness.data.datasets import datasets
from harness.errors import DataError
from harness.system import Dims
from harness.text import Blueprint
from text_model.layout import released_names
from text_model.model import TextModel
from text_model.params import TextParams
from text_model.released import load_released_state, released_network
from text_model.text import TEXT_PUBLISHED

__all__ = [
    "FEATURES",
    "PublishedText",
    "load_published",
    "load_released_state",
    "save_published",
]


@dataclass(frozen=True)
class Features:
    """Features per frame."""

    audio: int
    vision: int


FEATURES: Mapping[str, Features] = {
    "mosi": Features(5, 20),
    "mosei": Features(74, 35),
    "sims": Features(33, 709),
    "simsv2": Features(25, 177),
}
"""Of the feature files that the released checkpoints were trained on."""

_BATCH = 64  # clips predicted at a time


def save_published(path: Path, network: TextModel, *, epoch: int) -> None:
    """Write a network as the released code writes its checkpoints, without optimiser state.

    Args:
        path: The file to write.
        network: Not an ablation, or the released code will not read it.
        epoch: Epochs trained, counted from 1.
    """
    names = released_names(network)
    state = {names[ours]: tensor for ours, tensor in network.state_dict().items()}
    content = {"epoch": epoch, "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}
    torch.save(content, path)


def load_published(path: Path, dataset: str) -> PublishedText:
    """A released checkpoint, ready to predict: no router noise, no limit on clips per expert.

    Args:
        path: The file.
        dataset: ``mosi, mosei, sims`` or ``simsv2``: what it was trained on.

    Raises:
        DataError: When the file is no such checkpoint, or holds anything but tensors.
    """
    if dataset not in FEATURES:
        raise DataError(f"released checkpoints are for {', '.join(FEATURES)}; found {dataset!r}")
    params = TEXT_PUBLISHED.resolve(dataset, {"noise": "never", "capacity": "never"})
    assert isinstance(params, TextParams)
    features, scale = FEATURES[dataset], datasets[dataset]
    dims = Dims(
        audio=(50, features.audio),
        vision=(50, features.vision),
        low=scale.low,
        high=scale.high,
        encoder=Blueprint.bert_base("en"),
    )
    return PublishedText(released_network(Path(path), dims, params))


class PublishedText(nn.Module):
    """A network that predicts from arrays as the released code holds them, in evaluation mode.

    Args:
        network: The network; switched to evaluation mode.
    """

    def __init__(self, network: TextModel) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def predict_arrays(
        self,
        text: ArrayLike,
        audio: ArrayLike,
        vision: ArrayLike,
        audio_clue: ArrayLike,
        visual_clue: ArrayLike,
    ) -> NDArray[np.float32]:
        """Predict clips.

        Args:
            text: (B, 3, L) ids, attention mask, segments.
            audio: (B, L, D_a).
            vision: (B, L, D_v).
            audio_clue: (B, 3, L), as ``text``.
            visual_clue: (B, 3, L), as ``text``.

        Returns:
            (B,) on the label scale.

        Raises:
            DataError: When a shape is another one.
        """
        steps = self.network.params.max_tokens
        clips = len(np.asarray(text))
        arrays = {
            name: _checked(name, array, (clips, *shape))
            for name, array, shape in (
                ("text", text, (3, steps)),
                ("audio", audio, (steps, self._features("audio"))),
                ("vision", vision, (steps, self._features("vision"))),
                ("audio_clue", audio_clue, (3, steps)),
                ("visual_clue", visual_clue, (3, steps)),
            )
        }
        with torch.inference_mode():
            parts = [
                self.network(_batch({name: array[rows] for name, array in arrays.items()}))
                for rows in torch.arange(clips).split(_BATCH)
            ]
        return torch.cat([part.prediction for part in parts]).cpu().numpy()

    def _features(self, stream: str) -> int:
        encoder = self.network.encoders[stream]
        assert isinstance(encoder.project, nn.Linear)
        return encoder.project.in_features


def _checked(name: str, array: ArrayLike, shape: tuple[int, ...]) -> Tensor:
    values = np.asarray(array)
    if values.shape != shape:
        raise DataError(f"{name} should have shape {shape}, found {values.shape}")
    return torch.from_numpy(np.ascontiguousarray(values))


def _batch(arrays: Mapping[str, Tensor]) -> Batch:
    clips = len(arrays["text"])
    return Batch(
        rows=torch.arange(clips),
        tokens=_tokens(arrays["text"]),
        audio=_sequence(arrays["audio"]),
        vision=_sequence(arrays["vision"]),
        clues={name: _tokens(arrays[name]) for name in ("audio_clue", "visual_clue")},
        labels=torch.zeros(clips),
    )


def _tokens(coded: Tensor) -> Tokens:
    ids, mask, segments = coded.long().unbind(1)
    return Tokens(ids, mask, segments)


def _sequence(values: Tensor) -> Sequence:
    frames = values.shape[1]
    return Sequence(values.float(), torch.full((len(values),), frames), frames)
