r"""The files of a paper: read by ``\input`` or ``\bibliography``; one reads all the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from harness._util.atomic import write_atomic
from harness.errors import StoreError
from leaderboards.model import Board
from leaderboards.paper.methods import methods
from leaderboards.paper.references import Work, references
from leaderboards.paper.tables import corpora_of, tables
from leaderboards.rendering import escape_latex

__all__ = ["FILES", "write_paper"]

FILES = ("tables.tex", "methods.tex", "references.bib", "paper.tex")
"""Tables, methods, references; and a document of all of them, to look at."""


def write_paper(
    board: Board,
    folder: Path,
    *,
    works: Mapping[str, Work],
    corpora: Collection[str] = (),
    shows: Collection[str] = (),
) -> list[Path]:
    """Write ``FILES`` into a folder, which is made.

    Args:
        board: Whose results.
        folder: Where.
        works: Registered system -> its paper.
        corpora: Those to show; empty for all.
        shows: Names of metrics; empty for the primary ones.

    Returns:
        What was written, in the order of ``FILES``.

    Raises:
        SpecError: For a corpus or a metric that the board has not.
        StoreError: When a file cannot be written.
    """
    grids = corpora_of(board, corpora)
    contents = (
        tables(board, corpora=corpora, shows=shows),
        methods(board, grids),
        references(board, grids, works),
        _document(board),
    )
    paths = [folder / name for name in FILES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, contents, strict=True):
            write_atomic(path, content)
    except OSError as error:
        raise StoreError(f"{folder.name} cannot be written: {error}") from error
    return paths


def _document(board: Board) -> str:
    return rf"""\documentclass[10pt,a4paper]{{article}}
\usepackage[utf8]{{inputenc}}
\usepackage[T1]{{fontenc}}
\IfFileExists{{lmodern.sty}}{{\usepackage{{lmodern}}}}{{}}
\usepackage[margin=2cm]{{geometry}}
\usepackage{{booktabs,graphicx,textcomp,url}}
\title{{{escape_latex(board.title)}}}
\author{{}}
\date{{}}
\begin{{document}}
\maketitle
\section*{{Methods}}
\input{{methods}}
\input{{tables}}
\clearpage
\nocite{{*}}
\bibliographystyle{{plain}}
\bibliography{{references}}
\end{{document}}
"""
