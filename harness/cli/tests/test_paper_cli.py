"""``msa paper`` as a user runs it."""

from __future__ import annotations

import pytest

from harness.tests.stores import SEEDS, Off, Row, make_corpus, make_store


@pytest.fixture
def stored(home):
    rows = [
        Row(label=name, cells={s: Off(by) for s in SEEDS}) for name, by in (("a", 0.2), ("b", 0.9))
    ]
    make_store(
        home.store, rows, [make_corpus("mosi@unaligned-50"), make_corpus("sims@unaligned-39")]
    )
    return home


def test_it_says_what_it_wrote_and_what_has_no_reference(msa, stored) -> None:
    code, said, complaint = msa("paper", "small")
    assert code == 0
    folder = stored.boards / "small.paper"
    assert [line for line in said.splitlines() if line.startswith("written: ")] == [
        f"written: {folder / name}"
        for name in ("tables.tex", "methods.tex", "references.bib", "paper.tex")
    ]
    assert complaint.count("no reference for system_") == 2  # no such system is registered


def test_part_of_a_board_into_a_folder(msa, stored, tmp_path) -> None:
    asked = ("--corpus", "sims@unaligned-39", "--metric", "corr", "--out", tmp_path / "of" / "mine")
    assert msa("paper", "small", *asked)[0] == 0
    tables = (tmp_path / "of" / "mine" / "tables.tex").read_text("utf-8")
    assert "CH-SIMS" in tables
    assert "CMU-MOSI" not in tables
    assert "F1" not in tables


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("other",), "other"),
        (("small", "--metric", "wer"), "has no metric 'wer'"),
        (("small", "--corpus", "mosei@x"), "mosei@x is not on the board of small"),
    ],
)
def test_wrong_words_write_nothing(msa, stored, words, complaint) -> None:
    code, _, said = msa("paper", *words)
    assert code in (1, 2)
    assert complaint in said
    assert not list(stored.boards.glob("*.paper"))


def test_a_folder_that_cannot_be_made(msa, stored, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    code, _, said = msa("paper", "small", "--out", tmp_path / "file" / "inside")
    assert code == 1
    assert "inside cannot be written" in said
