"""Scores of stored runs are remembered while run, labels and code are what they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.metrics import mean_absolute_error

from harness._util import by_content, canonical
from harness.data.datasets import datasets
from harness.metrics import metrics
from harness.runs import scores
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.store import RunStore
from harness.tests.stores import SEEDS, Off, Row, make_store

MOSI = datasets["mosi"]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return make_store(tmp_path, [Row(label="A", cells=dict.fromkeys(SEEDS, Off(0.3)))])


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose predictions were read; marks tell at once that a file is untouched."""
    found: list[str] = []
    original = scores.predictions_of

    def reading(run, truth):
        found.append(run.key)
        return original(run, truth)

    monkeypatch.setattr(scores, "predictions_of", reading)
    monkeypatch.setattr(scores, "mark_of", lambda *places: str(places))
    return found


def forget_rules() -> None:
    scores._rules.cache_clear()
    by_content._computed_by.cache_clear()


def remembered(store: RunStore) -> list[float]:
    (data,) = {run.spec.data for run in store}
    memory = scores.ScoreMemory(store, data, MOSI, metrics["mae"], "valid")
    found = [memory.of(run.key) for run in store]
    memory.keep()
    return found


def test_a_score_is_computed_once(store, read) -> None:
    first = remembered(store)
    assert len(read) == len(SEEDS)
    assert remembered(store) == first
    assert len(read) == len(SEEDS), "nothing is read again"
    for run, score in zip(store, first, strict=True):
        truth = stored_labels(store, run.spec.data, MOSI, "valid")
        assert score == pytest.approx(mean_absolute_error(truth.labels, predictions_of(run, truth)))


def test_other_code_asks_again(store, read, monkeypatch) -> None:
    first = remembered(store)
    monkeypatch.setattr(scores, "scoring_rules", lambda *names: "others")
    assert remembered(store) == first
    assert len(read) == 2 * len(SEEDS)


@pytest.mark.parametrize("module", [metrics.module_of("mae"), datasets.module_of("mosi")])
def test_what_decides_is_the_definition_of_the_metric_and_of_the_dataset(
    module, monkeypatch
) -> None:
    before, digest = (
        scores.scoring_rules(["mae"], datasets.module_of("mosi")),
        canonical.file_digest,
    )
    edited = f"{module.rpartition('.')[2]}.py"
    forget_rules()
    monkeypatch.setattr(
        canonical, "file_digest", lambda file: "new" if file.name == edited else digest(file)
    )
    assert scores.scoring_rules(["mae"], datasets.module_of("mosi")) != before
    forget_rules()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"rules": 1}', b"[]"])
def test_a_damaged_memory_is_none(store, read, content) -> None:
    remembered(store)
    (path,) = (store.root / ".scores").glob("*.json")
    path.write_bytes(content)
    remembered(store)
    assert len(read) == 2 * len(SEEDS)
