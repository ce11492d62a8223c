"""``msa fuse``: weights from valid, scores on test, one clear error per mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear

from harness.metrics import score
from harness.tests.official_labels import write_table

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


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("a,a", "--columns names a twice"),
        ("a,,b", "--columns names an empty column"),
        ("", "--columns names an empty column"),
        ("id,a", "--columns names id, which is no system's predictions"),
        ("a,label", "--columns names label, which is no system's predictions"),
        ("a,A", "expected a column A; found id, a, b, against"),
    ],
)
def test_columns_that_are_no_systems_are_refused(msa, files, columns, message):
    code, out, error = fuse(msa, files, "--columns", columns)
    assert (code, out) == (2, "")
    assert message in error


@pytest.mark.parametrize("kind", ["bool", "date", "list", "struct", "text", "inf", "bytes"])
def test_cells_that_are_no_numbers_are_refused(msa, files, tmp_path, kind):
    table = pd.read_csv(files[0])
    cells = {
        "bool": table["a"] > 0,
        "date": pd.Timestamp("2020-01-01"),
        "list": [[value] for value in table["a"]],
        "struct": [{"v": value} for value in table["a"]],
        "text": "tensor(0.5)",
        "inf": np.inf,
        "bytes": b"1",
    }
    path = tmp_path / "table.parquet"
    table.assign(a=cells[kind]).to_parquet(path)
    code, out, error = fuse(msa, (path, files[1]), "--columns", "a,b")
    assert (code, out) == (2, "")
    assert "table.parquet: a of clip v0_0000 is not a finite number (" in error
    assert "74 such clips" in error


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize("spell", ["{}$_${}", "{}[{}]", " {}_{} ", None])
def test_ids_in_every_spelling_give_the_same_fusion(msa, files, tmp_path, suffix, spell):
    table = pd.read_csv(files[0])
    parts = table["id"].str.split("_", expand=True)
    if spell is None:
        other = table.drop(columns="id").assign(video_id=parts[0], clip_id=parts[1])
    else:
        other = table.assign(id=[spell.format(*pair) for pair in parts.to_numpy()])
    path = write_table(other, tmp_path / f"other{suffix}")
    _, expected, _ = fuse(msa, files, "--columns", "a,b", "--json")
    code, text, _ = fuse(msa, (path, files[1]), "--columns", "a,b", "--json")
    assert code == 0
    assert json.loads(text)[-1]["mae"] == pytest.approx(json.loads(expected)[-1]["mae"])


@pytest.mark.parametrize("value", [0.25, 0.1, -0.3])
def test_a_constant_column_has_no_weight_and_says_so(msa, files, value):
    pd.read_csv(files[0]).assign(b=value).to_csv(files[0], index=False)
    code, text, errors = fuse(msa, files, "--columns", "a,b", "--json")
    rows = {row["system"]: row for row in json.loads(text)}
    assert code == 0
    assert rows["b"]["weight"] == 0
    assert f"warning: b predicts {value:g} for every valid clip: it has weight 0" in errors
    assert {one["kind"] for one in rows["fusion"]["warnings"]} == {"constant"}
    _, text, _ = fuse(msa, files, "--columns", "a", "--json")
    assert json.loads(text)[-1]["mae"] == pytest.approx(rows["fusion"]["mae"])


@pytest.mark.parametrize(
    ("make", "alike"),
    [
        (lambda t: t["a"], "a, b"),
        (lambda t: 2 * t["a"] + 1, "a, b"),
        (lambda t: t["a"] + t["against"], "a, b, against"),
    ],
)
def test_weights_that_valid_does_not_determine_are_named(msa, files, make, alike):
    table = pd.read_csv(files[0])
    table.assign(b=make(table)).to_csv(files[0], index=False)
    code, text, errors = fuse(msa, files, "--columns", "a,b,against", "--json")
    assert code == 0
    assert f"the valid clips cannot tell the weights of {alike} apart" in errors
    _, text, _ = fuse(msa, files, "--columns", "a,against", "--json")
    assert json.loads(text)[0]["warnings"] == []


def test_labels_in_the_table_are_compared_with_the_known_ones(msa, files):
    table, truth = pd.read_csv(files[0]), pd.read_csv(files[1])["label"]
    table.assign(label=truth).to_csv(files[0], index=False)
    code, text, _ = fuse(msa, files, "--columns", "a,b", "--json")
    assert code == 0
    assert json.loads(text)[0]["warnings"] == []
    table.assign(label=truth.to_numpy()[::-1]).to_csv(files[0], index=False)
    code, out, error = fuse(msa, files, "--columns", "a,b")
    assert (code, out) == (2, "")
    assert "labels in table.csv contradict label.csv" in error


def test_labels_in_the_table_do_not_say_what_is_valid(msa, files):
    table, truth = pd.read_csv(files[0]), pd.read_csv(files[1])["label"]
    table.assign(label=truth).to_csv(files[0], index=False)
    code, out, error = msa("fuse", files[0], "--dataset", "sims", "--columns", "a,b")
    assert (code, out) == (2, "")
    assert "do not say which clips are valid and which are test" in error


def test_what_is_left_out_is_counted(msa, files):
    table = pd.read_csv(files[0])
    table.loc[table.index[-5:], "b"] = np.nan
    table.to_csv(files[0], index=False)
    _, text, _ = fuse(msa, files, "--columns", "a,b", "--json")
    rows = {row["system"]: row for row in json.loads(text)}
    assert (rows["a"]["missing"], rows["b"]["missing"]) == (0, 5)
    assert rows["b"]["missing_examples"] == table["id"].tolist()[-5:-2]
    assert (rows["fusion"]["extra"], rows["fusion"]["extra_examples"][0]) == (4, "v0_0000")
    _, text, _ = fuse(msa, files, "--columns", "a,b")
    assert "b lacks 5 test clips (" in text
    assert "left out, of neither valid nor test: 4 clips (v0_0000, " in text


def test_a_table_without_valid_clips_is_refused(msa, files):
    table = pd.read_csv(files[0])
    table[-30:].to_csv(files[0], index=False)
    code, out, error = fuse(msa, files, "--columns", "a,b")
    assert (code, out) == (2, "")
    assert "predicts none of the 40 labelled valid clips" in error


def test_the_fused_predictions_go_beside_json_and_never_over_the_table(msa, files, tmp_path):
    out = tmp_path / "new" / "fused.csv"
    code, text, errors = fuse(msa, files, "--columns", "a,b", "--json", "--out", out)
    assert code == 0
    assert json.loads(text)
    assert f"written: {out}" in errors
    assert len(pd.read_csv(out)) == 30
    before = files[0].read_bytes()
    code, _, error = fuse(msa, files, "--columns", "a,b", "--out", files[0])
    assert code == 2
    assert "would replace the table itself" in error
    assert files[0].read_bytes() == before


def test_a_label_column_without_a_label_is_no_source_of_labels(msa, files):
    table = pd.read_csv(files[0]).assign(label="")
    table.to_csv(files[0], index=False)
    code, _, errors = msa("fuse", files[0], "--dataset", "sims", "--columns", "a,b")
    assert code == 2
    assert "no labels of sims at hand to score against" in errors
    assert "next: msa data add LABEL.CSV --dataset sims" in errors
