"""One reader of tables: what is wrong in a file is said before a number is read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._util.budget import Budget
from harness.data.datasets import datasets
from harness.data.readers.tables import InputTable, parse_csv, read_table
from harness.errors import DataError, SubmissionError

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)


def table(**columns: list[object]) -> InputTable:
    return InputTable(
        name="t.parquet", frame=pd.DataFrame(columns, dtype=object), encoding="", error=DataError
    )


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6))
def test_quoted_cells_come_back(rows: list[tuple[str, str, str]]) -> None:
    text = "".join(",".join('"' + c.replace('"', '""') + '"' for c in r) + "\n" for r in rows)
    if any("\n" in c or "\r" in c for r in rows for c in r):
        return  # texts of several lines have a test of their own
    assert parse_csv(("a,b,c\n" + text).encode(), Budget("t.csv", 1)).rows == [
        list(row) for row in rows
    ]


@pytest.mark.parametrize(
    "row",
    [
        'v1,1,"oh my god,1.0,P,train\nv2,1,so good",-0.5,N,train\n',
        'v1,1,"oh,1.0,P,train\nv2,1,x,0,N,test\nv3,1,so",-0.5,N,train\n',
        '"v1,1,oh,1.0,P,train\nv2",1,so good,-0.5,N,train\n',
        'v1,1,oh,1.0,P,"train\nv2,1,so,1,P,train"\n',
        'v1,1,"oh, my,1.0,P,train\r\nv2,1,so good",-0.5,N,train\n',
    ],
)
def test_a_quote_that_swallows_rows_is_noticed(row: str) -> None:
    with pytest.raises(DataError, match=r"line 2: a quote is opened and not closed"):
        parse_csv(f"video,clip,text,label,note,mode\n{row}".encode(), Budget("label.csv", 1))


def test_a_quote_that_never_closes_is_named_by_its_row() -> None:
    with pytest.raises(DataError, match="line 3: not a CSV row"):
        parse_csv(b'a,b\n1,2\n"x,3\n4,5\n', Budget("t.csv", 1))


def test_a_text_of_several_lines_is_a_text() -> None:
    rows = parse_csv(b'id,text,n\nv,"one,\ntwo, three\nfour",1\n', Budget("t.csv", 1))
    assert rows.rows == [["v", "one,\ntwo, three\nfour", "1"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id;pred\nv;1;2\n", "line 2: 3 cells under 2"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"id,pred\nv,1,2\n", "line 2: 3 cells under 2"),
        (b"id,pred\nv\n", "line 2: 1 cells under 2"),
        (b"id,pred\nv,\xff\n", "line 2, about cell 2"),
        ("id,pred\nv,1\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_csv(content, Budget("t.csv", 1))


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_cells_are_separated_by_what_the_first_line_has(sign: str) -> None:
    content = '\nid,text,pred\nv,"a; b\tc|d",1\n'.replace(",", sign)
    found = parse_csv(content.encode(), Budget("t.csv", 1))
    assert (found.header, found.rows) == (["id", "text", "pred"], [["v", "a; b\tc|d", "1"]])


def test_a_comma_in_the_first_line_makes_it_commas() -> None:
    assert parse_csv(b"id,a;b\nv,1;2\n", Budget("t.csv", 1)).rows == [["v", "1;2"]]


def test_the_same_table_comes_in_every_format(tmp_path: Path) -> None:
    objects = [{"id": "v_1", "pred": 0.5}, {"id": "-w_02", "pred": -1}]
    (tmp_path / "t.json").write_text(json.dumps(objects, indent=2))
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, objects)))
    (tmp_path / "t.tsv").write_text("id\tpred\nv_1\t0.5\n-w_02\t-1\n")
    for name in ("t.json", "t.jsonl", "t.tsv"):
        found = read_table(tmp_path / name)
        ids = found.ids()
        assert ids == ["v_1", "-w_02"]
        assert found.numbers("pred", ids).tolist() == [0.5, -1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"v_1": 0.5}', "should be a list of JSON objects, found a dict"),
        ("[1, 2]", "entry 1 of its list is not a JSON object"),
        ("[]", "is empty"),
        ('[{"id": "v_1", "id": "v_2"}]', "the key 'id' stands twice"),
        ("[{]", "t.json: Expecting"),
    ],
)
def test_what_is_no_list_of_objects_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.csv.gz", "unpack"),
        ("t.xlsx", "spreadsheet"),
        ("t.txt", "tables come as"),
    ],
)
def test_other_formats_say_what_to_do(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_the_letter_case_of_the_suffix_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "t.CSV").write_text("id,pred\nv_1,1\n")
    assert read_table(tmp_path / "t.CSV").ids() == ["v_1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "v_1", "pred": 1, "pred": 2}', "line 2: the key 'pred' stands twice"),
        ('{"id": "v_1", "nested": {"a": 1, "a": 2}}', "the key 'a' stands twice"),
        ("[1, 2]", "line 2 is not a JSON object"),
        ("{", "line 2: "),
        ("[" * 100_000, "line 2: "),
    ],
)
def test_json_lines_that_cannot_be_told(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": "v_0", "pred": 0}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_repeated_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,pred, pred\nv_1,1,2\n")
    with pytest.raises(SubmissionError, match="two columns pred"):
        read_table(path, error=SubmissionError)


def test_ids_are_those_a_person_sees() -> None:
    assert table(id=[" v_1", "v$_$2", "v[3]"]).ids() == ["v_1", "v_2", "v_3"]
    assert table(video_id=["v "], clip_id=[" 01"]).ids() == ["v_01"]
    assert table(video_id=["v"], clip_id=["v$_$01"]).ids() == ["v_01"]
    assert table(id=["v/01"]).ids(dataset=datasets["sims"]) == ["v_01"]
    assert table(video_id=["v"], clip_id=["01"]).ids(dataset=datasets["sims"]) == ["v_01"]
    with pytest.raises(DataError, match="row 1 of 1: ids should be"):
        table(id=["v"]).ids(dataset=datasets["sims"])
    with pytest.raises(DataError, match="1 clips more than once: v_1"):
        table(id=["v_1", "v_1 ", "v_2"]).ids(unique=True)
    with pytest.raises(DataError, match="look like another"):
        table(id=["v_1", "v_１"]).ids()
    with pytest.raises(DataError, match=r"row 2 of 2: '1.00E\+05' is a number in scientific"):
        table(id=["v_1", "1.00E+05"]).ids()
    with pytest.raises(DataError, match="expected a column id"):
        table(clip=["v_1"]).ids()
    with pytest.raises(DataError, match="no rows"):
        table(id=[]).ids()


@pytest.mark.parametrize(
    "cell",
    [True, np.bool_(False), "yes", "1_0", [1], pd.Timestamp("2020"), b"1", 1 + 2j, "inf", ""],
)
def test_what_is_no_number_is_refused(cell: object) -> None:
    with pytest.raises(DataError, match="pred of clip v_2 is not a finite number"):
        table(pred=[0.5, cell]).numbers("pred", ["v_1", "v_2"])


def test_empty_cells_are_missing_only_where_they_may_be() -> None:
    cells: list[object] = ["", None, math.nan, " ", "0.5", np.float32(2)]
    found = table(pred=cells).numbers("pred", list("abcdef"), empty=True)
    np.testing.assert_array_equal(found, [np.nan] * 4 + [0.5, 2])
    with pytest.raises(DataError, match="4 such clips"):
        table(pred=cells).numbers("pred", list("abcdef"))


@pytest.mark.parametrize("cell", [1, 0.5, True, ["a"], {"a": 1}, b"a"])
def test_numbers_and_lists_are_not_words(cell: object) -> None:
    with pytest.raises(DataError, match="text of clip v_1 should be a text"):
        table(text=[cell]).texts("text", ["v_1"])


def test_a_missing_text_is_empty_and_half_a_character_is_refused() -> None:
    assert table(text=[None, math.nan, "nan", " a "]).texts("text", list("abcd")) == [
        *("", "", "nan", " a ")
    ]
    with pytest.raises(DataError, match="text of clip a is empty"):
        table(text=[None]).texts("text", ["a"], empty=False)
    for cell in ("\ud83d", "a\x00", "it\x92s", "\x1b[0m", "\x0c"):
        with pytest.raises(DataError, match=r"text of clip a holds .* character"):
            table(text=[cell]).texts("text", ["a"])
    assert table(text=["a\tb\r\nc"]).texts("text", ["a"]) == ["a\tb\r\nc"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\x00", "a spreadsheet or a zip archive"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\xef\xbb\xbf <!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_a_file_of_another_kind_is_named(content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=f"t.csv is not a CSV file but {what}"):
        parse_csv(content, Budget("t.csv", 1))


@pytest.mark.parametrize("content", ["", "\n\n", " \r\n"])
def test_json_lines_without_an_object_are_empty(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(content.encode())
    with pytest.raises(DataError, match=r"t\.jsonl is empty"):
        read_table(tmp_path / "t.jsonl")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_json_lines_end_in_any_way(end: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(f'{{"id": "a_1"}}{end}{{"id": "a_2"}}{end}'.encode())
    assert read_table(tmp_path / "t.jsonl").ids() == ["a_1", "a_2"]


def test_an_integer_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"pred": ' + "9" * 5000 + "}", "utf-8")
    with pytest.raises(DataError, match="line 1: an integer of 5000 digits, 400 at most"):
        read_table(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("-0,71", "decimals have a point: -0.71"),
        ("−0.5", "the minus sign is a plain one: -0.5"),
        ("71%", "without a percent sign"),
        ("many", "as asked"),
    ],
)
def test_a_cell_that_a_person_reads_as_a_number_has_advice(cell: str, advice: str) -> None:
    with pytest.raises(DataError) as refused:
        table(pred=[cell]).numbers("pred", ["a_1"], hint="as asked")
    assert advice in str(refused.value.hint)
