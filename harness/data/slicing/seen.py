"""Do training clips come from the same source video?"""

from __future__ import annotations

from harness.data.corpus import Split
from harness.data.slicing import Divided, Slicing, divided

__all__ = ["SEEN"]


def _divide(split: Split) -> Divided | None:
    if split.name == "train":
        return None
    trained = set(split.corpus.split("train").clips["video"])
    seen = split.clips["video"].isin(trained).to_numpy()
    return divided(("seen in training", "unseen"), seen, ~seen)


SEEN = Slicing(
    name="seen",
    title="Source video",
    definition="some training clip is of the same source video: speaker and scene recur",
    divide=_divide,
    place=7,
)
