"""Tables of recordings and the times of clips: what makes no segment is refused or said."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.media.locate import NOWHERE, Recording, places
from harness.errors import DataError

CLIPS = pd.DataFrame(
    {"id": ["v_001", "v_2", "w_1"], "video": ["v", "v", "w"], "clip": ["001", "2", "1"]}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media = tmp_path / "media"
    media.mkdir()
    (media / "long.mp4").touch()
    (media / "片.mp4").touch()
    (tmp_path / "secret.mp4").touch()
    return media


def listed(folder: Path, text: str | bytes) -> list[Recording]:
    content = text.encode() if isinstance(text, str) else text
    (folder / "manifest.csv").write_bytes(content)
    return places(CLIPS, folder)


@pytest.mark.parametrize(
    "text",
    [
        "id,file,start,stop\nv_001,long.mp4,1.5,4\n",
        "\ufeffid,file,start,stop\r\nv_001,long.mp4,1.5,4\r\n",
        " id , file , start , stop \n v_001 , long.mp4 , 1.5 , 4 \n",
        "stop,start,file,id\n4,1.5,long.mp4,v$_$001\n",
        "video_id,clip_id,file,start,stop\nv,001,long.mp4,1.5,4\n",
        "id,file,start,stop,note\nv_001,./long.mp4,15e-1,4.0,said twice\n",
        "id,file,start,stop\nv[001],long.mp4,1.5,4\n",
    ],
)
def test_one_clip_in_many_spellings(folder: Path, text: str) -> None:
    first, *others = listed(folder, text)
    assert first == Recording(media=folder / "long.mp4", start=1.5, stop=4.0)
    assert others == [NOWHERE, NOWHERE]


def test_leading_zeros_belong_to_an_id(folder: Path) -> None:
    first, second, _ = listed(folder, "id,file\nv_1,long.mp4\nv_2,long.mp4\n")
    assert (first, second.media) == (NOWHERE, folder / "long.mp4")


def test_times_may_be_left_out(folder: Path) -> None:
    for text in ("id,file\nv_2,片.mp4\n", "id,file,start,stop\nv_2,片.mp4,,\n"):
        assert listed(folder, text)[1] == Recording(media=folder / "片.mp4")
    assert listed(folder, "id,file,start\nv_2,long.mp4,3\n")[1].start == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,file\nv_2,long.mp4\nv_2,long.mp4\n", "1 clips more than once: v_2"),
        ("id,file\nv_2,long.mp4\nv$_$2,long.mp4\n", "more than once: v_2"),
        ("id,file\nv_2,long.mp4\n v_2 ,long.mp4\n", "more than once: v_2"),
        ("id,file,file\nv_2,long.mp4,long.mp4\n", "two columns file"),
        ("id,id,file\nv_2,v_3,long.mp4\n", "two columns id"),
        ("id,file,start,stop\nv_2,long.mp4,-1,4\n", "v_2 starts at -1 s, before its recording"),
        ("id,file,start,stop\nv_2,long.mp4,4,3\n", "v_2 stops at 3 s, not after its start at 4 s"),
        ("id,file,start,stop\nv_2,long.mp4,4,4\n", "v_2 stops at 4 s"),
        ("id,file,stop\nv_2,long.mp4,0\n", "v_2 stops at 0 s"),
        (
            "id,file,start,stop\nv_2,long.mp4,4,3\nw_1,long.mp4,1,2\nv_3,long.mp4,-1,2\n",
            r"v_2 stops at 3 s.* \(2 such clips\)",
        ),
        ("id,file,start,stop\nv_2,long.mp4,,3\n", "v_2 has a stop and no start"),
        ("id,file,start,stop\nv_2,long.mp4,1,\n", "v_2 has a start and no stop"),
        ("id,file,start,stop\nv_2,long.mp4,1,nan\n", "v_2 has a start and no stop|not a finite"),
        ("id,file,start,stop\nv_2,long.mp4,soon,2\n", "start of clip v_2 is not a finite number"),
        ("id,file,start,stop\nv_2,long.mp4,1,inf\n", "stop of clip v_2 is not a finite number"),
        ('id,file,start,stop\nv_2,long.mp4,"1,5",2\n', "start of clip v_2 is not a finite"),
        ("id,file\nv_2,gone.mp4\n", "names the recording gone.mp4, which is not in"),
        ("id,file\nv_2,gone.mp4\nw_1,lost.mp4\n", r"gone.mp4.*\(2 such recordings\)"),
        ("id,file\nv_2,../secret.mp4\n", r"names the recording \.\./secret.mp4"),
        ("id,file\nv_2,/etc/hostname\n", "names the recording /etc/hostname"),
        ("id,file\nv_2,.\n", r"names the recording \., which"),
        ("id,file\nv_2,\n", "file of clip v_2 is empty"),
        ("id,file\n,long.mp4\n", "an empty id"),
        ("id,file\n1.0E+05,long.mp4\n", "scientific notation"),
        ("id;file\nv_2;gone.mp4\n", "names the recording gone.mp4"),
        ("id,file\nv_2\n", "line 2: 1 cells under 2"),
        ("id,start\nv_2,1\n", "found no file"),
        ("name,file\nv_2,long.mp4\n", "expected a column id"),
        ("id,file\n", "cannot read"),
        ("", "cannot read"),
        ("id,file\nv_2,long.mp4\n".encode("utf-16"), "is in UTF-16"),
        ("id,file\nv_2,好片.mp4\n".encode("gbk"), "line 2.*is not UTF-8"),
    ],
)
def test_a_table_that_is_not_sound_is_one_error(
    folder: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        listed(folder, text)


def test_clips_that_the_corpus_has_not_are_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "".join(f"x_{k},long.mp4\n" for k in range(5))
    with caplog.at_level(logging.WARNING):
        listed(folder, f"id,file\nv_2,long.mp4\n{rows}")
        assert not caplog.messages  # a part of a corpus may leave clips out
        places(CLIPS, folder, whole=True)
    assert caplog.messages == [
        "manifest.csv names 5 clips that the corpus has not: x_0, x_1, x_2, …"
    ]


@pytest.mark.parametrize(
    ("start", "stop", "problem"),
    [
        (1.0, 2.0, ""),
        (0.0, 0.5, ""),
        (-0.5, 2.0, "clip w_1 starts at -0.5 s, before its recording begins"),
        (2.0, 1.0, "clip w_1 stops at 1 s, not after its start at 2 s"),
        (2.0, 2.0, "clip w_1 stops at 2 s, not after its start at 2 s"),
        (float("nan"), 2.0, "clip w_1 has a stop and no start"),
        (2.0, float("nan"), "clip w_1 has a start and no stop"),
    ],
)
@pytest.mark.parametrize("by", ["file", "name"])
def test_times_of_the_corpus_that_make_no_segment_are_a_problem_of_the_clip(
    folder: Path, start: float, stop: float, problem: str, by: str
) -> None:
    (folder / "w.mp4").touch()
    clips = CLIPS.assign(start=[0.0, 0.0, start], stop=[1.0, 1.0, stop])
    if by == "file":
        clips["file"] = "long.mp4"
    first, _, found = places(clips, folder)
    assert not first.problem
    assert found.problem == problem
    assert (found.media is None) == bool(problem)


def test_a_whole_video_without_times_is_refused(folder: Path) -> None:
    (folder / "w.mp4").touch()
    for clips in (CLIPS, CLIPS.assign(start=1.0), CLIPS.assign(start=None, stop=None)):
        with pytest.raises(DataError, match="whole video; clip w_1 has no start and stop"):
            places(clips, folder)


TIMES = st.none() | st.floats(-5, 5)


@settings(deadline=None)
@given(start=TIMES, stop=TIMES)
def test_a_place_is_a_segment_or_there_is_a_reason(
    tmp_path_factory: pytest.TempPathFactory, start: float | None, stop: float | None
) -> None:
    folder = tmp_path_factory.getbasetemp() / "recordings"
    folder.mkdir(exist_ok=True)
    (folder / "long.mp4").touch()
    clips = CLIPS.assign(file="long.mp4", start=[start] * 3, stop=[stop] * 3).astype(
        {"start": float, "stop": float}
    )
    for found in places(clips, folder):
        sound = start is None and stop is None
        sound |= start is not None and stop is not None and 0 <= start < stop
        assert (found.problem == "") == sound
