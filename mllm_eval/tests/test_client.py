from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from harness.errors import RunFailed, SpecError
from mllm_eval.client import Client, Limits, Pace, Prices, Request, TokenSampling, ask_all
from mllm_eval.client.journal import Journal, read_journal
from mllm_eval.tests.fake_server import KEY, Handler, serving


@pytest.fixture
def server():
    with serving() as fake:
        yield fake


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("TEST_MLLM_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def client_of(server, **limits):
    fast = {"timeout": 5.0, "attempts": 3, "backoff": 0.01, "start": 4, "most": 8} | limits
    return Client(
        base_url=server.url,
        model="m",
        revision="r",
        engine="fake 1",
        key_variable="TEST_MLLM_KEY",
        limits=Limits(**fast),
    )


def question(text, **fields):
    return Request.of([{"role": "user", "content": text}], **fields)


def ask(server, path, *texts, **limits):
    with Journal(path) as journal:
        return ask_all([question(text) for text in texts], client_of(server, **limits), journal)


def test_answers_come_in_the_order_of_the_requests(server, tmp_path):
    texts = ["slow first", *(f"echo {i}" for i in range(20))]
    answers = ask(server, tmp_path / "j", *texts)
    assert [one.text for one in answers] == texts
    assert {(one.state, one.finish_reason, one.attempts) for one in answers} == {
        ("answered", "stop", 1)
    }
    assert {(one.prompt_tokens, one.completion_tokens) for one in answers} == {(10, 2)}
    assert answers[0].seconds >= 0.03


@pytest.mark.parametrize(
    ("text", "state", "asked", "says"),
    [
        ("busy", "answered", 3, "busy"),
        ("cut", "answered", 2, "cut"),
        ("broken", "failed", 3, "HTTP 500: .*no luck with [*]{3}"),
        ("drop", "failed", 3, "disconnected"),
        ("garbage", "failed", 3, "without a chat completion"),
        ("hang", "timed_out", 3, "no answer within 0.6 s"),
        ("filter", "refused", 1, "^$"),
        ("refuse", "refused", 1, "rather not"),
        ("block", "blocked", 1, "HTTP 400: .*content_filter.*[*]{3}"),
        ("long", "rejected", 1, "HTTP 400: .*too long for [*]{3}"),
        ("surrogate", "answered", 1, r"half \? pair"),
    ],
)
def test_outcomes(server, tmp_path, text, state, asked, says):
    path = tmp_path / "j"
    answers = ask(server, path, text, "echo", timeout=0.6 if text == "hang" else 30.0)
    assert [one.state for one in answers] == [state, "answered"]
    assert answers[0].attempts == server.asked[text] == asked
    assert re.search(says, answers[0].text)
    settled = state in ("answered", "refused", "blocked", "rejected")
    assert (answers[0].key in read_journal(path)) == settled
    ask(server, path, text, timeout=0.6 if text == "hang" else 30.0)
    assert server.asked[text] == (asked if settled else 2 * asked)


def test_the_wait_a_server_asks_for_is_kept(server, tmp_path):
    begun = time.monotonic()
    [answer] = ask(server, tmp_path / "j", "wait")
    assert answer.state == "answered"
    assert time.monotonic() - begun >= 1.0


def test_every_sampling_field_is_sent(server, tmp_path):
    schema = {"type": "object", "properties": {"score": {"type": "number"}}}
    sampling = TokenSampling(temperature=0, max_tokens=5, seed=3, top_logprobs=4)
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "temperature": 9}
    with Journal(tmp_path / "j") as journal:
        asked = question("echo", sampling=sampling, schema=schema, extra=extra)
        ask_all([asked], client_of(server), journal)
    [body] = server.bodies
    assert body.pop("response_format")["json_schema"]["schema"] == schema
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "echo"}],
        "stream": False,
        "n": 1,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 5,
        "seed": 3,
        "logprobs": True,
        "top_logprobs": 4,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_closed_endpoints_get_no_field_they_do_not_know():
    fields = TokenSampling(top_k=None, repetition_penalty=None).fields()
    assert set(fields) == {"n", "temperature", "top_p", "max_tokens", "seed", "logprobs"}


def test_log_probabilities_have_the_generated_token_first(server, tmp_path):
    [answer] = ask(server, tmp_path / "j", "probabilities")
    assert answer.logprobs == ((("A", -2.0), ("B", -0.1), ("C", -9999.0)),)
    assert read_journal(tmp_path / "j")[answer.key] == answer


def test_equal_requests_are_asked_once(server, tmp_path):
    answers = ask(server, tmp_path / "j", "echo", "echo", "echo 2", "echo")
    assert [one.text for one in answers] == ["echo", "echo", "echo 2", "echo"]
    assert set(server.asked.values()) == {1}


def test_a_full_journal_needs_no_server(server, tmp_path):
    first = ask(server, tmp_path / "j", "echo 1", "echo 2")
    requests = [question("echo 2"), question("echo 1")]
    with closed_port() as url, Journal(tmp_path / "j") as journal:
        gone = Client(base_url=url, model="m", revision="r", engine="fake 1")
        assert ask_all(requests, gone, journal) == first[::-1]


def test_media_are_made_only_when_they_are_asked_about(server, tmp_path):
    made = []

    def request(i):
        def messages():
            made.append(i)
            return [{"role": "user", "content": f"echo {i}"}]

        return Request(messages=messages, prompt=str(i), media="f00d")

    with Journal(tmp_path / "j") as journal:
        ask_all([request(0)], client_of(server), journal)
        ask_all([request(0), request(1)], client_of(server), journal)
    assert made == [0, 1]


@contextlib.contextmanager
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


def test_an_unreachable_server_is_one_error_before_anything_is_made(tmp_path):
    made = []
    with closed_port() as url, Journal(tmp_path / "j") as journal:
        client = Client(base_url=url, model="qwen", revision="r", engine="e")
        with pytest.raises(RunFailed, match="no server answers at http://127") as caught:
            ask_all([Request(messages=lambda: made.append(1), prompt="p")], client, journal)
    assert "msa mllm serve qwen" in caught.value.hint
    assert not made


@pytest.mark.parametrize(("status", "says"), [(401, "refuses every request"), (503, "not ready")])
def test_a_server_that_cannot_serve_is_sent_nothing(server, tmp_path, status, says):
    server.models_status = status
    with pytest.raises(RunFailed, match=says):
        ask(server, tmp_path / "j", "echo")
    assert not server.asked


def test_an_endpoint_without_a_list_of_models_will_do(server, tmp_path):
    server.models_status = 404
    assert ask(server, tmp_path / "j", "echo")[0].state == "answered"


@pytest.mark.parametrize("text", ["forbidden", "missing"])
def test_what_is_wrong_for_every_request_ends_the_run(server, tmp_path, text):
    with pytest.raises(RunFailed, match="'m': HTTP 40") as caught:
        ask(server, tmp_path / "j", *(f"{text} {i}" for i in range(50)))
    assert KEY not in str(caught.value)
    assert sum(server.asked.values()) <= 8
    assert "TEST_MLLM_KEY" in caught.value.hint


def test_a_server_that_dies_ends_the_run_and_keeps_its_answers(server, tmp_path):
    texts = ["echo 0", "last 1", *(f"echo {i}" for i in range(2, 30))]
    with pytest.raises(RunFailed, match="no server answers") as caught:
        ask(server, tmp_path / "j", *texts, start=1, most=1)
    assert "what was answered is kept" in caught.value.hint
    assert [one.text for one in read_journal(tmp_path / "j").values()] == texts[:2]


def test_the_key_is_sent_and_nowhere_else(server, tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        answers = ask(server, tmp_path / "j", "echo", "broken", "block", "long", "drop")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in (tmp_path / "j").read_text()
    assert KEY not in repr(answers) + repr(client_of(server)) + caplog.text


def test_a_key_that_is_not_set_is_a_clear_error(server, tmp_path, monkeypatch):
    monkeypatch.delenv("TEST_MLLM_KEY")
    with pytest.raises(RunFailed, match="TEST_MLLM_KEY, which is not set"):
        ask(server, tmp_path / "j", "echo")


@pytest.mark.parametrize("url", ["localhost:8000", "http://me:pw@host/v1", "http://h/v1?key=pw"])
def test_a_base_url_holds_no_secret(url):
    with pytest.raises(SpecError) as caught:
        Client(base_url=url, model="m", revision="r", engine="e")
    assert "pw" not in str(caught.value)


def test_no_more_requests_are_in_flight_than_allowed(server, tmp_path):
    answers = ask(server, tmp_path / "j", *(f"slow {i}" for i in range(60)), start=2, most=5)
    assert {one.state for one in answers} == {"answered"}
    assert 3 <= server.peak <= 5


def test_the_first_requests_are_as_few_as_stated(server, tmp_path):
    ask(server, tmp_path / "j", "slow 1", "slow 2", start=1, most=8)
    assert server.peak == 1


def test_the_pace_grows_by_one_a_round_and_halves_once_a_burst():
    pace = Pace(Limits(timeout=4.0, start=4, most=6))
    for _ in range(5):
        pace.answered(0.1)
    assert 5.0 <= pace.limit < 5.2
    pace.answered(2.0)  # answered, but not fine
    assert pace.limit < 5.2
    for _ in range(50):
        pace.answered(0.1)
    assert pace.limit == 6.0
    sent = time.monotonic()
    for _ in range(6):
        pace.overloaded(sent)
    assert pace.limit == 3.0
    for _ in range(9):
        pace.overloaded(time.monotonic() + 1)
    assert pace.limit == 1.0


@pytest.mark.parametrize(("text", "limit"), [("busy", 2), ("hang", 1)])
def test_overload_slows_down(server, text, limit, tmp_path):
    async def pace_after():
        client = client_of(server, start=8, timeout=0.6 if text == "hang" else 30.0, attempts=3)
        async with client.session() as session:
            await session.ask(question(text))
            return session.in_flight

    assert int(asyncio.run(pace_after())) == limit


KILLED = """
import sys
from pathlib import Path
from mllm_eval.client import Client, Limits, Request, ask_all
from mllm_eval.client.journal import Journal
requests = [Request.of([{"role": "user", "content": f"slow {i}"}]) for i in range(60)]
client = Client(base_url=sys.argv[1], model="m", revision="r", engine="fake 1",
                limits=Limits(start=3, most=3))
with Journal(Path(sys.argv[2])) as journal:
    ask_all(requests, client, journal)
"""


def test_kill_and_resume_repeats_and_loses_nothing(server, tmp_path):
    path = tmp_path / "j"
    child = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(path)])
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < 15:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(child.pid, 9)
    child.wait()
    time.sleep(0.1)  # the fake finishes what was in flight
    kept = read_journal(path)
    assert 15 <= len(kept) < 60
    assert len(kept) >= sum(server.asked.values()) - 3  # the others were still in flight

    texts = [f"slow {i}" for i in range(60)]
    answers = ask(server, path, *texts)
    assert [one.text for one in answers] == texts
    assert all(server.asked[one.text] == 1 for one in kept.values())
    assert sum(server.asked.values()) <= 60 + 3
    assert {key: read_journal(path)[key] for key in kept} == kept


def test_cost(server, tmp_path):
    answers = ask(server, tmp_path / "j", "echo 1", "echo 2", "refuse", "block", "broken")
    assert Prices(prompt=2.5, completion=10.0).cost(answers) == pytest.approx(3 * 45e-6)


def test_the_cost_of_uncounted_answers_is_unknown(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "on_echo", lambda self, *_: self.send(200, UNCOUNTED))
    answers = ask(server, tmp_path / "j", "echo", "filter")
    assert Prices(prompt=1.0, completion=1.0).cost(answers) is None


UNCOUNTED = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}
