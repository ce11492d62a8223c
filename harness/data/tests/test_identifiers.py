"""One spelling per id, whatever a file made of it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.identifiers import (
    canonical_id,
    clean_id,
    look_alikes,
    spells_nothing,
    split_id,
    split_pair,
    visible,
)

PART = st.text(st.sampled_from("abcXYZ019-éü中"), min_size=1, max_size=8).filter(
    lambda text: text.lower() not in {"nan", "none", "null"}
)
BLANKS = st.text(st.sampled_from(" \t\u00a0\u3000\u200b\ufeff"), max_size=3)
JOINTS = st.sampled_from(["{}$_${}", "{}[{}]", "{}/{}", "{}_{}"])


def is_plain(text: str) -> bool:
    try:
        return clean_id(text) == text
    except ValueError:
        return False


@given(PART.filter(is_plain), PART.filter(is_plain), JOINTS, BLANKS, BLANKS)
def test_every_spelling_of_an_id_is_one_id(
    video: str, clip: str, joint: str, before: str, after: str
) -> None:
    spelled = f"{before}{joint.format(video, f'{before}{clip}{after}')}{after}"
    assert canonical_id(spelled) == f"{video}_{clip}"
    assert split_id(spelled) == (video, clip)


@given(PART.filter(is_plain))
def test_cleaning_is_done_once(text: str) -> None:
    assert clean_id(clean_id(text)) == clean_id(text)
    assert clean_id(unicodedata.normalize("NFD", text)) == text


@pytest.mark.parametrize(
    ("spelled", "parts"),
    [
        ("video_0001$_$0003", ("video_0001", "0003")),
        ("video_0001_0003", ("video_0001", "0003")),
        ("-3g5yACwYnA[13]", ("-3g5yACwYnA", "13")),
        ("-_a_b__7", ("-_a_b_", "7")),
        ("_0efYOjQYRc_4", ("_0efYOjQYRc", "4")),
        ("aqgy4_0004/00012", ("aqgy4_0004", "00012")),
    ],
)
def test_ids_are_taken_apart_at_the_joint(spelled: str, parts: tuple[str, str]) -> None:
    assert split_id(spelled) == parts


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("#NAME?", "spreadsheet"),
        ("v_#REF!", "spreadsheet"),
        ("#N/A", "spreadsheet"),
        ("1.00E+05", "scientific"),
        ("1E+05", "scientific"),
        ("v_3.0", "decimals"),
        ("12,5", "decimals"),
        ("2021-03-04", "date"),
        ("2021-03-04 00:00:00", "date"),
        ("3-Mar", "date"),
        ("Mar-21", "date"),
        ("1/2/2003", "date"),
        ("01.02.03", "date"),
        ("", "empty"),
        (" \u200b\ufeff", "empty"),
        ("NaN", "empty"),
        ("<NA>", "empty"),
        (7, "leading zeros"),
        (7.0, "leading zeros"),
        (None, "leading zeros"),
        (True, "leading zeros"),
        ("v\ud800_1", "half a character"),
        ("v\x00_1", "control character"),
    ],
)
def test_what_is_no_id_any_more_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical_id(value)


@pytest.mark.parametrize("value", ["100178_3", "1E5abcdefgh_2", "May-be_1", "-2021_0003", "7_00"])
def test_ids_that_resemble_numbers_and_dates_stay(value: str) -> None:
    assert canonical_id(value) == value


def test_an_id_without_a_joint_is_kept_but_cannot_be_taken_apart() -> None:
    assert canonical_id("clip7") == "clip7"
    for whole in ("clip7", "clip_", "_7", "$_$7"):
        with pytest.raises(ValueError, match=r"video\[clip\]"):
            split_id(whole)


def test_what_looks_the_same_is_found() -> None:
    assert look_alikes(["v1_1", "v1_2", "v１_1", "a\u2010b_1", "a-b_1"]) == [
        ("v1_1", "v１_1"),
        ("a\u2010b_1", "a-b_1"),
    ]
    assert look_alikes(["aB_1", "Ab_1"]) == []


@pytest.mark.parametrize(
    ("pair", "parts"),
    [
        (("v", "1"), ("v", "1")),
        (("a_b", "a_b$_$1"), ("a_b", "1")),
        ((" a_b ", "a_b[ 1 ]"), ("a_b", "1")),
        (("a_b", "a_b_1"), ("a_b", "1")),
        (("-x", "-x/01"), ("-x", "01")),
        (("v", "x_1"), ("v", "x_1")),
        (("v", "v_"), ("v", "v_")),
    ],
)
def test_a_clip_may_be_a_whole_id_of_its_video(
    pair: tuple[str, str], parts: tuple[str, str]
) -> None:
    assert split_pair(*pair) == parts


@pytest.mark.parametrize("clip", ["w$_$1", "w[1]", "w/1", "V$_$1", "v1/1"])
def test_a_whole_id_of_another_video_is_refused(clip: str) -> None:
    with pytest.raises(ValueError, match="of another video than 'v'"):
        split_pair("v", clip)


@given(PART.filter(is_plain), PART.filter(is_plain), JOINTS, BLANKS)
def test_a_whole_id_beside_its_video_adds_nothing(
    video: str, clip: str, joint: str, blank: str
) -> None:
    assert split_pair(video, f"{blank}{joint.format(video, clip)}{blank}") == (video, clip)


@pytest.mark.parametrize("text", ["nan", " NaN ", "None", "NULL", "n/a", "NA", "<NA>", "NaT"])
def test_what_spells_nothing(text: str) -> None:
    assert spells_nothing(text)
    assert not spells_nothing(f"{text} of them")


@given(st.text(max_size=20))
def test_what_is_visible_is_settled_once(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("cell", ['="v1"', "=A1", "'v1"])
def test_what_a_spreadsheet_put_around_an_id_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="a spreadsheet has changed it"):
        clean_id(cell)
