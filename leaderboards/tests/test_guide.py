"""The guide: its page is the computed one, and its examples are the measured ones."""

from __future__ import annotations

import re
import shlex
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from sklearn.metrics import f1_score

import leaderboards.guide as guide
from harness.cli import app
from harness.stats.calibration import PARTS, PRIMARY, Finding, Rate, pairs
from harness.submissions import Badge
from leaderboards.guide import __main__ as command
from leaderboards.guide.conventions import dead_models, readings, same_scores
from leaderboards.guide.page import FIGURES, render_page
from leaderboards.guide.resolution import (
    MOSEI,
    MOSI,
    SEEDS,
    SHOWN,
    detectable,
    detectable_mae,
    false_positives,
)

MADE_UP = {
    seeds: Finding(
        numbers={},
        rates={
            f"mae {test} missed": Rate(hits=seeds + place, of=100)
            for place, test in enumerate(SHOWN, 1)
        },
    )
    for seeds in SEEDS
}


@pytest.fixture
def made_up(monkeypatch) -> None:
    monkeypatch.setattr(guide, "_simulated", lambda: MADE_UP)


@pytest.fixture
def page() -> str:
    return (guide.FOLDER / guide.PAGE).read_text("utf-8")


def share(finding: Finding, test: str) -> float:
    return finding.rate("mae", test, "missed").share


@pytest.mark.slow
def test_the_page_in_the_repository_is_the_computed_one() -> None:
    assert guide.check() == []
    found = guide._simulated()
    paired = [share(found[seeds], "paired_t") for seeds in SEEDS]
    assert paired == sorted(paired) and paired[1] > 0.1 and paired[-1] > 0.3
    assert all(0.035 < share(found[seeds], PRIMARY) < 0.065 for seeds in SEEDS)
    assert share(found[5], "wilcoxon") == 0


def test_the_two_pages_simulate_the_same_comparisons(monkeypatch) -> None:
    from leaderboards.guide import resolution

    asked = []
    monkeypatch.setattr(resolution, "find", lambda part, *_, **__: asked.append(part))
    false_positives()
    assert [part.design.seeds for part in asked] == [(seeds, seeds) for seeds in SEEDS]
    assert [part in PARTS for part in asked] == [True, True, True, False]


def test_what_was_written_is_unchanged_and_every_change_is_seen(made_up, tmp_path) -> None:
    files = guide.write(tmp_path)
    assert [file.name for file in files] == [guide.PAGE, *FIGURES]
    assert guide.check(tmp_path) == []
    text = files[0].read_text("utf-8")
    files[0].write_text(text.replace("0.857", "0.858", 1), "utf-8")
    assert any(line.startswith("-") and "0.858" in line for line in guide.check(tmp_path))
    files[0].write_text(text, "utf-8")
    figure = files[1].read_text("utf-8")
    files[1].write_text(re.sub("<desc>.*</desc>", "<desc></desc>", figure), "utf-8")
    assert [line.split(": ")[0] for line in guide.check(tmp_path)] == ["acc2.svg"]
    files[1].unlink()
    assert len(guide.check(tmp_path)) == 2, "title and description"


@pytest.mark.parametrize(("differences", "code"), [([], 0), (["-a", "+b"], 1)])
def test_the_command_fails_on_a_difference(monkeypatch, capsys, differences, code) -> None:
    monkeypatch.setattr(command, "check", lambda: differences)
    assert command.main(["--check"]) == code
    assert capsys.readouterr().out.splitlines() == (differences or ["unchanged"])


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_in_words_what_it_shows(name) -> None:
    root = ElementTree.parse(guide.FOLDER / name).getroot()
    svg = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{svg}title")
    numbers = re.findall(r"\d+\.\d+", root.findtext(f"{svg}desc"))
    assert len(numbers) >= 5
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", (guide.FOLDER / name).read_text())


def test_one_prediction_vector_has_five_accuracies() -> None:
    found = readings()
    assert [reading.value for reading in found] == pytest.approx([0.7, 0.75, 6 / 7, 0.875, 0.9])
    for reading in found:
        assert reading.value == pytest.approx(reading.right / reading.counted)
        assert reading.users


MEASURED = {  # by running the repositories' own code on the ten clips
    "MMSA": (0.700, 0.703, 0.875, 0.873, 0.700, 0.884),
    "TEXT": (0.700, 0.697, 0.875, 0.877, 0.700, 0.884),
    "KuDA": (0.700, 0.697, 0.875, 0.877, 0.700, 0.884),
    "MulT": (None, None, 0.875, 0.877, 0.700, 0.884),
    "MulT, zeros kept": (0.900, 0.903, None, None, 0.700, 0.884),
    "CENet": (0.700, 0.703, 0.750, 0.750, 0.700, 0.884),
    "MAG-BERT": (None, None, 0.750, 0.750, 0.8625, 0.894),
}


@pytest.mark.parametrize("title", MEASURED)
def test_the_ten_clips_score_as_in_the_repositories(title) -> None:
    (found,) = (same for same in same_scores() if title in same.users)
    for value, expected in zip(found.scores.values(), MEASURED[title], strict=True):
        assert value == (expected if expected is None else pytest.approx(expected, abs=5e-4))


DEAD = {  # accuracy, correct and swapped F1, measured on the real labels
    ("CH-SIMS", "all"): (69.37, 56.82, 81.91),
    ("CH-SIMS v2 (s)", "all"): (59.09, 43.90, 74.29),
    ("CMU-MOSI", "all"): (55.25, 39.32, 71.17),
    ("CMU-MOSEI", "all"): (71.02, 58.99, 83.06),
    ("CMU-MOSEI", "non-zero"): (62.85, 48.51, 77.19),
}


def test_dead_models_score_as_on_the_real_labels() -> None:
    found = {(d.dataset, d.clips): (d.accuracy, d.f1, d.swapped) for d in dead_models()}
    for key, expected in DEAD.items():
        assert [100 * share for share in found[key]] == pytest.approx(expected, abs=0.005)
    for accuracy, f1, swapped in found.values():
        assert swapped == pytest.approx(2 * accuracy / (1 + accuracy))
        assert f1 == pytest.approx(accuracy * swapped)


def test_swapped_f1_is_what_scikit_learn_gives_for_swapped_arguments() -> None:
    truth, answer = np.repeat([0, 1], [248 + 69, 140]), np.zeros(457, int)
    sims = dead_models()[0]
    assert sims.f1 == pytest.approx(f1_score(truth, answer, average="weighted"))
    assert sims.swapped == pytest.approx(f1_score(answer, truth, average="weighted"))


@pytest.mark.parametrize(
    ("title", "discordant", "points"),
    [("CMU-MOSI", 0.08, 3.1), ("CMU-MOSEI", 0.08, 1.3), ("CH-SIMS", 0.12, 4.5)],
)
def test_detectable_differences_are_the_measured_ones(title, discordant, points) -> None:
    (found,) = (row for row in detectable() if row.dataset == title)
    assert 100 * found.differences[discordant] == pytest.approx(points, abs=0.05)


@pytest.mark.parametrize("design", [MOSI, MOSEI], ids=["mosi", "mosei"])
def test_detectable_mae_agrees_with_simulation(design) -> None:
    few, many = detectable_mae(design)
    effects = pairs(design, 0.0, ["mae"], replicates=400, bootstrapped=0, draws=0, seed=1)
    reach = 1.959964 + 0.841621  # normal quantiles of 97.5 % and 80 %
    spread = effects["mae"].squares.effect.std()
    assert few == pytest.approx(reach * spread, rel=0.15)  # few degrees of freedom cost a little
    assert many < 0.9 * few


def test_numbers_of_the_simulation_come_from_the_simulation() -> None:
    text = render_page(MADE_UP)
    paired = 100 * share(MADE_UP[5], "paired_t")
    assert f"a winner in {paired:.0f} % of comparisons" in text
    for seeds in SEEDS:
        assert re.search(rf"^\| {seeds} +\|", text, re.MULTILINE)


def test_the_page_explains_every_badge_and_mark(page) -> None:
    for expected in (*(f"`{badge}`" for badge in Badge), "●", "n/N", "TWIN", "undecided", "det."):
        assert expected in page


def test_links_of_the_page_lead_somewhere(page) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > len(FIGURES)
    assert [link for link in links if not (guide.FOLDER / link).exists()] == []


def test_lines_are_short_and_tables_are_whole(page) -> None:
    for line in page.splitlines():
        assert len(line) <= 110 or line.startswith(("|", "!"))
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1


def test_commands_on_the_page_exist(page) -> None:
    lines = [line for line in page.splitlines() if line.startswith("msa ")]
    assert len(lines) > 6
    commands = typer.main.get_command(app).commands
    for line in lines:
        _, name, *words = shlex.split(line, comments=True)
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
