"""Conditions: names that say everything, grids that hold what they promise."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.spec.conditions import (
    CLEAN,
    MODALITIES,
    RATES,
    Condition,
    check_selection,
    check_training,
    grid,
    grids,
    only,
    seen,
    told,
)
from harness.spec.laws import laws

RATE = st.integers(0, 1000).map(lambda n: n / 1000)
HIT = st.sets(st.sampled_from(MODALITIES), min_size=1).map(
    lambda chosen: tuple(name for name in MODALITIES if name in chosen)
)
HOWS = ("element", "block", "modality", "lnln", "lnln@published")


@given(noise=RATE, missing=RATE, how=st.sampled_from(HOWS), hit=HIT)
def test_a_name_says_what_happens_to_clips(noise, missing, how, hit):
    condition = Condition(noise=noise, missing=missing, how=how, hit=hit)
    read = Condition.parse(condition.name)
    assert read.name == condition.name
    if not condition.is_clean:
        assert (read.noise, read.missing, read.hit) == (noise, missing, hit)
        assert read.how == (how if missing else "element")
    else:
        assert read == CLEAN


@given(st.text(max_size=30))
def test_other_names_are_refused_or_read_back(name):
    with contextlib.suppress(SpecError):
        assert Condition.parse(name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "noise=0", "noise=1.5", "noise=0.30", "only:", "only:smell", "smell:noise=0.1", "gap=0.1"],
)
def test_names_have_one_spelling(name):
    with pytest.raises(SpecError, match="no condition"):
        Condition.parse(name)


@pytest.mark.parametrize("values", [{"noise": -0.1}, {"missing": 1.1}, {"hit": ("vision", "text")}])
def test_what_is_no_condition_is_refused(values):
    with pytest.raises(SpecError):
        Condition(**values)


@pytest.mark.parametrize("name", grids())
def test_cells_of_a_grid_are_distinct_and_clean_comes_first(name):
    cells = grid(name)
    assert cells[0] == CLEAN
    assert len({cell.name for cell in cells}) == len(cells)


def test_the_spectrum_has_its_maps_its_end_its_sets_and_its_breakdown():
    cells = grid("spectrum")
    assert len(cells) >= 200
    whole = [cell for cell in cells if cell.hit == MODALITIES and not cell.kept]
    for how in ("element", "block", "modality"):
        of_map = {(c.noise, c.missing) for c in whole if c.how == how or not c.missing}
        assert {(noise, eta) for noise in RATES for eta in RATES} <= of_map
    assert [cell.name for cell in cells if cell.leaves_nothing] == ["modality=1"]
    assert {cell.kept for cell in cells if cell.kept} == {
        *((name,) for name in MODALITIES),
        *(("text", "audio"), ("text", "vision"), ("audio", "vision")),
    }
    alone = Counter(cell.hit for cell in told(cells) if not cell.is_clean and not cell.kept)
    assert alone == {(name,): 20 for name in MODALITIES}


def test_an_unknown_grid_is_named_with_those_there_are():
    with pytest.raises(SpecError, match="no grid") as caught:
        grid("everything")
    assert "spectrum" in (caught.value.hint or "")


@pytest.mark.parametrize("name", [*laws, "element=0.5", "only:text", "noise=0.3,block=0.2"])
def test_clips_may_be_trained_under_laws_and_conditions(name):
    check_training(name)


@pytest.mark.parametrize("name", ["clean", "modality=1", "spectral", "element=2"])
def test_and_under_nothing_else(name):
    with pytest.raises(SpecError):
        check_training(name)


def test_validation_clips_go_through_no_law_that_a_batch_shares():
    for name in laws:
        if not laws[name].shared:
            check_selection(name)
    check_selection("element=0.5")
    with pytest.raises(SpecError, match="who is beside them") as caught:
        check_selection("batch")
    assert "spectrum" in (caught.value.hint or "")
    with pytest.raises(SpecError):
        check_selection("spectral")


def test_families_that_training_saw():
    assert seen("none") == set()
    assert "block" not in seen("spectrum")
    assert seen("block=0.5") == {"block"}


def test_a_fixed_set_keeps_what_it_names():
    assert only("text", "vision").hit == ("audio",)
    assert only(*MODALITIES).is_clean
