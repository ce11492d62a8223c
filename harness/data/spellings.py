"""Clip ids that are unknown and should not be: what happened to them on the way.

An id that differs from a known clip's only by its spelling is a mistake in the file, not a clip of
other data. Every command that meets predictions says which mistake it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from harness.data.identifiers import skeleton, visible

__all__ = ["Misspelling", "explain", "explain_most", "split_name"]

_SPLITS = {"train": "train", "valid": "valid", "dev": "valid", "val": "valid", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class Misspelling:
    """One way in which ids differ from known ones.

    Args:
        cause: What happened, to stand behind the number of ids.
        hint: What to do about it.
        ids: The unknown ids to which it happened, in their order.
    """

    cause: str
    hint: str
    ids: tuple[str, ...]


def explain(unknown: Iterable[str], known: Collection[str]) -> Misspelling | None:
    """The misspelling that turns most of the unknown ids into known ones, None where none does.

    Args:
        unknown: Ids that are not known.
        known: Ids that they may be meant to be.

    Example:
        >>> explain(["v_1", "w_7"], {"v_0001"}).cause
        'leading zeros were lost'
    """
    there, found = list(unknown), []
    for cause, hint, theirs, ours in _SPELLINGS:
        spelled = {ours(clip) for clip in known}
        ids = tuple(clip for clip in there if theirs(clip) in spelled)
        found.append(Misspelling(cause=cause, hint=hint, ids=ids))
    best = max(found, key=lambda one: len(one.ids))  # the first of several
    return best if best.ids else None


def explain_most(unknown: Collection[str], known: Collection[str]) -> Misspelling | None:
    """As ``explain``, None also for a misspelling of at most half of the unknown ids."""
    found = explain(unknown, known)
    return found if found is not None and 2 * len(found.ids) > len(unknown) else None


def split_name(text: str) -> str:
    """The split that a name means, in any case and width: train, valid or test, "" for others.

    Example:
        >>> split_name("Train "), split_name("dev"), split_name("unlabeled")
        ('train', 'valid', '')
    """
    return _SPLITS.get(unicodedata.normalize("NFKC", visible(text)).lower(), "")


def _without_zeros(clip: str) -> str:
    return "_".join(part.lstrip("0") or "0" for part in clip.split("_"))


def _swapped(clip: str) -> str:
    first, _, rest = clip.partition("_")
    return f"{rest}_{first}"


def _joined(clip: str) -> str:
    """One underscore for whatever joins video and clip, and no suffix of a file."""
    plain = re.sub(r"\.(mp4|wav|avi|csv|pkl|txt)$", "", clip.strip())
    return re.sub(r"[^\w-]+_*[^\w-]*", "_", plain).strip("_")


def _video(clip: str) -> str:
    return clip.rpartition("_")[0]


def _unchanged(clip: str) -> str:
    return clip


_SPELLINGS: tuple[tuple[str, str, Callable[[str], str], Callable[[str], str]], ...] = (
    (
        "leading zeros were lost",
        "keep ids as text: spreadsheets and numeric columns drop zeros",
        _without_zeros,
        _without_zeros,
    ),
    ("video and clip are swapped", "exchange video_id and clip_id", _swapped, _unchanged),
    (
        "video and clip are joined otherwise",
        "an id is video and clip joined by one underscore",
        _joined,
        _joined,
    ),
    ("upper and lower case differ", "keep ids as published", str.lower, str.lower),
    (
        "they hold characters that look alike and are not",
        "keep ids as published",
        skeleton,
        skeleton,
    ),
    (
        "they name videos, not clips",
        "an id is video and clip joined by one underscore",
        _unchanged,
        _video,
    ),
)
"""What may have happened, what to do, the spelling of their ids, the same of ours."""
