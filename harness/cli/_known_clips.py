"""The corpora of a suite that are at hand as its runs saw them: what they show of their clips."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from harness.cli._output import complain

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.home import Home
    from harness.runs.store import RunStore

__all__ = ["unchanged"]


def unchanged(
    home: Home, store: RunStore, suite: str, what: str, only: Collection[str] = ()
) -> Iterator[Corpus]:
    """Each corpus of a stored suite that can be opened; of the others it is said why not.

    Args:
        home: Where corpora are.
        store: Where the suite was planned.
        suite: Its name.
        what: What there is nothing of without a corpus, for the messages.
        only: Names of those that are asked for; all when empty.
    """
    from harness import data
    from harness.errors import HarnessError

    for record in store.plan(suite).corpora:
        if only and record.name not in only:
            continue
        try:
            corpus = data.load(record.name, home)
        except HarnessError as error:
            complain(f"without {what} of {record.name}: {error}")
            continue
        if corpus.fingerprint == record.data:
            yield corpus
        else:
            complain(f"without {what} of {corpus.name}: it has changed")
