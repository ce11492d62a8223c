"""Rank sets: consistent with the pairwise test, honest under a null, indifferent to order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from harness._util.seeds import derive
from harness.errors import SpecError, SubmissionError
from harness.metrics import metrics
from harness.stats import Field, average_ranks, compare, fields_of, rank
from harness.stats.estimate import Estimate, RunPart, VideoPart


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


def field_of(systems, truth, groups, metric="mae", **given) -> Field:
    return fields_of(systems, truth, groups, [metric], dataset="mosi", **given)[metric]


def test_clearly_different_systems_have_one_rank_each() -> None:
    found = rank(field_of(*example([1.5, 0.2, 0.6])))
    assert found.names == ("s1", "s2", "s0")
    assert found.ranks == ((1, 1), (2, 2), (3, 3))
    assert found.leaders == {"s1"}
    assert [(p.a, p.b) for p in found.pairs] == [("s1", "s2"), ("s1", "s0"), ("s2", "s0")]
    assert all(p.effect < 0 and p.high < 0 and p.verdict() == "better" for p in found.pairs)


@pytest.mark.parametrize("metric", ["mae", "corr", "acc2_non0", "f1_has0"])
def test_the_rank_set_follows_from_the_pairs(metric: str) -> None:
    found = rank(field_of(*example([0.9, 1.0, 1.05, 1.2, 1.6]), metric=metric))
    wins = {(p.a, p.b) for p in found.pairs if p.p_adjusted < 0.05}
    assert 0 < len(wins) < 10
    for name, (best, worst) in zip(found.names, found.ranks, strict=True):
        assert best == 1 + sum(b == name for _, b in wins)
        assert worst == 5 - sum(a == name for a, _ in wins)
    assert all(p.p_adjusted >= p.p_value for p in found.pairs)
    assert found.could_be_best <= found.leaders
    assert found.names[0] in found.could_be_best
    costs = [metrics[metric].cost(value) for value in found.values]
    assert costs == sorted(costs)


def test_pairs_are_the_comparison_of_two() -> None:
    systems, truth, groups = example([0.9, 1.0, 1.3], seeds=4)
    found = rank(field_of(systems, truth, groups))
    for p in found.pairs:
        one = compare(systems[p.a], systems[p.b], truth, groups, "mae", dataset="mosi")
        assert p.effect == pytest.approx(one.effect, abs=1e-12)
        assert (p.low, p.high) == pytest.approx((one.low, one.high), rel=1e-9)
        assert p.p_value == pytest.approx(one.p_value, rel=1e-9)
        assert p.detectable == pytest.approx(one.reference.detectable(), rel=1e-9)
        assert p.p_equivalence >= one.reference.p_equivalence(0.01) * (1 - 1e-9)
    assert found.resolution == sorted(p.detectable for p in found.pairs)[1]


def test_neither_order_nor_company_changes_a_comparison() -> None:
    systems, truth, groups = example([0.9, 1.0, 1.2])
    whole = rank(field_of(systems, truth, groups))
    turned = rank(field_of(dict(reversed(systems.items())), truth, groups))
    assert turned.names == whole.names
    assert turned.ranks == whole.ranks
    for one, other in zip(whole.pairs, turned.pairs, strict=True):
        assert one.p_value == pytest.approx(other.p_value, rel=1e-9)
        assert one.p_adjusted == pytest.approx(other.p_adjusted, abs=0.003)
    two = rank(field_of(systems, truth, groups).among(["s2", "s0"]))
    (of_three,) = (p for p in whole.pairs if {p.a, p.b} == {"s0", "s2"})
    assert two.pairs[0].p_value == pytest.approx(of_three.p_value, rel=1e-9)
    assert two.pairs[0].p_adjusted == pytest.approx(of_three.p_value, abs=0.02)  # a family of one


def test_undefined_systems_come_last_and_take_nobodys_place() -> None:
    systems, truth, groups = example([0.2, 1.5])
    systems |= {"flat": np.zeros((3, truth.size)), "half": np.vstack([truth, np.zeros(truth.size)])}
    found = rank(field_of(systems, truth, groups, metric="corr"))
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
    assert rank(field_of(systems, truth, groups)).conditional == {"one"}


def test_equal_systems_are_equivalent_and_different_ones_may_differ_negligibly() -> None:
    truth, groups = np.linspace(-2, 2, 90), np.repeat(np.arange(30), 3)
    systems = {"a": truth, "b": truth.copy(), "c": truth + 0.004}
    found = {(p.a, p.b): p.verdict() for p in rank(field_of(systems, truth, groups)).pairs}
    assert found == {("a", "b"): "equivalent", ("a", "c"): "negligible", ("b", "c"): "negligible"}


def test_false_separations_among_equal_systems_stay_below_the_level() -> None:
    """Five systems of one distribution: any separation is false; nominal 5 % of families."""
    families = 300
    false = missed = 0
    for i in range(families):
        seed = derive(0, "family", i)
        systems, truth, groups = example([1.0] * 5, clips=90, videos=30, seed=seed)
        found = rank(field_of(systems, truth, groups, seed=seed), draws=400)
        false += any(best > 1 for best, _ in found.ranks)
        missed += "s0" not in found.could_be_best  # any of the equal ones is best
    bound = 0.05 + 3 * math.sqrt(0.05 * 0.95 / families)
    assert false / families <= bound
    assert missed / families <= bound


def test_the_set_that_could_be_best_holds_the_best_and_is_smaller_than_the_leaders() -> None:
    """One system a little better, seven equal: fewer questions, so more of them are answered."""
    held = ours = leaders = 0
    for i in range(60):
        seed = derive(1, "best", i)
        systems, truth, groups = example([0.9] + [1.0] * 7, clips=400, videos=40, seed=seed)
        found = rank(field_of(systems, truth, groups, seed=seed), draws=400)
        held += "s0" in found.could_be_best
        ours += len(found.could_be_best)
        leaders += len(found.leaders)
    assert held >= 53
    assert ours < leaders


def field(dataset: str, values, metric="mae", names="abc") -> Field:
    """Systems that nothing varies but 400 videos, by a hundredth."""
    rng = np.random.default_rng(derive(0, dataset))
    return Field(
        metric=metrics[metric],
        dataset=dataset,
        estimates={
            name: Estimate(
                value=value,
                runs={name: RunPart(deviation=np.empty(0), rest=0.0)},
                videos={"test": VideoPart(influence=rng.normal(0, 0.0005, 400), degrees=399.0)},
            )
            for name, value in zip(names, values, strict=True)
        },
        seeds=(1,) * len(names),
    )


def test_average_ranks_run_between_the_ends_of_rank_sets() -> None:
    values = [[0.5, 0.9, 0.901], [0.3, 0.3001, 0.8], [0.7, 0.2, 0.4]]
    fields = [field(d, v) for d, v in zip(("mosi", "mosei", "sims"), values, strict=True)]
    for row in average_ranks(fields):
        i = "abc".index(row.name)
        assert row.ranks == tuple(rankdata(v)[i] for v in values)
        assert row.mean == pytest.approx(np.mean(row.ranks))
        sets = [rank(f, 0.05 / 3).rank_of(row.name) for f in fields]
        assert (row.low, row.high) == pytest.approx(tuple(np.mean(sets, axis=0)))
        assert row.low <= row.mean <= row.high


def test_only_systems_on_every_dataset_are_averaged_higher_is_better_where_it_is() -> None:
    first = field("mosi", [0.9, 0.5, math.nan], "corr")
    second = field("sims", [0.1, 0.8], "corr", names="ca")
    assert [(row.name, row.mean, row.ranks) for row in average_ranks([first, second])] == [
        ("a", 1.0, (1.0, 1.0)),
        ("c", 2.0, (2.0, 2.0)),
    ]


def test_what_cannot_be_ranked_is_refused() -> None:
    systems, truth, groups = example([0.9, 1.0])
    with pytest.raises(SpecError, match="no direction"):
        rank(field_of(systems, truth, groups, metric="calibration_slope"))
    with pytest.raises(SpecError, match="at least 100 draws"):
        rank(field_of(systems, truth, groups), draws=99)
    with pytest.raises(SubmissionError, match="no systems"):
        field_of({}, truth, groups)
    with pytest.raises(SpecError, match="one metric on every dataset"):
        average_ranks([field("mosi", [1.0, 2.0, 3.0]), field("sims", [1.0, 2.0, 3.0], "corr")])
    with pytest.raises(SpecError, match="one metric on every dataset"):
        average_ranks([])
    with pytest.raises(SpecError, match="no system 'z'"):
        field_of(systems, truth, groups).among(["z"])
