"""What runs took is remembered, and believed no longer than their manifests stand."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import StoreError
from harness.runs import remembered_costs
from harness.runs.costs import costs_of, known_costs
from harness.runs.manifest import Costs, Manifest, Provenance, Result
from harness.runs.record import RunRecord
from harness.runs.remembered_costs import stored_costs
from harness.runs.store import RunStore
from harness.spec import RunSpec
from harness.spec.protocols import protocols

_LONG_AGO = 1_600_000_000


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """Six runs of two systems, written long ago; memory is kept from three on."""
    monkeypatch.setattr(remembered_costs, "_MANY", 3)
    monkeypatch.setattr("harness._util.untouched._SETTLED", -(10**12))  # times of entries are now
    store = RunStore(tmp_path / "store")
    for seed in range(6):
        _commit(store, seed)
    return store


def _commit(store: RunStore, seed: int) -> str:
    spec = RunSpec(
        corpus="mosi-twin@compact",
        data="0" * 64,
        protocol=protocols["in_domain"],
        system="tfn" if seed % 2 else "lmf",
        params={"lr": 0.001, "epochs": 5},
        labels={"low": -3.0},
        seed=seed,
        code="c",
    )
    manifest = Manifest(
        spec=spec,
        encoder=None,
        result=Result(parameters=0, trainable=0, epochs=0, selected_epoch=None, train_clips=9),
        provenance=Provenance(device="cpu", processor="any", commit=None, dirty=None),
        cost=Costs(fit_seconds=seed, predict_seconds=0.5, peak_memory_bytes=100 + seed),
    )
    row = {"id": ["a"], "split": ["test"], "condition": ["clean"], "variant": ["plain"]}
    table = pd.DataFrame({**row, "pred": [0.0]})
    store.commit(RunRecord(key=spec.key, manifest=manifest, predictions=table))
    return spec.key


def _unread(runs: object) -> None:
    raise AssertionError("what is remembered is not read")


def test_costs_remembered_are_those_read(store: RunStore) -> None:
    read = list(costs_of(store))
    assert stored_costs(store) == read
    assert stored_costs(store, _unread) == read  # type: ignore[arg-type]
    shared = {id(cost.params) for cost in stored_costs(store, _unread)}  # type: ignore[arg-type]
    assert len(shared) == 2


def test_a_new_run_is_read_and_a_run_that_went_is_left_out(store: RunStore) -> None:
    stored_costs(store)
    _commit(store, 6)
    gone = next(iter(store))
    gone.folder.rename(store.root / "elsewhere")
    assert stored_costs(store) == list(costs_of(store))
    assert len(stored_costs(store)) == 6


def test_a_manifest_that_was_touched_is_read_again(store: RunStore) -> None:
    stored_costs(store)
    manifest = next(iter(store)).folder / "manifest.json"
    manifest.write_text("{}", "utf-8")
    with pytest.raises(StoreError, match="is damaged"):
        stored_costs(store)
    assert len(stored_costs(store, known_costs)) == 5


def test_a_damaged_memory_costs_reading_again(store: RunStore) -> None:
    read = stored_costs(store)
    memory = store.root / ".costs"
    memory.write_bytes(memory.read_bytes()[:-9])
    os.utime(memory, (_LONG_AGO, _LONG_AGO))
    assert stored_costs(store) == read
    assert stored_costs(store, _unread) == read  # type: ignore[arg-type]


def test_few_runs_leave_no_memory(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_costs, "_MANY", 7)
    assert len(stored_costs(store)) == 6
    assert not (store.root / ".costs").exists()
