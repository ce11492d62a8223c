"""What the leak gate found of a corpus's explanations, as it is stored with them.

``harness.checks.leak_gate`` measures it; the corpus's manifest keeps it, so that boards say it
without reading a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness._util.canonical import Json
from harness._util.records import Record

__all__ = ["LeakFigures", "LeakGate", "leak_gate_of"]


@dataclass(frozen=True, kw_only=True)
class LeakFigures(Record):
    """One measure of both predictions, and how far they are apart.

    Args:
        clue: Of predictions from explanations alone.
        transcript: Of those from transcripts alone.
        difference: The first less the second.
        low: Lower end of its 95 % interval for new source videos; None where nothing varies.
        high: Upper end.
    """

    clue: float
    transcript: float
    difference: float
    low: float | None
    high: float | None

    @property
    def interval(self) -> str:
        """The difference with its interval."""
        if self.low is None or self.high is None:
            return f"{self.difference:+.3f}, interval undefined"
        return f"{self.difference:+.3f}, 95 % {self.low:+.3f} to {self.high:+.3f}"


@dataclass(frozen=True, kw_only=True)
class LeakGate(Record):
    """How well the label is predicted from explanations alone, and from transcripts alone.

    Both by the same method, cross-validated, no source video in two folds.

    Args:
        version: Of the method.
        clips: Clips with an explanation.
        videos: Their source videos.
        why_not: Why nothing was measured; empty otherwise.
        mae: Mean absolute error, on the label scale; None where nothing was measured.
        acc3: Accuracy of negative, zero and positive, 0 to 1; likewise.
    """

    hint: ClassVar[str] = "msa data remove CORPUS, then msa data explain again"

    version: int
    clips: int
    videos: int
    why_not: str = ""
    mae: LeakFigures | None = None
    acc3: LeakFigures | None = None

    @property
    def leaks(self) -> bool:
        """Whether explanations predict the label better than transcripts, beyond the interval."""
        return self.mae is not None and self.mae.high is not None and self.mae.high < 0

    @property
    def figures(self) -> str:
        """What was measured, in one line, or why it was not."""
        if self.mae is None or self.acc3 is None:
            return f"not measured: {self.why_not}"
        return (
            f"explanations alone MAE {self.mae.clue:.3f}, transcripts alone"
            f" {self.mae.transcript:.3f} (difference {self.mae.interval}); Acc-3"
            f" {self.acc3.clue:.3f} and {self.acc3.transcript:.3f} ({self.acc3.interval});"
            f" {self.clips:,} clips of {self.videos:,} source videos"
        )

    @property
    def warning(self) -> str:
        """What a reader of results must know; empty where explanations tell no more."""
        if not self.leaks:
            return ""
        return (
            "LABEL LEAK SUSPECTED: by the same method, explanations alone predict the label better"
            " than transcripts alone. Texts that were written with the label in sight do that;"
            " no result of a row that reads them is evidence"
        )


def leak_gate_of(manifest: Mapping[str, Json]) -> LeakGate | None:
    """What a corpus's manifest says of the leak gate; None where it was never measured.

    Raises:
        StoreError: When the record is damaged.
    """
    told = manifest.get("explanations")
    found = told.get("leak_gate") if isinstance(told, Mapping) else None
    return None if found is None else LeakGate.of(found, "leak gate of the explanations")
