"""The published fidelity page says what the code says today, where that is cheap to find out."""

from __future__ import annotations

from pathlib import Path

import pytest

import leaderboards
from harness.checks.fidelity import measure_size, quirks
from harness.cli.study._fidelity_report import FidelityReport, declared, document
from harness.data.datasets import datasets
from harness.system import systems
from leaderboards.literature import parameter_counts, reference_runs
from leaderboards.rendering import escape, render_html, render_markdown
from leaderboards.studies.parity_record import read_parity_rows

PUBLISHED = Path(leaderboards.__file__).parent / "published"
PAGE = (PUBLISHED / "fidelity.md").read_text("utf-8")
MEASURED = ("tfn", "misa", "mult", "self_mm", "text@published", "lnln")


def section(title: str) -> list[str]:
    """The lines of a part."""
    _, found = PAGE.split(f"\n## {title}\n", 1)
    return found.split("\n## ", 1)[0].splitlines()


def cells(title: str, name: str) -> list[list[str]]:
    """The cells of a system's rows in the table of a part."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section(title)]
    return [row[1:] for row in rows if row[0] == name]


def test_every_system_stands_in_the_summary_once() -> None:
    listed = [line.split("|")[1].strip() for line in section("Summary") if line.startswith("| ")]
    assert listed[1:] == list(systems)


@pytest.mark.parametrize("name", MEASURED)
def test_sizes_are_measured_anew(name: str) -> None:
    system = systems[name]
    known = {one.dataset: one for one in parameter_counts() if one.system == name}
    (row,) = cells("Size", name)
    quirk = "published" if "published" in quirks(system) else quirks(system)[0]
    for cell, (dataset, about) in zip(row, datasets.items(), strict=True):
        features = (
            known[dataset].features
            if dataset in known
            else next(shape for shape in about.shapes if shape.startswith("unaligned"))
        )
        size = measure_size(system, about, features, quirk)
        assert cell.split(" ")[0] == ("·" if size.parameters is None else f"{size.parameters:,}")


def test_declared_differences_are_those_of_the_cards() -> None:
    told = [line for line in section("Declared differences") if line.startswith("- ")]
    every = [f"- {escape(f'{s.name}, {line}')}" for s in systems.values() for line in declared(s)]
    assert told == every


def test_figures_of_parity_are_those_of_the_records() -> None:
    rows = read_parity_rows()
    assert rows
    known = {row.system for row in rows} & set(systems)
    for name in known:
        own = [row for row in rows if row.system == name]
        assert [row[-1] for row in cells("Parity", name)] == [row.verdict for row in own]
        assert [row[1] for row in cells("Parity", name)] == [row.shape for row in own]


def test_what_released_code_reaches_is_of_the_reference_runs() -> None:
    for runs in reference_runs():
        if runs.registered:
            values = runs.values["mae"]
            (row,) = [
                r for r in cells("Published, reached, ours", runs.registered) if r[1] == "MAE"
            ]
            mean = float(row[3].partition(" ")[0])
            assert mean == pytest.approx(sum(values) / len(values), abs=1e-4)


def test_the_page_has_the_headings_of_the_file() -> None:
    page = (PUBLISHED / "fidelity.html").read_text("utf-8")
    for line in PAGE.splitlines():
        if line.startswith("## "):
            assert f"<h2>{line[3:]}" in page or f">{line[3:]}</h2>" in page
    assert page.count("<table") == PAGE.count("\n| System")


def test_nothing_a_card_says_is_markup() -> None:
    drawn = document([FidelityReport(system=systems["misa"])])
    assert "<script>alert" not in render_html(drawn)
    assert render_markdown(drawn).endswith("\n")
