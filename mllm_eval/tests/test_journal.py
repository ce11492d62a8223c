from __future__ import annotations

import dataclasses
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._util.sealed import sealed_line, unsealed_line
from harness.errors import DataError, StoreError
from mllm_eval.client.journal import Answer, Identity, Journal, read_journal

IDENTITY = Identity(
    model="m",
    revision="r1",
    engine="vllm 0.33.0",
    prompt="p",
    media="",
    sampling={"temperature": 0.0, "n": 1},
    schema=None,
    extra={},
)


def answer(key="a", text="0.5", **fields):
    values = {"logprobs": (), "prompt_tokens": 7, "completion_tokens": 3, "seconds": 0.25} | fields
    return Answer(key, values.pop("state", "answered"), text, "stop", attempts=1, **values)


def filled(path, *answers):
    with Journal(path) as journal:
        for one in answers:
            journal.append(one, IDENTITY)
    return path


@settings(max_examples=50, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    logprobs=st.lists(st.lists(st.tuples(st.text("aé中\n"), st.floats(-99, 0)), min_size=1)),
    counts=st.none() | st.integers(0, 10**6),
)
def test_what_is_written_is_read(tmp_path_factory, text, logprobs, counts):
    kept = answer(text=text, logprobs=tuple(map(tuple, logprobs)), prompt_tokens=counts)
    path = filled(tmp_path_factory.mktemp("j") / "new" / "j.jsonl", kept)
    assert read_journal(path) == {"a": kept}
    assert path.read_bytes().count(b"\n") == 1


def test_an_answer_is_on_disk_before_the_journal_is_closed(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.append(answer(), IDENTITY)
        assert list(read_journal(tmp_path / "j")) == ["a"]


def test_a_cut_at_any_byte_loses_only_the_torn_line(tmp_path, caplog):
    whole = filled(tmp_path / "j", answer("a"), answer("b", "好")).read_bytes()
    first = whole.index(b"\n") + 1
    for cut in [first, *range(first + 1, len(whole), 7), len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:cut])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert list(read_journal(tmp_path / "cut")) == ["a"]
        assert ("torn" in caplog.text) == (cut > first)


def test_appending_after_a_torn_line_does_not_join_it(tmp_path):
    path = filled(tmp_path / "j", answer("a"), answer("b"))
    path.write_bytes(path.read_bytes()[:-9])
    filled(path, answer("b", "again"), answer("c"))
    assert [one.text for one in read_journal(path).values()] == ["0.5", "again", "0.5"]


def test_the_first_of_duplicates_stays(tmp_path):
    path = filled(tmp_path / "j", answer(text="first"), answer(text="second"))
    assert path.read_bytes().count(b"\n") == 1
    other = filled(tmp_path / "k", answer(text="second"))
    path.write_bytes(path.read_bytes() + other.read_bytes())  # two journals joined by hand
    assert read_journal(path)["a"].text == "first"


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", '{"answer": {}}', '{"answer": {"key": "a", "state": "maybe"}}']
)
def test_damage_before_the_end_is_an_error_that_names_the_line(tmp_path, line):
    path = filled(tmp_path / "j", answer("a"))
    path.write_bytes(path.read_bytes() + line.encode() + b"\n" + path.read_bytes())
    with pytest.raises(DataError, match="line 2"):
        read_journal(path)
    with pytest.raises(DataError, match="line 2"):
        Journal(path)


def test_an_unknown_state_is_damage(tmp_path):
    path = filled(tmp_path / "j", answer("a"))
    line = unsealed_line(path.read_bytes())
    path.write_bytes(sealed_line(line.replace(b'"answered"', b'"maybe"')))
    with pytest.raises(DataError, match="maybe"):
        read_journal(path)


def test_no_flipped_bit_changes_an_answer_unnoticed(tmp_path):
    path = filled(tmp_path / "j", answer("a"), answer("b"))
    whole, kept = path.read_bytes(), read_journal(path)
    for place in range(0, len(whole), 3):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(spoilt)
        try:
            found = read_journal(path)
        except DataError as error:
            assert "line" in str(error)
        else:
            assert all(kept[key] == one for key, one in found.items())


def test_a_line_of_before_there_were_digests_is_read(tmp_path):
    path = filled(tmp_path / "j", answer("a"))
    kept = read_journal(path)
    path.write_bytes(unsealed_line(path.read_bytes()) + b"\n")
    assert read_journal(path) == kept


def test_one_writer_at_a_time(tmp_path):
    with Journal(tmp_path / "j"), pytest.raises(StoreError, match="another process"):
        Journal(tmp_path / "j")
    filled(tmp_path / "j", answer())  # free again


def test_an_absent_journal_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        read_journal(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "other"),
        ("revision", "r2"),
        ("engine", "vllm 0.34.0"),
        ("prompt", "q"),
        ("media", "m"),
        ("sampling", {"temperature": 0.1, "n": 1}),
        ("schema", {"type": "number"}),
        ("extra", {"chat_template_kwargs": {"enable_thinking": False}}),
    ],
)
def test_everything_that_can_change_an_answer_changes_the_key(name, value):
    assert dataclasses.replace(IDENTITY, **{name: value}).key != IDENTITY.key


def test_the_key_of_a_fixed_identity_never_changes():
    assert IDENTITY.key == "49309db768ba157a2cd8e6de8390c1ce3366f2de82bac365ca2906a6dd67cf4d"
