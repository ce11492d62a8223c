"""The study of the tests: its simulation, its candidates, its files, and what it finds in short."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from harness._util.seeds import derive
from harness.cli import app
from harness.errors import SpecError
from harness.metrics import metrics
from harness.stats import compare
from harness.stats.calibration import (
    CANDIDATES,
    DESIGNS,
    METRICS,
    PARTS,
    PRIMARY,
    Finding,
    Part,
    Rate,
    Results,
    Settings,
    find,
    load,
    run,
    study,
)
from harness.stats.calibration.boards import _judged
from harness.stats.calibration.candidates import MeanSquares, Resampled, Table
from harness.stats.calibration.designs import SimulatedSets, System
from harness.stats.calibration.simulated import pairs
from harness.stats.estimate import estimate

BY_TITLE = {design.title: design for design in DESIGNS}
MOSI = DESIGNS[0]
NOISY = BY_TITLE["seed spread of the noisiest logged rows, 3 seeds"]
QUICK = (
    MOSI,
    NOISY,
    BY_TITLE["8 videos"],
    BY_TITLE["heavy tails (t, 2.5 df)"],
    BY_TITLE["deterministic against 3 seeds"],
)
UNHEARD_OF = 1e-4
"""A rate so unlikely under 5 % fails; of a hundred honest runs of these tests, none should."""


def tables(design, difference=0.0, *, replicates, chosen=("mae",), bootstrapped=0, draws=200):
    return pairs(
        design,
        difference,
        chosen,
        replicates=replicates,
        bootstrapped=bootstrapped,
        draws=draws,
        seed=5,
    )


def likely(rate: Rate, share: float = 0.05) -> bool:
    low, high = stats.binom.interval(1 - UNHEARD_OF, rate.of, share)
    return bool(low <= rate.hits <= high)


# The simulation is scored as boards are


@pytest.mark.parametrize(
    "title",
    [
        "31 very uneven videos",
        "3 seeds each",
        "1 run against 5, seed spread real",
        "a seed collapses with p = .2",
    ],
)
def test_what_is_simulated_is_compared_as_compare_does(title: str) -> None:
    design, replicates = BY_TITLE[title], 4
    found = tables(design, 0.1, replicates=replicates, chosen=tuple(METRICS))
    generator = np.random.default_rng(derive(5, "simulation"))
    sets = SimulatedSets(design, replicates, generator)
    a, b = (sets.predictions(system) for system in design.pair(0.1))
    for name, table in found.items():
        low, high = CANDIDATES[PRIMARY].intervals(table)
        for r in range(replicates):
            expected = compare(
                a[r], b[r], sets.truth[r], sets.clusters, metrics[name], dataset="mosi"
            )
            assert table.squares.effect[r] == pytest.approx(expected.effect, abs=1e-9)
            assert (low[r], high[r]) == pytest.approx((expected.low, expected.high), abs=1e-9)
            law = expected.reference
            assert table.squares.degrees[r] == pytest.approx(law.degrees, rel=1e-9)
            assert table.values[0][r].mean() == pytest.approx(expected.a, abs=1e-9)


def test_blocks_change_nothing_but_how_much_is_in_memory(monkeypatch) -> None:
    """Replicates are independent, so that rates of any block size estimate the same."""
    from harness.stats.calibration import simulated

    monkeypatch.setattr(simulated, "_BLOCK", 1)
    single = tables(MOSI, replicates=3)["mae"]
    assert single.squares.effect.shape == (3,)
    assert np.ptp(single.squares.effect) > 0


# Designs


def test_designs_have_titles_of_their_own_and_shares_that_add_up() -> None:
    assert len(BY_TITLE) == len(DESIGNS) == 29
    for design in DESIGNS:
        assert design.shared + design.video + design.own_video + design.noise <= 1.0
        assert design.sizes.size == design.videos
        assert design.sizes.sum() == pytest.approx(design.videos * design.clips, rel=0.05)
    largest = BY_TITLE["one video holds half the clips"].sizes
    assert largest.max() / largest.sum() == pytest.approx(0.5, abs=0.01)


def test_errors_and_labels_have_the_declared_sizes() -> None:
    design = replace(MOSI, spread=(0.0, 0.0))
    sets = SimulatedSets(design, 200, np.random.default_rng(0))
    plain, harder = (
        sets.predictions(System(runs=2, spread=0.0, harder=extra)) for extra in (0.0, 0.5)
    )
    assert np.abs(sets.truth).max() == 3.0
    assert np.allclose(sets.truth * 5, np.round(sets.truth * 5))
    errors = [pred - 0.85 * sets.truth[:, None] for pred in (plain, harder)]
    assert errors[0].std() == pytest.approx(design.error, rel=0.02)
    assert errors[1].std() == pytest.approx(1.5 * design.error, rel=0.02)
    between = np.mean(errors[0][:, 0] * errors[0][:, 1]) / design.error**2
    assert between == pytest.approx(1.0 - design.noise, abs=0.02)
    across = np.mean(errors[0][:, 0] * errors[1][:, 0]) / (1.5 * design.error**2)
    assert across == pytest.approx(design.shared + design.video, abs=0.02)


def test_the_spread_over_seeds_is_that_of_the_logs() -> None:
    def spread(design) -> float:
        part = Part(kind="null", design=design)
        found = find(part, Settings(replicates=20), metrics=["mae"], candidates=[PRIMARY])
        return found.numbers["spread"]

    assert 0.02 < spread(MOSI) < 0.05
    assert 0.005 < spread(BY_TITLE["676 videos, uneven, 5 seeds"]) < 0.02
    assert 0.05 < spread(NOISY) < 0.1
    assert 0.15 < spread(BY_TITLE["a seed collapses with p = .2"]) < 0.3


def test_contrast_is_between_videos_and_keeps_the_error() -> None:
    design = BY_TITLE["error scale of videos differs ten-fold"]
    sets = SimulatedSets(design, 400, np.random.default_rng(0))
    error = sets.predictions(System(runs=1, spread=0.0))[:, 0] - 0.85 * sets.truth
    assert error.std() == pytest.approx(design.error, rel=0.03)
    of_videos = [error[:, sets.clusters == v].std(axis=1) for v in range(design.videos)]
    low, high = np.quantile(of_videos, [0.05, 0.95])
    assert high / low > 5


def test_accuracy_near_ninety_five_percent() -> None:
    found = tables(BY_TITLE["Acc-2 near 95 %"], replicates=40, chosen=("acc2_non0",))
    assert found["acc2_non0"].values[0].mean() == pytest.approx(0.945, abs=0.015)


# Candidates, each against something else


def normal_table(seeds=(5, 5), videos=20, replicates=30, shift=0.0, seed=0):
    """Pseudo-values that are scores: no metric in between."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 0.3, (replicates, 1, videos))
    runs = [
        generator.normal(0, 0.1, (replicates, count, 1))
        + generator.normal(0, 0.4, (replicates, count, videos))
        + shared
        for count in seeds
    ]
    runs[0] = runs[0] + shift
    sizes = np.ones(videos)
    gaps = [
        estimate(a.mean(axis=1), a, sizes, runs="a", videos="t")
        - estimate(b.mean(axis=1), b, sizes, runs="b", videos="t")
        for a, b in zip(*runs, strict=True)
    ]
    values = tuple(side.mean(axis=2) for side in runs)
    empty = Resampled(*np.empty((5, 0)))
    table = Table(squares=MeanSquares.of(gaps), resampled=empty, values=values, videos=videos)
    return table, runs


def test_floored_is_the_textbook_form() -> None:
    table, (a, b) = normal_table(seeds=(4, 6))
    low, high = CANDIDATES["floored"].intervals(table)
    for r in range(len(a)):
        terms, rest, squares = [], [], []
        for x in (a[r], b[r]):
            s, v = x.shape
            own = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
            terms.append(x.mean(1).var(ddof=1) / s)
            rest.append((own**2).sum() / ((s - 1) * (v - 1)) / (s * v))
            squares += [terms[-1] ** 2 / (s - 1), rest[-1] ** 2 / ((s - 1) * (v - 1))]
        gap = a[r].mean(0) - b[r].mean(0)
        terms.append(gap.var(ddof=1) / gap.size)
        squares.append(terms[-1] ** 2 / (gap.size - 1))
        variance = max(sum(terms) - sum(rest), sum(rest))
        reach = stats.t.ppf(0.975, variance**2 / sum(squares)) * math.sqrt(variance)
        assert (low[r], high[r]) == pytest.approx((gap.mean() - reach, gap.mean() + reach))


def test_unsubtracted_is_welch_where_videos_do_not_differ() -> None:
    """With one score per run the mean squares of seeds are all there is."""
    generator = np.random.default_rng(0)
    a, b = generator.normal(0, 1, (4, 1)), generator.normal(0.5, 3, (7, 1))
    gap = [
        estimate(x[:, 0], np.repeat(x, 9, axis=1), np.ones(9), runs=name, videos="t")
        for x, name in ((a, "a"), (b, "b"))
    ]
    squares = MeanSquares.of([gap[0] - gap[1]])
    table = Table(
        squares=squares, resampled=Resampled(*np.empty((5, 0))), values=(a.T, b.T), videos=9
    )
    (low,), (high,) = CANDIDATES["unsubtracted"].intervals(table)
    expected = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_the_plug_in_reference_is_what_its_simulation_gives() -> None:
    table, _ = normal_table(replicates=3)
    low, high = CANDIDATES["plug_in"].intervals(table)
    found = table.squares
    generator = np.random.default_rng(1)
    for r in range(3):
        total, rest, degrees = found.total[r], found.rest[r], found.degrees[r]
        variance = max(total - rest, rest)
        true = max(total, 2 * rest)
        again = np.maximum(true * generator.chisquare(degrees, 400_000) / degrees - rest, rest)
        gaps = generator.normal(0, math.sqrt(variance), 400_000)
        reach = math.sqrt(variance) * np.quantile(np.abs(gaps) / np.sqrt(again), 0.95)
        assert (high[r] - low[r]) / 2 == pytest.approx(reach, rel=0.01)


def test_tests_over_seeds_are_those_of_scipy() -> None:
    for seeds in (5, 10):
        table, _ = normal_table(seeds=(seeds, seeds), shift=0.15)
        a, b = table.values
        low, high = CANDIDATES["paired_t"].intervals(table)
        first, last = CANDIDATES["wilcoxon"].intervals(table)
        for r in range(len(a)):
            expected = stats.ttest_rel(a[r], b[r]).confidence_interval()
            assert (low[r], high[r]) == pytest.approx((expected.low, expected.high))
            found = not first[r] <= 0 <= last[r]
            assert found == (stats.wilcoxon(a[r], b[r], method="exact").pvalue <= 0.05)
        assert np.isinf(first).all() == (seeds == 5)


def test_tests_over_seeds_need_runs_that_pair_up() -> None:
    for seeds in ((1, 5), (1, 1), (3, 4)):
        table, _ = normal_table(seeds=seeds)
        assert CANDIDATES["paired_t"].intervals(table) is None
        assert CANDIDATES["wilcoxon"].intervals(table) is None
    assert CANDIDATES[PRIMARY].intervals(table) is not None


def test_bootstraps_of_single_runs_are_those_of_scipy() -> None:
    """Between fixed predictions, on videos of one size, MAE is a mean over videos."""
    design = replace(BY_TITLE["1 run against 1, no seed spread"], videos=15, law="t")
    table = tables(design, 0.2, replicates=1, bootstrapped=1, draws=20_000)["mae"]
    sets = SimulatedSets(design, 1, np.random.default_rng(derive(5, "simulation")))
    a, b = (np.abs(sets.predictions(s)[0, 0] - sets.truth[0]) for s in design.pair(0.2))
    gaps = (a - b).reshape(15, -1).mean(axis=1)
    for key, method in (("percentile", "percentile"), ("bca", "BCa")):
        expected = stats.bootstrap(
            (gaps,), np.mean, n_resamples=20_000, method=method, random_state=0
        ).confidence_interval
        low, high = CANDIDATES[key].intervals(table)
        slack = 0.03 * (expected.high - expected.low)
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=slack)
    assert table.resampled.deviation[0] == pytest.approx(
        gaps.std() / math.sqrt(gaps.size), rel=0.03
    )


# What is found, in short


@pytest.mark.parametrize("design", QUICK, ids=lambda design: design.title)
def test_the_null_is_rejected_as_often_as_promised(design) -> None:
    """A quick look at five designs; ``msa study calibration`` looks closely at all."""
    part = Part(kind="null", design=design)
    found = find(part, Settings(replicates=200), metrics=["mae"], candidates=[PRIMARY, "paired_t"])
    assert likely(found.rate("mae", PRIMARY, "missed"))
    paired = found.rate("mae", "paired_t", "missed")
    if design is MOSI:
        assert not likely(paired), "a bound that an invalid test keeps would show nothing"
    assert (paired is None) == (design.seeds[0] != design.seeds[1])


def test_intervals_hold_the_true_difference_and_find_it() -> None:
    part = Part(kind="difference", design=MOSI, times=1.0)
    found = find(part, Settings(replicates=400), metrics=["mae"], candidates=[PRIMARY])
    assert likely(found.rate("mae", PRIMARY, "missed"))
    assert found.numbers["mae difference"] == pytest.approx(0.06 * 0.66, rel=0.15)
    assert 0.25 < found.rate("mae", PRIMARY, "rejected").share < 0.6


def test_few_seeds_with_a_large_spread_mislead_a_bootstrap() -> None:
    part = Part(kind="null", design=NOISY)
    settings = Settings(replicates=1200, draws=200)
    found = find(part, settings, metrics=["mae"], candidates=[PRIMARY, "percentile"])
    ours, before = (found.rate("mae", name, "missed") for name in (PRIMARY, "percentile"))
    assert (ours.of, before.of) == (3600, 600)
    assert likely(ours)
    assert before.share > ours.share + 0.01 and not likely(before)


def test_a_board_of_equal_systems_makes_few_claims_and_a_ladder_many() -> None:
    settings = Settings(replicates=240)
    equal = find(Part(kind="equal", design=MOSI, systems=5), settings)
    assert equal.rates["joint false"].of == 60 and equal.rates["percentile false"].of == 30
    assert likely(equal.rates["joint false"])
    assert equal.numbers["joint found"] == 0.0
    assert equal.numbers["joint best"] > 4.5
    steep = find(Part(kind="ladder", design=MOSI, systems=5, times=2.0), settings)
    assert steep.numbers["joint found"] > 0.5
    assert steep.numbers["joint best"] < 3


def test_claims_are_held_against_the_truth() -> None:
    ladder = [0.0, 0.0, 0.1]
    right = _judged([(0, 2)], {0, 1}, ladder)
    assert (right.false, right.found, right.missed, right.best) == (False, 0.5, 0.0, 2.0)
    tied = _judged([(0, 1), (0, 2)], {0}, ladder)
    assert (tied.false, tied.missed) == (True, 0.5)
    assert _judged([(2, 0)], {0, 1, 2}, ladder).false, "the wrong order"
    assert not _judged([], {0, 1}, [0.0, 0.0]).false


# The files

FEW = (
    Part(kind="null", design=BY_TITLE["8 videos"]),
    Part(kind="curve", design=BY_TITLE["8 videos"], times=2.0),
    Part(kind="equal", design=BY_TITLE["8 videos"], systems=3),
)
SMALL = Settings(replicates=16, draws=100)


def bytes_of(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_study_goes_on_where_it_was_killed(tmp_path, monkeypatch) -> None:
    steps = list(run(SMALL, tmp_path, code="1", parts=FEW[:2]))
    assert [step.done for step in steps] == [1, 2] and steps[-1].left == 0.0
    (tmp_path / ".new-half").write_text("what a kill left")
    kept = bytes_of(tmp_path)
    found = []
    monkeypatch.setattr(
        study, "find", lambda part, settings: found.append(part) or find(part, settings)
    )
    steps = list(run(SMALL, tmp_path, code="1", parts=FEW))
    assert found == [FEW[2]]
    assert [step.seconds == 0.0 for step in steps] == [True, True, False]
    after = bytes_of(tmp_path)
    assert {name: after[name] for name in kept if name != ".new-half"} == {
        name: text for name, text in kept.items() if name != ".new-half"
    }
    assert len(after) == 3
    list(run(SMALL, tmp_path, code="2", parts=FEW[:1]))
    list(run(replace(SMALL, seed=1), tmp_path, code="1", parts=FEW[:1]))
    assert len(bytes_of(tmp_path)) == 5, "other code, other settings"


def test_the_same_arguments_give_the_same_bytes_whatever_the_jobs(tmp_path) -> None:
    for jobs in (1, 2):
        list(run(SMALL, tmp_path / str(jobs), code="1", jobs=jobs, parts=FEW))
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")
    found = load(SMALL, tmp_path / "1", code="1", parts=FEW)
    again = find(FEW[0], SMALL)
    assert found.findings[FEW[0]] == again


def test_results_are_read_as_they_were_written() -> None:
    part = PARTS[0]
    finding = Finding(numbers={"spread": 0.03}, rates={"mae primary missed": Rate(hits=1, of=20)})
    found = Results(settings=SMALL, findings={part: finding})
    assert Results.loads(found.dumps()) == found
    assert finding.rate("mae", "primary", "missed").share == 0.05
    assert finding.rate("mae", "nothing", "missed") is None


def test_parts_have_names_of_their_own_and_their_work_is_known() -> None:
    assert len({part.title for part in PARTS}) == len(PARTS)
    assert {part.design for part in PARTS if part.kind == "null"} == set(DESIGNS)
    assert all(part.work(SMALL) > 0 for part in PARTS)
    curves = Results(
        settings=SMALL, findings={part: Finding(numbers={}, rates={}) for part in PARTS}
    ).curves()
    assert len(curves) == 8
    assert all(len(curve) == 6 for curve in curves.values())


@pytest.mark.parametrize("settings", [{"replicates": 7}, {"draws": 99}])
def test_too_little_is_refused(settings) -> None:
    with pytest.raises(SpecError, match="at least 8 replicates and 100 draws"):
        Settings(**settings)


def test_the_command_tells_how_far_it_is_and_goes_on(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(study, "PARTS", FEW)
    words = [
        "--home",
        str(tmp_path),
        "study",
        "calibration",
        "--replicates",
        "16",
        "--draws",
        "100",
    ]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0
    assert "3 parts, about" in first.stderr and "[3/3]" in first.stderr
    assert "8 videos" in first.stdout and "primary" in first.stdout
    second = CliRunner().invoke(app, [*words, "--json"])
    assert second.stderr.count("kept from before") == 3
    found = json.loads(second.stdout)
    assert found["settings"] == dataclasses.asdict(SMALL)
    assert [part["kind"] for part in found["parts"]] == ["null", "curve", "equal"]
    assert CliRunner().invoke(app, [*words[:-1], "99"]).exit_code == 2
