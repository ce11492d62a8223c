"""Which part of a suite is asked for: ``--only``."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import SpecError
from harness.spec import Entry

__all__ = ["Selection"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rows on corpora: those that match one of ``rows`` on those that match one of ``corpora``.

    Args:
        rows: Patterns on labels and systems (``*`` and ``?`` allowed); none means every row.
        corpora: Patterns on corpora; none means every corpus.
    """

    rows: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, patterns: Sequence[str], entries: Iterable[Entry], corpora: Iterable[str]
    ) -> Selection:
        """What patterns on either ask for.

        Raises:
            SpecError: When a pattern matches nothing.

        Example:
            >>> rows = [Entry(system="tfn", label="TFN"), Entry(system="lmf", label="lmf")]
            >>> asked = Selection.of(["tfn", "sims@*"], rows, ["mosi@small", "sims@small"])
            >>> asked.holds("sims@small", rows[0]), asked.holds("mosi@small", rows[0])
            (True, False)
        """
        known, places = list(entries), list(corpora)
        of_rows = tuple(p for p in patterns if any(_row_matches(entry, p) for entry in known))
        of_corpora = tuple(p for p in patterns if any(_matches(name, p) for name in places))
        for pattern in patterns:
            if pattern not in of_rows and pattern not in of_corpora:
                rows = ", ".join(dict.fromkeys(entry.label for entry in known))
                raise SpecError(f"--only {pattern} matches no row or corpus (rows: {rows})")
        return cls(rows=of_rows, corpora=of_corpora)

    def holds(self, corpus: str, entry: Entry) -> bool:
        """Whether a row on a corpus is asked for."""
        return (not self.rows or any(_row_matches(entry, p) for p in self.rows)) and (
            not self.corpora or any(_matches(corpus, p) for p in self.corpora)
        )


def _row_matches(entry: Entry, pattern: str) -> bool:
    return _matches(entry.label, pattern) or _matches(entry.system, pattern)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)
