"""The page "How to read a board": every number in it is computed, none is typed.

``python -m leaderboards.guide`` writes the page and its figures, ``--check`` compares them.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from harness._util.atomic import write_atomic
from leaderboards.figures import save
from leaderboards.guide.conventions import dead_models, readings
from leaderboards.guide.figures import draw_acc2, draw_dead_models, draw_false_positives
from leaderboards.guide.page import FIGURES, render_page
from leaderboards.guide.resolution import false_positives

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.stats.calibration import Finding

__all__ = ["FOLDER", "PAGE", "calibration", "check", "render", "write"]

FOLDER = Path(__file__).parents[1] / "docs"
"""Where the page and its figures are."""

PAGE = "how_to_read_a_board.md"

_SVG = "{http://www.w3.org/2000/svg}"


@cache
def _simulated() -> Mapping[int, Finding]:
    return false_positives()


def render() -> str:
    """The page as Markdown; takes some twenty seconds the first time, for it simulates."""
    return render_page(_simulated())


def _figures() -> Iterator[tuple[str, Figure]]:
    drawn = (
        draw_acc2(readings()),
        draw_dead_models(dead_models()),
        draw_false_positives(_simulated()),
    )
    yield from zip(FIGURES, drawn, strict=True)


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the page and its figures.

    Args:
        folder: Where to.

    Raises:
        OSError: When a file cannot be written.
    """
    files = [folder / PAGE]
    write_atomic(files[0], render())
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in _figures():
            drawn = save(figure, Path(scratch) / Path(name).stem)
            files.append(folder / name)
            write_atomic(files[-1], next(f for f in drawn if f.suffix == ".svg").read_bytes())
    return files


def check(folder: Path = FOLDER) -> list[str]:
    """What differs from a page and figures written now; empty when nothing does.

    The page is compared byte by byte. How a figure is drawn depends on matplotlib's version, so of
    a figure only its title and its description, which holds its numbers, are compared.

    Args:
        folder: Where the page and its figures are.
    """
    shown = _text(folder / PAGE).splitlines(keepends=True)
    diff = difflib.unified_diff(shown, render().splitlines(keepends=True), PAGE, "computed now")
    lines = [line.removesuffix("\n") for line in diff]
    return lines + [
        f"{name}: {part} is {found!r}, should be {expected!r}"
        for name, figure in _figures()
        for part, found, expected in _parts(folder / name, figure)
        if found != expected
    ]


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="backslashreplace") if path.exists() else ""


def _parts(path: Path, figure: Figure) -> Iterator[tuple[str, str | None, str]]:
    root = ElementTree.parse(path).getroot() if path.exists() else ElementTree.Element("svg")
    yield "title", root.findtext(f"{_SVG}title"), figure.get_suptitle()
    yield "desc", root.findtext(f"{_SVG}desc"), str(figure.get_label())
