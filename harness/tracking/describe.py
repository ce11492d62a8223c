"""What a tracker is given of a stored run: names and values, before any tracker is involved."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from harness._util import canonical
from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.data.store import dataset_name
from harness.runs.checkpoints import CHECKPOINT
from harness.runs.frames import rows_by_key
from harness.runs.labels import predictions_of, scores_of, stored_labels
from harness.runs.manifest import Manifest
from harness.runs.store import RunStore, StoredRun
from harness.runs.weights.card import TENSORS
from harness.spec import Protocol, RunSpec, record_of
from harness.submissions import Badge

__all__ = ["Tracked", "TrackedData", "Tracker", "Value", "corpus_of", "epoch_values", "metric_name"]

Value: TypeAlias = tuple[str, float, int]
"""Name, finite value, step (0 where steps mean nothing)."""

_LONGEST_PARAM = 6000  # MLflow cuts longer values without a word
_LONGEST_DIGEST = 32  # MLflow takes 36
_LONGEST_NAME = 200  # of a row; with its seed below the 250 that some databases enforce
_FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics and parameters


@dataclass(frozen=True, kw_only=True)
class TrackedData:
    """What a run was made on.

    Args:
        name: Of the corpus.
        digest: The first digits of its fingerprint, as many as a tracker takes.
        fingerprint: Of its content.
        clips: Split -> its clips, of those whose labels are stored.
    """

    name: str
    digest: str
    fingerprint: str
    clips: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """One run as a tracker shows it.

    Args:
        run_key: The run's identity.
        row_key: The identity of its row: of the run, but for its seed.
        name: What the run is called.
        row: What its row is called.
        began: When fitting began, milliseconds since 1970.
        ended: When the run was committed.
        row_tags: What identifies its row.
        tags: The same, and what qualifies this run.
        params: Resolved hyper-parameters (``hp.<name>``) and what was run on what.
        values: Scores, sizes, costs and per-epoch curves.
        undefined: Names of those that have no value.
        data: What it was made on.
        files: Its files, weights left out.
    """

    run_key: str
    row_key: str
    name: str
    row: str
    began: int
    ended: int
    row_tags: Mapping[str, str]
    tags: Mapping[str, str]
    params: Mapping[str, str]
    values: tuple[Value, ...]
    undefined: tuple[str, ...]
    data: TrackedData
    files: tuple[Path, ...]


class Tracker:
    """Describes the runs of a store.

    Args:
        store: Where runs, labels and plans are.
    """

    def __init__(self, store: RunStore) -> None:
        self._rows = rows_by_key(store)

        @functools.cache
        def truth(data: str, dataset: str, split: str) -> SplitLabels:
            return stored_labels(store, data, datasets[dataset], split)

        self._truth = truth

    def describe(self, run: StoredRun) -> Tracked:
        """Everything about one run, scores recomputed from its predictions.

        Raises:
            StoreError: When the run is damaged or does not fit the stored labels.
        """
        manifest = run.manifest
        spec = manifest.spec
        label, suites = self._rows.get(run.key, (spec.system, ()))
        row = label[:_LONGEST_NAME]
        row_tags = _row_tags(spec, suites)
        params, cut = _params(spec, manifest.encoder)
        values = list(self._values(run, manifest))
        undefined = sorted({name for name, value, _ in values if not _is_finite(value)})
        commit = manifest.provenance.commit
        notes = {
            "undefined": ", ".join(undefined),
            "truncated": ", ".join(cut),
            "mlflow.source.git.commit": commit or "",
            "device": manifest.provenance.device,
        }
        ended = int((run.folder / "manifest.json").stat().st_mtime * 1000)
        return Tracked(
            run_key=run.key,
            row_key=_row_key(spec),
            name=f"{row}, seed {spec.seed}",
            row=row,
            began=ended - int(1000 * manifest.cost.seconds),
            ended=ended,
            row_tags=row_tags,
            tags={
                **row_tags,
                "commit": commit or "unknown",
                **{name: text for name, text in notes.items() if text},
            },
            params=params,
            values=tuple(
                (metric_name(n), float(v), step)
                for n, v, step in values
                if v is not None and _is_finite(v)
            ),
            undefined=tuple(undefined),
            data=self._data(spec),
            files=tuple(run.folder / name for name in sorted(run.sums) if name != TENSORS),
        )

    def expect(self, spec: RunSpec, encoder: str | None, began: int) -> Tracked:
        """What is known of a run that is under way: no value yet, and no file.

        Args:
            spec: The run.
            encoder: What its text encoder is called, if it reads one.
            began: When, milliseconds since 1970.

        Raises:
            StoreError: When the labels of its corpus are not stored, or damaged.
        """
        label, suites = self._rows.get(spec.key, (spec.system, ()))
        row = label[:_LONGEST_NAME]
        tags, (params, _) = _row_tags(spec, suites), _params(spec, encoder)
        return Tracked(
            run_key=spec.key,
            row_key=_row_key(spec),
            name=f"{row}, seed {spec.seed}",
            row=row,
            began=began,
            ended=began,
            row_tags=tags,
            tags=tags,
            params=params,
            values=(),
            undefined=(),
            data=self._data(spec),
            files=(),
        )

    def _data(self, spec: RunSpec) -> TrackedData:
        dataset = dataset_name(spec.corpus)
        clips = {s: len(self._truth(spec.data, dataset, s).labels) for s in ("valid", "test")}
        return TrackedData(
            name=spec.corpus,
            digest=spec.data[:_LONGEST_DIGEST],
            fingerprint=spec.data,
            clips=clips,
        )

    def _values(
        self, run: StoredRun, manifest: Manifest
    ) -> Iterator[tuple[str, float | None, int]]:
        """Every value, undefined ones included; sizes that do not apply are left out."""
        yield from self._scores(run, manifest.spec)
        protocol = manifest.spec.protocol
        for epoch in run.history():
            yield from epoch_values(epoch, protocol)
        for group, record in (("result", manifest.result), ("cost", manifest.cost)):
            for name, value in _numbers(group, record.json()):
                yield name, value, 0

    def _scores(self, run: StoredRun, spec: RunSpec) -> Iterator[Value]:
        dataset = dataset_name(spec.corpus)
        for split in ("test", "valid"):
            truth = self._truth(spec.data, dataset, split)
            for metric, value in scores_of(run, truth, predictions_of(run, truth)).items():
                yield f"{split}/{metric}", value, 0


def corpus_of(run: StoredRun) -> str:
    """The corpus a run was on.

    Raises:
        StoreError: When the run is damaged.
    """
    return run.manifest.spec.corpus


def _row_key(spec: RunSpec) -> str:
    fields = {n: v for n, v in record_of(spec).items() if n not in ("seed", "protocol")}
    return canonical.digest(fields)[:32]


def _row_tags(spec: RunSpec, suites: Sequence[str]) -> dict[str, str]:
    protocol = spec.protocol
    released = CHECKPOINT in spec.artifacts
    return {
        "suite": ", ".join(suites) or "none",
        "mlflow.source.name": f"msa run {suites[0]}" if suites else "msa",
        "mlflow.source.type": "LOCAL",
        "system": spec.system,
        "corpus": spec.corpus,
        "data": spec.data,
        "protocol": protocol.digest,
        "selection": f"{protocol.selection_split} {protocol.selection_metric}",
        "badge": str(Badge.RELEASED if released else Badge.REPLAYED),
        "code": spec.code,
    }


def _params(spec: RunSpec, encoder: str | None) -> tuple[dict[str, str], list[str]]:
    """Parameters, and the names of those cut to what a tracker can hold."""
    given = {
        "system": spec.system,
        "corpus": spec.corpus,
        "protocol": spec.protocol.digest,
        "seed": spec.seed,
        "encoder": encoder or "none",
        **{metric_name(f"protocol.{n}"): v for n, v in spec.protocol.identity.items()},
        **{metric_name(f"hp.{name}"): value for name, value in spec.params.items()},
    }
    texts = {name: str(value) for name, value in given.items()}
    cut = sorted(name for name, text in texts.items() if len(text) > _LONGEST_PARAM)
    return {name: text[:_LONGEST_PARAM] for name, text in texts.items()}, cut


def epoch_values(
    epoch: Mapping[str, Any], protocol: Protocol
) -> Iterator[tuple[str, float | None, int]]:
    """What curves show of an epoch; ``valid/<metric>`` is the selected checkpoint's name.

    Args:
        epoch: A line of a history.
        protocol: What epochs are chosen by: a metric, or what released rules watch.
    """
    watched = "watched" if protocol.rules else protocol.selection_metric
    for field, name in {"train_loss": "train_loss", "valid": f"valid_{watched}"}.items():
        yield f"epoch/{name}", epoch[field], epoch["epoch"]


def metric_name(name: str) -> str:
    """A name that MLflow takes, of a metric or parameter."""
    return _FORBIDDEN.sub("_", name)


def _numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    """Every number in nested tables, under the names that lead to it, joined by slashes."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(f"{name}/{key}", item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
