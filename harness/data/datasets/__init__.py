"""Datasets as published: scale, bins, language, official counts, identifiers, licence.

One file per dataset. Pure data (standard library only), so that metrics and boards can know a
dataset without importing readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.registry import Registry

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
    language: Literal["en", "zh"]
    low: float
    """Lowest label."""
    high: float
    """Highest label."""
    family: Literal["mosi", "sims"]
    """Which metric definitions apply: seven-class rounding or five right-closed bins."""
    grid: float | None
    """Step of the label grid, None when labels are means of ratings off any one grid."""
    splits: Mapping[str, Counts]
    unimodal_labels: bool
    """Whether clips carry separate text, audio and vision labels."""
    shapes: Mapping[str, Mapping[str, tuple[int, int]]]
    """Feature set -> stream -> (frames, features) of the public MMSA files."""
    published_files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of known public feature files -> their published name."""
    splits_share_videos: bool = False
    """True where train and test clips come from the same source videos."""
    contains: tuple[str, ...] = ()
    """Other datasets whose clips all recur here with the same labels and split."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """Declared equivalence margins per metric (two systems closer than this are equivalent)."""
    licence: str
    url: str
    citation: str

    def clip_id(self, video_id: str, clip: str) -> str:
        """Canonical clip id: source video and clip joined by an underscore."""
        return f"{video_id}_{clip}"

    @property
    def clips(self) -> int:
        """Official number of clips over all splits."""
        return sum(counts.clips for counts in self.splits.values())


datasets: Registry[Dataset] = Registry(
    "dataset", Dataset, packages=("harness.data.datasets",), group="msa_harness.datasets"
)
