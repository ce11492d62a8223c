"""Frames and sound come from the moments asked for, in recordings whose content is known."""

from __future__ import annotations

import base64
import csv
import io
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from harness._util.canonical import digest
from harness.errors import DataError, MissingExtra, SpecError
from harness.tests.research import research_data
from mllm_eval.media.sampling import (
    Clip,
    FrameSampling,
    audio,
    find_media,
    frames,
    media_digest,
    parts,
    shown,
)

FPS, SECONDS, SOUND_RATE = 10, 8, 44_100
COLOURS = [
    *((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)),
    *((0, 255, 255), (255, 0, 255), (255, 255, 255), (0, 0, 0)),
]
TONES = [400, 600, 800, 1000, 1300, 1600, 2000, 2500]  # Hz, one a second
WORDS = {"type": "text", "text": "what a film"}
CENTRES = FrameSampling(frames=8, size=64)


def encode(path, *, picture=True, tone=True, width=96, height=64, gap=0.0, options=None):
    """A recording whose second k has colour k and tone k; ``gap`` s without sound after 4 s."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream("mpeg4", rate=FPS) if picture else None
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if tone else None
        if video is not None:
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            video.bit_rate = 2_000_000
            for k in range(FPS * SECONDS):
                image = np.full((height, width, 3), COLOURS[k // FPS], np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = k, Fraction(1, FPS)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if sound is not None:
            for at, samples in tones(gap):
                frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = SOUND_RATE, at
                frame.time_base = Fraction(1, SOUND_RATE)
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def tones(gap):
    """Runs of 1,024 samples with their positions."""
    time = np.arange(SECONDS * SOUND_RATE) / SOUND_RATE
    tune = 0.5 * np.sin(2 * np.pi * np.repeat(TONES, SOUND_RATE) * time)
    for at in range(0, len(tune), 1024):
        late = round(gap * SOUND_RATE) if at >= 4 * SOUND_RATE else 0
        yield at + late, tune[at : at + 1024].astype(np.float32)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("film") / "film.mp4")


def seen(jpeg):
    """The decoded picture, (height, width, 3)."""
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(jpeg)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def colours(pictures):
    """Second of the film that each picture shows; its colour must be within 16 levels of it."""
    found = []
    for picture in pictures:
        middle = np.median(seen(picture), axis=(0, 1))
        distance = np.abs(np.array(COLOURS) - middle).max(axis=1)
        assert distance.min() <= 16, middle
        found.append(int(distance.argmin()))
    return found


def heard(wav):
    """Samples of a 16 kHz mono 16-bit WAV."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def pitch(samples):
    """Dominant frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * 16_000 / len(samples)


@pytest.mark.parametrize(
    ("sampling", "start", "stop", "expected"),
    [
        (CENTRES, None, None, [0, 1, 2, 3, 4, 5, 6, 7]),
        (FrameSampling(frames=4, size=64), None, None, [1, 3, 5, 7]),  # 1, 3, 5, 7 s begin a colour
        (FrameSampling(frames=1, size=64), None, None, [4]),
        (FrameSampling(frames=3, size=64), 2.0, 5.0, [2, 3, 4]),
        (FrameSampling(frames=2, size=64), 6.0, 100.0, [6, 7]),  # a stop behind the end is the end
        (FrameSampling(frames=2, size=64, rule="uniform-edges"), None, None, [0, 7]),
        (FrameSampling(frames=3, size=64, rule="uniform-edges"), 2.0, 5.0, [2, 3, 4]),
        (FrameSampling(frames=2, size=64, rule="uniform-edges"), 1.0, 3.0, [1, 2]),
        (
            FrameSampling(frames=99, size=64, rule="fps", fps=1.0),
            None,
            None,
            [0, 1, 2, 3, 4, 5, 6, 7],
        ),
        (FrameSampling(frames=99, size=64, rule="fps", fps=2.0), 3.0, 5.0, [3, 3, 4, 4]),
        (
            FrameSampling(frames=3, size=64, rule="fps", fps=2.0),
            2.0,
            5.0,
            [2, 3, 4],
        ),  # at most three
        (FrameSampling(frames=99, size=64, rule="fps", fps=0.1), 3.0, 4.0, [3]),  # at least one
        (FrameSampling(frames=5, size=64), 3.0, 3.05, [3] * 5),  # one frame, shown again
        (FrameSampling(frames=1, size=64), 2.951, 2.999, [2]),  # nothing begins within: what is on
        (FrameSampling(frames=2, size=64, rule="uniform-edges"), 2.951, 2.999, [2, 2]),
    ],
)
def test_frames_are_those_of_the_moments_asked_for(film, sampling, start, stop, expected):
    assert colours(frames(film, sampling, start, stop)) == expected


@pytest.mark.parametrize("second", range(SECONDS))
def test_a_segment_never_shows_its_neighbours(film, second):
    for rule in ("uniform-centre", "uniform-edges"):
        pictures = frames(film, FrameSampling(frames=4, size=64, rule=rule), second, second + 1.0)
        assert colours(pictures) == [second] * 4


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (96, 64, 48, (32, 48)),
        (64, 96, 48, (48, 32)),
        (96, 64, 448, (64, 96)),  # never enlarged
        (100, 64, 50, (32, 50)),
    ],
)
def test_the_longest_side_has_the_size_asked_for(tmp_path, width, height, size, expected):
    path = encode(tmp_path / "film.mp4", tone=False, width=width, height=height)
    (picture,) = frames(path, FrameSampling(frames=1, size=size))
    assert seen(picture).shape == (*expected, 3)


@pytest.mark.parametrize("second", range(SECONDS))
def test_sound_is_cut_where_asked(film, second):
    samples = heard(audio(film, second, second + 1.0))
    assert len(samples) == 16_000
    assert pitch(samples) == TONES[second]
    for half in (samples[:8_000], samples[8_000:]):
        assert pitch(half) == TONES[second]


@pytest.mark.parametrize(
    ("start", "stop"), [(0.0, 0.1), (0.3, 1.7), (2.3456, 5.4321), (7.0, 7.9), (1.23, 1.24)]
)
def test_sound_lasts_as_long_as_the_segment(film, start, stop):
    assert abs(len(heard(audio(film, start, stop))) - (stop - start) * 16_000) <= 1


def test_sound_changes_at_the_very_moment(film):
    """Phases agree with the sound that was encoded, so not one sample is out of place."""
    time = np.arange(SECONDS * 16_000) / 16_000
    ideal = np.sin(2 * np.pi * np.repeat(TONES, 16_000) * time)
    for start, stop in [(0.0, 8.0), (3.25, 6.5), (2.5001, 7.4)]:
        samples, first = heard(audio(film, start, stop)), round(start * 16_000)
        middle = samples[100:-100]
        likeness = {
            lag: np.corrcoef(middle, ideal[first + 100 + lag :][: len(middle)])[0, 1]
            for lag in range(-40, 41)
        }
        assert max(likeness, key=likeness.__getitem__) == 0
        assert likeness[0] > 0.97 > likeness[1]  # the resampler may be half a sample off


def test_an_independent_reader_hears_the_same(film):
    soundfile = pytest.importorskip("soundfile")
    wav = audio(film, 1.0, 2.5)
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    assert rate == 16_000
    assert soundfile.info(io.BytesIO(wav)).subtype == "PCM_16"
    np.testing.assert_array_equal(samples, heard(wav))


def test_a_gap_in_the_recording_is_silence(tmp_path):
    path = encode(tmp_path / "gap.mkv", picture=False, gap=2.0)
    assert np.abs(heard(audio(path, 4.3, 5.7)).astype(int)).max() < 100
    assert pitch(heard(audio(path, 6.2, 6.8))) == pytest.approx(TONES[4], abs=2)
    assert pitch(heard(audio(path, 3.2, 3.8))) == pytest.approx(TONES[3], abs=2)


def test_times_count_from_the_first_frame(tmp_path):
    """The clock of a recording may begin anywhere; that of a transport stream does."""
    path = encode(tmp_path / "film.ts", options={"output_ts_offset": "1.4"})
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        assert container.start_time > 1_000_000  # µs
    assert colours(frames(path, CENTRES)) == list(range(8))
    assert pitch(heard(audio(path, 3.1, 3.9))) == pytest.approx(TONES[3], abs=2)


def test_the_same_file_gives_the_same_bytes(film, tmp_path):
    copy = tmp_path / "elsewhere.mp4"
    copy.write_bytes(film.read_bytes())
    assert frames(film, CENTRES) == frames(copy, CENTRES)
    assert audio(film, 1.0, 2.5) == audio(copy, 1.0, 2.5)


@pytest.mark.parametrize("cut", [frames, lambda path, _, *times: audio(path, *times)])
@pytest.mark.parametrize(
    ("start", "stop"), [(3.0, 2.0), (2.0, 2.0), (-1.0, 2.0), (float("nan"), None), (None, -1.0)]
)
def test_a_segment_has_a_length(film, cut, start, stop):
    with pytest.raises(DataError, match=r"0 <= start < stop"):
        cut(film, CENTRES, start, stop)


@pytest.mark.parametrize("cut", [frames, lambda path, _, *times: audio(path, *times)])
def test_a_segment_begins_before_the_end(film, cut):
    with pytest.raises(DataError, match="before the end"):
        cut(film, CENTRES, 20.0, 21.0)


@pytest.mark.parametrize("cut", [frames, lambda path, _: audio(path)])
def test_missing_and_broken_files_are_named(tmp_path, cut):
    pytest.importorskip("av")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no film" * 100)
    with pytest.raises(DataError, match=r"broken file: .*broken\.mp4"):
        cut(broken, CENTRES)
    with pytest.raises(DataError, match=r"no file: .*absent\.mp4"):
        cut(tmp_path / "absent.mp4", CENTRES)


@pytest.mark.parametrize("cut", [frames, lambda path, _: audio(path)])
def test_a_file_cut_short_is_refused(tmp_path, cut):
    whole = encode(tmp_path / "whole.mp4", options={"movflags": "faststart"}).read_bytes()
    short = tmp_path / "short.mp4"
    short.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"short\.mp4"):
        cut(short, CENTRES)


def test_tracks_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="expected an audio track, found none"):
        audio(encode(tmp_path / "mute.mp4", tone=False))
    with pytest.raises(DataError, match="expected a video track, found none"):
        frames(encode(tmp_path / "blind.mp4", picture=False), CENTRES)


def test_without_pyav_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for cut in (lambda path: frames(path, CENTRES), audio):
        with pytest.raises(MissingExtra, match="this needs PyAV") as caught:
            cut(tmp_path / "film.mp4")
        assert caught.value.hint == 'pip install "msa-harness[media]"'


def kinds(content):
    return [part["type"] for part in content]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("text", ["text"]),
        ("audio", ["input_audio"]),
        ("vision", ["image_url"] * 8),
        ("all", [*["image_url"] * 8, "input_audio", "text"]),
    ],
)
def test_conditions_show_what_they_say(film, condition, expected):
    clip = Clip(id="v_1", text="what a film", media=film, start=1.0, stop=3.0)
    content = parts(clip, condition, CENTRES)
    assert kinds(content) == expected
    assert "v_1" not in str(content)
    for part in content:
        if part["type"] == "text":
            assert part["text"] == "what a film"
        elif part["type"] == "input_audio":
            assert part["input_audio"]["format"] == "wav"
            assert base64.b64decode(part["input_audio"]["data"]) == audio(film, 1.0, 3.0)
    pictures = [p["image_url"]["url"] for p in content if p["type"] == "image_url"]
    data = [base64.b64decode(url.removeprefix("data:image/jpeg;base64,")) for url in pictures]
    assert data == (frames(film, CENTRES, 1.0, 3.0) if pictures else [])


def test_without_media_there_is_the_transcript_and_that_is_said():
    clip = Clip(id="v_1", text="what a film")
    assert shown(clip, "all") == shown(clip, "text") == ("text",)
    assert parts(clip, "all", CENTRES) == parts(clip, "text", CENTRES) == [WORDS]
    for condition in ("audio", "vision"):
        with pytest.raises(DataError, match=f"v_1: expected {condition} to show, found text"):
            parts(clip, condition, CENTRES)


def test_half_a_recording_shows_its_half(tmp_path):
    clip = Clip(id="v_1", text="", media=encode(tmp_path / "blind.mp4", picture=False))
    assert shown(clip, "all") == ("audio", "text")
    assert kinds(parts(clip, "all", CENTRES)) == ["input_audio", "text"]
    with pytest.raises(DataError, match="expected vision to show, found audio and text"):
        shown(clip, "vision")


def test_unknown_conditions_are_refused():
    with pytest.raises(SpecError, match="text, audio, vision, all"):
        shown(Clip(id="v_1", text=""), "smell")


def test_the_digest_is_of_the_media_and_their_order(film):
    clip = Clip(id="v_1", text="what a film", media=film)
    everything = parts(clip, "all", CENTRES)
    assert media_digest(everything) == media_digest([*everything, WORDS])
    others = [
        parts(clip, "all", FrameSampling(frames=7, size=64)),
        parts(clip, "vision", CENTRES),
        parts(Clip(id="v_1", text="", media=film, stop=4.0), "all", CENTRES),
        everything[::-1],
    ]
    assert len({media_digest(content) for content in [everything, *others]}) == 5


def test_sampling_is_an_identity():
    same, other = FrameSampling(frames=8, size=448), FrameSampling(frames=8, size=449)
    assert digest(FrameSampling()) == digest(same) != digest(other)
    assert same == FrameSampling() and len({same, FrameSampling(), other}) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        *({"frames": 0}, {"size": 8}, {"rule": "random"}, {"fps": 2.0}, {"rule": "fps"}),
        *({"rule": "fps", "fps": 0.0}, {"rule": "fps", "fps": float("nan")}),
        {"rule": "uniform-edges", "frames": 1},
    ],
)
def test_sampling_that_cannot_be_is_refused(wrong):
    with pytest.raises(SpecError):
        FrameSampling(**wrong)


@pytest.mark.parametrize(
    "layout", ["-3nNc/7.mp4", "Raw/-3nNc/7.mp4", "-3nNc_7.mp4", "-3nNc/7.wav", "-3nNc_7.avi"]
)
def test_clips_are_found_in_the_layouts_datasets_have(tmp_path, layout):
    path = tmp_path / layout
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert find_media(tmp_path, "-3nNc", "7") == path
    assert find_media(tmp_path, "-3nNc", "07") is None


def test_a_whole_video_is_no_clip(tmp_path):
    (tmp_path / "v.mp4").touch()
    assert find_media(tmp_path, "v", "1") is None


@pytest.mark.parametrize("wrong", ["..", "", "a/b", "../v", "a\\b"])
def test_ids_cannot_lead_out_of_the_folder(tmp_path, wrong):
    for video, clip in ((wrong, "1"), ("v", wrong)):
        with pytest.raises(DataError, match="can name a file"):
            find_media(tmp_path, video, clip)


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path):
    with pytest.raises(DataError, match="expected a folder"):
        find_media(tmp_path / "absent", "v", "1")


@pytest.mark.data
def test_real_clips_are_shown_whole():
    """Every labelled segment: eight frames that differ, sound as long as its times, no silence."""
    pytest.importorskip("av")
    with research_data("raw_media", "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 21  # the folder gains clips
    digests = set()
    for row in rows:
        times = [float(row[name]) if row[name] else None for name in ("start", "stop")]
        path = research_data("raw_media", row["file"])
        clip = Clip(id=row["id"], text=row["text"], media=path, start=times[0], stop=times[1])
        content = parts(clip, "all", FrameSampling(frames=8, size=160))
        seeing = ["image_url"] * 8 if path.suffix == ".mp4" else []
        assert kinds(content) == [*seeing, "input_audio", "text"]
        samples = heard(base64.b64decode(content[-2]["input_audio"]["data"]))
        assert samples.std() > 50
        if times[1] is not None:
            missing = (times[1] - times[0]) * 16_000 - len(samples)
            assert -1 <= missing <= 1024  # a recording may end a codec's frame before its time
        digests.add(media_digest(content))
    assert len(digests) == len(rows)


@pytest.mark.data
def test_a_clip_published_on_its_own_is_found_by_its_name():
    folder = research_data("raw_media")
    clip = find_media(folder, "mosi_0h-zjBukYpk", "24")
    assert clip is not None and clip.name == "mosi_0h-zjBukYpk_24.mp4"


def test_pyav_is_imported_only_when_there_is_media():
    program = (
        "import sys; from mllm_eval.media.sampling import *;"
        "parts(Clip(id='v', text='x'), 'all', FrameSampling()); assert 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
