"""Boards under a grid of conditions: areas are means over cells, tracks stand apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.metrics import metrics
from harness.spec.conditions import Condition, grid
from harness.tests.stores import SEEDS, Constant, Off, Row, make_corpus, make_store
from leaderboards.document import Fold, Table
from leaderboards.figures import reliability_curves, reliability_maps
from leaderboards.model import gather
from leaderboards.rendering import render_html, render_markdown
from leaderboards.sections import compose
from leaderboards.sections.reliability import reliability, section, study, tables

MAE = metrics["mae"]
GRID = "spectrum"
NAMES = [condition.name for condition in grid(GRID)]


def strength(name: str) -> float:
    condition = Condition.parse(name)
    return condition.noise + condition.missing


FLOOR = Row(label="train_mean", cells={0: Constant()}, deterministic=True, reference=True)
NEAR = Row(label="near <b>", cells={s: Off(0.4 + s % 3 / 50) for s in SEEDS}, epochs=0)
FAR = Row(label="far", cells={s: Off(0.8 + s % 3 / 50) for s in SEEDS}, epochs=0)
AUGMENTED = Row(label="augmented", cells={s: Off(0.5) for s in SEEDS}, epochs=0)
SPECIAL = Row(label="special", cells={s: Off(0.6) for s in SEEDS}, epochs=0)
ROWS = [FLOOR, NEAR, FAR, AUGMENTED, SPECIAL]
CORPUS = make_corpus("mosi-twin@compact", clips=(8, 6, 60))


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """Rows whose errors grow with the strength of a condition, by what they were trained on."""
    found = gather(make_store(tmp_path_factory.mktemp("store"), ROWS, [CORPUS]), "small")
    (only,) = found.grids
    laws = {"augmented": "spectrum", "special": "element=0.5"}
    rows = tuple(
        dataclasses.replace(
            row,
            system=row.system if row.reference else "net",
            training_corruption=laws.get(row.label, "none"),
        )
        for row in only.rows
    )
    cells = dataclasses.replace(only, rows=rows, corruption=GRID, under=_under)
    return dataclasses.replace(found, grids=(cells,))


def _under(row) -> np.ndarray:
    """(S, C, N): clean predictions whose errors are stretched."""
    truth = CORPUS.split("test").labels
    growth = 0.0 if row.reference else 0.2 if row.training_corruption == "spectrum" else 1.0
    scale = np.array([1 + growth * strength(name) for name in NAMES])
    if row.training_corruption == "element=0.5":
        scale[NAMES.index("element=0.5")] = 0.1
    runs = np.stack([run.pred for run in row.runs])
    return truth + scale[None, :, None] * (runs - truth)[:, None]


@pytest.fixture(scope="module")
def found(board):
    (cells,) = board.grids
    return study(cells, MAE)


def row(found, label: str):
    return next(one for one in found.rows if one.row.label == label)


def test_areas_are_means_over_the_cells_of_curves_and_maps(found):
    near = row(found, "near <b>")
    by_name = dict(zip(found.conditions, near.values, strict=True))
    curve = [by_name[Condition(noise=rate / 10).name] for rate in range(10)]
    assert near.areas["noise"].value == pytest.approx(np.mean(curve))
    of_map = [
        by_name[Condition(noise=a / 10, missing=b / 10, how="block").name]
        for a in range(10)
        for b in range(10)
    ]
    assert near.areas["noise × block"].value == pytest.approx(np.mean(of_map))
    maps = [near.areas[f"noise × {how}"].value for how in ("element", "block", "modality")]
    assert near.areas["spectrum"].value == pytest.approx(np.mean(maps))
    assert near.clean == pytest.approx(by_name["clean"])


def test_intervals_hold_their_values(found):
    for one in found.rows:
        for area in (*one.areas.values(), *one.sets.values(), *one.breakdown.values()):
            assert area.low <= area.value <= area.high
        assert one.worst.low <= one.worst.value <= one.worst.high


def test_the_worst_cell_is_the_strongest_and_not_the_empty_one(found):
    one = row(found, "near <b>")
    assert strength(one.worst_condition) == pytest.approx(1.8)
    assert one.worst_condition != "modality=1"
    assert row(found, "train_mean").worst.value == pytest.approx(row(found, "train_mean").clean)


def test_sets_and_modalities_are_broken_down(found):
    one = row(found, "near <b>")
    assert list(one.sets) == [
        *("text+audio+vision", "text+audio", "text+vision", "audio+vision"),
        *("text", "audio", "vision"),
    ]
    assert set(one.breakdown) == {
        (name, kind)
        for name in ("text", "audio", "vision")
        for kind in ("noise", "element", "block", "modality")
    }


def test_rows_trained_on_other_clips_are_ranked_apart(found):
    ranked = {ranking.names for ranking in found.rankings.values()}
    assert ranked == {("near <b>", "far")}
    crossed = {frozenset((pair.a, pair.b)) for pair in found.crossed.pairs}
    assert frozenset(("near <b>", "augmented")) in crossed
    assert not any("special" in pair for pair in crossed)


def test_families_that_training_never_saw_are_marked(found):
    marked = {name for name, area in row(found, "augmented").areas.items() if area.unseen}
    assert marked == {"block", "noise × block"}
    assert not any(area.unseen for area in row(found, "near <b>").areas.values())


def test_one_checkpoint_for_all_looks_at_the_cells_specialists_were_trained_for(found):
    gains = {gain.checkpoint: gain for gain in found.gains}
    assert set(gains) == {"near <b>", "far", "augmented"}
    for gain in gains.values():
        assert (gain.specialists, gain.condition) == (("special",), "element=0.5")
        place = found.conditions.index("element=0.5")
        difference = row(found, gain.checkpoint).values[place] - row(found, "special").values[place]
        assert gain.gain.value == pytest.approx(difference)
        assert tables.verdict(gain) == "a specialist is better"


def test_one_run_of_a_system_that_seeds_change_has_no_rank(board):
    (cells,) = board.grids
    rows = tuple(
        dataclasses.replace(row, runs=row.runs[:1]) if row.label == "far" else row
        for row in cells.rows
    )
    found = study(dataclasses.replace(cells, rows=rows), MAE)
    assert found.rankings == {}, "near <b> has nothing left to be ranked with"
    assert any("far" in (pair.a, pair.b) for pair in found.crossed.pairs)
    said = {(line[0], line[1]): line[-1] for line in tables.crossing(found).rows}
    assert all(
        ("far" in pair) == verdict.startswith("checkpoint ") for pair, verdict in said.items()
    )
    gains = {gain.checkpoint: tables.verdict(gain) for gain in found.gains}
    assert gains["far"] == "checkpoints: a specialist is better"
    assert gains["near <b>"] == "a specialist is better"


def test_gains_are_positive_where_the_specialist_is_better_in_every_direction(board):
    (cells,) = board.grids
    for name in ("corr", "acc2_non0"):
        found = study(cells, metrics[name])
        assert all(gain.gain.value >= 0 for gain in found.gains)


def test_the_page_says_the_same_in_both_formats(board):
    markdown, html = render_markdown(compose(board)), render_html(compose(board))
    (cells,) = board.grids
    blocks = list(section.SECTION.blocks(cells))
    inside = [i for block in blocks if isinstance(block, Fold) for i in block.blocks]
    assert sum(isinstance(block, Table) for block in (*blocks, *inside)) >= 8
    for text in ("347 conditions", "One checkpoint for all", "Fixed sets of modalities"):
        assert text in markdown and text in html
    assert "<b>" not in html.split("near")[1][:10]
    assert "SYNTHETIC TWIN" in markdown


def test_figures_say_what_they_show(board):
    (cells,) = board.grids
    found = reliability(cells)
    curves, maps = reliability_curves(cells, found), reliability_maps(cells, found)
    assert len(curves.axes) == 4
    assert "near <b>: noise" in curves.get_label()
    assert len([axes for axes in maps.axes if axes.images]) == 3 * 3
    assert "special" not in maps.get_label()


def test_no_two_of_many_rows_look_alike_and_the_cut_is_said(board):
    (cells,) = board.grids
    one = next(one for one in reliability(cells).rows if not one.row.reference)
    rows = [
        dataclasses.replace(one, row=dataclasses.replace(one.row, label=f"row {n}"))
        for n in range(9)
    ]
    curves = reliability_curves(cells, dataclasses.replace(reliability(cells), rows=tuple(rows)))
    drawn = [line for line in curves.axes[0].lines if line.get_label().startswith("row")]
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in drawn}
    assert len(looks) == len(drawn) == 8
    assert "the best 8 of 9 rows" in curves.get_label()


def test_without_a_grid_nothing_is_said(tmp_path):
    found = gather(make_store(tmp_path, ROWS, [CORPUS]), "small")
    (cells,) = found.grids
    assert reliability(cells) is None
    assert list(section.SECTION.blocks(cells)) == []


def test_literature_under_corruption_is_shown_as_printed():
    table = tables.literature("sims")
    assert any("LNLN" in cells[0] and "mae 0.515" in cells[2] for cells in table.rows)
    assert all(cells[3] for cells in table.rows)
