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
SENTENCE = 12  # characters, from which on a text is nothing that a page would say by chance
BOARDS = (
    ("real_text", "mosi", "in_domain"),
    ("real_text", "sims", "in_domain"),
    ("zero_shot_text", "mosi", "zero_shot"),
    ("zero_shot_text", "sims", "zero_shot"),
    ("hidden_text", "mosi", "in_domain"),
    ("hidden_text", "sims", "in_domain"),
    ("sliced_text", "sims", "in_domain"),
    ("chinese_text", "simsv2", "in_domain"),
)
"""Published boards, a dataset of each, and their protocols."""


def metric_cells(board: str, corpus: str, label: str) -> list[str]:
    """The row's metric cells in the section of a corpus, tie marks removed."""
    section = board[board.index(f": {corpus}\n") :]
    lines = (line for line in section.splitlines() if line.startswith(f"| {label} "))
    return [cell.strip().lstrip("●○ ") for cell in next(lines).strip("|").split("|")[4:]]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("board", "dataset", "protocol"), BOARDS)
def test_rows_that_need_no_training_come_out_as_published(
    tmp_path: Path, board: str, dataset: str, protocol: str
) -> None:
    home = Home(tmp_path)
    labels = research_data(dataset, "label.csv")
    CorpusStore(home.corpora).add(label_csv.read(labels, datasets[dataset]))
    path = tmp_path / "again.toml"
    rules = f'protocol = {{ name = "{protocol}" }}\n'
    path.write_text(f'corpora = ["{dataset}@label-csv"]\n{rules}{SYSTEM}')
    store = RunStore(home.store)
    with store.writing():
        carry_out(make_plan(Suite.load(path), home), store, LocalExecutor(1))
    again = leaderboards.render(store, "again")
    published = (PUBLISHED / f"{board}.md").read_text("utf-8")
    for label in ("train_mean", "train_median", "zero", "majority", "tfidf_ridge"):
        cells = [metric_cells(page, f"{dataset}@label-csv", label) for page in (again, published)]
        assert cells[0] == cells[1]
        assert len(cells[0]) >= 8


@pytest.mark.data
@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_no_published_page_has_a_transcript(dataset: str) -> None:
    corpus = label_csv.read(research_data(dataset, "label.csv"), datasets[dataset])
    texts = [text for text in corpus.clips["text"] if len(text) >= SENTENCE]
    assert len(texts) > 500
    for page in sorted(PUBLISHED.glob("*.*")):
        shown = page.read_text("utf-8").casefold()
        assert not [text for text in texts if text.casefold() in shown], page.name
