"""Rank sets: consistent with the pairwise test, honest under a null, indifferent to order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from harness._util.seeds import derive
from harness.errors import SpecError, SubmissionError
from harness.metrics import metrics
from harness.stats import Field, average_ranks, compare, draw_fields, holm, rank, resolution


def example(noises, seeds=3, clips=120, videos=24, seed=0):
    """Systems with errors of given size on uneven source videos, and the labels."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(-15, 16, clips) / 5
    groups = np.concatenate([np.arange(videos), generator.integers(videos, size=clips - videos)])
    systems = {
        f"s{i}": truth + generator.normal(0, noise, (seeds, clips))
        for i, noise in enumerate(noises)
    }
    return systems, truth, groups


def draws_of(systems, truth, groups, metric="mae", draws=400, **given) -> Field:
    return draw_fields(systems, truth, groups, [metric], draws, dataset="mosi", **given)[metric]


def test_clearly_different_systems_have_one_rank_each() -> None:
    found = rank(draws_of(*example([1.5, 0.2, 0.6])))
    assert found.names == ("s1", "s2", "s0")
    assert found.ranks == ((1, 1), (2, 2), (3, 3))
    assert found.leaders == {"s1"}
    assert [(p.a, p.b) for p in found.pairs] == [("s1", "s2"), ("s1", "s0"), ("s2", "s0")]
    assert all(p.effect < 0 and p.high < 0 and p.verdict() == "better" for p in found.pairs)


@pytest.mark.parametrize("metric", ["mae", "corr", "acc2_non0", "f1_has0"])
def test_the_rank_set_follows_from_the_pairs(metric: str) -> None:
    found = rank(draws_of(*example([0.9, 1.0, 1.05, 1.2, 1.6]), metric=metric))
    wins = {(p.a, p.b) for p in found.pairs if p.p_holm < 0.05}
    assert 0 < len(wins) < 10
    for name, (best, worst) in zip(found.names, found.ranks, strict=True):
        assert best == 1 + sum(b == name for _, b in wins)
        assert worst == 5 - sum(a == name for a, _ in wins)
    np.testing.assert_allclose(
        [p.p_holm for p in found.pairs], holm([p.p_value for p in found.pairs])
    )
    costs = [metrics[metric].cost(value) for value in found.values]
    assert costs == sorted(costs)


def test_pairs_agree_with_the_comparison_of_two() -> None:
    systems, truth, groups = example([0.9, 1.0, 1.3], seeds=4)
    found = rank(draws_of(systems, truth, groups, draws=4000))
    for p in found.pairs:
        one = compare(systems[p.a], systems[p.b], truth, groups, "mae", 4000, dataset="mosi")
        assert p.effect == pytest.approx(one.effect, abs=1e-12)
        assert (p.low, p.high) == pytest.approx((one.low, one.high), abs=0.2 * one.standard_error)
        assert p.detectable == pytest.approx(resolution(one.standard_error), rel=0.06)
    assert found.resolution == sorted(p.detectable for p in found.pairs)[1]


def test_neither_order_nor_company_changes_a_system() -> None:
    systems, truth, groups = example([0.9, 1.0, 1.2])
    whole = draws_of(systems, truth, groups)
    part = draws_of({n: systems[n] for n in ("s2", "s0")}, truth, groups)
    assert np.array_equal(part.drawn[0], whole.drawn[2])
    assert np.array_equal(part.drawn[1], whole.drawn[0])
    assert rank(whole).names == rank(draws_of(dict(reversed(systems.items())), truth, groups)).names


def test_undefined_systems_come_last_and_take_nobodys_place() -> None:
    systems, truth, groups = example([0.2, 1.5])
    systems |= {"flat": np.zeros((3, truth.size)), "half": np.vstack([truth, np.zeros(truth.size)])}
    found = rank(draws_of(systems, truth, groups, metric="corr"))
    assert found.names[:2] == ("s0", "s1")
    assert dict(zip(found.names, found.ranks, strict=True)) == {
        "s0": (1, 1),
        "s1": (2, 2),
        "flat": (3, 4),
        "half": (3, 4),
    }
    assert all(math.isnan(value) for value in found.values[2:])
    assert len(found.pairs) == 1


def test_single_runs_are_named() -> None:
    systems, truth, groups = example([0.9, 1.0])
    systems["one"] = systems["s0"][0]
    assert rank(draws_of(systems, truth, groups)).conditional == {"one"}


def test_equal_systems_are_equivalent_and_different_ones_may_differ_negligibly() -> None:
    truth, groups = np.linspace(-2, 2, 90), np.repeat(np.arange(30), 3)
    systems = {"a": truth, "b": truth.copy(), "c": truth + 0.004}
    found = {(p.a, p.b): p.verdict() for p in rank(draws_of(systems, truth, groups)).pairs}
    assert found == {("a", "b"): "equivalent", ("a", "c"): "negligible", ("b", "c"): "negligible"}


def test_false_separations_among_equal_systems_stay_below_the_level() -> None:
    """Five systems of one distribution: any separation is false; nominal 5 % of families."""
    families = 300
    false = 0
    for i in range(families):
        seed = derive(0, "family", i)
        drawn = draws_of(*example([1.0] * 5, clips=90, videos=30, seed=seed), seed=seed)
        false += any(best > 1 for best, _ in rank(drawn).ranks)
    assert false / families <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / families)


def field(dataset: str, values, drawn, metric="mae", names="abc") -> Field:
    return Field(
        metric=metrics[metric],
        dataset=dataset,
        names=tuple(names),
        values=np.array(values),
        drawn=np.array(drawn),
        seeds=(1,) * len(names),
        videos=9,
    )


def test_average_ranks_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    tables = [generator.integers(0, 4, (3, 500)).astype(float) for _ in range(3)]
    values = [table[:, 0] for table in tables]
    fields = [
        field(d, v, t) for d, v, t in zip(("mosi", "mosei", "sims"), values, tables, strict=True)
    ]
    expected = np.mean([rankdata(t, axis=0) for t in tables], axis=0)
    for row in average_ranks(fields):
        i = "abc".index(row.name)
        assert row.ranks == tuple(rankdata(v)[i] for v in values)
        assert row.mean == pytest.approx(np.mean(row.ranks))
        assert (row.low, row.high) == pytest.approx(np.quantile(expected[i], [0.025, 0.975]))


def test_only_systems_on_every_dataset_are_averaged_higher_is_better_where_it_is() -> None:
    first = field("mosi", [0.9, 0.5, math.nan], [[0.9] * 4, [0.5] * 4, [math.nan] * 4], "corr")
    second = field("sims", [0.1, 0.8], [[0.1] * 4, [0.8] * 4], "corr", names="ca")
    assert [(row.name, row.mean, row.ranks) for row in average_ranks([first, second])] == [
        ("a", 1.0, (1.0, 1.0)),
        ("c", 2.0, (2.0, 2.0)),
    ]


def test_what_cannot_be_ranked_is_refused() -> None:
    systems, truth, groups = example([0.9, 1.0])
    with pytest.raises(SpecError, match="no direction"):
        rank(draws_of(systems, truth, groups, metric="calibration_slope"))
    with pytest.raises(SpecError, match="at least 100 draws"):
        draws_of(systems, truth, groups, draws=99)
    with pytest.raises(SubmissionError, match="no systems"):
        draws_of({}, truth, groups)
    mae = field("mosi", [1.0, 2.0, 3.0], np.ones((3, 5)))
    with pytest.raises(SpecError, match="one metric and equally many draws"):
        average_ranks([mae, field("sims", [1.0, 2.0, 3.0], np.ones((3, 4)))])
    with pytest.raises(SpecError, match="one metric and equally many draws"):
        average_ranks([])
