"""From replies to predictions: the three policies, the spread over prompts, and what to report.

Shapes: n clips of a split, P prompts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.corpus import Split
from harness.system.zero_shot import AnswerCounts
from mllm_eval.prompt.letters import LOW_MASS
from mllm_eval.prompt.outcomes import Outcome, Reading, train_mean, worst_case
from mllm_eval.zero_shot.survey import Reply

__all__ = ["Scores", "scores", "summary"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """What the replies about a split come to.

    Args:
        split: Its name.
        main: (n,) mean over prompts; a prompt without an answer counts as the mean training label.
        answered: (n,) mean over the prompts that were answered; NaN for clips without any.
        worst: (n,) as ``main``, unanswered prompts at the end of the scale farthest from the label.
        prompts: Prompt -> (n,) its predictions under the main policy.
        spread: What is told of each clip: share of prompts ``answered``, ``lowest`` and ``highest``
            of the prompts, and, of letters, the covered ``mass``.
        table: One row per question.
    """

    split: str
    main: NDArray[np.float64]
    answered: NDArray[np.float64]
    worst: NDArray[np.float64]
    prompts: Mapping[str, NDArray[np.float64]]
    spread: Mapping[str, NDArray[np.float32]]
    table: pd.DataFrame


def scores(replies: Mapping[str, Sequence[Reply]], split: Split, mean: float) -> Scores:
    """Score the replies about a split.

    Args:
        replies: Clip id -> replies in the order of prompts and turns, for every clip.
        split: The split; its labels are read for the worst case alone.
        mean: Mean training label.
    """
    dataset = split.corpus.dataset
    read = _by_prompt([replies[name] for name in split.ids])
    filled = {prompt: train_mean(readings, mean).pred for prompt, readings in read.items()}
    worst = [
        worst_case(readings, split.labels, dataset.low, dataset.high).pred
        for readings in read.values()
    ]
    values = np.array([[_value(r) for r in readings] for readings in read.values()])  # (P, n)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    everything = np.array(list(filled.values()))
    return Scores(
        split=split.name,
        main=everything.mean(axis=0),
        answered=np.divide(total, count, out=np.full(len(split), math.nan), where=count > 0),
        worst=np.mean(worst, axis=0),
        prompts=filled,
        spread={
            "answered": known.mean(axis=0).astype(np.float32),
            "lowest": everything.min(axis=0).astype(np.float32),
            "highest": everything.max(axis=0).astype(np.float32),
            **_mass(read),
        },
        table=_table(replies, split),
    )


def _by_prompt(replies: Sequence[Sequence[Reply]]) -> dict[str, list[Reading]]:
    """Prompt -> one reading per clip, turns taken together."""
    read: dict[str, list[Reading]] = {}
    for own in replies:
        turns: dict[str, list[Reading]] = {}
        for reply in own:
            turns.setdefault(reply.question.prompt.name, []).append(reply.reading)
        for prompt, readings in turns.items():
            read.setdefault(prompt, []).append(_together(readings))
    return read


def _together(turns: Sequence[Reading]) -> Reading:
    """The mean over the turns that were answered; else what became of the first."""
    answered = [turn for turn in turns if turn.value is not None]
    if not answered:
        return turns[0]
    masses = [turn.mass for turn in answered if turn.mass is not None]
    return Reading(
        outcome=Outcome.ANSWERED,
        value=float(np.mean([turn.value for turn in answered])),
        mass=float(np.mean(masses)) if masses else None,
    )


def _value(reading: Reading) -> float:
    return math.nan if reading.value is None else reading.value


def _mass(read: Mapping[str, Sequence[Reading]]) -> dict[str, NDArray[np.float32]]:
    """(n,) covered probability, where letters were scored; 0 for clips without an answer."""
    scored = [readings for readings in read.values() if any(r.mass is not None for r in readings)]
    if not scored:
        return {}
    mass = np.array([[reading.mass or 0.0 for reading in readings] for readings in scored])
    return {"mass": mass.mean(axis=0).astype(np.float32)}


def _table(replies: Mapping[str, Sequence[Reply]], split: Split) -> pd.DataFrame:
    rows = [{"split": split.name, **r.record()} for name in split.ids for r in replies[name]]
    table = pd.DataFrame(rows)
    counts = ("prompt_tokens", "completion_tokens")
    return table.astype({"value": "float64", "mass": "float64", **dict.fromkeys(counts, "Int64")})


def summary(found: Scores) -> AnswerCounts:
    """Counts of a split, for the manifest: questions by outcome, clips by what they were shown."""
    table = found.table
    outcomes = Counter(table["outcome"])
    shown = Counter(table.drop_duplicates("id")["shown"])
    return AnswerCounts(
        clips=int(found.main.size),
        clips_answered=int(np.isfinite(found.answered).sum()),
        clips_open=int(table.loc[table["outcome"] == Outcome.UNANSWERED, "id"].nunique()),
        questions=len(table),
        outcomes={str(outcome): outcomes[str(outcome)] for outcome in Outcome},
        asked_again=int((table["tries"] > 1).sum()),
        low_mass=int((table["mass"] < LOW_MASS).sum()),
        shown=dict(sorted(shown.items())),
        prompt_tokens=_total(table["prompt_tokens"]),
        completion_tokens=_total(table["completion_tokens"]),
        seconds=float(table["seconds"].sum()),
        requests=int(table["requests"].sum()),
    )


def _total(counts: pd.Series) -> int | None:
    """The sum, None when the server did not count some."""
    return None if counts.isna().any() else int(counts.sum())
