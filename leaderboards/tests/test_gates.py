"""What systems tell of themselves, on boards: gates by sentiment, predictions that move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import leaderboards
from harness.tests.stores import SEEDS, NotRun, Off, Row, make_store
from leaderboards.figures.gates import diagnostic_rows, gate_map, loads
from leaderboards.model import Board
from leaderboards.model.gather import _cut_short, _unstable, gather

ROWS = [
    Row(label="plain", cells={seed: Off(1.0) for seed in SEEDS}),
    Row(label="gated", cells={seed: Off(0.5) for seed in SEEDS}),
]


@pytest.fixture
def board(tmp_path) -> Board:
    return gather(make_store(tmp_path, ROWS), "small")


def told(row, *runs, **facts):
    """The row with every run's diagnostics replaced; the last repeats."""
    changed = [
        dataclasses.replace(
            run,
            facts=dataclasses.replace(
                run.facts, diagnostics=runs[min(place, len(runs) - 1)] if runs else {}, **facts
            ),
        )
        for place, run in enumerate(row.runs)
    ]
    return dataclasses.replace(row, runs=tuple(changed))


@pytest.fixture
def grid(board):
    (grid,) = board.grids
    first = {
        "routing_1": {"negative": 0.2, "positive": 0.4, "all": 0.3},
        "routing_0": {"negative": 0.8, "positive": 0.6, "all": 0.7},
        "sure": {"negative": 1.0, "positive": 3.0, "all": 2.0},
    }
    second = {name: {k: v + 0.3 for k, v in means.items()} for name, means in first.items()}
    plain, gated = grid.rows
    return dataclasses.replace(grid, rows=(plain, told(gated, first, second)))


def test_values_are_averaged_over_seeds_in_their_numbers_order(grid):
    found = loads(grid.rows[1])
    shift = 0.2  # a third of the runs tell the first, the others are .3 higher
    np.testing.assert_allclose(
        found["routing"], [[0.8 + shift, np.nan, 0.6 + shift], [0.2 + shift, np.nan, 0.4 + shift]]
    )
    np.testing.assert_allclose(found["sure"], [[1 + shift, np.nan, 3 + shift]])
    assert not loads(grid.rows[0])


def test_only_rows_that_tell_are_drawn_and_every_number_is_printed(grid):
    rows = diagnostic_rows(grid)
    assert {name: [row.label for row in those] for name, those in rows.items()} == {
        "routing": ["gated"],
        "sure": ["gated"],
    }
    figure = gate_map(grid, "routing", rows["routing"])
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        *("gated · negative", "gated · neutral", "gated · positive"),
    ]
    assert sorted(text.get_text() for text in axes.texts) == ["0.40", "0.60", "0.80", "1.00"]
    assert "gated · negative: 1.00, 0.40" in figure.get_label()


def test_predictions_that_move_are_flagged_with_the_largest_change(board):
    (grid,) = board.grids
    still = {name: {"mean": 0.0, "max": 0.0} for name in ("again", "alone", "shuffled")}
    moving = {**still, "alone": {"mean": 0.1, "max": 0.25}}
    row = told(grid.rows[0], stability=moving)
    (flag,) = _unstable(row.runs)
    assert "one clip a batch by up to 0.25" in flag
    assert not list(_unstable(told(grid.rows[0], stability=still).runs))
    assert not list(_unstable(grid.rows[0].runs))


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ((20, 20, 200, 2), "ended at the cap of 20 epochs, of 200 that their schedule is made for"),
        ((20, 20, 0, 0), "ended at the cap of 20 epochs"),
        ((9, 100, 0, 10), "ended while their learning rate warmed up"),
    ],
)
def test_runs_that_were_cut_short_are_counted(board, ending, said):
    row = told(board.grids[0].rows[0], ending=dict(zip(ENDING, ending, strict=True)))
    (flag,) = _cut_short(row.runs)
    assert flag == f"{len(row.runs)} of {len(row.runs)} runs {said}"


@pytest.mark.parametrize("ending", [(30, 100, 0, 10), (50, 50, 50, 5)])
def test_runs_that_ended_by_patience_or_schedule_are_not(board, ending):
    row = told(board.grids[0].rows[0], ending=dict(zip(ENDING, ending, strict=True)))
    assert not list(_cut_short(row.runs))


ENDING = ("epochs", "allowed", "wanted", "warmup")


def test_a_board_without_diagnostics_draws_no_gates(board, tmp_path):
    drawn = leaderboards.figures.draw(board, tmp_path / "figures")
    assert not [path for path in drawn if "routing" in path.name]


def test_stages_that_were_cut_before_the_last_are_told(board):
    ending = {**dict(zip(ENDING, (30, 100, 0, 10), strict=True)), "stages_cut": 2}
    row = told(board.grids[0].rows[0], ending=ending)
    assert list(_cut_short(row.runs)) == ["2 stages before the last ended at the cap on epochs"]


def test_a_board_says_whose_schedule_is_cut_and_whose_is_longer(tmp_path):
    """By the cells of the plan, before anything has run."""
    rows = [Row(label=name, cells={1: NotRun()}) for name in ("cut", "long")]
    store = make_store(tmp_path / "other", rows)
    plan = store.plan("small")
    told = {"cut": {"schedule": 300}, "long": {"max_epochs": 200}}
    cells = tuple(dataclasses.replace(cell, **told[cell.label]) for cell in plan.cells)
    with store.writing():
        store.put_plan("small", dataclasses.replace(plan, cells=cells))
    (grid,) = gather(store, "small").grids
    found = {row.label: row for row in grid.rows}
    assert found["cut"].flags == (
        "its schedule is made for 300 epochs, more than the suite allows",
    )
    assert (found["long"].flags, found["long"].max_epochs) == ((), 200)
    page = leaderboards.render(store, "small")
    assert "rows whose own schedule is longer than max_epochs train it whole: long 200." in page
