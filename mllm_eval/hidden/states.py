"""The hidden states of a model about the clips of splits, asked for once and kept.

Shapes: n clips of a split, H size of a state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray

from harness.data.corpus import Split
from harness.errors import RunFailed
from mllm_eval.client import Client, Journal, PooledRequest, Unanswered, ask_settled, vector_of
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of
from mllm_eval.prompt.prompt import Prompt
from mllm_eval.zero_shot.survey import Question, SurveySetting, check_shown

__all__ = ["HiddenStates"]


@dataclass(kw_only=True)
class HiddenStates:
    """The last hidden state of a model that was shown a clip and asked, before it answers.

    Args:
        client: Whom to ask; a server of pooled states.
        prompt: What is asked.
        setting: How clips are shown.
        journal: File in which states are kept.
        accept: Share of clips that may lack one for the transport's sake.
    """

    client: Client
    prompt: Prompt
    setting: SurveySetting
    journal: Path
    accept: float = 0.0
    _known: dict[str, NDArray[np.float32] | None] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)

    def ask(self, splits: Sequence[Split]) -> None:
        """Ask about all clips of several splits.

        Raises:
            RunFailed: When the server has gone, gives no states, or leaves more clips open than
                are accepted; what was answered is kept.
            DataError: When no clip has anything that could be shown.
        """
        questions = list(chain.from_iterable(map(self._about, splits)))
        check_shown([question.fault for question in questions])
        requests = [
            PooledRequest.about_to_answer(question.request(self.setting))
            for question in questions
            if not question.fault
        ]
        accept = Unanswered(self.accept, len(questions)) if self.accept else None
        with (
            filelock.FileLock(self.journal.with_suffix(".lock")),
            Journal(self.journal) as journal,
        ):
            (answers,) = ask_settled([requests], self.client, journal, accept=accept)
        found = iter(answers)
        for question in questions:
            answer = question.unasked if question.fault else next(found)
            self._known[question.clip.id] = vector_of(answer)
            self._states[question.clip.id] = answer.state
        if len(sizes := {v.size for v in self._known.values() if v is not None}) != 1:
            told = next((answer.text for answer in answers if answer.state != "answered"), "")
            raise RunFailed(
                f"{self.client.model} gave hidden states of {len(sizes)} sizes"
                + (f": {told}" if told else ""),
                hint=f"msa mllm serve {self.client.model} --hidden, and name its address",
            )

    def vectors(self, split: Split) -> NDArray[np.float64]:
        """(n, H) states of a split's clips, NaN where a clip has none."""
        size = next(v.size for v in self._known.values() if v is not None)
        missing = np.full(size, np.nan)
        found = [self._known[name] for name in split.ids]
        return np.stack([missing if v is None else v.astype(np.float64) for v in found])

    def outcomes(self, split: Split) -> Mapping[str, int]:
        """What became of the questions about a split -> how many."""
        return dict(sorted(Counter(self._states[name] for name in split.ids).items()))

    def _about(self, split: Split) -> list[Question]:
        dataset, setting = split.corpus.dataset, self.setting
        clips = clips_of(split.clips, setting.folder)
        looks = [media.look(clip, setting.condition, setting.senses) for clip in clips]
        return [
            Question(
                clip=clip,
                shown=look.shown,
                fault=look.fault,
                prompt=self.prompt,
                low=dataset.low,
                high=dataset.high,
            )
            for clip, look in zip(clips, looks, strict=True)
        ]
