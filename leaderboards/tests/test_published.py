"""The published boards against the data, where these are present: cheap rows are run again."""

from __future__ import annotations

from pathlib import Path

import pytest

import leaderboards
from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.executors.local import LocalExecutor
from harness.runs.plan import make_plan
from harness.runs.store import RunStore
from harness.spec import Suite
from harness.tests.research import research_data

PUBLISHED = Path(leaderboards.__file__).parent / "published"
SYSTEM = '[[systems]]\nname = "tfidf_ridge"\n'


def metric_cells(board: str, corpus: str, label: str) -> list[str]:
    """The row's metric cells in the section of a corpus, tie marks removed."""
    section = board[board.index(f": {corpus}\n") :]
    lines = (line for line in section.splitlines() if line.startswith(f"| {label} "))
    return [cell.strip().lstrip("●○ ") for cell in next(lines).strip("|").split("|")[4:]]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_rows_that_need_no_training_come_out_as_published(tmp_path: Path, dataset: str) -> None:
    home = Home(tmp_path)
    labels = research_data(dataset, "label.csv")
    CorpusStore(home.corpora).add(label_csv.read(labels, datasets[dataset]))
    path = tmp_path / "again.toml"
    path.write_text(f'corpora = ["{dataset}@label-csv"]\n{SYSTEM}')
    store = RunStore(home.store)
    with store.writing():
        carry_out(make_plan(Suite.load(path), home), store, LocalExecutor(1))
    again = leaderboards.render(store, "again")
    published = (PUBLISHED / "real_text.md").read_text("utf-8")
    for label in ("train_mean", "train_median", "zero", "majority", "tfidf_ridge"):
        cells = [metric_cells(board, f"{dataset}@label-csv", label) for board in (again, published)]
        assert cells[0] == cells[1]
        assert len(cells[0]) >= 8
