"""``harness.predict``: clips of corpora, tables, feature files and recordings, and what is none."""

from __future__ import annotations

import dataclasses
import json
import pickle
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harness
from harness.data import load
from harness.data.corpus import Corpus
from harness.data.readers.predictions import read_predictions
from harness.data.store import CorpusStore
from harness.errors import DataError, SpecError
from harness.extraction import extractors
from harness.home import Home
from harness.runs.predicting import sources
from harness.runs.replay import find_run
from harness.runs.store import RunStore
from harness.system import systems
from harness.testing.corpora import small_draft

CORPUS = "mosi@small"


def key(home: Home, system: str) -> str:
    return find_run(RunStore(home.store), f"small:{system}:{CORPUS}:1111").key


@pytest.fixture(scope="module")
def corpus(kept: Home) -> Corpus:
    return load(CORPUS, kept)


@pytest.fixture(scope="module")
def expected(kept: Home) -> dict[str, pd.Series]:
    """System -> what its run predicts on test."""
    store = RunStore(kept.store)
    return {
        name: store.get(key(kept, name)).predictions("test") for name in ("lf_dnn", "bert_text")
    }


# Tables


@pytest.fixture
def table(corpus: Corpus, tmp_path: Path) -> Path:
    """The test clips' ids and texts."""
    clips = corpus.split("test").clips
    clips[["id", "text"]].to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_of_texts_is_predicted_like_the_corpus_it_is_from(
    kept: Home, table: Path, expected, tmp_path: Path, suffix: str
) -> None:
    clips = pd.read_csv(table)
    place, to = table.with_suffix(suffix), tmp_path / f"predictions{suffix}"
    if suffix == ".jsonl":
        place.write_text(clips.to_json(orient="records", lines=True))
    elif suffix == ".parquet":
        clips.to_parquet(place)
    found = harness.predict(key(kept, "bert_text"), place, to=to, home=kept)
    assert found.table.columns.tolist() == ["id", "pred"]
    assert np.array_equal(found.table["pred"], expected["bert_text"])
    again = read_predictions(to)
    assert again["id"].tolist() == expected["bert_text"].index.tolist()
    assert np.array_equal(again["pred"], expected["bert_text"])


def test_a_table_has_no_features(kept: Home, table: Path) -> None:
    with pytest.raises(DataError, match="reads text and audio and vision features of small"):
        harness.predict(key(kept, "lf_dnn"), table, home=kept)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,label\na,1\n", "reads texts to make tokens of; clips.csv has none"),
        ("id,text\na,\n", "reads texts to make tokens of; clips.csv has none"),
        ("id,text\n", "no rows"),
        ("id,text\na,x\na,y\n", "1 clips more than once"),
        ("text\nx\n", "expected a column id"),
        ("", "clips.csv"),
    ],
)
def test_a_wrong_table_is_refused(kept: Home, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "clips.csv").write_text(content)
    with pytest.raises(DataError, match=said):
        harness.predict(key(kept, "bert_text"), tmp_path / "clips.csv", home=kept)


@pytest.mark.parametrize("on", ["nothing.csv", "a.txt", "nowhere"])
def test_what_is_no_clips_is_refused(kept: Home, tmp_path: Path, on: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match="clips are a corpus"):
        harness.predict(key(kept, "bert_text"), tmp_path / on, home=kept)


# Corpora


def test_another_split_and_all_of_them(kept: Home) -> None:
    found = harness.predict(key(kept, "lf_dnn"), CORPUS, split="all", home=kept)
    assert found.table["split"].value_counts().to_dict() == {"train": 24, "valid": 10, "test": 12}
    with pytest.raises(SpecError, match="--split takes train, valid, test or all"):
        harness.predict(key(kept, "lf_dnn"), CORPUS, split="dev", home=kept)


@pytest.fixture
def others(spoilt: Home) -> Home:
    """A home with corpora that differ from the one trained on in one thing each."""
    store = CorpusStore(spoilt.corpora)
    wide = {"text": (6, 12), "audio": (11, 6), "vision": (8, 4)}
    longer = {"text": (6, 12), "audio": (12, 5), "vision": (8, 4)}
    silent = {"text": (6, 12), "vision": (8, 4)}
    for dataset, streams in {"mosei": wide, "sims": longer, "simsv2": silent}.items():
        store.add(small_draft(dataset, streams=streams))
    store.add(dataclasses.replace(small_draft("mosi"), name="mosi@other"))
    space = dataclasses.replace(small_draft("mosi"), name="mosi@space")
    store.add(dataclasses.replace(space, manifest={"feature_space": {"seconds": 1.0}}))
    return spoilt


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("mosi@other", r"reads features of small; mosi@other has those of other"),
        ("mosei@small", r"audio of 11 frames x 5 features; mosei@small has 11 x 6"),
        ("sims@small", r"audio of 11 frames x 5 features; sims@small has 12 x 5"),
        ("simsv2@small", r"reads audio; simsv2@small has none"),
        ("mosi@absent", r"corpus 'mosi@absent' is not here"),
    ],
)
def test_other_features_are_refused_and_both_named(others: Home, on: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        harness.predict(key(others, "lf_dnn"), on, home=others)


def test_a_text_system_reads_texts_of_any_feature_set(others: Home) -> None:
    found = harness.predict(key(others, "bert_text"), "mosi@other", home=others)
    assert len(found.table) == 12


def test_another_encoder_is_refused_and_both_named(spoilt: Home, tmp_path: Path) -> None:
    from harness.testing import tiny_encoder

    folder = tiny_encoder(tmp_path / "another", ["some words"])
    with pytest.raises(DataError, match=r"text encoder tiny-twin \(\w+\); found another \(\w+\)"):
        harness.predict(key(spoilt, "bert_text"), CORPUS, encoder=str(folder), home=spoilt)
    with pytest.raises(SpecError, match="has no text encoder"):
        harness.predict(key(spoilt, "lf_dnn"), CORPUS, encoder=str(folder), home=spoilt)


def test_predictions_do_not_depend_on_threads(kept: Home, expected) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = harness.predict(key(kept, "lf_dnn"), CORPUS, home=kept)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found.table["pred"], expected["lf_dnn"])


# Feature files


def features(corpus: Corpus) -> dict[str, object]:
    """The test clips in MMSA's layout, without a label."""
    split = corpus.split("test")
    streams = {name: split.stream(name) for name in ("text", "audio", "vision")}
    return {
        "id": split.ids,
        "raw_text": split.texts,
        **{name: np.asarray(stream.values) for name, stream in streams.items()},
        **{f"{name}_lengths": stream.lengths.tolist() for name, stream in streams.items()},
    }


@pytest.mark.parametrize("splits", [False, True], ids=["flat", "in a split"])
def test_features_without_labels_are_predicted_like_the_corpus_they_are_from(
    kept: Home, corpus: Corpus, expected, tmp_path: Path, splits: bool
) -> None:
    content = features(corpus)
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps({"test": content} if splits else content))
    found = harness.predict(key(kept, "lf_dnn"), path, home=kept)
    assert found.table["id"].tolist() == expected["lf_dnn"].index.tolist()
    assert np.array_equal(found.table["pred"], expected["lf_dnn"])


class Hostile:
    def __reduce__(self):
        return (Path("ran").write_text, ("x",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.pop("audio"), "reads audio; features.pkl has none"),
        (lambda c: c.pop("id"), "should hold id and arrays"),
        (lambda c: c.update(id=c["id"][:3]), "should have 3 entries"),
        (lambda c: c.update(audio=c["audio"][:, :, :2]), "features.pkl has 11 x 2"),
        (lambda c: c.update(audio=np.zeros((12, 40, 5))), "features.pkl has 40 x 5"),
        (lambda c: c.update(more=Hostile()), "features.pkl"),
    ],
)
def test_wrong_features_are_refused(
    kept: Home, corpus: Corpus, tmp_path: Path, monkeypatch, change, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content = features(corpus)
    change(content)
    (tmp_path / "features.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=said):
        harness.predict(key(kept, "lf_dnn"), tmp_path / "features.pkl", home=kept)
    assert not (tmp_path / "ran").exists()


# Recordings


@pytest.fixture
def loudness(monkeypatch):
    """An audio extractor of the tests' own: mean size of the samples, ten times a second."""
    pytest.importorskip("av")
    from harness.data.media import decode as recording

    def measure(cut):
        samples = recording.sound(cut.recording(), cut.start, cut.stop).astype(np.float32)
        return np.abs(samples.reshape(-1, 1600)).mean(1, keepdims=True) / 8000

    def of(version: int = 1):
        own = dataclasses.replace(
            extractors["acoustic-33"],
            name="loudness",
            rate=10.0,
            features=("loudness",),
            package=None,
            version=version,
            extract=measure,
        )
        shine = dataclasses.replace(own, name="shine", stream="vision", version=1)
        both = {"loudness": own, "shine": shine}
        monkeypatch.setitem(extractors.__dict__, "_all", {**dict(extractors), **both})

    return of


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two recordings of half a second, and a table that says what is said."""
    folder = tmp_path / "media"
    folder.mkdir()
    for name, size in (("a_1", 2000), ("a_2", 9000)):
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(np.full(8000, size, "<i2").tobytes())
    rows = ["id,file,text", "a_1,a_1.wav,awful film", "a_2,a_2.wav,great film"]
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def heard(spoilt: Home, loudness, media: Path) -> tuple[Home, str, Corpus]:
    """A home with a run on features that were extracted, and the features of ``media``."""
    from harness.extraction import ExtractionRecipe
    from harness.extraction.corpus import extract_corpus
    from harness.runs.driver import carry_out
    from harness.runs.plan import find_suite, make_plan
    from harness.runs.tests.test_verify import Here

    loudness()
    labels = ["video_id,clip_id,mode,text,label"]
    labels += [
        f"a,{clip},{split},{text},{label}"
        for clip, split, text, label in (
            *((1, "train", "awful film", -2), (2, "train", "great film", 2)),
            *((3, "valid", "awful film", -2), (4, "valid", "great film", 2)),
            *((5, "test", "awful film", -2), (6, "test", "great film", 2)),
        )
    ]
    (media.parent / "label.csv").write_text("\n".join(labels))
    for clip in range(3, 7):
        source = media / f"a_{2 - clip % 2}.wav"
        (media / f"a_{clip}.wav").write_bytes(source.read_bytes())
    table = (media / "manifest.csv").read_text()
    (media / "manifest.csv").unlink()
    harness.data.add(media.parent / "label.csv", "mosi", home=spoilt)
    stored, _ = extract_corpus(
        "mosi@label-csv-own",
        media,
        ExtractionRecipe(audio="loudness", vision="shine", max_tokens=8),
        encoder="tiny-twin",
        home=spoilt,
    )
    (spoilt.suites / "heard.toml").write_text(
        'corpora = ["mosi@common"]\nseeds = 1\n[protocol]\nmax_epochs = 1\n'
        '[[systems]]\nname = "erm_transformer"\nparams = { hidden = 16, heads = 2 }\n'
    )
    carry_out(make_plan(find_suite("heard", spoilt), spoilt), RunStore(spoilt.store), Here())
    (media / "manifest.csv").write_text(table)
    return spoilt, "heard:erm_transformer:mosi@common:1111", stored


def test_recordings_are_predicted_like_the_corpus_extracted_from_them(heard, media: Path) -> None:
    home, run, _ = heard
    found = harness.predict(run, media, home=home)
    known = harness.predict(run, "mosi@common", split="train", home=home)
    assert found.table["id"].tolist() == ["a_1", "a_2"]
    assert np.allclose(found.table["pred"], known.table["pred"], atol=1e-6)


def test_recordings_in_another_space_are_refused(heard, media: Path, loudness) -> None:
    home, run, _ = heard
    loudness(version=2)
    with pytest.raises(
        DataError, match=r"audio of extractor loudness, version 1.*comes out as.*version 2"
    ):
        harness.predict(run, media, home=home)


def test_recordings_nobody_transcribed_are_refused(heard, media: Path) -> None:
    home, run, _ = heard
    (media / "manifest.csv").unlink()
    with pytest.raises(DataError, match="nothing says what is said"):
        harness.predict(run, media, home=home)


def test_recordings_give_no_published_features(kept: Home, media: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="features of small, which are not made here"):
        harness.predict(key(kept, "lf_dnn"), media, home=kept)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recording lies in"):
        harness.predict(key(kept, "bert_text"), tmp_path / "empty", home=kept)


def test_a_text_system_needs_but_what_is_said(kept: Home, media: Path) -> None:
    found = harness.predict(key(kept, "bert_text"), media, home=kept)
    assert found.table["id"].tolist() == ["a_1", "a_2"]


# Released files


@pytest.fixture
def layout(monkeypatch, kept: Home):
    """A system whose authors release the tensors of its network as they are."""
    import torch

    from harness._util.tensors import load_tensors

    def network(path, dims, params):
        made = systems["lf_dnn"].build(dims, params)
        try:
            made.load_state_dict(load_tensors(path))
        except (ValueError, RuntimeError, TypeError) as error:
            raise DataError(f"{path.name} is no checkpoint: {error}") from error
        return made

    own = dataclasses.replace(systems["lf_dnn"], released=network)
    known = {"lf_dnn": own, "tfidf_ridge": systems["tfidf_ridge"]}
    monkeypatch.setattr(sources, "systems", known)
    return torch


def test_a_released_file_is_applied_to_a_corpus(
    kept: Home, layout, expected, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    run = RunStore(kept.store).get(key(kept, "lf_dnn"))
    layout.save(load_file(run.tensors()), tmp_path / "released.pth")
    found = harness.predict(tmp_path / "released.pth", CORPUS, home=kept)
    assert (found.system, found.weights) == ("lf_dnn", "released.pth")
    assert np.array_equal(found.table["pred"], expected["lf_dnn"])


def test_a_released_file_that_does_not_fit_is_refused(
    kept: Home, layout, table: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "released.pth"
    layout.save({"w": layout.zeros(2)}, path)
    with pytest.raises(DataError, match=r"released\.pth is no checkpoint"):
        harness.predict(path, CORPUS, home=kept)
    with pytest.raises(DataError, match="names no sizes"):
        harness.predict(path, table, home=kept)
    with pytest.raises(SpecError, match="system tfidf_ridge has no layout of released weights"):
        harness.predict(path, CORPUS, system="tfidf_ridge", home=kept)
    with pytest.raises(SpecError, match="--system goes with a released file"):
        harness.predict(key(kept, "lf_dnn"), CORPUS, system="lf_dnn", home=kept)
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match=r"released\.pth is no checkpoint"):
        harness.predict(path, CORPUS, home=kept)
    assert not (tmp_path / "ran").exists()


# From the command line


def test_the_commands_export_predict_and_prune(
    spoilt: Home, msa, expected, tmp_path: Path, monkeypatch
) -> None:
    run = f"small:bert_text:{CORPUS}:1111"
    code, out, err = msa("weights", run, "--to", tmp_path / "model")
    assert (code, err) == (0, "")
    assert "needs text encoder tiny-twin" in out
    to = tmp_path / "predictions.csv"
    code, out, _ = msa("predict", tmp_path / "model", "--on", CORPUS, "--to", to, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["clips"], told["system"], told["warnings"]) == (12, "bert_text", [])
    assert np.array_equal(read_predictions(to)["pred"], expected["bert_text"])
    code, out, _ = msa("weights", "prune", "--suite", "small", "--json")
    assert (code, json.loads(out)["deleted"], len(json.loads(out)["found"])) == (0, False, 4)
    code, out, _ = msa("weights", "prune", "--suite", "small")
    assert "the same with --yes deletes them" in out
    code, out, _ = msa("weights", "prune", "--suite", "small", "--yes")
    assert "deleted: weights of 4 runs" in out
    assert msa("verify")[0] == 0
    code, _, err = msa("predict", run, "--on", CORPUS, "--to", to)
    assert (code, err.count("\n")) == (1, 2)
    assert "has no weights any more: pruned" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("weights", "prune"), "say which weights may go"),
        (("weights", "prune", "--older-than", "soon"), "an age is a number"),
        (("weights", "prune", "--rank", "-1"), "0 or more"),
        (("weights", "zz", "--to", "folder"), "first digits of its key"),
        (("predict", "zz", "--on", CORPUS, "--to", "p.csv"), "first digits of its key"),
        (("predict", "zz", "--on", CORPUS, "--to", "p.txt"), "predictions are written as"),
        (("run", "small", "--weights", "best"), "weights are selected or none; found 'best'"),
    ],
)
def test_wrong_input_is_one_line(kept: Home, msa, arguments, said: str) -> None:
    code, _, err = msa("--home", kept.root, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_nothing_is_written_where_nothing_was_predicted(kept: Home, tmp_path: Path) -> None:
    to = tmp_path / "p.csv"
    with pytest.raises(DataError):
        harness.predict(key(kept, "bert_text"), "mosi@absent", to=to, home=kept)
    assert not to.exists()
