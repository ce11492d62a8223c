"""Answers: a value when the whole answer is one, else an outcome; never a guess, never an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_eval.prompt.outcomes import Outcome, Reading
from mllm_eval.prompt.parse import (
    cut_off,
    read_json,
    read_number,
    read_text_2025,
    score_schema,
)

MANY_DIGITS = "9" * 5000  # more than Python turns into an int

# What is read


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        *(("0.8", 0.8), ("-0.8", -0.8), ("+0.8", 0.8), ("3", 3.0), ("-3.0", -3.0), ("-0", 0.0)),
        *((".5", 0.5), ("-.5", -0.5), (" 1.2\n", 1.2), ("\u30001.2", 1.2)),
        *(("\u22120.8", -0.8), ("\u20130.8", -0.8), ("\u20110.8", -0.8), ("\uff0d0.8", -0.8)),
        *(("２．５", 2.5), ("＋１", 1.0)),
    ],
)
def test_one_number_is_read(answer: str, value: float) -> None:
    assert read_number(answer, -3, 3) == Reading(outcome=Outcome.ANSWERED, value=value)


def test_negative_zero_is_zero() -> None:
    assert str(read_number("-0.0", -3, 3).value) == "0.0"


THOUGHTS = "<think>\nPerhaps -3, or 1/2?\n</think>\n\n"


@pytest.mark.parametrize(
    "answer",
    [
        *("0.8.", "0.8。", "**0.8**", "**0.8.**", "`0.8`", '"0.8"', "“0.8”", "０.８。"),
        *("0.8\u200b", "\ufeff0.8", "```\n0.8\n```", "```text\n0.8\n```", "\n```\n 0.8 \n```\n"),
        *(
            f"{THOUGHTS}0.8",
            f"{THOUGHTS}**0.8**",
            "<thinking>1</thinking>0.8",
            "<THINK></THINK>0.8",
        ),
    ],
)
def test_what_stands_around_a_whole_number_is_taken_off(answer: str) -> None:
    assert read_number(answer, -3, 3).value == 0.8


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"score": 0.5}\n```',
        '```\n{"score": 0.5}```',
        f'{THOUGHTS}```json\n{{"score": 0.5}}\n```',
        '\ufeff{"score": 0.5}',
        '<think>{"score": 1}</think>{"score": 0.5}',
    ],
)
def test_what_stands_around_a_whole_object_is_taken_off(answer: str) -> None:
    assert read_json(answer, -1, 1).value == 0.5


def test_thoughts_are_no_refusal_and_no_number() -> None:
    assert read_number("<think>I cannot tell.</think>1 or 2", -3, 3).outcome is Outcome.UNPARSED
    assert read_number("<think>1</think>I cannot tell.", -3, 3).outcome is Outcome.REFUSED


# What parsers in the literature get wrong


@pytest.mark.parametrize("answer", ["1.0", "\u22120.8", ".5"])
def test_a_bare_number_keeps_its_value_and_sign(answer: str) -> None:
    expected = {"1.0": 1.0, "\u22120.8": -0.8, ".5": 0.5}[answer]
    assert read_number(answer, -1, 1).value == expected


@pytest.mark.parametrize(
    "answer",
    [
        "positive (10/10)",
        "The sentiment is positive, score 0.8",
        "not negative, positive",
        "On a scale from -1.0 to 1.0: 0.4",
        "1 out of 3",
        "between -3 and 3: 1.4",
    ],
)
def test_prose_is_not_searched_for_a_number(answer: str) -> None:
    assert read_number(answer, -3, 3).outcome is Outcome.UNPARSED


@pytest.mark.parametrize("answer", ["1.1", "-7", "10", MANY_DIGITS, f"-{MANY_DIGITS}"])
def test_a_number_off_the_scale_is_neither_kept_nor_clipped(answer: str) -> None:
    for reading in (read_number(answer, -1, 1), read_json(f'{{"score": {answer}}}', -1, 1)):
        assert (reading.outcome, reading.value) == (Outcome.OUT_OF_RANGE, None)


@pytest.mark.parametrize(
    "answer",
    [
        *("", " ", "-", "+", ".", "-.", "1..", "--1", "+-1", "±1", "- 1", "\u20141"),
        *("1/2", "½", "1⁄2", "1²", "①", "٣", "50%", "1e0", "1E-1", "0x1", "1_0", "0,8", "1,000"),
        *("1 000", "1 2", "1.2.3", "nan", "NaN", "inf", "-inf", "Infinity", "一", "负一"),
        *("**0.8", "`0.8", '"0.8', "0.8..", "0.8。。", "0.8!", "0.8 points", "Score: 0.8", ".。"),
        *("<think>1", "<think>1</thinking>0.8", "</think>0.8", "so <think>1</think>0.8"),
        *(
            "<think>1</think>0.8 or 1",
            "<think>1</think><think>1</think>0.8",
            "```\n0.8",
            "****",
            "**0.8**.",
        ),
        *("```\n0.8\n``` it is", "```\n0.8\n```\n```\n1\n```", "1\u200d", "‘0.8’"),
        *("1\n2", "[0.8]", '{"score": 0.8}', "\x00"),
    ],
)
def test_all_else_is_unparsed(answer: str) -> None:
    assert read_number(answer, -3, 3).outcome is Outcome.UNPARSED


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot rate this person.",
        "I'm unable to determine the sentiment.",
        "I’m sorry, but as a language model 1 2 3",
        "Sorry, no.",
        "抱歉，我无法判断。",
        "无法确定说话人的情感",
    ],
)
def test_refusals_are_counted_as_such(answer: str) -> None:
    for read in (read_number, read_json):
        assert read(answer, -3, 3).outcome is Outcome.REFUSED
    if not any(letter.isdigit() for letter in answer):
        assert read_text_2025(answer).outcome is Outcome.REFUSED


# JSON


@pytest.mark.parametrize(
    ("answer", "value"),
    [('{"score": 0.5}', 0.5), ('\n{ "score":-1 }\n', -1.0), ('{"score": 5e-1}', 0.5)],
)
def test_an_object_with_a_score_is_read(answer: str, value: float) -> None:
    assert read_json(answer, -1, 1).value == value


@pytest.mark.parametrize(
    "answer",
    [
        *("", "0.5", "[]", "{}", "null", '["score", 0.5]', '[["score", 0.5]]', '[{"score": 0.5}]'),
        *('{"score": "0.5"}', '{"score": true}', '{"score": null}', '{"score": [0.5]}'),
        *('{"Score": 0.5}', '{"score": 0.5, "why": "x"}', '{"score": 0.5, "score": 0.6}'),
        *('{"score": NaN}', '{"score": {"score": 0.5}}', '{"score": 0.5', '{"score": .5}'),
        *('```json\n{"score": 0.5}\n``` so', '{"score": 0.5}.', '"{\\"score\\": 0.5}"'),
        *('<think>x</think>so {"score": 0.5}', '<think>{"score": 0.5}'),
        *('{"score": 0.5} {"score": 0.5}', "[" * 100_000),
    ],
)
def test_other_json_is_unparsed(answer: str) -> None:
    assert read_json(answer, -1, 1).outcome is Outcome.UNPARSED


def test_json_infinity_is_off_the_scale() -> None:
    assert read_json('{"score": -Infinity}', -1, 1).outcome is Outcome.OUT_OF_RANGE


def test_the_schema_admits_what_is_read() -> None:
    schema = json.loads(json.dumps(score_schema(-1, 1)))
    assert list(schema["properties"]) == schema["required"] == ["score"]
    assert schema["properties"]["score"] == {"type": "number", "minimum": -1, "maximum": 1}
    assert schema["additionalProperties"] is False


# The published convention


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        *(("-0.8", -0.8), ("\u22120.8", 0.8), (".5", 5.0), ("1 out of 3", 1.0)),
        *(("between -3 and 3: 1.4", -3.0), ("I would say 42", 42.0), ("+0.5.", 0.5)),
    ],
)
def test_text_2025_reads_the_first_number_whatever_it_is(answer: str, value: float) -> None:
    assert read_text_2025(answer).value == value


@pytest.mark.parametrize("answer", ["-1", "1.", "-1.5", "it is 2", "0", "between -3 and 3: 1"])
def test_a_number_that_may_go_on_is_none(answer: str) -> None:
    """Only the first number is read: of the last one, -3, nothing is missing."""
    published = read_text_2025(answer, whole=False)
    strict = cut_off(read_number(answer, -3, 3))
    assert strict.outcome is Outcome.CUT and strict.value is None
    assert published.value == (-3.0 if "between" in answer else None)


@pytest.mark.parametrize("answer", ["", "neutral", MANY_DIGITS])
def test_text_2025_has_no_value_without_a_number(answer: str) -> None:
    assert read_text_2025(answer).outcome is Outcome.UNPARSED


# Any text

NUMBERISH = st.text(alphabet='0123456789+-.,/eE \n\u2212０９{}:"[]scorenaif%', max_size=20)
ANSWERS = st.one_of(st.text(), NUMBERISH, st.floats().map(str), st.integers().map(str))


@given(ANSWERS)
def test_no_answer_raises_and_no_value_leaves_the_scale(answer: str) -> None:
    for reading in (
        *(read(answer, -3, 3) for read in (read_number, read_json)),
        *(read(f'{{"score": {answer}}}', -3, 3) for read in (read_number, read_json)),
    ):
        assert (reading.value is not None) == (reading.outcome is Outcome.ANSWERED)
        assert reading.value is None or -3 <= reading.value <= 3
    assert read_text_2025(answer).outcome in {Outcome.ANSWERED, Outcome.UNPARSED, Outcome.REFUSED}


@given(NUMBERISH)
def test_what_is_read_is_what_python_reads(answer: str) -> None:
    reading = read_number(answer.replace("\u2212", "-"), -3, 3)
    if reading.value is not None:
        bare = answer.strip().removeprefix('"').removesuffix('"').strip().removesuffix(".")
        assert reading.value == float(bare.replace("\u2212", "-"))


@given(st.decimals(-3, 3, places=3), st.sampled_from("-\u2212\u2013\uff0d"))
def test_every_number_on_the_scale_is_read(number: object, minus: str) -> None:
    answer = f"{number:f}".replace("-", minus)
    assert read_number(answer, -3, 3).value == float(f"{number:f}")


@given(st.floats(-1, 1))
def test_every_json_number_on_the_scale_is_read(number: float) -> None:
    assert read_json(json.dumps({"score": number}), -1, 1).value == number


@given(ANSWERS, st.text(alphabet="0123456789", min_size=1, max_size=3))
def test_a_second_number_is_never_ignored(first: str, second: str) -> None:
    assert read_number(f"{first} {second}", -1e9, 1e9).outcome is not Outcome.ANSWERED or (
        not first.strip()
    )
