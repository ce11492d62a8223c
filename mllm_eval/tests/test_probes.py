"""Probes tell models apart whose secrets are known: one has read the test set, one listens."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
from clips_on_disk import recordings
from fake_server import serving

from harness.data.corpus import Corpus
from harness.data.store import CorpusStore, Draft
from harness.errors import DataError
from harness.testing.server import completion
from mllm_eval.client import Client, Limits
from mllm_eval.client.journal import Journal
from mllm_eval.explain.paraphrase import halves
from mllm_eval.media.sampling import FrameSampling as Frames
from mllm_eval.media.sampling import parts
from mllm_eval.probe.probes import PROBES, findings, hears
from mllm_eval.probe.questions import NEEDS, Prober, choose
from mllm_eval.prompt.prompt import prompts

WORTH = {"awful": -2.0, "boring": -1.0, "decent": 1.0, "lovely": 2.0, "perfect": 3.0}
FRAMES = Frames(frames=1, size=32)
VIDEOS = 8


def sentence(k):
    word = list(WORTH)[k % len(WORTH)]
    ending = " ".join(f"{chr(97 + k)}{chr(97 + j)}o" for j in range(8))  # nobody else's
    return f"Well number {k} of these films is {word}, {ending}."


def draft():
    """Sixteen test clips of eight videos; few to train on, with a median label of zero."""
    rows = [
        {"video": f"v{k // 2}", "clip": str(k % 2), "split": "test", "text": sentence(k)}
        | {"label": list(WORTH.values())[k % len(WORTH)]}
        for k in range(2 * VIDEOS)
    ]
    rows += [
        {"video": f"t{k}", "clip": "0", "split": split, "text": "so so", "label": 0.0}
        for k, split in enumerate(["train", "train", "valid"])
    ]
    clips = pd.DataFrame(rows)
    clips.insert(0, "id", clips["video"] + "_" + clips["clip"])
    return Draft(name="mosi@probed", clips=clips, streams={}, manifest={})


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return CorpusStore(tmp_path_factory.mktemp("corpora")).add(draft())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corpus):
    return recordings(tmp_path_factory.mktemp("media") / "clips", corpus.clips["id"].tolist())


@pytest.fixture
def subject(corpus, folder):
    return choose(corpus, "test", folder, 99)


class Asked:
    """What a fake is asked, taken apart."""

    def __init__(self, body):
        content = body["messages"][-1]["content"]
        given = content if isinstance(content, list) else [{"type": "text", "text": content}]
        self.text = given[-1]["text"]
        sounds = [part["input_audio"]["data"] for part in given if part["type"] == "input_audio"]
        self.sound = sounds[0] if sounds else None
        self.completes = "first half" in self.text
        self.recalls = "Which label" in self.text


class Reciter:
    """Has read the test set by heart, understands nothing, sees and hears nothing."""

    def __init__(self, subject):
        self.clips = {
            c.id: (c.text, y) for c, y in zip(subject.clips, subject.truth.labels, strict=True)
        }

    def __call__(self, body):
        asked = Asked(body)
        for name, (text, label) in self.clips.items():
            first, second = halves(text)
            if asked.completes and first in asked.text:
                return second
            if asked.recalls and f"clip {name}?" in asked.text:
                return f"{label:.1f}"
            if not asked.completes and text in asked.text:
                return f"{label:.1f}"
        return "0.0"


class Listener:
    """Knows no clip; half understands words and fully understands sound, which it prefers."""

    def __init__(self, subject):
        self.sounds = {
            next(p for p in parts(c, "audio", FRAMES))["input_audio"]["data"]: y
            for c, y in zip(subject.clips, subject.truth.labels, strict=True)
        }

    def __call__(self, body):
        asked = Asked(body)
        if asked.completes or asked.recalls:
            return "I do not know this one at all, sorry."
        if asked.sound in self.sounds:
            return f"{self.sounds[asked.sound]:.1f}"
        return next((f"{v / 2:.1f}" for w, v in WORTH.items() if w in asked.text), "0.0")


def prober_of(server, **changes):
    limits = Limits(timeout=30.0, attempts=2, backoff=0.01, start=8, most=8)
    client = Client(base_url=server.url, model="m", revision="r", engine="fake", limits=limits)
    defaults = {"client": client, "prompt": prompts["en-direct"], "language": "en"}
    return Prober(**{**defaults, "frames": FRAMES, **changes})


def probed(model, subject, path, names=tuple(PROBES)):
    with serving(model) as server, Journal(path) as journal:
        replies = prober_of(server).ask(names, subject, journal)
        return findings(names, replies), replies, server


def signs(found):
    counted = {}
    for one in found:
        counted.setdefault(one.probe, []).append(one.estimate.sign)
    return counted


def test_every_probe_says_what_it_asks():
    assert NEEDS.keys() == PROBES.keys()


def test_a_model_that_has_read_the_test_set(subject, tmp_path):
    found, _, _ = probed(Reciter(subject), subject, tmp_path / "j")
    assert signs(found) == {
        "completion": [1],
        "recall": [1, 1],
        "wording": [1],
        "swap": [1],
        "blank": [0, 0],
        "hearing": [0, 0],
    }
    by_probe = {one.probe: one for one in found}
    assert by_probe["completion"].verdict == "recites transcripts"
    assert by_probe["completion"].facts["exact"] == 16
    assert by_probe["completion"].facts["near_of_another"] == 0
    assert by_probe["swap"].verdict == "follows the words"
    assert by_probe["blank"].facts["changed"] == 0
    assert hears(found) is False


def test_a_model_that_listens_and_has_read_nothing(subject, tmp_path):
    found, replies, _ = probed(Listener(subject), subject, tmp_path / "j")
    assert signs(found) == {
        "completion": [0],
        "recall": [0, 0],
        "wording": [0],
        "swap": [-1],
        "blank": [0, 1],
        "hearing": [1, 1],
    }
    verdicts = [one.verdict for one in found]
    assert verdicts[1] == "cannot be told from 0 clips of 0 videos"
    assert "follows the media" in verdicts and "gains from the sound" in verdicts
    assert replies.outcomes["recall"] == {"unparsed": 16}
    assert hears(found) is True


def test_measures_are_what_they_say(subject, tmp_path):
    """The listener halves what it reads, so every number is known."""
    found, _, _ = probed(Listener(subject), subject, tmp_path / "j", ["blank", "hearing"])
    size = np.abs(subject.truth.labels).mean()
    no_frames, no_sound, by_ear, by_all = (one.estimate.value for one in found)
    assert no_frames == 0.0
    assert no_sound == pytest.approx(size / 2)
    assert by_ear == pytest.approx(size)
    assert by_all == pytest.approx(size / 2)
    assert hears(found[:2]) is None


def test_series_are_shared_and_nothing_is_asked_twice(subject, tmp_path):
    _, _, server = probed(Listener(subject), subject, tmp_path / "j", ["swap", "blank", "hearing"])
    assert len(server.bodies) == 16 * len(
        {"all", "swapped", "no_vision", "no_audio"} | {"audio", "text"}
    )
    _, _, again = probed(Listener(subject), subject, tmp_path / "j", ["swap", "blank", "hearing"])
    assert not again.bodies


def test_without_recordings_only_words_are_probed(corpus, tmp_path):
    subject = choose(corpus, "test", None, 99)
    found, _, _ = probed(Reciter(subject), subject, tmp_path / "j")
    assert signs(found)["completion"] == signs(found)["wording"] == [1]
    for one in found:
        if one.probe in ("swap", "blank", "hearing") and "transcript" not in one.measure:
            assert one.verdict == "cannot be told from 0 clips of 0 videos"
    assert hears(found) is False


def test_no_question_shows_what_it_probes_for(subject, tmp_path):
    _, _, server = probed(lambda body: "0.0", subject, tmp_path / "j", ["completion", "recall"])
    for body in server.bodies:
        asked = Asked(body)
        for clip in subject.clips:
            assert halves(clip.text)[1] not in asked.text
            assert clip.text not in asked.text


def test_given_rewordings_are_used(subject, tmp_path):
    name = subject.clips[0].id
    with serving(lambda body: "0.0") as server, Journal(tmp_path / "j") as journal:
        prober = prober_of(server, rewordings={name: "what a lovely picture"})
        prober.ask(["wording"], subject, journal)
        assert sum("what a lovely picture" in Asked(body).text for body in server.bodies) == 1


def test_the_choice_of_clips_prefers_recordings_and_repeats(corpus, tmp_path):
    ids = corpus.split("test").ids
    folder = recordings(tmp_path / "few", ids, absent=ids[3:])
    chosen = [clip.id for clip in choose(corpus, "test", folder, 5).clips]
    assert set(ids[:3]) < set(chosen) and len(chosen) == 5
    assert chosen == sorted(chosen, key=ids.index)
    assert chosen == [clip.id for clip in choose(corpus, "test", folder, 5).clips]
    with pytest.raises(DataError):
        choose(corpus, "rest", None, 5)


def test_a_chatty_model_is_asked_once_more(subject, tmp_path):
    """One that talks before it answers was invisible: all 40 answers of the review were unread."""

    def chat(body):
        return "Well, let me think." if len(body["messages"]) < 3 else Reciter(subject)(plain(body))

    def plain(body):  # its first question, whose answer it gives the second time
        return {"messages": [m for m in body["messages"] if m["role"] == "user"][:1]}

    with serving(chat) as server, Journal(tmp_path / "j") as journal:
        prober = prober_of(server)
        found = prober.ask(["wording"], subject, journal)
        asked = len(server.bodies)
        assert asked == 4 * len(subject.clips)
        again = prober.ask(["wording"], subject, journal)
        assert len(server.bodies) == asked
    assert found.outcomes["text"] == {"answered": 16} == again.outcomes["text"]
    assert found.values["text"].tolist() == subject.truth.labels.tolist()
    assert len(found.answers) == asked


def test_letters_give_a_weak_model_a_value(subject, tmp_path):
    """It babbles; what it finds probable is read, and follows the words."""

    def babble(body):
        text = body["messages"][-1]["content"]
        text = text if isinstance(text, str) else text[-1]["text"]
        good = any(word in text for word in ("decent", "lovely", "perfect"))
        letters = [line[0] for line in text.splitlines() if line[1:4] == (": +" if good else ": -")]
        tops = [{"token": letter, "logprob": float(np.log(0.1))} for letter in letters]
        answer = completion("uh")
        logprobs = {"token": "uh", "logprob": -1.0, "top_logprobs": tops}
        answer["choices"][0]["logprobs"] = {"content": [logprobs]}
        return answer

    with serving(babble) as server, Journal(tmp_path / "j") as journal:
        prober = prober_of(server, prompt=prompts["en-levels"])
        found = prober.ask(["wording"], subject, journal)
    assert found.outcomes["text"] == {"answered": 16}
    assert (np.sign(found.values["text"]) == np.sign(subject.truth.labels)).all()


def test_scores_can_be_held_to_their_form(subject, tmp_path):
    with serving(lambda body: "0.0") as server, Journal(tmp_path / "j") as journal:
        prober = prober_of(server, constrained=True)
        prober.ask(["wording"], subject, journal)
        assert all("structured_outputs" in body for body in server.bodies)
        assert prober.record()["constrained"] is True


@pytest.fixture
def msa(tmp_path, monkeypatch, capsys):
    from harness.cli import main

    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    CorpusStore(tmp_path / "home" / "corpora").add(draft())

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def test_the_command_prints_and_keeps_its_findings(msa, subject, folder, tmp_path):
    with serving(Listener(subject)) as server:
        command = (
            *("mllm", "probe", "mosi@probed", "--server", server.url, "--model", "m"),
            *("--media", folder, "--frames", 1, "--size", 32),
        )
        code, out, errors = msa(*command, "--json")
        assert code == 0, errors
        facts = json.loads(out)
        code, table, _ = msa(*command)
        assert code == 0
    assert facts["hears"] is True and facts["recordings"] == 16
    assert [one["probe"] for one in facts["findings"]] == [
        *("completion", "recall", "recall", "wording", "swap"),
        *("blank", "blank", "hearing", "hearing"),
    ]
    [stored] = (tmp_path / "home" / "probes").iterdir()
    kept = json.loads(stored.read_text())
    assert {**kept, "stored": str(stored)} == facts
    assert server.url not in stored.read_text() and str(folder) not in stored.read_text()
    assert "claim that it hears emotion: holds" in table and "follows the media" in table
    assert "recall 16 unparsed" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "hypnosis"), "probes are completion, recall"),
        (("--prompt", "en-dirct"), "did you mean en-direct"),
        (("--split", "rest"), "splits are"),
        (("--rewordings", "nowhere.csv"), "nowhere.csv"),
        (("--media", "nowhere"), "nowhere"),
    ],
)
def test_a_mistake_costs_no_request(msa, arguments, message):
    with serving(lambda body: "0.0") as server:
        code, _, errors = msa(
            *("mllm", "probe", "mosi@probed", "--server", server.url, "--model", "m"), *arguments
        )
        assert not server.bodies
    assert code == 2
    assert message in errors
