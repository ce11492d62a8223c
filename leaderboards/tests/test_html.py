"""The page of a board: true to the Markdown, self-contained, well-formed, closed to injection."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics import metrics, metrics_for
from harness.submissions import Badge
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
from leaderboards import numbers
from leaderboards.document import Bullets, Document, Heading, Part, bold, code, one_line, text
from leaderboards.literature import for_board, lines, table
from leaderboards.model import Board, across, analyse, gather, ordered
from leaderboards.rendering import render_html
from leaderboards.rendering.html.drawings import Axis
from leaderboards.rendering.html.markup import tag
from leaderboards.rendering.html.numbers import number
from leaderboards.sections import compose
from leaderboards.sections.results import table as results_table

VOID = ("meta", "link", "input", "circle", "path", "use")
ROWS = (
    Row(label="TFN", cells={s: Off(1.2) for s in SEEDS}, changed={"hidden": 32}),
    Row(label="MulT", cells={1111: Off(0.9), 1112: Failed("loss became nan"), 1113: NotRun()}),
    Row(label="MAG", cells={s: Off(0.4) for s in SEEDS}, text="T-BERT", encoder="minilm-l6"),
    Row(label="Ridge", cells={0: Off(0.8)}, deterministic=True, epochs=0),
    Row(label="Once", cells={1111: Off(0.7)}),
    Row(label="Collapsed", cells={1111: Off(1.0), 1112: Constant(), 1113: Constant()}),
    Row(label="MISA", cells={s: NotApplicable("needs vision features") for s in SEEDS}),
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)
CORPORA = ("mosi@own", "mosi-twin@compact", "sims@unaligned-39")
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    "</script><script>window.hacked=1</script>",
    "\"' onmouseover='window.hacked=1' x=\"",
    "--></style><svg onload=alert(1)>",
    "javascript:alert(1)//[x](javascript:alert(1))",
    "&lt;b&gt;&#60;script&#62; a\u2028b\u2029c\x00\x1b[31m\u202egnp.exe",
)


@dataclass
class Node:
    """An element as a browser would see it."""

    name: str
    attributes: dict[str, str | None]
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def all(self, name: str = "", **attributes: str) -> Iterator[Node]:
        for child in self.children:
            if isinstance(child, Node):
                given_ = child.attributes
                named = not name or child.name == name
                if named and all(given_.get(k.strip("_")) == v for k, v in attributes.items()):
                    yield child
                yield from child.all(name, **attributes)


class Strict(HTMLParser):
    """Refuses anything that a browser would have to repair."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack = [Node("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {attrs}"
        node = Node(tag, dict(attrs))
        self.stack[-1].children.append(node)
        if tag not in VOID:
            self.stack.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(page: str) -> Node:
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert len(parser.stack) == 1, "an element is not closed"
    return parser.stack[0]


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Board:
    root = tmp_path_factory.mktemp("store")
    return gather(make_store(root, ROWS, [make_corpus(name) for name in CORPORA]), "small")


@pytest.fixture(scope="module")
def page(board) -> Node:
    return parse(render_html(compose(board)))


def sections(page: Node) -> list[Node]:
    return [s for s in page.all("section") if "corpus" in str(s.attributes.get("class"))]


def results(section: Node) -> dict[str, list[Node]]:
    """Rows of the main table by label; the name is the first cell."""
    body = next(next(section.all("table", class_="results")).all("tbody"))
    rows = [[c for c in row.children if isinstance(c, Node)] for row in body.all("tr")]
    return {next(cells[0].all(class_="label")).text: cells for cells in rows}


def test_the_same_store_gives_the_same_bytes_in_any_order_of_commits(tmp_path) -> None:
    corpora = [make_corpus(name) for name in CORPORA[:2]]
    one = gather(make_store(tmp_path / "one", ROWS, corpora), "small")
    other = gather(make_store(tmp_path / "other", ROWS, corpora, backwards=True), "small")
    assert render_html(compose(one)) == render_html(compose(other))
    assert str(tmp_path) not in render_html(compose(one))


def test_every_score_is_the_one_of_the_markdown_board(board, page) -> None:
    for section, grid in zip(sections(page), board.grids, strict=True):
        shown, columns = results(section), len(metrics_for(grid.corpus.dataset, primary=True))
        expected = {cells[0]: cells[-columns:] for cells in results_table(grid).rows}
        assert list(shown) == list(expected), "rows in board order"
        for label, cells in shown.items():
            for ours, theirs in zip(cells[-columns:], expected[label], strict=True):
                said = ours.text.replace("−", "-").replace("not separated from the best ", " ")
                assert ours.text.startswith(("●", "○")) == theirs.startswith(("●", "○"))
                if theirs.startswith(numbers.UNDEFINED):
                    assert said.startswith(numbers.UNDEFINED) and "undefined" in said
                else:
                    assert said.split() == theirs.replace("±", " ± ").split()


def test_rank_sets_and_tie_groups_are_words_too(board, page) -> None:
    grid = board.grids[0]
    for metric_place, metric in enumerate(metrics_for(grid.corpus.dataset, primary=True)):
        ranking = analyse(grid).rankings[metric.name]
        for label, cells in results(sections(page)[0]).items():
            found = list(cells[2].all("span", **{"data-metric": str(metric_place)}))
            if label not in ranking.names:
                assert "not ranked" in cells[2].text
                continue
            best, worst = ranking.rank_of(label)
            words = f"{best}" if best == worst else f"{best}–{worst}"
            assert found[0].text.removesuffix("top tie group").rstrip("●○") == words
            assert ("top tie group" in found[0].text) == (label in ranking.leaders)
            exploratory = metric.name != grid.selection.name
            for mark in found[0].all("span", class_="tied"):
                assert mark.text == ("○" if exploratory else "●")
        headings = sections(page)[0].all("th", class_="ranks")
        (heading,) = next(headings).all("span", **{"data-metric": str(metric_place)})
        assert ("exploratory" in heading.text) == exploratory


def test_seed_dots_stand_where_the_axis_puts_their_values(board, page) -> None:
    grid = board.grids[0]
    rows = {row.label: row for row in ordered(grid)}
    drawn, values = [], []
    for label in ("TFN", "MAG", "Ridge", "Once"):
        svg = next(results(sections(page)[0])[label][3].all("svg"))
        drawn += sorted(float(c.attributes["cx"] or "nan") for c in svg.all("circle"))
        values += sorted(rows[label].values("mae"))
    slope, intercept = np.polyfit(values, drawn, 1)
    assert slope > 0
    assert np.allclose(np.array(values) * slope + intercept, drawn, atol=0.1)


@given(st.floats(-3, 3), st.floats(1e-6, 5))
def test_an_axis_has_a_handful_of_round_ticks_inside_it(low: float, reach: float) -> None:
    axis = Axis(low, low + reach)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 11
    assert all(low - 1e-9 <= tick <= axis.high + 1e-9 for tick in ticks)
    assert 0 <= float(axis(low)) < float(axis(axis.high)) <= axis.width


def test_what_is_missing_is_said_with_its_reason(page) -> None:
    shown = results(sections(page)[0])
    assert "not ranked: 2 of 3 seeds missing" in shown["MulT"][2].text
    assert "not ranked: constant predictor" in shown["mean"][2].text
    assert shown["MISA"][1].text == "n/a"
    assert "not ranked: one run of a system that seeds change" in shown["Once"][2].text
    assert "not ranked" not in shown["Ridge"][2].text, "no seed changes it"
    assert "undefined in 2 of 3" in shown["Collapsed"][5].text
    holes = sections(page)[0].text
    assert "loss became nan" in holes and "needs vision features" in holes


def test_undefined_cells_have_no_sort_key_and_others_the_unrounded_value(board, page) -> None:
    shown = results(sections(page)[0])
    means = {row.label: np.mean(row.values("mae")) for row in board.grids[0].rows if row.runs}
    for label, mean in means.items():
        assert float(shown[label][4].attributes["data-sort"] or "") == pytest.approx(mean, rel=1e-8)
    assert "data-sort" not in shown["Collapsed"][5].attributes
    assert "data-sort" not in shown["MISA"][4].attributes


def test_every_seed_is_in_the_details(board, page) -> None:
    grid = board.grids[0]
    every = [d for d in sections(page)[0].all("details") if d.text.startswith("Every seed")]
    lines = [[c.text for c in row.children if isinstance(c, Node)] for row in every[0].all("tr")]
    mae = {(line[0], line[1]): line[2] for line in lines[1:]}
    expected = {
        (row.label, "det." if row.deterministic else str(run.seed)): f"{run.scores['mae']:.3f}"
        for row in grid.rows
        for run in row.runs
    }
    assert mae == expected


def squares(section: Node) -> list[dict[str, Any]]:
    """What the script draws pairs from, metric by metric."""
    found = (node.attributes.get("data-pairs") for node in section.all("div"))
    return [unpacked(json.loads(data)) for data in found if data]


def unpacked(data: dict[str, Any]) -> dict[str, Any]:
    pairs = [read(packed) for packed in data["pairs"].split(";")]
    return data | {"names": data["names"].split("\n"), "pairs": pairs}


def read(packed: str) -> list[Any] | None:
    """A pair as the script reads it: effect, low, high, verdict, p."""
    if not packed:
        return None
    effect, below, above, verdict, *p = (
        int(field) if field.removeprefix("-").isdecimal() else field for field in packed.split(",")
    )
    numeric = all(isinstance(value, int) for value in (effect, below, above))
    ends = (effect - below, effect + above) if numeric else (below, above)
    return [effect, *ends, verdict, *(p or [0])]


def test_pairs_are_data_that_says_what_the_tests_say(board, page) -> None:
    grid = board.grids[0]
    shown, count = metrics_for(grid.corpus.dataset, primary=True), len(analyse(grid).rankings)
    for metric, data in zip(shown, squares(sections(page)[0])[:count], strict=True):
        ranking = analyse(grid).rankings[metric.name]
        assert data["single"] == []
        assert tuple(data["names"]) == ranking.names
        assert data["caption"] == f"{metric.title}, row minus column"
        by_pair = {(p.a, p.b): p for p in ranking.pairs}
        combinations = itertools.combinations(ranking.names, 2)
        for (one, other), packed in zip(combinations, data["pairs"], strict=True):
            pair = by_pair.get((one, other))
            if pair is None:
                assert packed is None
                continue
            effect, low, high, verdict, p = packed
            for units, value in ((effect, pair.effect), (low, pair.low), (high, pair.high)):
                printed = units if isinstance(units, str) else units / 10 ** data["decimals"]
                assert float(printed) == float(numbers.number(value, metric))
            assert data["verdicts"][verdict] == pair.verdict()
            assert (p == 0) == (pair.p_adjusted < 0.001)
            assert p == 0 or p / 1000 == pytest.approx(pair.p_adjusted, abs=5e-4)


def test_the_words_below_pairs_say_what_the_p_values_are_adjusted_for(board, page) -> None:
    ranking = analyse(board.grids[0]).rankings["mae"]
    keys = [node.text for node in sections(page)[0].all("p", class_="key")]
    (key, *_) = (text for text in keys if "p-values" in text)
    assert f"adjusted for all {len(ranking.pairs)} pairs" in key
    assert "Tinted" not in key


def test_pairs_with_a_single_run_are_of_checkpoints(board, page) -> None:
    grid = board.grids[0]
    shown = metrics_for(grid.corpus.dataset, primary=True)
    every = squares(sections(page)[0])[len(shown) :]
    for metric, data in zip(shown, every, strict=True):
        assert data["caption"].startswith(f"{metric.title}, row minus column, of single runs")
        assert [data["names"][place] for place in data["single"]] == ["Once"]
        pairs = itertools.combinations(data["names"], 2)
        for pair, packed in zip(pairs, data["pairs"], strict=True):
            assert packed is None or "Once" in pair
    keys = [node.text for node in sections(page)[0].all("p", class_="key")]
    assert sum("Tinted: one run of a system that seeds change" in key for key in keys) == len(shown)


def test_a_synthetic_twin_says_so_and_nothing_else_does(page) -> None:
    for section, name in zip(sections(page), CORPORA, strict=True):
        banners = list(section.all(class_="banner"))
        assert len(banners) == ("-twin@" in name)
        assert ("SYNTHETIC TWIN" in section.text) == ("-twin@" in name)


def test_average_ranks_stand_on_the_page(board, page) -> None:
    shown = next(page.all("section", id="across"))
    (found,) = across(board)
    for row in found.rows:
        assert row.name in shown.text and f"{row.mean:.2f}" in shown.text


def test_what_cannot_be_ranked_stands_in_tables_of_its_own(board) -> None:
    grid = board.grids[0]
    foreign = dataclasses.replace(
        next(row for row in grid.rows if row.label == "TFN"),
        label="Foreign",
        badge=Badge.RECOMPUTED,
        outside="side information: captions",
        side_info="captions",
        flags=("near-constant: predictions hardly spread",),
    )
    corpus = dataclasses.replace(
        grid.corpus, clips={s: c.clips for s, c in grid.corpus.dataset.splits.items()}
    )
    grid = dataclasses.replace(grid, corpus=corpus, submissions=(foreign,))
    page = parse(render_html(compose(dataclasses.replace(board, grids=(grid,)))))
    main, submissions = sections(page)[0].all("table", class_="results")
    assert "Foreign" not in main.text
    (row,) = next(submissions.all("tbody")).all("tr")
    assert "not ranked: side information: captions" in row.text
    assert "near-constant" in row.text and "recomputed" in row.text
    assert row.attributes["data-side"] == "captions"
    (literature,) = next(page.all("section", id="literature")).all("table", class_="results")
    assert len(list(literature.all("tr"))) == len(lines(for_board("mosi"))) + 1 > 10
    for line in next(literature.all("tbody")).all("tr"):
        assert line.attributes["data-badge"] == "literature"
        assert "data-ranked" not in line.attributes


@pytest.mark.parametrize(
    ("metric", "printed", "value", "shown"),
    [
        ("mae", "0.7", 0.7, "0.7"),
        ("mae", "72.46", 0.7246, "0.7246"),
        ("acc7", "46.7", 0.467, "46.7"),
        ("acc7", "46", 0.46, "46"),
        ("acc7", "0.4667", 0.4667, "46.67"),
        ("corr", "-0.050", -0.05, "-0.050"),
    ],
)
def test_published_numbers_keep_the_digits_of_their_source(metric, printed, value, shown) -> None:
    row = dataclasses.replace(table("mmsa")[0], metric=metric, printed=printed, value=value)
    assert row.shown == shown


def test_the_page_asks_for_nothing_and_its_policy_names_its_own_style_and_script(board) -> None:
    page = parse(render_html(compose(board)))
    policy = next(page.all("meta", **{"http-equiv": "Content-Security-Policy"}))
    directives = dict(d.split(maxsplit=1) for d in str(policy.attributes["content"]).split("; "))
    assert directives["default-src"] == "'none'"
    for kind in ("style", "script"):
        (element,) = page.all(kind)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert directives[f"{kind}-src"] == f"'sha256-{digest}'"
        assert not element.attributes
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(", render_html(compose(board)))
    for node in page.all():
        assert node.name not in ("img", "iframe", "object", "base", "embed", "video")
        assert node.name != "link" or node.attributes["rel"] == "expect"
        for name, value in node.attributes.items():
            assert name not in ("src", "srcset", "style", "action", "xlink:href")
            assert not name.startswith("on")
            assert name != "href" or str(value).startswith("#")


def test_tables_have_captions_scopes_and_whole_rows(page) -> None:
    for drawn in page.all("table"):
        assert next(drawn.all("caption")).text.strip()
        rows = [[c for c in row.children if isinstance(c, Node)] for row in drawn.all("tr")]
        assert {len(row) for row in rows} == {len(rows[0])}
        assert all(cell.attributes.get("scope") == "col" for cell in rows[0])
        assert all(row[0].attributes.get("scope") == "row" for row in rows[1:])


def test_identifiers_are_unique_and_links_and_names_lead_somewhere(page) -> None:
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    targets = [str(a.attributes["href"]).removeprefix("#") for a in page.all("a")]
    named = [
        n.attributes["aria-labelledby"] for n in page.all() if "aria-labelledby" in n.attributes
    ]
    assert set(targets) | set(named) <= set(ids)
    assert len(targets) > 4


def test_without_a_script_nothing_is_unreachable(page) -> None:
    """The choice of a metric is a rule of the style sheet, one per metric of the longest table."""
    style = next(page.all("style")).text
    places = {n.attributes["data-metric"] for n in page.all() if "data-metric" in n.attributes}
    assert places == {str(i) for i in range(9)}
    for place in places:
        assert f'.corpus:has([value="{place}"]:checked)' in style
    for section in sections(page):
        chosen = [n for n in section.all("input") if "checked" in n.attributes]
        assert [n.attributes["value"] for n in chosen] == ["0"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_foreign_text_is_text_wherever_it_stands(tmp_path, hostile: str) -> None:
    rows = [
        Row(label=f"a {hostile}", cells={s: Off(0.5) for s in SEEDS}, encoder=hostile),
        Row(label=f"b {hostile}", cells={s: Off(0.9) for s in SEEDS}, text=hostile),
        Row(label="c", cells={1111: Failed(hostile), 1112: Constant(), 1113: NotRun()}),
        Row(label="d", cells={1111: NotApplicable(hostile)}),
    ]
    store = make_store(tmp_path / "hostile", rows, title=hostile)
    harmless = [
        Row(label="a x", cells=rows[0].cells, encoder="x"),
        Row(label="b x", cells=rows[1].cells, text="x"),
        Row(label="c", cells={1111: Failed("x"), 1112: Constant(), 1113: NotRun()}),
        Row(label="d", cells={1111: NotApplicable("x")}),
    ]
    page = render_html(compose(gather(store, "small")))
    tame = render_html(compose(gather(make_store(tmp_path / "tame", harmless, title="x"), "small")))
    assert shape(parse(page)) == shape(parse(tame)), "no element or attribute more"
    assert {f"a {one_line(hostile)}", f"b {one_line(hostile)}"} <= set(
        results(sections(parse(page))[0])
    )
    assert not set("\x00\x1b\u202e\u2028\u2029") & set(page)


def shape(node: Node) -> list[object]:
    inside = [shape(child) for child in node.children if isinstance(child, Node)]
    return [node.name, sorted(node.attributes), inside]


@given(st.text(), st.text())
def test_any_text_comes_back_from_markup_as_it_was(text: str, value: str) -> None:
    node = parse(tag("p", tag("b", text, title=value), " ", text)).children[0]
    assert isinstance(node, Node)
    (bold,) = node.all()
    assert bold.text.strip() == one_line(text)
    assert bold.attributes == {"title": one_line(value)}
    assert " ".join(node.text.split()) == one_line(f"{text} {text}")


@given(st.text(), st.text(), st.text())
def test_any_words_of_a_document_are_the_same_words_on_the_page(
    plain: str, strong: str, typed: str
) -> None:
    words = text(plain, " ", bold(strong), " ", code(typed))
    blocks = (Heading(2, text("Heading")), words, Bullets((words, words)))
    part = Part(name="only", title="Only", blocks=blocks)
    page = parse(render_html(Document(title=plain, about=strong, parts=(part,))))
    (section,) = page.all("section", id="only")
    shown = [*section.all("p"), *section.all("li")]
    assert len(shown) == 3
    for node in shown:
        assert " ".join(node.text.split()) == one_line(f"{plain} {strong} {typed}")
        assert [child.name for child in node.all()] == ["strong", "code"]


def test_results_come_before_what_explains_them(page) -> None:
    names = [section.attributes["id"] for section in page.all("section")]
    assert names == ["corpus-1", "corpus-2", "corpus-3", "across", "protocol", "reading"]
    links = [link.attributes["href"] for link in next(page.all("nav")).all("a")]
    assert links == [f"#{name}" for name in names]


def test_drawings_share_the_grid_lines_of_their_column(page) -> None:
    ids = {node.attributes["id"] for node in page.all("path") if "id" in node.attributes}
    used = {str(node.attributes["href"]).removeprefix("#") for node in page.all("use")}
    assert used and used <= ids


def test_numbers_are_those_of_the_metric() -> None:
    assert number(-0.25, metrics["corr"]) == "−0.250"
    assert numbers.number(0.25, metrics["acc7"], signed=True) == "+25.00"
    assert number(-0.0, metrics["mae"]) == "0.000"
    assert numbers.number(float("nan"), metrics["mae"], signed=True) == numbers.UNDEFINED


def test_a_page_without_results_has_nothing_to_filter() -> None:
    blocks = (Heading(2, text("One")), text("Words."))
    page = render_html(
        Document(title="T", about="A.", parts=(Part(name="one", title="One", blocks=blocks),))
    )
    assert re.search(r'<div hidden><form [^>]*id="filters"', page)
