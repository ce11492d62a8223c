"""The page on the tests is what the study found, and says so in words and figures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.stats import calibration
from harness.stats.calibration import (
    CANDIDATES,
    CORRECTIONS,
    METRICS,
    PARTS,
    Finding,
    Rate,
    Results,
    Settings,
)
from leaderboards.guide import FOLDER
from leaderboards.guide.calibration import FIGURES, PAGE, RESULTS, render, write


def made_up(part) -> Finding:
    """Rates that tell where they come from."""
    rates: dict[str, Rate] = {}
    numbers = {"spread": 0.031}
    if part.systems > 2:
        for place, name in enumerate(CORRECTIONS):
            rates[f"{name} false"] = Rate(hits=11 + place, of=200)
            for what in ("found", "missed", "best"):
                numbers |= {f"{name} {what}": 0.1 * (place + 1), f"{name} {what} error": 0.01}
        return Finding(numbers=numbers, rates=rates)
    paired = part.design.seeds[0] == part.design.seeds[1] > 1
    for metric in METRICS:
        numbers[f"{metric} difference"] = 0.05 * part.times
        for place, name in enumerate(CANDIDATES):
            if paired or name not in ("paired_t", "wilcoxon"):
                rates[f"{metric} {name} missed"] = Rate(hits=40 + place, of=1000)
                rates[f"{metric} {name} rejected"] = Rate(hits=40 + int(300 * part.times), of=1000)
    return Finding(numbers=numbers, rates=rates)


@pytest.fixture(scope="module")
def found() -> Results:
    findings = {part: made_up(part) for part in PARTS}
    return Results(settings=Settings(replicates=1000), findings=findings)


def test_the_page_in_the_repository_is_that_of_the_results_beside_it() -> None:
    found = Results.loads((FOLDER / RESULTS).read_text("utf-8"))
    assert render(found) == (FOLDER / PAGE).read_text("utf-8")
    assert set(found.findings) == set(PARTS)


def test_numbers_come_from_the_results(found) -> None:
    text = render(found)
    for part in PARTS:
        assert part.design.title in text
    for candidate in CANDIDATES.values():
        assert candidate.title in text
    for number in ("4.0 ± 0.6", "96.0", "5.5 ± 1.6", "0.031"):
        assert f" {number} " in text
    assert re.search(r"errs in 4\.6 % here,\s+and\s+in 4\.6 %", text), "the plug-in reference"
    other = Results(settings=Settings(replicates=1000, seed=3), findings=found.findings)
    assert "--seed 3" in render(other).replace("\n", " ")


def test_lines_are_short_and_tables_are_whole(found) -> None:
    text = render(found)
    for line in text.splitlines():
        assert len(line) <= 110 or line.startswith(("|", "!"))
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1


def test_files_are_written_alike_and_figures_say_what_they_show(found, tmp_path) -> None:
    files, again = (write(found, tmp_path / name) for name in "ab")
    assert [file.name for file in files] == [PAGE, RESULTS, *FIGURES]
    assert [one.read_bytes() for one in files] == [one.read_bytes() for one in again]
    assert Results.loads((tmp_path / "a" / RESULTS).read_text("utf-8")) == found
    svg = "{http://www.w3.org/2000/svg}"
    for name in FIGURES:
        root = ElementTree.parse(tmp_path / "a" / name).getroot()
        assert root.findtext(f"{svg}title")
        assert len(re.findall(r"\d+\.\d", root.findtext(f"{svg}desc"))) > 20
        assert f"({name})" in render(found)


def test_the_command_writes_the_page(found, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(calibration, "run", lambda *_, **__: iter(()))
    monkeypatch.setattr(calibration, "load", lambda *_, **__: found)
    words = ["--home", str(tmp_path), "study", "calibration", "--out", str(tmp_path / "docs")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert (tmp_path / "docs" / PAGE).read_text("utf-8") == render(found)
    assert done.stderr.count("written: ") == 2 + len(FIGURES)
