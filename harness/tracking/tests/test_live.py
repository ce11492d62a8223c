"""Epochs that are shown while cells run: in the place of the export, once, at no cell's cost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness._util.extras import EXTRAS
from harness.errors import MissingExtra, SpecError, StoreError
from harness.home import Home
from harness.runs.driver import RunReport, carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.tests.test_long_runs import Telling
from harness.testing import small_corpus
from harness.tracking import export as tracking
from harness.tracking.live import Live, showing
from harness.tracking.projection import Projection

SUITE = """
corpora = ["mosi@small"]
seeds = 2
[protocol]
max_epochs = 3
[[systems]]
name = "lf_dnn"
label = "A row"
"""


def ran(home: Home, live: Live, only: str = "A row") -> RunReport:
    small_corpus(home.corpora)
    (home.suites / "small.toml").write_text(SUITE)
    store = RunStore(home.store)
    plan = make_plan(find_suite("small", home), home)
    options = {"only": [only], "on_event": live.hear, "on_done": live.end}
    return carry_out(plan, store, Telling(), **options)


@pytest.mark.slow
def test_mlflow_shows_epochs_once_in_the_run_that_an_export_completes(home: Home) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home.mlflow_db}")

    def children() -> list:
        experiment = client.get_experiment_by_name("mosi@small")
        found = client.search_runs([experiment.experiment_id])
        return [run for run in found if "run_key" in run.data.tags]

    def steps(run) -> list[int]:
        return [p.step for p in client.get_metric_history(run.info.run_id, "epoch/valid_mae")]

    with showing("mlflow", home) as live:

        class Watched:
            """Looks at MLflow while the first cell runs."""

            def __init__(self) -> None:
                self.seen: list = []

            def hear(self, job, event) -> None:
                live.hear(job, event)
                if not self.seen and getattr(event, "of", None):
                    self.seen = [(run.info.status, steps(run)) for run in children()]

            end = staticmethod(live.end)

        watched = Watched()
        assert ran(home, watched).done == 2
    assert watched.seen == [("RUNNING", [1])]
    for run in children():
        assert run.info.status == "FINISHED"
        assert steps(run) == [1, 2, 3]
        assert run.data.tags["mlflow.runName"].startswith("A row, seed ")
        assert "test/mae" in run.data.metrics and "hp.lr" in run.data.params
    report = tracking.export(RunStore(home.store), f"sqlite:///{home.mlflow_db}")
    assert (report.created, report.present) == (0, 2)


@pytest.mark.slow
def test_a_tracker_that_goes_away_costs_one_warning(home: Home, monkeypatch, caplog) -> None:
    def refused(*given: object, **named: object) -> None:
        raise StoreError("the tracker is gone")

    monkeypatch.setattr(Projection, "show", refused)
    with showing("mlflow", home) as live:
        assert ran(home, live).done == 2
    assert caplog.messages.count("nothing is shown live any more: the tracker is gone") == 1


def test_tensorboard_gets_a_folder_of_events_per_cell(home: Home) -> None:
    pytest.importorskip("tensorboard")
    with showing("tensorboard", home) as live:
        ran(home, live)
    files = sorted(path.relative_to(home.tensorboard) for path in home.tensorboard.rglob("event*"))
    assert [path.parent for path in files] == [
        Path("mosi@small", "A row", f"seed-{seed}") for seed in (1111, 1112)
    ]


def test_what_cannot_be_shown_is_refused_before_anything_runs(home: Home, monkeypatch) -> None:
    with pytest.raises(SpecError, match="--live takes mlflow or tensorboard"), showing("w", home):
        pass
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra) as refused, showing("tensorboard", home):
        pass
    assert refused.value.hint == 'pip install "msa-harness[tensorboard]"'
    assert "tensorboard" in EXTRAS
