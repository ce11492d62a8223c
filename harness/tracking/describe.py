"""What a tracker is given of a stored run: names and values, before any tracker is involved."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness._util import canonical
from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.runs.labels import predictions_of, scores_of, stored_labels
from harness.runs.manifest import Manifest
from harness.runs.store import RunStore, StoredRun
from harness.spec import RunSpec, record_of

__all__ = ["Tracked", "Tracker", "corpus_of"]

Value: TypeAlias = tuple[str, float, int]
"""Name, finite value, step (0 where steps mean nothing)."""

_LONGEST_PARAM = 6000  # MLflow cuts longer values without a word
_LONGEST_NAME = 200  # of a row; with its seed below the 250 that some databases enforce
_FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics and parameters


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


class Tracker:
    """Describes the runs of a store.

    Args:
        store: Where runs, labels and plans are.
    """

    def __init__(self, store: RunStore) -> None:
        self._labels = dict(_labels(store))

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
        row = self._labels.get(run.key, spec.system)[:_LONGEST_NAME]
        row_tags = _row_tags(spec)
        params, cut = _params(manifest)
        values = list(self._values(run, manifest))
        undefined = sorted({name for name, value, _ in values if not _is_finite(value)})
        notes = {"undefined": ", ".join(undefined), "truncated": ", ".join(cut)}
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
                "commit": manifest.provenance.commit or "unknown",
                **{name: text for name, text in notes.items() if text},
            },
            params=params,
            values=tuple((_name(n), float(v), step) for n, v, step in values if _is_finite(v)),
        )

    def _values(self, run: StoredRun, manifest: Manifest) -> Iterator[Value]:
        """Every value, undefined ones included; sizes that do not apply are left out."""
        yield from self._scores(run, manifest.spec)
        yield from _epochs(run, manifest.spec.protocol.selection_metric)
        for group, record in (("result", manifest.result), ("cost", manifest.cost)):
            for name, value in _numbers(group, record.json()):
                yield name, value, 0

    def _scores(self, run: StoredRun, spec: RunSpec) -> Iterator[Value]:
        dataset = spec.corpus.partition("@")[0].removesuffix("-twin")
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


def _labels(store: RunStore) -> Iterator[tuple[str, str]]:
    """Run key and label of its row; of several suites that have it, the first comes last."""
    for suite in reversed(store.plans()):
        yield from ((cell.key, cell.label) for cell in store.plan(suite).cells if cell.key)


def _row_key(spec: RunSpec) -> str:
    fields = {n: v for n, v in record_of(spec).items() if n not in ("seed", "protocol")}
    return canonical.digest(fields)[:32]


def _row_tags(spec: RunSpec) -> dict[str, str]:
    return {
        "system": spec.system,
        "corpus": spec.corpus,
        "data": spec.data,
        "protocol": spec.protocol.digest,
        "code": spec.code,
    }


def _params(manifest: Manifest) -> tuple[dict[str, str], list[str]]:
    """Parameters, and the names of those cut to what a tracker can hold."""
    spec = manifest.spec
    given = {
        "system": spec.system,
        "corpus": spec.corpus,
        "protocol": spec.protocol.digest,
        "seed": spec.seed,
        "encoder": manifest.encoder or "none",
        **{_name(f"hp.{name}"): value for name, value in spec.params.items()},
    }
    texts = {name: str(value) for name, value in given.items()}
    cut = sorted(name for name, text in texts.items() if len(text) > _LONGEST_PARAM)
    return {name: text[:_LONGEST_PARAM] for name, text in texts.items()}, cut


def _epochs(run: StoredRun, selection: str) -> Iterator[Value]:
    """Curves, under names of their own: ``valid/<metric>`` is the selected checkpoint's."""
    names = {"train_loss": "train_loss", "valid": f"valid_{selection}"}
    for record in run.history():
        epoch: Any = record
        for field, name in names.items():
            yield f"epoch/{name}", epoch[field], epoch["epoch"]


def _name(name: str) -> str:
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
