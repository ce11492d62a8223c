"""Instructions are files: the same questions in both languages, hashed, filled in one pass."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from mllm_eval.prompt.instruction import Instruction, Instructions, instructions


@pytest.mark.parametrize("purpose", ["explain", "probe"])
def test_both_languages_ask_the_same_questions(purpose):
    english, chinese = (instructions(purpose, language) for language in ("en", "zh"))
    assert {k: v.placeholders for k, v in english.items()} == {
        k: v.placeholders for k, v in chinese.items()
    }
    assert english.digest != chinese.digest
    assert not any("\u4e00" <= c <= "\u9fff" for one in english.values() for c in one.user)
    assert all(any("\u4e00" <= c <= "\u9fff" for c in one.user) for one in chinese.values())


def test_notes_are_not_told_the_words_that_were_said():
    for language in ("en", "zh"):
        asked = instructions("explain", language)
        assert not asked["heard"].placeholders | asked["seen"].placeholders


def test_filling_in_is_one_pass_and_complete():
    asked = Instruction(system="", user='{words} {"json": 1} {fields}')
    said = asked.render(words="{fields}", fields="summary")
    assert said.user == '{fields} {"json": 1} summary'
    with pytest.raises(SpecError, match="expected fields, words"):
        asked.render(words="x")
    with pytest.raises(SpecError, match="expected fields, words"):
        asked.render(words="x", fields="y", more="z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nsystem=''\nuser=''", "title is missing"),
        ("title='x'", "a table per question"),
        ("title='x'\n[a]\nuser=''", "instructions explain-xx: a: system is missing"),
        ("title='x'\n[a]\nsystem=''\nuser=''\nmore=''", "a: unknown key 'more'"),
        ("title=", "cannot read the instructions"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, message):
    path = tmp_path / "explain-xx.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        Instructions.load(path)


def test_a_word_changes_the_digest_and_the_title_does_not(tmp_path):
    def digest(title, user):
        path = tmp_path / "q.toml"
        path.write_text(f"title='{title}'\n[a]\nsystem=''\nuser='{user}'")
        return Instructions.load(path).digest

    assert digest("one", "what?") == digest("two", "what?") != digest("one", "what")


def test_unknown_instructions():
    with pytest.raises(SpecError, match="explain-fr"):
        instructions("explain", "fr")
