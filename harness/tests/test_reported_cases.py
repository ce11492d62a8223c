"""Inputs that went wrong for others: each is right now, or refused with the reason.

The inputs are a folder of cases that never enters the project: in each folder input files, the
command and what happened before. What happened, and what happens now, is told for readers on the
page ``reported_faults.md``, which names the same files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from harness.data import load
from harness.data.corpus import Corpus
from harness.testing import tiny_encoder

CASES: Final = Path(__file__).parents[3] / "shared" / "cases"
PAGE: Final = Path(__file__).parents[2] / "docs" / "pages" / "reported_faults.md"
NOT_INPUTS: Final = {"cmd", "expected.txt"}

Call = Callable[..., tuple[int, str, str]]
Check = Callable[[Corpus], bool]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input file and what becomes of it.

    Args:
        folder: Of the cases.
        file: In it; what the command reads besides is named by ``beside``.
        command: Arguments of ``msa``; ``{file}``, and folders that the test makes.
        first: Commands that have to succeed before.
        code: Exit code: 0 read, 1 read and something found, 2 refused.
        says: Words of the output, each of them.
        never: Words that it must not hold.
        numbers: Where in the JSON output -> the number that stands there.
        beside: Further files of the folder that the row is about.
        stored: What has to hold for the corpus ``<dataset>@<set>`` that is stored.
    """

    folder: str
    file: str
    command: str
    first: tuple[str, ...] = ()
    code: int = 0
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    stored: tuple[str, Check] | None = None


# Pickles


def pickled(place: str, dataset: str = "mosi", **more: Any) -> Case:
    """A pickle that is added as feature set ``x``."""
    folder, _, file = place.partition("/")
    check = more.pop("holds", None)
    stored = (f"{dataset}@x", check) if check is not None else None
    command = f"data add {{file}} --dataset {dataset} --feature-set x"
    return Case(folder=folder, file=file, command=command, stored=stored, **more)


def texts(corpus: Corpus) -> list[str]:
    return list(corpus.clips["text"])


def ids(corpus: Corpus) -> list[str]:
    return list(corpus.clips["id"])


def lengths(corpus: Corpus, stream: str) -> list[int]:
    return [int(n) for n in corpus.streams[stream].lengths]


def begins_with_signal(corpus: Corpus) -> bool:
    """No padding stands in front: the first frame of every clip that has signal is not zero."""
    values = np.asarray(corpus.streams["audio"].values)
    return bool(values[:, 0].any(axis=1).all())


def audio(*expected: int, moved: int) -> Check:
    """Audio that begins with signal, has these lengths, and whose clips were moved."""

    def holds(corpus: Corpus) -> bool:
        notes = corpus.manifest["streams"]["audio"]  # type: ignore[index,call-overload]
        same = lengths(corpus, "audio") == list(expected)
        return same and begins_with_signal(corpus) and notes["moved_clips"] == moved  # type: ignore[index,call-overload]

    return holds


SAME: Final = ("15 clips, data 472b5255e46f",)
"""The fingerprint of the small corpus that several spellings of one file hold."""

PICKLES: Final = (
    pickled(
        "01_raw_text_nan/f.pkl",
        holds=lambda c: texts(c)[:6] == ["good", "", "NA", "null", "None", ""],
    ),
    pickled("03_mag_bert_layout/f.pkl", code=2, says=("MAG-BERT's layout", "--layout mag-bert")),
    pickled("05_mult_layout/f.pkl", "mosei", code=2, says=("MulT's layout", "video$_$clip")),
    pickled("06_labels_n1/f.pkl", "mosei", says=SAME),
    pickled("08_labels_list/f.pkl", "mosei", says=SAME),
    pickled("09_numpy1_numpy2_protocols/p4_np1.pkl", says=SAME),
    pickled("09_numpy1_numpy2_protocols/p5_np2.pkl", says=SAME),
    pickled("11_python2_pickle/f.pkl", says=SAME),
    pickled(
        "12_torch_tensor_pickle/f.pkl",
        code=2,
        says=("torch tensors", "nothing was executed", "tensor.numpy()"),
    ),
    pickled("12_torch_tensor_pickle/g.pkl", code=2, says=("torch.save", "tensor.numpy()")),
    pickled("14_text_bytes/f.pkl", code=2, says=("train.raw_text[2]", "not valid text", "UTF-16")),
    pickled(
        "15_pandas_series_pickle/f.pkl",
        code=2,
        says=("pandas objects", "series.to_numpy()"),
        never=("fresh copy",),
    ),
    pickled(
        "17_left_padding_minority/f.pkl",
        holds=audio(*[8] * 6, *[5] * 4, *[8] * 3, 5, 5, *[8] * 3, 5, 5, moved=8),
    ),
    pickled(
        "17_left_padding_minority/g.pkl",
        holds=audio(8, 8, *[5] * 8, 8, *[5] * 4, 8, *[5] * 4, moved=16),
    ),
    pickled(
        "17_left_padding_minority/h_last_frame_zero.pkl",
        holds=audio(4, *[5] * 9, 4, *[5] * 4, 4, *[5] * 4, moved=20),
    ),
    pickled("17_left_padding_minority/i_stated_lengths.pkl", holds=audio(*[5] * 20, moved=20)),
    pickled(
        "17_left_padding_minority/j_minority_stated.pkl",
        holds=audio(*[5] * 4, *[8] * 6, 5, 5, *[8] * 3, 5, 5, *[8] * 3, moved=8),
    ),
    pickled("17_left_padding_minority/k_one_clip_stated.pkl", holds=audio(2, *[8] * 39, moved=1)),
    pickled(
        "19_lengths_fractional/f.pkl",
        code=2,
        says=("audio_lengths should be whole numbers", "train[0] 7.9"),
    ),
    pickled(
        "20_inf_huge_zero/f.pkl",
        holds=lambda c: (
            lengths(c, "vision") == [6, 6, 6, 6, 1] + [6] * 10
            and float(np.max(c.streams["vision"].values)) == 2.7e7
            and all(np.isfinite(stream.values).all() for stream in c.streams.values())
        ),
    ),
    pickled(
        "48_split_names/v.pkl", code=2, says=("train, validation: valid missing", "dev and val")
    ),
    pickled("48_split_names/w.pkl", code=2, says=("holds the valid split twice",)),
    pickled(
        "52_nan_unimodal_labels/f.pkl",
        "simsv2",
        says=("9 clips",),
        holds=lambda c: int(c.clips["label_T"].isna().sum()) == 3,
    ),
    pickled("53_text_bert_layouts/float.pkl", says=SAME),
    pickled("53_text_bert_layouts/fraction.pkl", code=2, says=("train.text_bert", "token ids")),
    pickled("53_text_bert_layouts/mask.pkl", holds=lambda c: lengths(c, "text") == [1] + [3] * 14),
    pickled(
        "53_text_bert_layouts/transposed.pkl", code=2, says=("(clips, 3, tokens)", "(6, 5, 3)")
    ),
    pickled("56_not_a_pickle/cut.pkl", code=2, says=("damaged or truncated", "SHA-256")),
    pickled("56_not_a_pickle/empty.pkl", code=2, says=("is empty",)),
    pickled("56_not_a_pickle/html.pkl", code=2, says=("a web page", "download")),
    pickled("56_not_a_pickle/lfs.pkl", code=2, says=("pointer of Git LFS", "git lfs pull")),
    pickled("56_not_a_pickle/num.pkl", code=2, says=("not a pickle of numpy arrays",)),
)


# Tables of labels


def labelled(place: str, dataset: str = "mosi", **more: Any) -> Case:
    """A table of labels that is added."""
    folder, _, file = place.partition("/")
    check = more.pop("holds", None)
    stored = (f"{dataset}@label-csv-own", check) if check is not None else None
    command = f"data add {{file}} --dataset {dataset}"
    return Case(folder=folder, file=file, command=command, stored=stored, **more)


ADD: Final = ("data add label.csv --dataset mosi",)

TABLES: Final = (
    labelled(
        "22_cp1252_label_csv/label.csv",
        says=("encoding: cp1252",),
        holds=lambda c: texts(c)[0] == "it’s good don’t miss",
    ),
    labelled("22_cp1252_label_csv/loud.csv", holds=lambda c: texts(c)[0] == "the café is nice"),
    labelled(
        "23_gbk_label_csv/label.csv",
        "sims",
        says=("encoding: gb18030",),
        holds=lambda c: texts(c)[0] == "今天的风有点大",
    ),
    labelled("25_utf16_label_csv/label.csv", code=2, says=("in UTF-16", "--encoding utf-16")),
    labelled("25_utf16_label_csv/bom_crlf.csv", holds=lambda c: ids(c) == ["v1_1", "v2_1", "v3_1"]),
    labelled("25_utf16_label_csv/old_mac.csv", holds=lambda c: texts(c)[2] == "so so"),
    labelled(
        "26_trailing_spaces/label.csv",
        holds=lambda c: ids(c) == ["v1_1", "v2_1", "v3_1"] and c.clips["video"][0] == "v1",
    ),
    labelled("28_semicolon_decimal_comma/label.csv", code=2, says=("decimals have a point",)),
    labelled("28_semicolon_decimal_comma/tab.csv", holds=lambda c: "good film" in texts(c)),
    Case(
        folder="31_negative_start",
        file="label.csv",
        first=ADD,
        command="data check",
        code=1,
        says=("clips that start before 0", "the recording begins at 0: v1_1"),
    ),
    labelled("32_duplicate_columns/case.csv", code=2, says=("two columns are called 'text'",)),
    labelled("32_duplicate_columns/label.csv", code=2, says=("two columns are called 'label'",)),
    labelled("32_duplicate_columns/upper.CSV", says=("3 clips",)),
    labelled(
        "47_stray_quote_swallows_row/label.csv",
        code=2,
        says=("line 2: a quote is opened and not closed", "close the quote"),
    ),
    labelled("48_split_names/s0.csv", code=2, says=("line 3", "found 'validation'")),
    labelled("48_split_names/s1.csv", says=("2 of 1,284 train",)),
    labelled("48_split_names/s2.csv", says=("1 of 229 valid",)),
    labelled("48_split_names/s3.csv", says=("2 of 686 test",)),
    labelled("48_split_names/s4.csv", code=2, says=("line 3", "found 'unlabel'")),
    labelled("48_split_names/s5.csv", code=2, says=("line 3", "found '0'")),
    labelled(
        "52_nan_unimodal_labels/label.csv",
        "simsv2",
        holds=lambda c: bool(c.clips["label_A"].isna().all()),
    ),
)


# Predictions


def scored(folder: str, file: str, mae: float | None = None, **more: Any) -> Case:
    """A file of predictions that is scored; ``mae`` where it can be."""
    numbers = {"0.scores.mae": mae} if mae is not None else {}
    command = "score {file} --dataset mosi --labels label.csv --json"
    return Case(folder=folder, file=file, command=command, numbers=numbers, **more)


SPELLINGS: Final = "36_prediction_file_spellings"
RIGHT: Final = "bom.csv cat.parquet dollar.csv f32.parquet idx.csv index.parquet sp.csv"
NOT_NUMBERS: Final = "bool.jsonl list.csv lst.parquet nan.jsonl tensor.csv uminus.csv"

PREDICTIONS: Final = (
    Case(
        folder="33_label_column_contradicts",
        file="p.csv",
        beside=("label.csv",),
        command="score {file} --dataset mosi --labels label.csv",
        code=2,
        says=("39 of 40 labels in p.csv contradict label.csv",),
    ),
    scored("35_dash_ids_score_verified", "p.csv", 0.34334052, beside=("label.csv",)),
    *(
        scored(SPELLINGS, file, 0.34334052, beside=("label.csv",))
        for file in (*RIGHT.split(), "arr.json", "sp10.csv", "str.jsonl", "x.CSV", "x.tsv")
    ),
    *(
        scored(SPELLINGS, file, code=2, says=("pred of clip -v0_000", "is not a finite number"))
        for file in NOT_NUMBERS.split()
    ),
    *(
        scored(SPELLINGS, file, code=2, says=words)
        for file, words in (
            ("arr.jsonl", ("line 1 is not a JSON object",)),
            ("bin.parquet", ("ids are text", "row 1 of 40")),
            ("dup.csv", ("clip -v0_0000 is predicted twice", "column seed")),
            ("dup.parquet", ("two columns pred",)),
            ("dup2.csv", ("clip -v0_0000 is predicted twice",)),
            ("dupkey.jsonl", ("line 1: the key 'pred' stands twice",)),
            ("empty.csv", ("is empty",)),
            ("gbk.csv", ("line 2, about cell 3: byte 0xbd is not UTF-8", "save the file as UTF-8")),
            ("head.csv", ("a header and no rows",)),
            ("seedneg.csv", ("an integer from 0", "found -1")),
            ("seedtxt.csv", ("seed of clip -v0_0000", "'seed1'")),
            ("semi.csv", ("not a finite number", "decimals have a point")),
            ("u16.csv", ("is in UTF-16", "save it as UTF-8")),
            ("upper.csv", ("expected a column id", "found ID, Pred")),
            ("x.csv.gz", ("compressed: unpack it first",)),
        )
    ),
    scored(SPELLINGS, "const.csv", 1.545, says=('"corr": null',)),
    scored(SPELLINGS, "negtiny.csv", 1.56, says=('"corr": null',)),
    scored(SPELLINGS, "small.csv", 1.5274952),
    Case(
        folder="38_stored_but_not_official",
        file="p.csv",
        beside=("label.csv",),
        first=ADD,
        command="score {file} --dataset mosi",
        code=2,
        says=("not the official split of CMU-MOSI (1 of 1,284 train", "--labels LABEL.CSV"),
    ),
    Case(
        folder="49_seed_variance_in_interval",
        file="a.csv",
        beside=("b.csv", "label.csv"),
        command="compare {file} b.csv --dataset mosi --labels label.csv",
        says=("5 of A, 5 of B", "[-0.4083, +0.3588]", "undecided"),
    ),
)


def fused(file: str, code: int = 0, *says: str, columns: str = "", **more: Any) -> Case:
    """A file with a column per system, whose late fusion is asked for."""
    command = f"fuse {{file}} --dataset sims --labels label.csv {columns}"
    return Case(folder="39_fuse_inputs", file=file, command=command, code=code, says=says, **more)


FUSION: Final = (
    fused("u.csv", 2, "--columns names pred_T twice", columns="--columns pred_T,pred_T"),
    *(
        fused(file, 0, "pred_T         20    0.9316  0.0840", "fusion         20")
        for file in ("u.csv", "u.parquet", "n.parquet", "vc.csv")
    ),
    fused("coll.csv", 0, "cannot tell the weights of pred_T, pred_A apart", beside=("label.csv",)),
    fused("const.csv", 0, "pred_A predicts 0.25 for every valid clip", "undefined"),
    *(
        fused(file, 2, f"{file}: pred_", "is not a finite number")
        for file in ["bad.csv", "big.csv", "bool.parquet", "date.parquet"]
    ),
    *(
        fused(file, 2, f"{file}: pred_", "is not a finite number")
        for file in ["inf.parquet", "list.parquet", "n.jsonl", "o.jsonl"]
    ),
    fused("e.csv", 2, "a header and no rows"),
    fused("e.jsonl", 2, "e.jsonl is empty"),
    fused("empty_col.csv", 2, "pred_A has no prediction at all of a valid clip"),
    fused("i.jsonl", 2, "row 1 of 60: ids are text, found list"),
    fused("int.parquet", 2, "row 1 of 60: ids are text, found int 0"),
    fused("novalid.csv", 2, "predicts none of the 20 labelled valid clips"),
)


# OpenFace, suites and manifests, printed numbers


def followed(file: str, tables: str, *says: str, **more: Any) -> Case:
    """Tables of OpenFace that become the vision of a corpus."""
    command = f"extract mosi@label-csv-own --media {{media}} --as x --audio none --vision openface \
--openface {tables} --encoder {{encoder}}"
    folder = "42_openface_tables"
    return Case(folder=folder, file=file, first=ADD, command=command, says=says, **more)


def planned(file: str, code: int, *says: str, options: str = "", **more: Any) -> Case:
    """A suite whose plan is asked for."""
    command = f"run {{file}} --plan {options}"
    folder = "44_suite_toml_oddities"
    return Case(folder=folder, file=file, command=command, code=code, says=says, **more)


def stated(file: str) -> Case:
    """A manifest of a submission."""
    command = "submit p.csv --dataset mosi --labels label.csv --partial --dry-run --manifest {file}"
    beside, says = ("p.csv", "label.csv"), ("x on CMU-MOSI test",)
    return Case(
        folder="44_suite_toml_oddities", file=file, command=command, beside=beside, says=says
    )


def linted(file: str, code: int = 0, *says: str, options: str = "") -> Case:
    """A table of printed numbers."""
    command = f"lint {{file}} --dataset mosi {options}"
    return Case(folder="50_lint_printed_numbers", file=file, command=command, code=code, says=says)


OTHERS: Final = (
    followed("of", "of", "found '-nan(ind)' in row 3", "mosi@x: 3 clips", beside=("label.csv",)),
    followed("nan_ind.csv", "{tables}", "v1_001.csv: gaze_0_x should be", "mosi@x: 3 clips"),
    *(
        planned(f"{name}.toml", 0, "5 cells to run")
        for name in [
            "bom",
            "ok",
            "only",
            "onlyseeds",
            "jobs0",
            "jobsneg",
            "lab",
            "newline",
            "pipe",
            "seeds0",
            "seedsabc",
        ]
    ),
    planned("ok.toml", 2, "--jobs", options="--jobs 0"),
    planned("ok.toml", 2, "--jobs", options="--jobs -1"),
    planned("ok.toml", 2, "--seeds takes a positive count", options="--seeds 0"),
    planned("ok.toml", 2, "--seeds takes a count or numbers like 1,2,3", options="--seeds abc"),
    planned("ok.toml", 2, "matches no row or corpus", options="--only nothing"),
    *(
        planned(f"{name}.toml", 2, words)
        for name, words in (
            ("dupcorpora", "corpora names one item twice"),
            ("duplabel", "two rows are labelled 'tfidf_ridge'"),
            ("dupseeds", "seeds names one item twice"),
            ("emptylabel", "label should be text, found ''"),
            ("emptyseeds", "found []"),
            ("floatseed", "found 2.5"),
            ("intfloat", "system tfn has no parameter 'learning_rate'"),
            ("latin1", "expected UTF-8, found the byte 0xe9 (at line 6, column 11)"),
            ("many", "asks for 1000 seeds; protocol in_domain lists 10"),
            ("neg", "seeds[0] should be an integer of at least 0, found -1"),
            ("nocorpora", "corpora should be a non-empty list"),
            ("nosystems", "systems is missing; it should be a non-empty list"),
            ("protocoltypo", "did you mean in_domain?"),
            ("protofield", "metric 'acc2' is not defined for 'mosi'"),
            ("seltest", "selection_split should be one of 'valid'; found 'test'"),
            ("strcorpora", "corpora should be a non-empty list, found 'mosi@label-csv'"),
            ("strseed", "found '3'"),
            ("typo_key", "did you mean 'seeds'?"),
            ("typo_param", "has no parameter 'ngrams'"),
            ("typo_system", "did you mean tfidf_ridge?"),
            ("unknowncorpus", "corpus 'mosi@nope' is not here"),
            ("wrongtype", "has no parameter 'learning_rate'"),
            ("zero", "seeds should be a count or a list of non-negative integers, found 0"),
        )
    ),
    stated("man.toml"),
    stated("man.json"),
    *(
        linted(f"{name}.csv", 0, "1 of 1 values understood")
        for name in ["bold", "exp", "fullwidth", "latex", "runs0", "sp", "uminus", "upper"]
    ),
    linted("comma.csv", 0, "2 of 2 values understood"),
    linted("hundred.csv", 0, "2 of 2 values understood"),
    linted("ok.csv", 0, "of 5 values understood"),
    linted("pm.csv", 0, "3 of 3 values understood"),
    linted("star.csv", 0, "2 of 2 values understood"),
    linted("runs5.csv", 0, "1 of 1 values understood", options="--runs 5"),
    linted("runs0.csv", 2, "--runs", options="--runs 0"),
    linted("gbk.csv", 2, "line 2, about cell 1: byte 0xd0 is not UTF-8"),
    linted("inf.csv", 2, "row 1 (A, MAE)", "found 'inf'"),
    linted("na.csv", 2, "holds no number", "2 cells say that there is none"),
    linted("out.csv", 1, "Acc-7 146.36 is outside", "Corr 1.3 is outside"),
    linted("runscol.csv", 2, "runs of 'A' should be a count, found 'five'"),
    linted("slash.csv", 2, "found '84.0/86.1'", "which of these is which"),
    linted("tab.csv", 0, "1 of 1 values understood"),
)

TABLE: Final = (*PICKLES, *TABLES, *PREDICTIONS, *FUSION, *OTHERS)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Folders that commands name: recordings (none), an encoder, tables of OpenFace."""
    made = {name: tmp_path / name for name in ("media", "tables", "encoder")}
    made["media"].mkdir()
    made["tables"].mkdir()
    return made


def folder_of(name: str) -> Path:
    """A folder of the cases (``$MSA_REPORTED_CASES``); skips the test when absent."""
    path = Path(os.environ.get("MSA_REPORTED_CASES", CASES)) / name
    if not path.is_dir():
        pytest.skip(f"reported cases not here: {name}")
    return path


def prepare(case: Case, folder: Path, places: Mapping[str, Path]) -> None:
    """What a command of the row names and the folder lacks."""
    if "{encoder}" in case.command:
        tiny_encoder(places["encoder"], ["good bad film so"])
    if "{tables}" in case.command:
        shutil.copytree(folder / "of", places["tables"], dirs_exist_ok=True)
        shutil.copy(folder / case.file, places["tables"] / "v1_001.csv")


def number_at(document: Any, path: str) -> float:
    """The number at ``0.scores.mae`` of a JSON document."""
    for part in path.split("."):
        document = document[int(part) if part.isdigit() else part]
    return float(document)


@pytest.mark.data
@pytest.mark.parametrize("case", TABLE, ids=lambda case: f"{case.folder}/{case.file}")
def test_a_reported_case_is_right_or_refused(
    case: Case, msa: Call, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(case.folder)
    prepare(case, folder, places)
    monkeypatch.chdir(folder)
    for command in case.first:
        assert msa(*command.split())[0] == 0
    words = [word.format(file=case.file, **places) for word in case.command.split()]
    code, out, err = msa(*words)
    said = out + err
    assert code == case.code, said
    assert [word for word in case.says if word not in said] == [], said
    assert [word for word in (*case.never, "Traceback") if word in said] == []
    for where, expected in case.numbers.items():
        assert number_at(json.loads(out), where) == pytest.approx(expected, abs=1e-6)
    if case.stored is not None:
        name, holds = case.stored
        assert holds(load(name))


@pytest.mark.data
@pytest.mark.parametrize("name", sorted({case.folder for case in TABLE}))
def test_every_file_of_a_case_has_a_row(name: str) -> None:
    present = {path.name for path in folder_of(name).iterdir()} - NOT_INPUTS
    assert present - files_of(name) == set()


@pytest.mark.data
def test_folders_without_a_row_are_named() -> None:
    present = {path.name for path in folder_of(".").iterdir() if path.is_dir()}
    if unknown := sorted(present - {case.folder for case in TABLE}):
        pytest.skip(f"no row for {', '.join(unknown)}")


def files_of(folder: str) -> set[str]:
    return {name for c in TABLE if c.folder == folder for name in (c.file, *c.beside)}


def test_the_page_names_the_same_files() -> None:
    """Rows of the page: a case's folder, its files, then what is told of them."""
    told: dict[str, set[str]] = {}
    rows = re.findall(r"^\| `(\d\d_\w+)` \| (.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    for folder, files in rows:
        told.setdefault(folder, set()).update(re.findall(r"`(.+?)`", files))
    assert told == {case.folder: files_of(case.folder) for case in TABLE}
