"""Names of transfer corpora, taken apart. The grammar is in ``transfer``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.data.datasets import Dataset, datasets
from harness.errors import SpecError

__all__ = ["Parts", "is_transfer", "parts_of"]

_NAME = re.compile(
    r"(?P<transfer>[a-z0-9_+-]+-to-[a-z0-9_-]+)"
    r"@(?P<parts>[a-z0-9-]+?)(?P<track>-text(?:-en)?)?"
)
_TWIN = "-twin"
_TRACKS = {None: "common features", "-text": "text", "-text-en": "English text"}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the name of a transfer corpus says.

    Args:
        name: The whole of it.
        dataset: The derived dataset.
        sources: Corpora that train and valid clips come from.
        target: The corpus that test clips come from.
        track: ``common features``, ``text`` or ``English text``.
    """

    name: str
    dataset: Dataset
    sources: tuple[str, ...]
    target: str
    track: str

    @property
    def corpora(self) -> tuple[str, ...]:
        """Every part once, sources first."""
        return tuple(dict.fromkeys((*self.sources, self.target)))


def is_transfer(name: str) -> bool:
    """Whether a corpus name claims to be a transfer's; ``parts_of`` says whether it is one."""
    return "-to-" in name.partition("@")[0]


def parts_of(name: str) -> Parts:
    """Take the name of a transfer corpus apart; nothing is opened.

    Raises:
        SpecError: For a name of another form, for real and twin parts in one transfer, and for the
            transfers that ``datasets`` refuses.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise SpecError(
            f"{name!r} is not the name of a transfer corpus; expected"
            " SOURCE[+SOURCE…]-to-TARGET@FEATURES[-text|-text-en]",
            hint="for example mosi+mosei-to-sims@label-csv-text",
        )
    left, _, target = found["transfer"].rpartition("-to-")
    folders = [*left.split("+"), target]
    twins = [folder.endswith(_TWIN) for folder in folders]
    if any(twins) and not all(twins):
        raise SpecError(f"transfer {name} mixes twins with real data")
    plain = [folder.removesuffix(_TWIN) for folder in folders]
    corpora = [f"{folder}@{found['parts']}" for folder in folders]
    return Parts(
        name=name,
        dataset=datasets[f"{'+'.join(plain[:-1])}-to-{plain[-1]}"],
        sources=tuple(corpora[:-1]),
        target=corpora[-1],
        track=_TRACKS[found["track"]],
    )
