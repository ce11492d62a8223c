"""Encodings are decided by evidence, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._util.decoding import decode
from harness.errors import DataError

ENGLISH = (
    "it’s good, don’t miss",
    "the café is nice",
    "“Zoë” — naïve résumé …",
    "£5 at 20° © 2012",
)
CHINESE = ("我不想去了，你们去吧！", "这部电影真的很好看。", "他说：“没问题”", "iPhone很贵，不买……")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_utf8_is_read_as_it_is(text: str) -> None:
    content = ("a,b\n" + text).encode()
    assert decode(content, "f.csv", language="en").text == "a,b\n" + text
    assert decode(b"\xef\xbb\xbf" + content, "f.csv").text == "a,b\n" + text


@pytest.mark.parametrize("text", ENGLISH)
@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "gb18030"])
def test_english_files_from_windows_macs_and_china(text: str, encoding: str) -> None:
    found = decode(text.encode(encoding), "label.csv", language="en")
    assert (found.text, found.encoding) == (text, encoding)
    assert "not UTF-8" in found.evidence


@pytest.mark.parametrize("text", CHINESE)
def test_chinese_files(text: str) -> None:
    found = decode(text.encode("gbk"), "label.csv", language="zh")
    assert (found.text, found.encoding) == (text, "gb18030")


def test_chinese_files_from_taiwan() -> None:
    text = "這部電影真的很好看，我覺得演員都很棒，明天還想再看一次。"
    found = decode(text.encode("big5"), "label.csv", language="zh")
    assert (found.text, found.encoding) == (text, "big5")


def test_english_columns_of_a_chinese_dataset() -> None:
    found = decode("it’s fine, isn’t it".encode("cp1252"), "label.csv", language="zh")
    assert found.text == "it’s fine, isn’t it"


def test_two_readings_that_fit_alike_are_refused() -> None:
    with pytest.raises(DataError, match=r"cp1252 .*Ni–o.* or mac_roman .*Niño") as caught:
        decode("El Niño".encode("mac_roman"), "label.csv", language="en")
    assert caught.value.hint is not None and "--encoding" in caught.value.hint


@pytest.mark.parametrize(
    "content", [b"a,b\n\x81\x8d\x8f", bytes(range(128, 256)), b"x,\xff\xff\xff\n"]
)
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="neither UTF-8 nor plausible"):
        decode(content, "label.csv", language="en")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(encoding: str) -> None:
    content = "video_id,clip_id\nv,1\n".encode(encoding)
    with pytest.raises(DataError, match="is in UTF-"):
        decode(content, "label.csv", language="en")
    stated = decode(content, "label.csv", encoding=encoding)
    assert stated.text == "video_id,clip_id\nv,1\n"


def test_what_is_stated_is_not_guessed() -> None:
    content = "Müller".encode("latin-1")
    assert decode(content, "f.csv", encoding="latin-1").text == "Müller"
    with pytest.raises(DataError, match="not utf-8 text at byte 1"):
        decode(content, "f.csv", encoding="utf-8")
    with pytest.raises(DataError, match="no encoding 'utf-9'"):
        decode(content, "f.csv", encoding="utf-9")


def test_without_a_language_the_place_of_the_wrong_byte_is_said() -> None:
    with pytest.raises(DataError, match=r"line 2, about cell 3: byte 0xe9"):
        decode(b"id,pred,text\nv_1,0.5,caf\xe9\n", "p.csv")


@pytest.mark.parametrize("language", ["en", "zh", "mixed"])
@pytest.mark.parametrize("damage", [b"caf\xe9", b"it\x92s", b"so \xe2\x80"])
def test_utf8_with_one_wrong_byte_is_not_read_as_something_else(
    damage: bytes, language: str
) -> None:
    content = "a,b\nit’s good and it’s fine,1\n".encode() + damage + b",2\n"
    with pytest.raises(DataError, match=r"line 3, about cell 1: byte 0x\w\w is not UTF-8, most"):
        decode(content, "label.csv", language=language)


def test_half_characters_are_not_read_as_something_else() -> None:
    content = "a,b\nso \ud83d\ude00,1\n".encode("utf-8", "surrogatepass")
    with pytest.raises(DataError, match=r"line 2, about cell 1: byte 0xed .* half a character"):
        decode(content, "label.csv", language="en")


def test_a_currency_sign_is_not_taken_for_a_paragraph() -> None:
    with pytest.raises(DataError, match="neither UTF-8 nor plausible"):
        decode("cost 5 € only".encode("iso8859-15"), "label.csv", language="en")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_the_encoding_to_state_is_the_one_that_was_found(encoding: str) -> None:
    with pytest.raises(DataError) as refused:
        decode("a,b".encode(encoding), "label.csv", language="en")
    assert f"--encoding {encoding}" in str(refused.value.hint)
    assert decode("a,b".encode(encoding), "label.csv", encoding=encoding).text == "a,b"
