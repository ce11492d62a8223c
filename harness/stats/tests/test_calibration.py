"""The tests tested: false positives, coverage and power on simulated comparisons."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from harness.stats.analytic import crossed_variance_t
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import SpecError
from harness.stats import calibration
from harness.stats.calibration import (
    MOSI_LIKE,
    SCENARIOS,
    TESTS,
    AccuracyDesign,
    CalibrationFinding,
    calibrate,
    study,
)

HONEST = ("percentile", "bca", "crossed_t")
FEW_VIDEOS = "10 videos"


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_null_is_rejected_as_often_as_promised(seeds: int) -> None:
    found = calibrate(MOSI_LIKE, seeds, replicates=1500)
    slack = 2 * found.monte_carlo_error(0.06)
    for test in HONEST:
        assert 0.03 <= found.rejected[test] <= 0.06 + slack
        assert found.covered[test] == pytest.approx(1 - found.rejected[test])


@pytest.mark.parametrize(
    "scenario",
    [s for s in SCENARIOS if s.design.videos < 100 and s.design is not MOSI_LIKE]
    + [s for s in SCENARIOS if s.seeds[0] != s.seeds[1]],
    ids=lambda scenario: scenario.title,
)
def test_the_tests_hold_beyond_the_gaussian_case(scenario) -> None:
    """A quick look at every other scenario; ``msa study calibration`` looks closely."""
    found = {f.test: f for f in study(scenario, replicates=400, draws=200)}
    slack = 3 * math.sqrt(0.06 * 0.94 / 400)
    for test in HONEST if scenario.title != FEW_VIDEOS else ("crossed_t",):
        assert found[test].false_positives <= 0.06 + slack
        assert found[test].coverage >= 0.93 - slack
        assert found[test].power > 2 * found[test].false_positives


def test_ten_videos_are_too_few_for_a_bootstrap() -> None:
    found = calibrate(replace(MOSI_LIKE, videos=10), 5, replicates=1500, draws=200)
    assert found.rejected["percentile"] > found.rejected["crossed_t"] + 0.005


def test_the_paired_t_over_seeds_finds_false_winners_and_more_with_more_seeds() -> None:
    runs = (calibrate(MOSI_LIKE, s, replicates=400, draws=100).rejected for s in (3, 5, 10))
    three, five, ten = runs
    assert five["paired_t"] > 0.20
    assert three["paired_t"] < five["paired_t"] < ten["paired_t"]
    assert three["wilcoxon"] == five["wilcoxon"] == 0
    assert ten["wilcoxon"] > 0.3


def test_power_is_what_the_design_study_found() -> None:
    found = calibrate(MOSI_LIKE, 5, effect=0.02, replicates=800)
    for test in HONEST:
        assert found.rejected[test] == pytest.approx(0.27, abs=0.05)
        assert 0.93 <= found.covered[test] <= 0.97


def test_unequal_seeds_cannot_be_paired_and_a_single_run_can() -> None:
    unequal = calibrate(MOSI_LIKE, (3, 10), replicates=20, draws=50)
    assert math.isnan(unequal.rejected["paired_t"]) and math.isnan(unequal.rejected["wilcoxon"])
    single = calibrate(MOSI_LIKE, (1, 5), replicates=20, draws=50)
    assert single.rejected["paired_t"] >= 0
    assert math.isnan(single.covered["paired_t"])


@pytest.mark.parametrize("seeds", [1, (1, 1), (0, 5)])
def test_impossible_calibrations_are_refused(seeds) -> None:
    with pytest.raises(SpecError, match="two runs"):
        calibrate(MOSI_LIKE, seeds, replicates=10)


@pytest.mark.parametrize("law", ["normal", "t3", "exponential"])
def test_every_law_has_the_declared_spread(law) -> None:
    design = replace(MOSI_LIKE, videos=4000, video=0.1, seed=0.0, law=law)
    a, b = design.simulate((2, 2), 0.3, np.random.default_rng(0))
    gap = a - b
    expected = 0.1**2 + 0.25**2 / 22 + 0.25**2 / 22
    assert gap[0].mean() == pytest.approx(0.3, abs=0.01)
    assert gap[0].var() == pytest.approx(expected, rel=0.35 if law == "t3" else 0.1)
    assert (gap[0] - gap[1]).var() == pytest.approx(2 * 0.25**2 / 22, rel=0.2)


def test_a_single_run_is_deterministic() -> None:
    a, b = MOSI_LIKE.simulate((5, 1), 0.0, np.random.default_rng(0))
    assert a.shape == (5, 31)
    assert b.shape == (1, 31)
    assert not b.any()
    assert np.ptp(a, axis=0).min() > 0


def test_accuracies_have_the_declared_difference_and_spread() -> None:
    design = AccuracyDesign(videos=3000, clips_per_video=22, accuracy=0.8)
    generator = np.random.default_rng(0)
    a, b = design.simulate((3, 40), 0.03, generator)
    assert a.shape == (3, 3000)
    assert a.mean() == pytest.approx(0.83, abs=0.015)
    assert b.mean() == pytest.approx(0.80, abs=0.01)
    assert 0.006 < b.mean(axis=1).std(ddof=1) < 0.012
    assert a.min() >= 0 and a.max() <= 1


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ((0.05, 0.95, 0.4), "holds"),
        ((0.061, 0.95, 0.4), "too many false positives"),
        ((0.0, math.nan, 0.0), "powerless"),
        ((0.05, math.nan, 0.4), "holds"),
        ((0.05, 0.92, 0.4), "intervals too narrow"),
        ((0.05, 0.98, 0.4), "intervals too wide"),
        ((math.nan, math.nan, math.nan), "does not apply"),
    ],
)
def test_verdicts(rates, verdict: str) -> None:
    false_positives, coverage, power = rates
    found = CalibrationFinding(
        scenario=SCENARIOS[0],
        test="bca",
        false_positives=false_positives,
        monte_carlo_error=0.0,
        coverage=coverage,
        power=power,
    )
    assert found.verdict == verdict


def test_the_command_writes_the_same_page_for_the_same_arguments(tmp_path, monkeypatch) -> None:
    few = [s for s in SCENARIOS if s.design.videos < 100][-3:]
    monkeypatch.setattr(calibration, "SCENARIOS", few)
    arguments = ["study", "calibration", "--replicates", "20", "--draws", "60"]
    pages = [tmp_path / "a.md", tmp_path / "docs" / "b.md"]
    for page in pages:
        done = CliRunner().invoke(app, [*arguments, "--out", str(page)])
        assert done.exit_code == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = pages[0].read_text("utf-8")
    assert "--replicates 20 --draws 60 --seed 0`" in text
    for title in TESTS.values():
        assert text.count(f"| {title} ") == len(few)
    assert f"[3/3] {few[-1].title}" in done.stderr
    assert done.stdout.count("two-way bootstrap, BCa") == len(few)
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert len(found["findings"]) == len(few) * len(TESTS)
    assert {"false_positives", "coverage", "power", "effect"} <= found["findings"][0].keys()
    other = CliRunner().invoke(app, [*arguments, "--json", "--seed", "1"]).stdout
    assert json.loads(other)["findings"] != found["findings"]


def test_paired_differences_have_the_textbook_form() -> None:
    """Var = (MSseed + MSvideo - MSrest) / SV with Satterthwaite degrees of freedom."""
    seeds, videos = 5, 31
    generator = np.random.default_rng(3)
    d = (
        generator.normal(0, 1, (seeds, videos))
        + generator.normal(0, 1, videos)
        + generator.normal(0, 0.5, (seeds, 1))
        + 0.3
    )
    rest = d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()
    squares = np.array(
        [
            videos * d.mean(1).var(ddof=1),
            seeds * d.mean(0).var(ddof=1),
            (rest**2).sum() / ((seeds - 1) * (videos - 1)),
        ]
    )
    total = squares[0] + squares[1] - squares[2]
    degrees = total**2 / (squares**2 / [seeds - 1, videos - 1, (seeds - 1) * (videos - 1)]).sum()
    found = crossed_variance_t(d, np.zeros((1, videos)))
    assert found.standard_error**2 == pytest.approx(total / (seeds * videos))
    assert found.degrees == pytest.approx(degrees)


def test_with_single_runs_it_is_the_paired_t_over_videos() -> None:
    from scipy import stats

    a, b = np.random.default_rng(0).normal(size=(2, 1, 20))
    found, expected = crossed_variance_t(a, b), stats.ttest_rel(a[0], b[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_variance_at_all(shift: float, p: float) -> None:
    found = crossed_variance_t(np.full((2, 4), shift), np.zeros((3, 4)))
    assert (found.p_value, found.low, found.high) == (p, shift, shift)


def test_the_variance_is_unbiased_for_unequal_numbers_of_seeds() -> None:
    generator = np.random.default_rng(5)
    videos, sizes = 15, (6, 3)
    effects, variances = [], []
    for _ in range(3000):
        a, b = (
            generator.normal(0, 0.2, (n, 1)) + generator.normal(0, 0.3, (n, videos)) for n in sizes
        )
        found = crossed_variance_t(a + generator.normal(0, 0.5, videos), b)
        effects.append(found.effect)
        variances.append(found.standard_error**2)
    assert np.mean(variances) == pytest.approx(np.var(effects), rel=0.09)
