"""A board as LaTeX: tables, methods, references; and a document of them that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.runs.store import RunStore
from harness.tests.stores import SEEDS, Constant, NotRun, Off, Row, make_corpus, make_store
from leaderboards.document import Table, left, right
from leaderboards.model import Board, gather
from leaderboards.paper import FILES, Work, references, tables, write_paper
from leaderboards.rendering import escape_latex, latex_table

ROWS = (
    Row(label="mean_50%", cells={0: Constant()}, deterministic=True, reference=True),
    Row(label="TFN & co_1", cells={seed: Off(0.2 + 0.05 * i) for i, seed in enumerate(SEEDS)}),
    Row(label="情感 {x}", cells={seed: Off(1.1) for seed in SEEDS[:2]} | {SEEDS[2]: NotRun()}),
    Row(label="a<b>$^~\\", cells={seed: Off(1.4 + 0.1 * i) for i, seed in enumerate(SEEDS)}),
)
WORK = Work(
    named="Zadeh, Chen, Poria. Tensor Fusion: 50 % of M&M_s. EMNLP 2017; as implemented in MMSA",
    year=2017,
    url="https://aclanthology.org/D17-1115",
)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    corpora = [make_corpus("mosi@unaligned-50"), make_corpus("sims-twin@compact")]
    make_store(tmp_path / "store", list(ROWS), corpora)
    return gather(RunStore(tmp_path / "store"), "small")


def works(board: Board) -> dict[str, Work]:
    return {row.system: WORK for row in board.grids[0].rows}


def test_words_are_taken_literally() -> None:
    assert escape_latex(r"a_b & 50 % {x} \y $1 #2 ~ ^") == (
        r"a\_b \& 50 \% \{x\} \textbackslash{}y \$1 \#2 \textasciitilde{} \textasciicircum{}"
    )
    assert escape_latex("–¹² ± ● 情") == (r"--\textsuperscript{12} $\pm$ $\bullet$ \texttt{U+60C5}")


def test_a_table_has_its_cells_notes_and_remarks() -> None:
    table = Table(
        columns=(*left("System"), *right("MAE ↓")),
        rows=(("a_b", "0.5 ± 0.1"), ("c", "–¹")),
        notes=("Undefined.",),
        caption="Results, 95 %",
    )
    drawn = latex_table(table, label="tab:x", remarks=("a_b: near-constant.",))
    assert r"\begin{tabular}{@{}lr@{}}" in drawn
    first, second = r"a\_b & 0.5{\scriptsize\,$\pm$\,0.1} \\", r"c & --\textsuperscript{1} \\"
    assert f"\\midrule\n{first}\n{second}\n\\bottomrule" in drawn
    assert r"\textsuperscript{1}~Undefined.\par" in drawn
    assert r"a\_b: near-constant.\par" in drawn
    assert r"\caption{Results, 95 \%}" in drawn


def test_tables_say_what_the_board_says(board: Board) -> None:
    real, twin = tables(board).split(r"\end{table*}")[:2]
    assert "SYNTHETIC TWIN" in twin
    assert "SYNTHETIC" not in real
    assert r"\label{tab:small-mosi-unaligned-50}" in real
    (line,) = re.findall(r"TFN \\& co\\_1 &.*", real)
    assert "3/3" in line
    assert r"$\pm$" in line
    (hole,) = re.findall(r".*U\+60C5.*2/3.*", real)
    assert r"$\cdot$" in hole  # a row with a hole has no rank
    assert "Own split, not comparable" in real


def test_metrics_and_corpora_are_chosen_and_the_one_that_ranks_stays(board: Board) -> None:
    shown = tables(board, corpora=["mosi@unaligned-50"], shows=["acc7", "corr"])
    assert shown.count(r"\begin{table*}") == 1
    heads = re.search(r"\\toprule\n(.*)\\\\\n\\midrule", shown)
    assert heads is not None
    assert re.findall(r"Rank,|MAE|Acc-7|Corr|F1", heads[1]) == [
        "Rank,",
        "MAE",
        "MAE",
        "Acc-7",
        "Corr",
    ]
    with pytest.raises(SpecError, match="has no metric 'acc9'"):
        tables(board, shows=["acc9"])
    with pytest.raises(SpecError, match="mosei@x is not on the board of small"):
        tables(board, corpora=["mosei@x"])


def test_methods_follow_from_plan_and_runs(board: Board, tmp_path: Path) -> None:
    write_paper(board, tmp_path / "paper", works={})
    said = (tmp_path / "paper" / "methods.tex").read_text("utf-8")
    assert r"8 train clips of 4 source videos, 6 valid clips of 3" in said
    assert "a synthetic twin of CH-SIMS" in said
    assert "at most 100 epochs and ends after 8 epochs without a better validation MAE" in said
    assert "2 to 3 training seeds (1111, 1112, 1113)" in said
    assert "2 of 18 planned runs are missing" in said
    assert set(re.findall(r"\\cite\{([^}]*)\}", said)) >= {"msaharness", "data:mosi", "data:sims"}


def test_what_is_cited_is_in_the_references(board: Board, tmp_path: Path) -> None:
    write_paper(board, tmp_path / "paper", works=works(board))
    said = (tmp_path / "paper" / "methods.tex").read_text("utf-8")
    found = (tmp_path / "paper" / "references.bib").read_text("utf-8")
    for keys in re.findall(r"\\cite\{([^}]*)\}", said):
        for key in keys.split(","):
            assert f"{{{key}," in found
    assert r"title = {{Tensor Fusion: 50 \% of M\&M\_s}}" in found
    assert "author = {Zadeh and Chen and Poria}" in found
    assert "author = {Yu and others}" in references(board, board.grids, {})


def test_the_same_board_gives_the_same_bytes(board: Board, tmp_path: Path) -> None:
    first, again = (
        [path.read_bytes() for path in write_paper(board, tmp_path / name, works=works(board))]
        for name in ("a", "b")
    )
    assert first == again


@pytest.mark.slow
@pytest.mark.latex
def test_the_document_compiles(board: Board, tmp_path: Path) -> None:
    """Two runs of pdfLaTeX around BibTeX: no error, no reference left open."""
    if shutil.which("pdflatex") is None or shutil.which("bibtex") is None:
        pytest.skip("pdflatex and bibtex are not installed")
    folder = tmp_path / "paper"
    assert [path.name for path in write_paper(board, folder, works=works(board))] == [*FILES]
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    for command in (latex, ["bibtex", "paper"], latex, latex):
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (folder / "paper.pdf").stat().st_size > 10_000
    log = (folder / "paper.log").read_text(errors="replace")
    assert "undefined" not in log.lower().replace("undefined in at", "")
    assert "Missing character" not in log
