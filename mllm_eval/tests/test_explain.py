"""Two stages against a fake server: only what is there is told, and nothing is invented."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
from clips_on_disk import bare_twin, recordings
from fake_server import completion, serving

from harness.data.corpus import EXPLANATIONS
from harness.data.store import CorpusStore
from harness.errors import DataError
from harness.home import Home
from harness.runs.store import RunStore
from harness.text.synthetic import write_encoder
from mllm_eval.client import Client, Limits, TokenSampling
from mllm_eval.client.journal import Journal
from mllm_eval.explain.write import Explainer, ExplanationStage, shuffled
from mllm_eval.media.clips import clips_of
from mllm_eval.media.sampling import FrameSampling as Frames

IDS = ["a_1", "a_2", "b_1", "b_2"]
TABLE = pd.DataFrame(
    {
        "id": IDS,
        "video": ["a", "a", "b", "b"],
        "clip": ["1", "2", "1", "2"],
        "split": "test",
        "text": [f"words of {name}" for name in IDS],
    }
)


def parts_of(body):
    return {part["type"] for part in body["messages"][-1]["content"]}


def words_of(body):
    return body["messages"][-1]["content"][-1]["text"]


def told(body):
    """A fake that hears, sees and rewrites, and quotes what it was given."""
    if "response_format" in body:
        fields = body["response_format"]["json_schema"]["schema"]["required"]
        said = words_of(body).partition("Words: ")[2].partition("\n")[0]
        return json.dumps({field: f"A fine {field} of {said}." for field in fields})
    return "The voice is bright." if "input_audio" in parts_of(body) else "The face is calm."


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def client_of(server, revision="r"):
    limits = Limits(timeout=30.0, attempts=2, backoff=0.01, start=4, most=4)
    return Client(base_url=server.url, model="m", revision=revision, engine="fake 1", limits=limits)


def explainer_of(server, **changes):
    stage = ExplanationStage(client=client_of(server), sampling=TokenSampling(max_tokens=64))
    defaults = {"notes": stage, "rewriting": stage, "language": "en"}
    return Explainer(**{**defaults, "frames": Frames(frames=2, size=32), **changes})


def explained_by(rate, clips, path, **changes):
    with serving(rate) as server, Journal(path) as journal:
        explainer = explainer_of(server, **changes)
        return explainer.explain(clips, journal), server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("media") / "clips"
    return recordings(place, IDS, silent=["a_2"], unseen=["b_1"], absent=["b_2"])


@pytest.fixture
def clips(folder):
    return clips_of(TABLE, folder)


def test_only_what_is_there_is_told(clips, tmp_path):
    explained, server = explained_by(told, clips, tmp_path / "j")
    filled = {name: [f for f, text in row.items() if text] for name, row in rows(explained).items()}
    assert filled == {
        "a_1": ["audio_clue", "visual_clue", "summary"],
        "a_2": ["visual_clue", "summary"],
        "b_1": ["audio_clue", "summary"],
        "b_2": [],
    }
    assert explained.statuses()["audio_clue"] == {"told": 2, "absent": 2}
    assert explained.statuses()["summary"] == {"told": 3, "absent": 1}
    assert explained.cost() == {"requests": 7, "prompt_tokens": 70, "completion_tokens": 14}
    asked = [body for body in server.bodies if "response_format" not in body]
    assert all("words of" not in json.dumps(body["messages"]) for body in asked)
    senses = [parts_of(body) - {"text"} for body in asked]
    assert sorted(map(len, senses)) == [1, 1, 1, 1]  # each note is of one sense
    assert sum("image_url" in sense for sense in senses) == 2


def rows(explained):
    return explained.texts.to_dict("index")


def test_the_rewriter_reads_the_words_and_the_notes(clips, tmp_path):
    _, server = explained_by(told, clips[:1], tmp_path / "j")
    [asked] = [words_of(body) for body in server.bodies if "response_format" in body]
    for found in ("words of a_1", "audio_clue: The voice is bright.", "The face is calm."):
        assert found in asked


def test_nothing_is_asked_twice_and_nothing_is_lost(clips, tmp_path):
    first, _ = explained_by(told, clips, tmp_path / "j")
    again, server = explained_by(told, clips, tmp_path / "j")
    assert not server.bodies
    assert again.texts.equals(first.texts)


def test_after_a_stop_between_the_stages_only_the_rest_is_asked(clips, tmp_path):
    def dies(body):
        if "response_format" in body:
            return {"choices": []}
        return told(body)

    broken, _ = explained_by(dies, clips, tmp_path / "j")
    assert broken.unsettled == 3
    assert not broken.texts.any(axis=None)
    whole, server = explained_by(told, clips, tmp_path / "j")
    assert len(server.bodies) == 3
    assert whole.unsettled == 0


@pytest.mark.parametrize(
    ("sick", "status"),
    [
        (completion(None, refusal="I would rather not."), "refused"),
        (completion("I'm sorry, I can't describe people."), "refused"),
        (completion("说话人很平静。"), "language"),
        (completion(""), "empty"),
        (completion("Certainly a +2.0."), "rating"),
        (completion("It goes on and", reason="length"), "cut"),
        ({"choices": []}, "failed"),
    ],
)
def test_a_note_that_cannot_stand_leaves_its_field_empty(clips, tmp_path, sick, status):
    def rate(body):
        return sick if "input_audio" in parts_of(body) else told(body)

    explained, _ = explained_by(rate, clips, tmp_path / "j")
    assert explained.statuses()["audio_clue"] == {status: 2, "absent": 2}
    assert explained.statuses()["visual_clue"] == {"told": 2, "absent": 2}
    assert rows(explained)["b_1"] == dict.fromkeys(EXPLANATIONS, "")  # nothing to rewrite
    assert rows(explained)["a_1"]["summary"]


@pytest.mark.parametrize(
    ("sick", "status"),
    [(completion("no JSON"), "unparsed"), (completion('{"a', reason="length"), "cut")],
)
def test_a_failed_rewriting_leaves_all_fields_empty(clips, tmp_path, sick, status):
    def rate(body):
        return sick if "response_format" in body else told(body)

    explained, _ = explained_by(rate, clips, tmp_path / "j")
    assert not explained.texts.any(axis=None)
    assert explained.statuses()["summary"] == {status: 3, "absent": 1}


def test_imagined_notes_come_from_the_words_alone(clips, tmp_path):
    explained, server = explained_by(told, clips, tmp_path / "j", from_words=True)
    assert all(parts_of(body) == {"text"} for body in server.bodies)
    assert all("words of" in words_of(body) for body in server.bodies)
    assert explained.statuses() == {name: {"told": 4} for name in EXPLANATIONS}


def test_who_wrote_decides_the_kind():
    with serving(told) as server:
        other = ExplanationStage(client=client_of(server, "other"), sampling=TokenSampling())
        assert explainer_of(server).kind == "video_mllm"
        assert explainer_of(server, rewriting=other).kind == "both"
        assert explainer_of(server, rewriting=other, from_words=True).kind == "transcript_llm"


def test_shuffled_explanations_are_another_clips_of_the_split():
    clips = pd.DataFrame(
        {
            "id": [f"{v}_{k}" for v in "abcd" for k in range(3)],
            "video": [v for v in "abcd" for _ in range(3)],
            "split": ["train"] * 6 + ["test"] * 6,
        }
    )
    texts = pd.DataFrame({"audio_clue": "", "summary": clips["id"].tolist()}, index=clips["id"])
    texts.loc["a_1"] = ""
    mixed = shuffled(texts, clips)
    assert mixed.loc["a_1"].tolist() == ["", ""]
    for split, video in (("train", "ab"), ("test", "cd")):
        names = [n for n in clips["id"][clips["split"] == split] if n != "a_1"]
        assert sorted(mixed.loc[names, "summary"]) == names
        assert all(v[0] in video for v in mixed.loc[names, "summary"])
    strangers = [a[0] != b[0] for a, b in mixed["summary"].items() if b]
    assert sum(strangers) == 10  # of 11: three clips of b have two donors in a
    assert shuffled(texts, clips).equals(mixed)
    assert not shuffled(texts, clips, seed=1).equals(mixed)
    with pytest.raises(DataError, match="the train split has one explained clip"):
        shuffled(texts.loc[["a_0", "c_0", "c_1"]], clips)


# From the command line to TEXT.


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    home.suites.mkdir(parents=True)
    return home


@pytest.fixture
def msa(home, monkeypatch, capsys):
    from harness.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def twin(home):
    return CorpusStore(home.corpora).add(bare_twin())


SUITE = """
corpora = ["mosi-twin@told"]
seeds = 1
[protocol]
side_info = "video_mllm"
[[systems]]
name = "text"
params = {{ encoder = "{encoder}", hidden = 8, heads = 1, head_size = 4, smoe_layers = 1, \
experts = 2, top_k = 1, epochs = 1, max_tokens = 8 }}
[[systems]]
name = "explanation_ridge"
"""


@pytest.mark.slow
def test_a_corpus_explained_by_a_served_model_feeds_text(msa, home, twin, tmp_path):
    ids = twin.clips["id"].tolist()
    folder = recordings(tmp_path / "media", ids, silent=ids[:2], absent=ids[2:3])
    with serving(told) as server:
        model = ("--server", server.url, "--model", "m", "--frames", 1, "--size", 32)
        told_by = ("mllm", "explain", twin.name, *model)
        code, out, errors = msa(*told_by, "--media", folder, "--as", "told", "--json")
        assert code == 0, errors
        asked = len(server.bodies)
        code, _, errors = msa(*told_by, "--media", folder, "--as", "mixed", "--control", "shuffled")
        assert (code, len(server.bodies)) == (0, asked), errors  # the same answers
        code, _, errors = msa(*told_by, "--as", "imagined", "--control", "transcript")
        assert code == 0, errors
    corpora = CorpusStore(home.corpora)
    plain, mixed, imagined = (
        corpora.load(f"mosi-twin@{name}") for name in ("told", "mixed", "imagined")
    )
    facts = json.loads(out)
    assert facts["data"] == plain.fingerprint
    record = facts["explanations"]
    assert record["clips"] == {
        "audio_clue": len(ids) - 3,
        "visual_clue": len(ids) - 1,
        "summary": len(ids) - 1,
    }
    assert record["notes"]["engine"] == "fake 1.0"
    assert record["frames"]["frames"] == 1
    assert str(tmp_path) not in out and server.url not in out
    assert plain.is_twin and plain.manifest["side_info"] == "video_mllm"
    assert mixed.manifest["explanations"]["control"] == "shuffled"
    assert imagined.manifest["side_info"] == "transcript_llm"
    assert sorted(mixed.clips["summary"]) == sorted(plain.clips["summary"])
    assert not (mixed.clips["summary"] == plain.clips["summary"])[
        plain.clips["summary"] != ""
    ].any()

    encoder = write_encoder(tmp_path / "tiny", plain.clips["text"].tolist())
    suite = tmp_path / "explained.toml"
    suite.write_text(SUITE.format(encoder=encoder))
    code, out, errors = msa("run", suite)
    assert code == 0, errors
    runs = {run.spec.system: run.spec for run in RunStore(home.store)}
    assert runs["text"].protocol.side_info == "video_mllm"
    assert runs["text"].data == plain.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--control", "loud"), "--control is one of none, transcript, shuffled"),
        ((), "explanations are told from recordings"),
        (("--control", "shuffled"), "explanations are told from recordings"),
        (("--control", "transcript", "--media", "."), "shows no media"),
        (("--language", "fr", "--control", "transcript"), "--language is one of en, zh"),
        (("--media", "{empty}"), "has no recording of any of the"),
        (("--model", "other", "--control", "transcript"), "expected a server of other"),
    ],
)
def test_a_mistake_costs_no_request(msa, twin, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    given = [str(a).format(empty=tmp_path / "empty") for a in arguments]
    with serving(told) as server:
        code, _, errors = msa(
            *("mllm", "explain", twin.name, "--server", server.url, "--model", "m"),
            *("--as", "told", *given),
        )
        assert not server.bodies
    assert code == 2
    assert message in errors


def test_a_corpus_with_explanations_is_refused_at_once(msa):
    code, _, errors = msa(
        *("mllm", "explain", "mosi-twin@compact-x1", "--server", "http://127.0.0.1:9/v1"),
        *("--model", "m", "--as", "told", "--control", "transcript"),
    )
    assert code == 2
    assert "already has audio_clue" in errors


@pytest.mark.slow
def test_failed_clips_are_left_only_when_told_to(msa, home, twin, tmp_path):
    hurt = twin.clips["text"].iloc[0]

    def rate(body):
        return {"choices": []} if hurt in words_of(body) else told(body)

    command = ("mllm", "explain", twin.name, "--as", "told", "--control", "transcript")
    with serving(rate) as server:
        model = ("--server", server.url, "--model", "m")
        code, _, errors = msa(*command, *model)
        assert code == 1
        assert "1 clips failed in transport" in errors and "repeat the same command" in errors
        assert "mosi-twin@told" not in CorpusStore(home.corpora)
        code, out, _ = msa(*command, *model, "--leave-failed")
        assert code == 0
    assert "failed" in out
    kept = CorpusStore(home.corpora).load("mosi-twin@told").clips
    assert (kept["summary"] == "").sum() == 1


def test_when_nothing_can_stand_nothing_is_stored(msa, home, twin):
    with serving(lambda body: "声音很大。") as server:
        code, _, errors = msa(
            *("mllm", "explain", twin.name, "--server", server.url, "--model", "m"),
            *("--as", "told", "--control", "transcript"),
        )
    assert code == 1
    assert "no text can stand as an explanation" in errors and "language" in errors
    assert "mosi-twin@told" not in CorpusStore(home.corpora)
