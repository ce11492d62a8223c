"""Prediction files: what is right is read exactly, what is wrong is named, nothing else happens."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.data.readers.predictions import (
    align,
    cells_of,
    others_than,
    read_predictions,
    read_predictions_table,
)
from harness.data.split_labels import SplitLabels
from harness.errors import SubmissionError
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED

FORMATS = (".csv", ".jsonl", ".parquet")
ROWS = {
    "id": ["-3g5yACwYnA_13", "007_01", "情感_0001", "a,b_1", 'quo"te_2'],
    "pred": [0.1, -2.4000000000000004, 1e-300, 3.0, -0.0],
}


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """The same table in the format of the suffix."""
    table = pd.DataFrame(columns)
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        records = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        path.write_text(
            "\n".join(json.dumps(record, ensure_ascii=False) for record in records), "utf-8"
        )
    return path


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"predictions{request.param}"


# What is right


def test_ids_and_numbers_come_back_exactly(path: Path) -> None:
    table = read_predictions(write(path, ROWS))
    assert list(table.columns) == ["id", "pred"]
    assert table["id"].tolist() == ROWS["id"]
    assert table["pred"].dtype == np.float64
    np.testing.assert_array_equal(table["pred"], ROWS["pred"])


def test_video_and_clip_are_joined_by_an_underscore(path: Path) -> None:
    columns = {"video_id": ["-abc", "video_0001"], "clip_id": ["07", "0001"], "pred": [1.0, 2.0]}
    assert read_predictions(write(path, columns))["id"].tolist() == ["-abc_07", "video_0001_0001"]


def test_an_id_column_wins_over_video_and_clip(path: Path) -> None:
    columns = {"video_id": ["v"], "clip_id": ["c"], "id": ["whole"], "pred": [1.0]}
    assert read_predictions(write(path, columns))["id"].tolist() == ["whole"]


def test_seeds_and_labels_are_kept_and_other_columns_left_out(path: Path) -> None:
    columns = {
        **ROWS,
        "seed": [1, 1, 1, 2, 2**53],
        "label": [1, 0, 0.5, -1, 3],
        "note": list("abcde"),
    }
    table = read_predictions(write(path, columns))
    assert list(table.columns) == ["id", "pred", "seed", "label"]
    assert table["seed"].dtype == np.int64
    assert table["seed"].tolist() == [1, 1, 1, 2, 2**53]
    assert table["label"].tolist() == [1.0, 0.0, 0.5, -1.0, 3.0]


def test_one_clip_may_be_predicted_once_per_seed(path: Path) -> None:
    columns = {"id": ["a_1", "a_1"], "pred": [1.0, 2.0], "seed": [1, 2]}
    assert read_predictions(write(path, columns))["pred"].tolist() == [1.0, 2.0]


def test_a_byte_order_mark_is_not_part_of_the_first_word(tmp_path: Path) -> None:
    for name, text in (("a.csv", "id,pred\na_1,1\n"), ("a.jsonl", '{"id": "a_1", "pred": 1}')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert read_predictions(tmp_path / name)["id"].tolist() == ["a_1"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_blank_lines_and_quoted_cells(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.csv").write_bytes(f'id,pred{end}{end}"a,1",1{end}"b""2", 2 {end}'.encode())
    assert read_predictions(tmp_path / "a.csv")["id"].tolist() == ["a,1", 'b"2']
    (tmp_path / "a.jsonl").write_bytes(
        f'{{"id":"a","pred":1}}{end}{end}{{"id":"b","pred":2}}'.encode()
    )
    assert read_predictions(tmp_path / "a.jsonl")["id"].tolist() == ["a", "b"]


def test_a_json_line_ends_at_a_line_feed_and_nowhere_else(tmp_path: Path) -> None:
    record = {"id": "a_b", "pred": 1, "text": "w\u2028x\u0085y\u001cz\u000b"}
    (tmp_path / "a.jsonl").write_text(json.dumps(record, ensure_ascii=False), "utf-8")
    assert read_predictions(tmp_path / "a.jsonl")["id"].tolist() == ["a_b"]


def test_a_parquet_index_counts_as_a_column(tmp_path: Path) -> None:
    table = pd.DataFrame({"pred": [1.0]}, index=pd.Index(["a_1"], name="id"))
    table.to_parquet(tmp_path / "a.parquet")
    assert read_predictions(tmp_path / "a.parquet")["id"].tolist() == ["a_1"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.5, -2.0], pa.float32()),
        pa.array([1.5, -2.0], pa.float64()),
        pa.array([15, -20], pa.decimal128(5, 1)),
        pa.array(["1.5", "-2"]),
        pa.array(["1.5", "-2"]).dictionary_encode(),
    ],
    ids=lambda array: str(array.type)[:12],
)
def test_parquet_numbers_may_have_any_numeric_or_text_type(
    tmp_path: Path, values: pa.Array
) -> None:
    ids = pa.array(["a", "b"]).dictionary_encode()
    pq.write_table(pa.table({"id": ids, "pred": values}), tmp_path / "a.parquet")
    expected = [15.0, -20.0] if pa.types.is_decimal(values.type) else [1.5, -2.0]
    assert read_predictions(tmp_path / "a.parquet")["pred"].tolist() == expected


# What is wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred": [0.1, "abc", 0, 0, 0]}, r"pred of clip 007_01 is not a finite number \('abc'; 1"),
        ({"pred": ["", "", "0", "0", "0"]}, r"pred of clip -3g5yACwYnA_13 .* 2 such clips"),
        ({"pred": ["nan"] * 5}, "pred of clip -3g5yACwYnA_13 is not a finite number"),
        ({"pred": ["inf"] + ["0"] * 4}, "pred of clip -3g5yACwYnA_13 is not a finite number"),
        ({"pred": ["1e400"] + ["0"] * 4}, "not a finite number"),
        ({"pred": ["12_3"] + ["0"] * 4}, r"not a finite number \('12_3'"),
        ({"seed": ["1", "x", "1", "1", "1"]}, "seed of clip 007_01 is not a finite number"),
        ({"seed": [1.5, 1, 1, 1, 1]}, "seed of clip -3g5yACwYnA_13 should be an integer .* 1.5"),
        ({"seed": [1, -1, 1, 1, 1]}, "seed of clip 007_01 should be an integer from 0"),
        ({"seed": ["1e300", "1", "1", "1", "1"]}, r"should be an integer .* found 1e\+300"),
        ({"seed": [str(2**53 + 2), "1", "1", "1", "1"]}, "should be an integer from 0 to 2"),
        ({"seed": ["9" * 400, "1", "1", "1", "1"]}, "seed of clip -3g5yACwYnA_13 is not a finite"),
        ({"label": ["?"] * 5}, "label of clip -3g5yACwYnA_13 is not a finite number"),
        ({"id": ["a_1", "b", "a_1", "c", "d"]}, "clip a_1 is predicted twice"),
        ({"id": ["", "b", "a_1", "c", "d"]}, "row 1 of 5: an empty id"),
        ({"id": ["a_1 ", "b", "a_1", "c", "d"]}, "clip a_1 is predicted twice"),
        ({"id": ["a$_$1", "b", "a[1]", "c", "d"]}, "clip a_1 is predicted twice"),
        ({"id": ["a_1", "b", "a_１", "c", "d"]}, "1 ids look like another one"),
        ({"id": ["2024-01-03", "b", "a_1", "c", "d"]}, "'2024-01-03' is a date"),
        ({"pred": ["1,234.5"] + ["0"] * 4}, "not a finite number"),
        ({"pred": ["(1+2j)"] + ["0"] * 4}, "not a finite number"),
        ({"pred": ["tensor(0.5)"] + ["0"] * 4}, "not a finite number"),
        ({"pred": ["\u22120.5"] + ["0"] * 4}, "not a finite number"),
        ({"seed": ["1", "", "1", "1", "1"]}, "seed of clip 007_01 is not a finite number"),
    ],
)
def test_a_wrong_cell_is_refused_naming_file_clip_and_content(
    path: Path, change: dict[str, list[Any]], message: str
) -> None:
    columns = {**ROWS, **change}
    if path.suffix == ".parquet":
        columns = {name: list(map(str, cells)) for name, cells in columns.items()}
    with pytest.raises(SubmissionError, match=f"{path.name}.*{message}"):
        read_predictions(write(path, columns))


def test_the_same_clip_twice_under_one_seed_is_refused(path: Path) -> None:
    columns = {"id": ["a_1", "b_1", "a_1"], "pred": [1.0, 2.0, 3.0], "seed": [1, 1, 1]}
    with pytest.raises(SubmissionError, match="clip a_1 is predicted twice"):
        read_predictions(write(path, columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"clip": ["a"], "pred": [1.0]},
            "expected a column id, or video_id and clip_id; found clip",
        ),
        ({"video_id": ["a"], "pred": [1.0]}, "expected a column id, or video_id and clip_id"),
        ({"id": ["a"], "prediction": [1.0]}, "expected a column pred; found id, prediction"),
        ({"ID": ["a"], "pred": [1.0]}, "expected a column id"),
    ],
)
def test_missing_columns_are_named_beside_the_present_ones(
    path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(SubmissionError, match=message):
        read_predictions(write(path, columns))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"id": 7, "pred": 1}', "row 1 of 1: ids are text, found int 7"),
        ('{"id": null, "pred": 1}', "row 1 of 1: ids are text, found NoneType"),
        ('{"pred": 1}\n{"id": "a", "pred": 1}', "row 1 of 2: ids are text, found float nan"),
        ('{"video_id": "a", "clip_id": 1, "pred": 1}', "row 1 of 1: ids are text, found int 1"),
        (r'{"id": "\ud800", "pred": 1}', "an id with half a character"),
        ('{"id": "a", "pred": true}', r"not a finite number \(True"),
        ('{"id": "a", "pred": null}', r"not a finite number \(None"),
        ('{"id": "a", "pred": NaN}', r"not a finite number \(nan"),
        ('{"id": "a", "pred": [1]}', r"not a finite number \(\[1\]"),
        ('{"id": "a", "pred": {"x": 1}}', "not a finite number"),
        ('{"id": "a", "pred": ' + "9" * 400 + "}", r"not a finite number \(999"),
        ('{"id": "a", "pred": ' + "9" * 5000 + "}", "line 1: "),
        ('{"id": "a"}', "expected a column pred; found id"),
        ("{}", "expected a column id"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"id": "a", "pred": 1}\n7', "line 2 is not a JSON object"),
        ('{"id": "a", "pred": 1', "line 1: "),
        ("[" * 100_000, "line 1: "),
        ('{"a":' * 100_000, "line 1: "),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ('{"id": "a", "pred": 1, "pred": 2}', "line 1: the key 'pred' stands twice"),
        ('{"id": "a", "pred": 1}\n{"id": "b", "pred": 2, "id": "c"}', "line 2: the key 'id'"),
        ('{"id": "a", "pred": 1}\n{"id": "b", "pred": 2, "seed": 1}', "seed of clip a is not"),
        ('{"id": "a", "pred": 1, "seed": -0.5}', "should be an integer from 0"),
        ('{"id": "a", "pred": 1, "seed": true}', "seed of clip a is not a finite number"),
        ('{"id": "a", "pred": -Infinity}', r"not a finite number \(-inf"),
    ],
    ids=range(27),
)
def test_faulty_json_lines(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(lines, "utf-8")
    with pytest.raises(SubmissionError, match=f"a.jsonl.*{message}"):
        read_predictions(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("id,pred\n", "has a header and no rows"),
        ("id,pred\na_1,1\nb_1\n", "line 3: 1 cells under 2 column names"),
        ("id,pred\na_1,1,2\n", "line 2: 3 cells under 2 column names"),
        ("id,pred\n\na_1,1\n\nb_1,1,1\n", "line 5: 3 cells under 2 column names"),
        ('id,pred\n"a_1,1\n', "line 2: not a CSV row"),
        ('id,pred\n"a"x,1\n', "line 2: not a CSV row"),
        ("id,pred,pred\na_1,1,2\n", "two columns pred"),
        ("id;pred\na_1;1;2\n", "line 2: 3 cells under 2 column names"),
        ("id,pred\n" + "x" * 200_000 + ",1\n", "line 2: not a CSV row"),
    ],
    ids=range(10),
)
def test_faulty_csv(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text, "utf-8")
    with pytest.raises(SubmissionError, match=f"a.csv.*{message}"):
        read_predictions(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"id": [1, 2], "pred": [1.0, 2.0]}), "row 1 of 2: ids are text, found int 1"),
        (pa.table({"id": ["a", None], "pred": [1.0, 2.0]}), "row 2 of 2: ids are text"),
        (pa.table({"id": ["a"], "pred": [[1.0]]}), "not a finite number"),
        (pa.table({"id": ["a"], "pred": [True]}), "not a finite number"),
        (pa.table({"id": ["a"], "pred": [b"1"]}), "not a finite number"),
        (pa.table({"id": ["a"], "pred": pa.array([0], pa.timestamp("s"))}), "not a finite number"),
        (pa.table({"id": ["a", "b"], "pred": [1.0, None]}), "pred of clip b is not a finite"),
        (pa.table([["a"], [1.0], [2.0]], names=["id", "pred", "pred"]), "two columns pred"),
        (pa.table({"id": [], "pred": []}), "has a header and no rows"),
        (pa.table({}), "expected a column id"),
        (pa.table({"id": [b"a_1"], "pred": [1.0]}), "ids are text, found bytes"),
        (pa.table({"id": [["a_1"]], "pred": [1.0]}), "ids are text, found"),
        (pa.table({"id": ["a"], "pred": [{"x": 1.0}]}), "not a finite number"),
        (pa.table({"id": ["a"], "pred": [float("inf")]}), r"not a finite number \(inf; 1 such"),
        (pa.table({"id": ["a"], "pred": [1.0], "seed": [True]}), "seed of clip a is not"),
    ],
    ids=range(15),
)
def test_faulty_parquet(tmp_path: Path, table: pa.Table, message: str) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SubmissionError, match=f"a.parquet.*{message}"):
        read_predictions(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.csv.gz", "a.xlsx", "a.pkl", ".csv"])
def test_other_formats_are_refused_before_anything_is_opened(tmp_path: Path, name: str) -> None:
    formats = r"come as \.csv, \.tsv, \.parquet, \.jsonl, \.json;"
    with pytest.raises(SubmissionError, match=formats) as caught:
        read_predictions(tmp_path / name)
    assert "id (or video_id and clip_id), pred" in str(caught.value.hint)


def test_a_missing_file_and_a_folder_are_refused(path: Path) -> None:
    with pytest.raises(SubmissionError, match=f"no such file: {path}"):
        read_predictions(path)
    path.mkdir()
    with pytest.raises(SubmissionError, match=f"a folder: {path}"):
        read_predictions(path)


# Anything at all


def parquet_bytes() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({**ROWS, "seed": [1] * 5}).to_parquet(buffer)
    return buffer.getvalue()


PARQUET = parquet_bytes()
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def readable_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        table = read_predictions(path)
    except SubmissionError:
        return
    assert len(table)
    assert np.isfinite(table["pred"]).all()
    assert all(isinstance(clip, str) and clip for clip in table["id"])


@QUIET
@given(st.binary() | st.text('id,pred"\n\r\ufeffé7', max_size=40).map(str.encode))
def test_any_bytes_are_a_csv_file_or_a_submission_error(tmp_path: Path, content: bytes) -> None:
    readable_or_refused(tmp_path / "a.csv", content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
COLUMNS = st.sampled_from(["id", "video_id", "clip_id", "pred", "seed", "label", "x"])


@QUIET
@given(
    st.binary()
    | st.lists(st.dictionaries(COLUMNS, JSON)).map(
        lambda rows: "\n".join(map(json.dumps, rows)).encode()
    )
)
def test_any_bytes_are_json_lines_or_a_submission_error(tmp_path: Path, content: bytes) -> None:
    readable_or_refused(tmp_path / "a.jsonl", content)


@QUIET
@given(st.lists(st.tuples(st.integers(0, len(PARQUET) - 1), st.integers(0, 255)), max_size=4))
def test_any_damage_to_a_parquet_file_is_harmless_or_a_submission_error(
    tmp_path: Path, damage: list[tuple[int, int]]
) -> None:
    content = bytearray(PARQUET)
    for place, byte in damage:
        content[place] = byte
    readable_or_refused(tmp_path / "a.parquet", bytes(content))


@pytest.mark.parametrize("length", [0, 4, 8, 100, len(PARQUET) - 1])
def test_a_cut_parquet_file_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.parquet").write_bytes(PARQUET[:length])
    with pytest.raises(SubmissionError, match=r"a\.parquet cannot be read"):
        read_predictions(tmp_path / "a.parquet")


def test_a_parquet_file_that_lies_about_its_footer_is_refused(tmp_path: Path) -> None:
    content = PARQUET[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_predictions(tmp_path / "a.parquet")


@pytest.mark.parametrize("metadata", [b"{", b"{}", b"[]", b'{"index_columns": [7]}', b"\xff"])
def test_what_a_foreign_writer_left_for_pandas_is_ignored(tmp_path: Path, metadata: bytes) -> None:
    table = pa.table(ROWS).replace_schema_metadata({b"pandas": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_predictions(tmp_path / "a.parquet")["id"].tolist() == ROWS["id"]


# Alignment


def labelled(labels: dict[str, float]) -> SplitLabels:
    return SplitLabels.of_clips(labels, dict.fromkeys(labels, "v"), datasets["mosi"], "test")


def test_alignment_follows_the_labels_and_accounts_for_every_clip() -> None:
    aligned = align({"c": 3.0, "a": 1.0, "x": 9.0}, labelled({"a": 0.5, "b": 0.0, "c": -1.0}))
    assert aligned.truth.ids == ("a", "c")
    assert aligned.pred.tolist() == [1.0, 3.0]
    assert aligned.truth.labels.tolist() == [0.5, -1.0]
    assert (aligned.missing, aligned.extra) == (["b"], ["x"])


CLIPS = st.dictionaries(st.sampled_from("abcdef"), st.floats(-3, 3))


@given(CLIPS, CLIPS)
def test_alignment_loses_and_invents_nothing(
    pred: dict[str, float], truth: dict[str, float]
) -> None:
    if not set(pred) & set(truth):
        with pytest.raises(SubmissionError, match="no clip id of the predictions"):
            align(pred, labelled(truth))
        return
    aligned = align(pred, labelled(truth))
    ids = aligned.truth.ids
    assert {*ids, *aligned.missing} == set(truth)
    assert {*ids, *aligned.extra} == set(pred)
    assert len(ids) + len(aligned.missing) == len(truth)
    assert [*aligned.pred] == [pred[clip] for clip in ids]
    assert [*aligned.truth.labels] == [round(truth[clip], 6) for clip in ids]


def test_predictions_of_other_clips_are_refused_with_an_example_of_each() -> None:
    with pytest.raises(SubmissionError, match="labels: 'v_1', predictions: 'w_7'") as caught:
        align({"w_7": 1.0}, labelled({"v_1": 1.0}))
    assert "--dataset" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("theirs", "cause"),
    [
        ("v_1", "leading zeros were lost"),
        ("0001_v", "video and clip are swapped"),
        ("v_0001.mp4", "video and clip are joined otherwise"),
        ("V_0001", "upper and lower case differ"),
        ("v_000１", "characters that look alike"),
        ("v", "they name videos, not clips"),
    ],
)
def test_one_misspelt_id_among_good_ones_is_named(theirs: str, cause: str) -> None:
    truth = {"v_0001": 1.0, "v_0002": 2.0, "w_0001": 0.0}
    with pytest.raises(SubmissionError, match=f"1 of 2 ids are no clips of the labels: .*{cause}"):
        align({"v_0002": 1.0, theirs: 1.0}, labelled(truth))


def test_an_unknown_id_that_resembles_a_predicted_clip_is_of_other_data() -> None:
    assert align({"v_0001": 1.0, "v_1": 2.0}, labelled({"v_0001": 1.0})).extra == ["v_1"]


SPELLINGS = ["{}$_${}", "{}[{}]", "{}/{}", " {}_{} ", "{} _ {}", "{}_{}\u00a0"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_ids_in_every_spelling_are_the_same_ids(path: Path, spelling: str) -> None:
    ids = [spelling.format("-a_b", "0001"), spelling.format("video_0002", "7")]
    table = read_predictions(write(path, {"id": ids, "pred": [1.0, 2.0]}))
    assert table["id"].tolist() == ["-a_b_0001", "video_0002_7"]


def test_numbers_of_any_kind_are_read_as_they_are(tmp_path: Path) -> None:
    columns = pa.table({"id": ["a_1"], "pred": [2**53 + 1], "label": ["1e-3"], "seed": ["7.0"]})
    pq.write_table(columns, tmp_path / "a.parquet")
    table = read_predictions(tmp_path / "a.parquet")
    assert table.to_dict("records") == [
        {"id": "a_1", "pred": float(2**53), "seed": 7, "label": 0.001}
    ]


# Conditions and variants

MANY: dict[str, list[Any]] = {
    "id": ["a_1", "a_2", "a_1", "a_1", "a_2"],
    "pred": [1.0, 2.0, 3.0, 4.0, 5.0],
    "condition": ["clean", "", "noise=0.5 ", " clean", "mixed"],
    "variant": ["plain", "", "", "excluded", "judgements swapped"],
}


def test_the_plain_predictions_of_clean_clips_are_read(path: Path) -> None:
    table = read_predictions(write(path, MANY))
    assert list(table.columns) == ["id", "pred"]
    assert table.to_numpy().tolist() == [["a_1", 1.0], ["a_2", 2.0]]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (PredictionCell(condition="noise=0.5"), [3.0]),
        (PredictionCell(variant="excluded"), [4.0]),
        (PredictionCell(condition="mixed", variant="judgements swapped"), [5.0]),
    ],
)
def test_others_are_read_when_asked_for(path: Path, cell: PredictionCell, expected: Any) -> None:
    assert read_predictions(write(path, MANY), cell)["pred"].tolist() == expected


def test_one_column_for_both_is_that_of_earlier_versions(path: Path) -> None:
    names = ["clean", "clean", "prompt:en-cues", "mixed, judgements swapped", ""]
    columns = {"id": ["a_1", "a_2", "a_1", "a_1", "a_3"], "pred": MANY["pred"], "condition": names}
    table = read_predictions_table(write(path, columns))
    assert cells_of(table) == [PredictionCell.named(name or "clean") for name in names]
    assert read_predictions(path)["pred"].tolist() == [1.0, 2.0, 5.0]
    (notice,) = others_than(COUNTED, table)
    assert "2 of 5 rows" in notice.text and "mixed, judgements swapped" in notice.text


def test_tables_that_tell_nothing_apart_have_one_cell(path: Path) -> None:
    table = read_predictions_table(write(path, ROWS))
    assert cells_of(table) == [COUNTED] * 5
    assert others_than(COUNTED, table) == []
    with pytest.raises(SubmissionError, match=r"no predictions of condition 'noise=0\.5'"):
        read_predictions(path, PredictionCell(condition="noise=0.5"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"condition": ["excluded"] * 5}, "no condition is called 'excluded'"),
        ({"condition": ["noise=0.5"] * 5}, "found noise=0.5; noise=0.5, excluded"),
        ({"variant": ["plain"] * 4 + ["x"], "condition": ["clean"] * 5}, "predicted twice"),
    ],
)
def test_wrong_conditions_and_variants_are_refused(path: Path, changes: Any, said: str) -> None:
    with pytest.raises(SubmissionError, match=said):
        read_predictions(write(path, MANY | changes))
