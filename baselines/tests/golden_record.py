"""How far systems are from figures of their authors' code: a record that the fidelity page shows.

    python -m baselines.tests.golden_record leaderboards/published/golden.json

What fails a test is decided by ``test_golden`` and by ``harness.testing.golden``; this says by how
much they agree.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from baselines.tests.rehearsals import figures, rehearsed
from harness._util.atomic import write_atomic
from harness.testing.golden import Figures, Performance, disagreements

NAMES = ("almt", "lnln", "dlf", "kuda", "confede", "text@published")


def row(known: Figures, found: Performance) -> dict[str, object]:
    """The largest differences of a performance from its figures."""
    expected = known.expected
    losses = np.abs(found.losses - expected.losses)
    norms = {**expected.gradients, "all": expected.gradient}
    own = {**found.gradients, "all": found.gradient}
    gaps = [abs(own.get(name, 0.0) - norm) for name, norm in norms.items()]
    return {
        "system": known.system,
        "source": known.source.removeprefix("https://github.com/"),
        "shape": known.layout,
        "eval": float(np.abs(found.eval - expected.eval).max()),
        "first_loss": float(losses[0]),
        "losses": float(np.nanmax(losses)),
        "after": float(np.abs(found.curve - expected.curve).max()),
        "gradient": max(gaps),
        "largest": max(norms.values()),
        "groups": len(found.groups ^ expected.groups),
        "verdict": "differs" if disagreements(found, expected) else "equal",
    }


def record(*names: str) -> dict[str, object]:
    """The rows of some systems, or of all."""
    rows = []
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            rows.append(row(figures(name), rehearsed(name, Path(folder), patch)))
    return {"format": "msa-parity-1", "rows": rows}


def main(path: str) -> None:
    """Write the record of all."""
    write_atomic(Path(path), json.dumps(record(), indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
