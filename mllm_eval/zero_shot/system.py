"""Multimodal language models asked for a score: zero-shot, no label of the dataset seen.

The prediction of a clip is the mean over prompts, each clip without an answer counting as the mean
training label; predictions under the other policies are stored beside it. Refusals, what cannot be
read and clips that cannot be shown are such; a question that transport trouble has left open is
not, and ends the run, unless a share of such clips is accepted.

Shapes: n clips of a split, P prompts.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.canonical import digest
from harness.data.corpus import Corpus, Split
from harness.data.datasets import Dataset
from harness.errors import HarnessError, NotHere, RunFailed, SpecError, Unreachable
from harness.metrics.affine import Affine, fit_affine
from harness.system import Card, Fitted, Params, System, Task, param
from harness.system.zero_shot import CalibrationLine, ZeroShotFacts
from mllm_eval.client import Client, Limits, Served, ask_served, recall, remember
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of, media_identity
from mllm_eval.media.sampling import CONDITIONS
from mllm_eval.model.card import ModelCard, known
from mllm_eval.prompt.outcomes import Outcome
from mllm_eval.prompt.parse import PARSER
from mllm_eval.prompt.prompt import Prompt, prompts
from mllm_eval.zero_shot.scores import Scores, scores, summary
from mllm_eval.zero_shot.survey import Survey, SurveySetting, check_shown

__all__ = ["ASKED", "MLLM", "AskedParams", "MLLMParams", "journal_of", "pins"]

log = logging.getLogger(__name__)

_ALL = "preregistered"
ASKED: Final = ("valid", "test")
"""Splits whose clips a model is asked about."""
_READOUTS: Final = ("generated", "expected")
_UNREACHED = (Outcome.REJECTED, Outcome.BLOCKED, Outcome.NO_MEDIA, Outcome.UNANSWERED)
"""Outcomes of questions that the model has not seen."""


@dataclass(frozen=True, kw_only=True)
class AskedParams(Params):
    """Which model is asked, and what it is shown."""

    model: str = param("", source="name of a card, or any that the server knows")
    revision: str = param(
        "", source="of the weights, where the server cannot tell: a commit, the date of a snapshot"
    )
    prompt: str = param(_ALL, source="mean over the three of the language; or one prompt's name")
    condition: str = param("all", choices=CONDITIONS, source="transcript, sound and frames")
    frames: int = param(8, low=1, source="flat from 16 on in published work; 8 is usual")
    size: int = param(448, low=16, source="longest side of a frame, pixels; ours")
    rule: str = param(
        "uniform-centre", choices=("uniform-centre", "uniform-edges"), source="where frames are"
    )
    accept_failed: float = param(
        0.0, low=0.0, high=1.0, source="ours; share of clips that may lack an answer, counted"
    )
    server: str = param("", source="base URL, up to and including /v1; the card's if it has one")
    media: str = param("", source="folder of the recordings; none: transcripts only")
    key_variable: str = param("", source="environment variable of the API key; the card's, or none")
    concurrency: str = param("", source="ours; requests in flight at most, 64 unless given")
    timeout: str = param("", source="ours; seconds that an answer may take, 120 unless given")

    @property
    def card(self) -> ModelCard:
        """What is known of the model; next to nothing without a card."""
        return known(self.model) or ModelCard(name=self.model, title=self.model, weights=self.model)

    def reads(self, inputs: frozenset[str]) -> frozenset[str]:
        """The transcript, unless the condition withholds it; recordings are no feature stream."""
        return inputs if self.condition in ("text", "all") else frozenset()

    def asks(self, dataset: Dataset) -> tuple[Prompt, ...]:
        """The prompts, in alphabetical order."""
        if self.prompt != _ALL:
            return (prompts[self.prompt],)
        found = prompts.preregistered("zh" if dataset.language == "zh" else "en")
        return tuple(one for one in found if self.can_read(one))

    def can_read(self, prompt: Prompt) -> bool:
        """Whether a value can be had of what a prompt asks for."""
        return True

    @property
    def setting(self) -> SurveySetting:
        """How clips are shown and answers asked for."""
        card = self.card
        return SurveySetting(
            condition=self.condition,  # type: ignore[arg-type]  # checked against CONDITIONS
            senses=card.senses,
            frames=media.FrameSampling(frames=self.frames, size=self.size, rule=self.rule),  # type: ignore[arg-type]  # checked
            folder=Path(self.media) if self.media else None,
            system=card.system,
            sampling=card.sampling(),
            extra=card.extra,
        )

    def check_senses(self, dataset: Dataset) -> None:
        """Whether the model takes what the condition shows.

        Raises:
            SpecError: When its card has no such input, cannot answer so, or has no room for the
                frames, or no model is named.
        """
        if not self.model:
            raise SpecError("system mllm: model is missing", hint='params = { model = "NAME" }')
        names = ", ".join(prompt.name for prompt in self.asks(dataset))
        wanted = media.SENSES.intersection([self.condition])
        card, _ = self.card, self.limits
        card.check_senses(wanted, f"condition {self.condition} of prompt {names}")
        for prompt in self.asks(dataset):
            self.check_prompt(prompt)
        if self.media and self.condition in ("vision", "all"):
            card.check_budget(self.frames, self.size, f"condition {self.condition}")
        if card.retired:
            log.warning("%s is retired: %s", card.name, card.retired)

    def check_prompt(self, prompt: Prompt) -> None:
        """Whether the model can be asked so.

        Raises:
            SpecError: When it cannot.
        """

    def served(self, cache: Path) -> Served:
        """What the server says of the model; while it is away, what was last said.

        Raises:
            NotHere: Of a model that was never met, when no server is named or it has other models.
            Unreachable: Likewise, when none answers, or it refuses.
            DataError: Likewise, when several servers do not serve it alike.
        """
        stated = self.revision or (self.card.revision if self.card.hosted else "")
        try:
            found = ask_served(
                self.server or self.card.base_url,
                self.card.asked_as or self.model,
                stated=stated,
                key_variable=self._key_variable,
                bring=f"{self._serving}, then msa mllm run SUITE --server URL",
            )
        except HarnessError as error:
            met = recall(cache, self.model, stated)
            if met is not None:
                return met
            if isinstance(error, RunFailed):
                what = f"a server of {self.model}"
                raise Unreachable(str(error), hint=error.hint, what=what) from error
            raise
        remember(cache, self.model, stated, found)
        return found

    def client(self, served: Served) -> Client:
        """Whom to ask."""
        return Client(
            base_url=self.server or self.card.base_url,
            model=self.model,
            revision=served.revision,
            engine=served.engine,
            arguments=served.arguments,
            asked_as=self.card.asked_as,
            audio_part=self.card.audio_part,
            frame_part=self.card.frame_part,
            key_variable=self._key_variable or None,
            limits=self.limits,
        )

    @property
    def limits(self) -> Limits:
        """How hard to try.

        Raises:
            SpecError: For what is no number, or out of range.
        """
        try:
            return Limits.asked(
                most=int(self.concurrency) if self.concurrency else None,
                timeout=float(self.timeout) if self.timeout else None,
            )
        except ValueError:
            raise SpecError(
                "concurrency is a whole number and timeout a number of seconds;"
                f" found {self.concurrency!r}, {self.timeout!r}"
            ) from None

    @property
    def _serving(self) -> str:
        """The command that starts a server of the model."""
        return f"msa mllm serve {self.model}"

    @property
    def _key_variable(self) -> str:
        return self.key_variable or self.card.key_variable


@dataclass(frozen=True, kw_only=True)
class MLLMParams(AskedParams):
    """How it answers besides."""

    turns: int = param(1, low=1, high=7, source="ours; 7: each level stands behind each letter")
    readout: str = field(
        default="generated",
        metadata={
            "source": "ours; what a prompt asks for. expected: letters alone, by probabilities",
            "choices": _READOUTS,
            "later": True,
        },
    )
    constrained: bool = param(False, source="ours; the server enforces numbers and JSON")
    max_tokens: int = param(32, low=1, source="ours; longest answer, and more than any form needs")

    def can_read(self, prompt: Prompt) -> bool:
        """Letters alone have expected values."""
        return self.readout != "expected" or prompt.answer == "letters"

    def check_prompt(self, prompt: Prompt) -> None:
        """Whether the readout can be had of what it asks for, and the server tells what that takes.

        Raises:
            SpecError: When one is not so.
        """
        if not self.can_read(prompt):
            raise SpecError(
                f"readout {self.readout} is of letters, and prompt {prompt.name} asks for"
                f" {prompt.answer}",
                hint="msa list prompts shows what each asks for",
            )
        self.card.check_answer(prompt.answer, f"prompt {prompt.name}")

    @property
    def setting(self) -> SurveySetting:
        """How clips are shown and answers asked for."""
        return dataclasses.replace(
            super().setting,
            turns=self.turns,
            readout=self.readout,
            constrained=self.constrained,
            sampling=self.card.sampling(max_tokens=self.max_tokens),
        )


def pins(
    params: AskedParams, corpus: Corpus, cache: Path, splits: Sequence[str] = ASKED
) -> Mapping[str, str]:
    """Digests of the model as served, of what it is asked, and of the recordings shown.

    Raises:
        NotHere: When no server of the model is known, or no recordings are, and nothing else could
            be shown.
        Unreachable, DataError: See ``AskedParams.served``.
        SpecError: See ``AskedParams.check_senses``.
    """
    params.check_senses(corpus.dataset)
    served, setting = params.served(cache), params.setting
    if setting.folder is None and params.condition in ("audio", "vision"):
        raise NotHere(
            f"condition {params.condition} needs recordings",
            hint="msa mllm run SUITE --media FOLDER",
            what=f"recordings of {corpus.name}",
        )
    asked = {
        "prompts": [prompt.digest for prompt in params.asks(corpus.dataset)],
        "system": setting.system,
        "sampling": setting.sampling.fields(),
        "extra": setting.extra,
        **params.card.sent,
    }
    found = {"server": digest(served.identity), "questions": digest(asked)}
    if setting.folder is not None and params.condition != "text":
        found["media"] = digest(_shown(corpus, setting, setting.folder, splits))
    return found


def _shown(
    corpus: Corpus, setting: SurveySetting, folder: Path, splits: Sequence[str]
) -> dict[str, str]:
    """Clip id -> what decides its media parts; empty for clips without any."""
    clips = [clip for name in splits for clip in clips_of(corpus.split(name).clips, folder)]
    looks = [media.look(clip, setting.condition, setting.senses) for clip in clips]
    check_shown([one.fault for one in looks])
    return {
        clip.id: media_identity(clip, one.shown, setting.frames)
        for clip, one in zip(clips, looks, strict=True)
    }


def journal_of(params: AskedParams, served: Served, cache: Path) -> Path:
    """Where the answers of a model as it is served are kept, whatever it is asked."""
    return cache / "mllm" / f"{digest([params.model, served.identity])[:16]}.jsonl"


def fit(task: Task, params: MLLMParams) -> Fitted:
    """Ask about every clip of valid and test; nothing is learned but the optional calibration.

    Raises:
        SpecError: When the model takes nothing of what the condition shows.
        RunFailed: When a question has no answer after all attempts; what was answered is kept.
    """
    dataset = task.train.corpus.dataset
    params.check_senses(dataset)
    served = params.served(task.cache)
    survey = Survey(
        params.client(served),
        params.asks(dataset),
        params.setting,
        journal_of(params, served, task.cache),
        accept=params.accept_failed,
    )
    mean = float(np.mean(task.train.labels))

    def scored(split: Split) -> Scores:
        return scores(survey.replies(split), split, mean)

    asked = [split for split in (task.valid, task.watched) if split is not None]
    survey.ask(asked)
    _check_taken([scored(split) for split in asked], params.model)
    line = _calibration(scored(task.valid), task.valid)
    return Fitted(
        predict=lambda split: scored(split).main,
        parameters=round((params.card.parameters or 0) * 1e9),
        trainable=0,
        diagnose=lambda split: scored(split).spread,
        variants=lambda split: _variants(scored(split), line, mean),
        answers=pd.concat([scored(split).table for split in asked], ignore_index=True),
        report={
            "zero_shot": _facts(
                params, dataset, served, line, {split.name: scored(split) for split in asked}
            ).json()
        },
    )


def _facts(
    params: MLLMParams,
    dataset: Dataset,
    served: Served,
    line: Affine | None,
    found: Mapping[str, Scores],
) -> ZeroShotFacts:
    """Who was asked what, and when, and what became of the questions about each split."""
    card, asked = params.card, params.asks(dataset)
    shows = params.condition in ("vision", "all") and "vision" in card.senses
    seen = shows and bool(params.media)
    return ZeroShotFacts(
        model=card.title,
        revision=served.revision,
        engine=served.engine,
        hosted=card.hosted,
        licence=card.licence,
        trained_on=card.trained_on,
        billions=card.parameters,
        inputs=tuple(sorted(card.inputs)) if known(params.model) else (),
        condition=params.condition,
        frames=f"{params.frames}, {params.rule}, {params.size} px" if seen else "none",
        prompts=tuple(prompt.name for prompt in asked),
        languages=tuple(sorted({prompt.language for prompt in asked})),
        transcripts=dataset.language,
        constrained=params.constrained,
        turns=params.turns,
        asked_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        calibration=None if line is None else CalibrationLine(**dataclasses.asdict(line)),
        splits={name: summary(one) for name, one in found.items()},
        accepted=params.accept_failed,
        parser=PARSER,
        arguments=served.arguments or None,
        answered_by=_told(found, "answered_by"),
        fingerprints=_told(found, "fingerprint"),
        readout=params.readout,
    )


def _told(found: Mapping[str, Scores], column: str) -> tuple[str, ...]:
    """What servers said beside their answers, each once."""
    values = pd.concat([one.table[column] for one in found.values()])
    return tuple(sorted(set(values) - {""}))


def _check_taken(found: Sequence[Scores], model: str) -> None:
    """Splits of which nothing reached the model are no result."""
    told = pd.concat([one.table for one in found])
    rejected = told[told["outcome"].isin([Outcome.REJECTED, Outcome.UNANSWERED])]
    if len(rejected) and told["outcome"].isin(_UNREACHED).all():
        raise RunFailed(
            f"no request about {rejected['split'].iloc[0]} was answered by {model}:"
            f" {rejected['detail'].iloc[0]}",
            hint="read the server's log: is the model served with room for such requests?",
        )


def _calibration(found: Scores, split: Split) -> Affine | None:
    """The line from answers to labels on the answered clips, if there are any."""
    answered = np.isfinite(found.answered)
    if not answered.any():
        return None
    return fit_affine(found.answered[answered], split.labels[answered])


def _variants(found: Scores, line: Affine | None, mean: float) -> Mapping[str, NDArray[np.float64]]:
    """Predictions of the other policies, of single prompts, and calibrated ones."""
    told = {"excluded": found.answered, "worst_case": found.worst}
    if len(found.prompts) > 1:
        told |= {f"prompt:{name}": values for name, values in found.prompts.items()}
    if line is not None:
        known = np.isfinite(found.answered)
        told["calibrated"] = np.where(known, line(np.where(known, found.answered, mean)), mean)
    return told


MLLM = System(
    name="mllm",
    card=Card(
        title="Multimodal language model, asked",
        paper="zero-shot, no paper",
        year=None,
        text="transcript",
        deviations=("predictions are answers of a server, which are not repeatable in general",),
    ),
    params=MLLMParams,
    inputs=frozenset({"transcript"}),
    deterministic=True,  # it is asked once: no seed of ours takes part
    supervision="none",
    locations=frozenset({"server", "media", "key_variable", "concurrency", "timeout"}),
    pins=pins,
    fit=fit,
)
