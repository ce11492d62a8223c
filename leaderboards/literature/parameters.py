"""Published sizes of systems, as measured on their authors' code or computed from its layers."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.datasets import datasets
from harness.errors import DataError, HarnessError

__all__ = ["COUNTS_FILE", "ParameterCount", "parameter_counts", "read_counts"]

COUNTS_FILE = Path(__file__).parent / "parameter_counts.csv"
"""The shipped table; not a table of results."""


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """The size of one system on one dataset, text encoder included.

    Args:
        system: Registered name.
        dataset: Registered name.
        features: Feature set whose stream sizes it was built for.
        parameters: All of them, frozen ones too.
        encoder_parameters: Those of the text encoder among them.
        source: Whose number it is.
        note: What it includes, or why it cannot be matched.
    """

    system: str
    dataset: str
    features: str
    parameters: int
    encoder_parameters: int
    source: str
    note: str

    def __post_init__(self) -> None:
        if self.features not in datasets[self.dataset].shapes:
            raise ValueError(f"{self.dataset} has no feature set {self.features!r}")
        if not 0 <= self.encoder_parameters < self.parameters:
            raise ValueError(f"an encoder of {self.encoder_parameters} in {self.parameters}")
        if not (self.system and self.source):
            raise ValueError("expected a system and a source")

    @property
    def indicative(self) -> bool:
        """Whether the released code itself does not fit the dataset, so that none can match it."""
        return "indicative only" in self.note


@functools.cache
def parameter_counts() -> tuple[ParameterCount, ...]:
    """Every published size, in file order."""
    return read_counts(COUNTS_FILE)


def read_counts(path: Path) -> tuple[ParameterCount, ...]:
    """A table of sizes, checked.

    Raises:
        DataError: Naming file and line, for a wrong column, an unknown dataset, a number that is
            none, or a cell listed twice.
    """
    found: dict[tuple[str, str], ParameterCount] = {}
    with path.open(encoding="utf-8", newline="") as file:
        records = csv.DictReader(file, strict=True)
        try:
            for record in records:
                count = _count(record)
                key = count.system, count.dataset
                if found.setdefault(key, count) is not count:
                    raise ValueError(f"{count.system} on {count.dataset} is listed twice")
        except (ValueError, TypeError, csv.Error, HarnessError) as error:
            raise DataError(f"{path.name}, line {records.line_num}: {error}") from error
    return tuple(found.values())


def _count(record: Mapping[str, Any]) -> ParameterCount:
    numbers = {"parameters", "encoder_parameters"} & record.keys()
    typed = {name: int(record[name]) for name in numbers}
    return ParameterCount(**{**record, **typed})
