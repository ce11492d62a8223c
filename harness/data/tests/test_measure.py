"""Recordings that are measured: what they hold, and what their headers say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data.media.measure import measure
from harness.errors import DataError

av = pytest.importorskip("av")


def film(path: Path, *, pictures: int = 25, seconds: float | None = 1.0) -> Path:
    """25 pictures a second, and a tone of so many seconds; None for no sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        sound = None if seconds is None else container.add_stream("aac", rate=16000)
        for k in range(pictures):
            picture = np.full((32, 32, 3), 10 * k % 255, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if sound is not None:
            moments = np.arange(round(16000 * seconds)) / 16000
            tone = np.sin(2 * np.pi * 220 * moments).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate = 16000
            fifo = av.AudioFifo()
            fifo.write(frame)
            while (part := fifo.read(1024, partial=True)) is not None:
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return path


def test_both_tracks_are_decoded_to_their_ends(tmp_path: Path) -> None:
    found = measure(film(tmp_path / "a.mp4", pictures=50, seconds=2.0))
    assert found["vision"].frames == 50
    assert found["vision"].seconds == pytest.approx(2.0)
    assert found["vision"].rate == 25
    assert found["audio"].seconds == pytest.approx(2.0, abs=0.15)
    assert found["audio"].stated_frames is None
    assert (found["vision"].frames_off, found["vision"].seconds_off) == (0, pytest.approx(0))


def test_a_recording_without_sound_has_one_track(tmp_path: Path) -> None:
    assert set(measure(film(tmp_path / "a.mp4", seconds=None))) == {"vision"}


def test_a_header_that_counts_other_frames_is_told(tmp_path: Path) -> None:
    """AVI states the number of pictures in the header of the stream (``strh``, dwLength)."""
    path = film(tmp_path / "a.avi", seconds=None)
    content = bytearray(path.read_bytes())
    at = content.index(b"strh") + 8 + 32
    assert int.from_bytes(content[at : at + 4], "little") == 25
    content[at : at + 4] = (40).to_bytes(4, "little")
    path.write_bytes(content)
    track = measure(path)["vision"]
    assert (track.frames, track.stated_frames, track.frames_off) == (25, 40, 15)
    assert track.seconds == pytest.approx(1.0)
    assert track.seconds_off == pytest.approx(0.6)


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="broken file"):
        measure(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="found no file"):
        measure(tmp_path / "b.mp4")
