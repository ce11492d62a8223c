"""Has a model seen the test set, and does it use what it is shown? Six probes with intervals.

==========  ===============================  =====================================================
completion  half a transcript                near matches of the other half, less those of another
                                             clip's
recall      nothing but the clip's id        error of the constant less its error; its error with
                                             another clip's answer less with its own
wording     the transcript in other words    error so less error as transcribed
swap        another clip's words on its      distance to its answer for the clip of the media less
            media                            distance to its answer for the clip of the words
blank       grey frames; silence             error so less error as recorded
hearing     the sound alone; everything      error of the constant less error by ear; error by the
                                             words less error by everything
==========  ===============================  =====================================================

Each measure is a mean over clips with an interval for new source videos, above zero where the model
shows what the probe looks for. Clips without all the answers that it takes are left out and
counted. The constant is the median training label: no constant has a smaller absolute error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.metrics import Values
from mllm_eval.explain.paraphrase import halves, overlap
from mllm_eval.media.clips import donors
from mllm_eval.probe.estimate import ProbeFinding, mean_over_videos
from mllm_eval.probe.questions import Replies

__all__ = ["NEAR", "PROBES", "findings", "hears"]

NEAR: Final = 0.8
"""Overlap from which a completion is a near match."""

_NAMES: Final = {"vision": "frames", "audio": "sound"}


@dataclass(frozen=True, kw_only=True)
class _Words:
    """A measure in words, and what is said when it is above zero, not shown, or below."""

    probe: str
    measure: str
    above: str
    unclear: str
    below: str

    def of(self, values: Values, replies: Replies, facts: Mapping[str, Json]) -> ProbeFinding:
        """The finding for values per clip, NaN where an answer is missing."""
        estimate = mean_over_videos(values, replies.subject.truth.videos)
        verdict = {1: self.above, 0: self.unclear, -1: self.below}[estimate.sign]
        if estimate.videos < 2:
            verdict = f"cannot be told from {estimate.clips} clips of {estimate.videos} videos"
        return ProbeFinding(
            probe=self.probe,
            measure=self.measure,
            estimate=estimate,
            tried=len(replies.subject.clips),
            verdict=verdict,
            facts=facts,
        )


def _completion(replies: Replies) -> list[ProbeFinding]:
    clips = replies.subject.clips
    second = [halves(clip.text)[1] for clip in clips]
    answered = [i for i, text in enumerate(replies.completions) if text is not None]
    own, other = np.full((2, len(clips)), np.nan)
    partners = _exchanged(answered, replies)
    for place, partner in zip(answered, partners, strict=True):
        said = replies.completions[place] or ""
        own[place] = overlap(said, second[place])
        other[place] = overlap(said, second[partner])
    near = _keep_nan(own >= NEAR, own) - _keep_nan(other >= NEAR, own)
    facts: dict[str, Json] = {
        "exact": int((own == 1).sum()),
        "near": int((own >= NEAR).sum()),
        "near_of_another": int((other >= NEAR).sum()),
        "overlap": _mean(own),
        "overlap_with_another": _mean(other),
    }
    words = _Words(
        probe="completion",
        measure="second halves nearly matched, less another clip's",
        above="recites transcripts",
        unclear="no sign of reciting",
        below="no sign of reciting",
    )
    return [words.of(near, replies, facts)]


def _recall(replies: Replies) -> list[ProbeFinding]:
    truth, said = replies.subject.truth.labels, replies.values["recall"]
    answered = [int(place) for place in np.flatnonzero(np.isfinite(said))]
    exchanged = np.full(len(said), np.nan)
    exchanged[answered] = said[_exchanged(answered, replies)]
    error = abs(truth - said)
    facts: dict[str, Json] = {
        "constant": replies.subject.constant,
        "different_answers": int(np.unique(said[answered]).size),
        "mae": _mean(error),
    }
    constant = _Words(
        probe="recall",
        measure="absolute error of the constant less that from the clip's id",
        above="knows labels by clip id",
        unclear="no sign of knowing labels",
        below="no sign of knowing labels: worse than the constant",
    )
    another = _Words(
        probe="recall",
        measure="absolute error of another clip's answer less that of the own",
        above="answers go with the clip's label",
        unclear="no sign of knowing labels",
        below="no sign of knowing labels",
    )
    return [
        constant.of(abs(truth - replies.subject.constant) - error, replies, facts),
        another.of(abs(truth - exchanged) - error, replies, {}),
    ]


def _wording(replies: Replies) -> list[ProbeFinding]:
    words = _Words(
        probe="wording",
        measure="absolute error of the reworded transcript less that of the transcript",
        above="loses when only the words change",
        unclear="no loss shown when only the words change",
        below="gains when only the words change",
    )
    return [_of_change(words, "text", "reworded", replies)]


def _swap(replies: Replies) -> list[ProbeFinding]:
    whole, swapped = replies.values["all"], replies.values["swapped"]
    others = [whole[j] if j is not None else math.nan for j in replies.subject.donors]
    to_media, to_words = abs(swapped - whole), abs(swapped - np.array(others))
    words = _Words(
        probe="swap",
        measure="distance to the answer for the media less to the answer for the words",
        above="follows the words",
        unclear="follows neither words nor media clearly",
        below="follows the media",
    )
    facts: dict[str, Json] = {"to_media": _mean(to_media), "to_words": _mean(to_words)}
    return [words.of(to_media - to_words, replies, facts)]


def _blank(replies: Replies) -> list[ProbeFinding]:
    found = []
    for sense, name in _NAMES.items():
        words = _Words(
            probe="blank",
            measure=f"absolute error without {name} less that with {name}",
            above=f"gains from the {name}",
            unclear=f"no gain from the {name} shown",
            below=f"loses by the {name}",
        )
        found.append(_of_change(words, "all", f"no_{sense}", replies))
    return found


def _hearing(replies: Replies) -> list[ProbeFinding]:
    truth, values = replies.subject.truth.labels, replies.values
    by_ear = _Words(
        probe="hearing",
        measure="absolute error of the constant less that of the sound alone",
        above="the sound alone beats the constant",
        unclear="not shown that the sound alone beats the constant",
        below="the sound alone is worse than the constant",
    )
    by_all = _Words(
        probe="hearing",
        measure="absolute error of the transcript alone less that of everything",
        above="everything beats the transcript",
        unclear="not shown that everything beats the transcript",
        below="everything is worse than the transcript",
    )
    ear, text, everything = (abs(truth - values[name]) for name in ("audio", "text", "all"))
    both = np.where(np.isfinite(ear), everything, np.nan)  # clips that can be heard
    constant = abs(truth - replies.subject.constant)
    return [
        by_ear.of(constant - ear, replies, {"constant": replies.subject.constant}),
        by_all.of(text - both, replies, {}),
    ]


PROBES: Final[Mapping[str, Callable[[Replies], list[ProbeFinding]]]] = {
    "completion": _completion,
    "recall": _recall,
    "wording": _wording,
    "swap": _swap,
    "blank": _blank,
    "hearing": _hearing,
}


def findings(names: Sequence[str], replies: Replies) -> list[ProbeFinding]:
    """What the probes of these names found, in their order.

    Args:
        names: Keys of ``PROBES``.
        replies: To all requests that these probes make.
    """
    return [found for name in names for found in PROBES[name](replies)]


def hears(found: Sequence[ProbeFinding]) -> bool | None:
    """Whether the claim stands that the model hears emotion; None when hearing was not probed.

    The sound alone has to beat the constant, and everything the transcript, each with an interval
    above zero: a test of both at 5 % has at most 5 % false claims.
    """
    parts = [one.estimate.sign for one in found if one.probe == "hearing"]
    return all(sign > 0 for sign in parts) if parts else None


def _of_change(words: _Words, before: str, after: str, replies: Replies) -> ProbeFinding:
    """How much worse answers get from one series to another, and how many change."""
    truth, values = replies.subject.truth.labels, replies.values
    moved = abs(values[after] - values[before])
    facts: dict[str, Json] = {"changed": int((moved > 0).sum()), "mean_change": _mean(moved)}
    cost = abs(truth - values[after]) - abs(truth - values[before])
    return words.of(cost, replies, facts)


def _exchanged(places: Sequence[int], replies: Replies) -> list[int]:
    """For each of some clips another of them, of another source video where possible."""
    if len(places) < 2:
        return list(places)
    videos = replies.subject.truth.videos[list(places)].tolist()
    return [places[donor] for donor in donors(videos, np.random.default_rng(0))]


def _keep_nan(flags: NDArray[np.bool_], values: Values) -> Values:
    return np.where(np.isfinite(values), flags, np.nan)


def _mean(values: Values) -> float | None:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else None
