"""What rows may know: those that know different things are never ranked together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["PLAIN", "Track", "plain_first"]


@dataclass(frozen=True, order=True, kw_only=True)
class Track:
    """What sets rows apart before any of them is compared.

    Args:
        side_info: What they read of a clip besides transcript, audio and vision.
        knowledge: Which other corpus they learned from.
        training_corruption: What their training clips went through.
        supervision: ``none``: they learned from no label.

    Example:
        >>> Track(side_info="explanations", knowledge="simsv2@unaligned-50").title
        'Side information: explanations; also learned from simsv2@unaligned-50'
    """

    side_info: str = "none"
    knowledge: str = "none"
    training_corruption: str = "none"
    supervision: str = "train"

    @property
    def title(self) -> str:
        """What a table of such rows is called."""
        described = "; ".join(self._described())
        return f"{described[0].upper()}{described[1:]}" if described else "No side information"

    def _described(self) -> Iterator[str]:
        if self.supervision == "none":
            yield "zero-shot"
        if self.side_info != "none":
            yield f"side information: {self.side_info}"
        if self.knowledge != "none":
            yield f"also learned from {self.knowledge}"
        if self.training_corruption != "none":
            yield f"trained on corrupted clips: {self.training_corruption}"


PLAIN = Track()
"""Transcript, audio and vision of this corpus, and nothing else."""


def plain_first(tracks: Iterable[Track]) -> tuple[Track, ...]:
    """Each once: the one that knows nothing more, then the others by name."""
    return tuple(sorted(set(tracks), key=lambda track: (track != PLAIN, track)))
