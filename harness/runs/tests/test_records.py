"""Manifests and plans: what is written is what the first versions wrote, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from harness._util import canonical, checksums
from harness.errors import StoreError
from harness.home import Home
from harness.runs.manifest import Manifest
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.stored_plan import StoredPlan
from harness.tests.stores import Constant, Off, Row, make_store

ROWS = (
    Row(label="tfn", cells={1111: Off(0.4), 1112: Off(0.5)}, encoder="twin", changed={"hidden": 8}),
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)

RESULT = {"parameters": 3, "trainable": 2, "epochs": 1, "selected_epoch": 1, "train_clips": 9}
ANSWERED = {
    "clips": 2,
    "clips_answered": 2,
    "questions": 2,
    "outcomes": {"answered": 2},
    "asked_again": 0,
    "low_mass": 0,
    "shown": {"text": 2},
    "prompt_tokens": None,
    "completion_tokens": 7,
    "seconds": 1,
    "requests": 2,
}
ASKED = {
    "model": "M",
    "revision": "r",
    "engine": "e",
    "hosted": False,
    "licence": "l",
    "trained_on": "unknown",
    "billions": None,
    "inputs": ["text"],
    "condition": "text",
    "frames": "none",
    "prompts": ["p"],
    "languages": ["en"],
    "transcripts": "en",
    "constrained": False,
    "turns": 1,
    "asked_on": "2026-01-01",
    "calibration": None,
    "splits": {"test": ANSWERED},
}
RESULTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "unstable": {"stability": {"again": {"max": 0.5, "mean": 0.1}}},
    "telling": {
        "diagnostics": {"gate": {"all": 0.5}},
        "judgements": {"trust": ["text", "audio"]},
    },
    "silent": {"diagnostics": {}},
    "under a grid": {
        "corruption": {"grid": "g", "cells": 2, "draws": "0" * 32, "train_mean": ["modality=1"]}
    },
    "asked": {"zero_shot": ASKED},
    "calibrated": {
        "zero_shot": {**ASKED, "calibration": {"slope": 1.0, "intercept": 0, "clips": 5}}
    },
    "a plug-in's": {"own": {"anything": [1, None]}},
    "newer": {"zero_shot": {**ASKED, "colour": "red"}},
}
COSTS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {},
    "gpu": {"peak_device_memory_bytes": 5},
    "grid": {"grid_seconds": 2.0, "cell_seconds": 1},
}


@pytest.fixture
def store(tmp_path) -> RunStore:
    return make_store(tmp_path / "store", ROWS)


def as_once_written(store: RunStore, result: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    """A manifest put together key by key, as it was before there was a record of it."""
    spec = next(iter(store)).spec
    told = canonical.plain(spec)
    assert isinstance(told, dict)
    manifest = {
        "format": 1,
        "key": spec.key,
        "spec": told | {"protocol_digest": spec.protocol.digest},
        "encoder": None,
        "result": {**RESULT, **result},
        "provenance": {
            "python": "3.12.1",
            "system": "Linux x86_64",
            "processor": "A processor",
            "cores": 2,
            "packages": {"torch": "2.0", "transformers": None},
            "commit": None,
            "dirty": None,
            "device": "cpu",
        },
        "cost": {"fit_seconds": 1.5, "predict_seconds": 1, "peak_memory_bytes": 7, **cost},
    }
    return canonical.dumps(manifest, indent=1)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("result", RESULTS)
def test_a_manifest_is_written_as_it_always_was(store: RunStore, result: str, cost: str) -> None:
    text = as_once_written(store, RESULTS[result], COSTS[cost])
    manifest = Manifest.of(json.loads(text), "here")
    assert canonical.dumps(manifest.json(), indent=1) == text
    assert manifest.spec == next(iter(store)).spec


PUT_AROUND_A_PLAN = {"format": 2, "stored_as": "small"}


def test_stored_files_are_their_records(store: RunStore) -> None:
    for run in store:
        text = (run.folder / "manifest.json").read_text("utf-8")
        assert canonical.dumps(run.manifest.json(), indent=1) == text
    plan = store.plan("small")
    stored = json.loads((store.root / "plans" / "small.json").read_text("utf-8"))
    digest = stored.pop("digest")
    assert digest == canonical.digest(stored)
    assert stored == {**json.loads(canonical.dumps(plan.json())), **PUT_AROUND_A_PLAN}
    assert plan.keys == {run.key for run in store}


def test_a_plan_is_written_as_it_always_was(tmp_path) -> None:
    suite = tmp_path / "demo.toml"
    suite.write_text(
        'title = "Demo"\ncorpora = ["mosi-twin@compact-x5"]\nseeds = 1\n'
        '[[systems]]\nname = "tfidf_ridge"\n[[systems]]\nname = "tfn"\nlabel = "TFN"\n'
        "params = { lr = 0.1 }\n"
    )
    home = Home(tmp_path / "home")
    made = make_plan(find_suite(str(suite), home), home)
    record, protocol = made.record().json(), made.protocol
    assert record["protocol"] == {
        "name": protocol.name,
        "title": protocol.title,
        "digest": protocol.digest,
        **protocol.identity,
    }
    assert set(record) == {"suite", "title", "protocol", "seeds", "corpora", "rows", "cells"}
    assert record["cells"] == [
        {
            "corpus": cell.corpus,
            "label": cell.label,
            "seed": cell.seed,
            "key": None if cell.job is None else cell.job.spec.key,
            "reason": cell.reason,
        }
        for cell in made.cells
    ]
    assert StoredPlan.of(json.loads(canonical.dumps(record)), "here").json() == json.loads(
        canonical.dumps(record)
    )


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("result", "epochs"), "3", "result.epochs should be a whole number, found '3'"),
        (("cost", "fit_seconds"), None, "cost.fit_seconds should be a number, found None"),
        (("spec", "protocol"), {}, "spec should be what was once written"),
        (("provenance", "device"), 0, "provenance.device should be text, found 0"),
    ],
)
def test_a_damaged_manifest_names_file_key_expected_and_found(
    store: RunStore, place: tuple[str, str], value: object, message: str
) -> None:
    run = next(iter(store))
    path = run.folder / "manifest.json"
    table = json.loads(path.read_text("utf-8"))
    table[place[0]][place[1]] = value
    path.write_text(json.dumps(table), "utf-8")
    (run.folder / "SHA256SUMS").unlink()
    checksums.seal(run.folder)
    expected = f"damaged record manifest.json in {run.key}: {message}"
    with pytest.raises(StoreError, match=expected) as caught:
        _ = store.get(run.key).manifest
    assert "runs it again" in str(caught.value.hint)
