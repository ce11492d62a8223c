"""Halving, comparing and rewording, against a plain dynamic programme and by their properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_eval.explain.paraphrase import halves, overlap, reworded, units

WORDS = st.lists(st.sampled_from("abcd"), max_size=9)


def longest_common(a, b):
    """By the textbook recursion."""
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common(a[1:], b[1:])
    return max(longest_common(a[1:], b), longest_common(a, b[1:]))


@given(WORDS, WORDS)
def test_overlap_is_the_longest_common_subsequence(answer, wanted):
    expected = longest_common(answer[: len(wanted)], wanted) / len(wanted) if wanted else 0.0
    assert overlap(" ".join(answer), " ".join(wanted)) == expected


@pytest.mark.parametrize(
    ("answer", "wanted", "expected"),
    [
        ("Liked, IT!", "liked it", 1.0),
        ("we said before: liked it", "liked it", 0.0),  # only the beginning counts
        ("撒了个谎。", "撒了个谎", 1.0),
        ("don’t go", "don't go", 1.0),
        ("", "x", 0.0),
    ],
)
def test_case_punctuation_and_what_follows_do_not_count(answer, wanted, expected):
    assert overlap(answer, wanted) == expected


@given(st.text(max_size=80))
def test_halves_are_the_whole(text):
    first, second = halves(text)
    assert text.startswith(first)
    assert text.endswith(second)
    assert units(first) + units(second) == units(text)
    assert 0 <= len(units(first)) - len(units(second)) <= 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_rewording_is_the_same_everywhere_and_of_the_clip(language):
    text = "我刚才是一害怕我就跟他撒了个谎" if language == "zh" else "I'm not gonna say it was good"
    once = reworded(text, language, "a")
    assert once == reworded(text, language, "a") != reworded(text, language, "b")
    assert once != reworded(text, language, "a", seed=1)


@given(st.lists(st.sampled_from(["it", "was", "great", "never"]), min_size=1, max_size=30))
def test_every_word_stays_in_order(words):
    kept = iter(reworded(" ".join(words), "en", "x").split())
    assert all(word in kept for word in words)


def test_contractions_are_spelled_out():
    said = units(reworded("IM GONNA SAY IT DOESN'T WORK", "en", "x"))
    assert {"am", "going", "does", "not"} <= set(said)
    assert not {"im", "gonna", "doesn't"} & set(said)
