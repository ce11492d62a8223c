"""What is kept of a run beside its predictions, as one typed record: ``manifest.json``.

``cell`` makes it, the store writes and reads it, everybody else reads its attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness._util.records import Record, stored
from harness.spec import RunSpec, record_of, spec_of
from harness.system.zero_shot import ZeroShotFacts

__all__ = ["Costs", "GridFacts", "Manifest", "Provenance", "Result"]


@dataclass(frozen=True, kw_only=True)
class GridFacts(Record):
    """The conditions that a run predicted the test split under.

    Args:
        grid: Name of the grid.
        cells: Conditions, the clean one included.
        draws: Digest of the draws: equal for every system.
        train_mean: Conditions that leave nothing of any clip and are answered by the mean training
            label.
    """

    grid: str
    cells: int
    draws: str
    train_mean: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Result(Record):
    """What came of training; what a system reports besides is in ``more``.

    Args:
        parameters: Of the network, frozen ones included.
        trainable: Those that training changes.
        epochs: Trained; 0 for systems without epochs.
        selected_epoch: The one that predicts, from 1; None for systems without epochs.
        train_clips: Clips it was trained on.
        stability: Cause -> how far predictions of the same clips are apart, by measure; None for
            systems whose predictions depend on the clip alone.
        judgements: Gate -> the modalities that its values are about; None for networks
            without any.
        diagnostics: Diagnostic -> its mean over ``all`` test clips and by sentiment;
            None for systems without any.
        corruption: Under a grid of conditions.
        ending: How training ended: ``epochs`` of its last stage, those ``allowed``, those that its
            schedule ``wanted`` (0: any number), those of its ``warmup``, and how many stages before
            it were allowed fewer than they want (``stages_cut``, where any were); None without
            epochs, and of runs of before.
        zero_shot: Of a zero-shot language model.
        passes: Passes over the same clips that are stored, of released weights whose predictions
            change from pass to pass.
    """

    parameters: int
    trainable: int
    epochs: int
    selected_epoch: int | None
    train_clips: int
    stability: Mapping[str, Mapping[str, float]] | None = None
    judgements: Mapping[str, Sequence[str]] | None = None
    diagnostics: Mapping[str, Mapping[str, float]] | None = None
    corruption: GridFacts | None = None
    ending: Mapping[str, int] | None = None
    zero_shot: ZeroShotFacts | None = None
    passes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance(Record):
    """Where a run was carried out; host, paths and user are left out.

    Args:
        device: ``cpu`` or ``cuda``.
        processor: Its name.
        commit: Of the checkout; None outside one.
        dirty: Whether the checkout had changes.
        python: Version.
        system: Operating system and machine.
        cores: Physical ones.
        packages: Name -> version; None for one that is not installed.
        encoder_revision: Commit on the model hub that the text encoder is from; None for others.
        resident: Whether all clips lay on the device; None where they lie in memory anyway.
    """

    device: str
    processor: str
    commit: str | None
    dirty: bool | None
    python: str | None = None
    system: str | None = None
    cores: int | None = None
    packages: Mapping[str, str | None] | None = None
    encoder_revision: str | None = None
    resident: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Costs(Record):
    """What a run took.

    Args:
        fit_seconds: Training.
        predict_seconds: Valid and test, clean.
        peak_memory_bytes: Highest resident memory of its process.
        peak_device_memory_bytes: The same of its share of the device; None where not measured.
        grid_seconds: All conditions of the grid; None without a grid.
        cell_seconds: One of them.
    """

    fit_seconds: float
    predict_seconds: float
    peak_memory_bytes: int
    peak_device_memory_bytes: int | None = None
    grid_seconds: float | None = None
    cell_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Training and prediction together."""
        return float(self.fit_seconds) + float(self.predict_seconds)


@dataclass(frozen=True, kw_only=True)
class Manifest(Record):
    """A run but for its tables.

    The store adds ``format`` and ``key`` when it writes one; read back, they are in ``more``. A key
    that this version does not know is kept everywhere but in ``spec``, which a run's identity
    follows from.

    Args:
        spec: What was run.
        encoder: Name of the text encoder; None for systems without one.
        result: What came of it.
        provenance: Where it was carried out.
        cost: What it took.
    """

    hint: ClassVar[str] = "msa run SUITE runs it again; msa verify finds others"

    spec: RunSpec = stored(spec_of, record_of)  # noqa: RUF009 - a field, as of ``dataclasses.field``
    encoder: str | None
    result: Result
    provenance: Provenance
    cost: Costs
