"""``msa fuse``: weights from valid, scores on test, one clear error per mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear

from harness.metrics import score

CLIPS = {"train": 4, "valid": 40, "test": 30}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A table of two systems' predictions, and the labels."""
    rng = np.random.default_rng(0)
    modes = [mode for mode, count in CLIPS.items() for _ in range(count)]
    ids = [(f"v{k // 4}", f"{k:04d}") for k in range(len(modes))]
    truth = rng.uniform(-1, 1, len(ids)).round(1)
    labels = pd.DataFrame(ids, columns=["video_id", "clip_id"]).assign(
        text="x", label=truth, mode=modes
    )
    table = pd.DataFrame(
        {
            "id": [f"{video}_{clip}" for video, clip in ids],
            "a": truth + rng.normal(0, 0.4, len(ids)),
            "b": 0.5 * truth + rng.normal(0, 0.4, len(ids)),
            "against": -truth,
        }
    )
    labels.to_csv(tmp_path / "label.csv", index=False)
    table.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv", tmp_path / "label.csv"


def fuse(msa, files, *more: object) -> tuple[int, str, str]:
    table, labels = files
    return msa("fuse", table, "--dataset", "sims", "--labels", labels, *more)


def test_weights_are_bounded_least_squares_on_valid_and_scores_are_on_test(msa, files, tmp_path):
    out = tmp_path / "fused.csv"
    code, text, _ = fuse(msa, files, "--columns", "a,b,against", "--json")
    assert code == 0
    rows = {row["system"]: row for row in json.loads(text)}

    table, labels = map(pd.read_csv, files)
    parts = {mode: labels["mode"] == mode for mode in CLIPS}
    given, truth = table[["a", "b", "against"]].to_numpy(), labels["label"].to_numpy()
    design = np.column_stack([given, np.ones(len(given))])
    bounds = ([0, 0, 0, -np.inf], np.inf)
    best = lsq_linear(design[parts["valid"]], truth[parts["valid"]], bounds).x
    assert rows["against"]["weight"] == 0
    for name, weight in zip(("a", "b"), best, strict=False):
        assert rows[name]["weight"] == pytest.approx(weight, abs=1e-5)
    expected = score(design[parts["test"]] @ best, truth[parts["test"]], "sims")
    assert rows["fusion"]["mae"] == pytest.approx(expected["mae"], abs=1e-5)

    fuse(msa, files, "--columns", "a,b,against", "--out", out)
    code, text, _ = msa("score", out, "--dataset", "sims", "--labels", files[1], "--json")
    (scored,) = json.loads(text)
    assert scored["clips"] == CLIPS["test"]
    assert scored["scores"]["mae"] == pytest.approx(rows["fusion"]["mae"])


def test_a_missing_prediction_is_no_zero(msa, files):
    table = pd.read_csv(files[0])
    table.loc[table.index[-5:], "b"] = np.nan
    table.to_csv(files[0], index=False)
    code, text, _ = fuse(msa, files, "--columns", "a,b", "--json")
    assert code == 0
    clips = {row["system"]: row["clips"] for row in json.loads(text)}
    assert clips == {"a": 30, "b": 25, "fusion": 30}


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (lambda t: t, "a,c", "expected a column c; found id, a, b, against"),
        (
            lambda t: t.drop(columns="id"),
            "a,b",
            "expected a column id, or video_id and clip_id; found a, b, against",
        ),
        (lambda t: pd.concat([t, t[:1]]), "a,b", "has 1 clips more than once: v0_0000"),
        (
            lambda t: t.assign(a=["much", *t["a"][1:]]),
            "a,b",
            "a of clip v0_0000 is not a finite number",
        ),
        (
            lambda t: t.assign(a=["inf", *t["a"][1:]]),
            "a,b",
            "a of clip v0_0000 is not a finite number",
        ),
        (
            lambda t: t.assign(id="x" + t["id"]),
            "a,b",
            "predicts none of the 40 labelled valid clips",
        ),
        (lambda t: t.assign(a=np.nan), "a,b", "a has no prediction at all of a valid clip"),
    ],
)
def test_a_wrong_table_is_one_clear_error(msa, files, change, columns, message):
    change(pd.read_csv(files[0])).to_csv(files[0], index=False)
    code, out, error = fuse(msa, files, "--columns", columns)
    assert (code, out) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_a_place_that_cannot_be_written_is_one_clear_error(msa, files, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, error = fuse(msa, files, "--columns", "a,b", "--out", tmp_path / "file" / "f.csv")
    assert code == 1
    assert "cannot be written" in error
