"""What is known of a system and its counterpart in MMSA: how names and settings correspond.

Shapes: D columns of a weight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness._util.registry import Registry
from harness.errors import RunFailed
from harness.spec import Scalar
from harness.system import TrainingParams

__all__ = [
    "MENDS",
    "SHAPES",
    "CorpusShape",
    "Counterpart",
    "Rules",
    "counterparts",
    "per_stream",
]

Rules = tuple[tuple[str, str], ...]
"""Pattern that a whole name of ours matches, and the name over there, with its groups."""

Order = Callable[[TrainingParams], NDArray[np.int64]]
"""Hyper-parameters -> (D,) positions of the columns of ours that are the columns over there."""

MENDS: Final[Mapping[str, str]] = {
    "log_line": "trainer of the package ends in a log line that names results before there are any",
    "windows": "package averages frames that lie a text's length apart when it brings a stream to"
    " that length; its repository averages neighbours, as ours does",
}
"""What is put right in the package before it is compared."""


@dataclass(frozen=True, kw_only=True)
class CorpusShape:
    """Which clips two codes are compared on.

    Args:
        layout: Of ``harness.testing.formula``.
        dataset: Whose settings hold on both sides.
        aligned: Whether audio and vision are as long as the text.
    """

    layout: str
    dataset: str
    aligned: bool = False


SHAPES: Final[Mapping[str, CorpusShape]] = {
    "mosi": CorpusShape(layout="mosi-short", dataset="mosi"),
    "mosi-aligned": CorpusShape(layout="mosi-aligned-short", dataset="mosi", aligned=True),
    "sims": CorpusShape(layout="sims-short", dataset="sims"),
}
"""Shapes by name."""


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """A system that MMSA has, too.

    Args:
        name: Ours.
        model: MMSA's; empty for one that its package lacks.
        rules: Names of our weights -> names over there, the first that fits.
        own: Weights over there that no weight of ours stands for: constants.
        columns: Name of ours -> the order of its columns over there, where it is another one.
        ours: Hyper-parameters, besides those that are the same for all.
        theirs: Settings over there, likewise.
        shapes: Names of ``SHAPES`` that it takes.
        left_out: Why a shape is not compared, by its name; ``*`` for all.
        mends: Names of ``MENDS``, by shape; ``*`` for all.
        single_step: Whether the trainer's step after every batch is taken out.
        clips: n.
        batch: Clips of a batch; the last one of an epoch may be smaller.
        dtype: In which both compute.
        limits: Quantity of a tolerance -> how far it may differ, where a remark says why.
        remarks: What a reader of the figures has to know.
    """

    name: str
    model: str = ""
    rules: Rules = ()
    own: tuple[str, ...] = ()
    columns: Mapping[str, Order] = field(default_factory=dict)
    ours: Mapping[str, Scalar] = field(default_factory=dict)
    theirs: Mapping[str, object] = field(default_factory=dict)
    shapes: tuple[str, ...] = ("mosi", "mosi-aligned", "sims")
    left_out: Mapping[str, str] = field(default_factory=dict)
    mends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    single_step: bool = False
    clips: int = 14
    batch: int = 5
    dtype: str = "float32"
    limits: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def mended(self, shape: str) -> tuple[str, ...]:
        """What is put right for a shape."""
        return (*self.mends.get("*", ()), *self.mends.get(shape, ()))

    def reason(self, shape: str) -> str:
        """Why a shape is not compared; empty where it is."""
        return self.left_out.get(shape, self.left_out.get("*", ""))

    def renamed(self, names: Iterable[str]) -> dict[str, str]:
        """Our names -> names over there.

        Raises:
            RunFailed: For a name that no rule fits, or two that become one.
        """
        renamed = {name: self._renamed(name) for name in names}
        twice = len(renamed) - len(set(renamed.values()))
        if twice:
            raise RunFailed(f"{twice} weights of {self.name} have the counterpart of another one")
        return renamed

    def _renamed(self, name: str) -> str:
        for pattern, template in self.rules:
            found = re.fullmatch(pattern, name)
            if found is not None:
                return found.expand(template)
        raise RunFailed(
            f"no rule says which weight of MMSA's {self.model} is {name} of {self.name}",
            hint=f"harness/testing/parity/systems/{self.name}.py",
        )


def per_stream(pattern: str, template: str, **names: str) -> Rules:
    """A rule for each stream: ``{}`` in both becomes our name and the one over there."""
    return tuple(
        (pattern.replace("{}", re.escape(ours)), template.replace("{}", theirs))
        for ours, theirs in names.items()
    )


counterparts: Registry[Counterpart] = Registry(
    "counterpart",
    Counterpart,
    packages=("harness.testing.parity.systems",),
    hint="msa study parity --help",
)
