"""A section is one file and one line: it stands in Markdown, on the page and in the data."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import re
from pathlib import Path

import pytest

import leaderboards
from harness.data.leak_gate import LeakFigures, LeakGate
from harness.tests.stores import SEEDS, Constant, Off, Row, make_corpus, make_store
from leaderboards import sections
from leaderboards.document import (
    Block,
    Bullets,
    ByMetric,
    Document,
    Drawing,
    Fold,
    Heading,
    Part,
    PerFormat,
    Results,
    Table,
    left,
    right,
    text,
)
from leaderboards.model import gather, once
from leaderboards.rendering import escape, render_blocks, render_html, render_markdown
from leaderboards.sections import ORDER, BoardSection, CorpusSection, compose, records

ROWS = (
    Row(label="Far", cells={s: Off(1.2) for s in SEEDS}),
    Row(label="Near <b>", cells={s: Off(0.4) for s in SEEDS}),
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)
CORPORA = ("mosi@own", "sims@own")
CORPUS_SECTION = '''
"""How far the worst prediction of each row is off."""

from leaderboards.document import Heading, Table, left, right, text
from leaderboards.sections import CorpusSection


def _worst(grid, row):
    return max(abs(run.pred - grid.truth.labels).max() for run in row.runs)


def _blocks(grid):
    yield Heading(3, text("Worst predictions"))
    yield Table(
        columns=(*left("System"), *right("Off by")),
        rows=tuple((row.label, f"{_worst(grid, row):.1f}") for row in grid.rows),
        caption="Worst predictions",
    )


SECTION = CorpusSection(
    name="worst", blocks=_blocks, fields=lambda grid, row: {"worst": float(_worst(grid, row))}
)
'''
BOARD_SECTION = '''
"""Who to thank."""

from leaderboards.document import Bullets, Heading, bold, text
from leaderboards.sections import BoardSection


def _blocks(board):
    yield Heading(2, text("Thanks"))
    yield Bullets((text("To ", bold("everybody & all"), "."),))


SECTION = BoardSection(
    name="thanks", title="Thanks", blocks=_blocks, records=lambda board: [{"thanks": board.suite}]
)
'''


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    corpora = [make_corpus(name) for name in CORPORA]
    return gather(make_store(tmp_path_factory.mktemp("store"), ROWS, corpora), "small")


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Writes one file into a package outside the project and imports its section."""
    package = tmp_path / "outside_sections"
    package.mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def added(name: str, source: str) -> sections.Section:
        (package / f"{name}.py").write_text(source, "utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(f"outside_sections.{name}").SECTION

    return added


def test_a_section_of_corpora_is_one_file_and_one_line(board, add) -> None:
    place = next(i for i, section in enumerate(ORDER) if section.name == "making")
    section = add("worst", CORPUS_SECTION)
    order = (*ORDER[:place], section, *ORDER[place:])
    document = compose(board, order)
    markdown, page = render_markdown(document), render_html(document)
    for shown, heading, before, after in (
        (markdown, "### Worst predictions", "| System ", "### How the rows were made"),
        (page, "<h3>Worst predictions</h3>", 'class="results"', "How the rows were made"),
    ):
        assert shown.count(heading) == len(CORPORA)
        assert shown.index(before) < shown.index(heading) < shown.index(after)
    assert re.search(r"\| Near &lt;b&gt; +\| +\d\.\d \|", markdown)
    assert "Near &lt;b&gt;" in page and "Near <b>" not in page
    found = records(board, order)
    assert [record.pop("worst") > 0 for record in found] == [True] * len(found)
    assert found == records(board)


ERROR = LeakFigures(clue=0.4, transcript=1.1, difference=-0.7, low=-0.9, high=-0.5)
SIGNS = LeakFigures(clue=0.98, transcript=0.6, difference=0.38, low=0.3, high=0.46)
GATE = LeakGate(version=1, clips=240, videos=24, mae=ERROR, acc3=SIGNS)
FINE = dataclasses.replace(GATE, mae=dataclasses.replace(ERROR, high=0.1))


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (GATE, "**LABEL LEAK SUSPECTED"),
        (FINE, "Leak gate: explanations alone MAE 0.400,"),
        (LeakGate(version=1, clips=3, videos=2, why_not="too few"), "not measured: too few"),
        (None, "leak gate: not measured"),
    ],
)
def test_a_board_says_whether_explanations_know_the_label(tmp_path, gate, said) -> None:
    told = {} if gate is None else {"leak_gate": gate.json()}
    corpus = dataclasses.replace(make_corpus("mosi@own"), manifest={"explanations": told})
    found = gather(make_store(tmp_path, ROWS, [corpus, make_corpus("sims@own")]), "small")
    document = compose(found, ORDER)
    markdown, page = render_markdown(document), render_html(document)
    assert said in markdown
    for shown, table in ((markdown, "| System "), (page, 'class="results"')):
        assert shown.count(said.lstrip("*")) == 1, "of the corpus with explanations alone"
        assert shown.index(said.lstrip("*")) < shown.index(table)


def test_a_section_of_boards_is_one_file_and_one_line(board, add) -> None:
    order = (*ORDER, add("thanks", BOARD_SECTION))
    document = compose(board, order)
    markdown, page = render_markdown(document), render_html(document)
    assert markdown.endswith("\n\n## Thanks\n\n- To **everybody &amp; all**.\n")
    assert '<a href="#thanks">Thanks</a>' in page
    assert '<section id="thanks" aria-labelledby="thanks-title">' in page
    assert records(board, order)[-1] == {"thanks": "small"}


def test_a_board_shows_the_sections_of_order_and_no_other(board, add, monkeypatch) -> None:
    """What users run reads the list: the one line is enough."""
    before = render_markdown(compose(board))
    order = (*ORDER, add("thanks", BOARD_SECTION))
    monkeypatch.setattr(compose, "__defaults__", (order,))
    after = leaderboards.render(board.store, "small")
    assert after.startswith(before.removesuffix("\n")) and "## Thanks" in after


def test_names_of_sections_are_unique_and_every_section_can_be_left_out(board) -> None:
    names = [section.name for section in ORDER]
    assert len(set(names)) == len(names)
    whole = render_markdown(compose(board))
    for left_out in ORDER:
        rest = tuple(section for section in ORDER if section is not left_out)
        document = compose(board, rest)
        assert len(render_markdown(document)) <= len(whole)
        assert render_html(document).endswith("</html>\n")


def test_sections_say_nothing_where_there_is_nothing_to_say(board) -> None:
    said = {
        section.name: tuple(section.blocks(board))
        for section in ORDER
        if isinstance(section, BoardSection)
    }
    silent = [name for name, blocks in said.items() if not blocks]
    assert silent == ["absent", "transfers", "convention", "literature"]
    of_corpus = {
        section.name: tuple(section.blocks(board.grids[0]))
        for section in ORDER
        if isinstance(section, CorpusSection)
    }
    silent = [name for name, blocks in of_corpus.items() if not blocks]
    assert silent == [
        *("slices", "crossing", "reliability", "zero_shot", "submissions", "common_clips"),
        *("ceilings", "missing"),
    ]


def test_an_answer_is_computed_once_and_goes_with_its_object() -> None:
    @dataclasses.dataclass(frozen=True)
    class Box:
        side: int

    calls = itertools.count()

    @once
    def volume(box: Box) -> int:
        next(calls)
        return box.side**3

    box = Box(2)
    assert [volume(box), volume(box)] == [8, 8]
    assert volume(dataclasses.replace(box, side=3)) == 27
    assert volume(Box(2)) == 8, "equal objects are other objects"
    assert next(calls) == 3


TABLE = Table(
    columns=(*left("A|B"), *right("n")),
    rows=(("x_", Drawing(words="1 – 2", value=1.5, low=1, high=2, last=3)),),
    notes=("A note.",),
    caption="Numbers",
)


@pytest.mark.parametrize(
    ("block", "markdown"),
    [
        (Heading(3, text("A ", "*b*")), [r"### A \*b\*"]),
        (Bullets((text("one"), text("two"))), ["- one\n- two"]),
        (
            Fold(title="More", blocks=(text("in"),)),
            ["<details>\n<summary>More</summary>", "in", "</details>"],
        ),
        (PerFormat(file=(text("file"),), page=(text("page"),)), ["file"]),
        (TABLE, ["| A\\|B   |     n |\n|:-------|------:|\n| x\\_    | 1 – 2 |\n\n1. A note."]),
    ],
)
def test_blocks_in_markdown(block: Block, markdown: list[str]) -> None:
    assert list(render_blocks([block])) == markdown


def test_what_only_a_page_can_show_is_refused_in_a_file() -> None:
    for block in (ByMetric({}), Results(caption="", lines=(), metrics=(), ranked=0)):
        with pytest.raises(TypeError, match="put it into PerFormat"):
            list(render_blocks([block]))


def test_a_document_without_numbers_is_a_page_too() -> None:
    part = Part(name="only", title="Only", blocks=(Heading(2, text("Only")), TABLE))
    page = render_html(Document(title="<t>", about="about", parts=(part,)))
    assert page.count("<table>") == 1 and "1 – 2" in page and "<svg" in page
    assert "A note." in page and "<t>" not in page
    assert escape("<t>") in render_markdown(Document(title="<t>", about="", parts=(part,)))


def test_corpora_of_one_dataset_are_told_apart_in_the_table_of_contents(tmp_path: Path) -> None:
    corpora = [make_corpus(f"mosi@{name}") for name in ("label-csv", "aligned-50")]
    rows = [Row(label="a", cells={seed: Off(0.2) for seed in SEEDS})]
    store = make_store(tmp_path / "store", rows, [*corpora, make_corpus("sims@label-csv")])
    found = compose(gather(store, "small"))
    titles = [part.title for part in found.parts if part.name.startswith("corpus-")]
    assert titles == ["CMU-MOSI (label-csv)", "CMU-MOSI (aligned-50)", "CH-SIMS"]
