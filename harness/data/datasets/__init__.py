"""Datasets as published: scale, bins, language, official counts, identifiers, licence.

One file per dataset. Pure data (standard library only), so that metrics and boards can know a
dataset without importing readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from harness._util.registry import Registry
from harness.data.identifiers import split_id
from harness.errors import SpecError

__all__ = ["SPLITS", "Counts", "Dataset", "datasets"]

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Official counts of one split, derived from the released labels."""

    clips: int
    negative: int
    zero: int
    positive: int
    videos: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset as its authors published it."""

    name: str
    title: str
    language: Literal["en", "zh", "mixed"]
    low: float
    """Lowest label."""
    high: float
    """Highest label."""
    family: str
    """Which metric definitions apply: ``mosi``, seven-class rounding; ``sims``, five right-closed
    bins; ``transfer_mosi`` and ``transfer_sims``, those whose meaning agrees across datasets, and
    the MAE of the target's own family. Under any other name: those that ask nothing of the scale,
    and what metrics define for it."""
    grid: float | None
    """Step of the label grid, None when labels are means of ratings off any one grid."""
    splits: Mapping[str, Counts]
    unimodal_labels: bool
    """Whether its authors published separate text, audio and vision labels; what a corpus of it has
    says ``harness.data.contents``."""
    shapes: Mapping[str, Mapping[str, tuple[int, int]]]
    """Feature set -> stream -> (frames, features) of the public MMSA files."""
    published_files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of known public feature files -> their published name."""
    splits_share_videos: bool = False
    """True where train and test clips come from the same source videos."""
    contains: tuple[str, ...] = ()
    """Other datasets whose clips all recur here with the same labels and split."""
    sources: tuple[str, ...] = ()
    """Of a transfer: the datasets whose train and valid clips it has."""
    target: str = ""
    """Of a transfer: the dataset whose test clips it has."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """Declared equivalence margins per metric (two systems closer than this are equivalent)."""
    licence: str
    url: str
    citation: str

    def clip_id(self, video_id: str, clip: str) -> str:
        """Canonical clip id: source video and clip joined by an underscore."""
        return f"{video_id}_{clip}"

    def split_id(self, value: object) -> tuple[str, str]:
        """Source video and clip of an id in any spelling: the inverse of ``clip_id``.

        Every reader that knows its dataset takes ids apart by this rule. A dataset whose ids are
        built otherwise overrides it together with ``clip_id``.

        Raises:
            ValueError: As ``identifiers.split_id``.
        """
        return split_id(value)

    def canonical_id(self, value: object) -> str:
        """The dataset's spelling of an id.

        Raises:
            ValueError: As ``split_id``.
        """
        return self.clip_id(*self.split_id(value))

    @property
    def clips(self) -> int:
        """Official number of clips over all splits."""
        return sum(counts.clips for counts in self.splits.values())

    @property
    def sizes(self) -> dict[str, int]:
        """Official number of clips of each split."""
        return {name: counts.clips for name, counts in self.splits.items()}

    @property
    def is_bound(self) -> bool:
        """Whether it is a transfer of a dataset to itself: what transfers to it may hope for."""
        return self.sources == (self.target,)


class _Datasets(Registry[Dataset]):
    """The published datasets and, by name alone, every transfer between them.

    Transfers are derived when asked for (``datasets["mosi+mosei-to-sims"]``); nothing lists them.
    """

    def __getitem__(self, name: str) -> Dataset:
        return _derived(name) if "-to-" in name else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and "-to-" in name:
            return _is_transfer(name)
        return super().__contains__(name)


@cache
def _derived(name: str) -> Dataset:
    from harness.data.datasets._transfer import derive_dataset

    return derive_dataset(name)


def _is_transfer(name: str) -> bool:
    try:
        return bool(_derived(name))
    except SpecError:
        return False


datasets: Registry[Dataset] = _Datasets(
    "dataset", Dataset, packages=("harness.data.datasets",), group="msa_harness.datasets"
)
