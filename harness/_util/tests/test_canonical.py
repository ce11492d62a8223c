"""Canonical JSON: one spelling per value, and refusals instead of guesses."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._util.canonical import digest, dumps, file_digest, plain

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé中", max_size=3), inner)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_reading_canonical_json_back_gives_the_value(value) -> None:
    assert json.loads(dumps(value)) == value
    assert json.loads(dumps(value, indent=1)) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=2), st.randoms())
def test_insertion_order_does_not_matter(table, random) -> None:
    items = list(table.items())
    random.shuffle(items)
    assert dumps(dict(items)) == dumps(table)


def test_the_spelling_and_its_digest_are_pinned() -> None:
    value = {"ü": [1, 1.0, 1e-7, True, None, "é\n"], "a": {"c": 0.1, "b": (2,)}}
    text = '{"a":{"b":[2],"c":0.1},"ü":[1,1.0,1e-07,true,null,"é\\n"]}'
    assert dumps(value) == text
    assert digest(value) == hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_integers_floats_booleans_and_text_stay_apart() -> None:
    assert len({digest(value) for value in (1, 1.0, True, "1", None, [1])}) == 6


def test_sets_are_sorted_whatever_the_hash_seed() -> None:
    program = "from harness._util.canonical import dumps; print(dumps({'b', 'a', 'ab', 'c', 'd'}))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert answers == {'["a","ab","b","c","d"]\n'}
    assert plain({10, 9, 2}) == [10, 2, 9]  # by spelling: any fixed order will do


def test_dataclasses_become_mappings_of_their_fields() -> None:
    @dataclasses.dataclass(frozen=True)
    class Inner:
        values: tuple[float, ...]

    @dataclasses.dataclass(frozen=True)
    class Outer:
        inner: Inner
        name: str

    assert plain(Outer(Inner((1.0, 2.5)), "x")) == {"inner": {"values": [1.0, 2.5]}, "name": "x"}


def test_numpy_floats_spell_like_python_floats() -> None:
    assert dumps(np.float64(0.1)) == "0.1"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_values_that_are_not_finite_are_refused_at_any_depth(value) -> None:
    for nested in (value, [value], {"a": {"b": [value]}}):
        with pytest.raises(ValueError, match="canonical"):
            dumps(nested)


@pytest.mark.parametrize(
    "value",
    [
        Path("/tmp/x"),
        PurePosixPath("x"),
        b"bytes",
        bytearray(b"bytes"),
        {1: "a"},
        {None: "a"},
        {("a", "b"): 1},
        object(),
        1j,
        np.int64(1),
        np.zeros(2),
        int,
        enum.Enum("Colour", "RED").RED,
        iter([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_refused_at_any_depth(value) -> None:
    for nested in (value, [value], {"a": {"b": value}}):
        with pytest.raises(TypeError):
            dumps(nested)


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_file_is_digested_by_its_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()
