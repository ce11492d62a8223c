"""Answers belong to one model as it is served: two servers that differ share none."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import test_transport

from harness.errors import RunFailed
from mllm_eval.client import Client, Journal, Request, ask_all, ask_served
from mllm_eval.client.answering import is_asked
from mllm_eval.tests.fake_server import completion, serving
from mllm_eval.tests.test_transport import TEST, VALID, told

corpus, fit, quick = test_transport.corpus, test_transport.fit, test_transport.quick
BFLOAT16, FLOAT32 = "rev@0123456789ab", "rev@ba9876543210"


def saying(model, fingerprint=None):
    def rate(body):
        return {**completion(told(body)), "model": model, "system_fingerprint": fingerprint}

    return rate


def journals(tmp_path, cache="cache"):
    return sorted((tmp_path / cache / "mllm").glob("*.jsonl"))


def test_two_servers_of_different_dtype_share_no_journal(fit, tmp_path):
    """One answers five questions and breaks; the other, started otherwise, is asked all."""
    with serving(test_transport.breaking((500, {}), 5)) as server:
        server.aliases = [BFLOAT16]
        with pytest.raises(RunFailed):
            fit(server)
    with serving(told) as other:
        other.aliases = [FLOAT32]
        found = fit(other)
        assert len(other.bodies) == VALID + TEST
    with serving(told) as again:
        again.aliases = [BFLOAT16]
        fit(again)
        assert len(again.bodies) == VALID + TEST - 5, "its own five are kept"
    assert len(journals(tmp_path)) == 2
    assert found.report["zero_shot"]["arguments"] == "ba9876543210"
    assert found.report["zero_shot"]["revision"] == "rev"


def test_a_server_that_tells_nothing_keeps_the_journal_it_had(fit, tmp_path):
    with serving(told) as server:
        fit(server)
        (journal,) = journals(tmp_path)
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        assert {line["identity"]["arguments"] for line in lines} == {""}
        server.tells = {"max_model_len": 4096}
        assert ask_served(server.url, "m").arguments == "max_model_len 4096"
        fit(server)
        assert len(server.bodies) == 2 * (VALID + TEST)


def test_a_server_that_was_exchanged_between_plan_and_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.aliases = [BFLOAT16]
        met = ask_served(server.url, "m")
        client = Client(base_url=server.url, model="m", **dataclasses.asdict(met))
        server.aliases = [FLOAT32]
        with (
            Journal(tmp_path / "j.jsonl") as journal,
            pytest.raises(RunFailed, match="was started with other arguments"),
        ):
            ask_all([Request.of([{"role": "user", "content": "echo"}])], client, journal)
        assert not server.asked


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "m-mini", "m2", "M-large-2024-11-20"])
def test_an_answer_of_another_model_is_refused_and_not_kept(fit, tmp_path, model):
    with serving(saying(model)) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    assert f"was asked for m and answered by {model}: the answer is not kept" in str(caught.value)
    assert f'revision = "{model}"' in caught.value.hint
    assert sum(len(path.read_text()) for path in journals(tmp_path)) == 0
    with serving(saying(model)) as server:
        assert fit(server, revision=model).report["zero_shot"]["answered_by"] == [model]


def test_a_snapshot_of_the_model_is_the_model_and_is_stored(fit):
    with serving(saying("somebody/m-2024-11-20", "fp_1")) as server:
        fitted = fit(server)
    facts = fitted.report["zero_shot"]
    assert facts["answered_by"] == ["somebody/m-2024-11-20"]
    assert facts["fingerprints"] == ["fp_1"]
    assert set(fitted.answers["answered_by"]) == {"somebody/m-2024-11-20"}


def test_two_snapshots_are_never_one_run(fit, tmp_path):
    def rate(body):
        number = int(re.search(r"<(\d+)>", test_transport.words(body))[1])
        return saying("m-2024-11-20" if number < 15 else "m-2025-01-01")(body)

    with serving(rate) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    assert "was answered by m-2024-11-20 before and by m-2025-01-01 now" in str(caught.value)
    (journal,) = journals(tmp_path)
    kept = [json.loads(line)["answer"]["model"] for line in journal.read_text().splitlines()]
    assert set(kept) == {"m-2024-11-20"}
    with serving(saying("m-2025-01-01")) as server, pytest.raises(RunFailed, match="before and by"):
        fit(server)


@pytest.mark.parametrize(
    ("asked", "revision", "answering", "found"),
    [
        ("m", "", "", True),
        ("gpt-4o", "gpt-4o-2024-11-20", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-11-20", "gpt-4o-2024-11-20", True),
        ("gpt-4o", "gpt-4o-2024-11-20", "gpt-4o-2024-08-06", False),
        ("openai/gpt-4o", "", "gpt-4o-2024-08-06", True),
        ("gemini-2.5-pro", "gemini-2.5-pro", "models/gemini-2.5-pro", True),
        ("gemini-2.5-pro", "gemini-2.5-pro", "gemini-2.5-pro-001", True),
        ("gemini-2.5-pro", "gemini-2.5-pro", "gemini-3.8-flash", False),
        ("gpt-5", "", "gpt-5.1-2025-11-13", False),
        ("deployment", "gpt-4o-2024-11-20", "gpt-4o-2024-11-20", True),
        ("Qwen/Qwen3-VL-8B-Instruct", "0123", "qwen3-vl-8b-instruct", True),
    ],
)
def test_which_names_are_the_model(asked, revision, answering, found):
    assert is_asked(asked, revision, answering) is found
