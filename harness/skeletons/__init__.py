"""The first version of a thing of one's own, as ``msa new`` writes it: a working file to change.

Each is a file of this package with the name ``skeleton`` in it, so that what is handed out is
checked like all other code.
"""

from __future__ import annotations

import re
from importlib.resources import files

from harness.errors import SpecError

__all__ = ["filled"]


_TOML = ("rows", "suite")


def filled(kind: str, name: str) -> str:
    """The text of a new file.

    Args:
        kind: ``system``, ``dataset``, ``metric`` or ``suite``; ``test`` and ``rows`` for the test
            of a system and the suite that has it beside others.
        name: What the thing is called: lower-case letters, digits and, but for datasets,
            underscores.

    Raises:
        SpecError: For another name.
    """
    bare = kind == "dataset"  # names of corpora begin with it
    if not re.fullmatch("[a-z][a-z0-9]*" if bare else "[a-z][a-z0-9_]*", name):
        letters = "letters and digits" if bare else "letters, digits and underscores"
        raise SpecError(
            f"a {kind} is named by lower-case {letters}; found {name!r}",
            hint=f"msa new {kind} mine",
        )
    ending = "toml" if kind in _TOML else "py"
    text = (files(__name__) / f"{kind}.{ending}").read_text("utf-8")
    camel = "".join(part.capitalize() for part in name.split("_"))
    spoken = name.replace("_", " ").capitalize()
    words = {
        "A skeleton": spoken,
        "SKELETON": name.upper(),
        "Skeleton": camel,
        "skeleton": name,
    }
    return re.sub("|".join(words), lambda found: words[found[0]], text)
