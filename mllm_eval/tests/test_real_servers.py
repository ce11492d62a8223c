"""The client against real servers with real weights: vLLM, and transformers as a second engine.

They need an environment of gigabytes and minutes to start, so they have a tox environment of their
own: ``tox -e vllm``.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from harness.data.store import CorpusStore, Draft
from harness.errors import HarnessError, RunFailed
from harness.tests.research import research_data
from mllm_eval.batch import exchange, offline
from mllm_eval.batch.exchange import BatchRow
from mllm_eval.canary.check import Canary
from mllm_eval.canary.items import made
from mllm_eval.client import (
    Client,
    Limits,
    PooledRequest,
    Request,
    TokenSampling,
    ask_all,
    ask_served,
    remember,
    vector_of,
)
from mllm_eval.client.journal import Journal, read_journal
from mllm_eval.model.card import models
from mllm_eval.model.revision import folder_digest
from mllm_eval.model.weights import Weights, locate
from mllm_eval.prompt.letters import Letters
from mllm_eval.prompt.parse import read_json, score_schema
from mllm_eval.prompt.prompt import prompts
from mllm_eval.server import process as server
from mllm_eval.server.command import HIDDEN, Launch, arguments, variables
from mllm_eval.server.environment import prepare
from mllm_eval.server.process import serve
from mllm_eval.server.reference import reference
from mllm_eval.tests.test_zero_shot import task_of
from mllm_eval.zero_shot.system import MLLM, MLLMParams

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

SMOLLM = models["smollm2-135m-q4"]
OMNI = models["random-omni"]


@pytest.fixture(scope="session")
def cache():
    """Where environments and models of servers are kept between runs."""
    place = os.environ.get("MSA_SERVER_CACHE")
    if not place:
        pytest.skip("real servers are tested by: tox -e vllm")
    try:
        prepare(Path(place))
    except RunFailed as error:
        pytest.skip(f"no server can be installed here: {error}")
    return Path(place)


@pytest.fixture(scope="module")
def smollm(cache):
    with serve(SMOLLM, cache=cache) as run:
        yield run


@pytest.fixture(scope="module")
def omni(cache):
    with serve(OMNI, cache=cache) as run:
        yield run


@pytest.fixture(scope="module")
def transformers_server(cache, tmp_path_factory):
    """``transformers serve`` of the same weights."""
    weights, environment = locate(SMOLLM, cache), prepare(cache)
    port, log = server._free_port("127.0.0.1", 0), tmp_path_factory.mktemp("log") / "log"
    command = ["-m", "transformers.cli.transformers", "serve", weights.source]
    command += [f"--port={port}", "--host=127.0.0.1", "--device=cpu"]
    base_url = f"http://127.0.0.1:{port}/v1"
    hub = tmp_path_factory.mktemp("hub")  # it lists what is there, and fails where there is none
    known = {**variables(environment, weights), "OMP_NUM_THREADS": "1", "HF_HUB_CACHE": str(hub)}
    with server._process([str(environment.python), *command], known, log) as run:
        server._await_health(run, base_url, "transformers", log, 600.0, None)
        yield base_url, weights


@pytest.fixture(params=["vllm", "transformers"])
def client(request):
    """The same model behind two engines."""
    if request.param == "vllm":
        return client_of(request.getfixturevalue("smollm"))
    base_url, weights = request.getfixturevalue("transformers_server")
    return Client(
        base_url=base_url,
        model=weights.source,
        revision=weights.revision,
        engine="transformers",
        limits=Limits(start=2, most=4),
    )


def client_of(run, **limits):
    return Client(
        base_url=run.base_url,
        model=run.model,
        revision=run.revision,
        engine=run.engine,
        limits=Limits(**limits),
    )


def question(text, **fields):
    sampling = TokenSampling(max_tokens=12, **fields)
    return Request.of([{"role": "user", "content": text}], sampling=sampling)


def question_for(client, text):
    """With the sampling fields that the engine knows."""
    if client.engine == "transformers":
        return question(text, top_k=None, repetition_penalty=None)
    return question(text)


def ask(client, path, *requests):
    with Journal(path) as journal:
        return ask_all(requests, client, journal)


def test_a_real_model_answers(client, tmp_path):
    (answer,) = ask(client, tmp_path / "j", question_for(client, "What color is the sky?"))
    assert answer.state == "answered"
    assert "sky" in answer.text  # by a wide margin, so that it does not depend on the processor
    assert answer.prompt_tokens > 10
    assert 0 < answer.completion_tokens <= 12


def test_an_answer_is_given_once(client, tmp_path):
    one, two = (question_for(client, f"Say {word}.") for word in ("one", "two"))
    first = ask(client, tmp_path / "j", one, two)
    again = ask(client, tmp_path / "j", two, one)
    assert again == first[::-1]
    assert len(read_journal(tmp_path / "j")) == 2


def test_greedy_answers_do_not_depend_on_company(client, tmp_path):
    asked = [question_for(client, f"Name a city in country number {i}.") for i in range(6)]
    together = ask(client, tmp_path / "a", *asked)
    alone = [ask(client, tmp_path / f"{i}", one)[0] for i, one in enumerate(asked)]
    assert {one.state for one in (*together, *alone)} == {"answered"}
    same = [a.text == b.text for a, b in zip(together, alone, strict=True)]
    assert sum(same) >= 5  # near ties may fall either way


def test_a_server_tells_its_weights_and_engine(smollm, cache):
    served = ask_served(smollm.base_url, smollm.model)
    assert served.revision == smollm.revision == folder_digest(Path(locate(SMOLLM, cache).source))
    assert re.fullmatch(r"vllm \d+\.\d+\.\d+.*", served.engine)
    with pytest.raises(HarnessError, match="another"):
        ask_served(smollm.base_url, "another")


def test_probabilities_of_labels_follow_the_sentiment(smollm, tmp_path):
    """SmolLM2 rates clear sentences by the odds of two words, if not by what it says."""

    def odds(sentence):
        text = f'Is this positive or negative? Answer with one word. "{sentence}"'
        (answer,) = ask(client_of(smollm), tmp_path / "j", question(text, top_logprobs=20))
        near = {token.strip().lower(): p for token, p in reversed(answer.logprobs[0])}
        return near.get("positive", -20.0) - near.get("negative", -20.0)

    good = ("I love this movie, it is wonderful.", "What a great day, I am so happy.")
    bad = ("I hate this movie, it is terrible.", "What an awful day, I am so sad.")
    assert min(map(odds, good)) > max(map(odds, bad))


def test_an_answer_is_held_to_a_schema(smollm, tmp_path):
    asked = dataclasses.replace(
        question('Rate "it was fine" from -3 to 3 as {"score": number}.'),
        schema=score_schema(-3, 3),
        sampling=TokenSampling(max_tokens=32),
    )
    (answer,) = ask(client_of(smollm), tmp_path / "j", asked)
    assert "score" in json.loads(answer.text)
    assert "  " not in answer.text  # weak models pad where the grammar lets them
    assert read_json(answer.text, -1e9, 1e9).value is not None


def test_an_answer_is_one_of_the_choices(smollm, tmp_path):
    asked = dataclasses.replace(
        question("Rate: it was fine."), extra={"structured_outputs": {"choice": ["A", "B"]}}
    )
    (answer,) = ask(client_of(smollm), tmp_path / "j", asked)
    assert answer.text in ("A", "B")


def test_what_does_not_fit_fails_alone(smollm, tmp_path):
    answers = ask(client_of(smollm), tmp_path / "j", question("word " * 9000), question("Hello."))
    assert [one.state for one in answers] == ["rejected", "answered"]
    assert "HTTP 400" in answers[0].text
    assert answers[0].attempts == 1


def test_a_wrong_model_name_stops_the_run(smollm, tmp_path):
    wrong = dataclasses.replace(client_of(smollm), model="no-such-model")
    with pytest.raises(RunFailed, match="no-such-model"):
        ask(wrong, tmp_path / "j", question("Hello."))


def test_real_transcripts_are_answered(smollm, tmp_path):
    table = pd.read_csv(research_data("mosi", "label.csv"), dtype=str)
    texts = table.loc[table["mode"] == "test", "text"].head(24)
    prompt = prompts["en-direct"]
    requests = [
        Request.of(
            [
                {"role": "system", "content": words.system},
                {"role": "user", "content": words.user},
            ],
            sampling=TokenSampling(max_tokens=8),
        )
        for words in (prompt.render(text, -3, 3) for text in texts)
    ]
    answers = ask(client_of(smollm), tmp_path / "j", *requests)
    assert {one.state for one in answers} == {"answered"}
    assert len(read_journal(tmp_path / "j")) == texts.nunique()


KILLED = """
import sys
from pathlib import Path
from mllm_eval.client import Client, Limits, Request, TokenSampling, ask_all
from mllm_eval.client.journal import Journal
base_url, model, revision, engine, path = sys.argv[1:]
client = Client(base_url=base_url, model=model, revision=revision, engine=engine,
                limits=Limits(start=4, most=4))
requests = [Request.of([{"role": "user", "content": f"Tell me about the number {i}."}],
                       sampling=TokenSampling(max_tokens=12)) for i in range(80)]
with Journal(Path(path)) as journal:
    ask_all(requests, client, journal)
"""


def finished(run):
    """Requests that the server has answered so far, by its own count."""
    with urllib.request.urlopen(run.base_url.removesuffix("v1") + "metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("vllm:request_success_total{")]
    return sum(
        float(line.rpartition(" ")[2])
        for line in counts
        if 'finished_reason="stop"' in line or 'finished_reason="length"' in line
    )


def test_a_killed_client_repeats_and_loses_nothing(smollm, tmp_path):
    path, before = tmp_path / "j", finished(smollm)
    who = (smollm.base_url, smollm.model, smollm.revision, smollm.engine)
    child = subprocess.Popen([sys.executable, "-c", KILLED, *who, str(path)])
    while not path.exists() or path.read_bytes().count(b"\n") < 20:
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = read_journal(path)
    assert 20 <= len(kept) < 80
    requests = [question(f"Tell me about the number {i}.") for i in range(80)]
    answers = ask(client_of(smollm), path, *requests)
    assert {one.state for one in answers} == {"answered"}
    assert len(read_journal(path)) == 80
    assert {key: read_journal(path)[key] for key in kept} == kept
    assert 80 <= finished(smollm) - before <= 80 + 4  # what was in flight when it was killed


def sound(seconds=1.0):
    return made(frozenset({"audio"}))[5].content(frozenset())[0]


def pictures(count):
    return [made(frozenset({"vision"}))[i].content(frozenset())[0] for i in range(count)]


def video():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        noise = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
        for picture in noise:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    url = f"data:video/mp4;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"type": "video_url", "video_url": {"url": url}}


SHOWN = {
    "frames": lambda: pictures(8),
    "sound": lambda: [sound()],
    "video": lambda: [video()],
    "all": lambda: [*pictures(4), video(), sound()],
}


def showing(parts, text="How does the speaker feel?"):
    content = [*parts, {"type": "text", "text": text}]
    sampling = TokenSampling(max_tokens=4, top_logprobs=5)
    return Request.of([{"role": "user", "content": content}], sampling=sampling)


@pytest.mark.parametrize("parts", SHOWN.values(), ids=SHOWN)
def test_media_reach_the_model(omni, parts, tmp_path):
    """More prompt tokens than the words alone, and other probabilities."""
    with_media, without = ask(client_of(omni), tmp_path / "j", showing(parts()), showing([]))
    assert (with_media.state, without.state) == ("answered", "answered")
    assert with_media.prompt_tokens > without.prompt_tokens + 3
    assert with_media.logprobs[0] != without.logprobs[0]
    assert all(math.isfinite(p) for step in with_media.logprobs for _, p in step)


BROKEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize("parts", [[BROKEN], [sound(), sound()]], ids=["broken", "too many"])
def test_media_that_cannot_be_taken_fail_alone(omni, parts, tmp_path):
    answers = ask(client_of(omni), tmp_path / "j", showing(parts), showing(pictures(1)))
    assert [one.state for one in answers] == ["rejected", "answered"]


def test_both_engines_are_one_model(omni, cache):
    senses = frozenset({"vision", "audio"})
    canary = Canary(client_of(omni), OMNI, prompts["en-levels"], made(senses, 6))
    with reference(OMNI, cache=cache) as other:
        findings = {one.check: one for one in canary.findings(other.answer)}
    assert findings["reference"].items == 6
    assert findings["reference"].value <= 1 / 6  # near ties of random weights
    assert findings["vision"].value > 0
    assert findings["audio"].value > 0


def test_a_server_that_cannot_start_gives_its_reason(cache):
    flags = ["--max-model-len=99999999"]
    failing = serve(OMNI, cache=cache, flags=flags)
    with pytest.raises(RunFailed, match=r"max_model_len|maximum model length") as caught, failing:
        pass
    assert caught.value.hint.startswith("read ")


def test_the_benchmark_of_the_client_compares(cache, tmp_path, monkeypatch):
    from harness.benchmarks.llm_client import asking
    from harness.benchmarks.measure import TINY

    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "cache").symlink_to(cache)
    engine, one = asking(tmp_path, TINY)
    assert engine.ours == one.ours
    assert min(*engine.ours, *engine.theirs, *one.theirs) > 0


# Every open card, by vLLM's own rules.

_RULES = Path(__file__).with_name("vllm_rules.py")
_SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}


def _bodies(card):
    """A request for a number, JSON held to its form, and a letter, with the media that it takes."""
    parts = [*([_PICTURE] * 8 * ("vision" in card.senses)), *([_SOUND] * ("audio" in card.senses))]
    content = [*parts, {"type": "text", "text": "How does it feel?"}]
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": content}]
    forms = [
        Request.of(messages, sampling=card.sampling(max_tokens=32), extra=card.extra),
        Request.of(messages, sampling=card.sampling(), schema=score_schema(-3, 3)),
        Request.of(messages, sampling=card.sampling(max_tokens=1, top_logprobs=20)),
    ]
    return [json.loads(form.body(card.name, card.audio_part)) for form in forms]


def test_vllm_parses_every_open_card_and_takes_its_requests(cache):
    environment = prepare(cache)
    weights = Weights(source="/w", revision="c0ffee", local=True)
    cards = [card for card in models.values() if not card.hosted]
    where = {"host": "127.0.0.1", "port": 8000}
    lines = [
        [card.name, arguments(card, weights, Launch.of("cpu"), **where)[3:], _bodies(card)]
        for card in cards
    ]
    done = subprocess.run(
        [environment.python, _RULES],
        input="".join(json.dumps(line) + "\n" for line in lines),
        env=variables(environment, weights),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["name"]: one["error"] for one in told if "error" in one} == {}
    assert [one["name"] for one in told] == [card.name for card in cards]
    for one, card in zip(told, cards, strict=True):
        assert one["max_model_len"] == card.max_model_len
        assert (one["limits"] or {}).keys() == card.media_limits.keys()


# How a model is read


def test_hidden_states_are_those_of_transformers(cache, tmp_path):
    texts = ["I love this film.", "I hate it, it was awful.", "The train leaves at nine."]
    asked = [
        PooledRequest.about_to_answer(Request.of([{"role": "user", "content": text}]))
        for text in texts
    ]
    with serve(SMOLLM, cache=cache, flags=HIDDEN) as run:
        states = [vector_of(answer) for answer in ask(client_of(run), tmp_path / "j", *asked)]
    with reference(SMOLLM, cache=cache) as other:
        for state, request in zip(states, asked, strict=True):
            found = other.hidden(request)
            assert state.shape == found.shape
            off = np.linalg.norm(state - found) / np.linalg.norm(found)
            assert off < 0.05, "engines differ in rounding alone"


def test_a_bilingual_model_answers_in_both_languages(cache, tmp_path):
    card = models["qwen2.5-coder-0.5b-q4"]
    sampling = TokenSampling(max_tokens=1, top_logprobs=20)
    with serve(card, cache=cache) as run:
        for name, text in (("en-levels", "I love this film."), ("zh-levels", "这部电影太好了。")):
            letters = Letters.permuted(-1, 1, clip="x")
            words = prompts[name].render(text, -1, 1, letters)
            asked = [("system", words.system), ("user", words.user)]
            messages = [{"role": role, "content": content} for role, content in asked]
            (answer,) = ask(
                client_of(run), tmp_path / name, Request.of(messages, sampling=sampling)
            )
            assert letters.expected(answer.logprobs[0]).mass > 0.5, "it knows what is asked of it"


def test_run_batch_makes_the_rows_of_a_server(omni, cache, tmp_path):
    clips = pd.DataFrame(
        {
            "id": [f"v{i}_0" for i in range(9)],
            "video": [f"v{i}" for i in range(9)],
            "clip": ["0"] * 9,
            "split": ["train", "valid", "test"] * 3,
            "text": [f"words of clip {i}" for i in range(9)],
            "label": np.linspace(-3, 3, 9),
        }
    )
    draft = Draft(name="mosi@told", clips=clips, streams={}, manifest={})
    corpus = CorpusStore(tmp_path / "corpora").add(draft)
    told = {"model": OMNI.name, "condition": "text", "readout": "expected", "constrained": True}
    live = MLLM.fit(task_of(corpus, tmp_path / "live"), MLLMParams(**told, server=omni.base_url))

    served = offline.as_served(OMNI, cache)
    assert served == ask_served(omni.base_url, OMNI.name), "it is the model as it is served"
    remember(tmp_path / "batch", OMNI.name, "", served)
    params = MLLMParams(**told)
    row = BatchRow(label="m", params=params, corpus=corpus, cache=tmp_path / "batch")
    file, out = tmp_path / "b.jsonl", tmp_path / "o.jsonl"
    assert exchange.write([row], file) == 6
    subprocess.run(
        offline.command(OMNI, cache, file, out),
        env=offline.settings(OMNI, cache),
        capture_output=True,
        check=True,
        timeout=600,
    )
    assert exchange.read([row], [out]).kept == 6
    again = MLLM.fit(task_of(corpus, tmp_path / "batch"), params)
    test = corpus.split("test")
    np.testing.assert_allclose(again.predict(test), live.predict(test), atol=0.05)
