"""Boards as read by people: rounding, holes, undefined values, order, escaping, drift."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

import leaderboards
from harness.errors import StoreError
from harness.metrics import metrics_for
from harness.runs.record import RunRecord
from harness.tests.stores import (
    SEEDS,
    Constant,
    Failed,
    NotApplicable,
    NotRun,
    Off,
    Row,
    make_corpus,
    make_record,
    make_spec,
    make_store,
    predict,
)
from leaderboards.model import Summary, across, analyse, gather, unranked_because
from leaderboards.rendering import escape, render_html, render_markdown
from leaderboards.sections import compose
from leaderboards.sections import costs as measured
from leaderboards.sections._rows import heading

GOLDEN = Path(__file__).parent / "golden" / "small.md"
MEAN = Row(
    label="train_mean",
    cells={0: Constant()},
    text="none",
    epochs=0,
    deterministic=True,
    reference=True,
    params={},
    inputs=frozenset(),
)
ROWS = (
    Row(label="TFN", cells={s: Off(1.2) for s in SEEDS}, changed={"hidden": 32}),
    Row(label="MulT", cells={1111: Off(0.9), 1112: Failed("loss became nan"), 1113: NotRun()}),
    Row(label="MAG-BERT", cells={s: Off(0.4) for s in SEEDS}, text="T-BERT", encoder="minilm-l6"),
    Row(label="Ridge", cells={0: Off(0.8)}, deterministic=True, epochs=0),
    Row(label="Collapsed", cells={1111: Off(1.0), 1112: Constant(), 1113: Constant()}),
    Row(label="Self-MM", cells={s: NotRun() for s in SEEDS}),
    Row(label="MISA", cells={s: NotApplicable("needs vision features") for s in SEEDS}),
    MEAN,
)
CORPORA = ("mosi@own", "mosi-twin@compact", "sims@unaligned-39", "simsv2@unaligned-50")


def lines_of(board: str, label: str) -> list[list[str]]:
    """Cells of every table line whose first cell is ``label``."""
    found = [line for line in board.splitlines() if line.startswith(f"| {label} ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]


def cells(board: str, label: str) -> dict[str, str]:
    """The label's line of the results table, by heading."""
    heading = next(line for line in board.splitlines() if line.startswith("| System "))
    titles = [cell.strip() for cell in heading.strip("|").split("|")]
    return dict(zip(titles, lines_of(board, label)[0], strict=True))


def labels_in_order(board: str) -> list[str]:
    table = board[board.index("| System ") :].split("\n\n")[0].splitlines()[2:]
    return [line.strip("|").split("|")[0].strip() for line in table]


def test_the_board_is_the_golden_file(tmp_path) -> None:
    store = make_store(tmp_path, ROWS, [make_corpus(name) for name in CORPORA])
    board = leaderboards.render(store, "small")
    if os.environ.get("MSA_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(board, "utf-8")
    assert board == GOLDEN.read_text("utf-8")


def test_a_cell_is_mean_and_sample_deviation_over_seeds_rounded_last(tmp_path) -> None:
    corpus = make_corpus()
    board = leaderboards.render(make_store(tmp_path, ROWS, [corpus]), "small")
    labels = corpus.split("test").labels
    maes = [np.abs(predict(Off(1.2), labels, seed) - labels).mean() for seed in SEEDS]
    corrs = [scipy_stats.pearsonr(predict(Off(1.2), labels, s), labels)[0] for s in SEEDS]
    shown = cells(board, "TFN")
    assert shown["MAE ↓"] == f"{np.mean(maes):.3f} ± {statistics.stdev(maes):.3f}"
    assert shown["Corr ↑"] == f"{np.mean(corrs):.3f} ± {statistics.stdev(corrs):.3f}"
    assert shown["Seeds"] == "3/3"
    assert statistics.stdev(maes) != pytest.approx(statistics.pstdev(maes), rel=0.1)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=12))
def test_the_spread_has_n_minus_one_degrees_of_freedom(values: list[float]) -> None:
    summary = Summary(tuple(values))
    assert summary.sd == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-12)
    assert summary.mean == pytest.approx(statistics.fmean(values))


def test_averaging_comes_before_rounding(tmp_path) -> None:
    rows = [
        Row(label="row", cells={s: Off(b) for s, b in zip(SEEDS, (0.3, 0.7, 1.1), strict=True)})
    ]
    store = make_store(tmp_path, rows)
    record = leaderboards.as_records(store, "small")[0]["metrics"]["acc7"]
    assert record["mean"] == statistics.fmean(record["values"])
    shown = cells(leaderboards.render(store, "small"), "row")["Acc-7 (%) ↑"]
    assert shown.split(" ± ")[0] == f"{100 * record['mean']:.2f}"


def test_one_seed_has_a_value_and_no_spread(tmp_path) -> None:
    rows = [Row(label="one", cells={1111: Off(1.0)}), Row(label="some", cells=ROWS[1].cells)]
    board = leaderboards.render(make_store(tmp_path, rows), "small")
    for label, seeds in (("one", "1/1, n=1"), ("some", "1/3, n=1")):
        shown = cells(board, label)
        assert shown["Seeds"] == seeds
        assert re.fullmatch(r"\d\.\d{3}", shown["MAE ↓"])


def test_deterministic_rows_say_so(tmp_path) -> None:
    missing = Row(label="gone", cells={0: NotRun()}, deterministic=True)
    board = leaderboards.render(make_store(tmp_path, [*ROWS, missing]), "small")
    assert cells(board, "Ridge")["Seeds"] == "det."
    assert cells(board, "gone")["Seeds"] == "det. 0/1"
    assert "±" not in cells(board, "Ridge")["MAE ↓"]


def test_an_undefined_value_is_never_averaged_away(tmp_path) -> None:
    store = make_store(tmp_path, ROWS)
    board = leaderboards.render(store, "small")
    shown = cells(board, "Collapsed")
    number = shown["Corr ↑"].removeprefix("–").translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))
    assert f"{number}. Corr is undefined in 2 of 3 runs" in board
    assert "±" in shown["MAE ↓"]
    record = next(r for r in leaderboards.as_records(store, "small") if r["row"] == "Collapsed")
    assert record["metrics"]["corr"]["mean"] is record["metrics"]["corr"]["sd"] is None
    assert record["metrics"]["corr"]["values"][1:] == [None, None]
    assert record["metrics"]["corr"]["values"][0] is not None


@pytest.mark.parametrize(
    "runs",
    [
        {1111: Constant()},
        {seed: Constant() for seed in SEEDS},
        {seed: Constant(seed / 1000) for seed in SEEDS},
        {1111: Off(1.0)},
        {1111: Off(1.0), 1112: Constant()},
        {seed: Off(0.0) for seed in SEEDS},
    ],
)
def test_what_is_undefined_is_never_printed_as_nan(tmp_path, runs) -> None:
    rows = [Row(label="odd", cells=runs), Row(label="fine", cells={s: Off(1.0) for s in SEEDS})]
    store = make_store(tmp_path, rows)
    page = render_html(compose(gather(store, "small")))
    for text in (leaderboards.render(store, "small"), page):
        assert not re.search(r"[\s>\[+-]nan\b", text)


def test_holes_are_shown_with_their_reason_and_never_as_zero(tmp_path) -> None:
    board = leaderboards.render(make_store(tmp_path, ROWS), "small")
    assert lines_of(board, "MulT")[2:4] == [
        ["MulT", "1112", "failed", "loss became nan"],
        ["MulT", "1113", "not run", "·"],
    ]
    assert ["Self-MM", "all", "not run", "·"] in lines_of(board, "Self-MM")
    assert ["MISA", "all", "not applicable", "needs vision features"] in lines_of(board, "MISA")
    assert cells(board, "MISA")["Seeds"] == "n/a"
    assert cells(board, "Self-MM")["Seeds"] == "0/3"
    assert set(list(cells(board, "Self-MM").values())[3:]) == {"·"}


def test_constants_lead_then_the_selection_metric_and_holes_are_last(tmp_path) -> None:
    board = leaderboards.render(make_store(tmp_path, ROWS), "small")
    order = labels_in_order(board)
    assert order[0] == "train_mean"
    assert order[-2:] == ["MISA", "Self-MM"]
    errors = [
        float(cells(board, label)["MAE ↓"].removeprefix("● ").split()[0]) for label in order[1:-2]
    ]
    assert errors == sorted(errors)


def test_ranks_are_sets_and_incomplete_rows_have_none(tmp_path) -> None:
    board = gather(make_store(tmp_path, ROWS), "small")
    shown = leaderboards.render(make_store(tmp_path, ROWS), "small")
    (grid,) = board.grids
    ranking = analyse(grid).rankings["mae"]
    assert set(ranking.names) == {"MAG-BERT", "Ridge", "TFN", "Collapsed"}
    for name, (best, worst) in zip(ranking.names, ranking.ranks, strict=True):
        assert cells(shown, name)["Rank, MAE"] == (f"{best}–{worst}" if best < worst else str(best))
        assert cells(shown, name)["MAE ↓"].startswith("●") == (best == 1)
    for name in ("train_mean", "MulT", "MISA", "Self-MM"):
        assert cells(shown, name)["Rank, MAE"] == "·"
    reasons = {row.label: unranked_because(row) for row in grid.rows}
    assert reasons["MulT"] == "2 of 3 seeds missing"
    assert reasons["train_mean"] == "constant predictor"
    assert reasons["TFN"] == ""


def test_every_pair_is_shown_from_both_sides(tmp_path) -> None:
    shown = leaderboards.render(make_store(tmp_path, ROWS), "small")
    table = shown[shown.index("<summary>Pairwise") :].partition("</details>")[0]
    names = ("MAG-BERT", "Ridge", "TFN", "Collapsed")
    matrix = [lines_of(table, name)[0][1:] for name in names]
    for i, row in enumerate(matrix):
        assert row[i] == "·"
        for j in range(i):
            mine, theirs = matrix[i][j], matrix[j][i]
            assert {mine[0], theirs[0]} == {"+", "-"}
            assert mine[1:].partition(":")[0] == theirs[1:].partition(":")[0]
            words = {cell.rpartition(": ")[2] for cell in (mine, theirs)}
            assert words in ({"better", "worse"}, {"undecided"})


def test_the_resolution_is_what_one_comparison_could_have_found(tmp_path) -> None:
    store = make_store(tmp_path, ROWS)
    (grid,) = gather(store, "small").grids
    pairs = analyse(grid).rankings["mae"].pairs
    middle = statistics.median(pair.detectable for pair in pairs)
    assert f"MAE {middle:.3f}, " in leaderboards.render(store, "small")


def test_one_row_alone_has_nothing_to_be_compared_with(tmp_path) -> None:
    rows = [Row(label="x", cells={1111: Off(1.0), 1112: Off(2.0)})]
    board = leaderboards.render(make_store(tmp_path, rows), "small")
    assert cells(board, "x")["Rank, MAE"] == "·"
    assert "**Resolution:**" not in board
    assert "Pairwise" not in board


@pytest.mark.parametrize(
    ("names", "counted", "left_out"),
    [
        (("mosi@a", "mosei@a"), ("mosi@a", "mosei@a"), {}),
        (("mosi@a", "sims@a", "simsv2@a"), ("mosi@a", "simsv2@a"), {"sims@a": "recur"}),
        (("mosi@a", "mosi@b", "sims@a"), ("mosi@a", "sims@a"), {"mosi@b": "another corpus"}),
        (("sims-twin@a", "simsv2-twin@a"), ("sims-twin@a", "simsv2-twin@a"), {}),
    ],
)
def test_ranks_are_averaged_over_independent_datasets(tmp_path, names, counted, left_out) -> None:
    store = make_store(tmp_path, ROWS, [make_corpus(name) for name in names])
    (found,) = across(gather(store, "small"))
    assert found.corpora == counted
    assert found.left_out.keys() == left_out.keys()
    assert all(part in found.left_out[name] for name, part in left_out.items())
    assert {row.name for row in found.rows} == {"MAG-BERT", "Ridge", "TFN", "Collapsed"}
    assert "## Across datasets" in leaderboards.render(store, "small")


def test_one_dataset_has_no_average_rank(tmp_path) -> None:
    store = make_store(tmp_path, ROWS, [make_corpus("mosi@a"), make_corpus("mosi@b")])
    assert across(gather(store, "small")) == ()
    assert "## Across datasets" not in leaderboards.render(store, "small")


def test_equal_rows_are_ordered_by_label(tmp_path) -> None:
    rows = [Row(label=x, cells={1111: Off(1.0)}, changed={"hidden": ord(x)}) for x in "cab"]
    board = leaderboards.render(make_store(tmp_path, rows), "small")
    assert labels_in_order(board) == ["a", "b", "c"]


def test_a_row_tells_how_it_was_made(tmp_path) -> None:
    board = leaderboards.render(make_store(tmp_path, ROWS), "small")
    making = board[board.index("### How the rows were made") :]
    bert, tfn, ridge = (lines_of(making, name)[0] for name in ("MAG-BERT", "TFN", "Ridge"))
    assert tfn[2:5] == ["hidden=32", "audio, text", "validation MAE"]
    assert tfn[5:] == ["1,234,567", "2.3", "3.0", "24"]
    assert bert[5] == "4,567 of 1,234,567"
    assert cells(board, "MAG-BERT")["Text"] == "T-BERT: minilm-l6"
    assert ridge[4] == ridge[-1] == "·"


def test_twins_are_labelled_and_show_their_ceilings(tmp_path) -> None:
    store = make_store(tmp_path, ROWS, [make_corpus("mosi-twin@compact")])
    board = leaderboards.render(store, "small")
    assert "**SYNTHETIC TWIN: not a result on CMU-MOSI**" in board
    assert lines_of(board, "text")[0][1:] == ["0.500", "0.900"]
    assert lines_of(board, "train_mean")[1][1:] == ["1.000", "–"]
    assert "Own split" not in board


def test_real_corpora_carry_their_cautions(tmp_path) -> None:
    official = tuple(c.clips for c in make_corpus("sims@label-csv").dataset.splits.values())
    corpora = [make_corpus("sims@label-csv", official), make_corpus("mosi@utterance")]
    board = leaderboards.render(make_store(tmp_path, [MEAN], corpora), "small")
    sims, mosi = board.split("## CMU-MOSI: ")
    assert "SYNTHETIC" not in board
    assert "same source videos" in sims
    assert "recur in CH-SIMS v2" in sims
    assert "Own split" not in sims
    assert "**Own split, never comparable with the official one** (1284 / 229 / 686 clips)" in mosi
    assert "same source videos" not in mosi


HOSTILE = "<script>|`x`\n\n# [a](http://b) *c* ~~d~~ $e$ www.f.org \x1b[31m\u202eg & h_i_"


def test_foreign_text_cannot_leave_its_cell(tmp_path) -> None:
    rows = [
        Row(label=HOSTILE, cells={1111: Off(1.0), 1112: Constant(), 1113: Failed(HOSTILE)}),
        Row(label="n/a", cells={1111: NotApplicable(HOSTILE)}),
    ]
    board = leaderboards.render(make_store(tmp_path, rows, title=HOSTILE), "small")
    plain = leaderboards.render(
        make_store(
            tmp_path / "plain",
            [
                Row(label="x", cells={1111: Off(1.0), 1112: Constant(), 1113: Failed("y")}),
                Row(label="n/a", cells={1111: NotApplicable("z")}),
            ],
        ),
        "small",
    )
    assert len(board.splitlines()) == len(plain.splitlines())
    assert "<script" not in board
    assert "\x1b" not in board and "\u202e" not in board
    unescaped = re.compile(r"(?<!\\)\|")
    for ours, theirs in zip(board.splitlines(), plain.splitlines(), strict=True):
        assert len(unescaped.findall(ours)) == len(unescaped.findall(theirs))


@given(st.text())
def test_escaped_text_is_one_line_without_active_markup(text: str) -> None:
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1
    bare = re.sub(r"\\.", "", escaped)
    assert not set("`*[]|~$<>#\\") & set(bare)
    for run in re.finditer(r"(?<!\\)_+", escaped):
        around = escaped[: run.start()][-1:], escaped[run.end() :][:1]
        assert all(char.isalnum() for char in around)
    assert "://" not in bare


@given(st.text(st.sampled_from("ab c.é中-+()")))
def test_harmless_text_is_left_alone(text: str) -> None:
    assert escape(text) == " ".join(text.split())


def test_the_order_of_commits_does_not_matter(tmp_path) -> None:
    corpora = [make_corpus(name) for name in CORPORA[:2]]
    one = make_store(tmp_path / "one", ROWS, corpora)
    other = make_store(tmp_path / "other", ROWS, corpora, backwards=True)
    assert leaderboards.render(one, "small") == leaderboards.render(other, "small")
    assert leaderboards.as_records(one, "small") == leaderboards.as_records(other, "small")


def test_measured_costs_are_beside_the_board_and_not_on_it(tmp_path) -> None:
    store = make_store(tmp_path / "store", ROWS)
    path = leaderboards.write(store, "small", tmp_path / "boards" / "small.md")
    costs = (tmp_path / "boards" / "small.cost.md").read_text("utf-8")
    assert path.read_text("utf-8") == leaderboards.render(store, "small")
    assert costs == render_markdown(measured(gather(store, "small")))
    assert lines_of(costs, "TFN")[0][1:] == [
        "3",
        "2.50 ± 1.00",
        "0.250 ± 0.000",
        "300 ± 0",
        "cpu, A processor",
    ]
    assert "processor" not in path.read_text("utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"0.", b"1.", 1),
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data.replace(b"\n", b"\r\n", 1),
        lambda data: data.replace(b"Small", b"Smal\xff", 1),
        lambda data: b"",
    ],
)
def test_check_sees_one_changed_byte(tmp_path, change) -> None:
    store = make_store(tmp_path / "store", ROWS)
    path = leaderboards.write(store, "small", tmp_path / "small.md")
    assert leaderboards.check(store, "small", path) == []
    path.write_bytes(change(path.read_bytes()))
    lines = leaderboards.check(store, "small", path)
    assert lines[0] == "--- small.md"
    assert len(lines) > 3


def test_check_without_a_board_says_how_to_make_one(tmp_path) -> None:
    store = make_store(tmp_path / "store", ROWS)
    with pytest.raises(StoreError, match="cannot be read") as caught:
        leaderboards.check(store, "small", tmp_path / "absent.md")
    assert caught.value.hint == "msa board small"


def test_an_unknown_suite_is_a_store_error(tmp_path) -> None:
    with pytest.raises(StoreError, match="has not been run here"):
        leaderboards.render(make_store(tmp_path, ROWS), "other")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.iloc[:-1], "1 of 24 clips lack a prediction, 0 are not expected"),
        (lambda table: pd.concat([table, table.tail(1)]), "0 of 24 .*, 1 are not expected"),
        (lambda table: table.iloc[::-1], "another order"),
        (lambda table: table.assign(pred=np.nan), "cannot be scored"),
    ],
)
def test_predictions_that_do_not_fit_the_labels_are_a_hole(tmp_path, spoil, message) -> None:
    corpus, row = make_corpus(), ROWS[0]
    store = make_store(tmp_path, [Row(label="TFN", cells={1111: NotRun()}, changed=row.changed)])
    record = make_record(corpus, row, make_spec(corpus, row, 1111), Off(1.0))
    store.commit(
        RunRecord(key=record.key, manifest=record.manifest, predictions=spoil(record.predictions))
    )
    (row,) = gather(store, "small").grids[0].rows
    (hole,) = row.missing_runs
    assert (row.runs, hole.state) == ((), "damaged")
    assert re.search(message, hole.reason)
    assert record.key in hole.reason
    assert hole.reason in leaderboards.render(store, "small")


def test_a_plan_without_its_fields_is_a_store_error(tmp_path) -> None:
    store = make_store(tmp_path, ROWS)
    (store.root / "plans" / "small.json").write_text('{"title": "x"}')
    with pytest.raises(StoreError, match="suite should be there, found no such key"):
        leaderboards.render(store, "small")


def test_records_have_stable_keys_and_unrounded_numbers(tmp_path) -> None:
    records = leaderboards.as_records(make_store(tmp_path, ROWS), "small")
    assert len(records) == len(ROWS)
    record = next(r for r in records if r["row"] == "MulT")
    assert (record["n"], record["N"], record["seeds"]) == (1, 3, [1111])
    assert [hole["state"] for hole in record["holes"]] == ["failed", "not run"]
    labels = make_corpus().split("test").labels
    assert record["metrics"]["mae"] == {
        "mean": pytest.approx(np.abs(predict(Off(0.9), labels, 1111) - labels).mean(), abs=1e-6),
        "sd": None,
        "values": [record["metrics"]["mae"]["mean"]],
        "leads": None,
        "exploratory": False,
    }


def test_boards_need_neither_models_nor_trackers() -> None:
    code = (
        "import sys, leaderboards\n"
        "heavy = {'torch', 'mlflow', 'sklearn', 'transformers', 'matplotlib'} & set(sys.modules)\n"
        "print(*sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_rows_of_a_long_table_can_still_be_told_apart(tmp_path) -> None:
    """Hundreds of pairs are corrected for together, and clear differences survive it."""
    offs = [0.1] * 12 + [1.4] * 12
    rows = [
        Row(label=f"row {i:02}", cells={s: Off(by) for s in SEEDS}, changed={"hidden": i})
        for i, by in enumerate(offs)
    ]
    (grid,) = gather(make_store(tmp_path, rows), "small").grids
    found = analyse(grid).rankings["mae"]
    assert {found.rank_of(f"row {i:02}") for i in range(12)} == {(1, 12)}
    assert {found.rank_of(f"row {i:02}") for i in range(12, 24)} == {(13, 24)}


def test_marks_are_claims_in_the_metric_that_ranks_and_exploration_in_others(tmp_path) -> None:
    store = make_store(tmp_path, ROWS)
    board = leaderboards.render(store, "small")
    (grid,) = gather(store, "small").grids
    headings = {m.name: heading(m) for m in metrics_for(grid.corpus.dataset, primary=True)}
    for name, ranking in analyse(grid).rankings.items():
        for label in ranking.names:
            shown = cells(board, label)[headings[name]]
            mark = "●" if name == "mae" else "○"
            assert shown.startswith(f"{mark} ") == (label in ranking.leaders)
    assert "○: the same in any other metric. Exploratory" in board
    records = {r["row"]: r for r in leaderboards.as_records(store, "small")}
    of = records["MAG-BERT"]
    assert (of["ranked_by"], of["rank"], of["could_be_best"]) == ("mae", [1, 2], True)
    assert (of["metrics"]["mae"]["leads"], of["metrics"]["mae"]["exploratory"]) == (True, False)
    assert (of["metrics"]["acc7"]["leads"], of["metrics"]["acc7"]["exploratory"]) == (True, True)
    assert records["TFN"]["could_be_best"] is records["TFN"]["metrics"]["mae"]["leads"] is False
    assert records["MulT"]["rank"] is records["MulT"]["could_be_best"] is None
    assert records["MulT"]["unranked_because"] == "2 of 3 seeds missing"


def test_the_rows_that_could_be_best_stand_under_the_table(tmp_path) -> None:
    near = [
        Row(label=name, cells={s: Off(by + s % 3 / 20) for s in SEEDS}, changed={"hidden": i})
        for i, (name, by) in enumerate((("one", 0.40), ("two", 0.41), ("far", 1.6)))
    ]
    store = make_store(tmp_path, near)
    (grid,) = gather(store, "small").grids
    found = analyse(grid).rankings["mae"].could_be_best
    assert found == {"one", "two"}
    said = "**Could be best:** in MAE, the best of these is, with 95 %, among: one, two."
    assert said in leaderboards.render(store, "small")
    page = render_html(compose(gather(store, "small")))
    assert "in MAE, the best of these is, with 95 %, among: one, two." in page


SINGLE = (
    Row(label="many", cells={s: Off(0.4) for s in SEEDS}),
    Row(label="more", cells={s: Off(1.4) for s in SEEDS}, changed={"hidden": 2}),
    Row(label="alone", cells={1111: Off(1.4)}, changed={"hidden": 1}),
    Row(label="Ridge", cells={0: Off(0.8)}, deterministic=True, epochs=0),
)


def test_one_run_of_a_system_that_seeds_change_is_compared_and_never_ranked(tmp_path) -> None:
    store = make_store(tmp_path, SINGLE)
    (grid,) = gather(store, "small").grids
    found, reason = analyse(grid), "one run of a system that seeds change"
    assert {row.label: unranked_because(row) for row in grid.rows} == {
        "many": "",
        "more": "",
        "alone": reason,
        "Ridge": "",
    }
    for name, ranking in found.rankings.items():
        assert set(ranking.names) == {"many", "more", "Ridge"}
        assert set(found.checkpoints[name].names) == {"many", "more", "alone", "Ridge"}
    board = leaderboards.render(store, "small")
    assert cells(board, "alone")["Rank, MAE"] == "·"
    assert not cells(board, "alone")["MAE ↓"].startswith(("●", "○"))
    table = board[board.index("<summary>Pairwise with single runs") :].partition("</details>")[0]
    (line,) = (line for line in lines_of(table, "alone") if len(line) > 2)
    assert len(lines_of(table, "many")) == 0, "pairs of systems stand in the table above"
    assert sum("checkpoint worse" in cell for cell in line) >= 1
    records = {r["row"]: r for r in leaderboards.as_records(store, "small")}
    assert records["alone"]["about"] == "checkpoints"
    assert records["alone"]["unranked_because"] == reason
    assert records["Ridge"]["about"] == records["many"]["about"] == "systems"


def test_a_suite_of_one_seed_ranks_nothing_and_compares_checkpoints(tmp_path) -> None:
    rows = [
        Row(label=x, cells={1111: Off(b)}, changed={"hidden": ord(x)})
        for x, b in (("a", 0.2), ("b", 1.5))
    ]
    store = make_store(tmp_path, rows)
    (grid,) = gather(store, "small").grids
    assert analyse(grid).rankings == {}
    board = leaderboards.render(store, "small")
    assert "checkpoint better" in board and "●" not in board.partition("## How to read")[0]
    page = render_html(compose(gather(store, "small")))
    assert "not ranked: one run of a system that seeds change" in page


def test_average_ranks_are_of_rows_ranked_on_every_dataset(tmp_path) -> None:
    everywhere = [
        Row(label=x, cells={s: Off(b) for s in SEEDS}, changed={"hidden": ord(x)})
        for x, b in (("a", 0.3), ("b", 1.2))
    ]
    once = Row(label="once", cells={1111: Off(0.9)}, changed={"hidden": 1})
    corpora = [make_corpus("mosi@a"), make_corpus("mosei@a")]
    (found,) = across(gather(make_store(tmp_path, [*everywhere, once], corpora), "small"))
    assert [row.name for row in found.rows] == ["a", "b"]
    assert [(row.low, row.high) for row in found.rows] == [(1.0, 1.0), (2.0, 2.0)]
