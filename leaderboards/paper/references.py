r"""BibTeX of what a paper with such tables cites: harness, data, systems, statistics.

Works are named as cards and datasets name them, ``Authors. Title. Venue``; where a string is built
otherwise the entry holds it whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness import __version__
from leaderboards.model import Board, Grid
from leaderboards.rendering import escape_latex

__all__ = ["Work", "references"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something to cite.

    Args:
        named: As its card names it: ``Authors. Title. Venue``.
        title: What it is called in tables, for works that are named otherwise.
        year: Of publication.
        url: Where it is.
    """

    named: str
    title: str = ""
    year: int | None = None
    url: str = ""


_METHODS = {
    "satterthwaite1946": Work(
        named="Satterthwaite. An Approximate Distribution of Estimates of Variance Components."
        " Biometrics Bulletin 2(6)",
        year=1946,
    ),
    "westfall1993": Work(
        named="Westfall, Young. Resampling-Based Multiple Testing. Wiley", year=1993
    ),
    "mogstad2024": Work(
        named="Mogstad, Romano, Shaikh, Wilhelm. Inference for Ranks with Applications to Mobility"
        " across Neighbourhoods and Academic Achievement across Countries. Review of Economic"
        " Studies 91(1)",
        year=2024,
    ),
}
_NAMED = re.compile(r"(?P<authors>[^.:]+?(?: et al)?)\. (?P<title>.+)\. (?P<venue>[^;]+)(?:;.*)?")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def references(board: Board, grids: Sequence[Grid], works: Mapping[str, Work]) -> str:
    """A ``.bib`` file.

    Args:
        board: Whose results are cited.
        grids: The corpora that the paper shows.
        works: Registered system -> its paper; systems without one are absent.
    """
    entries = [_software(board)]
    for dataset in {grid.corpus.dataset.name: grid.corpus.dataset for grid in grids}.values():
        cited = Work(named=dataset.citation, title=dataset.title, url=dataset.url)
        entries.append(_entry(f"data:{dataset.name}", cited))
    used = {row.system: None for grid in grids for row in grid.rows if row.runs}
    entries += [_entry(f"system:{name}", works[name]) for name in used if name in works]
    entries += [_entry(key, work) for key, work in _METHODS.items()]
    return "\n\n".join(entries) + "\n"


def _software(board: Board) -> str:
    return _drawn(
        "software",
        "msaharness",
        {
            "author": "{The msa-harness developers}",
            "title": "{msa-harness: a benchmark harness and leaderboards for multimodal sentiment"
            " analysis}",
            "note": escape_latex(
                f"Version {__version__}; suite {board.suite}, protocol digest"
                f" {board.protocol['digest']}"
            ),
        },
    )


def _entry(key: str, work: Work) -> str:
    return _drawn("misc", key, dict(_fields(work)))


def _fields(work: Work) -> Iterator[tuple[str, str]]:
    found = _NAMED.fullmatch(work.named.removesuffix("."))
    year = work.year or next((int(y) for y in _YEAR.findall(work.named)), None)
    if found is None:
        yield "title", f"{{{escape_latex(work.title)}}}"
        yield "howpublished", escape_latex(work.named)
    else:
        authors = found["authors"].replace(" et al", ", others").split(", ")
        yield "author", escape_latex(" and ".join(authors))
        yield "title", f"{{{escape_latex(found['title'])}}}"
        venue = found["venue"].removesuffix(f" {year}").rstrip(",")
        yield "howpublished", escape_latex(venue)
    if year is not None:
        yield "year", str(year)
    if work.url:
        yield "note", rf"\url{{{work.url}}}"


def _drawn(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines},\n}}"
