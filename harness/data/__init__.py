"""Corpora: readers, twins, the canonical store and its audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.home import Home

__all__ = ["load"]


def load(name: str, home: Home | None = None) -> Corpus:
    """Open the corpus called ``name`` (``dataset@feature-set``); twins are generated on first use.

    Args:
        name: For example ``mosi@unaligned-50``, ``sims@label-csv``, ``mosi-twin@compact``.
        home: Where corpora are stored; ``Home.default()`` when None.

    Raises:
        DataError: When a real corpus has not been added, or the name is not a corpus name.
    """
    from harness.data import twin
    from harness.data.store import CorpusStore
    from harness.home import Home

    store = CorpusStore((home or Home.default()).corpora)
    if name not in store and twin.is_twin(name):
        return store.add(twin.generate(name))
    return store.load(name)
