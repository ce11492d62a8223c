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
    found = rehearsed(name, folder, patch, epochs=epochs, before=before, **changes)
    return disagreements(found, figures(name).expected)


def rehearsed(name, folder, patch, *, epochs=None, before=None, **changes):
    """What our system computes where the published code computed the figures; as above."""
    known = figures(name)
    patch.setattr(baselines.lnln, "damaged", damaged(known.layout, known.clips))
    patch.setattr(ConFEDE, "_draw", drawn(known.clips))
    known.params.update(changes)
    return perform(systems[name], known, folder, epochs=epochs, before=before)
