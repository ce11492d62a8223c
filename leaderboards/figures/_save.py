"""Figures as files: PNG, SVG and PDF of equal bytes for equal figures.

A figure is drawn light. Its SVG carries a style sheet that swaps the same colours where the reader
asks for dark, and keeps text as text.
"""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from harness._util.atomic import write_atomic
from leaderboards.document import one_line
from leaderboards.figures.style import DARK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save"]

_DPI = 200  # of the PNG
_LEFT = {
    "png": ("Software",),
    "svg": ("Creator", "Date", "Format", "Type"),
    "pdf": ("Creator", "Producer", "CreationDate"),
}
"""Forms, and what would be noted in them and is left out."""
_DIGITS = 9  # of places of axes, in shares of the figure
_CLIP = re.compile(r'<clipPath id="(p[0-9a-f]{10})"')


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG, SVG and PDF; equal figures give equal bytes under equal versions.

    The SVG fetches nothing, keeps text as text, follows the reader's light or dark setting, and has
    the figure's title and label as its title and description. The PDF, for papers, has its fonts
    in it.

    Args:
        figure: What a function of this package returned.
        path: Without suffix.

    Raises:
        OSError: When a file cannot be written.
    """
    with style():
        _settle(figure)
        forms = {form: _render(figure, form, dict.fromkeys(left)) for form, left in _LEFT.items()}
    files = {form: path.with_name(f"{path.name}.{form}") for form in forms}
    for form, data in forms.items():
        write_atomic(files[form], _finish(data.decode(), figure) if form == "svg" else data)
    return list(files.values())


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and forget what the layout's solver leaves to chance.

    It differs from call to call in last bits, which some digit of some coordinate would show.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(v, _DIGITS) for v in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def _render(figure: Figure, form: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _finish(svg: str, figure: Figure) -> str:
    """The document without its prologue, with a name, a description and dark colours."""
    root, _, body = _numbered(svg[svg.index("<svg") :]).partition(">")
    swaps = (
        f'[style*="{part}: {light}"] {{ {part}: {dark} !important }}'
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
    )
    return "\n".join(
        [
            f'{root} role="img">',
            f"<title>{escape(one_line(figure.get_suptitle()))}</title>",
            f"<desc>{escape(one_line(str(figure.get_label())))}</desc>",
            f"<style>@media (prefers-color-scheme: dark) {{\n{chr(10).join(swaps)}\n}}</style>",
            body.lstrip("\n"),
        ]
    )


def _numbered(svg: str) -> str:
    """With clipping areas named by their order.

    Their own names are digests of places to the last bit.
    """
    for number, name in enumerate(_CLIP.findall(svg), 1):
        svg = svg.replace(name, f"clip{number}")
    return svg
