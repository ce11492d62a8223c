"""What rows may know: those that know different things are never ranked together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["PLAIN", "Stratum", "plain_first"]


@dataclass(frozen=True, order=True, kw_only=True)
class Stratum:
    """What sets rows apart before any of them is compared.

    Args:
        side_info: What they read of a clip besides transcript, audio and vision.
        knowledge: Which other corpus they learned from.

    Example:
        >>> Stratum(side_info="explanations", knowledge="simsv2@unaligned-50").title
        'Side information: explanations; also learned from simsv2@unaligned-50'
    """

    side_info: str = "none"
    knowledge: str = "none"

    @property
    def title(self) -> str:
        """What a table of such rows is called."""
        known = [f"Side information: {self.side_info}"] if self.side_info != "none" else []
        if self.knowledge != "none":
            known.append(f"{'also' if known else 'Also'} learned from {self.knowledge}")
        return "; ".join(known) or "No side information"


PLAIN = Stratum()
"""Transcript, audio and vision of this corpus, and nothing else."""


def plain_first(strata: Iterable[Stratum]) -> tuple[Stratum, ...]:
    """Each once: the one that knows nothing more, then the others by name."""
    return tuple(sorted(set(strata), key=lambda stratum: (stratum != PLAIN, stratum)))
