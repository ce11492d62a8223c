"""The leak gate: texts written from labels are caught, texts that are not are let through."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.checks.leak_gate import explained_gate, measure
from harness.data.corpus import Corpus
from harness.data.leak_gate import LeakGate, leak_gate_of
from harness.data.readers import label_csv
from harness.data.store import Draft, assemble
from harness.data.transfer.compose import _worst_gate
from harness.tests.research import research_data
from mllm_eval.explain.paraphrase import reworded
from mllm_eval.explain.write import shuffled

WORDS = {-1: ["dull", "bad", "awful"], 0: ["plain", "so", "so"], 1: ["fine", "good", "lovely"]}
VOICES = {-1: "A low, heavy voice that sighs.", 0: "An even voice.", 1: "A bright, warm voice."}


def corpus_of(clips: int = 240, videos: int = 24) -> Corpus:
    """Transcripts that tell the label two times in three."""
    draw = np.random.default_rng(7)
    signs = draw.integers(-1, 2, clips)
    heard = np.where(draw.random(clips) < 2 / 3, signs, draw.integers(-1, 2, clips))
    table = pd.DataFrame(
        {
            "id": [f"v{i % videos}_{i}" for i in range(clips)],
            "video": [f"v{i % videos}" for i in range(clips)],
            "clip": [str(i) for i in range(clips)],
            "split": draw.permutation(np.resize(["train", "valid", "test"], clips)),
            "text": [f"it is {draw.choice(WORDS[sign])} take {i}" for i, sign in enumerate(heard)],
            "label": 2.0 * signs,
        }
    )
    return assemble(Draft(name="mosi@own", clips=table, streams={}, manifest={}))


def from_labels(corpus: Corpus) -> pd.DataFrame:
    told = [VOICES[int(np.sign(label))] for label in corpus.clips["label"]]
    return pd.DataFrame({"audio_clue": told}, index=corpus.clips["id"])


def from_words(corpus: Corpus) -> pd.DataFrame:
    clips = zip(corpus.clips["id"], corpus.clips["text"], strict=True)
    language = "zh" if corpus.dataset.language == "zh" else "en"
    told = [reworded(text, language, clip) for clip, text in clips]
    return pd.DataFrame({"summary": told}, index=corpus.clips["id"])


def test_texts_from_the_label_are_caught_and_their_controls_are_not() -> None:
    corpus = corpus_of()
    texts = from_labels(corpus)
    caught = measure(corpus, texts)
    assert caught.leaks and "LABEL LEAK" in caught.warning
    assert caught.acc3 is not None
    assert caught.acc3.clue == 1.0 and caught.acc3.transcript < 0.9
    assert (caught.clips, caught.videos) == (240, 24)
    for honest in (shuffled(texts, corpus.clips), from_words(corpus)):
        found = measure(corpus, honest)
        assert not found.leaks and not found.warning
        assert found.mae is not None


def test_a_leak_needs_no_rating_and_no_word_of_feeling() -> None:
    corpus = corpus_of()
    codes = {-1: "table lamp window", 0: "table lamp", 1: "table window"}
    told = [codes[int(np.sign(label))] for label in corpus.clips["label"]]
    assert measure(corpus, pd.DataFrame({"visual_clue": told}, index=corpus.clips["id"])).leaks


def test_clips_of_one_video_are_never_in_two_folds() -> None:
    """A text that names the video tells the label of its other clips, but of no new video."""
    corpus = corpus_of()
    by_video = corpus.clips.assign(label=corpus.clips["video"].map(lambda v: int(v[1:]) % 3 - 1.0))
    same = Corpus(**{**vars(corpus), "clips": by_video})
    named = pd.DataFrame({"summary": by_video["video"].to_list()}, index=by_video["id"])
    found = measure(same, named)
    assert found.acc3 is not None and found.acc3.clue < 0.5


def test_too_few_texts_are_said_to_be_too_few() -> None:
    corpus = corpus_of()
    few = measure(corpus, from_labels(corpus).iloc[:12])
    assert few.mae is None and not few.leaks
    assert few.figures.startswith("not measured: it takes 30 explained clips of 5 source videos")
    wordless = measure(corpus, pd.DataFrame({"summary": "!!"}, index=corpus.clips["id"]))
    assert not wordless.leaks and wordless.mae is not None


def test_the_record_is_read_as_it_was_written() -> None:
    corpus = corpus_of()
    gate = measure(corpus, from_labels(corpus))
    manifest = {"explanations": json.loads(json.dumps({"leak_gate": gate.json()}))}
    assert leak_gate_of(manifest) == gate
    assert leak_gate_of({"explanations": {}}) is leak_gate_of({}) is None


def test_a_transfer_has_the_mark_of_the_part_that_leaks() -> None:
    corpus = corpus_of()
    leaking, fine = (
        {"explanations": {"leak_gate": measure(corpus, texts).json()}}
        for texts in (from_labels(corpus), from_words(corpus))
    )
    assert _worst_gate([fine, leaking]) == leaking["explanations"]
    assert _worst_gate([{}, leaking]) == leaking["explanations"]
    assert _worst_gate([fine, fine]) == fine["explanations"]
    assert _worst_gate([fine, {}]) == {}, "nobody knows of the other part"


# Real texts, where they are.


def real(tmp_path: Path, dataset: str, task: str) -> tuple[Corpus, pd.DataFrame]:
    """The corpus, and texts that were written from its labels, with known provenance."""
    from harness.data.datasets import datasets

    corpus = assemble(label_csv.read(research_data(dataset, "label.csv"), datasets[dataset]))
    told = pd.read_csv(
        research_data("explanations", "mme_emotion_label_written.csv"), dtype=str
    ).query("dataset == @dataset and task == @task")
    index = pd.Index(
        [
            datasets[dataset].clip_id(video, clip)
            for video, clip in zip(told["video_id"], told["clip_id"], strict=True)
        ],
        name="id",
    )
    texts = told["audio_clue_label_conditioned"].to_list()
    clues = pd.DataFrame({"audio_clue": texts}, index=index)
    return corpus, clues[~clues.index.duplicated()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "task", "acc3"),
    [("mosi", "SA", 0.98), ("mosi", "FG-SA", 0.95), ("mosei", "SA", 0.99), ("simsv2", "SA", 0.98)],
)
def test_real_texts_written_from_labels_are_caught(tmp_path, dataset, task, acc3) -> None:
    corpus, clues = real(tmp_path, dataset, task)
    found = measure(corpus, clues)
    assert found.leaks
    assert found.acc3 is not None and found.acc3.clue >= acc3 - 0.01
    own = corpus.clips.set_index("id").loc[clues.index].reset_index()
    exchanged = clues.copy()
    exchanged.loc[:, "audio_clue"] = shuffled(clues, own)["audio_clue"]
    assert not measure(corpus, exchanged).leaks
    assert not measure(corpus, from_words(corpus).loc[clues.index]).leaks


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_whole_corpora_of_texts_made_from_transcripts_pass(tmp_path, dataset) -> None:
    corpus, _ = real(tmp_path, dataset, "SA")
    explained = corpus.clips.assign(summary=from_words(corpus)["summary"].to_list())
    found = explained_gate(Corpus(**{**vars(corpus), "clips": explained}))
    assert isinstance(found, LeakGate) and not found.leaks and found.clips == len(corpus.clips)
