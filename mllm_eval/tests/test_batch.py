"""Batch files: the questions of live asking, and the same journal and rows out of answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import DataError, RunFailed, SpecError
from mllm_eval.batch import exchange
from mllm_eval.batch.exchange import BatchRow
from mllm_eval.client import ask_served, batch_line, remember
from mllm_eval.client.journal import read_journal
from mllm_eval.tests.fake_server import FILTERED, completion, serving
from mllm_eval.tests.test_zero_shot import corpus, params_of, task_of, told, words  # noqa: F401
from mllm_eval.zero_shot.system import MLLM, MLLMParams

ASKED = 17  # clips of valid and test


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def chatty(body):
    """A number, but at first of every fourth clip words alone, and of one no answer at all."""
    number = int(words(body).partition("clip <")[2].partition(">")[0])
    if number == 8:
        return 400, FILTERED
    again = len(body["messages"]) > 2
    return completion("I feel it is fine." if number % 4 == 0 and not again else told(body))


@pytest.fixture
def live(corpus, tmp_path):  # noqa: F811
    """What live asking makes of it, and what its server says of itself."""
    with serving(chatty) as server:
        params = params_of(server, prompt="en-direct")
        fitted = MLLM.fit(task_of(corpus, tmp_path / "live"), params)
        return fitted, ask_served(server.url, "m"), len(server.bodies)


@pytest.fixture
def row(corpus, tmp_path, live):  # noqa: F811
    """The same row where no server is, of a model that was met."""
    cache = tmp_path / "batch"
    remember(cache, "m", "", live[1])
    params = MLLMParams(model="m", condition="text", prompt="en-direct")
    return BatchRow(label="m", params=params, corpus=corpus, cache=cache)


def responses(file):
    """What a batch of such a server brings, in another order."""
    for line in reversed(file.read_text("utf-8").splitlines()):
        asked = json.loads(line)
        found = chatty(asked["body"])
        status, body = found if isinstance(found, tuple) else (200, found)
        yield {
            "id": "batch-1",
            "custom_id": asked["custom_id"],
            "response": {"status_code": status, "request_id": "r", "body": body},
            "error": None,
        }


def written(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def test_a_round_trip_makes_the_row_that_live_asking_makes(corpus, tmp_path, row, live):  # noqa: F811
    rounds = []
    for turn in range(3):
        file = tmp_path / f"{turn}.jsonl"
        if not exchange.write([row, row], file):
            break
        out = written(tmp_path / f"{turn}.out.jsonl", responses(file))
        found = exchange.read([row], [out])
        assert found.kept == len(out.read_text("utf-8").splitlines())
        assert (found.known, found.open, found.foreign, found.damaged) == (0, 0, 0, [])
        rounds.append(found.kept)
    fitted, _, requests = live
    assert rounds == [ASKED, requests - ASKED], "second tries are a round of their own"
    again = MLLM.fit(task_of(corpus, row.cache), row.params)
    test = corpus.split("test")
    np.testing.assert_array_equal(again.predict(test), fitted.predict(test))
    columns = ["id", "outcome", "value", "first_text", "tries"]
    assert again.answers[columns].equals(fitted.answers[columns])
    (before,) = (tmp_path / "live" / "mllm").glob("*.jsonl")
    assert read_journal(before).keys() == read_journal(row.journal).keys()


def test_a_line_is_what_a_server_would_be_sent(tmp_path, row):
    exchange.write([row], tmp_path / "b.jsonl")
    for line in map(json.loads, (tmp_path / "b.jsonl").read_text("utf-8").splitlines()):
        assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        assert (line["body"]["model"], line["body"]["temperature"]) == ("m", 0.0)
        assert len(line["custom_id"]) == 64


def test_damaged_lines_lose_none_of_the_others(tmp_path, row):
    exchange.write([row], tmp_path / "b.jsonl")
    lines = [json.dumps(line) for line in responses(tmp_path / "b.jsonl")]
    whole = len(lines)
    lines[2] = lines[2][:40]
    lines[5] = '{"custom_id": 7, "response": null}'
    lines[-1] = lines[-1][:-9]
    (tmp_path / "o.jsonl").write_text("\n".join(lines), "utf-8")
    found = exchange.read([row], [tmp_path / "o.jsonl"])
    assert (found.kept, len(found.damaged)) == (whole - 3, 3)
    assert "o.jsonl, line 3" in found.damaged[0]
    exchange.write([row], tmp_path / "rest.jsonl")
    asked = (tmp_path / "rest.jsonl").read_text("utf-8").splitlines()
    assert 3 <= len(asked) < whole, "what is damaged is asked again, and second tries with it"


def test_what_a_batch_gave_up_is_asked_again(tmp_path, row):
    exchange.write([row], tmp_path / "b.jsonl")
    lines = list(responses(tmp_path / "b.jsonl"))
    lines[0] |= {"response": None, "error": {"code": "batch_expired", "message": "too late"}}
    lines[1]["response"] |= {"status_code": 500, "body": {"error": {"message": "x"}}}
    del lines[3]
    found = exchange.read([row], [written(tmp_path / "o.jsonl", lines)])
    assert (found.kept, found.open) == (ASKED - 3, 2)
    left = exchange.write([row], tmp_path / "rest.jsonl")
    again = {json.loads(line)["custom_id"] for line in (tmp_path / "rest.jsonl").open()}
    assert left == len(again)
    assert {lines[0]["custom_id"], lines[1]["custom_id"]} <= again


def test_a_rejection_counts_where_the_model_takes_other_requests(tmp_path, row):
    exchange.write([row], tmp_path / "b.jsonl")
    lines = list(responses(tmp_path / "b.jsonl"))
    long = {"status_code": 400, "request_id": "r"}  # as vLLM writes it
    lines[0] |= {"response": long, "error": {"error": {"message": "too long", "code": 400}}}
    alone = exchange.read([row], [written(tmp_path / "one.jsonl", lines[:1])])
    assert (alone.kept, alone.open) == (0, 1)
    assert exchange.read([row], [written(tmp_path / "o.jsonl", lines)]).kept == ASKED
    (answer,) = (a for a in read_journal(row.journal).values() if a.state == "rejected")
    assert "too long" in answer.text


def test_lines_of_another_suite_are_refused_and_change_nothing(tmp_path, row):
    other = written(tmp_path / "o.jsonl", [_line("0" * 64), _line("1" * 64)])
    with pytest.raises(DataError, match="none of the 2 lines answers a question of these rows"):
        exchange.read([row], [other])
    assert read_journal(row.journal) == {}


def _line(key):
    body = completion("1.0")
    return {"custom_id": key, "response": {"status_code": 200, "body": body}, "error": None}


def test_answers_of_another_model_are_refused(tmp_path, row):
    exchange.write([row], tmp_path / "b.jsonl")
    lines = list(responses(tmp_path / "b.jsonl"))
    for line in lines:
        line["response"]["body"]["model"] = "another-7b"
    with pytest.raises(RunFailed, match="answered by another-7b"):
        exchange.read([row], [written(tmp_path / "o.jsonl", lines)])
    assert read_journal(row.journal) == {}


def test_what_is_read_twice_is_kept_once(tmp_path, row):
    exchange.write([row], tmp_path / "b.jsonl")
    out = written(tmp_path / "o.jsonl", responses(tmp_path / "b.jsonl"))
    exchange.read([row], [out])
    again = exchange.read([row], [out])
    assert (again.kept, again.known, again.foreign) == (0, ASKED, 0)


def test_a_file_that_is_there_is_not_written_over(tmp_path, row):
    (tmp_path / "b.jsonl").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        exchange.write([row], tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_text() == "mine"


def test_without_a_server_what_is_open_is_named(corpus, row):  # noqa: F811
    with pytest.raises(SpecError, match="no server is named to ask m"):
        MLLM.fit(task_of(corpus, row.cache), row.params)


def test_what_cannot_be_shown_is_left_out_and_told(tmp_path, row, monkeypatch, caplog):
    seen = []

    def breaks_off(request, client):
        seen.append(request)
        if len(seen) % 2:
            raise DataError("clip.mp4 breaks off")
        return batch_line(request, client)

    monkeypatch.setattr(exchange, "batch_line", breaks_off)
    pending, file = len(row.pending()), tmp_path / "b.jsonl"
    count = exchange.write([row], file)
    assert count == len(file.read_text("utf-8").splitlines()) == pending // 2
    assert f"{pending - count} questions are left out, such as: clip.mp4 breaks off" in caplog.text
    monkeypatch.setattr(exchange, "batch_line", lambda *_: breaks_off(seen.clear(), None))
    assert exchange.write([row], tmp_path / "none.jsonl") == 0
    assert not list(tmp_path.glob("*none*"))
