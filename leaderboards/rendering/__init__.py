"""What draws documents: Markdown files and self-contained HTML pages; and tables, as LaTeX.

No format knows any section; all draw the same blocks of ``leaderboards.document``.
"""

from leaderboards.rendering.html import render_html
from leaderboards.rendering.latex import escape_latex, latex_table
from leaderboards.rendering.markdown import escape, render_blocks, render_markdown

__all__ = [
    "escape",
    "escape_latex",
    "latex_table",
    "render_blocks",
    "render_html",
    "render_markdown",
]
