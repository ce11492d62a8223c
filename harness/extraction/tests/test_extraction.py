"""From cuts to a corpus, with the extractors that need no package beside the harness's own."""

import os
import sys
import types
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness._util.pool import each
from harness.data import mmsa_export
from harness.data.datasets import datasets
from harness.data.readers import label_csv, mmsa_pickle
from harness.data.store import CorpusStore
from harness.data.twins import generate as twin
from harness.errors import DataError, RunFailed, SpecError
from harness.extraction import Cut, ExtractionRecipe, extractors
from harness.extraction.assemble import extract
from harness.extraction.cuts import cuts
from harness.extraction.tools import _face
from harness.extraction.tools.openface import OPENFACE
from harness.extraction.words import Ear, Word, over_words, token_vectors, word_vectors
from harness.text import find_encoder, tokenize
from harness.text.synthetic import TWIN_ENCODER

ROWS = (
    ("v1", "1", "train", "a fine film", 1.0),
    ("v1", "2", "train", "a dull film", -1.0),
    ("v2", "1", "valid", "nothing new", 0.0),
    ("v3", "1", "test", "great great fun", 2.0),
)


@pytest.fixture
def media(tmp_path):
    """Four recordings: two tones, silence, and a file that is no recording."""
    folder = tmp_path / "media"
    for (video, clip, *_), tone in zip(ROWS, (200, 400, 0, None), strict=True):
        path = folder / video / f"{clip}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if tone is None:
            path.write_bytes(b"RIFF of nothing")
            continue
        moments = np.arange(16000) / 16000
        sound = (8000 * np.sin(2 * np.pi * tone * moments)).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(sound.tobytes())
    return folder


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "label.csv"
    lines = ["video_id,clip_id,mode,text,label"]
    lines += [f"{v},{c},{s},{t},{y}" for v, c, s, t, y in ROWS]
    path.write_text("\n".join(lines), "utf-8")
    return CorpusStore(tmp_path / "corpora").add(label_csv.read(path, datasets["mosi"]))


def openface_table(path, seconds, *, success=1, first=0.0):
    moments = first + np.arange(int(seconds * 30)) / 30
    table = pd.DataFrame({"frame": range(len(moments)), "face_id": 0, "timestamp": moments})
    table["confidence"], table["success"] = 0.9, success
    values = {name: moments + k for k, name in enumerate(OPENFACE.features)}
    table = pd.concat([table, pd.DataFrame(values)], axis=1)
    table.columns = [f" {name}" for name in table]  # as OpenFace writes them
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


@pytest.fixture
def tables(tmp_path):
    folder = tmp_path / "openface"
    openface_table(folder / "v1_1.csv", 1.0)
    openface_table(folder / "v1_2.csv", 0.5)
    openface_table(folder / "v2_1.csv", 0.5, success=0)
    return folder


@pytest.fixture
def loudness(monkeypatch):
    """An audio extractor of the tests' own: mean size of the samples, ten times a second."""
    from harness.data.media import decode as recording

    def measure(cut):
        samples = recording.sound(cut.recording(), cut.start, cut.stop).astype(np.float32)
        return np.abs(samples.reshape(-1, 1600)).mean(1, keepdims=True)

    own = replace(
        extractors["acoustic-33"],
        name="loudness",
        rate=10.0,
        features=("loudness",),
        package=None,
        extract=measure,
    )
    monkeypatch.setitem(extractors.__dict__, "_all", {**dict(extractors), "loudness": own})
    return own


def run(corpus, media, tables, tmp_path, **changes):
    options = {
        "feature_set": "common",
        "encoder": find_encoder(TWIN_ENCODER, tmp_path / "cache"),
        "cache": tmp_path / "cache",
        "scratch": tmp_path,
    }
    recipe = changes.pop("recipe", ExtractionRecipe(audio="none", vision="openface"))
    return extract(corpus, cuts(corpus, media, tables), recipe, **{**options, **changes})


def test_every_clip_keeps_its_place_and_every_problem_its_reason(
    corpus, media, tables, loudness, tmp_path
):
    recipe = ExtractionRecipe(audio="loudness", vision="openface")
    made = run(corpus, media, tables, tmp_path, recipe=recipe)
    stored = CorpusStore(tmp_path / "corpora").add(made.draft)
    assert stored.clips["id"].tolist() == corpus.clips["id"].tolist()
    audio, vision = stored.streams["audio"], stored.streams["vision"]
    assert audio.lengths.tolist() == [10, 10, 10, 1]
    assert audio.values[0, :, 0].mean() == pytest.approx(8000 * 2 / np.pi, rel=0.01)
    assert not audio.values[2].any()
    assert "broken file" in made.problems["audio"]["v3_1"]
    assert vision.lengths.tolist() == [10, 5, 1, 1]
    assert "followed no face" in made.problems["vision"]["v2_1"]
    assert "no OpenFace table" in made.problems["vision"]["v3_1"]
    assert stored.manifest["problems"] == made.problems
    assert (stored.streams["text"].lengths == stored.tokens[:, 1].sum(1)).all()


def test_an_interrupted_extraction_takes_up_what_was_kept(
    corpus, media, tables, loudness, tmp_path
):
    seen = []
    recipe = ExtractionRecipe(audio="loudness", vision="none")
    first = run(corpus, media, tables, tmp_path, recipe=recipe, on_piece=seen.append)
    again = run(corpus, media, tables, tmp_path, recipe=recipe, on_piece=seen.append)
    assert [piece.kept for piece in seen] == [False] * 4 + [True] * 3 + [False]  # one is broken
    assert np.array_equal(first.draft.streams["audio"].values, again.draft.streams["audio"].values)


def test_the_feature_space_is_that_of_the_recipe_not_of_the_clips(
    corpus, media, tables, loudness, tmp_path
):
    def space(**changes):
        return run(corpus, media, tables, tmp_path, **changes).draft.manifest["space"]

    openface = ExtractionRecipe(audio="none", vision="openface")
    assert space(recipe=openface) == space(recipe=openface, feature_set="other")
    assert space(recipe=openface) != space(
        recipe=ExtractionRecipe(audio="loudness", vision="openface")
    )
    assert space(recipe=openface) != space(recipe=replace(openface, max_tokens=9))


def test_only_the_first_seconds_are_read(corpus, media, tables, loudness, tmp_path):
    recipe = ExtractionRecipe(audio="loudness", vision="openface", seconds=0.3)
    made = run(corpus, media, tables, tmp_path, recipe=recipe)
    assert made.draft.streams["audio"].lengths.tolist() == [3, 3, 3, 1]
    assert made.draft.streams["vision"].lengths.tolist() == [3, 3, 1, 1]


def test_a_folder_without_anything_is_one_error(corpus, tmp_path, loudness):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RunFailed, match="nothing in any of 4 clips; the first: no recording of"):
        run(corpus, empty, None, tmp_path, recipe=ExtractionRecipe(audio="loudness", vision="none"))


def test_recipes_are_checked():
    with pytest.raises(SpecError, match="egemaps makes audio, not vision"):
        ExtractionRecipe(vision="egemaps")
    with pytest.raises(SpecError, match="unknown extractor 'egemap'"):
        ExtractionRecipe(audio="egemap")
    with pytest.raises(SpecError, match="0 < seconds"):
        ExtractionRecipe(seconds=0)


# Cuts


def test_segments_of_whole_videos_need_their_times(corpus, tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    for video in ("v1", "v2", "v3"):
        (folder / f"{video}.mp4").touch()
    with pytest.raises(DataError, match="is a whole video; clip v1_1 has no start and stop"):
        cuts(corpus, folder)
    corpus.clips["start"], corpus.clips["stop"] = 1.5, 2.5
    assert {(cut.media.name, cut.start, cut.stop) for cut in cuts(corpus, folder)} == {
        (f"v{k}.mp4", 1.5, 2.5) for k in (1, 2, 3)
    }


def test_a_file_may_not_lead_out_of_the_folder(corpus, media):
    corpus.clips["file"] = "../label.csv"
    with pytest.raises(DataError, match="lies outside"):
        cuts(corpus, media)


def test_openface_tables_are_checked(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("frame,timestamp\n1,0.0\n", "utf-8")
    with pytest.raises(DataError, match="has no column success: not OpenFace 2's"):
        OPENFACE.extract(Cut(id="a", media=None, table=path))


def test_openface_tables_of_whole_videos_are_cut(tmp_path):
    openface_table(tmp_path / "t.csv", 3.0)
    cut = Cut(id="a", media=None, start=1.0, stop=2.0, table=tmp_path / "t.csv")
    values = OPENFACE.extract(cut)
    assert values.shape == (10, len(OPENFACE.features))
    assert values[:, 0] == pytest.approx(1.0 + np.arange(10) / 10 + 1 / 30, abs=1e-6)


# Faces


@pytest.fixture
def mesh():
    return np.random.default_rng(0).normal(0.5, 0.1, (478, 3))


def test_landmarks_do_not_depend_on_place_size_and_roll(mesh):
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = mesh * 1.7
    moved[:, :2] = moved[:, :2] @ turn.T + (0.3, -0.2)
    ours, theirs = _face.describe(mesh), _face.describe(moved)
    shape = slice(_face.FEATURES.index("eye_right"), None)
    assert ours[shape] == pytest.approx(theirs[shape])
    at = _face.FEATURES.index
    assert (theirs[at("roll")] - ours[at("roll")]) % (2 * np.pi) == pytest.approx(angle)
    assert theirs[at("size")] == pytest.approx(1.7 * ours[at("size")])
    assert len(ours) == len(_face.FEATURES) == len(set(_face.FEATURES))


def test_the_eyes_are_level_at_unit_distance(mesh):
    told = dict(zip(_face.FEATURES, _face.describe(mesh), strict=True))
    right = (mesh[33] + mesh[133]) / 2
    left = (mesh[362] + mesh[263]) / 2
    assert told["size"] == pytest.approx(np.linalg.norm(left - right))
    assert told["mouth_open"] == pytest.approx(np.linalg.norm(mesh[13] - mesh[14]) / told["size"])


# Words


def test_frames_over_words():
    values = np.arange(10, dtype=np.float32)[:, None]  # ten frames a second
    words = [
        Word(text="a", start=0.0, stop=0.3),
        Word(text="b", start=0.3, stop=0.31),  # shorter than a frame
        Word(text="c", start=2.0, stop=3.0),  # behind the end
    ]
    assert over_words(values, 10.0, words)[:, 0].tolist() == [1.0, 3.0, 9.0]


def test_word_vectors_are_the_means_of_token_vectors(tmp_path):
    encoder = find_encoder(TWIN_ENCODER, tmp_path)
    text = "the film was great"
    words = [Word(text=word, start=k, stop=k + 1) for k, word in enumerate(text.split())]
    tokens = tokenize(encoder, [text], 50)
    states, lengths = token_vectors(encoder, tokens)
    (found,) = word_vectors(encoder, [words])
    assert lengths[0] == len(words) + 2  # each word is one token, between the two special ones
    np.testing.assert_allclose(found, states[0, 1 : 1 + len(words)], atol=1e-6)


def test_what_is_heard_replaces_the_transcript_and_is_kept(
    corpus, media, tables, tmp_path, monkeypatch
):
    calls = []

    class Model:
        def __init__(self, *args, **options): ...

        def transcribe(self, samples, **options):
            calls.append(options)
            words = [
                types.SimpleNamespace(word=f" {w}", start=k / 10, end=k / 10 + 0.1)
                for k, w in enumerate(("great", "fun") if samples.any() else ())
            ]
            return [types.SimpleNamespace(words=words)], None

    fake = types.SimpleNamespace(WhisperModel=Model)
    monkeypatch.setitem(sys.modules, "faster_whisper", fake)
    for _ in range(2):
        made = run(
            corpus,
            media,
            tables,
            tmp_path,
            ear=Ear("base", "en", tmp_path / "cache"),
            aligned=True,
        )
    assert len(calls) == 3  # once per clip that can be heard
    assert made.draft.clips["text"].tolist() == ["great fun", "great fun", "", ""]
    assert made.draft.clips["text_given"].tolist() == corpus.clips["text"].tolist()
    assert {name: s.lengths.tolist() for name, s in made.draft.streams.items()} == {
        "text": [2, 2, 1, 1],
        "vision": [2, 2, 1, 1],
    }
    assert made.problems["transcript"]["v2_1"] == "no word was heard"


# Workers and files


def test_a_crashed_worker_is_one_error():
    with pytest.raises(RunFailed, match="was killed or crashed"):
        list(each(os._exit, [9, 9], 2))


def test_workers_change_nothing():
    assert sorted(each(abs, [-1, 2, -3], 2)) == sorted(each(abs, [-1, 2, -3], 1)) == [1, 2, 3]


def test_an_exported_pickle_reads_back_as_the_same_corpus(tmp_path):
    store = CorpusStore(tmp_path)
    ours = store.add(twin.generate("sims-twin@compact-x2"))
    mmsa_export.write(ours, tmp_path / "features.pkl")
    draft = mmsa_pickle.read(tmp_path / "features.pkl", datasets["sims"], "back")
    back = store.add(draft)
    columns = ["id", "video", "clip", "split", "text", "label", "label_T", "label_A", "label_V"]
    pd.testing.assert_frame_equal(
        ours.clips[columns], back.clips[columns], check_exact=False, rtol=1e-6
    )
    for name, stream in ours.streams.items():
        assert np.array_equal(stream.values, back.streams[name].values)
        if name != "text":
            assert np.array_equal(stream.lengths, back.streams[name].lengths)


def test_the_command(corpus, media, tables, tmp_path, msa):
    home = tmp_path / "home"
    code, out, err = msa(
        *("--home", home, "data", "add", tmp_path / "label.csv", "--dataset", "mosi")
    )
    assert code == 0, err
    common = ("--home", home, "extract", "mosi@label-csv-own", "--media", media)
    code, out, err = msa(*common, "--audio", "none", "--vision", "openface")
    assert code == 2
    assert "--openface DIR go together" in err
    pickle = tmp_path / "out.pkl"
    code, out, err = msa(
        *common,
        *("--audio", "none", "--vision", "openface", "--openface", tables),
        *("--encoder", TWIN_ENCODER, "--pickle", pickle),
    )
    assert code == 0, err
    assert "vision of v2_1: OpenFace followed no face" in out
    assert Path(pickle).is_file()
    code, out, err = msa(*common, "--align")
    assert code == 2
    assert "--whisper WEIGHTS" in err
