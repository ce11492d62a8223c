"""Figures: well-formed, self-contained, deterministic, and true to the numbers."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import leaderboards
from harness.metrics import metrics
from harness.tests.stores import SEEDS, Constant, Off, Row, make_store
from leaderboards.figures import seed_strip
from leaderboards.select import gather

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [
    Row(label="train_mean", cells={0: Constant()}, deterministic=True, reference=True),
    Row(label="near <b>&", cells={s: Off(0.5 + s % 7 / 10) for s in SEEDS}),
    Row(label="far", cells={s: Off(2.0) for s in SEEDS}),
]


@pytest.fixture
def grid(tmp_path):
    return gather(make_store(tmp_path, ROWS), "small").grids[0]


def test_dots_stand_where_the_axis_puts_their_values(grid) -> None:
    figure = ElementTree.fromstring(seed_strip(grid))
    dots = [c for c in figure.iter(f"{SVG}circle") if c.get("class") == "seed"]
    values = [v for row in grid.rows if not row.reference for v in row.values("mae")]
    assert len(dots) == len(values)
    places = sorted((float(dot.get("cx")), float(dot.get("cy"))) for dot in dots)
    low, high = min(values), max(values)
    left, right = places[0][0], places[-1][0]
    expected = sorted(left + (right - left) * (v - low) / (high - low) for v in values)
    assert [x for x, _ in places] == pytest.approx(expected, abs=0.2)


def test_labels_are_text_and_nothing_is_fetched(grid) -> None:
    text = seed_strip(grid)
    figure = ElementTree.fromstring(text)
    assert "near <b>&" in [node.text for node in figure.iter(f"{SVG}text")]
    assert figure.findall(f".//{SVG}b") == []
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert seed_strip(grid) == text


def test_a_row_without_the_metric_is_left_out(grid) -> None:
    figure = ElementTree.fromstring(seed_strip(grid, metrics["corr"]))
    labels = [node.text for node in figure.iter(f"{SVG}text")]
    assert "train_mean" not in labels, "a constant has no correlation"
    assert "far" in labels


def test_one_file_per_corpus(tmp_path) -> None:
    drawn = leaderboards.draw(make_store(tmp_path, ROWS), "small", tmp_path / "out")
    assert drawn
    assert all(path.read_text("utf-8").startswith("<svg") for path in drawn)
