"""Explanations + ridge: what the explanations alone say, without the clip they explain.

A control for every system that reads explanations: what it gains over this row, the clip gave.

Shapes: n clips of a split, K kinds of explanation, H size of a sentence vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from baselines.sentence_ridge import unit_vectors
from harness.data.corpus import EXPLANATIONS, Split
from harness.errors import SpecError
from harness.system import Card, Fitted, System, Task, param
from harness.system.ridge import RidgeParams, fit_ridge, standardised

__all__ = ["EXPLANATION_RIDGE", "ExplanationRidgeParams"]

_SUBSETS = tuple(
    "+".join(names) for size in (3, 2, 1) for names in combinations(EXPLANATIONS, size)
)


@dataclass(frozen=True, kw_only=True)
class ExplanationRidgeParams(RidgeParams):
    """Which explanations are read, and the encoder."""

    explanations: str = param(_SUBSETS[0], choices=_SUBSETS, source="ours: every kind")
    encoder: str = param("minilm-l6", source="ours: small, permissive, fetched as a package")

    def reads(self, inputs: frozenset[str]) -> frozenset[str]:
        """The named explanations."""
        return inputs & set(self.explanations.split("+"))


def fit(task: Task, params: ExplanationRidgeParams) -> Fitted:
    """Encode each kind, scale to unit length, join, standardise on train, fit the ridge.

    Raises:
        SpecError: Without an encoder, or when the corpus lacks a named kind of explanation.
    """
    encoder = task.encoder
    if encoder is None:
        raise SpecError("explanation_ridge needs a text encoder", hint='encoder = "minilm-l6"')
    names = params.explanations.split("+")

    def vectors(split: Split) -> NDArray[np.float64]:
        told = [_told(split, name) for name in names]
        return np.hstack([unit_vectors(encoder, texts, task.cache) for texts in told])  # (n, K H)

    return fit_ridge(task, params, standardised(vectors, task.train))


def _told(split: Split, name: str) -> list[str]:
    """One explanation per clip, empty where there is none."""
    if name not in split.clips:
        present = ", ".join(kind for kind in EXPLANATIONS if kind in split.clips) or "none"
        raise SpecError(
            f"explanation_ridge should read {name}, corpus {split.corpus.name} has {present}",
            hint="name the explanations it has: explanations = ...",
        )
    texts: list[str] = split.clips[name].fillna("").tolist()
    return texts


# TEXT's explanations are English on every dataset; of the packaged encoders only one reads it.
EXPLANATION_RIDGE = System(
    name="explanation_ridge",
    card=Card(
        title="Explanations + ridge",
        paper="explanation-only control, no paper",
        year=None,
        text="none",
    ),
    params=ExplanationRidgeParams,
    inputs=frozenset(EXPLANATIONS),
    deterministic=True,
    fit=fit,
)
