"""TOML and JSON files that people write: read in UTF-8 with or without a mark, else one error."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._util.documents import read_json, read_toml
from harness.errors import DataError, HarnessError, SpecError, SubmissionError
from harness.spec import Suite
from harness.submissions.manifest import SubmissionManifest

READERS = {"toml": read_toml, "json": read_json}
GOOD = {"toml": 'title = "café 好"\n', "json": '{"title": "café 好"}\n'}
SUITE = 'title="t"\ncorpora=["mosi@label-csv"]\nseeds=1\n[[systems]]\nname="tfidf_ridge"\n'


def read(folder: Path, kind: str, content: bytes) -> dict[str, object]:
    path = folder / f"x.{kind}"
    path.write_bytes(content)
    return READERS[kind](path, "document")


def refusal(folder: Path, kind: str, content: bytes) -> HarnessError:
    with pytest.raises(SpecError, match=rf"^cannot read document .*x\.{kind}: ") as caught:
        read(folder, kind, content)
    return caught.value


@pytest.mark.parametrize("kind", READERS)
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, kind: str) -> None:
    content = GOOD[kind].encode()
    plain = read(tmp_path, kind, content)
    assert plain == {"title": "café 好"}
    assert read(tmp_path, kind, codecs.BOM_UTF8 + content) == plain
    assert read(tmp_path, kind, codecs.BOM_UTF8 + content.replace(b"\n", b"\r\n")) == plain


@pytest.mark.parametrize("kind", READERS)
def test_a_mark_alone_is_an_empty_file(tmp_path: Path, kind: str) -> None:
    if kind == "toml":
        assert read(tmp_path, kind, codecs.BOM_UTF8) == read(tmp_path, kind, b"") == {}
    else:
        for content in (b"", codecs.BOM_UTF8):
            assert "line 1 column 1" in str(refusal(tmp_path, kind, content))


@pytest.mark.parametrize("kind", READERS)
def test_only_one_mark_is_taken_off(tmp_path: Path, kind: str) -> None:
    refusal(tmp_path, kind, 2 * codecs.BOM_UTF8 + GOOD[kind].encode())


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_wide_encodings_are_named(tmp_path: Path, kind: str, encoding: str) -> None:
    found = refusal(tmp_path, kind, GOOD[kind].encode(encoding))
    assert "UTF-16 or UTF-32" in str(found)
    assert found.hint == "save it as UTF-8"


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("é = 1".encode("latin-1"), "0xe9 (at line 1, column 1)"),
        ('a = 1\nlabel = "caf\xe9"'.encode("latin-1"), "0xe9 (at line 2, column 13)"),
        ('# 好\n"好" = "'.encode() + "好".encode("gbk"), "0xba (at line 2, column 8)"),
        (b'a = "' + "€".encode("cp1252"), "0x80 (at line 1, column 6)"),
        (b'a = "' + "好".encode()[:2], "0xe5 (at line 1, column 6)"),  # cut short
        (b"a = '\r\n\xff", "0xff (at line 2, column 1)"),
    ],
)
def test_the_first_wrong_byte_is_placed(
    tmp_path: Path, mark: bytes, content: bytes, place: str
) -> None:
    for kind in READERS:
        found = refusal(tmp_path, kind, mark + content)
        assert f"expected UTF-8, found the byte {place}" in str(found)
        assert found.hint == "save it as UTF-8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a = ", "Invalid value (at end of document)"),
        ("a = 1\nb 2", "(at line 2, column 3)"),
        ("a = 1\na = 2\nb = 3", "(at line 2, column 6)"),
        ("a = 1 2", "(at line 1, column 7)"),
        ("[t]\n[t]", "Cannot declare ('t',) twice"),
    ],
)
def test_faults_of_toml_keep_their_place(tmp_path: Path, content: str, message: str) -> None:
    assert message.lower() in str(refusal(tmp_path, "toml", content.encode())).lower()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1, "a": 1}', "the key 'a' occurs twice in one object"),
        ('{"x": [{"b": 1, "c": 2, "b": 3}]}', "the key 'b' occurs twice"),
        ('{"a": NaN}', "expected finite numbers, found NaN"),
        ('{"a": [-Infinity]}', "expected finite numbers, found -Infinity"),
        ('{"a": 1e999}', "expected finite numbers, found 1e999"),
        ("[1]", "it should be a table, found a list"),
        ("3", "it should be a table, found a int"),
        ("null", "it should be a table, found a NoneType"),
        ('"text"', "it should be a table, found a str"),
        ('{"a": 1,\n"b": }', "line 2 column 6"),
        ('{"a": 1} {}', "Extra data: line 1 column 10"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_faults_of_json_are_named(tmp_path: Path, content: str, message: str) -> None:
    assert message in str(refusal(tmp_path, "json", content.encode()))


def test_what_cannot_be_opened_is_one_error_with_the_hint(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.toml", Path("a\0b")):
        with pytest.raises(DataError, match=r"^cannot read card") as caught:
            read_toml(path, "card", error=DataError, hint="name another")
        assert caught.value.hint == "name another"


@settings(deadline=None)
@given(content=st.binary(max_size=80))
def test_any_bytes_are_a_table_or_the_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    for kind in READERS:
        try:
            table = read(tmp_path_factory.getbasetemp(), kind, content)
        except SpecError:
            continue
        assert isinstance(table, dict)


TABLES = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.booleans()),
)


@settings(deadline=None)
@given(table=TABLES, mark=st.sampled_from([b"", codecs.BOM_UTF8]))
def test_json_reads_back_with_or_without_a_mark(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any], mark: bytes
) -> None:
    content = mark + json.dumps(table, ensure_ascii=False).encode()
    assert read(tmp_path_factory.getbasetemp(), "json", content) == table


# The files that go through it


def test_suites_may_begin_with_a_mark(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain" / "s.toml", tmp_path / "s.toml"
    plain.parent.mkdir()
    plain.write_text(SUITE, "utf-8")
    marked.write_bytes(codecs.BOM_UTF8 + SUITE.encode())
    assert Suite.load(marked) == Suite.load(plain)


def test_a_suite_in_another_encoding_says_where(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(SUITE.encode() + 'label="café"\n'.encode("latin-1"))
    with pytest.raises(SpecError, match=r"0xe9.*line 6, column 11") as caught:
        Suite.load(path)
    assert caught.value.hint == "save it as UTF-8"
    path.write_text(SUITE, "utf-16")
    with pytest.raises(SpecError, match="UTF-16"):
        Suite.load(path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("m.toml", 'title = "t"\nseeds = 3\n'),
        ("m.TOML", 'title = "t"\nseeds = 3\n'),
        ("m.json", '{"title": "t", "seeds": 3}'),
        ("m.Json", '{"title": "t", "seeds": 3}'),
    ],
)
def test_manifests_may_begin_with_a_mark(tmp_path: Path, file: str, content: str) -> None:
    path = tmp_path / file
    path.write_bytes(codecs.BOM_UTF8 + content.encode())
    read = SubmissionManifest.load(path, default="mine")
    assert (read.name, read.title, read.seeds) == ("mine", "t", 3)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("m.json", b'{"title": "a", "title": "b"}', "the key 'title' occurs twice"),
        ("m.json", b'{"scale": Infinity}', "found Infinity"),
        ("m.json", '{"title": "t"}'.encode("utf-16"), "UTF-16"),
        ("m.toml", 'title = "é"'.encode("latin-1"), "0xe9"),
        ("m.toml", b"title = ", "Invalid value"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_submission_error(
    tmp_path: Path, file: str, content: bytes, message: str
) -> None:
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(SubmissionError, match=message) as caught:
        SubmissionManifest.load(path, default="mine")
    assert caught.value.exit_code == 2


def test_the_command_runs_a_suite_with_a_mark(tmp_path: Path, msa: Any) -> None:
    path = tmp_path / "marked.toml"
    text = SUITE.replace("mosi@label-csv", "mosi-twin@compact-x5")
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    code, out, err = msa("run", path, "--plan")
    assert (code, err) == (0, "")
    assert "tfidf_ridge" in out


def test_an_integer_of_thousands_of_digits_is_refused_without_advice_for_programs(
    tmp_path: Path,
) -> None:
    for read, name, text in (
        (read_toml, "a.toml", "n = " + "9" * 5000),
        (read_json, "a.json", '{"n": ' + "9" * 5000 + "}"),
    ):
        (tmp_path / name).write_text(text, "utf-8")
        with pytest.raises(SpecError, match=r"an integer of thousands of digits$"):
            read(tmp_path / name, "suite")
