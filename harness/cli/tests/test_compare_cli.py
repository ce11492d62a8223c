"""``msa compare`` as a user runs it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.home import Home
from harness.runs.store import RunStore
from harness.runs.tests.test_prediction_cells import BEFORE
from harness.spec import PredictionCell
from harness.tests.official_labels import write_table
from harness.tests.research import research_data
from harness.tests.stores import NotRun, Off, Row, make_corpus, make_store


def write(path: Path, noise: float, seeds: int, *, skip: int = 0, label: bool = True) -> Path:
    """Predictions of ten videos of six clips, one row per clip and seed."""
    generator = np.random.default_rng(int(noise * 100))
    truth = np.random.default_rng(0).integers(-3, 4, 60).astype(float)
    columns = ["id", "pred", "seed", *(["label"] if label else [])]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for seed in range(seeds):
            for clip in range(skip, 60):
                pred = truth[clip] + generator.normal(0, noise)
                row = [f"a_video_{clip // 6}_{clip % 6}", pred, seed, truth[clip]]
                writer.writerow(row[: len(columns)])
    return path


def test_a_clearly_better_system(msa, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", 0.2, 3), write(tmp_path / "b.csv", 2.0, 2, skip=4)
    arguments = ("compare", a, b, "--dataset", "mosi")
    code, text, _ = msa(*arguments, "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["clips"], found["left_out"], found["videos"]) == (56, 4, 10)
    assert (found["seeds_a"], found["seeds_b"]) == (3, 2)
    assert not found["conditional_on_one_run"]
    assert "last underscore" in found["source_videos"]
    rows = {row["metric"]: row for row in found["metrics"]}
    assert rows["mae"]["difference"] == pytest.approx(rows["mae"]["a"] - rows["mae"]["b"])
    assert rows["mae"]["low"] < rows["mae"]["difference"] < rows["mae"]["high"] < 0
    assert rows["mae"]["verdict"] == "a better"
    assert rows["mae"]["p_holm"] >= rows["mae"]["p"]
    assert rows["mae"]["standard_error"] > 0
    assert rows["mae"]["degrees"] >= 1
    assert rows["acc7"]["p_holm"] is None
    code, text, _ = msa(*arguments)
    assert code == 0
    assert "56 clips of 10 source videos, 4 labelled clips left out" in text
    assert "conditional on one run" not in text


def constant(path: Path, pred: str, seeds: int) -> Path:
    """As ``write``, each seed predicting one value everywhere."""
    truth = np.random.default_rng(0).integers(-3, 4, 60).astype(float)
    rows = [
        f"a_video_{clip // 6}_{clip % 6},{pred},{seed},{truth[clip]}"
        for seed in range(seeds)
        for clip in range(60)
    ]
    path.write_text("\n".join(["id,pred,seed,label", *rows]))
    return path


@pytest.mark.parametrize(
    ("dead", "runs", "of"),
    [("a", 1, "A"), ("a", 3, "A"), ("b", 1, "B"), ("b", 2, "B"), ("both", 2, "A and B")],
)
def test_a_constant_system_has_no_corr_and_the_reason_is_said(
    msa, tmp_path: Path, dead: str, runs: int, of: str
) -> None:
    files = [
        constant(tmp_path / f"{name}.csv", "0.25", runs)
        if dead in (name, "both")
        else write(tmp_path / f"{name}.csv", 0.5, 2)
        for name in ("a", "b")
    ]
    code, text, _ = msa("compare", *files, "--dataset", "mosi")
    assert code == 0
    (row,) = (line for line in text.splitlines() if line.startswith("corr  "))
    assert "undefined" in row
    assert f"corr is undefined for {of}: predictions or labels are constant" in text
    assert "nan" not in text


def test_the_same_file_twice_is_equivalent(msa, tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", 0.5, 1)
    code, text, _ = msa("compare", a, a, "--dataset", "mosi")
    assert code == 0
    assert "conditional on one run of A and of B: this compares these checkpoints" in text
    (row,) = (line for line in text.splitlines() if line.startswith("mae"))
    assert "checkpoints equivalent" in row


@pytest.mark.parametrize(
    ("runs", "said", "about", "verdict"),
    [
        ((3, 3), (), "systems", "a better"),
        ((3, 1), (), "checkpoints", "checkpoint a better"),
        ((1, 3), (), "checkpoints", "checkpoint a better"),
        ((1, 3), ("a",), "systems", "a better"),
        ((1, 1), ("a",), "checkpoints", "checkpoint a better"),
        ((1, 1), ("a", "b"), "systems", "a better"),
    ],
)
def test_one_run_of_a_system_that_seeds_change_speaks_of_checkpoints(
    msa, tmp_path: Path, runs, said, about, verdict
) -> None:
    files = [
        write(tmp_path / f"{name}.csv", noise, seeds)
        for name, noise, seeds in zip("ab", (0.2, 2.0), runs, strict=True)
    ]
    options = [part for side in said for part in ("--deterministic", side)]
    code, text, _ = msa("compare", *files, "--dataset", "mosi", *options, "--json")
    found = json.loads(text)
    assert code == 0
    assert found["about"] == about
    assert {row["metric"]: row["verdict"] for row in found["metrics"]}["mae"] == verdict
    assert found["conditional_on_one_run"] == (min(runs) == 1)
    _, text, _ = msa("compare", *files, "--dataset", "mosi", *options)
    assert ("these checkpoints" in text) == (about == "checkpoints")
    assert verdict in text


def test_how_many_runs_would_allow_a_claim_is_said_where_it_can_be_told(msa, tmp_path) -> None:
    once, often = write(tmp_path / "a.csv", 0.4, 1), write(tmp_path / "b.csv", 1.2, 4)
    _, text, _ = msa("compare", once, often, "--dataset", "mosi")
    assert "runs of each that a claim about the systems would take: mae 2" in text
    _, text, _ = msa("compare", once, often, "--dataset", "mosi", "--json")
    needed = {row["metric"]: row["seeds_needed"] for row in json.loads(text)["metrics"]}
    assert needed["mae"] == 2
    assert all(seeds is None or seeds >= 2 for seeds in needed.values())
    near = write(tmp_path / "c.csv", 1.201, 1)
    _, text, _ = msa("compare", near, often, "--dataset", "mosi", "--json")
    (mae, *_) = json.loads(text)["metrics"]
    assert mae["seeds_needed"] is None, "the clips alone leave too much"
    _, text, _ = msa("compare", once, once, "--dataset", "mosi")
    assert "give two runs of either at least" in text


def test_a_side_that_no_seed_changes_is_given_no_spread(msa, tmp_path) -> None:
    once, often = write(tmp_path / "a.csv", 0.8, 1), write(tmp_path / "b.csv", 1.2, 4)
    needed = []
    for options in ((), ("--deterministic", "a")):
        _, text, _ = msa("compare", once, often, "--dataset", "mosi", *options, "--json")
        needed.append(json.loads(text)["metrics"][0]["seeds_needed"])
    assert needed[1] <= needed[0]


@pytest.mark.parametrize(
    ("label", "extra", "message"),
    [
        (False, (), "no labels of mosi at hand"),
        (True, ("--deterministic", "c"), "--deterministic takes a or b, found 'c'"),
        (True, ("--dataset", "moji"), "unknown dataset 'moji'"),
    ],
)
def test_a_mistake_is_one_clear_error(msa, tmp_path, label, extra, message) -> None:
    a = write(tmp_path / "a.csv", 0.5, 1, label=label)
    code, _, errors = msa("compare", a, a, "--dataset", "mosi", *extra)
    assert code == 2
    assert message in errors


def test_files_of_different_clips_share_nothing(msa, tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", 0.5, 1)
    (tmp_path / "b.csv").write_text("id,pred\nelse_1,0.5\n")
    code, _, errors = msa("compare", a, tmp_path / "b.csv", "--dataset", "mosi")
    assert code == 2
    assert "no labelled clip is predicted by every run" in errors


def clips(labels: list[float] | None, *, ids: range = range(60), off: float = 0.3) -> pd.DataFrame:
    """Predictions of some of sixty clips, with or without a label beside each."""
    truth = np.random.default_rng(0).integers(-15, 16, 60) / 5
    columns = {"id": [f"v{k // 6}_{k % 6}" for k in ids], "pred": [truth[k] + off for k in ids]}
    return pd.DataFrame(columns if labels is None else columns | {"label": labels})


TRUTH = (np.random.default_rng(0).integers(-15, 16, 60) / 5).tolist()


def compared(msa, a: Path, b: Path, *more: object) -> tuple[int, str, str]:
    return msa("compare", a, b, "--dataset", "mosi", *more)


@pytest.mark.parametrize("turned", [False, True])
def test_files_whose_labels_contradict_each_other_are_refused(msa, tmp_path, turned) -> None:
    files = [
        write_table(clips(TRUTH), tmp_path / "a.csv"),
        write_table(clips(TRUTH[::-1]), tmp_path / "b.csv"),
    ]
    code, _, errors = compared(msa, *(files[::-1] if turned else files))
    assert code == 2
    assert " of 60 labels in a.csv contradict b.csv (" in errors
    assert "the labels are those of other clips" in errors


@pytest.mark.parametrize("turned", [False, True])
def test_the_labels_of_either_file_serve_both(msa, tmp_path, turned) -> None:
    files = [
        write_table(clips(TRUTH[:50], ids=range(50)), tmp_path / "a.csv"),
        write_table(clips(None, off=0.5), tmp_path / "b.csv"),
    ]
    code, text, _ = compared(msa, *(files[::-1] if turned else files), "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["clips"], found["left_out"]) == (50, 0)
    sides = found["left_out_by"]
    extra = {name: sides[name]["extra"] for name in sides}
    assert extra == ({"a": 10, "b": 0} if turned else {"a": 0, "b": 10})


def test_single_clips_on_which_files_do_not_agree_are_left_out_in_both_orders(msa, tmp_path):
    other = [TRUTH[0] + 1, *TRUTH[1:]]
    a = write_table(clips(TRUTH), tmp_path / "a.csv")
    b = write_table(clips(other, off=0.1), tmp_path / "b.csv")
    texts = {}
    for pair in ((a, b), (b, a)):
        code, text, errors = compared(msa, *pair, "--json")
        found = json.loads(text)
        assert code == 0
        assert found["clips"] == 59
        assert "warning: 1 of 60 labels in a.csv contradict b.csv (1.7%: v0_0 " in errors
        texts[pair[0].name] = found["warnings"]
    assert texts["a.csv"] == texts["b.csv"]


@pytest.mark.parametrize("which", [0, 1])
def test_each_file_is_compared_with_the_label_file(msa, tmp_path, which) -> None:
    truth = clips(TRUTH)[["id", "label"]].assign(text="t", mode="test")
    truth[["video_id", "clip_id"]] = truth["id"].str.split("_", expand=True)
    labels = write_table(truth.drop(columns="id"), tmp_path / "label.csv")
    pair = [write_table(clips(TRUTH), tmp_path / f"{name}.csv") for name in "ab"]
    write_table(clips(np.roll(TRUTH, 1).tolist()), pair[which])
    code, _, errors = compared(msa, *pair, "--labels", labels)
    assert code == 2
    assert f"labels in {pair[which].name} contradict label.csv" in errors
    assert "rows are shifted by one" in errors


def test_what_each_side_lacks_is_listed(msa, tmp_path) -> None:
    a = write_table(clips(TRUTH), tmp_path / "a.csv")
    b = write_table(clips(None, ids=range(4, 60), off=0.1), tmp_path / "b.csv")
    code, text, _ = compared(msa, a, b)
    assert code == 0
    assert "56 clips of 10 source videos, 4 labelled clips left out" in text
    assert "left out because a run of B lacks them: 4 (v0_0, v0_1, v0_2, …)" in text
    assert "a run of A lacks" not in text
    _, text, _ = compared(msa, a, b, "--json")
    sides = json.loads(text)["left_out_by"]
    assert sides["a"]["missing"] == 0
    assert (sides["b"]["missing"], sides["b"]["missing_examples"]) == (4, ["v0_0", "v0_1", "v0_2"])


def test_misspelt_ids_of_one_side_are_named(msa, tmp_path) -> None:
    a = write_table(clips(TRUTH), tmp_path / "a.csv")
    table = clips(None, off=0.1)
    table.loc[:6, "id"] = table["id"][:7].str.upper()
    code, _, errors = compared(msa, a, write_table(table, tmp_path / "b.csv"))
    assert code == 2
    assert "b.csv: 7 of 60 ids are no clips of the labels: upper and lower case differ" in errors


def test_labels_as_predictions_are_noticed(msa, tmp_path) -> None:
    a = write_table(clips(TRUTH, off=0.0), tmp_path / "a.csv")
    b = write_table(clips(TRUTH), tmp_path / "b.csv")
    code, _, errors = compared(msa, a, b)
    assert code == 0
    assert "warning: 60 of 60 predictions of A equal their label" in errors
    assert "of B equal" not in errors


@pytest.mark.data
def test_two_real_checkpoints(msa) -> None:
    a, b = (research_data("predictions", f"mag_bert_mosi_{x}.csv") for x in "ab")
    truth = research_data("mosi", "label.csv")
    code, text, _ = msa("compare", a, b, "--dataset", "mosi", "--labels", truth, "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["clips"], found["videos"], found["left_out"]) == (685, 31, 1)
    assert found["conditional_on_one_run"]
    verdicts = {row["metric"]: row["verdict"] for row in found["metrics"]}
    assert verdicts["mae"] == "checkpoint b better"


@pytest.fixture
def stored(msa):
    """Three rows on two corpora of MOSI and a twin of MOSEI."""
    names = ("mosi@label-csv", "mosi@own", "mosei-twin@small")
    rows = [
        Row(label="Good (x)", cells={1: Off(0.2), 2: Off(0.3), 3: Off(0.25)}),
        Row(label="Bad", cells={1: Off(2.0), 2: Off(1.5), 3: Off(1.8)}),
        Row(label="Planned", cells={1: NotRun()}),
        Row(label="Ridge", cells={0: Off(0.9)}, deterministic=True),
        Row(label="Once", cells={1: Off(0.9)}),
    ]
    make_store(Home.default().store, rows, [make_corpus(name) for name in names], suite="s")
    return msa


def test_stored_rows_are_compared_on_the_labels_they_were_run_on(stored) -> None:
    code, text, _ = stored(*("compare", "s/mosi@own:Good (x)", "s/mosi@own:Bad", "--json"))
    assert code == 0
    found = json.loads(text)
    assert (found["clips"], found["seeds_a"], found["labels"]) == (24, 3, "mosi@own")
    assert found["metrics"][0]["verdict"] == "a better"


@pytest.mark.parametrize(("row", "about"), [("Ridge", "systems"), ("Once", "checkpoints")])
def test_stored_rows_say_whether_seeds_change_them(stored, row: str, about: str) -> None:
    code, text, _ = stored("compare", f"s/mosi@own:{row}", "s/mosi@own:Bad", "--json")
    assert code == 0
    assert json.loads(text)["about"] == about


def test_a_file_beside_a_stored_row_is_compared_with_the_labels_of_its_runs(stored, tmp_path):
    clips = make_corpus("mosi@own").split("test").clips
    table = clips[["id", "label"]].assign(pred=clips["label"] + 0.5)
    right = write_table(table, tmp_path / "right.csv")
    code, text, _ = stored("compare", right, "s/mosi@own:Bad", "--json")
    assert code == 0
    assert json.loads(text)["warnings"] == []
    for order in (1, -1):
        wrong = write_table(table.assign(label=-table["label"]), tmp_path / "wrong.csv")
        pair = [wrong, "s/mosi@own:Bad"][::order]
        code, _, errors = stored("compare", *pair)
        assert code == 2
        assert "labels in wrong.csv contradict mosi@own (" in errors
        assert "the sign is turned round" in errors


def test_a_row_on_one_corpus_of_the_dataset_needs_no_corpus(stored, tmp_path: Path) -> None:
    code, text, _ = stored("compare", "s:Good (x)", "s:Bad", "--dataset", "mosei")
    assert code == 0
    assert "labels: mosei-twin@small" in text


def test_narrower_tests_come_with_their_verdict(stored, tmp_path: Path) -> None:
    pair = ("compare", "s/mosi@own:Good (x)", "s/mosi@own:Bad")
    code, text, _ = stored(*pair, "--narrower")
    assert code == 0
    assert "paired t over seeds" in text
    assert "invalid for new clips" in text
    assert "powerless: with 3 seeds p cannot fall below 0.25" in text
    one = write(tmp_path / "a.csv", 0.5, 1), write(tmp_path / "b.csv", 0.9, 1)
    code, text, _ = stored("compare", *one, "--dataset", "mosi", "--narrower")
    assert code == 0
    assert "McNemar, exact" in text
    assert "sign flips over clips" in text
    assert "these two checkpoints" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s:Good (x)", "s:Bad", "--dataset", "mosi"), "found mosi@label-csv, mosi@own"),
        (("s:Good (x)", "s:Bad"), "should be on one fitting corpus"),
        (
            ("s:Goood", "s:Bad"),
            "no row 'Goood' (rows: 'Good (x)', 'Bad', 'Planned', 'Ridge', 'Once')",
        ),
        (("t:Good (x)", "s:Bad"), "suite 't' has not been run here"),
        (("s/mosi@own:Planned", "s/mosi@own:Bad"), "has no finished run"),
        (("s/mosi@own:Bad", "s/mosei-twin@small:Bad"), "compared on one dataset"),
        (("submission:x", "s/mosi@own:Bad"), "looked up by dataset"),
        (
            ("s/mosi@own:Bad", "s/mosi@own:Bad", "--split", "train"),
            "no predictions for 'train'",
        ),
        (("nothing.csv", "s/mosi@own:Bad"), "no such file"),
        (
            ("s/mosi@own:Bad", "s/mosi@own:Bad", "--deterministic", "b"),
            "--deterministic b: B has 3 runs",
        ),
    ],
)
def test_what_cannot_be_compared_says_so(stored, arguments, message: str) -> None:
    code, _, error = stored("compare", *arguments)
    assert code in (1, 2)
    assert message in error


@pytest.fixture
def gridded(home: Home) -> RunStore:
    """Runs under a grid of conditions, of a network and a constant."""
    shutil.copytree(BEFORE, home.store)
    return RunStore(home.store)


def test_stored_rows_are_compared_under_a_condition(msa, gridded: RunStore) -> None:
    rows = ("compare", "judged:qa_moe", "judged:train_mean")
    records = {}
    for condition in ("clean", "only:audio"):
        code, text, error = msa(*rows, "--condition", condition, "--json")
        assert code == 0, error
        records[condition] = json.loads(text)
        assert (records[condition]["condition"], records[condition]["variant"]) == (
            condition,
            "plain",
        )
    clean, audio = (found["metrics"][0] for found in records.values())
    assert clean["a"] != audio["a"] and clean["b"] == audio["b"]
    assert msa(*rows, "--json")[1] == msa(*rows, "--condition", "clean", "--json")[1]
    code, text, _ = msa(*rows, "--condition", "only:audio")
    assert code == 0 and "test under only:audio, plain: 6 clips" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--condition", "noise=0.4"),
            "no predictions for 'test' under condition noise=0.4, plain",
        ),
        (("--variant", "excluded"), "no predictions for 'test' under condition clean, excluded"),
        (("--condition", "excluded"), "no condition is called 'excluded'"),
        (("--condition", "only:text", "--split", "valid"), "no predictions for 'valid'"),
    ],
)
def test_rows_without_such_predictions_are_refused(msa, gridded, options, said) -> None:
    code, _, error = msa("compare", "judged:train_mean", "judged:zero", *options)
    assert code == 2 and said in error


def test_files_are_compared_in_the_variant_asked_for(msa, gridded, tmp_path: Path) -> None:
    """The same from the table of a run as from the store; what is left out is said."""
    (run,) = (run for run in gridded if run.manifest.spec.system == "mllm")
    labels = gridded.truth(run.manifest.spec.data).set_index("id")["label"]
    table = run.table().query("split == 'test'").drop(columns="split")
    table = table.assign(label=table["id"].map(labels))
    file = write_table(table, tmp_path / "asked.csv")
    options = ("--dataset", "mosi", "--variant", "worst_case", "--json")
    code, text, error = msa("compare", file, file, *options)
    assert code == 0, error
    assert json.loads(text)["metrics"][0]["a"] == pytest.approx(
        float((run.predictions("test", PredictionCell(variant="worst_case")) - labels).abs().mean())
    )
    assert "35 of 41 rows of asked.csv are of another condition or variant" in error
    code, text, error = msa("score", file, "--dataset", "mosi", "--variant", "excluded", "--json")
    (scored,) = json.loads(text)
    assert (scored["clips"], scored["condition"], scored["variant"]) == (5, "clean", "excluded")
    assert "36 of 41 rows" in error
    code, text, _ = msa("score", file, "--dataset", "mosi", "--variant", "excluded")
    assert code == 0 and "test under clean, excluded: 5 clips scored" in text


def _labelled(path: Path) -> Path:
    """The labels of ``write`` with a transcript each."""
    truth = np.random.default_rng(0).integers(-3, 4, 60).astype(float)
    said = [f"a_video_{i // 6},{i % 6},{'not ' * (i % 2)}good,{truth[i]},test" for i in range(60)]
    path.write_text("\n".join(["video_id,clip_id,text,label,mode", "t,0,good,1.0,train", *said]))
    return path


def test_slices_are_corrected_together_and_small_ones_said_to_be(msa, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", 0.2, 3), write(tmp_path / "b.csv", 2.0, 3)
    labels = _labelled(tmp_path / "label.csv")
    arguments = ("compare", a, b, "--dataset", "mosi", "--labels", labels, "--slices", "mae")
    code, text, complaint = msa(*arguments, "--json")
    assert code == 0, complaint
    rows = {(row["slicing"], row["part"]): row for row in json.loads(text)["slices"]}
    negated = rows["negation", "negated"]
    assert (negated["clips"], negated["videos"], negated["metric"]) == (30, 10, "mae")
    assert negated["verdict"] == "a better"
    assert negated["p"] < negated["p_holm"]
    small = next(row for row in rows.values() if row["clips"] < 20)
    assert small["verdict"].startswith("too small")
    assert small["difference"] is None
    code, text, _ = msa(*arguments)
    tested = sum(row["p"] is not None for row in rows.values())
    assert f"slices, in mae; Holm p is corrected for all {tested} of them" in text


def test_slices_need_what_tells_them(msa, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", 0.2, 3), write(tmp_path / "b.csv", 2.0, 3)
    arguments = ("compare", a, b, "--dataset", "mosi", "--slices")
    code, _, said = msa(*arguments, "mae")
    assert code == 2
    assert "nothing tells their slices" in said
    assert "--labels LABEL.CSV" in said
    code, _, said = msa(*arguments, "wer")
    assert code == 2
    assert "unknown metric 'wer'" in said
