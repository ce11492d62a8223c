"""The other packages of this distribution, and whoever else is called like one of them.

A distribution called ``baselines`` exists, and a script's folder comes first on the import path. To
put all packages below one would not help: what is imported as ``baselines`` by plug-ins and stored
entry points must go on to be. So whoever is met under such a name is looked at before it is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from harness.errors import SpecError

__all__ = ["SIBLINGS", "refuse_strangers"]

SIBLINGS = ("baselines", "text_model", "mllm_eval", "leaderboards")


def refuse_strangers(packages: Iterable[str] = SIBLINGS) -> None:
    """Make sure that packages are ours; nothing of them is imported.

    Args:
        packages: Dotted names; those of other distributions are not looked at.

    Raises:
        SpecError: Where one resolves to another's package, or is not there.
    """
    here = Path(__file__).resolve().parents[2]
    for name in dict.fromkeys(package.partition(".")[0] for package in packages):
        if name not in SIBLINGS:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SpecError(
                f"package {name!r} of msa-harness is not beside 'harness', where it was installed",
                hint="install msa-harness again",
            )
        found = Path(spec.origin).resolve()
        if found.parent.parent != here:
            raise SpecError(
                f"package {name!r} should be msa-harness's own, and is another's: {found.parent}",
                hint="an environment without that package, or a folder without one of that name",
            )
