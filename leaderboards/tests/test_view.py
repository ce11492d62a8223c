"""A board in a notebook."""

from __future__ import annotations

import dataclasses
import re

import pytest

import leaderboards
from harness.errors import StoreError
from harness.home import Home
from harness.runs.store import RunStore
from harness.tests.stores import SEEDS, Constant, Off, Row, make_corpus, make_store

HOSTILE = "<script>hacked=1</script>"
ROWS = (
    Row(label=HOSTILE, cells={seed: Off(1.2) for seed in SEEDS}),
    Row(label="TFN", cells={seed: Off(0.9) for seed in SEEDS}),
    Row(label="train_mean", cells={0: Constant()}, epochs=0, deterministic=True, params={}),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    corpora = [make_corpus(name) for name in ("mosi@unaligned-50", "sims-twin@compact")]
    make_store(home.store, ROWS, corpora)
    return home


def test_the_frame_has_what_the_records_have(home: Home) -> None:
    board = leaderboards.board("small", home)
    frame = board.frame().set_index(["corpus", "row"])
    records = board.records()
    assert records == leaderboards.as_records(RunStore(home.store), "small")
    assert len(frame) == len(records) == 2 * len(ROWS)
    for record in records:
        line = frame.loc[(record["corpus"], record["row"])]
        assert line["mae"] == record["metrics"]["mae"]["mean"]
        assert [line["rank_low"], line["rank_high"]] == (record["rank"] or [None, None])


def test_a_cell_shows_every_row_and_runs_nothing(home: Home) -> None:
    board = leaderboards.board("small", home)
    shown = board._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;hacked=1&lt;/script&gt;") == 2
    assert shown.count("SYNTHETIC TWIN") == 1
    for table in re.findall(r"<table>.*?</table>", shown):
        heads, lines = table.count("<th>"), table.count("<tr>") - 1
        assert table.count("<td>") == heads * lines
    assert repr(board) == "<board of small: 6 rows on 2 corpora>"


def test_what_is_written_is_the_board(home: Home, tmp_path) -> None:
    board = leaderboards.board("small", home)
    path = board.write(tmp_path / "small.md")
    assert path.read_text() == board.markdown == leaderboards.render(RunStore(home.store), "small")
    assert (tmp_path / "small.html").is_file()


def test_a_suite_that_was_not_run_is_an_error(home: Home) -> None:
    with pytest.raises(StoreError, match="has not been run here"):
        leaderboards.board("other", home)


def test_rows_that_know_different_things_are_apart(tmp_path) -> None:
    home = Home(tmp_path)
    told = Row(label="told", cells={seed: Off(0.5) for seed in SEEDS})
    store = make_store(home.store, (*ROWS[1:], told))
    plan = store.plan("small")
    *others, last = plan.rows
    rows = (*others, dataclasses.replace(last, knowledge="mosei@own"))
    store.put_plan("small", dataclasses.replace(plan, rows=rows))
    shown = leaderboards.board("small", home)._repr_html_()
    tables = re.findall(r"<table>.*?</table>", shown)
    assert [("told" in table, "TFN" in table) for table in tables] == [
        (False, True),
        (True, False),
    ]
    assert "<h5>Also learned from mosei@own</h5>" in shown
