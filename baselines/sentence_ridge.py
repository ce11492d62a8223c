"""Mean-pooled vectors of a frozen sentence encoder and a ridge: the text-only anchor.

Shapes: n clips of a split, H size of a sentence vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.corpus import Split
from harness.errors import SpecError
from harness.system import Card, Fitted, System, Task, param
from harness.system.ridge import RidgeParams, fit_ridge, standardised
from harness.text import Encoder, sentence_vectors

__all__ = ["SENTENCE_RIDGE", "SentenceRidgeParams", "unit_vectors"]


@dataclass(frozen=True, kw_only=True)
class SentenceRidgeParams(RidgeParams):
    """The encoder besides the strengths."""

    encoder: str = param("minilm-l6", source="ours: small, permissive, fetched as a package")


def fit(task: Task, params: SentenceRidgeParams) -> Fitted:
    """Encode, scale to unit length, standardise on train, fit the ridge.

    Raises:
        SpecError: Without an encoder.
    """
    encoder = task.encoder
    if encoder is None:
        raise SpecError("sentence_ridge needs a text encoder", hint='encoder = "minilm-l6"')

    def vectors(split: Split) -> NDArray[np.float64]:
        return unit_vectors(encoder, split.texts, task.cache)

    return fit_ridge(task, params, standardised(vectors, task.train))


def unit_vectors(encoder: Encoder, texts: Sequence[str], cache: Path) -> NDArray[np.float64]:
    """(n, H) sentence vectors of length 1."""
    pooled = sentence_vectors(encoder, texts, cache=cache).astype(np.float64)
    unit: NDArray[np.float64] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    return unit


_ENGLISH, _CHINESE = {"encoder": "minilm-l6"}, {"encoder": "m3e-small"}

SENTENCE_RIDGE = System(
    name="sentence_ridge",
    card=Card(
        title="Sentence vectors + ridge",
        paper="text-only anchor, no paper",
        year=None,
        text="transcript",
    ),
    params=SentenceRidgeParams,
    presets={"mosi": _ENGLISH, "mosei": _ENGLISH, "sims": _CHINESE, "simsv2": _CHINESE},
    inputs=frozenset({"transcript"}),
    deterministic=True,
    fit=fit,
)
