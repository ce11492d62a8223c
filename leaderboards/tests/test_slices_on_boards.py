"""Rows on declared parts of the test clips: what boards say of them, and where they say nothing."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from harness.data.slicing import slicings
from harness.errors import StoreError
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedSlicing
from harness.stats import between_parts, fields_of, holm, rank
from harness.tests.stores import SEEDS, Constant, NotRun, Off, Row, make_corpus, make_store
from leaderboards.model import Sliced, gather, sliced
from leaderboards.model.slices import _MOST_DRAWS
from leaderboards.rendering.markdown import render_blocks
from leaderboards.sections.slices import SECTION

CLIPS = 96
ROWS = (
    Row(label="near", cells={s: Off(0.5) for s in SEEDS}),
    Row(label="far", cells={s: Off(1.8) for s in SEEDS}),
    Row(label="once", cells={1111: Off(0.7)}),
    Row(label="waiting", cells={1111: NotRun()}),
    Row(label="mean", cells={0: Constant(0.0)}, deterministic=True, reference=True, epochs=0),
)
PLACES = {
    "strength": ("weak", "strong", "rare"),
    "negation": ("negated", "not negated"),
}


def place_of(name: str, at: int) -> str:
    if name == "negation":
        return "-" if at < 6 else str(at % 2)
    return "2" if at < 12 else str(at // 2 % 2)


def sliced_store(root: Path, *, cut: int = 0) -> RunStore:
    """A store whose plan has slices; ``cut`` clips too few."""
    store = make_store(root, ROWS, [make_corpus(clips=(8, 6, CLIPS))])
    plan = store.plan("small")
    found = tuple(
        PlannedSlicing(
            name=name,
            title=slicings[name].title,
            definition=slicings[name].definition,
            parts=parts,
            place=" ".join(place_of(name, at) for at in range(CLIPS - cut)),
        )
        for name, parts in PLACES.items()
    )
    store.put_plan(
        "small",
        dataclasses.replace(
            plan,
            corpora=tuple(dataclasses.replace(corpus, slices=found) for corpus in plan.corpora),
            slices=(*PLACES, "seen"),
        ),
    )
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> RunStore:
    return sliced_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def found(store: RunStore) -> Sliced:
    (grid,) = gather(store, "small").grids
    found = sliced(grid)
    assert found is not None
    return found


def test_each_part_is_ranked_at_its_share_of_the_level(store, found) -> None:
    (grid,) = gather(store, "small").grids
    assert found.rankings == 4  # "rare" is too small
    ((weak, strong, rare), _) = (one.parts for one in found.slicings)
    assert (rare.clips, rare.videos) == (12, 6)
    assert rare.small.startswith("too small")
    assert rare.rows == rare.costs == {}
    for at, part in enumerate((weak, strong)):
        inside = np.array([place_of("strength", clip) == str(at) for clip in range(CLIPS)])
        preds = {
            row.label: np.stack([run.pred for run in row.runs])[:, inside]
            for row in grid.rows
            if row.label in ("near", "far")
        }
        truth = grid.truth
        given = (preds, truth.labels[inside], truth.videos[inside], ["mae"])
        alone = rank(fields_of(*given, dataset="mosi")["mae"], 0.05 / 4, min(8000, _MOST_DRAWS))
        for label in preds:
            assert part.rows[label].rank == alone.rank_of(label)
            low, high = alone.intervals[alone.names.index(label)]
            assert (part.rows[label].low, part.rows[label].high) == (low, high)
        assert part.rows["once"].rank is None
        assert part.rows["mean"].rank is None
    assert found.slicings[1].unassigned == 6


def test_costs_are_corrected_together_and_constants_are_no_members(store, found) -> None:
    (grid,) = gather(store, "small").grids
    assert (found.floor, found.tested) == ("", 6)  # no row is of the system train_mean
    p_values, adjusted = [], []
    for one in found.slicings:
        first, other = one.parts[:2]
        masks = [
            np.array([place_of(one.slicing.name, clip) == at for clip in range(CLIPS)])
            for at in "10"
        ]
        either = masks[0] | masks[1]
        for row in grid.rows:
            if not row.runs:
                continue
            cost = other.costs[row.label]
            difference = other.rows[row.label].value - first.rows[row.label].value
            assert cost.value == pytest.approx(difference)
            assert cost.low <= cost.value <= cost.high
            if row.reference:
                assert math.isnan(cost.p)
                continue
            law = between_parts(
                np.stack([run.pred for run in row.runs])[:, either],
                *(grid.truth.labels[either], grid.truth.videos[either], "mae"),
                *(mask[either] for mask in masks),
                dataset=grid.corpus.dataset,
                name=row.label,
            ).reference
            p_values.append(law.p_value())
            adjusted.append(cost.p)
    assert adjusted == pytest.approx(holm(p_values).tolist())


def test_beyond_the_training_mean_is_the_difference_of_two_costs(store) -> None:
    (grid,) = gather(store, "small").grids
    rows = tuple(
        dataclasses.replace(row, system="train_mean") if row.label == "mean" else row
        for row in grid.rows
    )
    found = sliced(dataclasses.replace(grid, rows=rows))
    assert found is not None
    assert (found.floor, found.tested) == ("mean", 6)
    strong = found.slicings[0].parts[1]
    for label in ("near", "far", "once"):
        expected = strong.costs[label].value - strong.costs["mean"].value
        assert strong.beyond[label].value == pytest.approx(expected)
        assert strong.beyond[label].p >= 0
        assert math.isnan(strong.costs[label].p)  # one question, asked once
    assert "mean" not in strong.beyond


def test_the_board_says_counts_ranks_and_what_is_too_small(store) -> None:
    (grid,) = gather(store, "small").grids
    shown = "\n".join(render_blocks(SECTION.blocks(grid)))
    assert "### On slices of the test clips: MAE" in shown
    assert "over all 4 rankings of these parts together" in shown
    assert "rare: 12 clips of 6 source videos (too small: fewer than 20 clips" in shown
    assert "; 6 clips are in none." in shown
    assert "adjusted for all 6 of them (Holm)" in shown
    assert "Slices that tell no test clips apart here: seen." in shown
    records = list(SECTION.records(grid))
    assert len(records) == 5 * 4  # parts times rows with a run
    assert all(one["too_small"] for one in records if one["part"] == "rare")


def test_a_board_that_asks_for_none_has_none(tmp_path: Path) -> None:
    store = make_store(tmp_path, ROWS)
    (grid,) = gather(store, "small").grids
    assert not [*SECTION.blocks(grid), *SECTION.records(grid)]
    assert "slices" not in store.plan("small").json()


def test_slices_of_other_clips_are_refused(tmp_path: Path) -> None:
    (grid,) = gather(sliced_store(tmp_path, cut=1), "small").grids
    with pytest.raises(StoreError, match="tells 95 clips apart"):
        sliced(grid)
