"""One model behind several servers: the work is shared, the answers are one model's."""

from __future__ import annotations

import contextlib
import time

import pytest
from fake_server import DROP, serving

from harness._util.shared_work import SharedWork
from harness.errors import DataError, RunFailed, SpecError
from mllm_eval.client import Client, Limits, Request, ask_all, ask_served
from mllm_eval.client.journal import Journal


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def requests(count):
    return [Request.of([{"role": "user", "content": f"question {i}"}]) for i in range(count)]


def client_of(*servers, **limits):
    fast = {"timeout": 5.0, "attempts": 2, "backoff": 0.01, "start": 4, "most": 4} | limits
    return Client(
        base_url=",".join(server.url for server in servers),
        model="m",
        revision="r",
        engine="fake 1",
        limits=Limits(**fast),
    )


@contextlib.contextmanager
def two(first=lambda body: "1", second=lambda body: "1"):
    with serving(first) as one, serving(second) as other:
        yield one, other


def test_two_servers_share_the_questions_and_one_journal(tmp_path):
    with two() as (one, other), Journal(tmp_path / "j") as journal:
        answers = ask_all(requests(60), client_of(one, other), journal)
        counts = len(one.bodies), len(other.bodies)
        assert {answer.state for answer in answers} == {"answered"}
        assert sum(counts) == 60 and min(counts) >= 15
        assert max(one.peak, other.peak) <= 4
        ask_all(requests(60), client_of(one), journal)  # the same model wherever it is
        assert (len(one.bodies), len(other.bodies)) == counts


def test_the_faster_server_is_asked_more(tmp_path):
    def slow(body):
        time.sleep(0.05)
        return "1"

    with two(first=slow) as (one, other), Journal(tmp_path / "j") as journal:
        ask_all(requests(80), client_of(one, other), journal)
        assert len(other.bodies) > len(one.bodies) > 0


def test_a_server_that_goes_away_is_left_out(tmp_path, caplog):
    with two() as (one, other), Journal(tmp_path / "j") as journal:

        def leaves(body):
            if one.gone:
                return 0, DROP
            if len(one.bodies) >= 5:
                one.gone = True
                one.shutdown()
                one.server_close()
            return "1"

        one.gone, one.rate = False, leaves
        answers = ask_all(requests(40), client_of(one, other), journal)
    assert {answer.state for answer in answers} == {"answered"}
    assert "no server answers" in caplog.text and "the others go on" in caplog.text


def test_when_the_last_one_goes_the_work_stops_and_is_kept(tmp_path):
    refuse = (401, {"error": "no"})
    with (
        two(lambda body: refuse, lambda body: refuse) as (one, other),
        Journal(tmp_path / "j") as journal,
        pytest.raises(RunFailed, match="refuses every"),
    ):
        ask_all(requests(9), client_of(one, other), journal)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": "2.0"}, "engine fake 1.0 and fake 2.0"),
        ({"tells": {"max_model_len": 4096}}, "arguments untold and max_model_len 4096"),
        ({"aliases": ["0f1e2d3c@c0ffee012345"]}, "revision weights and 0f1e2d3c"),
        ({"model": "n"}, "expected a server of m"),
    ],
)
def test_servers_that_differ_are_refused_and_named(changes, told):
    with two() as (one, other):
        for name, value in changes.items():
            setattr(other, name, value)
        with pytest.raises(DataError, match=told) as caught:
            ask_served(f"{one.url},{other.url}", "m")
        assert other.url in str(caught.value)
        assert ask_served(f"{one.url},{one.url}", "m") == ask_served(one.url, "m")


def test_each_address_is_checked():
    with pytest.raises(SpecError, match="expected a base URL"):
        Client(base_url="http://a/v1,ftp://b", model="m", revision="", engine="")


def test_work_that_several_want_is_made_once():
    made, work = [], SharedWork[str](most=6, size=len)

    def make(name):
        return work.get(name, lambda: made.append(name) or name)

    assert [make(name) for name in ("aaa", "bbb", "aaa", "ccc", "aaa")] == [
        *("aaa", "bbb", "aaa", "ccc", "aaa")
    ]
    assert made == ["aaa", "bbb", "ccc"], "what was asked for last stays"
    assert make("bbb") and made[-1] == "bbb"
    with pytest.raises(ZeroDivisionError):
        work.get("fails", lambda: str(1 / 0))
    assert work.get("fails", lambda: "ok") == "ok"
