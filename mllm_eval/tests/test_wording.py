"""What can stand as an explanation, and why the rest cannot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_eval.client.journal import Answer
from mllm_eval.explain.validate import ExplanationRules, Fate, read_fields, read_note, text_schema

EN, ZH = ExplanationRules(language="en"), ExplanationRules(language="zh")


def answer(text, state="answered", reason="stop"):
    return Answer("key", state, text, reason, (), 1, 1, 0.1, 1)


@pytest.mark.parametrize(
    ("rules", "text", "fate"),
    [
        (EN, "She speaks softly, with long pauses; she seems sad.", Fate.TOLD),
        (EN, "He repeats the word twice in 5 seconds.", Fate.TOLD),
        (EN, "Nobody can be heard. I cannot hear a voice, only music.", Fate.TOLD),
        (EN, "Café music; her voice is naïve and bright, and she says façade twice.", Fate.TOLD),
        (EN, "  ", Fate.EMPTY),
        (EN, "I'm sorry, but I can't help with identifying people.", Fate.REFUSED),
        (EN, "The words", Fate.TOO_SHORT),
        (EN, "x" * 801, Fate.TOO_LONG),
        (EN, "说话人声音低沉。", Fate.LANGUAGE),
        (EN, "!!! 123 ...", Fate.LANGUAGE),
        (EN, "Ĉu vi ŝatas ĝin? Ĥoro ŝanĝas ĵaŭde", Fate.LANGUAGE),
        (EN, "The sentiment is about -1.4.", Fate.RATING),
        (EN, "The sentiment is about \N{MINUS SIGN}2.", Fate.RATING),
        (EN, "I would rate this a solid 2.", Fate.RATING),
        (EN, "Positive, 8/10.", Fate.RATING),
        (EN, "Confidence is 90% here.", Fate.RATING),
        (ZH, "说话人语速很快，声音发颤，显得很害怕。", Fate.TOLD),
        (ZH, "他提到了 Tom Hanks，语气平静。", Fate.TOLD),
        (ZH, "前 3 分钟里她一直在笑。", Fate.TOLD),
        (ZH, "The speaker sounds calm.", Fate.LANGUAGE),
        (ZH, "情感评分为 0.8。", Fate.RATING),
        (ZH, "打 4 分，比较积极。", Fate.RATING),
        (ZH, "抱歉，我无法分析这段视频。", Fate.REFUSED),
    ],
)
def test_judgement(rules, text, fate):
    told = rules.judge(text)
    assert told.fate is fate
    assert told.text == (text.strip() if fate is Fate.TOLD else "")


def test_ratings_can_be_allowed():
    assert (
        ExplanationRules(language="en", ratings=True).judge("About -1.4, I think.").fate
        is Fate.TOLD
    )


@given(st.text(max_size=300), st.sampled_from([EN, ZH]))
def test_any_text_has_one_fate_and_only_what_stands_is_kept(text, rules):
    told = rules.judge(text)
    assert bool(told.text) == (told.fate is Fate.TOLD)
    assert told.text in text


@pytest.mark.parametrize("state", ["refused", "blocked", "timed_out", "failed"])
def test_what_is_no_answer_keeps_its_name(state):
    assert read_note(answer("some text", state), EN).fate.value == state
    fields = read_fields(answer('{"summary": "fine text"}', state), ["summary"], EN)
    assert fields["summary"].fate.value == state


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
    told = read_note(answer(text, reason="length"), rules)
    assert told.text == kept
    assert told.fate is (Fate.TOLD if kept else Fate.CUT)


FIELDS = ["audio_clue", "summary"]


@pytest.mark.parametrize(
    ("text", "fates"),
    [
        ('{"audio_clue": "A calm voice.", "summary": "She is calm."}', [Fate.TOLD, Fate.TOLD]),
        ('{"audio_clue": "", "summary": "She is calm."}', [Fate.EMPTY, Fate.TOLD]),
        ('{"audio_clue": "A calm voice."}', [Fate.UNPARSED] * 2),
        ('{"audio_clue": "x", "summary": "y", "visual_clue": "z"}', [Fate.UNPARSED] * 2),
        ('{"audio_clue": 3, "summary": "y"}', [Fate.UNPARSED] * 2),
        ('["audio_clue", "summary"]', [Fate.UNPARSED] * 2),
        ("A calm voice.", [Fate.UNPARSED] * 2),
        ("[" * 100_000, [Fate.UNPARSED] * 2),
    ],
)
def test_fields(text, fates):
    assert [told.fate for told in read_fields(answer(text), FIELDS, EN).values()] == fates


def test_json_cut_off_says_so():
    found = read_fields(answer('{"audio_clue": "A calm', reason="length"), FIELDS, EN)
    assert {told.fate for told in found.values()} == {Fate.CUT}


@given(st.dictionaries(st.sampled_from(["summary", "audio_clue", "x"]), st.text() | st.integers()))
def test_any_json_object_is_read_without_an_error(found):
    assert read_fields(answer(json.dumps(found)), FIELDS, EN).keys() == set(FIELDS)


def test_the_schema_asks_for_what_is_read():
    schema = text_schema(FIELDS)
    assert schema["required"] == FIELDS == list(schema["properties"])
    assert schema["additionalProperties"] is False


def test_every_fate_has_a_meaning():
    assert len({fate.meaning for fate in Fate}) == len(Fate)
    assert {fate for fate in Fate if not fate.final} == {Fate.TIMED_OUT, Fate.FAILED}
