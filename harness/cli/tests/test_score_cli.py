"""``msa score``: whose labels are taken, what contradicts them, what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.home import Home
from harness.tests.official_labels import clips_of, predictions_for, write_table

CLIPS = [(f"v{k // 4}", f"{k % 4:04d}") for k in range(40)]
TRUTH = (np.random.default_rng(1).integers(-15, 16, 40) / 5).tolist()


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    table = pd.DataFrame(CLIPS, columns=["video_id", "clip_id"])
    return write_table(table.assign(text="t", label=TRUTH, mode="test"), tmp_path / "label.csv")


def table(**columns: object) -> pd.DataFrame:
    ids = [f"{video}_{clip}" for video, clip in CLIPS]
    pred = np.array(TRUTH) + np.random.default_rng(2).normal(0, 0.4, 40)
    return pd.DataFrame({"id": ids, "pred": pred}).assign(**columns)


def stored(msa, tmp_path: Path, dataset: str, keep, name: str = "label-csv-own") -> None:
    """Store a corpus of the clips of an official split that are kept."""
    clips = clips_of(dataset)
    path = write_table(clips[keep(clips)], tmp_path / f"{name}.csv")
    code, _, errors = msa("data", "add", path, "--dataset", dataset, "--feature-set", name)
    assert (code, errors) == (0, "")


def scored(msa, file: Path, *more: object, dataset: str = "mosi") -> list[dict]:
    code, text, errors = msa("score", file, "--dataset", dataset, *more, "--json")
    assert code == 0, errors
    return json.loads(text)


# Labels in the file


@pytest.mark.parametrize(
    ("own", "cause"),
    [
        (np.random.default_rng(0).permutation(TRUTH), "shuffle=True"),
        (np.roll(TRUTH, 1), "shifted by one"),
        (-np.array(TRUTH), "the sign is turned round"),
        (np.round(TRUTH), "rounded to integers"),
        (np.array(TRUTH) / 3, "another scale"),
    ],
)
@pytest.mark.parametrize("how", ["file", "corpus"])
def test_a_file_whose_labels_are_not_the_known_ones_is_refused(
    msa, labels, tmp_path, own, cause, how
) -> None:
    file = write_table(table(label=own), tmp_path / "p.csv")
    source = ("--labels", labels)
    if how == "corpus":
        msa("data", "add", labels, "--dataset", "mosi")
        source = ("--corpus", "mosi@label-csv-own")
    code, text, errors = msa("score", file, "--dataset", "mosi", *source)
    assert (code, text) == (2, "")
    assert " of 40 labels in p.csv contradict " in errors
    assert cause in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_labels_that_agree_change_nothing(msa, labels, tmp_path, suffix) -> None:
    plain = scored(msa, write_table(table(), tmp_path / f"a{suffix}"), "--labels", labels)
    with_labels = write_table(table(label=np.float32(TRUTH).astype(float)), tmp_path / f"b{suffix}")
    assert scored(msa, with_labels, "--labels", labels) == plain
    assert plain[0]["warnings"] == []


def test_one_wrong_label_is_a_warning_and_the_known_one_counts(msa, labels, tmp_path) -> None:
    file = write_table(table(label=[TRUTH[0] + 1, *TRUTH[1:]]), tmp_path / "p.csv")
    (row,) = scored(msa, file, "--labels", labels)
    (plain,) = scored(msa, write_table(table(), tmp_path / "q.csv"), "--labels", labels)
    assert row["scores"] == plain["scores"]
    assert [one["kind"] for one in row["warnings"]] == ["labels-differ"]
    _, _, errors = msa("score", file, "--dataset", "mosi", "--labels", labels)
    assert errors.startswith("warning: 1 of 40 labels in p.csv contradict label.csv (2.5%: v0_0000")


def test_rows_of_one_clip_that_differ_are_refused_without_any_other_labels(
    msa, home: Home, tmp_path
) -> None:
    both = pd.concat([table(label=TRUTH, seed=1), table(label=TRUTH[::-1], seed=2)])
    code, _, errors = msa("score", write_table(both, tmp_path / "p.csv"), "--dataset", "mosi")
    assert code == 2
    assert "clips of p.csv have several labels" in errors


def test_a_label_file_and_a_stored_corpus_that_differ_are_both_named(msa, labels, tmp_path) -> None:
    other = pd.read_csv(labels, dtype=str).assign(label=TRUTH[::-1])
    write_table(other, tmp_path / "other.csv")
    msa("data", "add", tmp_path / "other.csv", "--dataset", "mosi")
    (row,) = scored(msa, write_table(table(), tmp_path / "p.csv"), "--labels", labels)
    (warning,) = row["warnings"]
    assert " labels in label.csv contradict mosi@label-csv-own (" in warning["text"]


def test_labels_as_predictions_are_noticed(msa, labels, tmp_path) -> None:
    file = write_table(table(pred=TRUTH), tmp_path / "p.csv")
    (row,) = scored(msa, file, "--labels", labels)
    assert [one["kind"] for one in row["warnings"]] == ["labels-copied"]
    assert row["scores"]["mae"] == 0
    _, _, errors = msa("score", file, "--dataset", "mosi", "--labels", labels)
    assert "40 of 40 predictions equal their label: these are the labels" in errors


# Ids and what is left out


def test_ten_ids_with_blanks_are_scored_like_the_others(msa, labels, tmp_path) -> None:
    spoilt = table()
    spoilt.loc[:9, "id"] += " "
    (row,) = scored(msa, write_table(spoilt, tmp_path / "p.csv"), "--labels", labels)
    (plain,) = scored(msa, write_table(table(), tmp_path / "q.csv"), "--labels", labels)
    assert row == plain
    assert row["clips"] == 40


@pytest.mark.parametrize(
    ("spell", "cause"),
    [
        (lambda clip: clip.replace("_000", "_"), "leading zeros were lost"),
        (str.upper, "upper and lower case differ"),
        (lambda clip: "_".join(clip.split("_")[::-1]), "video and clip are swapped"),
        (lambda clip: f"{clip}.mp4", "joined otherwise"),
        (lambda clip: clip.replace("0", "０", 1), "look alike"),
    ],
)
@pytest.mark.parametrize("rows", [3, 40])
def test_misspelt_ids_are_named_even_when_few(msa, labels, tmp_path, spell, cause, rows) -> None:
    spoilt = table()
    spoilt.loc[: rows - 1, "id"] = spoilt["id"][:rows].map(spell)
    code, _, errors = msa(
        *("score", write_table(spoilt, tmp_path / "p.csv"), "--dataset", "mosi"),
        *("--labels", labels),
    )
    assert code == 2
    assert f"{rows} of 40 ids are no clips of the labels: {cause}" in errors.replace(
        "video and clip are joined", "joined"
    ).replace("they hold characters that look", "look")


def test_what_is_left_out_is_counted_and_shown(msa, labels, tmp_path) -> None:
    other = pd.DataFrame({"id": [f"x_{k}" for k in range(2)], "pred": 0.0})
    file = write_table(pd.concat([table()[5:], other]), tmp_path / "p.csv")
    (row,) = scored(msa, file, "--labels", labels)
    assert (row["clips"], row["missing"], row["extra"]) == (35, 5, 2)
    assert row["missing_examples"] == ["v0_0000", "v0_0001", "v0_0002"]
    assert row["extra_examples"] == ["x_0", "x_1"]
    _, text, _ = msa("score", file, "--dataset", "mosi", "--labels", labels)
    assert "5 labelled clips without a prediction (v0_0000, v0_0001, v0_0002, …)" in text
    assert "2 predictions without a label (x_0, x_1); labels: label.csv" in text


# Corpora that are not the official split


def test_a_corpus_of_single_clips_is_named_and_taken_only_when_asked_for(
    msa, labels, tmp_path
) -> None:
    file = write_table(table(), tmp_path / "p.csv")
    msa("data", "add", labels, "--dataset", "mosi")
    code, _, errors = msa("score", file, "--dataset", "mosi")
    assert code == 2
    assert "the stored corpus mosi@label-csv-own is not the official split of CMU-MOSI" in errors
    assert "0 of 1,284 train, 0 of 229 valid and 40 of 686 test clips" in errors
    assert "next: --labels LABEL.CSV, or --corpus mosi@label-csv-own" in errors
    (row,) = scored(msa, file, "--corpus", "mosi@label-csv-own")
    assert row["clips"] == 40
    assert row["labels"].startswith("mosi@label-csv-own (0 of 1,284 train")
    assert row["labels"].endswith("not the official split)")


def test_a_release_that_lacks_single_clips_is_taken_and_marked(msa, home, tmp_path) -> None:
    stored(msa, tmp_path, "simsv2", lambda t: t.index != t.index[t["mode"] == "test"][0])
    file = write_table(predictions_for("simsv2"), tmp_path / "p.csv")
    (row,) = scored(msa, file, dataset="simsv2")
    own = "(1,033 of 1,034 test clips; not the official split)"
    assert row["labels"] == f"simsv2@label-csv-own {own}"
    assert (row["clips"], row["missing"], row["extra"]) == (1033, 0, 1)
    code, text, _ = msa("submit", file, "--dataset", "simsv2", "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["clips"], found["expected"], found["left_out"]) == (1033, 1034, 1)
    flags = {flag["kind"]: flag["text"] for flag in found["flags"]}
    assert flags["labels-not-official"] == (
        "labels are not the official split: 1,033 of 1,034 test clips;"
        " 1 predicted clips have no label there"
    )


@pytest.mark.parametrize(("lacking", "taken"), [(1, True), (34, True), (35, False), (600, False)])
def test_a_twentieth_of_a_split_may_be_lacking(msa, home, tmp_path, lacking, taken) -> None:
    test = clips_of("mosi").index[clips_of("mosi")["mode"] == "test"]
    stored(msa, tmp_path, "mosi", lambda t: ~t.index.isin(test[:lacking]))
    file = write_table(predictions_for("mosi"), tmp_path / "p.csv")
    code, _, errors = msa("score", file, "--dataset", "mosi")
    assert code == (0 if taken else 2)
    assert ("is not the official split of CMU-MOSI" in errors) == (not taken)
    code, _, errors = msa("submit", file, "--dataset", "mosi", "--dry-run")
    assert code == (0 if taken else 2)
    code, _, errors = msa(
        *("submit", file, "--dataset", "mosi", "--dry-run", "--corpus", "mosi@label-csv-own")
    )
    assert code == (0 if taken else 2)


def test_the_official_split_wins_and_then_the_nearest_to_it(msa, home, tmp_path) -> None:
    test = clips_of("mosi").index[clips_of("mosi")["mode"] == "test"]
    stored(msa, tmp_path, "mosi", lambda t: ~t.index.isin(test[:9]), "a")
    stored(msa, tmp_path, "mosi", lambda t: ~t.index.isin(test[:2]), "b")
    file = write_table(predictions_for("mosi"), tmp_path / "p.csv")
    (row,) = scored(msa, file)
    assert row["labels"].startswith("mosi@b (684 of 686 test clips")
    stored(msa, tmp_path, "mosi", lambda t: t.index >= 0, "c")
    assert scored(msa, file)[0]["labels"] == "mosi@c"


def test_other_data_is_no_source_of_labels(msa, home, labels, tmp_path) -> None:
    msa("data", "add", labels, "--dataset", "mosei")
    file = write_table(table(), tmp_path / "p.csv")
    for arguments, message in (
        ((), "no labels of mosi at hand to score against"),
        (("--corpus", "mosei@label-csv-own"), "does not hold the labels of CMU-MOSI"),
        (("--corpus", "mosi@label-csv-own"), "corpus 'mosi@label-csv-own' is not here"),
        (("--corpus", "x", "--labels", labels), "--labels or --corpus, not both"),
        (("--split", "tets"), "--split takes train, valid, test; found 'tets'"),
        (("--labels", labels, "--split", "valid"), "label.csv has no valid clips (it has 40 test)"),
    ):
        code, _, errors = msa("score", file, "--dataset", "mosi", *arguments)
        assert code == 2
        assert message in errors


def test_a_small_corpus_still_contradicts_the_labels_of_a_file(msa, labels, tmp_path) -> None:
    msa("data", "add", labels, "--dataset", "mosi")
    right = write_table(table(label=TRUTH), tmp_path / "right.csv")
    (row,) = scored(msa, right)
    assert row["labels"] == "the file's own label column (unverified)"
    wrong = write_table(table(label=TRUTH[::-1]), tmp_path / "wrong.csv")
    code, _, errors = msa("score", wrong, "--dataset", "mosi")
    assert code == 2
    assert "labels in wrong.csv contradict mosi@label-csv-own" in errors
