"""A board as one self-contained HTML page: it makes no request, and reads without script.

Bytes depend on stored predictions, labels and plans alone. The page's policy allows its own style
and script, by hash, and nothing else, so even markup that slipped through could not act.
"""

from leaderboards.html.page import render_html

__all__ = ["render_html"]
