"""The words of the Markdown board as markup: said once, shown in both.

Understood is what those words use: paragraphs, bullets, headings, ``**bold**``, `` `code` `` and
the escapes of ``leaderboards.markdown.escape``. Everything else is text.
"""

from __future__ import annotations

import re
from html import unescape

from leaderboards.html.markup import Html, join, tag

__all__ = ["block", "inline"]

_TOKEN = re.compile(
    r"\\(?P<literal>.)|\*\*(?P<bold>(?:\\.|[^\\*])+)\*\*|`(?P<code>[^`]+)`|(?P<text>[^\\*`]+|.)",
    re.DOTALL,
)


def block(markdown: str) -> Html:
    r"""A paragraph, a heading or a list of bullets.

    Example:
        >>> print(block("- one\n  line\n- **two**"))
        <ul><li>one line</li><li><strong>two</strong></li></ul>
    """
    if markdown.startswith("#"):
        hashes, _, words = markdown.partition(" ")
        return tag(f"h{len(hashes)}", inline(words))
    if markdown.startswith("- "):
        items = re.split(r"^- ", markdown, flags=re.MULTILINE)[1:]
        return tag("ul", *(tag("li", inline(item.strip())) for item in items))
    return tag("p", inline(markdown))


def inline(markdown: str) -> Html:
    r"""Words with bold and code.

    Example:
        >>> print(inline(r"a\*b &lt; **c** `d\*`"))
        a*b &lt; <strong>c</strong> <code>d\*</code>
    """
    return join(map(_token, _TOKEN.finditer(markdown)))


def _token(found: re.Match[str]) -> str:
    if found["bold"]:
        return tag("strong", inline(found["bold"]))
    if found["code"]:
        return tag("code", found["code"])
    return unescape(found["literal"] or found["text"])
