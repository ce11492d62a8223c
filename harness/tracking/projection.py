"""The MLflow side: what is there, and how to add what is not."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness._util import canonical
from harness.runs.store import RunStore, StoredRun
from harness.tracking.describe import Tracked, TrackedData, Tracker, Value, metric_name

if TYPE_CHECKING:
    from mlflow.entities import Run

__all__ = ["Projection"]

_PAGE = 500
_FORM = "2"  # raised when runs get what earlier exports left out; those are completed then
_OF_SEEDS = ("test/", "valid/", "result/", "cost/")
_CURVES = "epoch/"
_BOARDS = "boards"
_LONGEST_REASON = 4000  # MLflow takes some more
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow 3 opens experiments without it as those of language model applications."""


@dataclass
class _Row:
    """A parent run.

    Args:
        run_id: MLflow's.
        metrics: Those that it shows.
        seeds: Run key -> metrics of each child that is complete.
        undefined: Metrics that a child has no value of.
        ended: When the last child ended, milliseconds since 1970.
    """

    run_id: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    seeds: dict[str, Mapping[str, float]] = field(default_factory=dict)
    undefined: set[str] = field(default_factory=set)
    ended: int = 0


class Projection:
    """Writes into MLflow.

    Args:
        where: Its address.
        tracker: Describes runs.
        artifacts: Folder of the artifacts of new experiments; None where MLflow decides.
        files: Whether files of runs go along.
    """

    def __init__(
        self, where: str, tracker: Tracker, *, artifacts: Path | None = None, files: bool = False
    ) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=where, registry_uri=where)
        self._tracker = tracker
        self._artifacts, self._files = artifacts, files

    def add(self, corpus: str, runs: Iterable[StoredRun]) -> int:
        """Create what is missing and finish what a killed export left; returns how many runs."""
        experiment = self._experiment(corpus, _note(corpus))
        rows, done, unfinished = self._present(experiment)
        created = 0
        for run in runs:
            if run.key in done:
                continue
            item = self._tracker.describe(run)
            if item.row_key not in rows:
                rows[item.row_key] = _Row(self._create_row(experiment, item))
            row = rows[item.row_key]
            begun = unfinished.get(run.key)
            if begun is None:
                self._fill(self._create(experiment, item, row.run_id), item)
            else:
                self._fill(begun, replace(item, values=self._new(begun, item.values)))
            row.seeds[run.key] = {name: value for name, value, _ in item.values}
            row.undefined.update(_of_seeds(item.undefined))
            row.ended = max(row.ended, item.ended)
            created += 1
        for row in rows.values():
            if row.metrics.get("seeds") != len(row.seeds) > 0:  # a killed export may have left some
                self._summarise(row)
        return created

    def register(self, store: RunStore, corpus: str, runs: Iterable[StoredRun]) -> int:
        """Make kept weights versions of a model of their system and corpus; returns how many."""
        from harness.runs.weights.exporting import export as export_weights

        experiment = self._experiment(corpus, _note(corpus))
        children = {
            run.data.tags["run_key"]: run
            for run in self._runs(experiment)
            if "run_key" in run.data.tags
        }
        created = 0
        for run in runs:
            card = run.weights
            if card is None or card.removed or run.key not in children:
                continue
            child = children[run.key]
            if self._client.search_model_versions(f"run_id='{child.info.run_id}'"):
                continue
            with tempfile.TemporaryDirectory() as folder:
                export_weights(store, run, Path(folder) / "weights")
                self._client.log_artifacts(child.info.run_id, folder)
            self._add_version(f"{run.spec.system}.{corpus}", child)
            created += 1
        return created

    def _add_version(self, model: str, child: Run) -> None:
        if not self._client.search_registered_models(f"name='{model}'"):
            self._client.create_registered_model(
                model, description="Weights that runs of this system on this corpus kept."
            )
        tags = {n: t for n, t in child.data.tags.items() if not n.startswith("mlflow.")}
        tags["seed"] = child.data.params["seed"]
        self._client.create_model_version(
            model,
            source=f"{child.info.artifact_uri}/weights",
            run_id=child.info.run_id,
            tags=tags,
            await_creation_for=0,
        )

    def add_board(self, suite: str, files: Sequence[Path]) -> bool:
        """Attach a board to the run of its suite, unless the same is there; whether it was not."""
        experiment = self._experiment(_BOARDS, "One run per suite: its board as artifacts.")
        marks = {file.name: canonical.file_digest(file) for file in files}
        digest = canonical.digest(marks)
        there = {run.info.run_name: run for run in self._runs(experiment)}
        found = there.get(suite)
        if found is not None and found.data.tags.get("board") == digest:
            return False
        if found is None:
            tags = {"mlflow.runName": suite, "suite": suite}
            found = self._client.create_run(experiment, tags=tags)
        for file in files:
            self._client.log_artifact(found.info.run_id, str(file), _place(file))
        self._client.set_tag(found.info.run_id, "board", digest)
        self._client.set_terminated(found.info.run_id)
        return True

    def _experiment(self, name: str, note: str) -> str:
        from mlflow.exceptions import MlflowException

        tags = _KIND | ({"mlflow.note.content": note} if note else {})
        found = self._client.get_experiment_by_name(name)
        if found is None:
            place = None if self._artifacts is None else (self._artifacts / name).as_uri()
            try:
                return str(self._client.create_experiment(name, place, tags=tags))
            except MlflowException:  # somebody else's export may just have made it
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        for tag, value in tags.items():
            if tag not in found.tags:
                self._client.set_experiment_tag(found.experiment_id, tag, value)
        return str(found.experiment_id)

    def _present(self, experiment: str) -> tuple[dict[str, _Row], set[str], dict[str, str]]:
        """Rows by key, with their complete children; keys of those; run key -> id of the others."""
        rows: dict[str, _Row] = {}
        unfinished: dict[str, str] = {}
        children = {}
        for run in self._runs(experiment):
            key = run.data.tags.get("run_key")
            if key is None:
                row = run.data.tags.get("row_key", "")
                rows[row] = _Row(run.info.run_id, run.data.metrics, ended=run.info.end_time or 0)
            elif run.info.status == "FINISHED" and run.data.tags.get("form") == _FORM:
                children[key] = run
            else:
                unfinished[key] = run.info.run_id
        by_id = {row.run_id: row for row in rows.values()}
        for key, run in children.items():
            row = by_id.get(run.data.tags["mlflow.parentRunId"])
            if row is not None:  # else somebody deleted it in MLflow
                row.seeds[key] = run.data.metrics
                row.ended = max(row.ended, run.info.end_time)
                row.undefined.update(_of_seeds(run.data.tags.get("undefined", "").split(", ")))
        return rows, set(children), unfinished

    def _runs(self, experiment: str) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs([experiment], max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create_row(self, experiment: str, item: Tracked) -> str:
        from mlflow.entities import Param

        tags = {"mlflow.runName": item.row, "row_key": item.row_key, **item.row_tags}
        run = self._client.create_run(experiment, start_time=item.began, tags=tags)
        shared = {name: text for name, text in item.params.items() if name != "seed"}
        params = [Param(name, text) for name, text in shared.items()]
        self._client.log_batch(run.info.run_id, params=params)
        self._log_data(run.info.run_id, item.data)
        self._client.set_terminated(run.info.run_id, end_time=item.ended)
        return str(run.info.run_id)

    def _create(self, experiment: str, item: Tracked, parent: str) -> str:
        tags = {
            "mlflow.runName": item.name,
            "mlflow.parentRunId": parent,
            "run_key": item.run_key,
            **item.tags,
        }
        run = self._client.create_run(experiment, start_time=item.began, tags=tags)
        return str(run.info.run_id)

    def open(self, item: Tracked) -> str:
        """Show a run that is under way, in the experiment and the row that it will be in.

        Returns:
            MLflow's name of it.
        """
        from mlflow.entities import Param

        corpus = item.data.name
        experiment = self._experiment(corpus, _note(corpus))
        rows, _, unfinished = self._present(experiment)
        row = rows[item.row_key].run_id if item.row_key in rows else None
        row = row or self._create_row(experiment, item)
        run_id = unfinished.get(item.run_key) or self._create(experiment, item, row)
        params = [Param(name, text) for name, text in item.params.items()]
        self._client.log_batch(run_id, params=params)
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def show(self, run_id: str, values: Sequence[Value]) -> None:
        """Add values to a run under way; steps that an earlier attempt showed are left alone."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [Metric(name, value, now, step) for name, value, step in self._new(run_id, values)]
        if new:
            self._client.log_batch(run_id, metrics=new)

    def give_up(self, run_id: str, reason: str) -> None:
        """Say that a run under way came to nothing; the next attempt goes on with it."""
        self._client.set_tag(run_id, "failure", reason[:_LONGEST_REASON])
        self._client.set_terminated(run_id, "FAILED")

    def _new(self, run_id: str, values: Sequence[Value]) -> tuple[Value, ...]:
        """Values without the points of curves that a run shows already."""
        known = {
            (name, point.step)
            for name in {name for name, _, _ in values if name.startswith(_CURVES)}
            for point in self._client.get_metric_history(run_id, name)
        }
        return tuple(value for value in values if (value[0], value[2]) not in known)

    def _fill(self, run_id: str, item: Tracked) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self._log_data(run_id, item.data)
        if self._files:
            for file in item.files:
                self._client.log_artifact(run_id, str(file), "run")
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, item.ended, step) for name, value, step in item.values],
            params=[Param(name, value) for name, value in item.params.items()],
            tags=[RunTag(name, text) for name, text in {**item.tags, "form": _FORM}.items()],
        )
        self._client.set_terminated(run_id, end_time=item.ended)

    def _log_data(self, run_id: str, data: TrackedData) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entry = Dataset(
            name=data.name,
            digest=data.digest,
            source_type="msa-harness",
            source=canonical.dumps({"corpus": data.name, "fingerprint": data.fingerprint}),
            profile=canonical.dumps(dict(data.clips)),
        )
        context = InputTag("mlflow.data.context", "training, validation, test")
        self._client.log_inputs(run_id, [DatasetInput(entry, [context])])

    def _summarise(self, row: _Row) -> None:
        """Give a row the means and standard deviations over its seeds.

        A metric that one of them has no value of has no mean either.
        """
        from mlflow.entities import Metric

        seeds = list(row.seeds.values())
        names = _of_seeds(seeds[0]) - row.undefined
        shown = {"seeds": float(len(seeds))}
        for name in sorted(name for name in names if all(name in seed for seed in seeds)):
            values = [seed[name] for seed in seeds]
            shown[name] = statistics.fmean(values)
            if len(values) > 1:
                shown[metric_name(f"sd/{name}")] = statistics.stdev(values)
        logged = [Metric(name, value, row.ended, len(seeds)) for name, value in shown.items()]
        self._client.log_batch(row.run_id, metrics=logged)
        self._client.set_terminated(row.run_id, end_time=row.ended)
        if row.undefined:
            self._client.set_tag(row.run_id, "undefined", ", ".join(sorted(row.undefined)))


def _of_seeds(names: Iterable[str]) -> set[str]:
    """Those that have a mean over seeds."""
    return {name for name in names if name.startswith(_OF_SEEDS)}


def _place(file: Path) -> str | None:
    """Where a file of a board stands: figures and what it was made of in folders of their own."""
    return {".png": "figures", ".svg": "figures", ".toml": "config", ".json": "config"}.get(
        file.suffix
    )


def _note(corpus: str) -> str:
    dataset, _, _ = corpus.partition("@")
    twin = dataset.endswith("-twin")
    return "SYNTHETIC TWIN: not a result on the dataset it imitates." if twin else ""
