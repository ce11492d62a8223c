"""A skeleton: what every system must do, and the size that its paper or its released code says.

pytest tests/test_skeleton.py
"""

from pathlib import Path

from harness.checks import fidelity
from harness.data.datasets import datasets
from harness.system import systems
from harness.testing import check_system


def test_conforms(tmp_path: Path) -> None:
    """A check that fails says which rule is broken and by how much."""
    check_system(systems["skeleton"], tmp_path)


def test_is_as_large_as_it_should_be() -> None:
    """At the sizes of a public file; nothing is loaded or allocated for it."""
    system, features = systems["skeleton"], "unaligned-50"
    width = sum(size for _, size in datasets["mosi"].shapes[features].values())
    quirk = fidelity.quirks(system)[-1]  # "published" where there is one
    size = fidelity.measure_size(system, datasets["mosi"], features, quirk)
    assert size.parameters == (width + 1) * 64 + (64 + 1)  # two linear layers with biases
