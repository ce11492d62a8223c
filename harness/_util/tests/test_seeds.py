"""Child seeds: pinned for ever, independent by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._util.seeds import derive

NAMES = st.lists(st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"])))


def test_golden_values() -> None:
    """A change here changes every result of every system: it is never a refactoring."""
    assert derive(1111, "weights") == 8576818347770702633
    assert derive(1111, "batches", 1) == 8033919540809501370
    assert derive(0) == 4761921975702974394


@given(st.integers(), NAMES, st.integers(), NAMES)
def test_other_arguments_give_another_seed(seed, names, other_seed, other_names) -> None:
    same = (seed, names) == (other_seed, other_names)
    assert (derive(seed, *names) == derive(other_seed, *other_names)) == same


@given(st.integers(), NAMES)
def test_every_generator_accepts_the_seed(seed, names) -> None:
    child = derive(seed, *names)
    assert 0 <= child < 2**63
    np.random.default_rng(child)


def test_names_do_not_run_into_one_another() -> None:
    spellings = [
        (1, "ab"),
        (1, "a", "b"),
        (1, "a", "", "b"),
        (1, "a b"),
        (1, "", "ab"),
        (1, "ab", ""),
        (11, "a"),
        (1, 1, "a"),
    ]
    assert len({derive(seed, *names) for seed, *names in spellings}) == len(spellings)


def test_the_separator_is_refused_so_that_no_two_names_collide() -> None:
    with pytest.raises(ValueError, match=r"U\+001F"):
        derive(1, "a\x1fb")


def test_neighbouring_seeds_and_names_give_unrelated_streams() -> None:
    draws = [
        np.random.default_rng(derive(seed, name)).standard_normal(2000)
        for seed, name in itertools.product((1111, 1112), ("batches", "weights"))
    ]
    worst = max(abs(np.corrcoef(a, b)[0, 1]) for a, b in itertools.combinations(draws, 2))
    assert worst < 4 / np.sqrt(2000)  # four standard errors of a correlation of nothing


def test_the_bits_of_children_are_fair() -> None:
    bits = np.array([[derive(seed, "x") >> bit & 1 for bit in range(63)] for seed in range(1000)])
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(1000)
