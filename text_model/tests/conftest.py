"""Small networks and ragged batches: nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import BertConfig

from harness.data.batching import Batch, Sequence, Tokens
from harness.system.network import Dims
from harness.text import Blueprint
from text_model.model import TextModel
from text_model.params import TextParams
from text_model.text import RELEASED

VOCABULARY = 40
DIMS = Dims(
    audio=(60, 5),
    vision=(55, 4),
    low=-3.0,
    high=3.0,
    encoder=Blueprint(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    ),
)
SMALL = {"hidden": 16, "heads": 2, "head_size": 8, "smoe_layers": 2}


@pytest.fixture
def params() -> Callable[..., TextParams]:
    """Small hyper-parameters; ``released`` ones do what the released code does."""

    def make(*, released: bool = False, **changes: object) -> TextParams:
        return TextParams(**{**SMALL, **(RELEASED if released else {}), **changes})

    return make


@pytest.fixture
def network() -> Callable[[TextParams], TextModel]:
    """An untrained network in evaluation mode, no weight of which is 0 or 1."""

    def make(chosen: TextParams, seed: int = 0, *, jitter: float = 0.1) -> TextModel:
        torch.manual_seed(seed)
        model = TextModel(DIMS, chosen).eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(jitter * torch.randn_like(weight))
        return model

    return make


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """Random clips of random lengths, or all as long as they get."""

    def make(clips: int, *, seed: int = 0, full: bool = False) -> Batch:
        torch.manual_seed(seed)
        return Batch(
            rows=torch.arange(clips),
            tokens=_tokens(clips, full),
            audio=_sequence(clips, *DIMS.need("audio"), full),
            vision=_sequence(clips, *DIMS.need("vision"), full),
            clues={name: _tokens(clips, full) for name in ("audio_clue", "visual_clue")},
            labels=torch.randn(clips),
        )

    return make


def _lengths(clips: int, longest: int, full: bool) -> Tensor:
    return torch.full((clips,), longest) if full else torch.randint(2, longest + 1, (clips,))


def _tokens(clips: int, full: bool) -> Tokens:
    mask = (torch.arange(50) < _lengths(clips, 50, full).unsqueeze(1)).long()
    ids = torch.randint(1, VOCABULARY, (clips, 50)) * mask
    return Tokens(ids, mask, torch.zeros_like(ids))


def _sequence(clips: int, frames: int, features: int, full: bool) -> Sequence:
    lengths = _lengths(clips, frames, full)
    values = torch.randn(clips, frames, features)
    values[torch.arange(frames) >= lengths.unsqueeze(1)] = 0
    return Sequence(values, lengths, frames)
