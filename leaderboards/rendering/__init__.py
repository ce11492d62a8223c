"""What draws documents: Markdown files and self-contained HTML pages.

Neither format knows any section; both draw the same blocks of ``leaderboards.document``.
"""

from leaderboards.rendering.html import render_html
from leaderboards.rendering.markdown import escape, render_blocks, render_markdown

__all__ = ["escape", "render_blocks", "render_html", "render_markdown"]
