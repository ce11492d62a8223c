"""Figures as files: PNG and SVG of equal bytes for equal figures.

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
_CLIP = re.compile(r'<clipPath id="(p[0-9a-f]{10})"')


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as SVG; equal figures give equal bytes under equal versions.

    The SVG fetches nothing, keeps text as text, follows the reader's light or dark setting, and has
    the figure's title and label as its title and description.

    Args:
        figure: What a function of this package returned.
        path: Without suffix.

    Raises:
        OSError: When a file cannot be written.
    """
    with style():
        png = _render(figure, "png", {"Software": None})
        svg = _render(figure, "svg", dict.fromkeys(("Creator", "Date", "Format", "Type")))
    files = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    write_atomic(files[0], png)
    write_atomic(files[1], _finish(svg.decode(), figure))
    return files


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

    Their own names are digests of places to the last bit, in which the layout's solver differs from
    call to call.
    """
    for number, name in enumerate(_CLIP.findall(svg), 1):
        svg = svg.replace(name, f"clip{number}")
    return svg
