"""``msa submit`` and ``msa lint`` as a user meets them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.home import Home
from harness.submissions import SubmissionStore
from harness.tests.official_labels import clips_of, predictions_for, store_official, write_table


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Home(tmp_path_factory.mktemp("official"))
    store_official(home, "sims", "mosi")
    return home.corpora


@pytest.fixture
def stocked(home: Home, corpora: Path) -> Home:
    shutil.copytree(corpora, home.corpora)
    return home


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_table(predictions_for("sims"), tmp_path / "mine.csv")


def stored(home: Home) -> SubmissionStore:
    return SubmissionStore(home.store)


def test_a_file_alone_is_enough(msa, stocked: Home, file: Path) -> None:
    code, text, errors = msa("submit", file, "--dataset", "sims")
    assert (code, errors) == (0, "")
    assert "mine on CH-SIMS test" in text
    assert "recomputed: predictions were given, the scores are computed here" in text
    assert "457 of 457, 1 run; labels: sims@label-csv" in text
    assert "paper       not stated" in text
    assert "! conditional on one run" in text
    assert "added: sims/mine" in text
    assert stored(stocked).names("sims") == ["mine"]
    assert msa("submit", file, "--dataset", "sims")[1].count("unchanged: sims/mine") == 1


def test_a_dry_run_stores_nothing(msa, stocked: Home, file: Path) -> None:
    code, text, _ = msa("submit", file, "--dataset", "sims", "--dry-run")
    assert code == 0
    assert "not stored" in text
    assert not (stocked.store / "submissions").exists()


@pytest.mark.parametrize(("constant", "runs"), [(1, 1), (2, 2), (1, 2), (1, 3), (3, 3)])
def test_an_undefined_metric_is_said_with_its_count(
    msa, stocked: Home, tmp_path: Path, constant: int, runs: int
) -> None:
    tables = [
        predictions_for("sims", by=0.1).assign(seed=seed)
        if seed >= constant
        else predictions_for("sims").assign(pred=0.25, seed=seed)
        for seed in range(runs)
    ]
    path = write_table(pd.concat(tables), tmp_path / "dead.parquet")
    code, text, errors = msa("submit", path, "--dataset", "sims", "--dry-run")
    assert (code, errors) == (0, "")
    (row,) = (line for line in text.splitlines() if line.startswith("Corr  "))
    assert row.split() == ["Corr", *["undefined"] * (1 if runs == 1 else 4)]
    reason = f"Corr is undefined in {constant} of {runs} runs: predictions or labels are constant"
    assert reason in text
    assert "nan" not in text


def test_json_has_the_record_and_the_scores_of_every_run(
    msa, stocked: Home, tmp_path: Path
) -> None:
    table = pd.concat(
        [predictions_for("sims", by=b).assign(seed=s) for s, b in ((1, 0.1), (2, 0.3))]
    )
    path = write_table(table, tmp_path / "two.parquet")
    code, text, _ = msa("submit", path, "--dataset", "sims", "--name", "two runs", "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["outcome"], found["badge"], found["clips"]) == ("added", "recomputed", 457)
    assert found["stated"] == {"name": "two runs"}
    assert set(found["scores"]) == {"1", "2"}
    assert found["scores"]["1"]["mae"] < found["scores"]["2"]["mae"]
    _, text, _ = msa("submit", path, "--dataset", "sims", "--name", "two runs")
    assert "2 runs" in text
    assert "lowest" in text


def test_a_manifest_names_and_describes(msa, stocked: Home, file: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.toml"
    manifest.write_text('name = "named"\ntitle = "A title"\nselection = "validation"\n')
    code, text, _ = msa("submit", file, "--dataset", "sims", "--manifest", manifest)
    assert code == 0
    assert text.startswith("A title on CH-SIMS test")
    assert stored(stocked).get("sims", "named").manifest.stated.selection == "validation"
    manifest.write_text('name = "named"\ntitle = "Another title"\n')
    code, _, errors = msa("submit", file, "--dataset", "sims", "--manifest", manifest)
    assert code == 2
    assert "sims already has a submission 'named' with other content" in errors
    assert "next: --replace, or --name another" in errors
    code, text, _ = msa("submit", file, "--dataset", "sims", "--manifest", manifest, "--replace")
    assert code == 0
    assert "replaced: sims/named" in text


def test_labels_come_from_a_file_or_a_corpus_but_never_from_the_submission(
    msa, home: Home, file: Path, tmp_path: Path
) -> None:
    own = predictions_for("sims")
    with_labels = write_table(own.assign(label=own["pred"].clip(-1, 1)), tmp_path / "own.csv")
    code, _, errors = msa("submit", with_labels, "--dataset", "sims")
    assert code == 2
    assert "no labels of sims at hand to score against" in errors
    clips_of("sims").to_csv(tmp_path / "label.csv", index=False)
    code, text, _ = msa("submit", file, "--dataset", "sims", "--labels", tmp_path / "label.csv")
    assert code == 0
    assert "labels: label.csv" in text


# Wrong submissions


Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def changed(**columns: Callable[[pd.DataFrame], object]) -> Spoil:
    return lambda table: table.assign(**{name: make(table) for name, make in columns.items()})


def first(value: object) -> Callable[[pd.DataFrame], list[object]]:
    return lambda table: [value, *table["pred"].tolist()[1:]]


def ids(spell: Callable[[str], str]) -> Spoil:
    return changed(id=lambda table: table["id"].map(spell))


def parted(table: pd.DataFrame) -> pd.DataFrame:
    """Video and clip in columns that are called by each other's names."""
    parts = table["id"].str.rpartition("_")
    return pd.DataFrame({"video_id": parts[2], "clip_id": parts[0], "pred": table["pred"]})


def zeros_lost(clip: str) -> str:
    video, _, number = clip.rpartition("_")
    return f"{video}_{int(number)}"


def truth_of(table: pd.DataFrame) -> pd.Series:
    clips = clips_of("sims")
    labels = dict(zip(clips["video_id"] + "_" + clips["clip_id"], clips["label"], strict=True))
    return table["id"].map(labels)


WRONG: dict[str, tuple[Spoil, str, str]] = {
    "an empty file": (lambda t: t.iloc[:0], "has a header and no rows", ""),
    "no prediction column": (
        lambda t: t[["id"]],
        "has no column 'pred'; found 'id'",
        "[columns] pred",
    ),
    "unknown ids": (
        changed(id=lambda t: [f"new_{i}" for i in range(len(t))]),
        "457 of 457 ids are no clips of CH-SIMS (first 'new_0')",
        "check --dataset",
    ),
    "one unknown id": (
        changed(id=lambda t: ["new_1", *t["id"][1:]]),
        "1 of 457 ids are no clips of CH-SIMS (first 'new_1')",
        "check --dataset",
    ),
    "duplicates": (lambda t: pd.concat([t, t]), "is predicted twice", "a column seed tells runs"),
    "NaN": (changed(pred=first("nan")), "is not a finite number ('nan'; 1 such", "a hole"),
    "infinity": (changed(pred=first(np.inf)), "is not a finite number ('inf'; 1 such", "a hole"),
    "an empty cell": (changed(pred=first("")), "is not a finite number (''; 1 such", "a hole"),
    "percentages": (
        changed(pred=lambda t: 50 + 40 * t["pred"].clip(-1, 1)),
        "predictions are beyond ±3; labels of CH-SIMS lie in [-1, 1], predictions in [10, 90]"
        " (percentages?)",
        "state scale = FACTOR",
    ),
    "one wild value": (
        changed(pred=first(99.0)),
        "1 of 457 predictions are beyond ±3",
        "state scale = FACTOR",
    ),
    "too few clips": (
        lambda t: t.iloc[:228],
        "228 of 457 test clips of CH-SIMS are predicted, at least 50% are expected",
        "--partial",
    ),
    "one run with too few clips": (
        lambda t: pd.concat([t.assign(seed=1), t.iloc[:9].assign(seed=2)]),
        "9 of 457 test clips of CH-SIMS are predicted by run 2",
        "--partial",
    ),
    "labels of other data": (
        changed(label=lambda t: -truth_of(t) - 0.2),
        "457 of 457 labels in the file contradict those of sims@label-csv (100.0%:"
        " sims-test_v0_0000 0 for -0.2, ",
        "join predictions and labels by id",
    ),
    "the labels themselves": (
        changed(pred=truth_of),
        "457 of 457 predictions equal their label",
        "name the right column",
    ),
    "the train split": (
        lambda t: predictions_for("sims", "train"),
        "all 1368 clips are of the train split of CH-SIMS, none of test",
        "--split train",
    ),
    "another dataset": (
        lambda t: predictions_for("mosi"),
        "686 of 686 ids are no clips of CH-SIMS but of mosi",
        "--dataset mosi",
    ),
    "lost leading zeros": (
        ids(zeros_lost),
        "ids are no clips of CH-SIMS: leading zeros were lost (first 'sims-test_v0_0')",
        "keep ids as text",
    ),
    "video and clip swapped": (parted, "video and clip are swapped", "exchange video_id and"),
    "file names": (ids(lambda clip: f"{clip}.mp4"), "joined otherwise", "one underscore"),
    "another case": (ids(str.upper), "upper and lower case differ", "keep ids as published"),
    "videos for clips": (
        lambda t: t.assign(id=t["id"].str.rpartition("_")[0]).drop_duplicates("id"),
        "they name videos, not clips",
        "one underscore",
    ),
    "a fractional seed": (changed(seed=lambda t: 1.5), "should be an integer from 0", ""),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_submission_is_one_clear_error(
    msa, stocked: Home, tmp_path: Path, kind: str
) -> None:
    spoil, message, hint = WRONG[kind]
    file = write_table(spoil(predictions_for("sims")), tmp_path / "mine.csv")
    code, text, errors = msa("submit", file, "--dataset", "sims")
    assert code == 2
    assert text == ""
    assert message in errors
    assert hint in errors
    assert "Traceback" not in errors
    assert not (stocked.store / "submissions").exists()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a|b", "../../up", "a\nb", ".x"])
def test_a_hostile_name_is_refused(msa, stocked: Home, file: Path, name: str) -> None:
    before = sorted(stocked.root.rglob("*"))
    code, _, errors = msa("submit", file, "--dataset", "sims", "--name", name)
    assert code == 2
    assert "name" in errors
    assert name not in errors.replace(ascii(name), "")
    assert sorted(stocked.root.rglob("*")) == before


def test_an_unknown_split_is_refused(msa, stocked: Home, file: Path) -> None:
    code, _, errors = msa("submit", file, "--dataset", "sims", "--split", "tets")
    assert code == 2
    assert "--split takes train, valid, test; found 'tets'" in errors


# Lint


REPORTED = """system,metric,value,dataset,runs
one,Acc2,69.37,CH-SIMS,1
one,F1,56.82,CH-SIMS,1
two,Acc2,76.00,CH-SIMS,1
two,Corr,1.07,CH-SIMS,1
three,Mult_acc_5,40.48,CH-SIMS,1
three,Mult_acc_3,39.39,CH-SIMS,1
three,MAE,-,CH-SIMS,1
four,Has0_acc_2,77.4,CMU-MOSI,
"""


@pytest.fixture
def reported(tmp_path: Path) -> Path:
    path = tmp_path / "reported.csv"
    path.write_text(REPORTED)
    return path


def test_a_table_is_linted_row_by_row(msa, stocked: Home, reported: Path) -> None:
    code, text, _ = msa("lint", reported, "--dataset", "sims", "--json")
    rows = json.loads(text)
    found = {row["row"]: [(f["kind"], f["verdict"]) for f in row["findings"]] for row in rows}
    assert code == 1
    assert found["one"] == [("constant", "suspicious"), ("constant", "suspicious")]
    assert found["two"] == [("range", "impossible"), ("count", "impossible")]
    assert found["three"] == [("order", "impossible")]
    assert rows[2]["values"] == {"acc5": "40.48", "acc3": "39.39"}


def test_the_lint_says_how_much_it_understood(msa, home: Home, reported: Path) -> None:
    code, text, _ = msa("lint", reported, "--dataset", "sims")
    assert code == 1
    assert "CH-SIMS: 3 rows, 7 of 7 values understood" in text
    assert "no number in 1 cells" in text
    assert "impossible  Corr 1.07 is outside [-1, 1]" in text
    code, text, _ = msa("lint", reported, "--dataset", "mosi")
    assert code == 0
    assert "CMU-MOSI: 1 rows, 1 of 1 values understood" in text


AS_PRINTED = r"""System, Metric, Value
one,MAE,\textbf{0.712} ± 0.01
one,Acc-7,"46,36"
one,Acc-2 (has0/non0),**84.0**/86.1†
one,Corr,−0.5
one,Params,12 M
two,MAE,０.７１２
two,Corr,n/a
"""


def test_numbers_are_read_as_papers_print_them(msa, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "printed.csv"
    path.write_text(AS_PRINTED, "utf-8")
    code, text, errors = msa("lint", path, "--dataset", "mosi", "--json")
    assert code == 0
    one, two = json.loads(text)
    assert list(one["values"]) == ["mae", "acc7", "acc2_has0", "acc2_non0", "corr"]
    assert one["spreads"]["mae"] == 0.01
    assert one["spreads"]["corr"] is None
    assert two["values"] == {"mae": "０.７１２"}
    assert (
        "not checked, for no metric of CMU-MOSI or not saying which: 'Params' (1 cells)" in errors
    )
    code, text, _ = msa("lint", path, "--dataset", "mosi")
    assert code == 0
    assert "2 rows, 6 of 7 values understood" in text


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('MAE,"1,234"', "its comma can stand for a decimal point"),
        ("Acc2_has0,83.2 84.1", "more than one number"),
        ("Acc2_has0,83.2/84.1", "does not say which of these is which"),
        ("Acc-2 has0/non0,83.2", "should be 2 numbers apart by /"),
        ("MAE,inf", "it is no number"),
        ("MAE,not run", "it is no number"),
        ("Acc-7,46.36↑1.2", "more than one number"),
    ],
)
def test_a_value_not_understood_is_named(
    msa, home: Home, tmp_path: Path, cell: str, reason: str
) -> None:
    path = tmp_path / "printed.csv"
    path.write_text(f"system,metric,value\na,Corr,0.5\nb,{cell}\n", "utf-8")
    code, text, errors = msa("lint", path, "--dataset", "mosi")
    metric = cell.partition(",")[0]
    assert code == 2
    assert "1 of 2 values understood" in text
    assert f"printed.csv: not understood: row 2 (b, {metric}), value should be" in errors
    assert reason in errors


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,MAE,-\na,Corr,N/A", "no number for CMU-MOSI: 2 cells say that there is none"),
        ("a,MAE,?", "not understood: row 1 (a, MAE), value should be a number, found '?'"),
        ("a,Acc-2,83.2/84.1", "holds no metric of CMU-MOSI; it has 'Acc-2' (1 cells)"),
        ("a,Loss,0.1\na,Loss,0.2", "it has 'Loss' (2 cells)"),
        ("a,MAE,–", "the first is row 1 (a, MAE), value"),
        ("a,MAE,nan", "no number for CMU-MOSI"),
    ],
)
def test_a_table_of_which_nothing_was_read_is_refused(
    msa, home: Home, tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"system,metric,value\n{rows}\n", "utf-8")
    code, text, errors = msa("lint", path, "--dataset", "mosi")
    assert (code, text) == (2, "")
    assert message in errors


@pytest.mark.parametrize(
    ("content", "dataset", "message"),
    [
        ("system,value\na,1\n", "sims", "lacks the columns metric; it has system, value"),
        ("system,metric,value,dataset\na,MAE,1,X\n", "sims", "holds no numbers for CH-SIMS"),
        (
            "system,metric,value,runs\na,MAE,1,many\n",
            "sims",
            "row 1: runs of 'a' should be a count",
        ),
        ("system,System,metric,value\na,b,MAE,1\n", "sims", "two columns for system"),
    ],
)
def test_a_wrong_table_is_one_clear_error(
    msa, home: Home, tmp_path: Path, content: str, dataset: str, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    code, _, errors = msa("lint", path, "--dataset", dataset)
    assert code == 2
    assert message in errors
