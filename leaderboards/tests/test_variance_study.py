"""The variance study of a stored suite, and its figures."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError, StoreError
from harness.metrics import metrics
from harness.stats.selection import best_of_k
from harness.stats.variance import clip_scores, components, components_of_difference
from harness.tests.stores import (
    SEEDS,
    Constant,
    NotRun,
    Off,
    Row,
    make_corpus,
    make_record,
    make_spec,
    make_store,
)
from leaderboards.figures._curves import apart
from leaderboards.figures.variance import (
    best_of_seeds,
    draw_studies,
    group_spread,
    seeds_needed,
    selection_optimism,
    variance_bars,
)
from leaderboards.model import gather
from leaderboards.studies.variance import study_suite

SVG = "{http://www.w3.org/2000/svg}"
MAE = metrics["mae"]
FLOOR = Row(label="train_mean", cells={0: Constant()}, deterministic=True, reference=True)
NEAR = Row(label="near <b>&", cells={s: Off(0.5 + s % 7 / 10) for s in SEEDS}, epochs=0)
FAR = Row(label="far", cells={s: Off(2.0 + s % 5 / 10) for s in SEEDS}, epochs=0)
ONCE = Row(label="once", cells={1111: Off(1.0)}, epochs=0)
ROWS = [FLOOR, NEAR, FAR, ONCE]


@pytest.fixture
def study(tmp_path):
    (found,) = study_suite(make_store(tmp_path, ROWS), "small", MAE)
    return found


def with_curve(tmp_path, misses, *, epochs=None):
    """A store whose one row has runs that miss every label by ``misses[epoch]``."""
    row = Row(label="net", cells=dict.fromkeys(SEEDS, NotRun()), epochs=epochs or len(misses))
    store, corpus = make_store(tmp_path, [row]), make_corpus()
    labels = corpus.split("test").labels
    for seed in SEEDS:
        spec = make_spec(corpus, row, seed)
        record = make_record(corpus, row, spec, Off(0.1))
        table = pd.DataFrame({str(e): labels + miss for e, miss in enumerate(misses, start=1)})
        store.commit(dataclasses.replace(record, curves={"test": table.astype("float32")}))
    return store


def test_components_are_those_of_the_stored_predictions(tmp_path, study) -> None:
    (grid,) = gather(make_store(tmp_path / "again", ROWS), "small").grids
    scores = {
        row.label: clip_scores(
            np.stack([run.pred for run in row.runs]), grid.truth.labels, MAE, grid.truth.dataset
        )[0]
        for row in grid.rows
    }
    near, far = scores["near <b>&"], scores["far"]
    by_label = {row.row.label: row.components for row in study.rows}
    assert by_label["near <b>&"] == components(near, grid.truth.videos)
    assert by_label["far"].mean == pytest.approx(np.mean(grid.rows[2].values("mae")))
    (pair,) = study.pairs
    assert (pair.a, pair.b) == ("near <b>&", "far")
    assert pair.components == components_of_difference(near, far, grid.truth.videos)
    assert study.margin == 0.01


def test_a_single_run_that_seeds_change_is_left_out_and_a_constant_is_not(study) -> None:
    found = {row.row.label: row for row in study.rows}
    assert found["once"].components is None
    assert "one run" in found["once"].left_out
    assert found["train_mean"].components is not None
    assert found["train_mean"].components.estimates["seed"] == 0


def test_rows_can_be_chosen_and_then_constants_are_compared_too(tmp_path) -> None:
    store = make_store(tmp_path, ROWS)
    (found,) = study_suite(store, "small", MAE, ["far", "train_mean"])
    assert [row.row.label for row in found.rows] == ["train_mean", "far"]
    assert [(pair.a, pair.b) for pair in found.pairs] == [("train_mean", "far")]
    with pytest.raises(SpecError, match="no row 'fra'"):
        study_suite(store, "small", MAE, ["fra"])


def test_a_corpus_without_the_metric_is_passed_over(tmp_path) -> None:
    corpora = [make_corpus(), make_corpus("sims@unaligned-39")]
    store = make_store(tmp_path, [NEAR, FAR], corpora)
    assert [s.corpus.name for s in study_suite(store, "small", metrics["acc7"])] == [
        "mosi@unaligned-50"
    ]
    assert len(study_suite(store, "small", MAE)) == 2
    only_sims = make_store(tmp_path / "sims", [NEAR], corpora[1:])
    with pytest.raises(SpecError, match="not defined on any corpus"):
        study_suite(only_sims, "small", metrics["acc7"])


def test_best_of_k_is_that_of_the_scores(study) -> None:
    far = next(row for row in study.rows if row.row.label == "far")
    values = far.row.values("mae")
    assert far.best_of["mae"] == {k: best_of_k(values, k, MAE) for k in (2, 3)}


def test_selection_is_read_off_the_stored_curve(tmp_path) -> None:
    (found,) = study_suite(with_curve(tmp_path, [1.0, 0.25, 0.5, 0.75]), "small", MAE)
    (row,) = found.rows
    selections = row.selections["mae"]
    assert sorted(selections) == list(SEEDS)
    for seed, one in selections.items():
        chosen = 4 - seed % 2  # what the made-up manifests say
        value = {3: 0.5, 4: 0.75}[chosen]
        assert (one.selected_epoch, one.best_epoch) == (chosen, 2)
        assert one.optimism == pytest.approx(value - 0.25)
        assert one.last_gain == pytest.approx(value - 0.75)
    assert set(row.selections) > {"corr", "acc7"}


def test_a_curve_that_does_not_fit_its_run_is_a_damaged_record(tmp_path) -> None:
    store = with_curve(tmp_path, [1.0, 0.5], epochs=3)
    with pytest.raises(StoreError, match=r"should have 3 epochs of 24 clips, found 2 of 24"):
        study_suite(store, "small", MAE)


# Figures


def svg(figure, folder):
    from leaderboards.figures import save

    png, document, _ = save(figure, folder / "figure")
    assert png.read_bytes().startswith(b"\x89PNG")
    return document.read_text("utf-8")


@pytest.mark.parametrize("draw", [variance_bars, seeds_needed])
def test_a_figure_is_well_formed_named_and_always_the_same(study, tmp_path, draw) -> None:
    text = svg(draw(study), tmp_path)
    document = ElementTree.fromstring(text)
    words = ["".join(node.itertext()) for node in document.iter(f"{SVG}text")]
    assert any("near <b>&" in each for each in words)
    assert document.findall(f".//{SVG}b") == []
    assert "near <b>&" in document.find(f"{SVG}desc").text
    assert svg(draw(study), tmp_path) == text


def test_bars_are_as_long_as_the_shares(study) -> None:
    axes = variance_bars(study).axes[0]
    found = [row.components for row in study.rows if row.components is not None]
    for place, parts in enumerate(found):
        thick = [bar for bar in axes.patches if bar.get_height() > 0.3 and _row(bar) == place]
        shares = [share for share in parts.shares.values() if share > 0]
        assert sorted(bar.get_width() for bar in thick) == pytest.approx(sorted(shares))


def _row(bar) -> int:
    return round(bar.get_y() + bar.get_height() / 2 + 0.12)


def test_the_curve_of_seeds_falls_to_its_floor(study) -> None:
    axes = seeds_needed(study).axes[0]
    (pair,) = study.pairs
    curve, floor = axes.lines[0], axes.lines[-1]
    assert curve.get_ydata()[0] == pytest.approx(pair.components.detectable(2))
    assert list(curve.get_ydata()) == sorted(curve.get_ydata(), reverse=True)
    assert floor.get_ydata()[0] == pytest.approx(pair.components.floor)
    assert curve.get_ydata()[-1] >= floor.get_ydata()[0]


def test_one_dot_per_run(tmp_path) -> None:
    (found,) = study_suite(with_curve(tmp_path, [1.0, 0.25, 0.5, 0.75]), "small", MAE)
    axes = selection_optimism(found).axes[0]
    dots = axes.collections[0].get_offsets()
    gains = [one.optimism for one in found.rows[0].selections["mae"].values()]
    assert sorted(dots[:, 0]) == pytest.approx(sorted(gains))
    assert len({(round(x, 6), round(y, 6)) for x, y in dots}) == len(gains)  # none hides another


def test_curves_of_best_of_k_end_at_the_best(tmp_path) -> None:
    seeds = {"a": (0.7, 0.8, 0.9), "b": (0.5, 0.75, 0.7), "alone": (0.5,)}
    axes = best_of_seeds("title", seeds, MAE).axes[0]
    ends = sorted(line.get_ydata()[-1] for line in axes.lines if len(line.get_ydata()) == 3)
    assert ends == pytest.approx([0.1, 0.15])
    assert "alone" not in {text.get_text() for text in axes.texts}


def test_seeds_undefined_and_a_single_one_are_drawn_without_an_interval(tmp_path) -> None:
    text = svg(group_spread("t", {"a": (0.7, float("nan")), "b": (0.5,)}, MAE), tmp_path)
    assert "nan" not in text.lower().replace("dominant", "")


def test_every_figure_of_a_suite_is_written(tmp_path) -> None:
    studies = study_suite(make_store(tmp_path / "s", ROWS), "small", MAE)
    files = draw_studies("small", studies, tmp_path / "out")
    kinds = {path.name.split(".")[-2] for path in files}
    assert kinds == {"variance", "seeds-needed", "best-of-k"}  # no curves, no optimism
    assert all(path.stat().st_size for path in files)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        draw_studies("small", studies, tmp_path / "file")


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.05))
def test_names_stand_apart_and_in_order(wanted, gap) -> None:
    found = apart(wanted, gap)
    pairs = sorted(zip(wanted, found, strict=True))
    assert all(b - a >= gap - 1e-9 for (_, a), (_, b) in pairwise(sorted(pairs, key=_second)))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in found)
    for (low, a), (high, b) in pairwise(pairs):
        assert low == high or a < b


def _second(pair):
    return pair[1]
