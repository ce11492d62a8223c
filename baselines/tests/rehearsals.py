"""Systems of ours trained as published code was, with its figures beside."""

from __future__ import annotations

from pathlib import Path

import baselines.lnln
import text_model.tests
from baselines.confede.system import ConFEDE
from baselines.tests.published_inputs import damaged, drawn
from harness.system import systems
from harness.testing.golden import disagreements, figures_of, perform

OWN, TEXT = (Path(package.__file__).parent for package in (baselines, text_model.tests))


def figures(name):
    """The figures of a system; those of TEXT without noise and capacity."""
    if name == "text@published":
        return figures_of(TEXT / "golden" / "text.json")["plain"]
    return figures_of(OWN / "tests" / "golden" / f"{name}.json")["released"]


def differences(name, folder, patch, *, epochs=None, before=None, **changes):
    """What differs from the published figures, a line each.

    Args:
        name: Of a system.
        folder: An empty one.
        patch: A ``MonkeyPatch``: what LNLN and ConFEDE draw at random is a formula here.
        epochs, before: As ``perform`` has them.
        changes: Hyper-parameters other than the published ones.
    """
    known = figures(name)
    patch.setattr(baselines.lnln, "damaged", damaged(known.layout, known.clips))
    patch.setattr(ConFEDE, "_draw", drawn(known.clips))
    ours = figures(name)
    ours.params.update(changes)
    found = perform(systems[name], ours, folder, epochs=epochs, before=before)
    return disagreements(found, known.expected)
