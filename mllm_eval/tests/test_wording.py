"""What can stand as an explanation, and why the rest cannot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_eval.client.journal import Answer
from mllm_eval.explain.validate import (
    ExplanationRules,
    TextStatus,
    read_fields,
    read_note,
    text_schema,
)

EN, ZH = ExplanationRules(language="en"), ExplanationRules(language="zh")


def answer(text, state="answered", reason="stop"):
    return Answer("key", state, text, reason, (), 1, 1, 0.1, 1)


@pytest.mark.parametrize(
    ("rules", "text", "status"),
    [
        (EN, "She speaks softly, with long pauses; she seems sad.", TextStatus.TOLD),
        (EN, "He repeats the word twice in 5 seconds.", TextStatus.TOLD),
        (EN, "Nobody can be heard. I cannot hear a voice, only music.", TextStatus.TOLD),
        (
            EN,
            "Café music; her voice is naïve and bright, and she says façade twice.",
            TextStatus.TOLD,
        ),
        (EN, "  ", TextStatus.EMPTY),
        (EN, "I'm sorry, but I can't help with identifying people.", TextStatus.REFUSED),
        (EN, "The words", TextStatus.TOO_SHORT),
        (EN, "x" * 801, TextStatus.TOO_LONG),
        (EN, "说话人声音低沉。", TextStatus.LANGUAGE),
        (EN, "!!! 123 ...", TextStatus.LANGUAGE),
        (EN, "Ĉu vi ŝatas ĝin? Ĥoro ŝanĝas ĵaŭde", TextStatus.LANGUAGE),
        (EN, "The sentiment is about -1.4.", TextStatus.RATING),
        (EN, "The sentiment is about \N{MINUS SIGN}2.", TextStatus.RATING),
        (EN, "I would rate this a solid 2.", TextStatus.RATING),
        (EN, "Positive, 8/10.", TextStatus.RATING),
        (EN, "Confidence is 90% here.", TextStatus.RATING),
        (ZH, "说话人语速很快，声音发颤，显得很害怕。", TextStatus.TOLD),
        (ZH, "他提到了 Tom Hanks，语气平静。", TextStatus.TOLD),
        (ZH, "前 3 分钟里她一直在笑。", TextStatus.TOLD),
        (ZH, "The speaker sounds calm.", TextStatus.LANGUAGE),
        (ZH, "情感评分为 0.8。", TextStatus.RATING),
        (ZH, "打 4 分，比较积极。", TextStatus.RATING),
        (ZH, "抱歉，我无法分析这段视频。", TextStatus.REFUSED),
    ],
)
def test_validation(rules, text, status):
    checked = rules.validate(text)
    assert checked.status is status
    assert checked.text == (text.strip() if status is TextStatus.TOLD else "")


def test_ratings_can_be_allowed():
    assert (
        ExplanationRules(language="en", ratings=True).validate("About -1.4, I think.").status
        is TextStatus.TOLD
    )


@given(st.text(max_size=300), st.sampled_from([EN, ZH]))
def test_any_text_has_one_status_and_only_what_stands_is_kept(text, rules):
    checked = rules.validate(text)
    assert bool(checked.text) == (checked.status is TextStatus.TOLD)
    assert checked.text in text


@pytest.mark.parametrize("state", ["refused", "blocked", "timed_out", "failed"])
def test_what_is_no_answer_keeps_its_name(state):
    assert read_note(answer("some text", state), EN).status.value == state
    fields = read_fields(answer('{"summary": "fine text"}', state), ["summary"], EN)
    assert fields["summary"].status.value == state


@pytest.mark.parametrize(
    ("text", "rules", "kept"),
    [
        ("He shouts loudly. Then he laughs and", EN, "He shouts loudly."),
        ('He says "no." Then', EN, 'He says "no.'),
        ("他大喊。然后他笑了，并且", ZH, "他大喊。"),
        ("one long sentence without an end", EN, ""),
    ],
)
def test_a_note_cut_off_keeps_its_whole_sentences(text, rules, kept):
    checked = read_note(answer(text, reason="length"), rules)
    assert checked.text == kept
    assert checked.status is (TextStatus.TOLD if kept else TextStatus.CUT)


FIELDS = ["audio_clue", "summary"]


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        (
            '{"audio_clue": "A calm voice.", "summary": "She is calm."}',
            [TextStatus.TOLD, TextStatus.TOLD],
        ),
        ('{"audio_clue": "", "summary": "She is calm."}', [TextStatus.EMPTY, TextStatus.TOLD]),
        ('{"audio_clue": "A calm voice."}', [TextStatus.UNPARSED] * 2),
        ('{"audio_clue": "x", "summary": "y", "visual_clue": "z"}', [TextStatus.UNPARSED] * 2),
        ('{"audio_clue": 3, "summary": "y"}', [TextStatus.UNPARSED] * 2),
        ('["audio_clue", "summary"]', [TextStatus.UNPARSED] * 2),
        ("A calm voice.", [TextStatus.UNPARSED] * 2),
        ("[" * 100_000, [TextStatus.UNPARSED] * 2),
    ],
)
def test_fields(text, statuses):
    assert [
        checked.status for checked in read_fields(answer(text), FIELDS, EN).values()
    ] == statuses


def test_json_cut_off_says_so():
    found = read_fields(answer('{"audio_clue": "A calm', reason="length"), FIELDS, EN)
    assert {checked.status for checked in found.values()} == {TextStatus.CUT}


@given(st.dictionaries(st.sampled_from(["summary", "audio_clue", "x"]), st.text() | st.integers()))
def test_any_json_object_is_read_without_an_error(found):
    assert read_fields(answer(json.dumps(found)), FIELDS, EN).keys() == set(FIELDS)


def test_the_schema_asks_for_what_is_read():
    schema = text_schema(FIELDS)
    assert schema["required"] == FIELDS == list(schema["properties"])
    assert schema["additionalProperties"] is False


def test_every_status_has_a_meaning():
    assert len({status.meaning for status in TextStatus}) == len(TextStatus)
    assert {status for status in TextStatus if not status.final} == {
        TextStatus.TIMED_OUT,
        TextStatus.FAILED,
    }
