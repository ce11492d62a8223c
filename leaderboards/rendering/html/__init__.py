"""A document as one self-contained HTML page: it makes no request, and reads without script.

Bytes depend on the document alone. The page's policy allows its own style and script, by hash, and
nothing else, so even markup that slipped through could not act.
"""

from leaderboards.rendering.html.page import render_html

__all__ = ["render_html"]
