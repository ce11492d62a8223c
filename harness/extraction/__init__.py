"""Common features: recordings of any dataset, read by the same extractors into one feature space.

What is learned on the feature files that one dataset is published with cannot be carried to
another, whose files lie in a space of their own. An extractor is one file in ``tools``;
``corpus`` makes a corpus of all of them that is used like any other.

Shapes: T frames, D features.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.extras import missing
from harness._util.registry import Registry
from harness.errors import DataError, SpecError

__all__ = [
    "Cut",
    "ExtractionRecipe",
    "Extractor",
    "NothingThere",
    "assemble",
    "audit",
    "corpus",
    "cuts",
    "extractors",
    "pieces",
    "speech",
    "words",
]


class NothingThere(DataError):
    """The recording is whole, but what an extractor looks for is not in it: no face, no sound."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a clip is to be found.

    Args:
        id: The dataset's id of the clip.
        media: The recording; None where there is none.
        start: Begin of the clip within the recording, seconds.
        stop: End of the clip within the recording, seconds; None for its end.
        table: The clip's table of an external tool (OpenFace), if there is one.
        problem: Why it cannot be told where the clip is; empty where it can.
    """

    id: str
    media: Path | None
    start: float = 0.0
    stop: float | None = None
    table: Path | None = None
    problem: str = ""

    def recording(self) -> Path:
        """The recording.

        Raises:
            DataError: When there is none, or it cannot be told where in it the clip is.
        """
        if self.problem:
            raise DataError(self.problem)
        if self.media is None:
            raise DataError(f"no recording of clip {self.id}")
        return self.media


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A way of turning a recording into frames of numbers.

    Args:
        name: Registered name.
        title: For listings.
        stream: Which stream of a corpus it makes.
        rate: Frames a second of what it returns.
        features: D names, in order.
        package: The distribution that does the work; its version is part of the feature space.
        version: Of the code here, raised when its numbers change.
        source: Where the feature set is defined.
        extract: Cut -> (T, D) float32, finite, T at least 1. Raises DataError for a recording
            that cannot be read, NothingThere for one without a face or sound. Whatever else it
            raises is a problem of the clip too, but for MissingExtra, which is one of all clips.
    """

    name: str
    title: str
    stream: Literal["audio", "vision"]
    rate: float
    features: tuple[str, ...]
    package: str | None
    version: int = 1
    source: str
    extract: Callable[[Cut], NDArray[np.float32]]

    @property
    def space(self) -> dict[str, canonical.Json]:
        """What must be equal for two corpora to share a feature space."""
        return {
            "extractor": self.name,
            "version": self.version,
            "rate": self.rate,
            "features": list(self.features),
            "package": self.package and f"{self.package} {_version(self.package)}",
        }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise missing(package) from None


extractors: Registry[Extractor] = Registry(
    "extractor",
    Extractor,
    packages=("harness.extraction.tools",),
    group="msa_harness.extractors",
)


@dataclass(frozen=True, kw_only=True)
class ExtractionRecipe:
    """Which extractors, and how long clips may become.

    Raises:
        SpecError: For an unknown extractor, one of another stream, or limits below 1.
    """

    audio: str = "egemaps"
    vision: str = "face-mesh"
    """``none``: no such stream."""
    seconds: float = 30.0
    """Audio and vision behind this moment of a clip are left out."""
    max_tokens: int = 50
    """Tokens kept of each transcript."""

    def __post_init__(self) -> None:
        if not (0 < self.seconds <= 3600 and 3 <= self.max_tokens <= 512):
            raise SpecError(f"expected 0 < seconds <= 3600 and 3 to 512 tokens, found {self}")
        for stream in ("audio", "vision"):
            name = getattr(self, stream)
            if name != "none" and extractors[name].stream != stream:
                raise SpecError(f"{name} makes {extractors[name].stream}, not {stream}")

    @property
    def chosen(self) -> tuple[Extractor, ...]:
        """Its extractors: audio, then vision."""
        return tuple(extractors[name] for name in (self.audio, self.vision) if name != "none")
