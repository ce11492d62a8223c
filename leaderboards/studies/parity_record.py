"""Stored figures of parity: how far systems of ours are from released code on the same weights.

They are measured where that code is, and kept as JSON beside the published boards. ``parity.json``
holds those of ``msa study parity``; ``golden.json`` those of
``python -m baselines.tests.golden_record``: systems whose code is in no package, held against
figures of it. Both have a list of rows; only the first says more than its rows do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from harness._util.documents import read_json
from harness._util.records import Record
from harness.errors import DataError, StoreError

__all__ = [
    "FORMAT",
    "RECORDS",
    "ParityRecord",
    "ParityRow",
    "ParityRows",
    "read_parity",
    "read_parity_rows",
]

FORMAT: Final = "msa-parity-1"
_PUBLISHED = Path(__file__).parents[1] / "published"
RECORDS = (_PUBLISHED / "parity.json", _PUBLISHED / "golden.json")
"""Where a checkout keeps them; an installed package has none."""


@dataclass(frozen=True, kw_only=True)
class ParityRow(Record):
    """A system of ours beside released code, on clips in the shape of one dataset's features.

    Differences are the largest absolute ones; None where nothing was compared.

    Args:
        system: Ours, by its registered name.
        source: Whose code, with version or commit.
        shape: Of the clips: ``mosi``, ``mosi-aligned`` or ``sims``.
        verdict: ``equal``, ``differs``, ``failed`` or ``left out``.
        model: Its name there; empty where it is not there, or the file does not say.
        reason: Of a failure, or of having been left out.
        dtype: Number format of both; empty where the file does not say.
        weights: Given to both, none left over.
        eval: Difference of predictions before training.
        first_loss: Of the first batch's loss.
        losses: Of any batch's loss.
        after: Of predictions after any epoch.
        gradient: Of the first gradient: of an entry, or of a norm where only norms are kept.
        largest: Largest entry or norm of that gradient.
        groups: Parameters, or groups, whose optimiser, rate, decay or epsilon differs.
        parameters: Whose groups were compared.
        faults: Quantities that differ by more than rounding.
        mends: What was put right in the released code first.
        remarks: What else a reader should know.
    """

    system: str
    source: str
    shape: str
    verdict: str
    model: str = ""
    reason: str = ""
    dtype: str = ""
    weights: int | None = None
    eval: float | None = None
    first_loss: float | None = None
    losses: float | None = None
    after: float | None = None
    gradient: float | None = None
    largest: float | None = None
    groups: int | None = None
    parameters: int | None = None
    faults: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ParityRows(Record):
    """What every such file holds.

    Args:
        rows: In the order of the systems.
        format: ``msa-parity-1``.
    """

    hint: ClassVar[str] = "measure it again: msa study parity"

    rows: tuple[ParityRow, ...]
    format: str = FORMAT


@dataclass(frozen=True, kw_only=True)
class ParityRecord(ParityRows):
    """All rows of a comparison with MMSA's package, and what they mean.

    Args:
        mmsa: Version of MMSA's package.
        torch: Version of PyTorch on our side.
        epochs: Trained by both.
        tolerances: Number format -> quantity -> how far it may differ.
    """

    mmsa: str
    torch: str
    epochs: int
    tolerances: Mapping[str, Mapping[str, float]]

    @property
    def failed(self) -> tuple[ParityRow, ...]:
        """Rows that were compared and are not equal, or could not be."""
        return tuple(row for row in self.rows if row.verdict in ("differs", "failed"))


R = TypeVar("R", bound=ParityRows)


def read_parity(path: Path) -> ParityRecord:
    """The record of a comparison with MMSA.

    Raises:
        DataError: Naming the file and what is wrong, for one that is no such record.
    """
    return _read(path, ParityRecord)


def read_parity_rows(*paths: Path) -> tuple[ParityRow, ...]:
    """The rows of several records, those of absent files left out.

    Args:
        paths: Files; without any ``RECORDS``.

    Raises:
        DataError: Naming the file and what is wrong, for one that is no such record.
    """
    there = (path for path in paths or RECORDS if path.is_file())
    return tuple(row for path in there for row in _read(path, ParityRows).rows)


def _read(path: Path, kind: type[R]) -> R:
    found = read_json(path, "parity record", error=DataError)
    if found.get("format") != FORMAT:
        raise DataError(f"{path.name} is no record of the format {FORMAT}", hint=kind.hint)
    try:
        return kind.of(found, path.name)
    except StoreError as error:
        raise DataError(str(error), hint=kind.hint) from error
