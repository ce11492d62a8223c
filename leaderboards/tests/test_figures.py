"""Figures: true to the numbers, legible, deterministic files, and safe with anybody's names."""

from __future__ import annotations

import dataclasses
import itertools
import re
import warnings
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

import leaderboards
from harness.errors import StoreError
from harness.metrics import metrics
from harness.stats import Ranking
from harness.tests.stores import (
    SEEDS,
    Constant,
    Failed,
    NotApplicable,
    NotRun,
    Off,
    Row,
    make_corpus,
    make_store,
)
from leaderboards import figures
from leaderboards.figures import style
from leaderboards.figures._labels import Point, label_points
from leaderboards.model import gather, ordered, summarise

SVG = "{http://www.w3.org/2000/svg}"
FLOOR_ROW = Row(label="train_mean", cells={0: Constant()}, deterministic=True, reference=True)
ROWS = [
    FLOOR_ROW,
    Row(label="near", cells={s: Off(0.5 + s % 7 / 10) for s in SEEDS}),
    Row(label="far", cells={s: Off(2.0) for s in SEEDS}),
    Row(label="once", cells={1111: Off(1.0)}),
    Row(label="half", cells={1111: Off(0.7), 1112: Constant(), 1113: Off(0.8)}),
    Row(label="broken", cells={1111: Off(0.9), 1112: Failed("nan"), 1113: NotRun()}),
    Row(label="silent", cells={s: NotApplicable() for s in SEEDS}),
]
NAMES = [
    "$x^2$ and $\\frac{unbalanced",
    "<b>bold</b>&amp;]]>",
    "line\nbreak\x00\x1b[31m",
    "多模态情感分析系统",
    "a name that nobody would want to read to its very end (text+audio+vision)",
]


def grid_of(folder, rows, corpus="mosi@unaligned-50"):
    return gather(make_store(folder, rows, [make_corpus(corpus)]), "small").grids[0]


@pytest.fixture
def grid(tmp_path):
    return grid_of(tmp_path, ROWS)


@pytest.fixture
def twin(tmp_path):
    return grid_of(tmp_path, ROWS, "mosi-twin@unaligned-50")


@pytest.fixture
def ranking():
    return a_ranking(("near", "half", "once", "far"))


def a_ranking(names, metric="mae"):
    n = len(names)
    values = tuple(0.5 + 0.1 * i for i in range(n))
    return Ranking(
        metric=metric,
        dataset="mosi",
        names=tuple(names),
        values=values,
        intervals=tuple((value - 0.03, value + 0.04) for value in values),
        ranks=tuple((max(1, i), min(n, i + 2)) for i in range(n)),
        leaders=frozenset(names[:2]),
        could_be_best=frozenset(names[:1]),
        pairs=(),
        resolution=0.05,
        alpha=0.05,
        conditional=frozenset({"once"} & set(names)),
    )


def with_costs(grid, costs):
    """The grid with these seconds, one number per row, on every run of it."""

    def dear(row):
        facts = {"fit_seconds": costs.get(row.label, 1.0), "parameters": 10}
        runs = (
            dataclasses.replace(run, facts=dataclasses.replace(run.facts, **facts))
            for run in row.runs
        )
        return dataclasses.replace(row, runs=tuple(runs))

    return dataclasses.replace(grid, rows=tuple(map(dear, grid.rows)))


def every_figure(grid, ranking):
    yield "ranks", figures.rank_intervals(grid, ranking)
    yield "seeds", figures.seed_strip(grid)
    yield "scatter", figures.metric_scatter(grid, rankings={"mae": ranking})
    yield "cost", figures.cost_pareto(grid)
    yield "parameters", figures.cost_pareto(grid, metrics["acc7"], "parameters")


def texts(figure):
    axes = figure.axes[0]
    found = [*figure.texts, *axes.texts, *axes.get_yticklabels()]
    return [text.get_text() for text in found]


# Per-seed strip


def test_every_seed_has_a_dot_at_its_value_on_its_line(grid) -> None:
    dots = [c for c in figures.seed_strip(grid).axes[0].collections if len(c.get_offsets())]
    rows = [row for row in ordered(grid) if row.runs]
    for row, drawn in zip(rows, (c for c in dots if "Path" in type(c).__name__), strict=True):
        places = np.asarray(drawn.get_offsets())
        assert places[:, 0] == pytest.approx(sorted(row.values("mae")))
        assert np.abs(places[:, 1] - ordered(grid).index(row)).max() < 0.5
        assert to_hex(drawn.get_facecolor()[0]) == (
            style.CONSTANT if row.reference else style.SYSTEM
        )


def test_equal_seeds_do_not_hide_each_other(grid) -> None:
    rows = ordered(grid)
    dots = [c for c in figures.seed_strip(grid).axes[0].collections if "Path" in type(c).__name__]
    far = np.asarray(dots[[r.label for r in rows if r.runs].index("far")].get_offsets())
    assert len({tuple(place.round(6)) for place in far}) == len(SEEDS)


def test_the_bar_stands_at_the_mean(grid) -> None:
    bars = {
        round(float(segment[0][0]), 9)
        for c in figures.seed_strip(grid).axes[0].collections
        if "Line" in type(c).__name__
        for segment in c.get_segments()
    }
    means = {round(summarise(row, grid.selection).mean, 9) for row in grid.rows if row.runs}
    assert bars == means


def test_what_is_missing_is_said_on_its_line(grid) -> None:
    shown = texts(figures.seed_strip(grid, metrics["corr"]))
    assert "undefined (floor)" in shown, "a constant has no correlation"
    assert "undefined in 1/3" in shown, "nor has one seed of another row"
    assert any(text.endswith("(1 of 3 seeds)") for text in shown)
    assert "not applicable" in shown
    assert {row.label for row in grid.rows} <= set(shown), "no row is dropped"


def test_ceilings_of_twins_are_dashed_and_named(twin) -> None:
    figure = figures.seed_strip(twin)
    dashed = [line for line in figure.axes[0].lines if line.is_dashed()]
    assert [line.get_xdata()[0] for line in dashed] == [0.5, 0.5]
    assert {"best possible: text", "best possible: all"} <= set(texts(figure))
    assert figure.get_suptitle().startswith("SYNTHETIC TWIN of CMU-MOSI")


def test_real_corpora_have_no_ceilings(grid) -> None:
    figure = figures.seed_strip(grid)
    assert list(figure.axes[0].lines) == []
    assert "TWIN" not in figure.get_suptitle()


def test_percentages_are_printed_times_a_hundred(grid) -> None:
    figure = figures.seed_strip(grid, metrics["acc2_has0"])
    row = next(row for row in grid.rows if row.label == "once")
    assert f"{100 * row.values('acc2_has0')[0]:.2f}" in texts(figure)


# Rank intervals


def test_bars_run_from_best_to_worst_rank(grid, ranking) -> None:
    lines = figures.rank_intervals(grid, ranking).axes[0].lines
    bars = {}
    for line in lines:
        bars.setdefault(round(float(line.get_ydata()[0])), line.get_xdata())
    assert [tuple(np.round(ends).astype(int)) for _, ends in sorted(bars.items())] == list(
        ranking.ranks
    )


@pytest.mark.parametrize("count", [2, 7, 25])
def test_single_ranks_are_visible(grid, count) -> None:
    names = [f"system {i}" for i in range(count)]
    certain = dataclasses.replace(
        a_ranking(names), ranks=tuple((i, i) for i in range(1, count + 1))
    )
    figure = figures.rank_intervals(grid, certain)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = np.asarray(canvas.buffer_rgba())
    for place, name in enumerate(names):
        x, y = figure.axes[0].transData.transform((place + 1, place)).round().astype(int)
        colour = style.SYSTEM if name in certain.leaders else style.OTHER
        assert to_hex(page[page.shape[0] - y, x] / 255) == colour


def test_leaders_are_told_by_more_than_colour(grid, ranking) -> None:
    axes = figures.rank_intervals(grid, ranking).axes[0]
    bold = {text.get_text() for text in axes.get_yticklabels() if text.get_weight() == "bold"}
    assert bold == ranking.leaders
    assert len(axes.patches) == len(ranking.leaders), "tinted rows"


def test_single_runs_are_hollow_and_explained(grid, ranking) -> None:
    figure = figures.rank_intervals(grid, ranking)
    hollow = [line for line in figure.axes[0].lines if line.get_color() == style.PAGE]
    assert [line.get_ydata()[0] for line in hollow] == [ranking.names.index("once")]
    assert any("one run" in text for text in texts(figure))
    without = dataclasses.replace(ranking, conditional=frozenset())
    assert not any("one run" in text for text in texts(figures.rank_intervals(grid, without)))


def test_the_resolution_is_stated_when_there_is_one(grid, ranking) -> None:
    assert any(
        "difference of 0.050" in text for text in texts(figures.rank_intervals(grid, ranking))
    )
    unknown = dataclasses.replace(ranking, resolution=float("nan"))
    assert not any("Resolution" in text for text in texts(figures.rank_intervals(grid, unknown)))


@pytest.mark.parametrize("count", [1, 2, 12, 13, 25, 40])
def test_rank_ticks_are_whole_begin_at_one_and_do_not_crowd(grid, count) -> None:
    figure = figures.rank_intervals(grid, a_ranking([f"system {i}" for i in range(count)]))
    ticks = figure.axes[0].get_xticks()
    assert ticks[0] == 1
    assert len(ticks) <= 12
    assert all(float(tick).is_integer() and tick <= count for tick in ticks)


# Metric scatter


def test_points_stand_at_the_means(grid) -> None:
    figure = figures.metric_scatter(grid, metrics["mae"], metrics["acc7"])
    shown = [row for row in ordered(grid) if row.runs]
    large = [c for c in figure.axes[0].collections if c.get_sizes()[0] > 20]
    expected = [
        (summarise(row, metrics["mae"]).mean, 100 * summarise(row, metrics["acc7"]).mean)
        for row in shown
    ]
    assert np.vstack([np.asarray(c.get_offsets()) for c in large]) == pytest.approx(
        np.array(expected)
    )
    small = [c for c in figure.axes[0].collections if c.get_sizes()[0] < 20]
    assert sum(len(c.get_offsets()) for c in small) == 3 * 3, "rows of one run have a mean alone"


def test_whiskers_are_the_given_intervals(grid, ranking) -> None:
    axes = figures.metric_scatter(grid, rankings={"mae": ranking}).axes[0]
    drawn = {tuple(np.round(ln.get_xdata(), 6)) for ln in axes.lines if ln.get_color() == "#8c959f"}
    known = dict(zip(ranking.names, ranking.intervals, strict=True))
    assert drawn == {tuple(np.round(known[name], 6)) for name in ("near", "once", "far")}


def test_rows_without_a_place_are_named_with_the_reason(grid) -> None:
    note = "\n".join(texts(figures.metric_scatter(grid)))
    assert re.search(r"undefined.*: train_mean, half\.", note)
    assert "without a run: silent." in note


@pytest.mark.parametrize(
    ("x", "y", "sign"),
    [("mae", "corr", "↖"), ("corr", "acc7", "↗"), ("corr", "mae", "↘"), ("mae", "mae", "↙")],
)
def test_the_better_corner_is_marked(grid, x, y, sign) -> None:
    assert f"{sign} better" in texts(figures.metric_scatter(grid, metrics[x], metrics[y]))


# Cost Pareto

COORDINATES = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(COORDINATES, COORDINATES), max_size=12))
def test_the_front_is_what_nothing_dominates(points) -> None:
    def dominated(p):
        return any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)

    front = figures.pareto_front(points)
    assert set(front) == {i for i, p in enumerate(points) if not dominated(p)}
    assert [points[i] for i in front] == sorted(points[i] for i in front)


def test_the_front_is_emphasised_and_the_rest_is_not(grid) -> None:
    figure = figures.cost_pareto(with_costs(grid, {"near": 100.0, "far": 1.0, "once": 200.0}))
    axes = figure.axes[0]
    names = {text.get_text(): text.get_weight() for text in axes.texts}
    mae = {row.label: summarise(row, grid.selection).mean for row in grid.rows if row.runs}
    assert mae["near"] < mae["once"] < mae["far"]
    assert names["near"] == "bold"
    assert names["once"] == names["far"] == "normal", "others are as cheap as far, and better"
    assert axes.get_xscale() == "log"
    assert "↙ better" in names


def test_the_best_constant_is_the_floor_not_a_point(grid) -> None:
    axes = figures.cost_pareto(grid).axes[0]
    constant = next(row for row in grid.rows if row.reference)
    floors = [line for line in axes.lines if line.get_color() == style.CONSTANT]
    assert [line.get_ydata()[0] for line in floors] == [summarise(constant, grid.selection).mean]
    assert "best constant: train_mean" in texts(axes.figure)
    assert "train_mean" not in texts(axes.figure)


def test_costs_that_a_logarithmic_axis_cannot_show_are_named(grid) -> None:
    figure = figures.cost_pareto(with_costs(grid, {"near": 0.0, "far": float("nan")}))
    assert any("without a run, a value or a cost: near, far, silent." in t for t in texts(figure))
    assert "near" not in texts(figure)


def test_where_seconds_were_measured_is_said(grid) -> None:
    assert any("measured on: cpu, A processor." in t for t in texts(figures.cost_pareto(grid)))
    sizes = figures.cost_pareto(grid, cost="parameters")
    assert not any("measured" in t for t in texts(sizes))


@pytest.mark.parametrize("spread", [1.0, 1.5, 40.0, 1e6])
def test_the_cost_axis_always_has_ticks_to_read(grid, spread) -> None:
    axes = figures.cost_pareto(with_costs(grid, {"near": 3.0, "far": 3.0 * spread})).axes[0]
    low, high = axes.get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in axes.get_xticks()) <= 9


# Names


@pytest.mark.parametrize("count", [2, 25])
def test_names_cover_neither_each_other_nor_marks(count) -> None:
    rng = np.random.default_rng(count)
    with style.style():
        _, axes = style.sheet("title", "subtitle", height=4.6)
        x = np.sort(rng.uniform(0.6, 1.3, count))
        y = 1.4 - x + rng.normal(0, 0.02, count)
        axes.plot(x, y, "o")
        axes.margins(0.08)
        label_points(
            axes, [Point(f"system_{i} (text)", *p) for i, p in enumerate(zip(x, y, strict=True))]
        )
        axes.figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        frame = axes.get_window_extent()
    assert all(not a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    marks = axes.transData.transform(np.column_stack([x, y]))
    assert not any(box.contains(*mark) for box in boxes for mark in marks)
    assert all(
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        for box in boxes
    )


@given(st.text(), st.integers(8, 40))
def test_shortened_names_are_one_short_line(label, columns) -> None:
    shown = style.short(label, columns)
    assert style.wcswidth(shown) <= columns
    assert "\n" not in shown
    assert shown == style.short(shown, columns)


def test_variants_that_differ_at_the_end_stay_apart() -> None:
    name = "a model with a name as long as an abstract"
    assert style.short(f"{name} (text)") != style.short(f"{name} (text+audio)")


def test_names_of_strangers_stay_text(tmp_path) -> None:
    rows = [Row(label=name, cells={s: Off(0.5 + i) for s in SEEDS}) for i, name in enumerate(NAMES)]
    grid = grid_of(tmp_path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind, figure in every_figure(grid, a_ranking(NAMES)):
            _, path, _ = figures.save(figure, tmp_path / kind)
            root = ElementTree.fromstring(path.read_bytes())
            shown = {"".join(node.itertext()) for node in root.iter(f"{SVG}text")}
            assert {NAMES[0], NAMES[1], NAMES[3], "line break [31m"} <= shown
            assert not list(root.iter(f"{SVG}b"))


# Files


def test_equal_figures_are_equal_bytes(twin, ranking, tmp_path) -> None:
    for kind, figure in every_figure(twin, ranking):
        figures.save(figure, tmp_path / f"one.{kind}")
    for kind, figure in every_figure(twin, ranking):
        for path in figures.save(figure, tmp_path / f"two.{kind}"):
            one = path.with_name(path.name.replace("two.", "one."))
            assert path.read_bytes() == one.read_bytes(), path.name


def test_a_png_says_nothing_of_when_and_with_what(grid, tmp_path) -> None:
    png, *_ = figures.save(figures.seed_strip(grid), tmp_path / "mosi@x.seeds")
    assert png.name == "mosi@x.seeds.png"
    data, chunks, at = png.read_bytes(), set(), 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        chunks.add(data[at + 4 : at + 8])
        at += 12 + size
    assert chunks == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_a_pdf_has_its_fonts_and_says_nothing_of_when(grid, tmp_path) -> None:
    *_, pdf = figures.save(figures.seed_strip(grid), tmp_path / "mosi@x.seeds")
    assert pdf.name == "mosi@x.seeds.pdf"
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF-") and b"/FontFile2" in data and b"/Type3" not in data
    assert not re.search(rb"/(CreationDate|Creator|Producer)", data)


def test_an_svg_is_self_contained_named_and_undated(grid, ranking, tmp_path) -> None:
    for kind, figure in every_figure(grid, ranking):
        _, path, _ = figures.save(figure, tmp_path / kind)
        text = path.read_text("utf-8")
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img"
        assert root.findtext(f"{SVG}title") == "CMU-MOSI (mosi@unaligned-50)"
        assert "near" in (root.findtext(f"{SVG}desc") or "")
        assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
        assert not re.search(r"matplotlib v|<dc:|<metadata|<script|@import|url\((?!#)", text)


def test_every_colour_has_its_dark_twin(twin, ranking, tmp_path) -> None:
    known = {*style.DARK, style.CEILING}
    for kind, figure in every_figure(twin, ranking):
        _, path, _ = figures.save(figure, tmp_path / kind)
        root = ElementTree.fromstring(path.read_bytes())
        used = {
            colour
            for node in root.iter()
            for colour in re.findall(r"(?:fill|stroke): (#\w+)", node.get("style", ""))
        }
        assert used <= known
        assert all("fill" in node.get("style", "") for node in root.iter(f"{SVG}text"))


def test_the_readers_own_settings_are_neither_used_nor_changed(grid, tmp_path) -> None:
    first = figures.save(figures.seed_strip(grid), tmp_path / "first")[1].read_bytes()
    with matplotlib.rc_context({"font.size": 20, "text.color": "red", "svg.fonttype": "path"}):
        before = dict(matplotlib.rcParams)
        second = figures.save(figures.seed_strip(grid), tmp_path / "second")[1].read_bytes()
        assert dict(matplotlib.rcParams) == before
    assert first == second


@pytest.mark.parametrize(
    "rows",
    [
        [Row(label="none", cells={s: NotRun() for s in SEEDS})],
        [Row(label="only", cells={1111: Off(0.5)})],
        [FLOOR_ROW],
        [Row(label=f"equal {i}", cells={s: Constant() for s in SEEDS}) for i in range(3)],
    ],
    ids=["no run", "one run", "constants only", "all equal"],
)
def test_poor_grids_are_drawn_without_complaint(tmp_path, rows) -> None:
    grid = grid_of(tmp_path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind, figure in every_figure(grid, a_ranking([row.label for row in rows])):
            figures.save(figure, tmp_path / kind)
    empty = figures.metric_scatter(grid) if rows[0].label != "only" else None
    assert empty is None or "no system to show" in texts(empty)


def test_every_form_of_file_per_corpus_and_kind(tmp_path) -> None:
    drawn = leaderboards.draw(make_store(tmp_path, ROWS), "small", tmp_path / "out")
    kinds = ("ranks", "seeds", "scatter", "cost")
    names = {f"small.mosi@unaligned-50.{k}.{end}" for k in kinds for end in ("png", "svg", "pdf")}
    assert names <= {path.name for path in drawn}
    assert all(path.is_file() for path in drawn)


def test_without_two_ranked_rows_there_are_no_ranks(tmp_path) -> None:
    store = make_store(tmp_path, [FLOOR_ROW, ROWS[1]])
    drawn = leaderboards.draw(store, "small", tmp_path / "out")
    assert drawn
    assert not any(".ranks." in path.name for path in drawn)


def test_an_unwritable_folder_is_a_plain_error(tmp_path) -> None:
    store = make_store(tmp_path, ROWS)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="figures cannot be written"):
        leaderboards.draw(store, "small", tmp_path / "out")
