"""The system that asks: questions put once, readings, the three policies, resuming, media."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from harness.data.store import CorpusStore, Draft
from harness.errors import DataError, NotHere, RunFailed, SpecError
from harness.spec import PredictionCell
from harness.spec.prediction_cell import CALIBRATED, EXCLUDED, WORST_CASE
from harness.spec.protocols import protocols
from harness.system import Task, systems
from mllm_eval.prompt.prompt import prompts
from mllm_eval.tests.fake_server import TOO_LONG, completion, serving
from mllm_eval.tests.test_media import encode
from mllm_eval.zero_shot.system import MLLM, MLLMParams, pins

SPLITS = {"train": 6, "valid": 8, "test": 9}
LEVELS = np.linspace(-3, 3, 9)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Each clip says its label, its number and a word of its split."""
    splits = [name for name, count in SPLITS.items() for _ in range(count)]
    labels = [float(LEVELS[i % 9]) for i in range(len(splits))]
    clips = pd.DataFrame(
        {
            "id": [f"v{i // 2}_{i}" for i in range(len(splits))],
            "video": [f"v{i // 2}" for i in range(len(splits))],
            "clip": [str(i) for i in range(len(splits))],
            "split": splits,
            "text": [
                f"clip <{i}> feels <{y:+.2f}> {s}"
                for i, (y, s) in enumerate(zip(labels, splits, strict=True))
            ],
            "label": labels,
        }
    )
    draft = Draft(name="mosi@told", clips=clips, streams={}, manifest={})
    return CorpusStore(tmp_path_factory.mktemp("corpora")).add(draft)


@pytest.fixture
def fit(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def call(server, **params):
        return MLLM.fit(task_of(corpus, tmp_path), params_of(server, **params))

    return call


def task_of(corpus, cache):
    return Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=corpus.split("test"),
        protocol=protocols["zero_shot"],
        seed=0,
        device=torch.device("cpu"),
        encoder=None,
        cache=cache,
    )


def params_of(server, **params):
    given = {"model": "m", "server": server.url, "condition": "text", **params}
    return MLLMParams(**given)


def words(body):
    """All text of a request."""
    return json.dumps(body["messages"])


def told(body):
    """What the clip says it feels, halved and off by 0.5; one decimal."""
    value = float(re.search(r"feels <([^>]+)>", words(body))[1])
    return f"{value / 2 + 0.5:.1f}"


def letters(body):
    """Letter -> level, as the question lists them."""
    text = body["messages"][1]["content"]
    return {k: float(v) for k, v in re.findall(r"^([A-G]): ([-+0-9.]+)$", text, re.MULTILINE)}


def with_logprobs(**probabilities):
    answer = completion(next(iter(probabilities)))
    tops = [{"token": t, "logprob": float(np.log(p))} for t, p in probabilities.items()]
    answer["choices"][0]["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
    return answer


def test_it_is_registered_and_claims_that_it_learns_from_nothing():
    assert systems["mllm"] is MLLM
    assert MLLM.supervision == "none"


def test_one_prompt_predicts_what_was_answered(corpus, fit):
    with serving(told) as server:
        fitted = fit(server, prompt="en-direct")
        test = corpus.split("test")
        np.testing.assert_allclose(
            fitted.predict(test), np.round(test.labels / 2 + 0.5, 1), atol=0.051
        )
    assert set(server.asked.values()) == {1}, "every question once"
    assert len(server.asked) == SPLITS["valid"] + SPLITS["test"], "training clips are not asked of"
    assert not any("v3_" in words(body) for body in server.bodies), "no id is shown"
    table = fitted.answers
    assert (table["outcome"] == "answered").all() and (table["shown"] == "text").all()
    assert set(table["split"]) == {"valid", "test"}
    assert table["prompt_tokens"].tolist() == [10] * len(table)


def test_the_score_is_the_mean_over_the_preregistered_prompts(corpus, fit):
    def rate(body):
        if letters(body):
            best = next(k for k, v in letters(body).items() if v == 3)
            return with_logprobs(**{best: 1.0})
        return '{"score": 0.0}' if "JSON" in words(body) else "-1.5"

    with serving(rate) as server:
        fitted = fit(server)
    test = corpus.split("test")
    np.testing.assert_allclose(fitted.predict(test), 0.5)
    assert set(map(PredictionCell.named, fitted.variants(test))) == {
        *(PredictionCell(variant=name) for name in (EXCLUDED, WORST_CASE, CALIBRATED)),
        *map(PredictionCell.of_prompt, ("en-cues", "en-direct", "en-levels")),
    }
    spread = fitted.diagnose(test)
    assert set(spread["lowest"]) == {-1.5} and set(spread["highest"]) == {3.0}
    np.testing.assert_allclose(spread["mass"], 1.0)


def test_rotated_letters_cancel_a_preference_for_positions(corpus, fit):
    with serving(lambda body: with_logprobs(A=0.9, B=0.1)) as server:
        once = fit(server, prompt="en-levels").predict(corpus.split("test"))
        turned = fit(server, prompt="en-levels", turns=7).predict(corpus.split("test"))
    assert np.abs(once).max() > 0.5
    np.testing.assert_allclose(turned, 0.0, atol=1e-9)


def test_unusable_answers_are_asked_for_once_more(corpus, fit):
    def rate(body):
        repeated = len(body["messages"]) > 2
        if "<6>" in words(body):
            return "1.0" if repeated else "I would say 1.0"
        return "maybe" if "<7>" in words(body) else "0.0"

    with serving(rate) as server:
        fitted = fit(server, prompt="en-direct")
    again = [body["messages"] for body in server.bodies if len(body["messages"]) > 3]
    assert len(again) == 2
    assert all(
        messages[-2]["role"] == "assistant" and "one decimal" in messages[-1]["content"]
        for messages in again
    )
    table = fitted.answers.set_index("id")
    assert table.loc["v3_6", ["outcome", "value", "first_text", "tries"]].tolist() == [
        *("answered", 1.0, "I would say 1.0", 2)
    ]
    assert table.loc["v3_7", ["outcome", "tries"]].tolist() == ["unparsed", 2]


def test_the_three_policies_and_their_counts(corpus, fit):
    """Clips 14 (label of its own) and 15 refuse, 16 leaves the scale; the others say 1.0."""

    def rate(body):
        if "<14>" in words(body) or "<15>" in words(body):
            return completion(None, refusal="I would rather not.")
        return "4.0" if "<16>" in words(body) else "1.0"

    with serving(rate) as server:
        fitted = fit(server, prompt="en-direct")
    test = corpus.split("test")
    mean = corpus.split("train").labels.mean()
    out = np.array([True, True, True, *[False] * 6])
    main, told_ = fitted.predict(test), fitted.variants(test)
    np.testing.assert_allclose(main, np.where(out, mean, 1.0))
    assert np.isnan(told_["excluded"]).tolist() == out.tolist()
    worst = np.where(test.labels >= 0, -3.0, 3.0)
    np.testing.assert_allclose(told_["worst_case"], np.where(out, worst, 1.0))
    summary = fitted.report["zero_shot"]["splits"]["test"]
    assert summary["outcomes"]["refused"] == 2 and summary["outcomes"]["out_of_range"] == 1
    assert summary["clips_answered"] == 6 and summary["clips"] == 9


def test_calibration_is_fitted_on_validation_and_keeps_the_unanswered(corpus, fit):
    def rate(body):
        return completion("no") if "<22>" in words(body) else told(body)

    with serving(rate) as server:
        fitted = fit(server, prompt="en-direct")
    valid, test = corpus.split("valid"), corpus.split("test")
    line = fitted.report["zero_shot"]["calibration"]
    slope, intercept = np.polyfit(fitted.predict(valid), valid.labels, 1)
    assert line["slope"] == pytest.approx(slope) and line["intercept"] == pytest.approx(intercept)
    calibrated = fitted.variants(test)["calibrated"]
    np.testing.assert_allclose(calibrated[:-1], slope * fitted.predict(test)[:-1] + intercept)
    assert calibrated[-1] == pytest.approx(corpus.split("train").labels.mean())


def test_a_server_that_dies_loses_nothing_and_the_same_call_goes_on(corpus, fit, tmp_path):
    def dies(body):
        if len(server.bodies) == 7:
            server.shutdown()
            server.server_close()
        return told(body)

    with serving(dies) as server, pytest.raises(RunFailed, match="no server answers") as caught:
        fit(server, prompt="en-direct")
    assert "same command" in caught.value.hint
    (journal,) = (tmp_path / "mllm").glob("*.jsonl")
    kept = journal.read_text().count("\n")
    assert kept >= 7
    with serving(told) as second:
        fitted = fit(second, prompt="en-direct")
    assert sum(second.asked.values()) == SPLITS["valid"] + SPLITS["test"] - kept
    assert (fitted.answers["outcome"] == "answered").all()


def test_two_at_once_wait_for_each_other_and_ask_once(fit):
    with serving(told) as server, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fit, server, prompt="en-direct") for _ in range(2)]
        first, second = (one.result().answers for one in both)
    pd.testing.assert_frame_equal(first, second)
    assert set(server.asked.values()) == {1}


CUT_OFF = [
    ("en-direct", "-1", "length"),
    ("en-direct", "-1", ""),
    ("en-direct", "-1.5", None),
    ("en-direct", "2", "max_tokens"),
    ("en-direct", "40", "length"),
    ("en-direct", "", "length"),
    ("en-direct", "well, I would say", "length"),
    ("en-direct", "1.0", "tool_calls"),
    ("en-cues", '{"score": -1}', "length"),
    ("en-cues", '{"score": -1', "length"),
    ("text-2025", "-1", "length"),
    ("text-2025", "The score is 1.", "length"),
]


@pytest.mark.parametrize(("prompt", "text", "reason"), CUT_OFF)
def test_what_was_cut_off_is_asked_again_and_is_no_value(corpus, fit, prompt, text, reason):
    """A "-1" may be the beginning of "-1.5"."""

    def rate(body):
        return completion(text, reason=reason) if "<16>" in words(body) else "0.0"

    with serving(rate) as server:
        fitted = fit(server, prompt=prompt)
    row = fitted.answers.set_index("id").loc["v8_16"]
    assert row["outcome"] == "cut" and np.isnan(row["value"]) and row["text"] == text
    assert row["tries"] == (2 if prompts[prompt].retry else 1)
    test = corpus.split("test")
    assert fitted.predict(test)[2] == pytest.approx(corpus.split("train").labels.mean())
    counts = fitted.report["zero_shot"]["splits"]["test"]["outcomes"]
    assert counts["cut"] == 1 and sum(counts.values()) == SPLITS["test"]


@pytest.mark.parametrize("reason", ["stop", "STOP", "eos_token", "stop_sequence", "end_turn"])
def test_what_the_model_ended_is_a_value(fit, reason):
    with serving(lambda body: completion("-1", reason=reason)) as server:
        assert set(fit(server, prompt="en-direct").answers["value"]) == {-1.0}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (completion("-1", reason="content_filter"), "refused"),
        (completion("I'm sorry, but I cannot", reason="length"), "refused"),
        (completion([{"type": "text", "text": "1.5"}]), "answered"),
        (
            completion([{"type": "thinking", "text": "2"}, {"type": "text", "text": "1"}]),
            "answered",
        ),
        (completion("The score is 1.0 of 3", reason="length"), "cut"),
    ],
)
def test_other_endings(fit, answer, outcome):
    with serving(lambda body: answer if "<16>" in words(body) else "0.0") as server:
        table = fit(server, prompt="en-direct").answers.set_index("id")
    assert table.loc["v8_16", "outcome"] == outcome


def test_a_published_reading_takes_a_number_before_the_cut(fit):
    rate = completion("The score is 1.5 because", reason="length")
    with serving(lambda body: rate) as server:
        assert set(fit(server, prompt="text-2025").answers["value"]) == {1.5}


def listed(*entries):
    """An answer with these (token, log-probability) pairs, the first one generated."""
    answer = completion(entries[0][0], reason="length")
    told_ = [{"token": token, "logprob": value} for token, value in entries]
    answer["choices"][0]["logprobs"] = {"content": [{**told_[0], "top_logprobs": told_}]}
    return answer


@pytest.mark.parametrize(
    "answer",
    [
        completion("A", reason="length"),
        listed(("A", float("nan")), ("B", -1.0)),
        listed(("A", -1.0), ("B", float("nan"))),
        listed(("A", None), ("B", -1.0)),
        listed(("A", float("inf")), ("B", -1.0)),
        listed(("A", 0.5)),
        listed(("A", -1.0), ("the", float("nan"))),
    ],
    ids=["missing", "nan", "another", "null", "infinite", "positive", "of another word"],
)
def test_letters_without_probabilities_have_no_value(fit, answer):
    with serving(lambda body: answer if "<16>" in words(body) else with_logprobs(A=1.0)) as server:
        fitted = fit(server, prompt="en-levels")
        table = fitted.answers.set_index("id")
        assert table.loc["v8_16", "outcome"] == "unparsed"
        asked = len(server.bodies)
        fit(server, prompt="en-levels")
        assert len(server.bodies) == asked, "the journal keeps it"
    assert np.isnan(table.loc["v8_16", "value"])


def test_the_token_said_is_counted_once(fit):
    """Servers round the token said and the list of alternatives differently."""
    answer = listed(("A", -0.5), ("A", -0.5004), ("B", float(np.log(0.2))))
    answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"].pop(0)
    with serving(lambda body: answer) as server:
        masses = fit(server, prompt="en-levels").answers["mass"]
    np.testing.assert_allclose(masses, np.exp(-0.5) + 0.2)


def test_nothing_but_failures_is_no_result(fit):
    says = "no request about valid was answered by m: HTTP 400"
    with serving(lambda body: (400, TOO_LONG)) as server, pytest.raises(RunFailed, match=says):
        fit(server, prompt="en-direct")


@pytest.mark.parametrize(
    ("prompt", "field"),
    [("en-cues", "response_format"), ("en-direct", "structured_outputs"), ("en-levels", None)],
)
def test_forms_are_enforced_only_when_asked_for_and_never_on_letters(fit, prompt, field):
    forms = {"response_format", "structured_outputs"}
    with serving(lambda body: "A") as server:
        fit(server, prompt=prompt)
        assert not any(forms & set(body) for body in server.bodies)
        server.bodies.clear()
        fit(server, prompt=prompt, constrained=True)
    if field is None:
        assert not server.bodies, "the same questions, which have been answered"
    else:
        assert all(forms & set(body) == {field} for body in server.bodies)


def test_letters_are_asked_with_probabilities_and_one_token(fit):
    with serving(lambda body: "A") as server:
        fit(server, prompt="en-levels")
    assert {(body["max_tokens"], body["top_logprobs"]) for body in server.bodies} == {(1, 20)}


def test_all_without_recordings_is_loudly_the_transcript(fit, caplog):
    with serving(told) as server, caplog.at_level(logging.WARNING):
        fitted = fit(server, prompt="en-direct", condition="all")
    assert "no recordings of 9 of 9 clips" in caplog.text
    assert set(fitted.answers["shown"]) == {"text"}
    assert fitted.report["zero_shot"]["splits"]["test"]["shown"] == {"text": 9}


@pytest.mark.parametrize("condition", ["audio", "vision"])
def test_a_sense_without_recordings_is_refused(fit, condition):
    with serving(told) as server, pytest.raises(DataError, match=f"expected {condition} to show"):
        fit(server, prompt="en-direct", condition=condition)
    assert not server.bodies


@pytest.fixture(scope="module")
def recordings(corpus, tmp_path_factory):
    """A recording for the first test clip only."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "v7").mkdir()
    encode(folder / "v7" / "14.mp4")
    return folder


def test_recordings_are_shown_before_the_words(fit, recordings):
    with serving(told) as server:
        fitted = fit(
            server, prompt="en-direct", condition="all", media=str(recordings), frames=2, size=64
        )
    shown = fitted.answers.set_index("id")["shown"]
    assert shown["v7_14"] == "vision+audio+text" and (shown.drop("v7_14") == "text").all()
    (asked,) = [
        body["messages"][1]["content"]
        for body in server.bodies
        if isinstance(body["messages"][1]["content"], list)
    ]
    assert [part["type"] for part in asked] == ["image_url", "image_url", "input_audio", "text"]
    assert "feels" in asked[-1]["text"]


def test_a_withheld_transcript_is_withheld(corpus, recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    one = dataclasses.replace(corpus.split("test"), rows=slice(14, 15))
    task = dataclasses.replace(task_of(corpus, tmp_path), valid=one, watched=one)
    with serving(lambda body: "0.5") as server:
        MLLM.fit(
            task, params_of(server, prompt="en-direct", condition="audio", media=str(recordings))
        )
    (body,) = server.bodies
    assert "feels" not in words(body) and "(not given)" in words(body)
    assert [part["type"] for part in body["messages"][1]["content"]] == ["input_audio", "text"]


def test_pins_cover_model_engine_questions_and_recordings(corpus, recordings, pin):
    with serving(told) as server, serving(told) as other:
        found = pin(params_of(server))
        assert pin(params_of(other)) == found, "where it is served is no identity"
        other.version = "2.0"
        assert pin(params_of(other))["server"] != found["server"]
        assert pin(params_of(server, revision="a1b2"))["server"] != found["server"]
        assert pin(params_of(server, prompt="en-direct"))["questions"] != found["questions"]
        shown = pin(params_of(server, condition="all", media=str(recordings)))
        assert set(shown) == {"server", "questions", "media"}


def test_what_is_missing_is_said(pin):
    with pytest.raises(SpecError, match="model is missing"):
        pin(MLLMParams(server="http://127.0.0.1:1/v1"))
    with pytest.raises(NotHere, match="no server is named to ask m") as caught:
        pin(MLLMParams(model="m"))
    assert "msa mllm run SUITE --server URL" in caught.value.hint
    with pytest.raises(RunFailed, match="no server answers"):
        pin(MLLMParams(model="m", server="http://127.0.0.1:9/v1"))
    with serving(told) as server:
        with pytest.raises(DataError, match="found one of m"):
            pin(params_of(server, model="gpt-2"))
        with pytest.raises(DataError, match="condition audio needs recordings"):
            pin(params_of(server, condition="audio"))


def test_a_model_that_was_met_is_known_while_it_is_away(pin, tmp_path):
    with serving(told) as server:
        found = pin(params_of(server))
    assert pin(params_of(server)) == pin(MLLMParams(model="m", condition="text")) == found
    (note,) = (tmp_path / "mllm" / "served").iterdir()
    note.write_text("{")
    with pytest.raises(RunFailed, match="no server answers"):
        pin(params_of(server))


@pytest.fixture
def pin(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return lambda params: pins(params, corpus, tmp_path)
