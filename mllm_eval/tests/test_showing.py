"""Blanks are what they say, in the size and length of what they stand for."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pytest
from clips_on_disk import film
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from mllm_eval.client import TokenSampling
from mllm_eval.media.content import blanked, grey, show, silence
from mllm_eval.media.sampling import Clip, audio, parts
from mllm_eval.media.sampling import FrameSampling as Frames
from mllm_eval.prompt.prompt import Rendered


def decoded(jpeg):
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(jpeg)) as container:
        return next(container.decode(video=0)).to_ndarray(format="gray")


@settings(max_examples=30, deadline=None)
@given(st.integers(16, 500), st.integers(16, 500))
def test_grey_is_a_picture_of_one_colour(width, height):
    picture = decoded(grey(width, height))
    assert picture.shape == (height, width)
    assert set(np.unique(picture)) == {128}, "the picture that answers in journals were about"


def test_silence_is_as_long(tmp_path):
    sound = audio(film(tmp_path / "a.m4a", picture=False))
    with wave.open(io.BytesIO(sound)) as before, wave.open(io.BytesIO(silence(sound))) as after:
        assert after.getparams() == before.getparams()
        assert any(before.readframes(before.getnframes()))
        assert not any(after.readframes(after.getnframes()))


@pytest.mark.parametrize("senses", [{"vision"}, {"audio"}, {"vision", "audio"}, set()])
def test_only_the_senses_named_are_blanked(tmp_path, senses):
    clip = Clip(id="x", text="words", media=film(tmp_path / "a.mp4"))
    shown = parts(clip, "all", Frames(frames=3, size=32))
    blank = blanked(shown, frozenset(senses))
    assert [part["type"] for part in blank] == [part["type"] for part in shown]
    kind = {"image_url": "vision", "input_audio": "audio"}
    changed = {kind[a["type"]] for a, b in zip(shown, blank, strict=True) if a != b}
    assert changed == senses
    if "vision" in senses:
        before, after = (
            decoded(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
            for part in (shown[0], blank[0])
        )
        assert before.shape == after.shape
        assert np.ptp(after) <= 1


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", b"GIF89a", b"\xff\xd8", grey(8, 8)[:20], b"words" * 100], ids=len
)
def test_what_is_no_jpeg_is_refused(data):
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    with pytest.raises(DataError, match="expected a JPEG"):
        blanked([{"type": "image_url", "image_url": {"url": url}}], frozenset({"vision"}))


def test_a_request_shows_parts_then_words_and_is_made_when_its_turn_comes():
    made = []

    def content():
        made.append(1)
        return [{"type": "image_url", "image_url": {"url": "data:,"}}]

    words = Rendered(system="be exact", user="what?")
    request = show(words, sampling=TokenSampling(), media="m", content=content, extra={"a": 1})
    assert not made
    system, user = request.messages()
    assert system == {"role": "system", "content": "be exact"}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    silent = show(Rendered(system="", user="what?"), sampling=TokenSampling())
    assert [message["role"] for message in silent.messages()] == ["user"]
    assert silent.prompt != request.prompt
