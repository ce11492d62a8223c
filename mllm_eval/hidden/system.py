"""A ridge on the hidden states of a language model: what it holds of a clip, whatever it says.

The model is shown a clip and asked as for a score; its last hidden state, behind the last word of
the question, is what the ridge reads. It learns from the labels of training clips, so it stands
among the trained rows and shares no table with models that are asked. States come from a server,
which in general does not repeat them to the last digit.

Shapes: n clips of a split, H size of a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import digest
from harness.data.corpus import Corpus, Split
from harness.data.datasets import SPLITS, Dataset
from harness.system import Card, Fitted, System, Task, param
from harness.system.ridge import RidgeParams, fit_ridge, standardised
from mllm_eval.hidden.states import HiddenStates
from mllm_eval.prompt.prompt import Prompt, prompts
from mllm_eval.zero_shot.system import AskedParams, pins

__all__ = ["MLLM_HIDDEN", "HiddenParams"]

_DIRECT = "direct"


@dataclass(frozen=True, kw_only=True)
class HiddenParams(AskedParams, RidgeParams):
    """How its states are read besides."""

    prompt: str = param(_DIRECT, source="the direct question in the language; or a prompt's name")
    readout: str = param("hidden", choices=("hidden",), source="a ridge on the last hidden state")

    def asks(self, dataset: Dataset) -> tuple[Prompt, ...]:
        """The one prompt."""
        language = "zh" if dataset.language == "zh" else "en"
        return (prompts[f"{language}-direct" if self.prompt == _DIRECT else self.prompt],)

    @property
    def _serving(self) -> str:
        """States are told by a server of their own kind."""
        return f"{super()._serving} --hidden"


def _pins(params: HiddenParams, corpus: Corpus, cache: Path) -> Mapping[str, str]:
    """As of a model that is asked, training clips included."""
    return pins(params, corpus, cache, SPLITS)


def fit(task: Task, params: HiddenParams) -> Fitted:
    """Have the states of all clips, standardise them on train, fit the ridge.

    A clip without a state, for its recording is broken or the server rejects it, has the mean state
    of training clips: it is predicted as the mean training label, and counted.

    Raises:
        SpecError: When the model takes nothing of what the condition shows.
        RunFailed: When clips lack a state for the transport's sake; what was answered is kept.
    """
    dataset = task.train.corpus.dataset
    params.check_senses(dataset)
    served = params.served(task.cache)
    (prompt,) = params.asks(dataset)
    name = f"hidden-{digest([params.model, served.identity])[:16]}.jsonl"
    states = HiddenStates(
        client=params.client(served),
        prompt=prompt,
        setting=params.setting,
        journal=task.cache / "mllm" / name,
        accept=params.accept_failed,
    )
    asked = [split for split in (task.train, task.valid, task.watched) if split is not None]
    states.ask(asked)
    mean = np.nanmean(states.vectors(task.train), axis=0)  # (H,)

    def vectors(split: Split) -> NDArray[np.float64]:
        found = states.vectors(split)
        return np.where(np.isnan(found), mean, found)

    fitted = fit_ridge(task, params, standardised(vectors, task.train))
    report = {
        "model": params.card.title,
        "readout": params.readout,
        "prompt": prompt.name,
        "condition": params.condition,
        "size": int(mean.size),
        **served.identity,
        "splits": {split.name: dict(states.outcomes(split)) for split in asked},
    }
    return Fitted(
        predict=fitted.predict,
        parameters=round((params.card.parameters or 0) * 1e9) + fitted.parameters,
        trainable=fitted.trainable,
        report={"hidden_states": report},
    )


MLLM_HIDDEN = System(
    name="mllm_hidden",
    card=Card(
        title="Language model's hidden states + ridge",
        paper="trained readout of a language model, no paper",
        year=None,
        text="transcript",
    ),
    params=HiddenParams,
    inputs=frozenset({"transcript"}),
    deterministic=True,
    locations=frozenset({"server", "media", "key_variable", "concurrency", "timeout"}),
    pins=_pins,
    fit=fit,
)
