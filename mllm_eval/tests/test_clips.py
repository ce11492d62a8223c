"""Clips find their recordings; swapping never leaves anything where it was."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from clips_on_disk import recordings
from hypothesis import given
from hypothesis import strategies as st

from harness.data.media import decode as recording
from harness.errors import DataError
from mllm_eval.media.clips import clips_of, donors, media_identity
from mllm_eval.media.sampling import Clip, FrameSampling, parts

TABLE = pd.DataFrame(
    {"id": ["a_1", "a_2", "b_1"], "video": ["a", "a", "b"], "clip": ["1", "2", "1"], "text": "xyz"}
)


def test_without_a_folder_there_are_words_only():
    assert clips_of(TABLE, None) == tuple(Clip(id=name, text="xyz") for name in TABLE["id"])


def test_recordings_by_name(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a/1.mp4", "b_1.wav"):
        (tmp_path / name).write_bytes(b"")
    found = [clip.media for clip in clips_of(TABLE, tmp_path)]
    assert found == [tmp_path / "a/1.mp4", None, tmp_path / "b_1.wav"]


def test_recordings_by_table(tmp_path):
    (tmp_path / "long.mp4").write_bytes(b"")
    (tmp_path / "a_2.mp4").write_bytes(b"not in the table: not taken")
    (tmp_path / "manifest.csv").write_text(
        "id,file,start,stop\nb_1,long.mp4,1.5,4\na_1,long.mp4,,\n"
    )
    first, second, third = clips_of(TABLE, tmp_path)
    assert (first.media, first.start, first.stop) == (tmp_path / "long.mp4", None, None)
    assert second.media is None
    assert (third.media, third.start, third.stop) == (tmp_path / "long.mp4", 1.5, 4.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,file\na_1,gone.mp4\n", "names the recording gone.mp4"),
        ("id,file\na_1,../secret.mp4\n", "names the recording ../secret.mp4"),
        ("id\na_1\n", "found no file"),
        ("id,file,start\na_1,x,soon\n", "cannot read"),
        ("", "cannot read"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    (tmp_path / "secret.mp4").write_bytes(b"")
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        clips_of(TABLE, folder)


def test_what_is_shown_and_only_that_changes_the_identity_of_media(tmp_path):
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_bytes(b"film"), same.write_bytes(b"film"), other.write_bytes(b"film!")
    eight, nine = FrameSampling(), FrameSampling(frames=9)

    def identity(path=one, senses=("vision",), sampling=eight, **cut):
        return media_identity(Clip(id="x", text="t", media=path, **cut), senses, sampling)

    assert identity() == identity(path=same) == identity(senses=("text", "vision"))
    assert identity(senses=("audio",)) == identity(senses=("audio",), sampling=nine)
    changed = [
        identity(path=other),
        identity(senses=("audio",)),
        identity(senses=("audio", "vision")),
        identity(sampling=nine),
        identity(start=1.0),
        identity(stop=1.0),
    ]
    assert len({identity(), *changed}) == 7
    assert identity(senses=("text",)) == identity(path=None) == ""


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.integers(0, 99))
def test_nobody_keeps_their_own_and_videos_are_left_where_they_can_be(videos, seed):
    order = donors([str(video) for video in videos], np.random.default_rng(seed))
    assert sorted(order) == list(range(len(videos)))
    assert all(donor != place for place, donor in enumerate(order))
    stay = sum(videos[donor] == videos[place] for place, donor in enumerate(order))
    largest = max(videos.count(video) for video in videos)
    assert stay == max(0, 2 * largest - len(videos))


def test_one_clip_cannot_be_swapped():
    with pytest.raises(DataError, match="two clips or more, found 1"):
        donors(["a"], np.random.default_rng(0))


def test_a_clip_is_decoded_once_for_all_questions_about_it(tmp_path, monkeypatch):
    decoded = []
    for name in ("stills", "sound"):
        real = getattr(recording, name)

        def counted(path, *given, real=real, name=name):
            decoded.append(name)
            return real(path, *given)

        monkeypatch.setattr(recording, name, counted)
    folder = recordings(tmp_path / "media", ["a_0"])
    clip = clips_of(TABLE.head(1).assign(id="a_0", clip="0"), folder)[0]
    assert clip.media is not None
    shown = FrameSampling(frames=2, size=32)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: parts(clip, "all", shown), range(8)))
    assert sorted(decoded) == ["sound", "stills"] and all(one == told[0] for one in told)
    parts(clip, "all", FrameSampling(frames=3, size=32))
    assert sorted(decoded) == ["sound", "stills", "stills"], "other frames, the same sound"
    os.utime(clip.media, (1, 1))
    parts(clip, "audio", shown)
    assert decoded.count("sound") == 2, "a file that was touched is read again"
