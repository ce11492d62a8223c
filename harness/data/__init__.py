"""Corpora: readers, twins, the canonical store and its audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness._util.lazy import lazily

if TYPE_CHECKING:
    from harness.data.adding import add, explain
    from harness.data.corpus import Corpus
    from harness.home import Home
else:
    __getattr__ = lazily(__name__, adding=("add", "explain"))

__all__ = [
    "add",
    "auditing",
    "batching",
    "bringing",
    "contents",
    "corpus",
    "explain",
    "identifiers",
    "known_labels",
    "labels",
    "leak_gate",
    "load",
    "mmsa_export",
    "removing",
    "residency",
    "spellings",
    "split_labels",
    "store",
    "trials",
]


def load(name: str, home: Home | None = None) -> Corpus:
    """Open the corpus called ``name`` (``dataset@feature-set``).

    Twins are generated, transfers composed of their parts and trials cut on first use.

    Args:
        name: For example ``mosi@unaligned-50``, ``sims@label-csv``, ``mosi-twin@compact``,
            ``mosi+mosei-to-sims@label-csv-text``, ``mosi@unaligned-50-limit-200``.
        home: Where corpora are stored; ``Home.default()`` when None.

    Raises:
        DataError: When a real corpus has not been added, the name is not a corpus name, or the
            parts of a transfer do not fit together.
        SpecError: For the name of a twin or transfer that cannot be.
    """
    from harness.data import trials
    from harness.data.store import CorpusStore
    from harness.data.transfer import compose as transfer
    from harness.data.twins import generate as twin
    from harness.home import Home

    home = home or Home.default()
    store = CorpusStore(home.corpora)
    if trials.is_trial(name):
        return trials.open_or_cut(name, store, lambda parent: load(parent, home))
    if transfer.is_transfer(name):
        return transfer.open_or_compose(name, store, lambda part: load(part, home))
    if name not in store and twin.is_twin(name):
        return store.add(twin.generate(name))
    return store.load(name)
