"""Prompts: registered, frozen, filled in one pass, and refused with a reason when wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.errors import SpecError
from mllm_eval.prompt.letters import Letters
from mllm_eval.prompt.outcomes import Outcome
from mllm_eval.prompt.prompt import Prompt, Prompts, prompts

FROZEN = {  # a registered prompt never changes; another wording is another file
    "en-cues": "d6a2ea54e2b28200",
    "en-direct": "b7f5b74bc0cb0e32",
    "en-levels": "00a6f21a99f5e041",
    "text-2025": "133a4f3e3987dda4",
    "zh-cues": "8306425c8a7653d0",
    "zh-direct": "1d868a04a246c300",
    "zh-levels": "f7aa26997479e7e2",
}
TABLE: dict[str, Any] = {
    "title": "Mine",
    "language": "en",
    "preregistered": False,
    "answer": "number",
    "system": "",
    "user": "{transcript} {low} {high}",
    "absent": "(none)",
    "retry": "{low} to {high}",
}


def made(**changes: object) -> Prompt:
    return Prompt.parse({**TABLE, **changes}, name="mine")


def letters_for(prompt: Prompt, low: float = -3, high: float = 3) -> Letters | None:
    return Letters.permuted(low, high, clip="a") if prompt.answer == "letters" else None


# Those that are shipped


def test_registered_prompts_are_frozen() -> None:
    assert {name: prompt.digest[:16] for name, prompt in prompts.items()} == FROZEN


@pytest.mark.parametrize("language", ["en", "zh"])
def test_three_prompts_per_language_are_registered_one_per_form(language: Any) -> None:
    own = prompts.preregistered(language)
    assert sorted(prompt.answer for prompt in own) == ["json", "letters", "number"]
    assert {prompt.language for prompt in own} == {language}
    assert all(prompt.parser == "strict" and prompt.retry for prompt in own)


@pytest.mark.parametrize("dataset", datasets.values(), ids=list(datasets))
@pytest.mark.parametrize("prompt", prompts.values(), ids=list(prompts))
def test_a_request_holds_transcript_and_scale_and_no_gaps(prompt: Prompt, dataset: Any) -> None:
    low, high = dataset.low, dataset.high
    letters = letters_for(prompt, low, high)
    shown = prompt.render("WORDS", low, high, letters)
    assert shown.user.count("WORDS") == 1
    assert f"{low:g}" in shown.user
    assert f"{high:g}" in shown.user
    without = prompt.render(None, low, high, letters)
    assert "WORDS" not in without.user
    assert prompt.absent in without.user
    for text in (shown.user, shown.system, without.user, prompt.render_retry(low, high, letters)):
        assert not any(f"{{{name}}}" in text for name in ("transcript", "low", "high", "options"))
    if letters is not None:
        assert letters.listed() in shown.user


@pytest.mark.parametrize("name", FROZEN)
def test_a_good_answer_is_read(name: str) -> None:
    prompt = prompts[name]
    letters = letters_for(prompt)
    answer = {"number": "-2", "json": '{"score": -2.0}', "letters": ""}[prompt.answer]
    if letters is not None:
        answer = letters.letters[letters.values.index(-2.0)]
    assert prompt.read(answer, -3, 3, letters).value == -2.0


def test_text_2025_shows_its_example_and_reads_as_published() -> None:
    prompt = prompts["text-2025"]
    assert prompt.render("", -1, 1).user.endswith("0.19999999999999996")
    assert prompt.render("", -3, 3).user.endswith("2.2")
    assert prompt.read("between -3 and 3: 1.4", -3, 3).value == -3.0
    assert prompt.render_retry(-3, 3) == ""


def test_an_unknown_prompt_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean en-direct"):
        prompts["en-driect"]
    assert "en-driect" not in prompts


# What a prompt does


@given(st.text())
def test_a_transcript_is_never_a_template(transcript: str) -> None:
    for said in (transcript, f"{{low}} {transcript} {{transcript}} {{0}}"):
        assert made().render(said, -3, 3).user == f"{said} -3 3"


def test_the_digest_covers_all_but_the_names() -> None:
    prompt = made()
    assert dataclasses.replace(prompt, name="b", title="B").digest == prompt.digest
    changes = {
        **dict.fromkeys(("system", "absent", "retry"), "x"),
        **{"user": "{transcript}", "language": "zh", "preregistered": True},
        **{"scale": [0, 1], "answer": "json", "parser": "text-2025"},
    }
    assert {*changes, "name", "title"} == {f.name for f in dataclasses.fields(Prompt)}
    digests = {made(**{key: value}).digest for key, value in changes.items()}
    assert len(digests | {prompt.digest}) == len(changes) + 1


def test_a_scale_of_its_own_is_shown_and_mapped_to_the_labels() -> None:
    prompt = made(scale=[0, 100])
    assert prompt.render("x", -3, 3).user == "x 0 100"
    assert [prompt.read(a, -3, 3).value for a in ("0", "50", "75", "100")] == [-3, 0, 1.5, 3]
    assert prompt.read("-1", -3, 3).outcome is Outcome.OUT_OF_RANGE


def test_letters_go_with_letters() -> None:
    letters = Letters.permuted(-3, 3, clip="a")
    for prompt, given_letters in ((made(), letters), (prompts["en-levels"], None)):
        with pytest.raises(SpecError, match="letters go with letters"):
            prompt.render("x", -3, 3, given_letters)
        with pytest.raises(SpecError, match="letters go with letters"):
            prompt.read("x", -3, 3, given_letters)


# What is wrong is named


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"langauge": "en"}, "unknown key 'langauge'; did you mean 'language'"),
        ({"name": "x"}, "unknown key 'name'"),
        ({"language": "fr"}, "language should be one of 'en', 'zh'; found 'fr'"),
        ({"answer": "word"}, "answer should be one of 'number', 'json', 'letters'"),
        ({"parser": "loose"}, "parser should be one of 'strict', 'text-2025'"),
        ({"parser": "text-2025", "answer": "json"}, "reads numbers only"),
        ({"preregistered": "yes"}, "preregistered should be true or false"),
        ({"system": 3}, "system should be text, found 3"),
        ({"scale": "mine"}, 'scale should be "labels" or'),
        ({"scale": [1]}, 'scale should be "labels" or'),
        ({"scale": [True, False]}, "scale"),
        ({"scale": [1, 1]}, "from low to high"),
        ({"scale": [-float("inf"), 1]}, "from low to high"),
        ({"scale": [float("nan"), 1]}, "from low to high"),
        ({"user": "{transcript} {hihg}"}, "unknown placeholder 'hihg'"),
        ({"system": "{speaker}"}, "unknown placeholder 'speaker'"),
        ({"user": "{low}"}, "no {transcript}"),
        ({"answer": "letters"}, "{options} goes with letters"),
        ({"user": "{transcript} {options}"}, "{options} goes with letters"),
    ],
)
def test_a_wrong_prompt_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        made(**changes)
    assert str(caught.value).startswith("prompt mine: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("key", TABLE)
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(SpecError, match=f"{key} is missing"):
        Prompt.parse({k: v for k, v in TABLE.items() if k != key}, name="mine")


def test_files_are_named_when_they_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a prompt", "utf-8")
    assert list(Prompts(tmp_path)) == []
    (tmp_path / "broken.toml").write_bytes(b"title = \xff")
    with pytest.raises(SpecError, match=r"cannot read prompt .*broken\.toml"):
        list(Prompts(tmp_path))
