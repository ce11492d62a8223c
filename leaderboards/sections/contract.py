"""What a section of a board is: blocks of a document, and what it adds to the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from harness._util.canonical import Json
from leaderboards.document import Block
from leaderboards.model import Board, Grid, Row

__all__ = ["BoardSection", "CorpusSection", "Record"]

Record: TypeAlias = dict[str, Json]


def _no_records(_: Board) -> Iterable[Record]:
    return ()


def _none_of(_: Grid) -> Iterable[Record]:
    return ()


def _no_fields(_: Grid, __: Row) -> Mapping[str, Json]:
    return {}


@dataclass(frozen=True, kw_only=True)
class BoardSection:
    """A chapter about the whole board; none where there are no blocks.

    Args:
        name: Unique among sections; links lead to it.
        title: What the table of contents calls it.
        blocks: Its content, a heading of level 2 first.
        records: Records that it adds to those of the rows.
        reference: Whether it explains numbers and has none.
    """

    name: str
    title: str
    blocks: Callable[[Board], Iterable[Block]]
    records: Callable[[Board], Iterable[Record]] = _no_records
    reference: bool = False


@dataclass(frozen=True, kw_only=True)
class CorpusSection:
    """Something about each corpus, in the chapter of that corpus.

    Args:
        name: Unique among sections.
        blocks: Its content for one corpus; nothing where it has nothing to say.
        fields: What it adds to the record of a row.
        records: Records that it adds to those of the rows.
    """

    name: str
    blocks: Callable[[Grid], Iterable[Block]]
    fields: Callable[[Grid, Row], Mapping[str, Json]] = _no_fields
    records: Callable[[Grid], Iterable[Record]] = _none_of
