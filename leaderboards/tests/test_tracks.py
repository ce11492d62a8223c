"""Rows that know different things: tables of their own, ranks of their own, pairs marked."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

import leaderboards
from harness.stats import fields_of, rank
from harness.tests.stores import SEEDS, Constant, Off, Row, make_corpus, make_store
from leaderboards import figures
from leaderboards.model import PLAIN, Track, across, analyse, gather, parts, plain_first
from leaderboards.rendering import render_html
from leaderboards.sections import compose
from leaderboards.sections.results import SEPARATE

TOLD = Track(side_info="video_mllm")
LEARNED = Track(knowledge="simsv2@unaligned-50")
KNOWN = {"Told A": TOLD, "Told B": TOLD, "Learned": LEARNED}
ROWS = (
    Row(label="Plain A", cells={s: Off(1.2) for s in SEEDS}),
    Row(label="Told A", cells={s: Off(0.3) for s in SEEDS}),
    Row(label="Plain B", cells={s: Off(0.9) for s in SEEDS}),
    Row(label="Told B", cells={s: Off(0.6) for s in SEEDS}),
    Row(label="Learned", cells={s: Off(0.1) for s in SEEDS}),
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)


def store_of(root, corpora=("mosi@own",), rows=ROWS, known=KNOWN):
    """A store whose plan says what each row knew."""
    store = make_store(root, rows, [make_corpus(name) for name in corpora])
    plan = store.plan("small")
    told = [(row, known.get(row.label, PLAIN)) for row in plan.rows]
    rows = tuple(
        dataclasses.replace(row, side_info=track.side_info, knowledge=track.knowledge)
        for row, track in told
    )
    store.put_plan("small", dataclasses.replace(plan, rows=rows))
    return store


@pytest.fixture
def board(tmp_path):
    return gather(store_of(tmp_path), "small")


def table_after(page, heading):
    """Lines of the first table below a heading."""
    return page[page.index(f"### {heading}\n") :].split("\n\n")[1].splitlines()


def labels(table):
    return [line.strip("|").split("|")[0].strip() for line in table[2:]]


@pytest.mark.parametrize(
    ("track", "title"),
    [
        (PLAIN, "No side information"),
        (TOLD, "Side information: video_mllm"),
        (LEARNED, "Also learned from simsv2@unaligned-50"),
        (
            Track(side_info="both", knowledge="x"),
            "Side information: both; also learned from x",
        ),
    ],
)
def test_a_track_says_what_is_known(track, title):
    assert track.title == title


def test_plain_rows_come_first_whatever_the_others_are_called():
    early = Track(side_info="aaa")
    assert plain_first([TOLD, early, PLAIN, early]) == (PLAIN, early, TOLD)


def test_each_track_is_ranked_alone_exactly_as_if_the_others_were_not_there(board):
    (grid,) = board.grids
    assert grid.tracks == (PLAIN, LEARNED, TOLD)
    assert analyse(grid).rankings == {}
    for part, names in zip(
        parts(grid), ({"Plain A", "Plain B"}, {"Learned"}, {"Told A", "Told B"}), strict=True
    ):
        ranked = analyse(part).rankings
        assert {name for r in ranked.values() for name in r.names} == (
            names if len(names) > 1 else set()
        )
        assert "mean" in {row.label for row in part.rows}, "the floor stands in every table"
    told, truth = parts(grid)[-1], grid.truth
    runs = {r.label: np.stack([run.pred for run in r.runs]) for r in told.rows if not r.reference}
    alone = rank(
        fields_of(
            runs, truth.labels, truth.videos.astype(str), ["mae"], dataset=grid.corpus.dataset
        )["mae"]
    )
    found = analyse(told).rankings["mae"]
    assert (found.names, found.ranks, found.pairs) == (alone.names, alone.ranks, alone.pairs)


def test_markdown_has_one_table_of_results_per_stratum(tmp_path):
    page = leaderboards.render(store_of(tmp_path), "small")
    assert page.count(SEPARATE) == 1
    assert labels(table_after(page, "No side information")) == ["mean", "Plain B", "Plain A"]
    told = table_after(page, "Side information: video_mllm")
    assert labels(told) == ["mean", "Told A", "Told B"]
    ranks = {line.split("|")[1].strip(): line.split("|")[4].strip() for line in told[2:]}
    assert ranks["Told A"] == "1" and ranks["Told B"] == "2"
    learned = table_after(page, "Also learned from simsv2@unaligned-50")
    assert labels(learned) == ["mean", "Learned"]
    assert learned[-1].split("|")[4].strip() == "·", "nothing to be ranked with"


def test_pairs_across_strata_are_there_and_marked(tmp_path):
    page = leaderboards.render(store_of(tmp_path), "small")
    across = page[page.index("<summary>Pairwise across tables: MAE") :].partition("</details>")[0]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in across.splitlines()
        if line.startswith("| ")
    ]
    names = lines[0][2:]
    assert set(names) == {row.label for row in ROWS if not row.reference}
    assert [KNOWN.get(name, PLAIN) for name in names] == [PLAIN, PLAIN, LEARNED, TOLD, TOLD]
    cells = {
        (row[0], name): cell for row in lines[1:] for name, cell in zip(names, row[2:], strict=True)
    }
    for a, b in itertools.product(names, names):
        apart = KNOWN.get(a, PLAIN) != KNOWN.get(b, PLAIN)
        assert cells[a, b].startswith("≠ ") == apart
        assert apart or cells[a, b] == "·"
    assert cells["Told A", "Plain A"].startswith("≠ -")
    assert cells["Told A", "Plain A"].endswith("better")


def test_the_page_has_the_same_tables(board, tmp_path):
    page = render_html(compose(board))
    for track in (PLAIN, TOLD, LEARNED):
        assert f"<h3>{track.title}</h3>" in page
    assert page.count('class="results"') == 3
    assert "Pairwise comparisons across tables" in page
    assert '<span class="sr"> 1 to 2</span>' in page
    assert " 1 to 5</span>" not in page, "no rank among all five"
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(set(ids)) == len(ids)


def test_averages_over_datasets_stay_within_a_track(tmp_path):
    board = gather(store_of(tmp_path, ("mosi@a", "mosei@a")), "small")
    found = {averages.track: [row.name for row in averages.rows] for averages in across(board)}
    assert {track: sorted(names) for track, names in found.items()} == {
        PLAIN: ["Plain A", "Plain B"],
        TOLD: ["Told A", "Told B"],
    }
    shown = leaderboards.render(store_of(tmp_path, ("mosi@a", "mosei@a")), "small")
    assert shown.count("## Across datasets") == 2
    assert re.findall(r"<h2[^>]*>(Across[^<]*)</h2>", render_html(compose(board))) == [
        "Across datasets",
        f"Across datasets: {TOLD.title}",
    ]


def test_a_board_of_one_stratum_says_which(tmp_path):
    rows = [row for row in ROWS if row.label.startswith(("Told", "mean"))]
    page = leaderboards.render(store_of(tmp_path, rows=rows), "small")
    assert "### Side information: video" in page
    assert SEPARATE not in page and "across tables" not in page


def test_plans_of_old_know_nothing_of_strata(tmp_path):
    store = make_store(tmp_path, ROWS)
    path = store.root / "plans" / "small.json"
    plan = json.loads(path.read_text())
    for row in plan["rows"]:
        del row["side_info"], row["knowledge"]
    for key in ("digest", "format", "stored_as"):
        del plan[key]
    path.write_text(json.dumps(plan))
    (grid,) = gather(store, "small").grids
    assert parts(grid) == (grid,)
    assert len(analyse(grid).rankings["mae"].names) == 5


def test_figures_are_drawn_stratum_by_stratum(board, tmp_path):
    files = {file.name for file in figures.draw(board, tmp_path / "figures")}
    ranks = {name for name in files if ".ranks." in name and name.endswith(".svg")}
    assert ranks == {"small.mosi@own.ranks.svg", "small.mosi@own.part-3.ranks.svg"}


def test_records_say_what_a_row_knew(tmp_path):
    records = leaderboards.as_records(store_of(tmp_path), "small")
    assert {r["row"]: (r["side_info"], r["knowledge"]) for r in records}["Told A"] == (
        "video_mllm",
        "none",
    )
    assert len(records) == len(ROWS), "the floor is one record"
